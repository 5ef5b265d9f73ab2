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
export const isInUserNamespace = (host: Host): boolean =>
  host.read("/proc/self/uid_map")?.trim().split(/ +/)[2] !== "4294967295";
