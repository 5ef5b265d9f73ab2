// A group of its own for a container, in every hierarchy that one of its limits needs. The limits are docker's, and
// mean the same on both versions of control groups.

import { errno } from "../abi/errno.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import type { Notice } from "../plan/plan.ts";
import { readCounts, rmdir, writeFile } from "../plan/steps.ts";
import { draft, planGroup } from "./create.ts";
import { locateDeviceFilter, planDevices } from "./devices.ts";
import { groupDirectory, type Place } from "./groups.ts";
import { type Hierarchies, type Hierarchy, locate, readHierarchies, wordsOf } from "./hierarchies.ts";
import { planJoin } from "./join.ts";
import { missingController } from "./missing.ts";
import type { Resources } from "./resources.ts";
import type { Setting } from "./settings.ts";
import { ioWeightOfBlkio, weightOfShares } from "./weights.ts";
import { planSetting } from "./write.ts";

/** What a container may use, and whether what it uses is counted, where the host has what counts it. */
export type Limits = Resources & { readonly counted?: boolean | undefined };

/** The steps of a container's life that have to do with its groups. */
export interface LimitsPlan {
  /** The trees in which the container has a group of its own. */
  readonly hierarchies: Hierarchies;
  /** The directories of the container's groups. */
  readonly groups: readonly string[];
  /** Makes the groups and sets the limits. Takes the groups back when a later step of the plan fails. */
  readonly create: readonly CallStep[];
  /** The calling process, and all that it starts from then on, enters the groups. */
  readonly join: readonly CallStep[];
  /** Which limit was hit, when it was: what is told once the container has ended. */
  readonly notices: readonly Notice[];
  /** Removes the groups when all their processes have ended. */
  readonly remove: readonly CallStep[];
  /** Whether `devices` is held to. */
  readonly filtersDevices: boolean;
}

/** docker's status for a failure that is not the program's. */
const FAILURE = 125;

/** Where in a hierarchy a container's group is to be: a path from the root; the root unless given. */
export type Base = (hierarchy: Hierarchy) => string;

/** The controllers that limits need, by the names of version 1 where the two differ. */
export const controllersOf = (limits: Limits): string[] => [
  ...new Set(parts.flatMap((part) => (part.given(limits) ? [part.controller] : []))),
];

/**
 * Plans a group `nsk-NAME`, next to the others at the top: a group above it would have to stay behind. Without a limit
 * there is nothing to do. Throws HostError where no controller for a limit is mounted.
 */
export const planLimits = (host: Host, name: string, limits: Limits, base?: Base): LimitsPlan => {
  const { devices, counted } = limits;
  let isLimited = false;
  for (const part of parts) if (part.given(limits)) isLimited = true;
  if (!isLimited && !devices && !counted) return NO_LIMITS;
  const hierarchies = readHierarchies(host);
  const filter = devices && locateDeviceFilter(host, hierarchies);
  const wanted = parts.flatMap((part) =>
    part.given(limits) ? [{ ...part, ...find(host, hierarchies, part.controller) }] : [],
  );
  const places = new Map<Hierarchy, Place>();
  const path = (hierarchy: Hierarchy): string => `${base ? `${base(hierarchy)}/` : ""}nsk-${name}`;
  for (const { hierarchy, controller } of wanted) {
    places.set(hierarchy, placeFor(path(hierarchy), hierarchy, places.get(hierarchy), controller));
  }
  if (filter) {
    const { hierarchy, controller } = filter;
    places.set(hierarchy, placeFor(path(hierarchy), hierarchy, places.get(hierarchy), controller));
  }
  if (counted)
    for (const { hierarchy, controller } of counters(host, hierarchies))
      places.set(hierarchy, placeFor(path(hierarchy), hierarchy, places.get(hierarchy), controller));
  const all = [...places.values()];
  const on = draft(host);
  const create = [
    ...all.flatMap((place) => planGroup(on, place)),
    ...(filter && devices
      ? planDevices(places.get(filter.hierarchy)!.directory, filter.hierarchy.version, devices)
      : []),
    ...wanted.flatMap((part) => {
      const { directory } = places.get(part.hierarchy)!;
      return part.settings(limits, part.hierarchy, host).flatMap((setting, i) => {
        const reason = i === 0 ? part.reason(limits) : undefined;
        return setting.optional
          ? optionalSetting(directory, setting)
          : planSetting(host, directory, setting, reason);
      });
    }),
  ];
  return {
    hierarchies: all.map(({ hierarchy }) => hierarchy),
    groups: all.map(({ directory }) => directory),
    create: create.map(docker),
    join: planJoin(host, all).map(docker),
    notices: wanted.flatMap(({ controller, hierarchy }) =>
      controller === "memory" ? [outOfMemory(places.get(hierarchy)!, limits)] : [],
    ),
    remove: all.map(({ directory }, i) =>
      rmdir(directory, {
        title: `remove the group ${directory}`,
        tolerate: [errno("ENOENT")],
        ...(i === 0 && { reason: "all its processes have ended, so the group can go" }),
      }),
    ),
    filtersDevices: filter !== undefined,
  };
};

