// Pieces of the host's tree in a container: taken while that can be seen, attached once the root is the new one.

import { errno } from "../abi/errno.ts";
import { type CallStep, slot } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Host } from "../host/host.ts";
import type { Mount } from "./config.ts";
import { directories, parentOf, remountReadonly } from "./mounts.ts";

const volumeSlot = (n: number) => slot(`volume${n}`);

/** Linux 5.12 and later make a whole tree read-only before it is attached. @see mount_setattr(2) */
const hasMountSetattr = (host: Host): boolean => {
  const [major = 0, minor = 0] = (host.read("/proc/sys/kernel/osrelease") ?? "").split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 12);
};

const isReadonly = (mount: Mount): boolean => mount.options.includes("ro");

/** Takes a copy of the host's mounts below `source`, not attached anywhere yet: no path leads there any more. */
export const openVolume = (mount: Mount, n: number, host: Host): CallStep[] => {
  const tree = volumeSlot(n);
  const open = steps.openTree(mount.source, tree, {
    title: `bind ${mount.source}`,
    reason: "taken while the host's tree can be seen",
    hints: { [errno("ENOENT")]: "the source of -v must be there; docker would make a directory of root's" },
  });
  return isReadonly(mount) && hasMountSetattr(host)
    ? [open, steps.readonlyTree(tree, { title: `make ${mount.destination} read-only` })]
    : [open];
};

export const attachVolume = (mount: Mount, n: number, host: Host): CallStep[] => {
  const { destination } = mount;
  const kind = host.kind(mount.source);
  const isDirectory = kind !== "file" && kind !== "other";
  return [
    ...(isDirectory
      ? directories(destination)
      : [...directories(parentOf(destination)), steps.ensureFile(destination, 0o644)]),
    steps.attachTree(volumeSlot(n), destination, {
      hints: { [errno("EINVAL")]: `${destination} is a link in the root, and nothing is mounted on one` },
    }),
    ...(isReadonly(mount) && !hasMountSetattr(host) ? [remountReadonly(destination, 0)] : []),
  ];
};
