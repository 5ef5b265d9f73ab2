// cgget(1): show settings of control groups.

import { HostError, UsageError } from "../abi/errors.ts";
import { allPlaces, groupDirectory, missingGroup, type Place } from "../cgroups/groups.ts";
import { type Hierarchies, modeOf, readHierarchies } from "../cgroups/hierarchies.ts";
import { readAll, readAllAs, readSetting, type Wording } from "../cgroups/read.ts";
import { controllerOf, type Setting } from "../cgroups/settings.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import { command, type Values } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";
import { jsonOption, print, printJson } from "./output.ts";

export const getOptions = {
  variable: {
    type: "string",
    alias: "r",
    multiple: true,
    valueHint: "name",
    description: "a setting to show, by its name on cgroup v1 or v2",
  },
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers[:path]",
    description: "show all settings of these controllers, of the group path or of those named at the end",
  },
  all: { type: "boolean", alias: "a", description: "show the settings of all controllers" },
  n: { type: "boolean", description: "leave the names of the groups out" },
  valuesOnly: { type: "boolean", alias: "v", description: "show values only, not the names of settings" },
  ...defaultScopeOption,
  ...jsonOption,
} as const;

const options = {
  ...getOptions,
  m: { type: "boolean", description: "show only whether this machine has cgroup v1, v2, or both" },
  c: { type: "boolean", description: "show only the version of each controller" },
} as const;

type Options = Values<typeof getOptions>;

export const cgget = command({
  definition: { meta: { name: "cgget", description: "Show settings of control groups." }, args: options },
  usage: "[options] [-r <name>] ... [-g <controllers>] [-a] <group> ... | -g <controllers>:<group> ...",
  permute: true,
  // libcgroup's cgget ends with 1 when it is called wrongly, its other tools with 255.
  failure: 1,
  run: ({ options, operands, host }) => {
    if (options.m || options.c) return showVersions(options, host);
    return showGroups(readGroups(options, operands, host), options);
  },
});

const modes = {
  legacy: "Legacy Mode (Cgroup v1 only).",
  hybrid: "Hybrid Mode (Cgroup v1 and v2).",
  unified: "Unified Mode (Cgroup v2 only).",
} as const;

/** `-m` and `-c`. */
const showVersions = ({ m, json }: { readonly m: boolean; readonly json: boolean }, host: Host): number => {
  const hierarchies = readHierarchies(host);
  const mode = modeOf(hierarchies);
  if (!mode)
    throw new HostError("no control groups are mounted", "mount them: mount -t cgroup2 none /sys/fs/cgroup");
  const versions = hierarchies.flatMap(({ controllers, version }) =>
    controllers.map((controller) => [controller, version] as const),
  );
  if (json) printJson(m ? { mode } : Object.fromEntries(versions));
  else if (m) print(`${modes[mode]}\n`);
  else
    print(
      ["#Controller\tVersion", ...versions.map((it) => it.join("\t"))].map((line) => `${line}\n`).join(""),
    );
  return 0;
};

/** In one of the forms that were asked for. */
export const showGroups = (
  groups: readonly GroupSettings[],
  options: Pick<Options, "n" | "valuesOnly" | "json">,
): number => {
  if (options.json) printJson(groupsToJson(groups));
  else print(format(groups, options));
  return 0;
};

/** A group as it was named, and its settings. */
export interface GroupSettings {
  readonly group: string;
  readonly settings: readonly Setting[];
}

