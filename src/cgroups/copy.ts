// Copying the settings of one group to others, for `cgset --copy-from`.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { groupDirectory } from "./groups.ts";
import { HostError } from "../abi/errors.ts";
import { controllerFiles } from "./read.ts";
import type { Hierarchies } from "./hierarchies.ts";
import { STATUS } from "./status.ts";
import { planSetting } from "./write.ts";

/** Files that count, report or do something when written to: no settings, though some may be written. */
const noSetting =
  /usage|stat|failcnt|events|\.current$|\.peak$|pressure|effective|\.list$|_serviced?|service_|_time|force_empty|reset_stats|reclaim|slabinfo|kmem|oom_control/;

/** Writes in each group what differs from `source`, in the hierarchies that have both. */
export const planCopy = (
  host: Host,
  hierarchies: Hierarchies,
  source: string,
  groups: readonly string[],
): CallStep[] => {
  const from = hierarchies.filter((it) => host.kind(groupDirectory(it, source)) === "directory");
  if (from.length === 0) {
    throw new HostError(
      `there is no group ${source}`,
      "nsk cgget -a GROUP shows what a group has",
      STATUS.noGroup,
    );
  }
  return groups.flatMap((group) => {
    const both = from.filter((it) => host.kind(groupDirectory(it, group)) === "directory");
    if (both.length === 0) {
      throw new HostError(
        `there is no group ${group} where ${source} is`,
        `make it for the same controllers: nsk cgcreate -g ${from.flatMap((it) => it.controllers).join(",")}:${group}`,
        STATUS.noGroup,
      );
    }
    return both.flatMap((hierarchy) => {
      const [here, there] = [groupDirectory(hierarchy, source), groupDirectory(hierarchy, group)];
      return hierarchy.controllers
        .flatMap((controller) => controllerFiles(host, here, controller))
        .filter((name) => !noSetting.test(name))
        .flatMap((name) => {
          const value = host.read(`${here}/${name}`)?.trim();
          const unchanged = host.read(`${there}/${name}`)?.trim() === value;
          // A table of devices is written line by line.
          return value && !unchanged
            ? value.split("\n").flatMap((line) => planSetting(host, there, { name, value: line }))
            : [];
        });
    });
  });
};
