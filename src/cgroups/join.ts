// Entering a group: one write by the process that enters.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { writeFile } from "../plan/steps.ts";
import { HostError } from "../abi/errors.ts";
import { groupDirectory, type Place } from "./groups.ts";
import { type Hierarchies, type Hierarchy, readHierarchies } from "./hierarchies.ts";
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

/** The same by the groups' directories; one that is in no hierarchy that is mounted here is passed over. */
export const planJoinPaths = (host: Host, directories: readonly string[]): CallStep[] => {
  const hierarchies = readHierarchies(host);
  const places: Place[] = directories.flatMap((directory): Place[] => {
    const hierarchy = hierarchies.find(({ mountPoint }) => directory.startsWith(`${mountPoint}/`));
    return hierarchy ? [{ hierarchy, controllers: [], directory, title: directory }] : [];
  });
  // The statuses are libcgroup's.
  return planJoin(host, places).map(({ status: _, ...step }) => step);
};

/**
 * The calling process enters the groups of another one, in every hierarchy that is mounted here. A group that is not
 * below what is mounted (a cgroup namespace hides the rest) is passed over with the others'.
 * @see proc_pid_cgroup(5)
 */
export const planJoinLike = (host: Host, process: number): CallStep[] => {
  const places = placesOf(host, process);
  if (places.length === 0)
    throw new HostError(`the control groups of process ${process} are not mounted here`);
  // The statuses are libcgroup's.
  return planJoin(host, places).map(({ status: _, ...step }) => step);
};

/** The same of those groups alone that are, or are below, one of these directories. */
export const planJoinBelow = (host: Host, process: number, directories: readonly string[]): CallStep[] => {
  const places = placesOf(host, process).filter(({ directory }) =>
    directories.some((it) => directory === it || directory.startsWith(`${it}/`)),
  );
  return planJoin(host, places).map(({ status: _, ...step }) => step);
};

const placesOf = (host: Host, process: number): Place[] => {
  const text = host.read(`/proc/${process}/cgroup`);
  if (text === undefined)
    throw new HostError(`cannot read the control groups of process ${process}`, "there is no such process");
  const hierarchies = readHierarchies(host);
  const places: Place[] = [];
  for (const line of text.split("\n")) {
    // hierarchy:controllers:path, the path from the root of the hierarchy on
    const [, controllers, ...rest] = line.split(":");
    const path = rest.join(":");
    if (controllers === undefined || path === "" || path.startsWith("/..")) continue;
    const hierarchy = hierarchyOf(hierarchies, controllers);
    if (!hierarchy) continue;
    const title = `${controllers || "the group"}:${path}`;
    places.push({ hierarchy, controllers: [], directory: groupDirectory(hierarchy, path), title });
  }
  return places;
};

/** The group that this process is in, as a path from the root of a hierarchy; undefined where that is out of sight. */
export const ownGroup = (host: Host, hierarchy: Hierarchy): string | undefined => {
  for (const line of (host.read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, controllers, ...rest] = line.split(":");
    const path = rest.join(":");
    if (controllers === undefined || path === "" || path.startsWith("/..")) continue;
    if (hierarchyOf([hierarchy], controllers)) return path;
  }
  return undefined;
};

/** The tree of a line of /proc/PID/cgroup: the one with its controllers or its name, or of version 2 for none. */
const hierarchyOf = (hierarchies: Hierarchies, controllers: string): Hierarchy | undefined => {
  for (const hierarchy of hierarchies) {
    if (
      controllers === ""
        ? hierarchy.version === 2
        : hierarchy.version === 1 && isNamed(hierarchy, controllers)
    )
      return hierarchy;
  }
  return undefined;
};

const isNamed = ({ name, controllers }: Hierarchy, text: string): boolean =>
  name === undefined ? text.split(",").every((one) => controllers.includes(one)) : text === `name=${name}`;

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
