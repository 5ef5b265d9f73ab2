// Groups as they are named on a command line, `cpu,memory:path`, and the directories that they are. On the way of
// every cgexec, so loops stand where a method would do: JavaScriptCore compiles filter, find or flatMap when a process
// first calls it, a tenth of a millisecond each.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { parseMountinfo } from "../host/mountinfo.ts";
import { allControllers, type Hierarchies, type Hierarchy, locate } from "./hierarchies.ts";
import { missingController } from "./missing.ts";
import { STATUS } from "./status.ts";

/** What `-g` names: the same path in the trees of some controllers. */
export interface GroupSpec {
  readonly controllers: readonly string[];
  readonly path: string;
}

/** One directory that is asked for. */
export interface Place {
  readonly hierarchy: Hierarchy;
  /** The controllers that it is asked for, by their names there; `""` is none in particular. */
  readonly controllers: readonly string[];
  readonly directory: string;
  /** As the user would name it: `cpu:limited`. */
  readonly title: string;
}

/** Reads `controllers:path`. The path is empty for the root only when it says so (`cpu:/`). */
export const parseGroupSpec = (text: string): GroupSpec => {
  const colon = text.indexOf(":");
  const controllers = text.slice(0, Math.max(colon, 0)).split(",");
  const path = text.slice(colon + 1);
  if (controllers.includes("") || path === "") {
    throw new UsageError(
      `'${text}' is no group`,
      "a group is CONTROLLERS:PATH, e.g. cpu,memory:limited",
      STATUS.usage,
    );
  }
  return { controllers, path };
};

/** `a/b` for `/a//b/`, `""` for the root. A path that would leave the hierarchy is refused. */
export const relativePath = (path: string): string => {
  let relative = "";
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name === "..") {
      throw new UsageError(
        `the group '${path}' leads out of its hierarchy`,
        "a path of groups begins at the root of the hierarchy and has no '..'",
        STATUS.usage,
      );
    }
    relative = relative === "" ? name : `${relative}/${name}`;
  }
  return relative;
};

/** The directory of a group. */
export const groupDirectory = (hierarchy: Hierarchy, path: string): string => {
  const relative = relativePath(path);
  const root = hierarchy.mountPoint === "/" ? "" : hierarchy.mountPoint;
  return relative ? `${root}/${relative}` : hierarchy.mountPoint;
};

/** Whether what is in a group of version 2 stands still, by the group's own setting or by that of one above. */
export const isFrozen = (host: Host, directory: string): boolean =>
  /^frozen 1$/m.test(host.read(`${directory}/cgroup.events`) ?? "");

/** The directories above a group's own, from the root of the hierarchy down. */
export const ancestors = (hierarchy: Hierarchy, directory: string): string[] => {
  const root = hierarchy.mountPoint === "/" ? "" : hierarchy.mountPoint;
  const names = directory.slice(root.length).split("/").filter(Boolean);
  return names.map((_, i) => [root, ...names.slice(0, i)].join("/") || "/");
};

/**
 * The directories that a spec means, each once: co-mounted controllers share theirs. `status` is that of the error for
 * a controller that is not mounted.
 */
export const placesOf = (host: Host, hierarchies: Hierarchies, spec: GroupSpec, status?: number): Place[] => {
  const asked = spec.controllers.includes("*") ? withAll(hierarchies, spec.controllers) : spec.controllers;
  const places: (Place & { readonly controllers: string[]; title: string })[] = [];
  for (const name of asked) {
    const location = locate(hierarchies, name);
    if (!location) throw missingController(host, hierarchies, name, status);
    const { hierarchy, controller } = location;
    let place: (typeof places)[number] | undefined;
    for (const it of places) if (it.hierarchy === hierarchy) place = it;
    if (place) {
      if (!place.controllers.includes(controller)) place.controllers.push(controller);
      place.title = `${place.title.slice(0, place.title.indexOf(":"))},${name}:${spec.path}`;
    } else {
      const directory = groupDirectory(hierarchy, spec.path);
      places.push({ hierarchy, controllers: [controller], directory, title: `${name}:${spec.path}` });
    }
  }
  return places;
};

const withAll = (hierarchies: Hierarchies, controllers: readonly string[]): string[] =>
  controllers.flatMap((name) => (name === "*" ? allControllers(hierarchies) : [name]));

/** The directories of several specs, in their order, each once. */
export const allPlaces = (
  host: Host,
  hierarchies: Hierarchies,
  specs: readonly GroupSpec[],
  status?: number,
): Place[] => {
  const places: Place[] = [];
  for (const spec of specs) for (const place of placesOf(host, hierarchies, spec, status)) add(places, place);
  return places;
};

const add = (places: Place[], place: Place): void => {
  for (let i = 0; i < places.length; i++) {
    const same = places[i]!;
    if (same.directory !== place.directory) continue;
    places[i] = { ...same, controllers: union(same.controllers, place.controllers) };
    return;
  }
  places.push(place);
};

const union = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])];

/**
 * Refuses a directory that is not in its hierarchy although its path says so: something is mounted on it or above it,
 * and with `tree` also below it. (Symbolic links cannot be made in a hierarchy.)
 */
export const refuseMounts = (
  host: Host,
  { hierarchy, directory, title }: Place,
  how: "path" | "tree" = "path",
): void => {
  const root = hierarchy.mountPoint;
  for (const { mountPoint } of parseMountinfo(host.read("/proc/self/mountinfo") ?? "")) {
    if (!isWithin(mountPoint, root) || mountPoint === root) continue;
    if (isWithin(directory, mountPoint) || (how === "tree" && isWithin(mountPoint, directory)))
      throw new HostError(
        `the group ${title} leads out of its hierarchy`,
        `something else is mounted on ${mountPoint}`,
        STATUS.other,
      );
  }
};

const isWithin = (path: string, directory: string): boolean =>
  path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);

/** The error for a group that should be there. */
export const missingGroup = (place: Pick<Place, "title" | "directory">, status: number): HostError =>
  new HostError(
    `there is no group ${place.title} (${place.directory})`,
    // What every group of version 2 has is no controller's, and cgcreate takes controllers.
    place.title.startsWith("cgroup:")
      ? "it would be one of cgroup v2: nsk cgcreate makes it for a controller that is there"
      : `make it: nsk cgcreate -g ${place.title}`,
    status,
  );
