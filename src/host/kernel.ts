// Which kernel this is, and whether all of it is there.

import type { Host } from "./host.ts";

/** Whether the kernel is at least `major.minor`; one that does not say is taken for a new one. @see uname(2) */
export const kernelIs = (host: Host, major: number, minor: number): boolean => {
  const release = host.read("/proc/sys/kernel/osrelease");
  if (release === undefined) return true;
  const dot = release.indexOf(".");
  const found = Number.parseInt(release, 10);
  return found > major || (found === major && Number.parseInt(release.slice(dot + 1), 10) >= minor);
};

/** Whether this process is in a user namespace below the first, whose root may do less. @see user_namespaces(7) */
export const isInUserNamespace = (host: Host): boolean => {
  const map = host.read("/proc/self/uid_map");
  return map !== undefined && map.trim().split(/ +/)[2] !== "4294967295";
};

/** Whether there is no id but the own one. */
export const hasOneId = (host: Host): boolean =>
  /^\s*\d+\s+\d+\s+1\s*$/.test(host.read("/proc/self/uid_map") ?? "");

/** Whether this is root, and of the whole machine: not of a user namespace. */
export const isRootOfAll = (host: Host): boolean => host.euid === 0 && !isInUserNamespace(host);
