// The controllers of a host and where each is, as lssubsys shows them: also those that nothing has mounted.

import type { Host } from "../host/host.ts";
import { type Mount, parseMountinfo } from "../host/mountinfo.ts";
import { knownControllers, wordsOf } from "./hierarchies.ts";

/** A hierarchy with its controllers, or one controller that is in none. */
export interface Subsystem {
  readonly controllers: readonly string[];
  /** 0 for a controller that is in no hierarchy. */
  readonly version: 0 | 1 | 2;
  /** The kernel's number of the hierarchy; 0 for version 2. */
  readonly hierarchy: number;
  readonly mountPoints: readonly string[];
  /** The kernel was started without it (cgroup_disable=). */
  readonly disabled?: true;
}

/**
 * In libcgroup's order: what is in no hierarchy, then the hierarchies of version 1 by their first controller; and behind
 * them version 2, where it has controllers.
 */
export const readSubsystems = (host: Host): Subsystem[] => {
  const rows = knownControllers(host);
  const mounts = parseMountinfo(host.read("/proc/self/mountinfo") ?? "", "cgroup");
  const unified = unifiedOf(host, mounts);
  const nowhere: Subsystem[] = [];
  const version1 = new Map<number, string[]>();
  for (const { name, hierarchy, enabled } of rows) {
    if (hierarchy !== 0) version1.set(hierarchy, [...(version1.get(hierarchy) ?? []), name]);
    else if (!unified?.controllers.includes(name))
      nowhere.push({
        controllers: [name],
        version: 0,
        hierarchy,
        mountPoints: [],
        ...(!enabled && { disabled: true }),
      });
  }
  const attached = [...version1].map(([hierarchy, controllers]): Subsystem => ({
    controllers,
    version: 1,
    hierarchy,
    mountPoints: mounts
      .filter(({ fstype, superOptions }) => fstype === "cgroup" && superOptions.includes(controllers[0]!))
      .map(({ mountPoint }) => mountPoint),
  }));
  return [...nowhere, ...attached, ...(unified ? [unified] : [])];
};

const unifiedOf = (host: Host, mounts: readonly Mount[]): Subsystem | undefined => {
  const mountPoints = mounts.filter(({ fstype }) => fstype === "cgroup2").map(({ mountPoint }) => mountPoint);
  const [first] = mountPoints;
  const controllers = wordsOf(first && host.read(`${first}/cgroup.controllers`));
  return controllers.length ? { controllers, version: 2, hierarchy: 0, mountPoints } : undefined;
};
