// Control groups of a script's own.

import { HostError, UsageError } from "../abi/errors.ts";
import { killGroup, removeGroup } from "../backends/leftovers.ts";
import { perform } from "../backends/perform.ts";
import { planClassify } from "../cgroups/classify.ts";
import { type Draft, draft, planCreate, planGroup } from "../cgroups/create.ts";
import { type GroupSpec, missingGroup, type Place, placesOf } from "../cgroups/groups.ts";
import { readHierarchies, wordsOf } from "../cgroups/hierarchies.ts";
import { readSetting } from "../cgroups/read.ts";
import { planRemove } from "../cgroups/remove.ts";
import { STATUS } from "../cgroups/status.ts";
import { treeOf } from "../cgroups/tree.ts";
import { planSettings } from "../cgroups/write.ts";
import type { Host } from "../host/host.ts";
import { liveHost } from "../host/live.ts";
import type { CallStep } from "../plan/call.ts";
import type { Plan, Step } from "../plan/plan.ts";
import { keep } from "./handles.ts";

/** Values by the names of settings, of cgroup v1 or v2: `{ "cpu.max": "50000 100000", "pids.max": 20 }`. */
export type Settings = Readonly<Record<string, string | number>>;

/** What the kernel counts: a number, or numbers by their names, by the file that they stand in. */
export type CgroupStat = Readonly<Record<string, number | Readonly<Record<string, number>>>>;

export interface CgroupEvents {
  /** Whether a process lives in it or below it. */
  readonly populated: boolean;
  /** Whether all its processes stand still. */
  readonly frozen: boolean;
  /** How many processes the kernel has killed because its memory was not enough; undefined without the controller. */
  readonly oomKills: number | undefined;
}

/**
 * A control group by its name. What {@link Cgroup.create} made is removed when an `await using` block is left, and when
 * the script ends, with all processes in it.
 */
export interface Cgroup extends AsyncDisposable {
  /** The path below the root of a hierarchy: `limited`, `a/b`. */
  readonly name: string;
  readonly controllers: readonly string[];
  /** Its directories: one on cgroup v2, on v1 one for each hierarchy that has one of the controllers. */
  readonly directories: readonly string[];
  /**
   * Makes it, and the groups above it. On cgroup v2 the controllers are enabled down the path. What is there already is
   * left as it is, and stays.
   * @throws StepError with `code` EACCES or EPERM where this user may not, EROFS in most containers
   */
  create(options?: { readonly settings?: Settings; readonly detached?: boolean }): Cgroup;
  /**
   * Changes settings. A name of the other version is translated; what was written instead is returned, for a person.
   * @throws StepError with `code` EINVAL or ERANGE for a value that the kernel refuses
   */
  set(settings: Settings): readonly string[];
  /** A setting as the kernel shows it, without the last newline. */
  get(setting: string): string;
  /**
   * Moves a process that runs already into it. What it has used stays counted where it was.
   * @throws StepError with `code` ESRCH where there is no such process, EACCES or EPERM where it is not this user's
   * @see cgclassify(1)
   */
  add(pid: number): void;
  /** The ids of the processes in it, not of those below it. */
  processes(): number[];
  /** `cpu.stat`, `memory.stat`, `pids.current` and the like, in the kernel's units: bytes, and microseconds in `_usec`. */
  stat(): CgroupStat;
  /** @see cgroup.events and memory.events of the kernel's cgroup-v2 documentation */
  events(): CgroupEvents;
  /** Stops all its processes, and waits until they stand still. */
  freeze(): Promise<void>;
  /** Lets them go on. */
  thaw(): Promise<void>;
  /** Sends SIGKILL to all processes in it and below it, and waits until they are gone. */
  kill(): Promise<void>;
  /** Removes it and the groups below it. Processes that are in it move to the group above. */
  delete(): Promise<void>;
  /** What the methods would do, for {@link explain} and {@link emit}. */
  readonly plans: {
    create(settings?: Settings): Plan;
    set(settings: Settings): Plan;
    delete(): Plan;
  };
}

