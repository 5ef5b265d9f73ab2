// Where a plain user may make groups: below one that root has given her. @see cgroups(7), "Cgroups delegation"

import type { Host } from "../host/host.ts";
import { groupDirectory } from "./groups.ts";
import { type Hierarchy, wordsOf } from "./hierarchies.ts";
import { ownGroup } from "./join.ts";

/**
 * The group in a hierarchy that this process is in or right below, when it is the user's own: a path from the root. On
 * version 2 it is the one above, for a group that hands controllers on holds no process. Undefined for none.
 */
export const delegatedGroup = (host: Host, hierarchy: Hierarchy): string | undefined => {
  const own = ownGroup(host, hierarchy);
  if (own === undefined) return undefined;
  const isOwn = (path: string): boolean => host.owner(path)?.uid === host.euid;
  const path = hierarchy.version === 1 ? own : own.slice(0, own.lastIndexOf("/"));
  const directory = groupDirectory(hierarchy, path);
  const files = hierarchy.version === 1 ? ["tasks"] : ["cgroup.procs", "cgroup.subtree_control"];
  return isOwn(directory) && files.every((name) => isOwn(`${directory}/${name}`)) ? path : undefined;
};

/** Which of these controllers a group of version 2 has not been handed. */
export const notHandedOn = (
  host: Host,
  hierarchy: Hierarchy,
  path: string,
  controllers: readonly string[],
): string[] => {
  const there = wordsOf(host.read(`${groupDirectory(hierarchy, path)}/cgroup.controllers`));
  return controllers.filter((name) => !there.includes(name));
};
