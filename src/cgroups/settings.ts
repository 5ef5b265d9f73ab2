// One table of settings that have a name in both versions of control groups, and the translation in both
// directions. What has the same name and meaning in both (cpuset.cpus, pids.max, cpu.idle) needs no row. Pure.

import { blkioOfIoWeight, ioWeightOfBlkio, sharesOfWeight, weightOfShares } from "./weights.ts";

/** The files of one group, as they are now. */
export interface Files {
  /** The text of a file without the newline at its end; undefined where it is not there. */
  read(name: string): string | undefined;
  has(name: string): boolean;
}

/** A value on its way from one version to the other. */
interface Passage {
  /** Of the other settings of the same group. */
  readonly files: Files;
  /** For a person to read; otherwise for the kernel, which wants some things written differently. */
  readonly shown: boolean;
}

/** Two names of one thing. A `*` stands for a part without dots, such as a page size. */
interface Row {
  readonly v1: string;
  readonly v2: string;
  /**
   * The text for the file of version 2; `current` is what that holds. Undefined where this row has nothing to say about
   * the value. Missing for what can only be read.
   */
  readonly to2?: (value: string, current: string | undefined, passage: Passage) => string | undefined;
  /** The text for the file of version 1, or undefined as above. */
  readonly to1?: (value: string, passage: Passage) => string | undefined;
  /** Several settings of version 1 are parts of the file of version 2, which is written as a whole. */
  readonly whole?: true;
}

const same = (value: string): string => value;
const isInteger = (value: string): boolean => /^-?\d+$/.test(value);

/** For settings where version 1 says -1 for "no limit" and version 2 says max. */
const toMax = (value: string): string => (value === "-1" || isUnlimited(value) ? "max" : value);
const fromMax = (value: string): string => (value === "max" ? "-1" : value);

/** What a limit of version 1 reads that was never set: the largest number of bytes in whole pages. */
const UNLIMITED = "9223372036854771712";
const isUnlimited = (value: string): boolean => isInteger(value) && BigInt(value) >= 1n << 62n;
const bytesFromMax = (value: string, { shown }: Passage): string =>
  value !== "max" ? value : shown ? UNLIMITED : "-1";

/** Bytes, with the kernel's suffixes K to E. Undefined for anything else. @see memparse() in lib/cmdline.c */
export const parseBytes = (text: string): bigint | undefined => {
  const match = /^(\d+)([kmgtpe]?)$/i.exec(text.trim());
  if (!match) return undefined;
  return BigInt(match[1]!) << (10n * BigInt(" kmgtpe".indexOf(match[2]!.toLowerCase() || " ")));
};

/** The group's limit on memory, by whichever name it has; undefined for no limit. */
const memoryLimit = ({ read }: Files): bigint | undefined => {
  const text = read("memory.max") ?? read("memory.limit_in_bytes");
  return text === undefined || text === "max" || isUnlimited(text) ? undefined : parseBytes(text);
};

/** Memory and swap together, without memory. */
const swapOfMemsw = (value: string, _: string | undefined, { files }: Passage): string | undefined => {
  if (toMax(value) === "max") return "max";
  const both = parseBytes(value);
  const memory = memoryLimit(files);
  // Version 1 refuses a sum that is below the memory alone, and memory without a limit is more than any sum.
  if (both === undefined || memory === undefined || both < memory) return undefined;
  return String(both - memory);
};

const memswOfSwap = (value: string, passage: Passage): string | undefined => {
  const memory = memoryLimit(passage.files);
  const swap = value === "max" ? undefined : parseBytes(value);
  if (value === "max" || memory === undefined) return bytesFromMax("max", passage);
  return swap === undefined ? undefined : String(memory + swap);
};

const lines = (text: string): string[] => text.split("\n").filter(Boolean);