/**
 * A control group. Nothing is done until a method is called.
 *
 * @example
 * ```ts
 * import { cgroup, run } from "nsk";
 *
 * await using group = cgroup(`example-${process.pid}`, ["pids"]).create({ settings: { "pids.max": 1 } });
 * const { stderr } = await run(["sh", "-c", "true | true"], { cgroups: [group] });
 * console.log(group.get("pids.max"), stderr.includes("fork")); // → 1 true
 * ```
 * @example
 * ```ts
 * import { cgroup, spawn } from "nsk";
 *
 * await using group = cgroup(`example-${process.pid}`).create();
 * const child = spawn(["sleep", "60"], { cgroups: [group] });
 * while (group.processes().length === 0) await Bun.sleep(1);
 * await group.freeze();
 * console.log(group.events().frozen); // → true
 * await group.kill();
 * console.log((await child.exited).signal, group.events().populated); // → 9 false
 * ```
 * @example
 * ```ts
 * import { cgroup, explain } from "nsk";
 *
 * const plan = cgroup("limited", ["pids"]).plans.create({ "pids.max": 20 });
 * console.log(explain(plan).includes("mkdir")); // → true
 * ```
 * @throws HostError where no hierarchy has one of the controllers
 * @see cgroups(7), cgcreate(1)
 */
export const cgroup = (
  name: string,
  controllers: readonly string[] = ["cpu", "memory", "pids", "freezer"],
): Cgroup => {
  const host = liveHost();
  const spec: GroupSpec = { controllers, path: name };
  let found: readonly Place[] | undefined;
  const places = (): readonly Place[] => (found ??= placesOf(host, readHierarchies(host), spec));
  const there = (): readonly Place[] => {
    for (const place of places())
      if (host.kind(place.directory) !== "directory") throw missingGroup(place, STATUS.other);
    return places();
  };
  const settingsPlan = (settings: Settings, on?: Draft) =>
    planSettings(host, readHierarchies(host), {
      groups: [name],
      settings: Object.entries(settings).map(([name, value]) => ({ name, value: String(value) })),
      draft: on,
    });
  const planOf = (steps: readonly Step[]): Plan => ({ name: "nsk", failure: 1, steps });

  let made: readonly string[] = [];
  let release = (): void => {};
  const removeMade = (): string | void => {
    // Those above were made first.
    for (const directory of made.toReversed())
      if (!removeGroup(directory)) return `the control group ${directory} stays: it cannot be removed`;
    made = [];
  };

  const group: Cgroup = {
    name,
    controllers,
    get directories() {
      return places().map(({ directory }) => directory);
    },
    create({ settings, detached = false } = {}) {
      const create = planCreate(host, places());
      perform(planOf(create));
      if (!detached) {
        made = [...made, ...create.flatMap(madeBy)];
        release();
        release = made.length ? keep({ title: `the control group ${name}`, end: removeMade }) : release;
      }
      if (settings) group.set(settings);
      return group;
    },
    set(settings) {
      const { steps, notes } = settingsPlan(settings);
      perform(planOf(steps));
      return notes;
    },
    get: (setting) => readSetting(host, readHierarchies(host), name, setting)!.value,
    add(pid) {
      if (!Number.isInteger(pid) || pid < 1) throw new UsageError(`${pid} is no process id`);
      const steps = planClassify(host, there(), [String(pid)]);
      perform(planOf(steps.map(({ onError: _, ...step }) => step)));
    },
    processes: () => [...new Set(there().flatMap(({ directory }) => processesOf(host, directory)))],
    stat: () => statOf(host, there()),
    events: () => eventsOf(host, there()),
    async freeze() {
      group.set({ "cgroup.freeze": 1 });
      while (!group.events().frozen) await Bun.sleep(1);
    },
    async thaw() {
      group.set({ "cgroup.freeze": 0 });
      while (group.events().frozen) await Bun.sleep(1);
    },
    async kill() {
      // A signal reaches a process that is frozen by version 1 only once it goes on.
      if (group.events().frozen) await group.thaw();
      const all = there().flatMap(({ directory }) => treeOf(host, directory));
      while (all.some((directory) => processesOf(host, directory).length > 0)) {
        all.forEach(killGroup);
        await Bun.sleep(1);
      }
    },
    async delete() {
      perform(planOf(planRemove(host, [there()], true)));
      made = made.filter((directory) => host.kind(directory) === "directory");
      if (made.length === 0) release();
    },
    plans: {
      create: (settings) => {
        const on = draft(host);
        const steps = places().flatMap((place) => planGroup(on, place));
        return planOf(settings ? [...steps, ...settingsPlan(settings, on).steps] : steps);
      },
      set: (settings) => planOf(settingsPlan(settings).steps),
      delete: () => planOf(planRemove(host, [there()], true)),
    },
    async [Symbol.asyncDispose]() {
      if (made.length && places().every(({ directory }) => host.kind(directory) === "directory"))
        await group.kill();
      const trouble = removeMade();
      release();
      if (trouble) throw new HostError(trouble);
    },
  };
  return group;
};

