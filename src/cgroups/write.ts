// Changing settings of groups, each by the name that the user knows: a name of the other version is translated, and
// what was written instead is told.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { writeFile } from "../plan/steps.ts";
import type { Draft } from "./create.ts";
import { groupDirectory, missingGroup } from "./groups.ts";
import { type Hierarchies, type Hierarchy, locate } from "./hierarchies.ts";
import { settingHints } from "./hints.ts";
import { missingController } from "./missing.ts";
import { inTranslationOrder, inWriteOrder, narrowing } from "./order.ts";
import { controllerOf, type Files, isOnlyOf, periodOf, type Setting, translate } from "./settings.ts";
import { STATUS } from "./status.ts";
import { neighbour, treeOf } from "./tree.ts";
import { inKernelUnits, type Whole } from "./units.ts";
import { nearestOn } from "./unmappable.ts";

/** `name=value` as `-r` has it. The value may be anything, but not nothing. */
export const parseSetting = (text: string): Setting => {
  const equals = text.indexOf("=");
  const [name, value] = [text.slice(0, equals), text.slice(equals + 1)];
  if (equals < 0 || controllerOf(name) === undefined || name.includes("/") || value === "") {
    throw new UsageError(
      `'${text}' is no setting`,
      "a setting is NAME=VALUE, e.g. cpu.cfs_quota_us=50000",
      STATUS.usage,
    );
  }
  return { name, value };
};

/** The files of a group's directory. */
export const filesOf = (host: Host, directory: string): Files => ({
  read: (name) => host.read(`${directory}/${name}`)?.replace(/\n$/, ""),
  has: (name) => host.kind(`${directory}/${name}`) === "file",
});

/** The same where some are going to be written. */
const planning = (files: Files, directory: string, planned: ReadonlyMap<string, string>): Files => ({
  read: (name) => planned.get(`${directory}/${name}`) ?? files.read(name),
  has: (name) => files.has(name),
});

/** The files that a group will have which is going to be made: those of one near it, with nothing in them yet. */
const filesToBe = (host: Host, { version, mountPoint }: Hierarchy, directory: string): Files => {
  const like = neighbour(host, directory);
  // A root has fewer files than the groups below it, and is no model for them.
  const names = new Set(like === mountPoint ? [] : host.list(like));
  const controllers = new Set([...names].map(controllerOf));
  return {
    read: () => undefined,
    // Where not even the group near it has the controller, the name has to do.
    has: (name) =>
      controllers.has(controllerOf(name)) ? names.has(name) : !isOnlyOf(version === 1 ? 2 : 1, name),
  };
};

/** The group that a setting of this name belongs to. */
export interface Holder {
  readonly hierarchy: Hierarchy;
  readonly directory: string;
  /** As an error names it: `cpu:limited`. */
  readonly title: string;
}

/**
 * Where a group keeps a setting. Throws {@link HostError} for a controller that is not mounted.
 * A name of `cgroup.` belongs to no controller: it is version 2's, and the freezer's where that is of version 1.
 */
export const holderOf = (
  host: Host,
  hierarchies: Hierarchies,
  group: string,
  name: string,
  status?: number,
): Holder => {
  const controller = controllerOf(name) ?? "";
  const holder = ({ hierarchy }: { hierarchy: Hierarchy }, title: string): Holder => ({
    hierarchy,
    directory: groupDirectory(hierarchy, group),
    title: `${title}:${group}`,
  });
  if (controller !== "cgroup") {
    const location = locate(hierarchies, controller);
    if (!location) throw missingController(host, hierarchies, controller, status);
    return holder(location, controller);
  }
  const freezer = name === "cgroup.freeze" ? locate(hierarchies, "freezer") : undefined;
  const unified = hierarchies.find(({ version }) => version === 2);
  if (unified) {
    const here = holder({ hierarchy: unified }, controller);
    if (!freezer || host.kind(here.directory) === "directory") return here;
  }
  if (!freezer) throw missingController(host, hierarchies, controller, status);
  return holder(freezer, "freezer");
};

export interface SettingsPlan {
  readonly steps: readonly CallStep[];
  /** What was written where a name or a value had to be translated. */
  readonly notes: readonly string[];
}

