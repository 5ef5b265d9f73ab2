// cgclassify(1): move running processes into control groups.

import { HostError, UsageError } from "../abi/errors.ts";
import { planClassify, subjectOf } from "../cgroups/classify.ts";
import { allPlaces, missingGroup, parseGroupSpec, type Place } from "../cgroups/groups.ts";
import { type Hierarchies, readHierarchies } from "../cgroups/hierarchies.ts";
import { planPlacement } from "../cgroups/place.ts";
import { readRules } from "../cgroups/rules.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import type { Plan } from "../plan/plan.ts";
import { carryOutHere, explainOption } from "./carry-out.ts";
import { stickyDescription } from "./cgexec.ts";
import { command } from "./command.ts";
import { defaultScopeOption } from "./default-scope.ts";

const options = {
  g: {
    type: "string",
    multiple: true,
    valueHint: "controllers:path",
    description: "a group to move to (-g may be left out); without any, /etc/cgrules.conf chooses",
  },
  sticky: { type: "boolean", description: stickyDescription },
  cancelSticky: { type: "boolean", description: "likewise" },
  ...defaultScopeOption,
  ...explainOption,
} as const;

export const cgclassify = command({
  definition: {
    meta: { name: "cgclassify", description: "Move running processes into control groups." },
    args: options,
  },
  usage: "[options] [[-g] <controllers>:<path>] ... <pid> ...",
  permute: true,
  failure: 1,
  run: ({ options, operands, host, name }) =>
    carryOutHere(planCgclassify(name, options.g, operands, host), options),
});

/** Groups and process ids are told apart by their form. */
export const planCgclassify = (
  name: string,
  groups: readonly string[],
  words: readonly string[],
  host: Host,
): Plan => {
  const named = [...groups, ...words.filter((word) => word.includes(":"))];
  const pids = words.filter((word) => !word.includes(":"));
  if (named.length === 0 && pids.length === 0)
    throw new UsageError("no process is given", "e.g. nsk cgclassify -g cpu:limited 1234", 2);
  for (const pid of pids)
    if (!/^[1-9]\d*$/.test(pid)) throw new UsageError(`'${pid}' is no process id`, undefined, 2);
  const hierarchies = readHierarchies(host);
  const steps = named.length
    ? planClassify(host, existing(host, hierarchies, named), pids)
    : pids.flatMap((pid) => byRules(host, hierarchies, pid));
  return { name, failure: 1, steps };
};

const existing = (host: Host, hierarchies: Hierarchies, named: readonly string[]): Place[] => {
  const places = allPlaces(host, hierarchies, named.map(parseGroupSpec), 1);
  for (const place of places) if (host.kind(place.directory) !== "directory") throw missingGroup(place, 1);
  return places;
};

const byRules = (host: Host, hierarchies: Hierarchies, pid: string): CallStep[] => {
  const rules = readRules(host);
  if (!rules)
    throw new UsageError(
      "no group is given, and there is no /etc/cgrules.conf to choose one",
      "name it with -g, e.g. nsk cgclassify -g cpu:limited 1234",
      1,
    );
  const subject = subjectOf(host, pid);
  if (!subject) throw new HostError(`there is no process ${pid}`, undefined, 1);
  const { create, places } = planPlacement(host, hierarchies, rules, subject);
  return [...create, ...planClassify(host, places, [pid])];
};