/** `8:0 1048576` of version 1 is `8:0 rbps=1048576` in io.max, where 0 is max. */
const throttle = (v1: string, key: "rbps" | "wbps" | "riops" | "wiops"): Row => ({
  v1,
  v2: "io.max",
  to2: (value, current) => {
    const devices = new Map(
      lines(current ?? "").map((line) => [line.split(" ")[0]!, line.split(" ").slice(1)]),
    );
    for (const line of lines(value)) {
      const [device, limit] = line.trim().split(/\s+/);
      if (device === undefined || limit === undefined) return undefined;
      const others = (devices.get(device) ?? []).filter((word) => !word.startsWith(`${key}=`));
      devices.set(device, [...others, `${key}=${limit === "0" ? "max" : limit}`]);
    }
    return [...devices].map(([device, limits]) => [device, ...limits].join(" ")).join("\n");
  },
  to1: (value, { shown }) => {
    const found = lines(value).flatMap((line) => {
      const [device, ...limits] = line.split(" ");
      const limit = limits.find((word) => word.startsWith(`${key}=`))?.slice(key.length + 1);
      // Version 1 shows only devices that have a limit.
      if (limit === undefined || (shown && limit === "max")) return [];
      return [`${device} ${limit === "max" ? "0" : limit}`];
    });
    return found.length || shown ? found.join("\n") : undefined;
  },
});

/** The weight for all devices: `default 100`, or the number alone. */
const defaultWeight = (text: string): string | undefined => /^(?:default )?(\d+)$/m.exec(text)?.[1];

const number =
  (convert: (value: number) => number) =>
  (value: string): string =>
    isInteger(value) ? String(convert(Number(value))) : value;

/** A number that is out of range is none of the setting's, and cannot be translated. */
const inRange =
  (least: number, most: number, convert: (value: string) => string) =>
  (value: string): string | undefined =>
    isInteger(value) && (Number(value) < least || Number(value) > most) ? undefined : convert(value);

/** A field of a file of `key number` lines, times `factor`. */
const field =
  (key: string, factor = 1) =>
  (text: string): string | undefined => {
    const found = new RegExp(`^${key} (\\d+)$`, "m").exec(text)?.[1];
    return found && String(Math.floor(Number(found) * factor));
  };

/** The length of a group's period of processor time in microseconds, by whichever name it has; the kernel's usual one without. */
export const periodOf = ({ read }: Files): number =>
  Number(read("cpu.cfs_period_us") ?? read("cpu.max")?.split(" ")[1] ?? 100_000);

/** One tick of the clock in which version 1 counts processor time, in microseconds: USER_HZ is 100. @see times(2) */
const TICK = 10_000;

