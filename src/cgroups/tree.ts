// The trees of groups as directories: what is below a group, and what is near it.

import type { Host } from "../host/host.ts";

/** The names of the groups right below one. */
export const below = (host: Host, directory: string): string[] => host.directories(directory) ?? [];

/** A group and all below it: each before those below it, in the kernel's order. */
export const treeOf = (host: Host, directory: string): string[] => {
  const tree: string[] = [];
  const visit = (group: string): void => {
    tree.push(group);
    for (const name of below(host, group)) visit(`${group}/${name}`);
  };
  visit(directory);
  return tree;
};

/**
 * A group of the same hierarchy, as near as can be: the directory itself where it is there. A group that is going to be
 * made has the files that this one has.
 */
export const neighbour = (host: Host, directory: string): string => {
  let parent = directory;
  while (parent !== "/" && host.kind(parent) !== "directory")
    parent = parent.slice(0, parent.lastIndexOf("/")) || "/";
  if (parent === directory) return directory;
  const [sibling] = below(host, parent);
  return sibling === undefined ? parent : `${parent}/${sibling}`;
};
