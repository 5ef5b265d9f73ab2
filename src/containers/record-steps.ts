// The supervisor's steps around a container: its record, its name and its cidfile, made and removed, and what else it needs.

import { errno } from "../abi/errno.ts";
import { O } from "../abi/flags.ts";
import { type CallStep, slot } from "../plan/call.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { hasNewNamespace } from "./config.ts";
import { type Container, pair, record } from "./container.ts";
import { detailsText, namesIn } from "./record.ts";

/**
 * A file that says what to remove, locked as long as the supervisor lives: the next run finds those of dead ones. It is
 * locked and filled before it has a name, so that nobody ever sees it half-made.
 */
export const openRecord = ({ id, state, limits, details, users }: Container): Step[] => {
  const path = `${state}/${id}`;
  const link = users?.link ?? linkOpen;
  return [
    steps.ensureDirectory(state, 0o700, {
      reason: "records of what to remove should the supervisor be killed",
      hints: {
        [errno("EACCES")]: "run it as root",
        [errno("EROFS")]: "a container's records need a writable /run",
      },
    }),
    ...(users?.checkState ?? []),
    steps.openNameless(state, record, {
      hints: {
        [errno("EOPNOTSUPP")]:
          "/run is an overlay, which has no nameless files on this kernel: mount -t tmpfs tmpfs /run",
      },
    }),
    steps.lock(record, { title: `lock ${path}` }),
    steps.write(
      record,
      limits.groups.map((group) => `${group}\n`).join("") + detailsText(details),
      `write ${path}`,
    ),
    link(path, { undo: steps.unlink(path) }),
    ...takeName(details.name, state, link),
  ];
};

const linkOpen = (path: string, about: steps.About): CallStep => steps.linkOpen(record, path, about);

/** The record's other link: there can be one of a name only. */
const takeName = (name: string | undefined, state: string, link: typeof linkOpen): CallStep[] => {
  if (name === undefined) return [];
  const path = `${namesIn(state)}/${name}`;
  return [
    steps.ensureDirectory(namesIn(state), 0o700),
    link(path, {
      title: `take the name ${name}`,
      reason: "nobody else can have it as long as this link is there",
      hints: { [errno("EEXIST")]: `a container has that name: nsk rm -f ${name}` },
      undo: steps.unlink(path),
    }),
  ];
};

/** One that is kept keeps its name as well. */
const forgetName = ({ state, details: { name, detached, autoRemove } }: Container): CallStep[] =>
  name === undefined || (detached && !autoRemove) ? [] : [steps.unlink(`${namesIn(state)}/${name}`)];

/** What is left to do when a container has ended. The record goes last: it says what is to be removed. */
export const cleanup = (container: Container, more: readonly CallStep[] = []): CallStep[] => [
  ...container.limits.remove,
  ...forgetName(container),
  ...more,
  steps.unlink(`${container.state}/${container.id}`),
];

/** A container whose first process is no namespace's first leaves others behind, in its groups. */
export const sweep = ({ config, limits }: Container): { sweep?: string } => {
  const [group] = limits.groups;
  return hasNewNamespace(config.linux, "pid") || group === undefined
    ? {}
    : { sweep: `${group}/cgroup.procs` };
};

/** For whoever started it with `--cidfile`. */
export const tellId = ({ id, cidfile }: Container): CallStep[] => {
  if (cidfile === undefined) return [];
  const [file, title] = [slot("cidfile"), `write ${cidfile}`];
  return [
    steps.open(cidfile, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, file, {
      mode: 0o644,
      title,
      hints: { [errno("EEXIST")]: "it may be another container's: remove it, or write to another file" },
      undo: steps.unlink(cidfile),
    }),
    steps.write(file, id, title),
    steps.close(file, { title }),
  ];
};

export const openPair = (): CallStep =>
  steps.socketPair(pair, { reason: "over it the child tells which descriptor its terminal is" });

export const alarm = ({ timeout }: Container): CallStep[] =>
  timeout === undefined
    ? []
    : [steps.setAlarm(timeout, { reason: "the container is killed when this is over" })];
