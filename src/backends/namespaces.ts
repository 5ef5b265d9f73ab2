// The namespaces of this machine as they are now: what is gathered, and an inventory made of it.

import { gatherMounts, gatherProcesses, gatherRelations } from "../host/gather.ts";
import { type Holder, type Link, links, type Processes } from "../host/processes.ts";
import { inventory, linkOf, type Namespace, related } from "../namespaces/inventory.ts";
import type { Kind } from "../namespaces/kinds.ts";

export interface Survey {
  readonly processes: Processes;
  readonly holders: readonly Holder[];
  readonly namespaces: readonly Namespace[];
}

/** What a survey is to find out. Each of them costs time on a machine with many processes. */
export interface Question {
  readonly links: readonly Link[];
  /** Namespaces that only a descriptor or a mount holds. */
  readonly held: boolean;
  /** What is above a namespace and what owns it; of one without processes it is always found out. */
  readonly relations: boolean;
  /** Also namespaces that are only above others or own them. */
  readonly missing: boolean;
}

/** Looks at all processes that /proc shows. */
export const survey = (question: Question): Survey => {
  const { processes, holders: open } = gatherProcesses({ ...question, descriptors: question.held });
  const holders = question.held ? [...gatherMounts(), ...open] : [];
  const namespaces = inventory(processes, holders, question.links);
  const asked = question.relations ? namespaces : namespaces.filter(({ pid }) => pid === undefined);
  const relations = gatherRelations(
    asked.flatMap(({ kind, id, path }) => (path === undefined ? [] : [{ link: linkOf(kind), id, path }])),
  );
  return { processes, holders, namespaces: related(namespaces, relations, question.missing, holders) };
};

/**
 * The namespaces that can be seen from here, in the order of their ids: those that processes are in, those that only a
 * mount or an open descriptor holds, and those that live on because others are below them. Without `kinds` all eight.
 *
 * @example
 * ```ts
 * import { namespaces } from "nsk";
 *
 * const own = namespaces(["pid"]).find(({ processes }) => processes > 0)!;
 * console.log(own.kind, own.path?.startsWith("/proc/")); // → pid true
 * ```
 * @see namespaces(7), lsns(8)
 */
export const namespaces = (kinds?: readonly Kind[]): Namespace[] =>
  survey({
    links: kinds ? kinds.map(linkOf) : links,
    held: true,
    relations: true,
    missing: true,
  }).namespaces.filter(({ kind }) => kinds === undefined || kinds.includes(kind));
