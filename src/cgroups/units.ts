// Values as a person writes them (`50%`, `1.5`, `2cpus`, `1.5G`, `100ms`), in the units that the kernel reads. What the
// kernel takes as it is stays as it is. Pure.

import { UsageError } from "../abi/errors.ts";

/** What a value can be a part of. */
export interface Whole {
  /** Bytes of memory that the machine has; undefined where nothing tells. */
  memory(): bigint | undefined;
  /** The length of the group's period of processor time, in microseconds. */
  period(): number;
}

/** The value of a setting in the kernel's units; as it was where it is none of the forms that a person would use. */
export const inKernelUnits = (name: string, value: string, whole: Whole): string => {
  // Nearly every value is a number, and then there is nothing to do.
  if (isPlain(value)) return value;
  for (const [names, convert] of kinds) if (names.test(name)) return convert(value, whole) ?? value;
  return value;
};

const isPlain = (value: string): boolean => {
  // A longer one may be more than the kernel can hold.
  if (value.length > MAX_DIGITS) return false;
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i);
    if ((code < 0x30 || code > 0x39) && code !== 0x2d) return false;
  }
  return true;
};

/** Every number of so many digits fits into 64 bits. */
const MAX_DIGITS = 19;

/** The kernel counts on from 0 where a number does not fit into 64 bits: a limit of 16E would be one of nothing. */
const fitting = (bytes: bigint, value: string): string => {
  if (bytes >> 64n)
    throw new UsageError(
      `'${value}' is more than 64 bits hold`,
      "a group without a limit has max, or -1 on v1",
    );
  return String(bytes);
};

type Convert = (value: string, whole: Whole) => string | undefined;

/** `100ms`, `0.5s`: microseconds. */
const time: Convert = (value) => {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s)$/.exec(value);
  if (!match) return undefined;
  return String(Math.round(Number(match[1]) * { us: 1, ms: 1e3, s: 1e6 }[match[2] as "us" | "ms" | "s"]));
};

/** `50%` of a processor, `1.5` processors, `2cpus`: microseconds in each period. A whole number is that already. */
const quota = (value: string, period: number): string | undefined => {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(value);
  if (percent) return String(Math.round((Number(percent[1]) / 100) * period));
  const processors = /^(?:(\d*\.\d+)|(\d+(?:\.\d+)?)cpus?)$/.exec(value);
  return processors
    ? String(Math.round(Number(processors[1] ?? processors[2]) * period))
    : time(value, noWhole);
};

const noWhole: Whole = { memory: () => undefined, period: () => 0 };

/** `QUOTA [PERIOD]`; a quota alone leaves the period. */
const quotaAndPeriod: Convert = (value, whole) => {
  const [first = "", second, ...rest] = value.trim().split(/\s+/);
  if (rest.length) return undefined;
  const period = second === undefined ? undefined : (time(second, whole) ?? second);
  const length = period === undefined ? whole.period() : Number(period);
  const part = quota(first, length) ?? first;
  return period === undefined ? part : `${part} ${period}`;
};

/** `1.5G`, `64MiB`, `50%` of the machine: bytes. The kernel itself takes whole numbers with K to E. */
const bytes: Convert = (value, { memory }) => {
  const percent = /^(\d+(?:\.\d+)?)%$/.exec(value);
  if (percent) {
    const all = memory();
    return all === undefined
      ? undefined
      : fitting((all * BigInt(Math.round(Number(percent[1]) * 100))) / 10000n, value);
  }
  const match = /^(\d+(?:\.\d+)?)([kmgtpe])?(i?b)?$/i.exec(value);
  if (!match) return undefined;
  const power = " kmgtpe".indexOf((match[2] ?? " ").toLowerCase());
  const [whole = "", part] = match[1]!.split(".");
  const number =
    part === undefined
      ? BigInt(whole) << BigInt(10 * power)
      : BigInt(Math.round(Number(match[1]) * 1024 ** power));
  const text = fitting(number, value);
  return part === undefined && !match[3] ? undefined : text;
};

/** Bytes where the kernel takes a bare number only. */
const bareBytes: Convert = (value, whole) => {
  const match = /^(\d+)([kmgtpe])$/i.exec(value);
  return match
    ? fitting(BigInt(match[1]!) << (10n * BigInt(" kmgtpe".indexOf(match[2]!.toLowerCase()))), value)
    : bytes(value, whole);
};

/** `8:0 10M` of version 1. */
const deviceBytes: Convert = (value, whole) => {
  const [device, amount, ...rest] = value.trim().split(/\s+/);
  if (amount === undefined || rest.length) return undefined;
  const converted = bareBytes(amount, whole);
  return converted && `${device} ${converted}`;
};

/** `8:0 rbps=10M wiops=100`. */
const limits: Convert = (value, whole) =>
  value.replace(/\b([rw]bps)=(\S+)/g, (all, key: string, amount: string) => {
    const converted = bareBytes(amount, whole);
    return converted === undefined ? all : `${key}=${converted}`;
  });

const kinds: readonly (readonly [names: RegExp, Convert])[] = [
  [/^cpu\.cfs_quota_us$/, (value, whole) => quota(value, whole.period())],
  [/^cpu\.max$/, quotaAndPeriod],
  [/^cpu\.(?:cfs_period_us|cfs_burst_us|max\.burst|rt_runtime_us|rt_period_us)$/, time],
  [/^memory\.(?:.*limit_in_bytes|min|low|high|max|swap\.(?:max|high)|zswap\.max)$/, bytes],
  [/^hugetlb\..*(?:max|limit_in_bytes)$/, bytes],
  [/^io\.max$/, limits],
  [/^blkio\.throttle\.(?:read|write)_bps_device$/, deviceBytes],
];
