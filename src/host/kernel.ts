// Which kernel this is.

import type { Host } from "./host.ts";

/** Whether the kernel is at least `major.minor`; one that does not say is taken for a new one. @see uname(2) */
export const kernelIs = (host: Host, major: number, minor: number): boolean => {
  const release = host.read("/proc/sys/kernel/osrelease");
  if (release === undefined) return true;
  const dot = release.indexOf(".");
  const found = Number.parseInt(release, 10);
  return found > major || (found === major && Number.parseInt(release.slice(dot + 1), 10) >= minor);
};