export interface SettingsRequest {
  readonly groups: readonly string[];
  readonly settings: readonly Setting[];
  /** In the groups below too. */
  readonly recursive?: boolean;
  /** Names and values are this version's, and of no other (`cgxset -1`). */
  readonly version?: 1 | 2 | undefined;
  /** Passes over what the group's version does not have (`cgxset -i`). */
  readonly ignoreUnmappable?: boolean;
  /** Groups that an earlier part of the same plan makes. */
  readonly draft?: Draft | undefined;
}

/** Settings of one directory, in the order in which they were asked for. */
interface Batch {
  readonly version: 1 | 2;
  /** The group's files as they are, and with what is planned. */
  readonly there: Files;
  readonly files: Files;
  readonly writes: Setting[];
  readonly reasons: Map<Setting, string>;
}

/**
 * Writes every setting in every group, in an order that the kernel takes. A group or a file that is not there is found
 * out before anything is written.
 */
export const planSettings = (
  host: Host,
  hierarchies: Hierarchies,
  request: SettingsRequest,
): SettingsPlan => {
  const planned = new Map<string, string>();
  const notes = new Set<string>();
  const steps: CallStep[] = [];
  const settings = inTranslationOrder(request.settings);
  for (const group of request.groups) {
    const batches = new Map<string, Batch>();
    const holders = new Map<string, Holder>();
    for (const setting of settings) {
      // The names of one controller are kept in one place, but for those of no controller.
      const controller = controllerOf(setting.name) ?? "";
      const key = controller === "cgroup" ? setting.name : controller;
      let holder = holders.get(key);
      if (!holder) {
        holder = holderOf(host, hierarchies, group, setting.name);
        holders.set(key, holder);
        if (!isThere(host, holder.directory, request.draft)) throw missingGroup(holder, STATUS.noSetting);
      }
      const tree = request.recursive ? treeOf(host, holder.directory) : [holder.directory];
      for (const directory of tree) {
        let batch = batches.get(directory);
        if (!batch) {
          const there = request.draft?.made.has(directory)
            ? filesToBe(host, holder.hierarchy, directory)
            : filesOf(host, directory);
          const files = planning(there, directory, planned);
          const { version } = holder.hierarchy;
          batches.set(directory, (batch = { version, there, files, writes: [], reasons: new Map() }));
        }
        planWrites(host, { ...holder, directory }, setting, request, batch, planned, notes);
      }
    }
    // What is taken away goes from below up, and then the rest from the group down.
    const down: CallStep[] = [];
    const up: CallStep[][] = [];
    for (const [directory, { version, there, writes, reasons }] of batches) {
      const less = request.recursive && version === 1 ? narrowing(writes, there) : undefined;
      const losses: CallStep[] = [];
      for (const it of inWriteOrder(writes, there, () => isLimited(host, directory)))
        (less?.has(it) ? losses : down).push(...planSetting(host, directory, it, reasons.get(it)));
      if (losses.length) up.unshift(losses);
    }
    steps.push(...up.flat(), ...down);
  }
  return { steps, notes: [...notes] };
};

/** Whether a group above has a quota of processor time. In version 1 no group below may have a larger part. */
const isLimited = (host: Host, directory: string): boolean => {
  const above = directory.slice(0, directory.lastIndexOf("/"));
  const quota = host.read(`${above}/cpu.cfs_quota_us`);
  return quota !== undefined && (!quota.startsWith("-") || isLimited(host, above));
};

const isThere = (host: Host, directory: string, on: Draft | undefined): boolean =>
  on?.made.has(directory) || host.kind(directory) === "directory";

/** Adds to a batch what one setting comes down to, and says so where that is not the setting itself. */
const planWrites = (
  host: Host,
  holder: Holder,
  setting: Setting,
  { version, ignoreUnmappable }: SettingsRequest,
  { files, writes, reasons }: Batch,
  planned: Map<string, string>,
  notes: Set<string>,
): void => {
  const value = inKernelUnits(setting.name, setting.value, wholeOf(host, files));
  const asked = value === setting.value ? setting : { name: setting.name, value };
  const found = writesOf(holder, asked, files, version);
  if (found instanceof Error) {
    if (ignoreUnmappable) return;
    throw found;
  }
  const isChanged =
    found.length !== 1 || found[0]!.name !== setting.name || found[0]!.value !== setting.value;
  if (isChanged) notes.add(noteOf(setting, found, holder.hierarchy.version));
  for (const it of found) {
    planned.set(`${holder.directory}/${it.name}`, it.value);
    writes.push(it);
    if (it.name !== setting.name)
      reasons.set(it, `${setting.name} is ${it.name} on cgroup v${holder.hierarchy.version}`);
  }
};