/**
 * What `nsk stats` reads, as far as it is to be had: nobody has asked for it, and so nothing fails for want of it. On
 * version 2 a group counts processor time without a controller, and the others when the group above hands them on,
 * which of groups that hold processes the root alone does.
 */
const counters = (host: Host, hierarchies: Hierarchies): { hierarchy: Hierarchy; controller: string }[] =>
  (["cpuacct", "memory", "pids"] as const).flatMap((name) => {
    const location =
      locate(hierarchies, name) ??
      hierarchies.flatMap((hierarchy) => (hierarchy.version === 2 ? [{ hierarchy, controller: "" }] : []))[0];
    if (!location || location.hierarchy.readonly) return [];
    const { hierarchy, controller } = location;
    if (hierarchy.version === 1) return [location];
    if (name === "cpuacct") return [{ hierarchy, controller: "" }];
    const { mountPoint } = hierarchy;
    const isRoot = host.kind(`${mountPoint}/cgroup.type`) === undefined;
    const isHandedOn = wordsOf(host.read(`${mountPoint}/cgroup.subtree_control`)).includes(controller);
    return controller !== "" && (isRoot || isHandedOn) ? [location] : [];
  });

/** Of a container without groups of its own. */
export const NO_LIMITS: LimitsPlan = {
  hierarchies: [],
  groups: [],
  create: [],
  join: [],
  notices: [],
  remove: [],
  filtersDevices: false,
};

/** The container's group in a hierarchy, for one controller more than `known` has; `""` is none. */
const placeFor = (
  path: string,
  hierarchy: Hierarchy,
  known: Place | undefined,
  controller: string,
): Place => {
  const controllers = [...(known?.controllers ?? [])];
  if (controller !== "" && !controllers.includes(controller)) controllers.push(controller);
  return {
    hierarchy,
    directory: groupDirectory(hierarchy, path),
    controllers,
    title: `${controllers.join(",")}:${path}`,
  };
};

/** Nothing but a 137 tells that it was the kernel who killed a program; the kernel counts it, and says so in its log. */
const outOfMemory = ({ hierarchy, directory }: Place, { memory }: Resources): Notice => {
  const [file, limit] =
    hierarchy.version === 2
      ? ["memory.events", "memory.max"]
      : ["memory.oom_control", "memory.limit_in_bytes"];
  return {
    ...readCounts(`${directory}/${file}`, "was a program killed for want of memory?"),
    counter: "oom_kill",
    text: `out of memory: the kernel killed a program of the container, whose ${limit} is ${memory?.limit}`,
    hint: "-m SIZE gives it more",
  };
};

/** The steps for libcgroup's tools carry its exit statuses; a container's failures are the plan's own. */
const docker = ({ status: _, ...step }: CallStep): CallStep => step;

const find = (
  host: Host,
  hierarchies: Hierarchies,
  controller: string,
): { hierarchy: Hierarchy; controller: string } => {
  const location = locate(hierarchies, controller);
  if (!location) throw missingController(host, hierarchies, controller, FAILURE);
  return location;
};

interface LimitSetting extends Setting {
  /** Not every kernel has the file, and nothing but its being there tells. */
  readonly optional?: true;
}

