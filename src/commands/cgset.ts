// cgset(1): change settings of control groups.

import { UsageError } from "../abi/errors.ts";
import { planCopy } from "../cgroups/copy.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { STATUS } from "../cgroups/status.ts";
import { parseSetting, planSettings, type SettingsRequest } from "../cgroups/write.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { writeAll } from "../sys/linux.ts";
import { carryOutHere, explainOption, type PlanChoice } from "./carry-out.ts";
import { command } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";

export const setOptions = {
  variable: {
    type: "string",
    alias: "r",
    multiple: true,
    valueHint: "name=value",
    description: "a setting and its value, by its name on cgroup v1 or v2; 50%, 1.5 CPUs, 64M are understood",
  },
  recursive: { type: "boolean", alias: "R", description: "change the groups below as well" },
  copyFrom: {
    type: "string",
    valueHint: "group",
    description: "copy the settings of this group",
  },
  ...defaultScopeOption,
  ...explainOption,
} as const;

export const cgset = command({
  definition: {
    meta: { name: "cgset", description: "Change settings of control groups." },
    args: setOptions,
  },
  usage: "[-r <name=value>] ... | --copy-from <group>  <group> ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host, name }) => {
    const { variable, copyFrom, recursive } = options;
    return carryOutSettings(planCgset(name, variable, copyFrom, operands, host, { recursive }), options);
  },
});

/** A plan, and what is to be told of it. */
export interface CgsetPlan {
  readonly plan: Plan;
  readonly notes: readonly string[];
}

/** Does it, and says what was written where a name or a value was translated. */
export const carryOutSettings = async ({ plan, notes }: CgsetPlan, choice: PlanChoice): Promise<number> => {
  const status = await carryOutHere(plan, choice);
  if (choice.explain === undefined) for (const note of notes) writeAll(2, `${plan.name}: ${note}\n`);
  return status;
};

/** Writes the settings; the notes say what was written where a name was translated. */
export const planCgset = (
  name: string,
  words: readonly string[],
  copyFrom: string | undefined,
  groups: readonly string[],
  host: Host,
  how: Pick<SettingsRequest, "recursive" | "version" | "ignoreUnmappable"> = {},
): CgsetPlan => {
  if (words.length && copyFrom !== undefined) throw new UsageError("-r and --copy-from exclude each other");
  if (words.length === 0 && copyFrom === undefined)
    throw new UsageError("no setting is given", "e.g. -r cpu.cfs_quota_us=50000");
  if (groups.length === 0)
    throw new UsageError("no group is given", "e.g. nsk cgset -r cpu.shares=512 limited");
  const settings = words.map(parseSetting);
  const hierarchies = readHierarchies(host);
  const { steps, notes } =
    copyFrom === undefined
      ? planSettings(host, hierarchies, { groups, settings, ...how })
      : { steps: planCopy(host, hierarchies, copyFrom, groups), notes: [] };
  return { plan: { name, failure: STATUS.other, steps }, notes };
};
