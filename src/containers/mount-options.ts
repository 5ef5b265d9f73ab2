// Mount options as fstab(5) and the OCI spec write them: flags by name, the rest for the filesystem.

import { MS } from "../abi/flags.ts";

/** `[bits set, bits cleared]` @see mount(8), "Filesystem-independent mount options" */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  ro: [MS.MS_RDONLY, 0],
  rw: [0, MS.MS_RDONLY],
  nosuid: [MS.MS_NOSUID, 0],
  suid: [0, MS.MS_NOSUID],
  nodev: [MS.MS_NODEV, 0],
  dev: [0, MS.MS_NODEV],
  noexec: [MS.MS_NOEXEC, 0],
  exec: [0, MS.MS_NOEXEC],
  relatime: [MS.MS_RELATIME, 0],
  strictatime: [MS.MS_STRICTATIME, 0],
  bind: [MS.MS_BIND, 0],
  rbind: [MS.MS_BIND | MS.MS_REC, 0],
};

/** The flag word for mount(2), and what is left for the filesystem, null for nothing. */
export const parseMountOptions = (options: readonly string[]): { flags: number; data: string | null } => {
  let flags = 0;
  const rest: string[] = [];
  for (const option of options) {
    const known = FLAGS[option];
    if (known) flags = (flags | known[0]) & ~known[1];
    else rest.push(option);
  }
  return { flags, data: rest.length ? rest.join(",") : null };
};
