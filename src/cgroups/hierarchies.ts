// Which controllers of control groups are where on a host: version 1 has a tree of groups for each controller or
// for several together (cpu,cpuacct), version 2 one tree for all, and a hybrid host has both. @see cgroups(7)

import type { Host } from "../host/host.ts";
import { parseMountinfo } from "../host/mountinfo.ts";

/** One tree of control groups. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Where its root is mounted. */
  readonly mountPoint: string;
  /** In version 2 those that the root may hand on; they work in a group once its parent has handed them on. */
  readonly controllers: readonly string[];
  /** A tree of version 1 that is for keeping track of processes only, such as `systemd`. */
  readonly name?: string;
}

/** The trees of a host, in the order in which they were mounted. */
export type Hierarchies = readonly Hierarchy[];

// Mount options of a version 1 hierarchy that are no controllers; those with a value (name=, release_agent=) aside.
const options = new Set([
  "rw",
  "ro",
  "none",
  "all",
  "xattr",
  "noprefix",
  "clone_children",
  "cpuset_v2_mode",
  "favordynmods",
  "nofavordynmods",
  "seclabel",
]);

/** The trees that `host` has mounted. A tree that is mounted twice is known by its first mount. */
export const readHierarchies = (host: Host): Hierarchies => {
  const mounts = parseMountinfo(host.read("/proc/self/mountinfo") ?? "", "cgroup");
  // What was mounted last on a directory hides what was there before.
  const visible = mounts.filter(
    (mount, i) => !mounts.some((later, j) => j > i && later.mountPoint === mount.mountPoint),
  );
  const seen = new Set<string>();
  const found: Hierarchy[] = [];
  for (const { fstype, device, mountPoint, superOptions } of visible) {
    if (seen.has(device)) continue;
    seen.add(device);
    if (fstype === "cgroup2") {
      found.push(unified(host, mountPoint));
    } else if (fstype === "cgroup") {
      const name = superOptions.find((option) => option.startsWith("name="))?.slice(5);
      const controllers = superOptions.filter((option) => !options.has(option) && !option.includes("="));
      found.push({ version: 1, mountPoint, controllers, ...(name !== undefined && { name }) });
    }
  }
  return found;
};

/** The controllers of version 2 stand in a file of their own, which a hybrid host's commands seldom need. */
const unified = (host: Host, mountPoint: string): Hierarchy => {
  let controllers: readonly string[] | undefined;
  return {
    version: 2,
    mountPoint,
    get controllers() {
      return (controllers ??= wordsOf(host.read(`${mountPoint}/cgroup.controllers`)));
    },
  };
};

/** The words of a file that holds a list, such as `cgroup.subtree_control`. */
export const wordsOf = (text: string | undefined): string[] => text?.split(/\s+/).filter(Boolean) ?? [];

/**
 * What version 2 calls a controller of version 1, where it has it at all. `""`: the feature belongs to every group of
 * version 2 and no controller has to be handed on.
 */
const inVersion2: Readonly<Record<string, string>> = {
  blkio: "io",
  cpuacct: "cpu", // cpu.stat holds what cpuacct counted
  freezer: "", // cgroup.freeze
  perf_event: "", // "automatically enabled", Documentation/admin-guide/cgroup-v2.rst
};

const inVersion1: Readonly<Record<string, string>> = { io: "blkio" };

/** A controller, where it is, and its name there. */
export interface Location {
  readonly hierarchy: Hierarchy;
  /** `""` for what every group of version 2 has. */
  readonly controller: string;
}

/**
 * The tree that has a controller. Names of either version find it, `name=NAME` finds a named tree; undefined where
 * nothing has it.
 */
export const locate = (hierarchies: Hierarchies, controller: string): Location | undefined => {
  const find = (name: string, version?: 1 | 2): Location | undefined => {
    const hierarchy = hierarchies.find(
      (it) => (version === undefined || it.version === version) && it.controllers.includes(name),
    );
    return hierarchy && { hierarchy, controller: name };
  };
  if (controller.startsWith("name=")) {
    const hierarchy = hierarchies.find(({ name }) => name === controller.slice(5));
    return hierarchy && { hierarchy, controller };
  }
  const exact = find(controller, 1) ?? find(controller, 2);
  if (exact) return exact;
  const newer = inVersion2[controller];
  if (newer) return find(newer, 2);
  if (newer === "") {
    const hierarchy = hierarchies.find(({ version }) => version === 2);
    return hierarchy && { hierarchy, controller: "" };
  }
  const older = inVersion1[controller];
  return older ? find(older, 1) : undefined;
};

/**
 * What `*` stands for: every controller of version 1 that is mounted or, where version 1 has none, of version 2. A
 * hybrid host's few leftovers in version 2 are not meant.
 */
export const allControllers = (hierarchies: Hierarchies): string[] => {
  const of = (wanted: 1 | 2): string[] =>
    hierarchies.flatMap(({ version, controllers }) => (version === wanted ? controllers : []));
  const older = of(1);
  return older.length ? older : of(2);
};
