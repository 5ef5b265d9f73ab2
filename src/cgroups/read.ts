// Reading the settings of groups, as cgget shows them.

import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { missingGroup, type Place } from "./groups.ts";
import type { Hierarchies } from "./hierarchies.ts";
import { readTranslated } from "./settings.ts";
import { STATUS } from "./status.ts";
import { filesOf, holderOf, missingSetting } from "./write.ts";
import type { Setting } from "./settings.ts";

/** The files of one controller in a group's directory, in the kernel's order: `cpu.shares`, not `cgroup.procs`. */
export const controllerFiles = (host: Host, directory: string, controller: string): string[] =>
  (host.list(directory) ?? []).filter((name) => name.startsWith(`${controller}.`));

/** Files that nobody can read: root opens them and gets no value, others cannot open them. */
const writeOnly = /^devices\.(?:allow|deny)$|\.force_empty$|\.reset_stats$|^memory\.reclaim$/;

/** All settings of a group that this user may open. One that has no value to read is empty. */
export const readAll = (host: Host, { directory, controllers }: Place): Setting[] =>
  controllers
    .flatMap((controller) => controllerFiles(host, directory, controller))
    .filter((name) => host.euid === 0 || !writeOnly.test(name))
    .map((name) => ({ name, value: host.read(`${directory}/${name}`)?.replace(/\n$/, "") ?? "" }));

/** One setting of a group by its name in either version. */
export const readSetting = (host: Host, hierarchies: Hierarchies, group: string, name: string): Setting => {
  const holder = holderOf(host, hierarchies, group, name, STATUS.other);
  const { hierarchy, directory, title } = holder;
  if (host.kind(directory) !== "directory") throw missingGroup({ title, directory }, STATUS.other);
  const files = filesOf(host, directory);
  const value = files.read(name);
  if (value !== undefined) return { name, value };
  if (files.has(name)) {
    if (host.euid === 0) return { name, value: "" };
    throw new HostError(`${directory}/${name} may not be read`, undefined, STATUS.other);
  }
  const translated = readTranslated(name, hierarchy.version, files);
  if (translated === undefined) throw missingSetting(name, holder, STATUS.other);
  return { name, value: translated };
};
