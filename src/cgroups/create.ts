// Making groups: the directories down to each, and what a directory needs before it is of use. In version 2 every
// group above hands the controllers on; in version 1 a cpuset takes no process until it has processors and memory.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { mkdir, rmdir, write, writeFile } from "../plan/steps.ts";
import { errno } from "../abi/errno.ts";
import { HostError } from "../abi/errors.ts";
import { ancestors, type Place, refuseMounts } from "./groups.ts";
import { wordsOf } from "./hierarchies.ts";
import { enableHints, makeHints } from "./hints.ts";
import { STATUS } from "./status.ts";

/** What is going to be there once the steps so far are done, on top of what the host has. */
export interface Draft {
  readonly host: Host;
  readonly made: Set<string>;
  /** Controllers that a directory of version 2 hands on. */
  readonly enabled: Map<string, Set<string>>;
  /** Reasons that the plan has given: each is given once. */
  readonly told: Set<string>;
}

export const draft = (host: Host): Draft => ({
  host,
  made: new Set(),
  enabled: new Map(),
  told: new Set(),
});

/** A reason, the first time. */
const once = ({ told }: Draft, reason: string): { reason?: string } => {
  if (told.has(reason)) return {};
  told.add(reason);
  return { reason };
};

/** Makes the groups that are not there. When one cannot be made, those made before it are removed again. */
export const planCreate = (host: Host, places: readonly Place[]): CallStep[] => {
  const on = draft(host);
  for (const place of places) refuseMounts(host, place);
  return places.flatMap((place) => planGroup(on, place));
};

/** One group with those above it. */
export const planGroup = (on: Draft, place: Place): CallStep[] => {
  const { hierarchy, controllers, directory } = place;
  const above = ancestors(hierarchy, directory);
  const steps: CallStep[] = [];
  // Each from the root down, the group itself last. The root is there.
  [...above, directory].forEach((group, i) => {
    if (i > 0) steps.push(...planDirectory(on, place, group, above.slice(0, i)));
    if (hierarchy.version === 2 && i < above.length)
      steps.push(...planEnable(on, group, controllers, i === 0, i > 0));
  });
  return steps;
};

/** mkdir(2) with all permissions that a umask of 022 leaves, as libcgroup asks for. */
const MODE = 0o775;

const failure = (host: Host): number => (host.euid === 0 ? STATUS.other : STATUS.notAllowed);

const planDirectory = (
  on: Draft,
  { hierarchy, controllers }: Place,
  directory: string,
  above: readonly string[],
): CallStep[] => {
  const { host, made } = on;
  const kind = made.has(directory) ? "directory" : host.kind(directory);
  if (kind === "directory") return [];
  // mkdir(2) would say EEXIST, which a group that is there says too.
  if (kind === "file")
    throw new HostError(
      `${directory} is a file of the group above it, and no group can have its name`,
      undefined,
      STATUS.other,
    );
  made.add(directory);
  const steps = [
    mkdir(directory, MODE, {
      title: `make the group ${directory}`,
      ...once(on, "a directory here is a group; the kernel fills it with files"),
      hints: makeHints(host),
      status: failure(host),
      // Somebody may have made it since the plan was drawn; then it is theirs and stays.
      tolerate: [errno("EEXIST")],
      undo: rmdir(directory),
    }),
  ];
  if (hierarchy.version === 1 && controllers.includes("cpuset"))
    steps.push(...planCpuset(on, directory, above));
  return steps;
};

/** A new cpuset of version 1 is empty, and a process may not enter it. It gets what the nearest group above has. */
const planCpuset = (on: Draft, directory: string, above: readonly string[]): CallStep[] =>
  ["cpuset.cpus", "cpuset.mems"].flatMap((name) => {
    const value = above.map((group) => on.host.read(`${group}/${name}`)?.trim()).findLast(Boolean);
    if (!value) return [];
    const [open, write, close] = writeFile(`${directory}/${name}`, value, {
      title: `write "${value}" to ${directory}/${name}`,
      status: STATUS.other,
      ...once(on, "a new cpuset is empty and takes no process: give it what the group above has"),
    }) as [CallStep, CallStep, CallStep];
    // A group in between that somebody left empty has nothing to give; then this one stays empty too.
    return [open, { ...write, tolerate: [errno("EACCES")] }, close];
  });

/** Has a directory of version 2, which is empty by then, hand controllers on to the groups below it. */
export const planHandOn = (host: Host, directory: string, controllers: readonly string[]): CallStep[] =>
  planEnable(draft(host), directory, controllers, false, false);

/** Has `directory` hand on those controllers that it does not yet. */
const planEnable = (
  on: Draft,
  directory: string,
  controllers: readonly string[],
  isRoot: boolean,
  mayHold: boolean,
): CallStep[] => {
  const { host, enabled } = on;
  const file = `${directory}/cgroup.subtree_control`;
  let handedOn = enabled.get(directory);
  if (!handedOn) enabled.set(directory, (handedOn = new Set(wordsOf(host.read(file)))));
  const wanted = controllers.filter((name) => name !== "" && !handedOn.has(name));
  if (wanted.length === 0) return [];
  if (mayHold && wanted.every((name) => threaded.includes(name))) refuseThreads(host, directory, wanted);
  for (const name of wanted) handedOn.add(name);
  const value = wanted.map((name) => `+${name}`).join(" ");
  const steps = writeFile(file, value, {
    title: `write "${value}" to ${file}`,
    ...once(on, "cgroup v2: a controller works in a group once the group above hands it on"),
    hints: enableHints(host, directory, isRoot),
    status: failure(host),
  }) as [CallStep, CallStep, CallStep];
  // The root may hold processes all the same, and others may count on it by now; a group that is made goes as a whole.
  return isRoot || on.made.has(directory) ? steps : withUndo(steps, file, value.replaceAll("+", "-"));
};

/** A group that hands controllers on takes no process: when the plan fails further on, it has to keep them again. */
const withUndo = (
  [open, give, close]: readonly [CallStep, CallStep, CallStep],
  file: string,
  value: string,
): CallStep[] => {
  const keep = write(open.result!, value, `write "${value}" to ${file}`);
  // What was done last is taken back first.
  return [
    { ...open, undo: close },
    { ...give, undo: keep },
    { ...close, undo: open },
  ];
};

/** Controllers that the kernel hands on also where processes are, and has made a threaded domain of the group then. */
const threaded: readonly string[] = ["cpu", "cpuset", "perf_event", "pids"];

/** The kernel says nothing, and the group below would take no process: that is told before, and nothing done. */
const refuseThreads = (host: Host, directory: string, wanted: readonly string[]): void => {
  const isHeld = wordsOf(host.read(`${directory}/cgroup.procs`)).length > 0;
  if (!isHeld || host.read(`${directory}/cgroup.type`)?.trim() !== "domain") return;
  throw new HostError(
    `${directory} cannot hand on ${wanted.join(", ")}`,
    enableHints(host, directory, false)[errno("EBUSY")],
    failure(host),
  );
};
