// Changing settings of groups, each by the name that the user knows: a name of the other version is translated, and
// what was written instead is told.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { writeFile } from "../plan/steps.ts";
import { groupDirectory, missingGroup } from "./groups.ts";
import { type Hierarchies, type Hierarchy, locate } from "./hierarchies.ts";
import { settingHints } from "./hints.ts";
import { missingController } from "./missing.ts";
import { controllerOf, type Files, type Setting, translate } from "./settings.ts";
import { STATUS } from "./status.ts";

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

/** The files of a group's directory on top of which some are planned to be written. */
export const filesOf = (host: Host, directory: string, planned = new Map<string, string>()): Files => ({
  read: (name) =>
    planned.get(`${directory}/${name}`) ?? host.read(`${directory}/${name}`)?.replace(/\n$/, ""),
  has: (name) => host.kind(`${directory}/${name}`) === "file",
});

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
  /** What was written where a name had to be translated. */
  readonly notes: readonly string[];
}

/**
 * Writes every setting in every group, in order. A group or a file that is not there is found out before anything is
 * written.
 */
export const planSettings = (
  host: Host,
  hierarchies: Hierarchies,
  groups: readonly string[],
  settings: readonly Setting[],
): SettingsPlan => {
  const planned = new Map<string, string>();
  const notes = new Set<string>();
  const steps: CallStep[] = [];
  for (const group of groups) {
    for (const setting of settings) {
      const holder = holderOf(host, hierarchies, group, setting.name);
      const writes = writesOf(host, holder, setting, planned);
      if (writes.translated) notes.add(noteOf(setting, writes.settings, holder.hierarchy.version));
      for (const { name, value } of writes.settings) {
        planned.set(`${holder.directory}/${name}`, value);
        const reason =
          writes.translated && `${setting.name} is ${name} on cgroup v${holder.hierarchy.version}`;
        steps.push(...planSetting(host, holder.directory, { name, value }, reason || undefined));
      }
    }
  }
  return { steps, notes: [...notes] };
};

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

interface Writes {
  readonly settings: readonly Setting[];
  readonly translated: boolean;
}

const writesOf = (
  host: Host,
  { hierarchy, directory, title }: Holder,
  setting: Setting,
  planned: Map<string, string>,
): Writes => {
  if (host.kind(directory) !== "directory") throw missingGroup({ title, directory }, STATUS.noSetting);
  const files = filesOf(host, directory, planned);
  if (files.has(setting.name)) return { settings: [setting], translated: false };
  const settings = translate(setting.name, setting.value, hierarchy.version, files);
  if (settings === undefined) throw missingSetting(setting.name, { hierarchy, directory, title });
  if (settings.length === 0) throw refused(setting);
  for (const { name } of settings)
    if (!files.has(name)) throw missingSetting(name, { hierarchy, directory, title });
  return { settings, translated: true };
};

/** The error for a setting that a group has not. */
export const missingSetting = (
  name: string,
  { hierarchy, directory, title }: Holder,
  status: number = STATUS.noSetting,
): HostError => {
  const isRoot = directory === hierarchy.mountPoint;
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
  return `${name}=${value} is ${written} on cgroup v${version}`;
};
