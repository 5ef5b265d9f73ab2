// cgcreate(1): make control groups.

import { UsageError } from "../abi/errors.ts";
import { planCreate } from "../cgroups/create.ts";
import { allPlaces, parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planOwnership } from "../cgroups/ownership.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import { carryOutHere, carryOutInTwo, explainOption } from "./carry-out.ts";
import { command, type Values } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";
import { print } from "./output.ts";
import { ownershipOf, ownershipOptions } from "./ownership.ts";

const cgcreateOptions = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to make, in the hierarchies of these controllers; * is all of them",
  },
  ...ownershipOptions,
  c: {
    type: "boolean",
    description:
      "ask systemd for a scope, which needs no root: the path of -g is [SLICE.slice/]NAME.scope; prints where it is",
  },
  p: { type: "string", valueHint: "pid", description: "with -c, the process that is to be in the scope" },
  ...defaultScopeOption,
  ...explainOption,
} as const;

export const cgcreate = command({
  definition: {
    meta: { name: "cgcreate", description: "Make control groups." },
    args: cgcreateOptions,
  },
  usage: "[options] -g <controllers>:<path> [-g ...]",
  permute: true,
  failure: STATUS.usage,
  run: async ({ options, operands, host, name }) => {
    if (operands.length)
      throw new UsageError(`unexpected argument '${operands[0]}'`, "a group is given with -g");
    if (options.g.length === 0) throw new UsageError("no group is given", "e.g. -g cpu,memory:limited");
    if (options.c) return makeScope(name, options, host);
    if (options.p !== undefined) throw new UsageError("-p goes with -c");
    const places = allPlaces(host, readHierarchies(host), options.g.map(parseGroupSpec));
    const ownership = ownershipOf(options, host);
    const plan = { name, failure: STATUS.other, steps: planCreate(host, places) };
    // Which files are to be given away shows once the kernel has made them.
    return carryOutInTwo(plan, () => planOwnership(host, places, ownership), options);
  },
});

/** One scope; its path is the data of this command, because systemd chooses where it is. */
const makeScope = async (
  name: string,
  options: Values<typeof cgcreateOptions>,
  host: Host,
): Promise<number> => {
  const { g, p, explain } = options;
  if (g.length > 1) throw new UsageError("-c takes one -g");
  if (explain !== undefined)
    throw new UsageError("-c does not go with --explain: systemd has to be asked first");
  if (p !== undefined && !/^[1-9]\d*$/.test(p)) throw new UsageError(`'${p}' is no process id`);
  const { createScope } = await import("./scope.ts");
  const { path, steps } = await createScope(host, g[0]!, p === undefined ? undefined : Number(p));
  await carryOutHere({ name, failure: STATUS.other, steps }, { explain: undefined });
  print(`${path}\n`);
  return 0;
};
