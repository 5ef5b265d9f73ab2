// cgcreate(1): make control groups.

import { UsageError } from "../abi/errors.ts";
import { planCreate } from "../cgroups/create.ts";
import { allPlaces, parseGroupSpec, type Place } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { asksForNothing, type Owner, type Ownership, planOwnership } from "../cgroups/ownership.ts";
import { STATUS } from "../cgroups/status.ts";
import { groups, parseId, users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { carryOutHere, explainOption, type PlanChoice } from "./carry-out.ts";
import { command, type Values } from "./command.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to make, in the hierarchies of these controllers; * is all of them",
  },
  a: { type: "string", valueHint: "user:group", description: "owner of the groups and their files" },
  t: {
    type: "string",
    valueHint: "user:group",
    description: "owner of the tasks file: who may move processes in",
  },
  dperm: {
    type: "string",
    alias: "d",
    valueHint: "mode",
    description: "permissions of the groups' directories, octal",
  },
  fperm: { type: "string", alias: "f", valueHint: "mode", description: "permissions of their files, octal" },
  tperm: {
    type: "string",
    alias: "s",
    valueHint: "mode",
    description: "permissions of the tasks file, octal",
  },
  ...explainOption,
} as const;

type Options = Values<typeof options>;

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
    const plan = planCgcreate(name, places, ownership, host);
    if (options.explain !== undefined || asksForNothing(ownership)) return carryOutHere(plan, options);
    return createAndGive(plan, places, ownership, options, host);
  },
});

/** Makes the groups, and gives them to whom they should belong. */
export const planCgcreate = (
  name: string,
  places: readonly Place[],
  ownership: Ownership,
  host: Host,
): Plan => ({
  name,
  failure: STATUS.other,
  steps: [...planCreate(host, places), ...planOwnership(host, places, ownership)],
});

/** In two parts: which files are to be given away shows once the kernel has made them. */
const createAndGive = async (
  plan: Plan,
  places: readonly Place[],
  ownership: Ownership,
  choice: PlanChoice,
  host: Host,
): Promise<number> => {
  const create = planCreate(host, places);
  await carryOutHere({ ...plan, steps: create }, choice);
  try {
    return await carryOutHere({ ...plan, steps: planOwnership(host, places, ownership) }, choice);
  } catch (error) {
    const undo = create.flatMap((step) => step.undo ?? []).toReversed();
    await carryOutHere({ ...plan, steps: undo.map((step) => ({ ...step, onError: "ignore" })) }, choice);
    throw error;
  }
};

const ownershipOf = (options: Options, host: Host): Ownership => ({
  all: owner(options.a, host),
  tasks: owner(options.t, host),
  directoryMode: mode(options.dperm),
  fileMode: mode(options.fperm),
  tasksMode: mode(options.tperm),
});

/** `user:group`, either part by name or number; a missing part leaves that one as it is. */
const owner = (text: string | undefined, host: Host): Owner | undefined => {
  if (text === undefined) return undefined;
  const [user = "", group = ""] = text.split(":");
  const id = (what: string, name: string, find: () => number | undefined): number => {
    if (name === "") return -1;
    const found = find() ?? parseId(name);
    if (found === undefined) throw new UsageError(`there is no ${what} '${name}'`);
    return found;
  };
  return {
    uid: id("user", user, () => users(host).find((it) => it.name === user)?.uid),
    gid: id("group", group, () => groups(host).find((it) => it.name === group)?.gid),
  };
};

const mode = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  if (!/^[0-7]{1,4}$/.test(text)) throw new UsageError(`'${text}' is no mode`, "a mode is octal, e.g. 775");
  return parseInt(text, 8);
};
