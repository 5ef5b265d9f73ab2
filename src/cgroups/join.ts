// Entering a group: one write by the process that enters.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { writeFile } from "../plan/steps.ts";
import { HostError } from "../abi/errors.ts";
import type { Place } from "./groups.ts";
import { joinHints } from "./hints.ts";
import { STATUS } from "./status.ts";

/** The calling process enters each group. `0` is "whoever writes". @see cgroups(7) */
export const planJoin = (host: Host, places: readonly Place[]): CallStep[] => {
  refuseTwoGroupsOfVersion2(places);
  const steps: CallStep[] = [];
  for (const place of places) {
    const [open, write, close] = writeFile(`${place.directory}/${entrance(place)}`, "0", {
      title: `join ${place.title} (${place.directory})`,
      hints: joinHints(host, place.hierarchy.version, place.title),
      status: joinStatus(host, place),
      ...(place === places[0] && { reason }),
    }) as [CallStep, CallStep, CallStep];
    steps.push(open, { ...write, status: STATUS.other }, close);
  }
  return steps;
};

/**
 * The file to write to: on version 1 libcgroup's, which is the one that `cgcreate -t` gives away. It moves one thread,
 * and who enters has one. That one alone moves at once: for a whole process the kernel waits for an RCU grace period.
 */
const entrance = ({ hierarchy }: Place): string => (hierarchy.version === 1 ? "tasks" : "cgroup.procs");

const reason = "0 is this process: its limits and what it uses count there from now on";

/** libcgroup tells a group that is not there from one that may not be entered; root may enter any. */
const joinStatus = (host: Host, { directory }: Place): number =>
  host.euid === 0 || host.kind(directory) !== "directory" ? STATUS.noGroup : STATUS.notAllowed;

const refuseTwoGroupsOfVersion2 = (places: readonly Place[]): void => {
  let first: Place | undefined;
  for (const place of places) {
    if (place.hierarchy.version === 1) continue;
    if (first) {
      throw new HostError(
        `${first.title} and ${place.title} are two groups of one hierarchy`,
        "on cgroup v2 a process is in one group for all controllers: make one group and name it for all of them",
        STATUS.other,
      );
    }
    first = place;
  }
};