/** Bytes of memory that the machine has. @see proc_meminfo(5) */
export const memoryOf = (host: Host): bigint | undefined => {
  const kilobytes = /^MemTotal:\s+(\d+) kB$/m.exec(host.read("/proc/meminfo") ?? "")?.[1];
  return kilobytes === undefined ? undefined : BigInt(kilobytes) * 1024n;
};

/** What percentages and parts of processors are of. */
const wholeOf = (host: Host, files: Files): Whole => ({
  memory: () => memoryOf(host),
  period: () => periodOf(files),
});

/** One write. A file that cannot be opened and a value that is refused have statuses of their own in libcgroup. */
export const planSetting = (
  host: Host,
  directory: string,
  { name, value }: Setting,
  reason?: string,
): CallStep[] => {
  const [open, write, close] = writeFile(`${directory}/${name}`, value, {
    title: `write "${value}" to ${directory}/${name}`,
    hints: settingHints(host, name),
    status: STATUS.noSetting,
    ...(reason !== undefined && { reason }),
  }) as [CallStep, CallStep, CallStep];
  return [open, { ...write, status: STATUS.other }, close];
};

/** What is to be written for a setting, or why there is nothing that could be. */
const writesOf = (
  holder: Holder,
  setting: Setting,
  files: Files,
  version: 1 | 2 | undefined,
): readonly Setting[] | HostError => {
  const { name, value } = setting;
  const here = holder.hierarchy.version;
  if (version !== undefined && isOnlyOf(version === 1 ? 2 : 1, name))
    return new HostError(
      `${name} is no setting of cgroup v${version}`,
      `it is one of cgroup v${version === 1 ? 2 : 1}: -${version === 1 ? 2 : 1}`,
      STATUS.noSetting,
    );
  if (files.has(name)) return [setting];
  if (version === here) return missingSetting(name, holder);
  const settings = translate(name, value, here, files);
  if (settings === undefined) return missingSetting(name, holder);
  if (settings.length === 0) return refused(setting);
  const missing = settings.find((it) => !files.has(it.name));
  return missing ? missingSetting(missing.name, holder) : settings;
};

/** The error for a setting that a group has not. */
export const missingSetting = (
  name: string,
  { hierarchy, directory, title }: Holder,
  status: number = STATUS.noSetting,
): HostError => {
  const isRoot = directory === hierarchy.mountPoint;
  const nearest = nearestOn(hierarchy.version, name);
  if (nearest !== undefined)
    return new HostError(
      `cgroup v${hierarchy.version} has no ${name}`,
      `nearest to it is ${nearest}`,
      status,
    );
  return new HostError(
    `the group ${title} has no ${name} (${directory})`,
    isRoot
      ? "a root group has fewer settings than the groups below it"
      : hierarchy.version === 2
        ? `if ${controllerOf(name)} is not in ${directory}/cgroup.controllers, the group above does not hand it on: nsk cgcreate -g ${title} sees to that`
        : `nsk cgget -g ${title} lists what it has`,
    status,
  );
};

const refused = ({ name, value }: Setting): HostError =>
  new HostError(
    `${name}=${value} cannot be had on this version of control groups`,
    name === "memory.memsw.limit_in_bytes"
      ? "it is memory and swap together: set memory.limit_in_bytes first, to this or less"
      : `the value is not one of ${name}`,
    STATUS.other,
  );

/** `cpu.cfs_quota_us=200000 is cpu.max "200000 100000" on cgroup v2` */
const noteOf = ({ name, value }: Setting, settings: readonly Setting[], version: 1 | 2): string => {
  const written = settings.map((it) => `${it.name} "${it.value}"`).join(" and ");
  const isSame = settings.length === 1 && settings[0]!.name === name;
  return `${name}=${value} is ${written}${isSame ? "" : ` on cgroup v${version}`}`;
};
