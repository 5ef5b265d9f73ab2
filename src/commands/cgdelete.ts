// cgdelete(1): remove control groups.

import { parseGroupSpec, placesOf } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planRemove } from "../cgroups/remove.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { carryOutHere, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to remove (-g may be left out)",
  },
  recursive: { type: "boolean", alias: "r", description: "remove the groups below it too" },
  ...defaultScopeOption,
  ...explainOption,
} as const;

export const cgdelete = command({
  definition: {
    meta: {
      name: "cgdelete",
      description: "Remove control groups. Processes in them move to the group above.",
    },
    args: options,
  },
  usage: "[options] [[-g] <controllers>:<path>] ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host, name }) =>
    carryOutHere(planCgdelete(name, [...options.g, ...operands], options.recursive, host), options),
});

/** Removes the groups; none is nothing to do, as with libcgroup. */
export const planCgdelete = (
  name: string,
  groups: readonly string[],
  recursive: boolean,
  host: Host,
): Plan => {
  const specs = groups.map(parseGroupSpec);
  const hierarchies = specs.length ? readHierarchies(host) : [];
  const places = specs.map((spec) => placesOf(host, hierarchies, spec));
  return { name, failure: STATUS.other, steps: planRemove(host, places, recursive) };
};