/** A setting that is written where the kernel has it, and passed over where not. */
const optionalSetting = (directory: string, { name, value }: Setting): CallStep[] =>
  writeFile(`${directory}/${name}`, value, {
    title: `write "${value}" to ${directory}/${name}`,
    reason: "and of swap; a kernel without swap has no such file",
    onError: "ignore",
  }).map((step) => ({ ...step, onError: "ignore" }));

interface Part {
  readonly controller: string;
  given(limits: Resources): boolean;
  settings(limits: Resources, hierarchy: Hierarchy, host: Host): LimitSetting[];
  reason(limits: Resources): string;
}

/** Microseconds, the kernel's usual and docker's. */
const PERIOD = 100_000;

const parts: readonly Part[] = [
  {
    controller: "cpuset",
    given: ({ cpu }) => Boolean(cpu?.cpus),
    settings: ({ cpu }) => [{ name: "cpuset.cpus", value: cpu?.cpus ?? "" }],
    reason: ({ cpu }) => `runs on the processors ${cpu?.cpus} only`,
  },
  {
    controller: "cpuset",
    given: ({ cpu }) => Boolean(cpu?.mems),
    settings: ({ cpu }) => [{ name: "cpuset.mems", value: cpu?.mems ?? "" }],
    reason: ({ cpu }) => `uses memory of the nodes ${cpu?.mems} only`,
  },
  {
    controller: "blkio",
    given: ({ blockIO }) => blockIO?.weight !== undefined,
    settings: ({ blockIO: { weight = 500 } = {} }, { version, mountPoint }, host) => {
      if (version === 2) return [{ name: "io.weight", value: `default ${ioWeightOfBlkio(weight)}` }];
      // The root's file is named after the scheduler that takes it.
      const bfq = host.kind(`${mountPoint}/blkio.bfq.weight`) !== undefined;
      return [{ name: bfq ? "blkio.bfq.weight" : "blkio.weight", value: String(weight) }];
    },
    reason: () => "its part of the disks while others want them too",
  },
  {
    controller: "cpu",
    given: ({ cpu }) => cpu?.quota !== undefined && cpu.quota > 0,
    settings: ({ cpu: { quota, period = PERIOD } = {} }, { version }) =>
      version === 2
        ? [{ name: "cpu.max", value: `${quota} ${period}` }]
        : [
            { name: "cpu.cfs_period_us", value: String(period) },
            { name: "cpu.cfs_quota_us", value: String(quota) },
          ],
    reason: ({ cpu: { quota, period = PERIOD } = {} }) =>
      `may run for ${quota} of every ${period} microseconds, all processors together`,
  },
  {
    controller: "cpu",
    given: ({ cpu }) => Boolean(cpu?.shares),
    settings: ({ cpu: { shares = 0 } = {} }, { version }) => [
      version === 2
        ? { name: "cpu.weight", value: String(weightOfShares(shares)) }
        : { name: "cpu.shares", value: String(shares) },
    ],
    reason: () => "its part of the processors while others want them too",
  },
  {
    controller: "memory",
    given: ({ memory }) => memory?.limit !== undefined && memory.limit > 0,
    settings: ({ memory }, { version, mountPoint }, host) => {
      const limit = memory?.limit ?? 0;
      const both = memory?.swap ?? 2 * limit;
      if (version === 2)
        return [
          { name: "memory.max", value: String(limit) },
          { name: "memory.swap.max", value: both < 0 ? "max" : String(both - limit), optional: true },
        ];
      // Swap is accounted for where the root has the file. It counts memory and swap together.
      const memsw = "memory.memsw.limit_in_bytes";
      return [
        { name: "memory.limit_in_bytes", value: String(limit) },
        ...(host.kind(`${mountPoint}/${memsw}`) ? [{ name: memsw, value: String(both) }] : []),
      ];
    },
    reason: () => "bytes of memory; when that is not enough a process is killed",
  },
  {
    controller: "pids",
    given: ({ pids }) => pids?.limit !== undefined,
    settings: ({ pids: { limit = 0 } = {} }) => [
      { name: "pids.max", value: limit > 0 ? String(limit) : "max" },
    ],
    reason: () => "no more processes and threads than this, so a fork bomb stays inside",
  },
];
