// What a container may use, by the names and types of the OCI runtime spec, and the settings of control groups that it
// means. Pure.

import { HostError, UsageError } from "../abi/errors.ts";
import type { DeviceRule } from "./devices.ts";
import { type Hierarchies, locate } from "./hierarchies.ts";
import type { Setting } from "./settings.ts";

/** What is left out is not limited. @see https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md */
export interface Resources {
  /** Which devices it may make and open; nothing is filtered where the host cannot do it. */
  readonly devices?: readonly DeviceRule[] | undefined;
  readonly memory?: MemoryResources | undefined;
  readonly cpu?: CpuResources | undefined;
  readonly pids?: { readonly limit?: number | undefined } | undefined;
  readonly blockIO?: BlockIO | undefined;
  readonly hugepageLimits?: readonly { readonly pageSize: string; readonly limit: number }[] | undefined;
  readonly network?: Network | undefined;
  /** By the device's name. */
  readonly rdma?: Readonly<Record<string, Rdma>> | undefined;
  /** Files of version 2 and what is written to them. */
  readonly unified?: Readonly<Record<string, string>> | undefined;
}

/** In bytes; -1 is no limit. */
export interface MemoryResources {
  readonly limit?: number | undefined;
  readonly reservation?: number | undefined;
  /** Memory and swap together; `nsk run` makes it twice the limit unless given. */
  readonly swap?: number | undefined;
  readonly kernel?: number | undefined;
  readonly kernelTCP?: number | undefined;
  /** 0 to 100. */
  readonly swappiness?: number | undefined;
  readonly disableOOMKiller?: boolean | undefined;
  readonly useHierarchy?: boolean | undefined;
  readonly checkBeforeUpdate?: boolean | undefined;
}

export interface CpuResources {
  /** The part of the processors when others want them too; 1024 is the usual, 0 is "as usual". */
  readonly shares?: number | undefined;
  /** Microseconds of processor time in each period, for all processors together; 0 and less is no limit. */
  readonly quota?: number | undefined;
  /** Microseconds that may be saved up. */
  readonly burst?: number | undefined;
  /** The length of a period in microseconds; 100000 unless given. */
  readonly period?: number | undefined;
  readonly realtimeRuntime?: number | undefined;
  readonly realtimePeriod?: number | undefined;
  /** The processors to run on: `0-2,4`. */
  readonly cpus?: string | undefined;
  /** The memory nodes to use: `0-1`. */
  readonly mems?: string | undefined;
  /** 1: only when nothing else wants the processor. */
  readonly idle?: number | undefined;
}

export interface BlockIO {
  /** The part of the disks when others want them too: 10 to 1000. */
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
  readonly weightDevice?: readonly WeightDevice[] | undefined;
  readonly throttleReadBpsDevice?: readonly ThrottleDevice[] | undefined;
  readonly throttleWriteBpsDevice?: readonly ThrottleDevice[] | undefined;
  readonly throttleReadIOPSDevice?: readonly ThrottleDevice[] | undefined;
  readonly throttleWriteIOPSDevice?: readonly ThrottleDevice[] | undefined;
}

export interface WeightDevice {
  readonly major: number;
  readonly minor: number;
  readonly weight?: number | undefined;
  readonly leafWeight?: number | undefined;
}

export interface ThrottleDevice {
  readonly major: number;
  readonly minor: number;
  readonly rate: number;
}

export interface Network {
  readonly classID?: number | undefined;
  readonly priorities?: readonly { readonly name: string; readonly priority: number }[] | undefined;
}

export interface Rdma {
  readonly hcaHandles?: number | undefined;
  readonly hcaObjects?: number | undefined;
}

/**
 * The settings, by the names of version 1 where a thing has two; each is translated where it is written. What the kernel
 * has given up (`memory.kernel`) is passed over, as runc does. Throws {@link UsageError} for `unified` that is no name of
 * a file, and {@link HostError} where that has no place.
 */
export const settingsOf = (resources: Resources, hierarchies: Hierarchies): Setting[] => [
  ...memorySettings(resources.memory ?? {}),
  ...cpuSettings(resources.cpu ?? {}),
  ...(resources.pids?.limit === undefined || resources.pids.limit === 0
    ? []
    : [{ name: "pids.max", value: resources.pids.limit > 0 ? String(resources.pids.limit) : "max" }]),
  ...blockSettings(resources.blockIO ?? {}, hierarchies),
  ...hugepageSettings(resources.hugepageLimits ?? [], hierarchies),
  ...networkSettings(resources.network ?? {}),
  ...Object.entries(resources.rdma ?? {}).map(([device, rdma]) => ({
    name: "rdma.max",
    value: [
      device,
      ...(rdma.hcaHandles === undefined ? [] : [`hca_handle=${rdma.hcaHandles}`]),
      ...(rdma.hcaObjects === undefined ? [] : [`hca_object=${rdma.hcaObjects}`]),
    ].join(" "),
  })),
  ...unifiedSettings(resources.unified ?? {}, hierarchies),
];