/** The table. Of rows with the same name on one side, the first whose other name the group has is taken. */
export const settings: readonly Row[] = [
  // Processor time
  {
    v1: "cpu.shares",
    v2: "cpu.weight",
    to2: number(weightOfShares),
    to1: inRange(1, 10000, number(sharesOfWeight)),
  },
  {
    // Microseconds in each period; -1 is max. Both settings are in one file: `QUOTA PERIOD`.
    v1: "cpu.cfs_quota_us",
    v2: "cpu.max",
    whole: true,
    to2: (value, current) => `${value.startsWith("-") ? "max" : value} ${current?.split(" ")[1] ?? "100000"}`,
    to1: (value) => fromMax(value.split(" ")[0]!),
  },
  {
    v1: "cpu.cfs_period_us",
    v2: "cpu.max",
    whole: true,
    to2: (value, current) => `${current?.split(" ")[0] ?? "max"} ${value}`,
    to1: (value) => value.split(" ")[1],
  },
  { v1: "cpu.cfs_burst_us", v2: "cpu.max.burst", to2: same, to1: same },
  { v1: "cpuacct.usage", v2: "cpu.stat", to1: field("usage_usec", 1000) },
  {
    v1: "cpuacct.stat",
    v2: "cpu.stat",
    to1: (text) => {
      const [user, system] = [field("user_usec", 1 / TICK)(text), field("system_usec", 1 / TICK)(text)];
      return user && system && `user ${user}\nsystem ${system}`;
    },
  },

  // Memory
  { v1: "memory.limit_in_bytes", v2: "memory.max", to2: toMax, to1: bytesFromMax },
  {
    // Of the three that version 2 offers it is memory.low: Documentation/admin-guide/cgroup-v2.rst sets that against the
    // soft limit, and runc, crun and OpenJDK do the same. memory.high would throttle a group that has memory to spare.
    // "None" is unlimited in version 1 and 0 in version 2.
    v1: "memory.soft_limit_in_bytes",
    v2: "memory.low",
    to2: (value) => (toMax(value) === "max" ? "0" : value),
    to1: (value, passage) => bytesFromMax(value === "0" ? "max" : value, passage),
  },
  // Memory and swap together in version 1, swap alone in version 2.
  { v1: "memory.memsw.limit_in_bytes", v2: "memory.swap.max", to2: swapOfMemsw, to1: memswOfSwap },
  { v1: "memory.usage_in_bytes", v2: "memory.current", to2: same, to1: same },
  { v1: "memory.max_usage_in_bytes", v2: "memory.peak", to2: same, to1: same },
  {
    v1: "memory.memsw.usage_in_bytes",
    v2: "memory.swap.current",
    to1: (value, { files }) => {
      const memory = files.read("memory.current");
      return memory !== undefined && isInteger(memory) && isInteger(value)
        ? String(BigInt(memory) + BigInt(value))
        : undefined;
    },
  },
  { v1: "memory.failcnt", v2: "memory.events", to1: field("max") },
  { v1: "memory.memsw.failcnt", v2: "memory.swap.events", to1: field("max") },

  // Disks
  { v1: "blkio.bfq.weight", v2: "io.bfq.weight", to2: same, to1: defaultWeight },
  {
    v1: "blkio.weight",
    v2: "io.weight",
    to2: inRange(10, 1000, number(ioWeightOfBlkio)),
    to1: ioWeightToBlkio,
  },
  { v1: "blkio.weight", v2: "io.bfq.weight", to2: same, to1: defaultWeight },
  {
    v1: "blkio.bfq.weight",
    v2: "io.weight",
    to2: inRange(10, 1000, number(ioWeightOfBlkio)),
    to1: ioWeightToBlkio,
  },
  {
    v1: "blkio.weight_device",
    v2: "io.weight",
    to2: (value) => value.replace(/ (\d+)$/, (_, weight: string) => ` ${ioWeightOfBlkio(Number(weight))}`),
    to1: (value) =>
      lines(value)
        .filter((line) => /^\d+:\d+ \d+$/.test(line))
        .map((line) => line.replace(/ (\d+)$/, (_, weight: string) => ` ${blkioOfIoWeight(Number(weight))}`))
        .join("\n") || undefined,
  },
  throttle("blkio.throttle.read_bps_device", "rbps"),
  throttle("blkio.throttle.write_bps_device", "wbps"),
  throttle("blkio.throttle.read_iops_device", "riops"),
  throttle("blkio.throttle.write_iops_device", "wiops"),

  // Stopping a whole group
  {
    v1: "freezer.state",
    v2: "cgroup.freeze",
    to2: (value) => ({ FROZEN: "1", THAWED: "0" })[value] ?? value,
    to1: (value) => ({ "1": "FROZEN", "0": "THAWED" })[value] ?? value,
  },

  // Processors and memory nodes
  { v1: "cpuset.effective_cpus", v2: "cpuset.cpus.effective", to2: same, to1: same },
  { v1: "cpuset.effective_mems", v2: "cpuset.mems.effective", to2: same, to1: same },
  {
    v1: "cpuset.cpu_exclusive",
    v2: "cpuset.cpus.partition",
    to2: (value) => ({ "1": "root", "0": "member" })[value] ?? value,
    to1: (value) => (value.startsWith("member") ? "0" : "1"),
  },

  // Huge pages
  { v1: "hugetlb.*.limit_in_bytes", v2: "hugetlb.*.max", to2: toMax, to1: bytesFromMax },
  { v1: "hugetlb.*.usage_in_bytes", v2: "hugetlb.*.current", to2: same, to1: same },
  { v1: "hugetlb.*.rsvd.limit_in_bytes", v2: "hugetlb.*.rsvd.max", to2: toMax, to1: bytesFromMax },
  { v1: "hugetlb.*.rsvd.usage_in_bytes", v2: "hugetlb.*.rsvd.current", to2: same, to1: same },
];

