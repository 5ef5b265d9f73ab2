// The groups of a host, as lscgroup shows them.

import type { Host } from "../host/host.ts";
import { type GroupSpec, missingGroup, placesOf, relativePath } from "./groups.ts";
import type { Hierarchies, Hierarchy } from "./hierarchies.ts";
import { STATUS } from "./status.ts";
import { treeOf } from "./tree.ts";

/** A group that is there. */
export interface ListedGroup {
  readonly version: 1 | 2;
  /** Of its hierarchy. In version 2 those of the root: which of them a group has is for each group above to say. */
  readonly controllers: readonly string[];
  /** From the root of the hierarchy, which is `/`. */
  readonly path: string;
  readonly directory: string;
}

/** Every group of every hierarchy that has a controller; each root first. */
export const listAll = (host: Host, hierarchies: Hierarchies): ListedGroup[] => {
  const found: ListedGroup[] = [];
  for (const hierarchy of hierarchies)
    if (hierarchy.controllers.length) found.push(...listTree(host, hierarchy, hierarchy.mountPoint));
  return found;
};

/** The groups that are named and those below them. */
export const listNamed = (
  host: Host,
  hierarchies: Hierarchies,
  specs: readonly GroupSpec[],
): ListedGroup[] => {
  const found: ListedGroup[] = [];
  for (const spec of specs)
    for (const place of placesOf(host, hierarchies, spec, STATUS.noController)) {
      const { hierarchy, directory } = place;
      if (host.kind(directory) !== "directory") throw missingGroup(place, STATUS.noGroup);
      const [first, ...rest] = listTree(host, hierarchy, directory);
      // libcgroup ends the name of the group that was asked for with a slash.
      const path = relativePath(spec.path);
      found.push({ ...first!, path: (path && `/${path}/`) || "/" }, ...rest);
    }
  return found;
};

const listTree = (host: Host, hierarchy: Hierarchy, directory: string): ListedGroup[] => {
  const { version, mountPoint, name } = hierarchy;
  const controllers =
    hierarchy.controllers.length || name === undefined ? hierarchy.controllers : [`name=${name}`];
  const start = mountPoint === "/" ? 0 : mountPoint.length;
  return treeOf(host, directory).map((group) => ({
    version,
    controllers,
    path: group.slice(start) || "/",
    directory: group,
  }));
};
