// cgset(1): change settings of control groups.

import { UsageError } from "../abi/errors.ts";
import { planCopy } from "../cgroups/copy.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { STATUS } from "../cgroups/status.ts";
import { parseSetting, planSettings } from "../cgroups/write.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { writeAll } from "../sys/linux.ts";
import { carryOutHere, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";

const options = {
  variable: {
    type: "string",
    alias: "r",
    multiple: true,
    valueHint: "name=value",
    description: "a setting and its value, by its name on cgroup v1 or v2",
  },
  copyFrom: {
    type: "string",
    valueHint: "group",
    description: "copy the settings of this group",
  },
  ...explainOption,
} as const;

export const cgset = command({
  definition: {
    meta: { name: "cgset", description: "Change settings of control groups." },
    args: options,
  },
  usage: "[-r <name=value>] ... | --copy-from <group>  <group> ...",
  permute: true,
  failure: STATUS.usage,
  run: async ({ options, operands, host, name }) => {
    const { plan, notes } = planCgset(name, options.variable, options.copyFrom, operands, host);
    const status = await carryOutHere(plan, options);
    if (options.explain === undefined) for (const note of notes) writeAll(2, `${name}: ${note}\n`);
    return status;
  },
});

/** Writes the settings; the notes say what was written where a name was translated. */
export const planCgset = (
  name: string,
  words: readonly string[],
  copyFrom: string | undefined,
  groups: readonly string[],
  host: Host,
): { plan: Plan; notes: readonly string[] } => {
  if (words.length && copyFrom !== undefined) throw new UsageError("-r and --copy-from exclude each other");
  if (words.length === 0 && copyFrom === undefined)
    throw new UsageError("no setting is given", "e.g. -r cpu.cfs_quota_us=50000");
  if (groups.length === 0)
    throw new UsageError("no group is given", "e.g. nsk cgset -r cpu.shares=512 limited");
  const settings = words.map(parseSetting);
  const hierarchies = readHierarchies(host);
  const { steps, notes } =
    copyFrom === undefined
      ? planSettings(host, hierarchies, groups, settings)
      : { steps: planCopy(host, hierarchies, copyFrom, groups), notes: [] };
  return { plan: { name, failure: STATUS.other, steps }, notes };
};
