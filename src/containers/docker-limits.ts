// docker's flags for what a container may use, into limits and resource limits. Units and messages are docker's.

import { UsageError } from "../abi/errors.ts";
import { RLIMIT } from "../abi/flags.ts";
import type { DeviceRule } from "../cgroups/devices.ts";
import type { CpuResources, Resources } from "../cgroups/resources.ts";
import type { Process } from "./config.ts";
import { DEVICE_RULES } from "./defaults.ts";

/** @see docker-run(1) */
export interface LimitFlags {
  readonly cpus?: string | undefined;
  readonly cpuPeriod?: string | undefined;
  readonly cpuQuota?: string | undefined;
  readonly cpuShares?: string | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly cpusetMems?: string | undefined;
  readonly memory?: string | undefined;
  readonly memorySwap?: string | undefined;
  readonly blkioWeight?: string | undefined;
  readonly pidsLimit?: string | undefined;
  readonly privileged: boolean;
}

/** The kernel's smallest quota and period, and its largest period, in microseconds. @see Documentation/scheduler/sched-bwc.rst */
const [SMALLEST, LARGEST] = [1_000, 1_000_000];
/** Microseconds; the kernel's default and docker's. */
const PERIOD = 100_000;

/** `devices`: rules for devices of the container's own, behind docker's. */
export const parseResources = (flags: LimitFlags, devices: readonly DeviceRule[]): Resources => {
  const limit = flags.memory === undefined ? undefined : parseMemory("--memory", flags.memory) || undefined;
  return {
    cpu: {
      ...parseProcessorTime(flags),
      shares: wholeNumber("--cpu-shares", flags.cpuShares, 0) || undefined,
      cpus: parseCpuList("--cpuset-cpus", flags.cpusetCpus),
      mems: parseCpuList("--cpuset-mems", flags.cpusetMems),
    },
    memory: { limit, swap: parseSwap(flags.memorySwap, limit) },
    blockIO: { weight: parseBlkioWeight(flags.blkioWeight) },
    pids: { limit: unlimitedAsUndefined(wholeNumber("--pids-limit", flags.pidsLimit, -1)) },
    devices: flags.privileged ? undefined : devices.length ? [...DEVICE_RULES, ...devices] : DEVICE_RULES,
  };
};

/** `--cpus`, or the quota and the period that it stands for. */
const parseProcessorTime = ({
  cpus,
  cpuPeriod,
  cpuQuota,
}: LimitFlags): Pick<CpuResources, "quota" | "period"> => {
  if (cpus === undefined && cpuPeriod === undefined && cpuQuota === undefined) return {};
  const period = wholeNumber("--cpu-period", cpuPeriod, 0) || undefined;
  if (period !== undefined && (period < SMALLEST || period > LARGEST))
    throw new UsageError(
      `invalid argument '${cpuPeriod}' for --cpu-period: from ${SMALLEST} to ${LARGEST} microseconds`,
    );
  if (cpus === undefined) {
    const quota = unlimitedAsUndefined(wholeNumber("--cpu-quota", cpuQuota, -1));
    if (quota !== undefined && quota < SMALLEST)
      throw new UsageError(
        `invalid argument '${cpuQuota}' for --cpu-quota: the smallest is ${SMALLEST} microseconds`,
      );
    return quota === undefined ? {} : { quota, period: period ?? PERIOD };
  }
  if (cpuQuota !== undefined || cpuPeriod !== undefined)
    throw new UsageError(`--cpus stands for --cpu-quota and --cpu-period: give it, or those`);
  const quota = Math.round(parseDecimal("--cpus", cpus) * PERIOD);
  // docker: --cpus 0 is no limit
  if (quota === 0) return {};
  if (quota < SMALLEST)
    throw new UsageError(`invalid argument '${cpus}' for --cpus: the smallest is ${SMALLEST / PERIOD}`);
  return { quota, period: PERIOD };
};

