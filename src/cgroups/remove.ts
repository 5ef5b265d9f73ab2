// Removing groups. A group with processes cannot be removed, so they move to the group above first.

import { errno } from "../abi/errno.ts";
import { HostError, UsageError } from "../abi/errors.ts";
import { O } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, slot } from "../plan/call.ts";
import { close, open, rmdir, write } from "../plan/steps.ts";
import { ancestors, missingGroup, type Place, refuseMounts } from "./groups.ts";
import { wordsOf } from "./hierarchies.ts";
import { removeHints } from "./hints.ts";
import { STATUS } from "./status.ts";
import { below, treeOf } from "./tree.ts";

/**
 * Removes the groups, and those below them when `recursive`. Of the groups that one spec names (`cpu,cpuacct:x`), only
 * some need to be there: which controllers share a hierarchy differs from host to host.
 */
export const planRemove = (
  host: Host,
  specs: readonly (readonly Place[])[],
  recursive: boolean,
): CallStep[] => {
  const gone = new Set<string>();
  const steps: CallStep[] = [];
  for (const places of specs) {
    const there = places.filter(({ directory }) => host.kind(directory) === "directory");
    if (there.length === 0 && places[0]) {
      const { message } = missingGroup(places[0], STATUS.other);
      throw new HostError(message, undefined, STATUS.other);
    }
    for (const place of there) {
      if (gone.has(place.directory)) continue;
      refuseMounts(host, place, "tree");
      // The deepest first.
      const tree = recursive ? treeOf(host, place.directory).toReversed() : [place.directory];
      steps.push(...planTree(host, place, tree));
      for (const directory of tree) gone.add(directory);
    }
  }
  return steps;
};

const planTree = (host: Host, place: Place, tree: readonly string[]): CallStep[] => {
  const above = ancestors(place.hierarchy, place.directory);
  if (above.length === 0) {
    throw new UsageError(
      `${place.title} is the root of its hierarchy`,
      "a root cannot be removed",
      STATUS.other,
    );
  }
  const children = tree.length === 1 ? below(host, place.directory) : [];
  return [
    // Where groups below will make the removal fail, nobody is moved for nothing.
    ...(children.length ? [] : planEvacuate(host, place, tree, above)),
    ...tree.map((directory) =>
      rmdir(directory, {
        title: `remove the group ${directory}`,
        hints: removeHints(host, children),
        status: STATUS.other,
        // Somebody else has removed it since the plan was drawn: so it is gone, as was asked for.
        tolerate: [errno("ENOENT")],
      }),
    ),
  ];
};

const planEvacuate = (
  host: Host,
  { hierarchy }: Place,
  tree: readonly string[],
  above: readonly string[],
): CallStep[] => {
  // A thread may be alone in a group of version 1, so there threads move and not whole processes.
  const file = hierarchy.version === 1 ? "tasks" : "cgroup.procs";
  const ids = tree.flatMap((directory) => wordsOf(host.read(`${directory}/${file}`)));
  if (ids.length === 0) return [];
  const target = `${refuge(host, hierarchy.version, above)}/${file}`;
  const fd = slot("tasks");
  const about = { title: `move the processes to ${target}`, status: STATUS.other };
  return [
    open(target, O.O_WRONLY | O.O_CLOEXEC, fd, {
      ...about,
      reason: "a group with processes cannot be removed: they move to the group above",
    }),
    ...ids.map((id) =>
      write(fd, id, `move ${id} to ${target}`, {
        status: STATUS.other,
        // It ended in the meantime.
        tolerate: [errno("ESRCH")],
      }),
    ),
    close(fd, about),
  ];
};

/** The nearest group above that may hold processes: in version 2 the root, or one that hands no controllers on. */
const refuge = (host: Host, version: 1 | 2, above: readonly string[]): string => {
  const root = above[0]!;
  if (version === 1) return above.at(-1)!;
  return (
    above.findLast(
      (directory) =>
        directory === root || wordsOf(host.read(`${directory}/cgroup.subtree_control`)).length === 0,
    ) ?? root
  );
};
