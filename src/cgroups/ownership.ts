// Giving groups to a user: who owns a group's directory and files, and who may move processes into it.

import { groupByName, parseId, userByName } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { chmod, chown } from "../plan/steps.ts";
import type { Place } from "./groups.ts";
import { STATUS } from "./status.ts";
import { neighbour } from "./tree.ts";

/** -1 leaves one as it is. @see chown(2) */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The ids of a user and a group by name or number; one that is not named stays as it is. Throws what `fail` makes. */
export const findOwner = (
  host: Host,
  user: string | undefined,
  group: string | undefined,
  fail: (message: string) => Error,
): Owner => {
  const find = (what: string, name: string | undefined, id: (name: string) => number | undefined): number => {
    if (!name) return -1;
    const found = id(name) ?? parseId(name);
    if (found === undefined) throw fail(`there is no ${what} '${name}'`);
    return found;
  };
  return {
    uid: find("user", user, userByName(host)),
    gid: find("group", group, groupByName(host)),
  };
};

/** Octal permissions. Throws what `fail` makes. */
export const parseMode = (text: string, fail: (message: string, hint: string) => Error): number => {
  if (!/^[0-7]{1,4}$/.test(text)) throw fail(`'${text}' is no mode`, "a mode is octal, e.g. 775");
  return parseInt(text, 8);
};

/** cgcreate's options for it. */
export interface Ownership {
  /** `-a`: of the directory, and of its files but those through which processes enter. */
  readonly all: Owner | undefined;
  /** `-t`: of those. */
  readonly tasks: Owner | undefined;
  /** `-d`, `-f` and `-s`, likewise. */
  readonly directoryMode: number | undefined;
  readonly fileMode: number | undefined;
  readonly tasksMode: number | undefined;
}

export const asksForNothing = (ownership: Ownership): boolean =>
  Object.values(ownership).every((value) => value === undefined);

/** The files through which processes enter. Version 2 asks for cgroup.procs, and for a thread cgroup.threads. */
const entrances = (version: 1 | 2): readonly string[] =>
  version === 1 ? ["tasks"] : ["cgroup.procs", "cgroup.threads"];

/**
 * Owners and modes of the groups themselves, not of those above. Only the kernel knows which files a group has: for
 * one that is not there yet, they are those of a neighbour, and the plan should be drawn again once it is.
 */
export const planOwnership = (host: Host, places: readonly Place[], ownership: Ownership): CallStep[] => {
  if (asksForNothing(ownership)) return [];
  return places.flatMap(({ directory, hierarchy }) => {
    const like = neighbour(host, directory);
    const files = (host.list(like) ?? []).filter((name) => host.kind(`${like}/${name}`) === "file");
    const about = { status: STATUS.other };
    const steps: CallStep[] = [];
    const { all, tasks, directoryMode, fileMode, tasksMode } = ownership;
    // Modes first: whoever gives a directory away may not be able to look into it afterwards.
    if (directoryMode !== undefined) steps.push(chmod(directory, directoryMode, about));
    for (const name of files) {
      const wanted = entrances(hierarchy.version).includes(name) ? tasksMode : fileMode;
      if (wanted === undefined) continue;
      // What the file's own owner may not do (write to a file that only reports) nobody gets.
      const most = ((host.mode(`${like}/${name}`) ?? 0o644) >> 6) & 7;
      steps.push(chmod(`${directory}/${name}`, wanted & (most * 0o111), about));
    }
    const owned = (owner: Owner, path: string): CallStep => chown(path, owner.uid, owner.gid, about);
    if (all) steps.push(owned(all, directory));
    for (const name of files) {
      const owner = entrances(hierarchy.version).includes(name) ? tasks : all;
      if (owner) steps.push(owned(owner, `${directory}/${name}`));
    }
    const [first, ...rest] = steps;
    return first ? [{ ...first, reason: "who owns a file of a group may change what it says" }, ...rest] : [];
  });
};
