// The order in which the settings of one group have to be written, because the kernel refuses some states in between.
// Pure.

import { type Files, parseBytes, type Setting } from "./settings.ts";

const QUOTA = "cpu.cfs_quota_us";
const PERIOD = "cpu.cfs_period_us";

/**
 * Settings by which others are translated come first: version 2 counts swap alone, version 1 memory and swap together, so
 * the limit on memory must be known; `50%` of a processor is of the new period.
 */
export const inTranslationOrder = (settings: readonly Setting[]): readonly Setting[] => {
  let ordered = settings;
  for (const limit of ["memory.limit_in_bytes", "memory.max"])
    for (const both of ["memory.memsw.limit_in_bytes", "memory.swap.max"])
      ordered = moveBefore(ordered, limit, both);
  return settings.some(({ name, value }) => name === QUOTA && !/^-?\d+$/.test(value))
    ? moveBefore(ordered, PERIOD, QUOTA)
    : ordered;
};

/** As given, but for pairs that the kernel takes in one order only. `files` are the group's before anything is written; `isLimited` tells whether a group above has a quota. */
export const inWriteOrder = (
  settings: readonly Setting[],
  files: Files,
  isLimited?: () => boolean,
): readonly Setting[] => {
  if (settings.length < 2) return settings;
  let ordered = settings;
  for (const [first, second] of always) ordered = moveBefore(ordered, first, second);
  const quota = lastOf(settings, QUOTA);
  const [before, after] = [amount(files.read(QUOTA) ?? ""), amount(quota ?? "")];
  // What the group has in between may be no more than a limit above allows, or else no less than a group below has. While
  // it has no quota its period is of no account.
  const isBetween = Number.isFinite(before) && Number.isFinite(after);
  const quotaLeads = quota !== undefined && after > before !== (isBetween && (isLimited?.() ?? false));
  if (quotaLeads) ordered = moveBefore(ordered, QUOTA, PERIOD);
  for (const [lower, upper] of bounded) {
    const [below, above] = [lastOf(settings, lower), lastOf(settings, upper)];
    if (below === undefined || above === undefined) continue;
    // The lower one may not be above the upper one at any time: going up, the upper one leads; going down, it follows.
    const rises = amount(below) > amount(files.read(upper) ?? "");
    ordered = rises ? moveBefore(ordered, upper, lower) : moveBefore(ordered, lower, upper);
  }
  return quotaLeads ? ordered : moveBefore(ordered, PERIOD, QUOTA);
};

/**
 * Those settings of one group of version 1 that take something away from it. There a group may not have less than one
 * below it, so those below have to lose it first.
 */
export const narrowing = (settings: readonly Setting[], files: Files): ReadonlySet<Setting> =>
  new Set(
    settings.filter(({ name }) => {
      // Of several for one file it is the last that stays.
      const value = lastOf(settings, name)!;
      const current = files.read(name) ?? "";
      if (name === "cpuset.cpus" || name === "cpuset.mems") {
        const kept = new Set(members(value));
        return members(current).some((it) => !kept.has(it));
      }
      if (name === QUOTA || name === "cpu.cfs_burst_us") return amount(value) < amount(current);
      return name === PERIOD && Number(value) > Number(current);
    }),
  );

/** The numbers in a list such as `0-3,7`; of a list that is none, those that can be read. @see cpuset(7) */
const members = (list: string): number[] =>
  list.split(",").flatMap((range) => {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(range);
    if (!match) return [];
    const first = Number(match[1]);
    const length = Math.max(0, Number(match[2] ?? first) - first + 1);
    return Array.from({ length }, (_, i) => first + i);
  });

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
