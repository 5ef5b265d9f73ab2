// What groups use, against what they may use: one reading of all of them, the same on both versions.

import type { Host } from "../host/host.ts";
import { groupDirectory } from "./groups.ts";
import { type Hierarchies, type Hierarchy, locate } from "./hierarchies.ts";
import { treeOf } from "./tree.ts";

/** One group, by its path in every hierarchy that has it. What no file tells is undefined. */
export interface Usage {
  readonly path: string;
  /** Times are microseconds since the group was made. */
  readonly cpu: {
    readonly usage: number | undefined;
    /** Processors that it may use at a time, 0.5 for half of one; undefined for no limit. */
    readonly limit: number | undefined;
    readonly throttledTime: number | undefined;
    readonly periods: number | undefined;
    readonly throttledPeriods: number | undefined;
  };
  /** Bytes. */
  readonly memory: { readonly usage: number | undefined; readonly limit: number | undefined };
  readonly pids: { readonly current: number | undefined; readonly limit: number | undefined };
  /** Part of the last ten seconds in which some process waited, in percent; version 2 alone tells. @see Documentation/accounting/psi.rst */
  readonly pressure: {
    readonly cpu: number | undefined;
    readonly memory: number | undefined;
    readonly io: number | undefined;
  };
  /** Processes that were killed for want of memory. */
  readonly oomKills: number | undefined;
}

/** Where each part of a reading comes from. */
export interface Sources {
  readonly cpu: Hierarchy | undefined;
  readonly cpuacct: Hierarchy | undefined;
  readonly memory: Hierarchy | undefined;
  readonly pids: Hierarchy | undefined;
  readonly pressure: Hierarchy | undefined;
}

export const sourcesOf = (hierarchies: Hierarchies): Sources => {
  const unified = hierarchies.find(({ version }) => version === 2);
  const of = (controller: string): Hierarchy | undefined => locate(hierarchies, controller)?.hierarchy;
  // Version 2 counts processor time without any controller.
  return {
    cpu: of("cpu"),
    cpuacct: of("cpuacct") ?? unified,
    memory: of("memory"),
    pids: of("pids"),
    pressure: unified,
  };
};

/** All groups that have something to tell, each behind the one above it. */
export const readUsages = (host: Host, sources: Sources): Usage[] => {
  const paths = new Set<string>();
  for (const hierarchy of new Set(Object.values(sources) as (Hierarchy | undefined)[]))
    if (hierarchy)
      for (const directory of treeOf(host, hierarchy.mountPoint))
        paths.add(directory.slice(hierarchy.mountPoint === "/" ? 0 : hierarchy.mountPoint.length) || "/");
  return [...paths].map((path) => readUsage(host, sources, path));
};

/** One group. */
export const readUsage = (host: Host, sources: Sources, path: string): Usage => {
  const file = (hierarchy: Hierarchy | undefined, v1: string, v2: string): string | undefined =>
    hierarchy && host.read(`${groupDirectory(hierarchy, path)}/${hierarchy.version === 1 ? v1 : v2}`);
  const { cpu, cpuacct, memory, pids, pressure } = sources;
  const nothing = "";
  const cpuStat = file(cpu, "cpu.stat", "cpu.stat");
  const acct = file(cpuacct, "cpuacct.usage", "cpu.stat");
  return {
    path,
    cpu: {
      usage: cpuacct?.version === 1 ? scaled(number(acct), 1e-3) : field(acct, "usage_usec"),
      limit:
        cpu?.version === 1
          ? quotient(file(cpu, "cpu.cfs_quota_us", nothing), file(cpu, "cpu.cfs_period_us", nothing))
          : quotient(...splitMax(file(cpu, nothing, "cpu.max"))),
      throttledTime:
        cpu?.version === 1
          ? scaled(field(cpuStat, "throttled_time"), 1e-3)
          : field(cpuStat, "throttled_usec"),
      periods: field(cpuStat, "nr_periods"),
      throttledPeriods: field(cpuStat, "nr_throttled"),
    },
    memory: {
      usage: number(file(memory, "memory.usage_in_bytes", "memory.current")),
      limit: limit(file(memory, "memory.limit_in_bytes", "memory.max")),
    },
    pids: {
      current: number(file(pids, "pids.current", "pids.current")),
      limit: limit(file(pids, "pids.max", "pids.max")),
    },
    pressure: {
      cpu: average(file(pressure, nothing, "cpu.pressure")),
      memory: average(file(pressure, nothing, "memory.pressure")),
      io: average(file(pressure, nothing, "io.pressure")),
    },
    oomKills: field(file(memory, "memory.oom_control", "memory.events"), "oom_kill"),
  };
};

const number = (text: string | undefined): number | undefined => {
  const trimmed = text?.trim();
  return trimmed && Number.isFinite(Number(trimmed)) ? Number(trimmed) : undefined;
};

/** No limit is `max` in version 2, a number that no machine reaches in version 1. */
const limit = (text: string | undefined): number | undefined => {
  const value = number(text);
  return value === undefined || value < 0 || value >= 2 ** 62 ? undefined : value;
};

const scaled = (value: number | undefined, factor: number): number | undefined =>
  value === undefined ? undefined : Math.round(value * factor);

const splitMax = (text: string | undefined): [string | undefined, string | undefined] => {
  const [quota, period] = (text ?? "").trim().split(" ");
  return [quota, period];
};

const quotient = (quota: string | undefined, period: string | undefined): number | undefined => {
  const [above, below] = [number(quota), number(period)];
  return above === undefined || above <= 0 || !below ? undefined : above / below;
};

/** A line `key number` of a file. */
const field = (text: string | undefined, key: string): number | undefined => {
  if (text === undefined) return undefined;
  const at = text.startsWith(`${key} `) ? 0 : text.indexOf(`\n${key} `) + 1;
  if (at === 0 && !text.startsWith(`${key} `)) return undefined;
  const start = at + key.length + 1;
  const end = text.indexOf("\n", start);
  return number(text.slice(start, end < 0 ? undefined : end));
};

/** `some avg10=1.23 …` */
const average = (text: string | undefined): number | undefined => {
  const found = /^some avg10=([\d.]+)/.exec(text ?? "")?.[1];
  return found === undefined ? undefined : Number(found);
};
