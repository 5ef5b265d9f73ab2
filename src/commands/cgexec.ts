// cgexec(1): run a program in control groups.

import { UsageError } from "../abi/errors.ts";
import { allPlaces, type GroupSpec, parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planJoin } from "../cgroups/join.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import type { Plan } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import { carryOut, planOptions } from "./carry-out.ts";
import { command } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";

export const stickyDescription =
  "accepted for libcgroup's sake; it speaks to the daemon cgred, which nsk does not use";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description:
      "a group to run in, in the hierarchies of these controllers; * is all of them. Without any, /etc/cgrules.conf chooses",
  },
  c: {
    type: "boolean",
    description: "ask systemd for a scope to run in, which needs no root; -g is a group inside of it then",
  },
  ...defaultScopeOption,
  sticky: { type: "boolean", description: stickyDescription },
  ...planOptions,
} as const;

export const cgexec = command({
  definition: { meta: { name: "cgexec", description: "Run a program in control groups." }, args: options },
  usage: "[options] -g <controllers>:<path> [-g ...] <program> [<argument>...]",
  // libcgroup's cgexec ends with 1 when it is called wrongly, its other tools with 255.
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const { g, c } = options;
    if (c) {
      if (operands.length === 0) throw noProgram();
      if (options.explain !== undefined || options.emit !== undefined)
        throw new UsageError("-c goes with neither --explain nor --emit: systemd has to be asked first");
      const join = await (await import("./scope.ts")).planInScope(host, g);
      return carryOut(planProgram(name, join, operands, host), options, host);
    }
    // The way that is taken as a rule does not pay for the rules.
    const plan =
      g.length || operands.length === 0
        ? planCgexec(name, g, operands, host)
        : (await import("./cgexec-rules.ts")).planByRules(name, operands, host);
    return carryOut(plan, options, host);
  },
});

/** Enters the groups and becomes the program. */
export const planCgexec = (
  name: string,
  groups: readonly string[],
  words: readonly string[],
  host: Host,
): Plan => {
  const specs: GroupSpec[] = [];
  for (const group of groups) specs.push(parseGroupSpec(group));
  if (words.length === 0) throw noProgram();
  return planProgram(name, planJoin(host, allPlaces(host, readHierarchies(host), specs)), words, host);
};

const noProgram = (): UsageError =>
  new UsageError("no program is given", "e.g. nsk cgexec -g cpu:limited sh");

/** What was joined, and the program behind it. */
export const planProgram = (
  name: string,
  join: readonly CallStep[],
  words: readonly string[],
  host: Host,
): Plan => {
  const program = words[0]!;
  return {
    name,
    failure: STATUS.usage,
    steps: [
      ...join,
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