function ioWeightToBlkio(text: string): string | undefined {
  const weight = defaultWeight(text);
  return weight && inRange(1, 10000, number(blkioOfIoWeight))(weight);
}

/** A row that a name fits, with the names as they are once `*` is filled in. */
interface Match {
  readonly row: Row;
  readonly v1: string;
  readonly v2: string;
}

/** The rows for a name of one version. */
const matches = (name: string, from: "v1" | "v2"): Match[] => {
  const found: Match[] = [];
  for (const row of settings) {
    const [before, after] = row[from].split("*");
    if (after === undefined) {
      if (row[from] === name) found.push({ row, v1: row.v1, v2: row.v2 });
      continue;
    }
    if (!name.startsWith(before!) || !name.endsWith(after)) continue;
    const part = name.slice(before!.length, name.length - after.length);
    if (part && !part.includes("."))
      found.push({ row, v1: row.v1.replace("*", part), v2: row.v2.replace("*", part) });
  }
  return found;
};

/** Whether a name is one of `version` alone, as far as the table knows. */
export const isOnlyOf = (version: 1 | 2, name: string): boolean => {
  const [own, other] = version === 1 ? (["v1", "v2"] as const) : (["v2", "v1"] as const);
  return matches(name, own).length > 0 && matches(name, other).length === 0;
};

/** What is written to one file. */
export interface Setting {
  readonly name: string;
  readonly value: string;
}

/**
 * A setting of one version in the words of the other, `version`. Undefined when that has no such thing; an empty list when it
 * has, but not with this value (memsw below or without a limit on memory).
 */
export const translate = (
  name: string,
  value: string,
  version: 1 | 2,
  files: Files,
): Setting[] | undefined => {
  const passage: Passage = { files, shown: false };
  if (version === 2) {
    const usable = matches(name, "v1").filter(({ row }) => row.to2);
    const match = usable.find(({ v2 }) => files.has(v2)) ?? usable[0];
    if (!match) return undefined;
    const current = match.row.whole && files.read(match.v2);
    const text = match.row.to2!(value, current || undefined, passage);
    return text === undefined ? [] : [{ name: match.v2, value: text }];
  }
  const usable = matches(name, "v2").filter(({ row }) => row.to2 && row.to1);
  if (usable.length === 0) return undefined;
  const present = usable.filter(({ v1 }) => files.has(v1));
  return (present.length ? present : usable).flatMap(({ row, v1 }) => {
    const text = row.to1!(value, passage);
    return text === undefined ? [] : [{ name: v1, value: text }];
  });
};

/** The value of a setting that a group has by its name in the other version only; `version` is the group's. */
export const readTranslated = (name: string, version: 1 | 2, files: Files): string | undefined => {
  const passage: Passage = { files, shown: true };
  if (version === 2) {
    for (const { row, v2 } of matches(name, "v1")) {
      const text = files.read(v2);
      if (text !== undefined && row.to1) return row.to1(text, passage);
    }
    return undefined;
  }
  // Several settings of version 1 may be parts of one file of version 2.
  let text: string | undefined;
  for (const { row, v1 } of matches(name, "v2")) {
    const value = files.read(v1);
    if (value !== undefined && row.to2) text = row.to2(value, text, passage) ?? text;
  }
  return text;
};

/** Everything that files of `version` say, in the names of the other one. */
export const readAllTranslated = (names: readonly string[], version: 1 | 2, files: Files): Setting[] => {
  const [own, other] = version === 1 ? (["v1", "v2"] as const) : (["v2", "v1"] as const);
  const found = new Map<string, string | undefined>();
  for (const name of names)
    for (const match of matches(name, own)) {
      const target = match[other];
      if (!found.has(target)) found.set(target, readTranslated(target, version, files));
    }
  return [...found].flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]));
};

/** `cpu` of `cpu.cfs_quota_us`; undefined for a name without a controller. */
export const controllerOf = (name: string): string | undefined => {
  const dot = name.indexOf(".");
  return dot > 0 ? name.slice(0, dot) : undefined;
};
