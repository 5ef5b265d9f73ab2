// cgexec(1) without -g: /etc/cgrules.conf chooses the groups. A file of its own, because a start with -g does not need it.

import { HostError } from "../abi/errors.ts";
import { missingGroup } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planJoin } from "../cgroups/join.ts";
import { planPlacement } from "../cgroups/place.ts";
import { readRules } from "../cgroups/rules.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { planProgram } from "./cgexec.ts";

/** Makes what a template asks for, enters the groups and becomes the program. No rule for it is no group to enter. */
export const planByRules = (name: string, words: readonly string[], host: Host): Plan => {
  const rules = readRules(host);
  if (!rules)
    throw new HostError(
      "no group is given, and there is no /etc/cgrules.conf to choose one",
      "name it with -g, e.g. nsk cgexec -g cpu:limited sh",
      STATUS.noRules,
    );
  // The process that becomes the program is this one.
  const [pid = ""] = (host.read("/proc/self/stat") ?? "").split(" ");
  const subject = { uid: host.euid, gid: host.egid, pid, program: words[0]! };
  const { create, places } = planPlacement(host, readHierarchies(host), rules, subject);
  for (const place of places)
    if (create.length === 0 && host.kind(place.directory) !== "directory")
      throw missingGroup(place, STATUS.noGroup);
  return planProgram(name, [...create, ...planJoin(host, places)], words, host);
};