/** The directory that a step makes, as its undo removes it. */
const madeBy = ({ undo }: CallStep): string[] => {
  const path = undo?.args[1];
  return path?.type === "string" ? [path.value] : [];
};

const processesOf = (host: Host, directory: string): number[] =>
  wordsOf(host.read(`${directory}/cgroup.procs`)).map(Number);

/** Files with what was used or has happened, and none that is a setting. */
const COUNTS = /\.(?:stat|current|peak|events|usage|usage_in_bytes|max_usage_in_bytes|failcnt)$/;

const statOf = (host: Host, places: readonly Place[]): CgroupStat => {
  const stat: Record<string, number | Record<string, number>> = {};
  for (const { directory } of places)
    for (const name of host.list(directory) ?? []) {
      const text = COUNTS.test(name) ? host.read(`${directory}/${name}`) : undefined;
      if (text !== undefined) stat[name] = parseCounts(text);
    }
  return stat;
};

/** `17`; `key 17` lines; `8:0 rbytes=17 wbytes=4` lines, as `8:0 rbytes`. */
export const parseCounts = (text: string): number | Record<string, number> => {
  if (/^\d+\n?$/.test(text)) return Number(text);
  const counts: Record<string, number> = {};
  for (const line of text.split("\n")) {
    const [key, ...values] = line.split(" ");
    if (key === undefined || key === "") continue;
    for (const value of values) {
      const [name, number] = value.includes("=") ? value.split("=") : ["", value];
      if (number !== "" && Number.isFinite(Number(number)))
        counts[name ? `${key} ${name}` : key] = Number(number);
    }
  }
  return counts;
};

const eventsOf = (host: Host, places: readonly Place[]): CgroupEvents => {
  const counts = (name: string): Record<string, number> => {
    for (const { directory } of places) {
      const text = host.read(`${directory}/${name}`);
      const parsed = text === undefined ? undefined : parseCounts(text);
      if (typeof parsed === "object") return parsed;
    }
    return {};
  };
  const { populated, frozen } = counts("cgroup.events");
  const state = places.map(({ directory }) => host.read(`${directory}/freezer.state`)?.trim()).find(Boolean);
  return {
    populated:
      populated === undefined
        ? places.some(({ directory }) =>
            treeOf(host, directory).some((one) => processesOf(host, one).length > 0),
          )
        : populated > 0,
    frozen: state === undefined ? Boolean(frozen) : state === "FROZEN",
    oomKills: counts("memory.events").oom_kill ?? counts("memory.oom_control").oom_kill,
  };
};
