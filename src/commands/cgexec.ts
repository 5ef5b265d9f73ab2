// cgexec(1): run a program in control groups.

import { UsageError } from "../abi/errors.ts";
import { allPlaces, type GroupSpec, parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planJoin } from "../cgroups/join.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import { carryOut, planOptions } from "./carry-out.ts";
import { command } from "./command.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to run in, in the hierarchies of these controllers; * is all of them",
  },
  sticky: {
    type: "boolean",
    description: "accepted for libcgroup's sake; it speaks to the daemon cgred, which nsk does not use",
  },
  ...planOptions,
} as const;

export const cgexec = command({
  definition: { meta: { name: "cgexec", description: "Run a program in control groups." }, args: options },
  usage: "[options] -g <controllers>:<path> [-g ...] <program> [<argument>...]",
  // libcgroup's cgexec ends with 1 when it is called wrongly, its other tools with 255.
  failure: 1,
  run: ({ options, operands, host, name }) =>
    carryOut(planCgexec(name, options.g, operands, host), options, host),
});

/** Enters the groups and becomes the program. */
export const planCgexec = (
  name: string,
  groups: readonly string[],
  words: readonly string[],
  host: Host,
): Plan => {
  const [program] = words;
  if (program === undefined) throw new UsageError("no program is given", "e.g. nsk cgexec -g cpu:limited sh");
  if (groups.length === 0) {
    throw new UsageError(
      "no group is given",
      "name it with -g; libcgroup's /etc/cgrules.conf, which would choose one, is not read",
      STATUS.noRules,
    );
  }
  const specs: GroupSpec[] = [];
  for (const group of groups) specs.push(parseGroupSpec(group));
  const places = allPlaces(host, readHierarchies(host), specs);
  return {
    name,
    failure: STATUS.usage,
    steps: [
      ...planJoin(host, places),
      {
        kind: "exec",
        program,
        argv: words,
        candidates: programCandidates(program, host.env("PATH")),
        status: STATUS.usage,
        reason: "become the program",
      },
    ],
  };
};