/** docker's: memory and swap together, -1 for no limit on swap; undefined for twice the memory. */
const parseSwap = (text: string | undefined, memory: number | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (text !== "-1" && memory === undefined)
    throw new UsageError("--memory-swap is memory and swap together: it goes with --memory");
  if (text === "-1") return -1;
  const total = parseMemory("--memory-swap", text);
  if (total === 0) return undefined;
  if (total < memory!)
    throw new UsageError(`--memory-swap ${text}: less than --memory, which is a part of it`);
  return total;
};

const parseBlkioWeight = (text: string | undefined): number | undefined => {
  const weight = wholeNumber("--blkio-weight", text, 0) || undefined;
  if (weight !== undefined && (weight < 10 || weight > 1000))
    throw new UsageError(`invalid argument '${text}' for --blkio-weight: from 10 to 1000`);
  return weight;
};

const unlimitedAsUndefined = (count: number | undefined): number | undefined =>
  count === undefined || count <= 0 ? undefined : count;

const parseDecimal = (option: string, text: string): number => {
  if (!/^\d+(\.\d*)?$|^\.\d+$/.test(text))
    throw new UsageError(`invalid argument '${text}' for ${option}: a number such as 0.5`);
  return Number(text);
};

/** Undefined where the option is not given. Throws {@link UsageError} for what is less than `least`. */
export const wholeNumber = (option: string, text: string | undefined, least: number): number | undefined => {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < least || !Number.isSafeInteger(value))
    throw new UsageError(`invalid argument '${text}' for ${option}: a whole number`);
  return value;
};

const UNITS = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;
/** docker refuses less: no program starts in it. */
const LEAST_MEMORY = 6 * UNITS.m;

/** Bytes from `64m`, `1.5g`, `65536`, as docker takes them. */
export const parseBytes = (option: string, text: string): number => {
  const found = /^(\d+(?:\.\d+)?)([bkmgt])?(?:i?b)?$/i.exec(text);
  if (!found) throw new UsageError(`invalid argument '${text}' for ${option}: a size such as 64m`);
  return Math.floor(Number(found[1]) * UNITS[(found[2]?.toLowerCase() ?? "b") as keyof typeof UNITS]);
};

const parseMemory = (option: string, text: string): number => {
  const bytes = parseBytes(option, text);
  if (bytes !== 0 && bytes < LEAST_MEMORY)
    throw new UsageError(`invalid argument '${text}' for ${option}: the least is 6m`);
  return bytes;
};

/** `0-2,4`. @see cpuset(7), "List format" */
const parseCpuList = (option: string, text: string | undefined): string | undefined => {
  if (text !== undefined && !/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text))
    throw new UsageError(`invalid argument '${text}' for ${option}: a list such as 0-2,4`);
  return text;
};

/** `nofile=1024:2048`, `core=-1`. Later ones of the same name count. */
export const parseUlimits = (texts: readonly string[]): Process["rlimits"] => {
  const found = new Map<string, Process["rlimits"][number]>();
  for (const text of texts) {
    const [, name = "", first = "", second = first] =
      /^([^=]*)=(-?\d+|unlimited)(?::(-?\d+|unlimited))?$/.exec(text) ?? [];
    const type = `RLIMIT_${name.toUpperCase()}`;
    if (!(type in RLIMIT))
      throw new UsageError(
        `invalid argument '${text}' for --ulimit: NAME=SOFT[:HARD], such as nofile=1024:2048`,
      );
    const [soft, hard] = [limitOf(first), limitOf(second)];
    if (hard !== -1 && (soft === -1 || soft > hard))
      throw new UsageError(`invalid argument '${text}' for --ulimit: the soft limit is above the hard one`);
    found.set(type, { type: type as keyof typeof RLIMIT, soft, hard });
  }
  return [...found.values()];
};

/** -1 for no limit. */
const limitOf = (text: string): number => {
  const value = text === "unlimited" ? -1 : Number(text);
  if (value < -1 || !Number.isSafeInteger(value))
    throw new UsageError(`invalid argument '${text}' for --ulimit: a number, or -1 for no limit`);
  return value;
};
