// The control groups of a bundle: one path, in every hierarchy that has controllers, as runc has it; so whoever made the
// config finds them, and all processes of the container are in each.

import { errno } from "../abi/errno.ts";
import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { rmdir } from "../plan/steps.ts";
import { draft, planGroup } from "./create.ts";
import { type DeviceRule, locateDeviceFilter, planDevices } from "./devices.ts";
import { groupDirectory, type Place, refuseMounts, relativePath } from "./groups.ts";
import { type Hierarchies, locate, readHierarchies } from "./hierarchies.ts";
import { planJoin } from "./join.ts";
import type { LimitsPlan } from "./limits.ts";
import { type Resources, settingsOf } from "./resources.ts";
import type { Setting } from "./settings.ts";
import { planSettings } from "./write.ts";

/** `path` is from the root of each hierarchy on. Throws {@link HostError} for what cannot be had here. */
export const planBundleGroups = (
  host: Host,
  path: string,
  resources: Resources,
  devices: readonly DeviceRule[],
): LimitsPlan => {
  if (relativePath(path) === "")
    throw new HostError(`linux.cgroupsPath '${path}' is the root of all groups, which no container may have`);
  const hierarchies = readHierarchies(host).filter(
    ({ version, controllers, readonly }) => !readonly && (version === 2 || controllers.length > 0),
  );
  const places: Place[] = hierarchies.map((hierarchy) => ({
    hierarchy,
    controllers: hierarchy.controllers,
    directory: groupDirectory(hierarchy, path),
    title: `${hierarchy.controllers.join(",")}:${path}`,
  }));
  for (const place of places) refuseMounts(host, place);
  const on = draft(host);
  const made = places.flatMap((place) => planGroup(on, place));
  const filter = locateDeviceFilter(host, hierarchies);
  const settings = withoutSwap(settingsOf(resources, hierarchies), hierarchies, host);
  const written = planSettings(host, hierarchies, { groups: [path], settings, draft: on });
  return {
    hierarchies,
    groups: places.map(({ directory }) => directory),
    create: [
      ...made,
      ...(filter
        ? planDevices(groupDirectory(filter.hierarchy, path), filter.hierarchy.version, devices)
        : []),
      ...written.steps,
    ].map(plain),
    join: planJoin(host, places).map(plain),
    notices: [],
    remove: places.map(({ directory }) =>
      rmdir(directory, { title: `remove the group ${directory}`, tolerate: [errno("ENOENT")] }),
    ),
    filtersDevices: filter !== undefined,
  };
};

/** New limits for the groups of a bundle, by their directories. Throws {@link HostError} for what cannot be had here. */
export const planBundleUpdate = (host: Host, groups: readonly string[], resources: Resources): CallStep[] => {
  const hierarchies = readHierarchies(host).filter(({ mountPoint }) =>
    groups.some((group) => group.startsWith(`${mountPoint}/`)),
  );
  const [first] = hierarchies;
  const group = groups.find((it) => first && it.startsWith(`${first.mountPoint}/`));
  if (!first || group === undefined) throw new HostError("the container has no control groups here");
  const path = group.slice(first.mountPoint.length);
  const settings = withoutSwap(settingsOf(resources, hierarchies), hierarchies, host);
  return planSettings(host, hierarchies, { groups: [path], settings }).steps.map(plain);
};

/** A kernel that does not count swap has no file for it; engines give a limit all the same. */
const withoutSwap = (settings: readonly Setting[], hierarchies: Hierarchies, host: Host): Setting[] => {
  const memory = locate(hierarchies, "memory")?.hierarchy;
  const name = "memory.memsw.limit_in_bytes";
  const counts = memory?.version !== 1 || host.kind(`${memory.mountPoint}/${name}`) !== undefined;
  return counts ? [...settings] : settings.filter((setting) => setting.name !== name);
};

/** The statuses of libcgroup's tools are none of a runtime's. */
const plain = ({ status: _, ...step }: CallStep): CallStep => step;
