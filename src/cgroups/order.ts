// The order in which the settings of one group have to be written, because the kernel refuses some states in between.
// Pure.

import { type Files, parseBytes, type Setting } from "./settings.ts";

/**
 * Settings by which others are translated come first: version 2 counts swap alone, version 1 memory and swap together, so
 * the limit on memory must be known.
 */
export const inTranslationOrder = (settings: readonly Setting[]): readonly Setting[] => {
  let ordered = settings;
  for (const limit of ["memory.limit_in_bytes", "memory.max"])
    for (const both of ["memory.memsw.limit_in_bytes", "memory.swap.max"])
      ordered = moveBefore(ordered, limit, both);
  return ordered;
};

/** As given, but for pairs that the kernel takes in one order only. `files` are the group's before anything is written. */
export const inWriteOrder = (settings: readonly Setting[], files: Files): readonly Setting[] => {
  if (settings.length < 2) return settings;
  let ordered = settings;
  for (const [first, second] of always) ordered = moveBefore(ordered, first, second);
  for (const [lower, upper] of bounded) {
    const [below, above] = [lastOf(settings, lower), lastOf(settings, upper)];
    if (below === undefined || above === undefined) continue;
    // The lower one may not be above the upper one at any time: going up, the upper one leads; going down, it follows.
    const rises = amount(below) > amount(files.read(upper) ?? "");
    ordered = rises ? moveBefore(ordered, upper, lower) : moveBefore(ordered, lower, upper);
  }
  return ordered;
};

/** Without memory nodes a cpuset of version 2 has nothing to run with; what is exclusive must be known by then. */
const always: readonly (readonly [first: string, second: string])[] = [
  ["cpuset.mems", "cpuset.cpus"],
  ["cpuset.mems", "cpuset.mem_exclusive"],
  ["cpuset.cpus", "cpuset.cpu_exclusive"],
  ["cpuset.cpus", "cpuset.cpus.partition"],
];

/** The first is never above the second. @see mem_cgroup_resize_max() in mm/memcontrol.c, tg_set_cfs_bandwidth() */
const bounded: readonly (readonly [lower: string, upper: string])[] = [
  ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
  ["cpu.cfs_burst_us", "cpu.cfs_quota_us"],
  ["cpu.max.burst", "cpu.max"],
];

/** A number or bytes; what is no limit is above all. */
const amount = (value: string): number => {
  const [word = ""] = value.trim().split(/\s+/);
  if (word === "max" || word.startsWith("-")) return Number.POSITIVE_INFINITY;
  const bytes = parseBytes(word);
  return bytes === undefined ? Number.POSITIVE_INFINITY : Number(bytes);
};

const lastOf = (settings: readonly Setting[], name: string): string | undefined =>
  settings.findLast((it) => it.name === name)?.value;

/** Every `first` right before the earliest `second`, where one is behind it. */
const moveBefore = (settings: readonly Setting[], first: string, second: string): readonly Setting[] => {
  const at = settings.findIndex(({ name }) => name === second);
  if (at < 0 || !settings.some(({ name }, i) => i > at && name === first)) return settings;
  const isMoved = ({ name }: Setting, i: number): boolean => i > at && name === first;
  return [
    ...settings.slice(0, at),
    ...settings.filter(isMoved),
    ...settings.slice(at).filter((it, i) => !isMoved(it, i + at)),
  ];
};
