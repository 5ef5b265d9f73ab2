// Why a process is slow, or was killed: the groups that it is in, the limits that hold for it from there up to the root,
// which of them binds, and what the kernel has counted against them.

import type { Host } from "../host/host.ts";
import { ancestors } from "./groups.ts";
import type { Hierarchies, Hierarchy } from "./hierarchies.ts";
import { bytes } from "./top.ts";
import { readUsage, sourcesOf, type Usage } from "./usage.ts";

/** The group of a process in one hierarchy. */
export interface Membership {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  readonly path: string;
}

/** One limit of one group on the way up. */
export interface Limit {
  readonly what: "cpu" | "memory" | "pids";
  readonly group: string;
  /** Processors, bytes, or processes. */
  readonly limit: number;
  /** What the group uses of it now; processor time has no such number. */
  readonly usage: number | undefined;
  /** It is the one that is reached first. */
  readonly binds: boolean;
}

export interface Why {
  readonly memberships: readonly Membership[];
  readonly limits: readonly Limit[];
  /** The groups that the limits were looked for in, from the process's own up, with what they use. */
  readonly usages: readonly Usage[];
  /** What follows from it all, the heaviest first; empty when nothing holds the process back. */
  readonly findings: readonly string[];
}

/** Reads /proc/PID/cgroup; undefined when there is no such process. @see cgroups(7) */
export const membershipsOf = (
  host: Host,
  hierarchies: Hierarchies,
  pid: string,
): { hierarchy: Hierarchy; path: string }[] | undefined => {
  const text = host.read(`/proc/${pid}/cgroup`);
  return text?.split("\n").flatMap((line) => {
    const [, names, ...path] = line.split(":");
    if (names === undefined) return [];
    const hierarchy = hierarchies.find((it) =>
      names === ""
        ? it.version === 2
        : it.version === 1 && (names === `name=${it.name}` || it.controllers.includes(names.split(",")[0]!)),
    );
    // A colon in the path is part of it.
    return hierarchy ? [{ hierarchy, path: path.join(":") }] : [];
  });
};

export const readWhy = (host: Host, hierarchies: Hierarchies, pid: string): Why | undefined => {
  const memberships = membershipsOf(host, hierarchies, pid);
  if (!memberships) return undefined;
  const sources = sourcesOf(hierarchies);
  const pathIn = (hierarchy: Hierarchy | undefined): string | undefined =>
    memberships.find((it) => it.hierarchy === hierarchy)?.path;
  const chain = (hierarchy: Hierarchy | undefined): Usage[] => {
    const path = pathIn(hierarchy);
    if (hierarchy === undefined || path === undefined) return [];
    const root = hierarchy.mountPoint === "/" ? 0 : hierarchy.mountPoint.length;
    const own = path === "/" ? hierarchy.mountPoint : `${hierarchy.mountPoint}${path}`;
    return [...ancestors(hierarchy, own), own]
      .toReversed()
      .map((directory) => readUsage(host, only(sources, hierarchy), directory.slice(root) || "/"));
  };
  const [cpu, memory, pids] = [chain(sources.cpu), chain(sources.memory), chain(sources.pids)];
  const limits = [
    ...binding(
      "cpu",
      cpu,
      (it) => it.cpu.limit,
      () => undefined,
    ),
    ...binding(
      "memory",
      memory,
      (it) => it.memory.limit,
      (it) => it.memory.usage,
    ),
    ...binding(
      "pids",
      pids,
      (it) => it.pids.limit,
      (it) => it.pids.current,
    ),
  ];
  return {
    memberships: memberships.map(({ hierarchy: { version, controllers, name }, path }) => ({
      version,
      controllers: controllers.length || name === undefined ? controllers : [`name=${name}`],
      path,
    })),
    limits,
    usages: unique([...cpu, ...memory, ...pids]),
    findings: [
      ...halted(host, pid),
      ...frozen(host, hierarchies, memberships),
      ...memory.flatMap(killed),
      ...cpu.flatMap(throttled),
      ...limits.flatMap(near),
      ...pressed(chain(sources.pressure)[0]),
    ],
  };
};

/** What one hierarchy tells; a path of another one is another group. */
const only = (sources: ReturnType<typeof sourcesOf>, hierarchy: Hierarchy): ReturnType<typeof sourcesOf> => {
  const kept = <T>(it: T): T | undefined => ((it as Hierarchy | undefined) === hierarchy ? it : undefined);
  const { cpu, cpuacct, memory, pids, pressure } = sources;
  return {
    cpu: kept(cpu),
    cpuacct: kept(cpuacct),
    memory: kept(memory),
    pids: kept(pids),
    pressure: kept(pressure),
  };
};

