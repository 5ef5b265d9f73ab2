// What is kept of a container that nobody waits for: a directory by its id, beside the store of images, with what it is
// (as in its record), what it printed, and how it ended.

import { findStorePath, storePath } from "../host/store-path.ts";
import type { Host } from "../host/host.ts";

/** Where the directories are: not in /run, which is memory, and gone when the machine starts again. */
export const keptPath = (host: Host): string => `${storePath(host)}/containers`;

/** The same, undefined for a user who has no place for such: then there are none. */
export const findKeptPath = (host: Host): string | undefined => {
  const store = findStorePath(host);
  return store === undefined ? undefined : `${store}/containers`;
};

/** The files of a container's directory. */
export const KEPT = { details: "container.json", log: "log", end: "end" } as const;