/** Reads what the options ask for. */
export const readGroups = (
  { variable, g, all }: Pick<Options, "variable" | "g" | "all">,
  operands: readonly string[],
  host: Host,
  wording: Wording = {},
): GroupSettings[] => {
  const named = g.filter((spec) => spec.includes(":"));
  if (variable.length && (g.length || all)) throw new UsageError("-r cannot be given together with -g or -a");
  if (named.length && named.length < g.length)
    throw new UsageError("-g with and without a group cannot be given together");
  if (named.length && operands.length)
    throw new UsageError("groups are given with -g or at the end, not both", undefined, STATUS.usage);
  if (named.length === 0 && operands.length === 0)
    throw new UsageError(
      "no group is given",
      "e.g. nsk cgget -r cpu.shares limited",
      variable.length ? STATUS.usage : undefined,
    );
  for (const name of variable)
    if (controllerOf(name) === undefined)
      throw new UsageError(
        `'${name}' is no setting`,
        "a setting is CONTROLLER.NAME, e.g. cpu.shares",
        STATUS.badName,
      );

  const hierarchies = readHierarchies(host);
  if (variable.length)
    return operands.map((group) => ({
      group,
      settings: variable.flatMap((name) => readSetting(host, hierarchies, group, name, wording) ?? []),
    }));
  const asked = g.length ? g.flatMap(controllersOf) : everything(hierarchies);
  const sections = named.length ? byGroup(named) : operands.map((group) => ({ group, controllers: asked }));
  // Of a thousand groups the controllers are looked up once.
  const roots = new Map<readonly string[], readonly Place[]>();
  return sections.map(({ group, controllers }) => {
    let places = roots.get(controllers);
    if (!places) {
      places = allPlaces(host, hierarchies, [{ controllers, path: "/" }], STATUS.other);
      roots.set(controllers, places);
    }
    return readSection(host, places, group, g.length ? controllers : [], wording.version);
  });
};

interface Section {
  readonly group: string;
  readonly controllers: readonly string[];
}

const controllersOf = (text: string): string[] => text.split(",").filter(Boolean);

const everything = (hierarchies: Hierarchies): string[] =>
  hierarchies.flatMap(({ controllers }) => controllers);

/** `-g cpu:a -g memory:a` are two parts of one group. */
const byGroup = (specs: readonly string[]): Section[] => {
  const sections = new Map<string, string[]>();
  for (const spec of specs) {
    const colon = spec.indexOf(":");
    const group = spec.slice(colon + 1);
    sections.set(group, [...(sections.get(group) ?? []), ...controllersOf(spec.slice(0, colon))]);
  }
  return [...sections].map(([group, controllers]) => ({ group, controllers }));
};

/**
 * A group in the hierarchies whose roots are given. It need not be in all of them, but in one. `asked` are the controllers
 * that the user named.
 */
const readSection = (
  host: Host,
  roots: readonly Place[],
  group: string,
  asked: readonly string[],
  version: 1 | 2 | undefined,
): GroupSettings => {
  const settings: Setting[] = [];
  let isThere = false;
  for (const root of roots) {
    const place = { ...root, directory: groupDirectory(root.hierarchy, group) };
    const found =
      version === undefined || version === place.hierarchy.version
        ? readAll(host, place)
        : readAllAs(host, place, version, asked);
    if (!found) continue;
    isThere = true;
    settings.push(...found);
  }
  if (!isThere) throw noGroup(group, roots[0], asked.length > 0);
  return { group, settings };
};

const noGroup = (group: string, root: Place | undefined, asked: boolean): Error => {
  if (!root || !asked)
    return new UsageError(`there is no group ${group} in any hierarchy`, undefined, STATUS.other);
  const title = `${root.title.slice(0, root.title.indexOf(":"))}:${group}`;
  return missingGroup({ title, directory: groupDirectory(root.hierarchy, group) }, STATUS.other);
};

/** libcgroup's format: further lines of a value are indented, and a blank line ends each group. */
export const format = (
  groups: readonly GroupSettings[],
  { n, valuesOnly }: Pick<Options, "n" | "valuesOnly">,
): string => {
  let text = "";
  for (const { group, settings } of groups) {
    if (!n) text += `${group}:\n`;
    for (const { name, value } of settings) {
      if (!valuesOnly) text += `${name}: `;
      text += `${value.includes("\n") ? value.replaceAll("\n", "\n\t") : value}\n`;
    }
    if (!n) text += "\n";
  }
  return text;
};

const groupsToJson = (groups: readonly GroupSettings[]): unknown =>
  Object.fromEntries(
    groups.map(({ group, settings }) => [
      group,
      Object.fromEntries(settings.map(({ name, value }) => [name, value])),
    ]),
  );
