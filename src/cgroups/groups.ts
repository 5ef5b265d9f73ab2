// Groups as they are named on a command line, `cpu,memory:path`, and the directories that they are.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
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
  const controllers = text.slice(0, Math.max(colon, 0)).split(",").filter(Boolean);
  const path = text.slice(colon + 1);
  if (controllers.length === 0 || path === "") {
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
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) {
    throw new UsageError(
      `the group '${path}' leads out of its hierarchy`,
      "a path of groups begins at the root of the hierarchy and has no '..'",
      STATUS.usage,
    );
  }
  return names.join("/");
};

/** The directory of a group. */
export const groupDirectory = (hierarchy: Hierarchy, path: string): string => {
  const relative = relativePath(path);
  const root = hierarchy.mountPoint === "/" ? "" : hierarchy.mountPoint;
  return relative ? `${root}/${relative}` : hierarchy.mountPoint;
};

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
export const placesOf = (
  host: Host,
  hierarchies: Hierarchies,
  { controllers, path }: GroupSpec,
  status?: number,
): Place[] => {
  const places = new Map<Hierarchy, { names: string[]; asked: string[] }>();
  const asked = controllers.flatMap((name) => (name === "*" ? allControllers(hierarchies) : [name]));
  for (const name of asked) {
    const location = locate(hierarchies, name);
    if (!location) throw missingController(host, hierarchies, name, status);
    const place = places.get(location.hierarchy);
    if (place) {
      if (!place.names.includes(location.controller)) place.names.push(location.controller);
      place.asked.push(name);
    } else {
      places.set(location.hierarchy, { names: [location.controller], asked: [name] });
    }
  }
  return [...places].map(([hierarchy, { names, asked }]) => ({
    hierarchy,
    controllers: names,
    directory: groupDirectory(hierarchy, path),
    title: `${asked.join(",")}:${path}`,
  }));
};

/** The directories of several specs, in their order, each once. */
export const allPlaces = (
  host: Host,
  hierarchies: Hierarchies,
  specs: readonly GroupSpec[],
  status?: number,
): Place[] => {
  const places = new Map<string, Place>();
  for (const place of specs.flatMap((spec) => placesOf(host, hierarchies, spec, status))) {
    const same = places.get(place.directory);
    const controllers = same ? [...new Set([...same.controllers, ...place.controllers])] : place.controllers;
    places.set(place.directory, same ? { ...same, controllers } : place);
  }
  return [...places.values()];
};

/** The error for a group that should be there. */
export const missingGroup = (place: Pick<Place, "title" | "directory">, status: number): HostError =>
  new HostError(
    `there is no group ${place.title} (${place.directory})`,
    `make it: nsk cgcreate -g ${place.title}`,
    status,
  );
