// cgcreate(1): make control groups.

import { UsageError } from "../abi/errors.ts";
import { planCreate } from "../cgroups/create.ts";
import { allPlaces, parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planOwnership } from "../cgroups/ownership.ts";
import { STATUS } from "../cgroups/status.ts";
import { carryOutInTwo, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";
import { ownershipOf, ownershipOptions } from "./ownership.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to make, in the hierarchies of these controllers; * is all of them",
  },
  ...ownershipOptions,
  ...explainOption,
} as const;

export const cgcreate = command({
  definition: {
    meta: { name: "cgcreate", description: "Make control groups." },
    args: options,
  },
  usage: "[options] -g <controllers>:<path> [-g ...]",
  permute: true,
  failure: STATUS.usage,
  run: async ({ options, operands, host, name }) => {
    if (operands.length)
      throw new UsageError(`unexpected argument '${operands[0]}'`, "a group is given with -g");
    if (options.g.length === 0) throw new UsageError("no group is given", "e.g. -g cpu,memory:limited");
    const places = allPlaces(host, readHierarchies(host), options.g.map(parseGroupSpec));
    const ownership = ownershipOf(options, host);
    const plan = { name, failure: STATUS.other, steps: planCreate(host, places) };
    // Which files are to be given away shows once the kernel has made them.
    return carryOutInTwo(plan, () => planOwnership(host, places, ownership), options);
  },
});