/** One setting for what is given; runc takes 0 for "not given", and so do the engines that call it. */
const given = (name: string, value: number | undefined): Setting[] =>
  value === undefined || value === 0 ? [] : [{ name, value: String(value) }];

const memorySettings = (memory: MemoryResources): Setting[] => {
  const { limit, swap, reservation, kernelTCP, swappiness, disableOOMKiller } = memory;
  // No limit on memory is none on both together.
  const both = limit === -1 && swap === undefined ? -1 : swap;
  return [
    ...given("memory.limit_in_bytes", limit),
    ...(limit === -1 && swap === undefined ? [] : given("memory.memsw.limit_in_bytes", both)),
    ...given("memory.soft_limit_in_bytes", reservation),
    ...given("memory.kmem.tcp.limit_in_bytes", kernelTCP),
    ...(swappiness === undefined ? [] : [{ name: "memory.swappiness", value: String(swappiness) }]),
    ...(disableOOMKiller ? [{ name: "memory.oom_control", value: "1" }] : []),
  ];
};

const cpuSettings = (cpu: CpuResources): Setting[] => [
  ...given("cpu.shares", cpu.shares),
  ...given("cpu.cfs_period_us", cpu.period),
  ...given("cpu.cfs_quota_us", cpu.quota),
  ...given("cpu.cfs_burst_us", cpu.burst),
  ...given("cpu.rt_period_us", cpu.realtimePeriod),
  ...given("cpu.rt_runtime_us", cpu.realtimeRuntime),
  ...(cpu.cpus ? [{ name: "cpuset.cpus", value: cpu.cpus }] : []),
  ...(cpu.mems ? [{ name: "cpuset.mems", value: cpu.mems }] : []),
  ...(cpu.idle === undefined ? [] : [{ name: "cpu.idle", value: String(cpu.idle) }]),
];

const blockSettings = (block: BlockIO, hierarchies: Hierarchies): Setting[] => {
  const isNewer = locate(hierarchies, "blkio")?.hierarchy.version === 2;
  const throttle = (name: string, devices: readonly ThrottleDevice[] = []): Setting[] =>
    devices.map(({ major, minor, rate }) => ({
      name: `blkio.throttle.${name}_device`,
      value: `${major}:${minor} ${rate}`,
    }));
  const weights = (block.weightDevice ?? []).flatMap(({ major, minor, weight, leafWeight }) => [
    ...(weight ? [{ name: "blkio.weight_device", value: `${major}:${minor} ${weight}` }] : []),
    ...(leafWeight && !isNewer
      ? [{ name: "blkio.leaf_weight_device", value: `${major}:${minor} ${leafWeight}` }]
      : []),
  ]);
  return [
    ...given("blkio.weight", block.weight),
    ...(isNewer ? [] : given("blkio.leaf_weight", block.leafWeight)),
    ...weights,
    ...throttle("read_bps", block.throttleReadBpsDevice),
    ...throttle("write_bps", block.throttleWriteBpsDevice),
    ...throttle("read_iops", block.throttleReadIOPSDevice),
    ...throttle("write_iops", block.throttleWriteIOPSDevice),
  ];
};

const hugepageSettings = (
  limits: NonNullable<Resources["hugepageLimits"]>,
  hierarchies: Hierarchies,
): Setting[] => {
  const file = locate(hierarchies, "hugetlb")?.hierarchy.version === 2 ? "max" : "limit_in_bytes";
  return limits.map(({ pageSize, limit }) => ({ name: `hugetlb.${pageSize}.${file}`, value: String(limit) }));
};

const networkSettings = ({ classID, priorities = [] }: Network): Setting[] => [
  ...given("net_cls.classid", classID),
  ...priorities.map(({ name, priority }) => ({ name: "net_prio.ifpriomap", value: `${name} ${priority}` })),
];

const unifiedSettings = (unified: NonNullable<Resources["unified"]>, hierarchies: Hierarchies): Setting[] =>
  Object.entries(unified).map(([name, value]) => {
    if (name.includes("/") || !/^[a-z]\w*\.\w/.test(name))
      throw new UsageError(`config.json: linux.resources.unified: '${name}' is no file of a control group`);
    if (!hierarchies.some(({ version }) => version === 2))
      throw new HostError("linux.resources.unified: no cgroup v2 is mounted here");
    return { name, value };
  });
