// Making groups: the directories down to each, and what a directory needs before it is of use. In version 2 every
// group above hands the controllers on; in version 1 a cpuset takes no process until it has processors and memory.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { mkdir, rmdir, writeFile } from "../plan/steps.ts";
import { errno } from "../abi/errno.ts";
import { ancestors, type Place } from "./groups.ts";
import { wordsOf } from "./hierarchies.ts";
import { enableHints, makeHints } from "./hints.ts";
import { STATUS } from "./status.ts";

/** What is going to be there once the steps so far are done, on top of what the host has. */
export interface Draft {
  readonly host: Host;
  readonly made: Set<string>;
  /** Controllers that a directory of version 2 hands on. */
  readonly enabled: Map<string, Set<string>>;
}

export const draft = (host: Host): Draft => ({ host, made: new Set(), enabled: new Map() });

/** Makes the groups that are not there. When one cannot be made, those made before it are removed again. */
export const planCreate = (host: Host, places: readonly Place[]): CallStep[] => {
  const on = draft(host);
  return places.flatMap((place) => planGroup(on, place));
};

/** One group with those above it. */
export const planGroup = (on: Draft, { hierarchy, controllers, directory }: Place): CallStep[] => {
  const above = ancestors(hierarchy, directory);
  const steps: CallStep[] = [];
  above.forEach((parent, i) => {
    const isRoot = i === 0;
    if (!isRoot) steps.push(...planDirectory(on, parent, above[i - 1]!, hierarchy.version, controllers));
    if (hierarchy.version === 2) steps.push(...planEnable(on, parent, controllers, isRoot));
  });
  const last = above.at(-1);
  // The root of a hierarchy has nothing above it, and is there.
  if (last !== undefined) steps.push(...planDirectory(on, directory, last, hierarchy.version, controllers));
  return steps;
};

/** mkdir(2) with all permissions that a umask of 022 leaves, as libcgroup asks for. */
const MODE = 0o775;

const failure = (host: Host): number => (host.euid === 0 ? STATUS.other : STATUS.notAllowed);

const planDirectory = (
  { host, made }: Draft,
  directory: string,
  parent: string,
  version: 1 | 2,
  controllers: readonly string[],
): CallStep[] => {
  if (made.has(directory) || host.kind(directory) === "directory") return [];
  made.add(directory);
  const steps = [
    mkdir(directory, MODE, {
      title: `make the group ${directory}`,
      reason: "a directory here is a group; the kernel fills it with files",
      hints: makeHints(host),
      status: failure(host),
      // Somebody may have made it since the plan was drawn; then it is theirs and stays.
      tolerate: [errno("EEXIST")],
      undo: rmdir(directory),
    }),
  ];
  if (version === 1 && controllers.includes("cpuset"))
    steps.push(...planCpuset(host, directory, parent, made));
  return steps;
};

/** A new cpuset of version 1 is empty, and a process may not enter it. It gets what the nearest group above has. */
const planCpuset = (host: Host, directory: string, parent: string, made: ReadonlySet<string>): CallStep[] => {
  let from = parent;
  while (made.has(from)) from = from.slice(0, from.lastIndexOf("/"));
  return ["cpuset.cpus", "cpuset.mems"].flatMap((name, i) => {
    const value = host.read(`${from}/${name}`)?.trim();
    if (!value) return [];
    return writeFile(`${directory}/${name}`, value, {
      title: `write "${value}" to ${directory}/${name}`,
      status: STATUS.other,
      ...(i === 0 && {
        reason: "a new cpuset is empty and takes no process: give it what the group above has",
      }),
    });
  });
};

/** Has `directory` hand on those controllers that it does not yet. */
const planEnable = (
  { host, enabled }: Draft,
  directory: string,
  controllers: readonly string[],
  isRoot: boolean,
): CallStep[] => {
  const file = `${directory}/cgroup.subtree_control`;
  let handedOn = enabled.get(directory);
  if (!handedOn) enabled.set(directory, (handedOn = new Set(wordsOf(host.read(file)))));
  const wanted = controllers.filter((name) => name !== "" && !handedOn.has(name));
  if (wanted.length === 0) return [];
  for (const name of wanted) handedOn.add(name);
  const value = wanted.map((name) => `+${name}`).join(" ");
  return writeFile(file, value, {
    title: `write "${value}" to ${file}`,
    reason: "cgroup v2: a controller works in a group once the group above hands it on",
    hints: enableHints(host, directory, isRoot),
    status: failure(host),
  });
};
