// Where the records of running containers are: root's in one place of the machine's, those of other users each in a
// directory that is theirs alone. What somebody else could have written there would name processes to be killed and
// directories to be removed.

import { HostError } from "../abi/errors.ts";
import type { Entry, Host } from "../host/host.ts";
import { STATE } from "./record.ts";

/**
 * Root's is `/run/nsk`, a plain user's lies in `$XDG_RUNTIME_DIR`, else in `/run/user/UID`, where these are the user's
 * own, and else is `/tmp/nsk-UID`.
 */
export const statePath = (host: Host): string => {
  const { euid } = host;
  if (euid === 0 && isRoots(host)) return STATE;
  for (const directory of [host.env("XDG_RUNTIME_DIR"), `/run/user/${euid}`])
    if (directory?.startsWith("/") && isPrivate(host.entry(directory), euid)) return `${directory}/nsk`;
  return `/tmp/nsk-${euid}`;
};

/** Root of a user namespace may have a /run of its own, as in a container, or see that of the machine's. */
const isRoots = (host: Host): boolean => ["/run", STATE].every((path) => (host.entry(path)?.uid ?? 0) === 0);

/** Nobody else can change what is in it. Its name is safe as well where it lies in one like it, or in a sticky /tmp. */
const isPrivate = (entry: Entry | undefined, uid: number): boolean =>
  entry?.type === "directory" && entry.uid === uid && (entry.mode & 0o022) === 0;

/** {@link statePath}, undefined where it is not this user's own: then there are no records to be believed. */
export const ownStatePath = (host: Host): string | undefined => {
  const path = statePath(host);
  return path === STATE || isPrivate(host.entry(path), host.euid) ? path : undefined;
};

/** Throws {@link HostError} where something is in the place of a plain user's directory that is not hers. */
export const checkStatePath = (path: string, host: Host): void => {
  const entry = host.entry(path);
  if (path === STATE || !entry || isPrivate(entry, host.euid)) return;
  throw new HostError(
    `${path} is ${entry.type === "directory" ? "not this user's alone" : "no directory"}, and records of containers would be anybody's there`,
    entry.uid === host.euid ? `rm -r ${path}` : `it belongs to user ${entry.uid}: ls -ld ${path}`,
  );
};
