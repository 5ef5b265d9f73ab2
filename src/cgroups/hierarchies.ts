// Which controllers of control groups are where on a host: version 1 has a tree of groups for each controller or
// for several together (cpu,cpuacct), version 2 one tree for all, and a hybrid host has both. @see cgroups(7)

import type { Host } from "../host/host.ts";
import { type Mount, parseMountinfo } from "../host/mountinfo.ts";

/** One tree of control groups. */
export interface Hierarchy {
  readonly version: 1 | 2;
  /** Where its root is mounted. */
  readonly mountPoint: string;
  /** In version 2 those that the root may hand on; they work in a group once its parent has handed them on. */
  readonly controllers: readonly string[];
  /** Nothing can be made or set in it, as in most containers. */
  readonly readonly?: true;
  /** A tree of version 1 that is for keeping track of processes only, such as `systemd`. */
  readonly name?: string;
}

/** The trees of a host, in the order in which they were mounted. */
export type Hierarchies = readonly Hierarchy[];

// Mount options of a version 1 hierarchy that are no controllers; those with a value (name=, release_agent=) aside.
const options: readonly string[] = [
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
];

/** The trees that `host` has mounted. A tree that is mounted twice is known by its first mount. */
export const readHierarchies = (host: Host): Hierarchies => {
  const mounts = parseMountinfo(host.read("/proc/self/mountinfo") ?? "", "cgroup");
  const devices: string[] = [];
  const found: Hierarchy[] = [];
  for (let i = 0; i < mounts.length; i++) {
    const mount = mounts[i]!;
    if (devices.includes(mount.device) || isCovered(mounts, i)) continue;
    devices.push(mount.device);
    if (mount.fstype === "cgroup2") found.push(unified(host, mount));
    else if (mount.fstype === "cgroup") found.push(version1(mount));
  }
  return found;
};

/** What was mounted last on a directory hides what was there before. */
const isCovered = (mounts: readonly Mount[], i: number): boolean => {
  for (let j = i + 1; j < mounts.length; j++)
    if (mounts[j]!.mountPoint === mounts[i]!.mountPoint) return true;
  return false;
};

const READONLY = { readonly: true } as const;

const version1 = ({ mountPoint, options: own, superOptions }: Mount): Hierarchy => {
  const controllers: string[] = [];
  let name: string | undefined;
  for (const option of superOptions) {
    if (option.startsWith("name=")) name = option.slice(5);
    else if (!options.includes(option) && !option.includes("=")) controllers.push(option);
  }
  return {
    version: 1,
    mountPoint,
    controllers,
    ...(name !== undefined && { name }),
    ...(own.includes("ro") && READONLY),
  };
};

/** The controllers of version 2 stand in a file of their own, which a hybrid host's commands seldom need. */
const unified = (host: Host, { mountPoint, options: own }: Mount): Hierarchy => {
  let controllers: readonly string[] | undefined;
  return {
    version: 2,
    mountPoint,
    get controllers() {
      return (controllers ??= wordsOf(host.read(`${mountPoint}/cgroup.controllers`)));
    },
    ...(own.includes("ro") && READONLY),
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
  if (controller.startsWith("name=")) {
    const name = controller.slice(5);
    for (const hierarchy of hierarchies) if (hierarchy.name === name) return { hierarchy, controller };
    return undefined;
  }
  const exact = locateIn(hierarchies, 1, controller) ?? locateIn(hierarchies, 2, controller);
  if (exact) return exact;
  const newer = inVersion2[controller];
  if (newer) return locateIn(hierarchies, 2, newer);
  if (newer === "") {
    for (const hierarchy of hierarchies) if (hierarchy.version === 2) return { hierarchy, controller: "" };
    return undefined;
  }
  const older = inVersion1[controller];
  return older ? locateIn(hierarchies, 1, older) : undefined;
};

const locateIn = (hierarchies: Hierarchies, version: 1 | 2, controller: string): Location | undefined => {
  for (const hierarchy of hierarchies)
    if (hierarchy.version === version && hierarchy.controllers.includes(controller))
      return { hierarchy, controller };
  return undefined;
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

/** Version 1 alone, version 2 alone, or both; undefined where nothing is mounted. */
export const modeOf = (hierarchies: Hierarchies): "legacy" | "hybrid" | "unified" | undefined => {
  const has = (wanted: 1 | 2): boolean => hierarchies.some(({ version }) => version === wanted);
  return has(1) ? (has(2) ? "hybrid" : "legacy") : has(2) ? "unified" : undefined;
};

/** A row of /proc/cgroups. @see cgroups(7) */
export interface KnownController {
  readonly name: string;
  /** The number of its hierarchy of version 1; 0 for none. */
  readonly hierarchy: number;
  readonly enabled: boolean;
}

/** The controllers that the kernel was built with: name, hierarchy, number of groups, enabled. */
export const knownControllers = (host: Host): KnownController[] => {
  const found: KnownController[] = [];
  for (const line of (host.read("/proc/cgroups") ?? "").split("\n")) {
    const [name, hierarchy, , enabled] = line.split("\t");
    if (name && !name.startsWith("#"))
      found.push({ name, hierarchy: Number(hierarchy), enabled: enabled !== "0" });
  }
  return found;
};