const unique = (usages: readonly Usage[]): Usage[] => [
  ...new Map(usages.map((usage) => [JSON.stringify(usage), usage])).values(),
];

/** Limits of one kind. The one that binds has the least left, or is the lowest where use is not counted. */
const binding = (
  what: Limit["what"],
  chain: readonly Usage[],
  limitOf: (usage: Usage) => number | undefined,
  usageOf: (usage: Usage) => number | undefined,
): Limit[] => {
  const found = chain.flatMap((it) => {
    const limit = limitOf(it);
    return limit === undefined ? [] : [{ what, group: it.path, limit, usage: usageOf(it) }];
  });
  const left = ({ limit, usage }: { limit: number; usage: number | undefined }): number =>
    limit - (usage ?? 0);
  const least = Math.min(...found.map(left));
  // Of equals it is the nearest to the process.
  const first = found.findIndex((it) => left(it) === least);
  return found.map((it, i) => ({ ...it, binds: i === first }));
};

/** What its own state says: it does not run, and no group is why. @see proc_pid_status(5) */
const halted = (host: Host, pid: string): string[] => {
  const status = host.read(`/proc/${pid}/status`) ?? "";
  const field = (name: string): string | undefined =>
    new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1];
  switch (field("State")) {
    case "Z":
      return [`ended: a zombie until its parent, process ${field("PPid")}, waits for it`];
    case "T":
      return [`stopped: by a signal; kill -CONT ${pid} lets it go on`];
    case "t":
      return [`stopped: process ${field("TracerPid")} traces it`];
    default:
      return [];
  }
};

const frozen = (
  host: Host,
  hierarchies: Hierarchies,
  memberships: readonly { hierarchy: Hierarchy; path: string }[],
): string[] =>
  memberships.flatMap(({ hierarchy, path }) => {
    const isFreezer = hierarchy.version === 2 || hierarchy.controllers.includes("freezer");
    if (!isFreezer || !hierarchies.includes(hierarchy)) return [];
    const file = hierarchy.version === 2 ? "cgroup.events" : "freezer.state";
    const text = host.read(`${hierarchy.mountPoint}${path === "/" ? "" : path}/${file}`) ?? "";
    return /^frozen 1$/m.test(text) || text.trim() === "FROZEN"
      ? [`stopped: the group ${path} is frozen`]
      : [];
  });

const killed = ({ path, oomKills, memory }: Usage): string[] =>
  oomKills
    ? [
        `killed: ${count(oomKills, "process")} of ${path} ${oomKills === 1 ? "was" : "were"} killed for want of memory${memory.limit === undefined ? "" : ` (its limit is ${bytes(memory.limit)})`}`,
      ]
    : [];

const throttled = ({ path, cpu }: Usage): string[] => {
  const { periods, throttledPeriods, throttledTime, limit } = cpu;
  if (!throttledPeriods || !periods) return [];
  const part = Math.round((throttledPeriods / periods) * 100);
  const time = throttledTime === undefined ? "" : `, ${(throttledTime / 1e6).toFixed(1)} s in all`;
  const may = limit === undefined ? "which has no limit any more" : `which may use ${processors(limit)}`;
  return [`slow: ${path}, ${may}, was throttled in ${part} % of its periods${time}`];
};

/** Nine tenths. */
const NEAR = 0.9;

const near = ({ what, group, limit, usage }: Limit): string[] => {
  if (usage === undefined || usage < limit * NEAR) return [];
  return what === "memory"
    ? [`short of memory: ${group} uses ${bytes(usage)} of ${bytes(limit)}`]
    : [`short of processes: ${group} has ${usage} of ${limit}; fork(2) fails at the limit`];
};

/** Percent of the last ten seconds from which on waiting is worth a word. */
const PRESSED = 10;

const pressed = (own: Usage | undefined): string[] =>
  own === undefined
    ? []
    : Object.entries(own.pressure).flatMap(([what, value]: [string, number | undefined]) =>
        value !== undefined && value >= PRESSED
          ? [
              `waiting: ${value.toFixed(1)} % of the last ten seconds for ${what === "io" ? "disks" : what} in ${own.path}`,
            ]
          : [],
      );

const count = (number: number, what: string): string => `${number} ${what}${number === 1 ? "" : "es"}`;

/** `0.5 of a processor`, `2 processors`. */
export const processors = (limit: number): string => {
  const number = String(Math.round(limit * 1000) / 1000);
  return limit < 1 ? `${number} of a processor` : `${number} processor${limit === 1 ? "" : "s"}`;
};
