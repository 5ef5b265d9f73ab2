// Reading the settings of groups, as cgget shows them.

import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { missingGroup, type Place } from "./groups.ts";
import type { Hierarchies } from "./hierarchies.ts";
import { controllerOf, isOnlyOf, readAllTranslated, readTranslated, type Setting } from "./settings.ts";
import { STATUS } from "./status.ts";
import { nearestOn } from "./unmappable.ts";
import { filesOf, holderOf, missingSetting } from "./write.ts";

/** The files of one controller in a group's directory, in the kernel's order: `cpu.shares`, not `cgroup.procs`. */
export const controllerFiles = (host: Host, directory: string, controller: string): string[] =>
  (host.list(directory) ?? []).filter((name) => name.startsWith(`${controller}.`));

/** Files that nobody can read: root opens them and gets no value, others cannot open them. */
const writeOnly = /^devices\.(?:allow|deny)$|\.force_empty$|\.reset_stats$|^memory\.reclaim$/;

/** All settings of a group that this user may open; undefined where it is not. One that has no value to read is empty. */
export const readAll = (host: Host, { directory, controllers }: Place): Setting[] | undefined => {
  const names = host.list(directory);
  if (!names) return undefined;
  const isRoot = host.euid === 0;
  const found: Setting[] = [];
  for (const controller of controllers) {
    const prefix = `${controller}.`;
    for (const name of names)
      if (name.startsWith(prefix) && (isRoot || !writeOnly.test(name)))
        found.push({ name, value: valueOf(host, directory, name) ?? "" });
  }
  return found;
};

const valueOf = (host: Host, directory: string, name: string): string | undefined => {
  const text = host.read(`${directory}/${name}`);
  return text?.endsWith("\n") ? text.slice(0, -1) : text;
};

/** In the words of which version settings are asked for. */
export interface Wording {
  /** Either, unless given. */
  readonly version?: 1 | 2 | undefined;
  /** Pass over what the group's version has no word for. */
  readonly ignoreUnmappable?: boolean;
}

/**
 * All settings of a group in the words of `version`, where that is not the group's own: what both have, and what can be
 * translated. `asked` are the controllers whose names are wanted.
 */
export const readAllAs = (
  host: Host,
  { hierarchy, directory, controllers }: Place,
  version: 1 | 2,
  asked: readonly string[],
): Setting[] | undefined => {
  if (host.kind(directory) !== "directory") return undefined;
  const here = hierarchy.version;
  const names = controllers.flatMap((controller) => controllerFiles(host, directory, controller));
  const both = names.filter((name) => !isOnlyOf(here, name) && nearestOn(version, name) === undefined);
  const all = [
    ...both.map((name) => ({ name, value: valueOf(host, directory, name) ?? "" })),
    ...readAllTranslated(names, here, filesOf(host, directory)),
  ];
  return all.filter(({ name }, i) => {
    const isFirst = all.findIndex((it) => it.name === name) === i;
    return isFirst && (asked.length === 0 || asked.includes(controllerOf(name) ?? ""));
  });
};

/** One setting of a group; undefined for one that is passed over. */
export const readSetting = (
  host: Host,
  hierarchies: Hierarchies,
  group: string,
  name: string,
  { version, ignoreUnmappable }: Wording = {},
): Setting | undefined => {
  const holder = holderOf(host, hierarchies, group, name, STATUS.other);
  const { hierarchy, directory, title } = holder;
  const here = hierarchy.version;
  if (host.kind(directory) !== "directory") throw missingGroup({ title, directory }, STATUS.other);
  const missing = (): undefined => {
    if (ignoreUnmappable) return undefined;
    throw missingSetting(name, holder, STATUS.other);
  };
  const files = filesOf(host, directory);
  const isForeign = version !== undefined && isOnlyOf(version === 1 ? 2 : 1, name);
  if (isForeign) throw new HostError(`${name} is no setting of cgroup v${version}`, undefined, STATUS.other);
  const value = files.read(name);
  if (value !== undefined) return { name, value };
  if (files.has(name)) {
    if (host.euid === 0) return { name, value: "" };
    throw new HostError(`${directory}/${name} may not be read`, undefined, STATUS.other);
  }
  if (version === here) return missing();
  const translated = readTranslated(name, here, files);
  return translated === undefined ? missing() : { name, value: translated };
};
