// lscgroup(1): list control groups.

import { parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { listAll, type ListedGroup, listNamed } from "../cgroups/list.ts";
import type { Host } from "../host/host.ts";
import { command } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";
import { jsonOption, print, printJson } from "./output.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to list, with those below it (-g may be left out)",
  },
  ...defaultScopeOption,
  ...jsonOption,
} as const;

export const lscgroup = command({
  definition: { meta: { name: "lscgroup", description: "List control groups." }, args: options },
  usage: "[options] [[-g] <controllers>:<path>] ...",
  permute: true,
  failure: 1,
  run: ({ options, operands, host }) => {
    const groups = planList([...options.g, ...operands], host);
    if (options.json) printJson(groups);
    else print(formatGroups(groups));
    return 0;
  },
});

/** The groups that the words name, all without any. */
export const planList = (words: readonly string[], host: Host): ListedGroup[] => {
  const specs = words.map(parseGroupSpec);
  const hierarchies = readHierarchies(host);
  return specs.length ? listNamed(host, hierarchies, specs) : listAll(host, hierarchies);
};

export const formatGroups = (groups: readonly ListedGroup[]): string => {
  let text = "";
  for (const { controllers, path } of groups) text += `${controllers.join(",")}:${path}\n`;
  return text;
};
