// Pieces of the host's tree in a container: taken while that can be seen, attached once the root is the new one.

import { errno } from "../abi/errno.ts";
import { CLONE, MS, O } from "../abi/flags.ts";
import { type CallStep, type Slot, slot } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import * as steps from "../plan/steps.ts";
import type { Host } from "../host/host.ts";
import { kernelIs } from "../host/kernel.ts";
import type { Config, Mount } from "./config.ts";
import { directory, parents, remountReadonly } from "./mounts.ts";

/** The number is that in the config's mounts. */
export const volumeSlot = (n: number) => slot(`volume${n}`);

/** Linux 5.12 and later make a whole tree read-only before it is attached. @see mount_setattr(2) */
const hasMountSetattr = (host: Host): boolean => kernelIs(host, 5, 12);

const isReadonly = (mount: Mount): boolean => mount.options.includes("ro");

/** Takes a copy of the host's mounts below `source`, not attached anywhere yet: no path leads there any more. */
export const openVolume = (mount: Mount, n: number, host: Host): CallStep[] => {
  const tree = volumeSlot(n);
  if (mount.of !== undefined) return openOthers(mount.source, slot(mount.of), tree);
  const open = steps.openTree(mount.source, tree, {
    title: `bind ${mount.source}`,
    reason: "taken while the host's tree can be seen",
    hints: { [errno("ENOENT")]: "the source of -v must be there; docker would make a directory of root's" },
  });
  return isReadonly(mount) && hasMountSetattr(host)
    ? [open, steps.readonlyTree(tree, { title: `make ${mount.destination} read-only` })]
    : [open];
};

/** A mount is copied where it is: this process goes there, resolves the path with that root, and comes back. */
const openOthers = (source: string, process: Slot, tree: Slot): CallStep[] => {
  const [here, root, mounts] = [slot("here"), slot("own root"), slot("own mounts")];
  const title = `bind ${source} of another container`;
  const held = O.O_PATH | O.O_CLOEXEC;
  return [
    steps.open("/proc/self/ns/mnt", O.O_RDONLY | O.O_CLOEXEC, mounts, { title, reason: "the way back" }),
    steps.open("/", held, root, { title }),
    steps.open(".", held, here, { title }),
    enter.setns(process, CLONE.CLONE_NEWNS, title),
    steps.openTree(source, tree, { title }),
    enter.setns(mounts, CLONE.CLONE_NEWNS, title, { reason: "and back, as it was" }),
    enter.changeToOpen(root, title),
    steps.chroot(".", { title }),
    enter.changeToOpen(here, title),
  ];
};

/** {@link openVolume} for all that there are. */
export const openVolumes = ({ mounts }: Config, host: Host): CallStep[] =>
  mounts.flatMap((mount, i) => (mount.type === "bind" ? openVolume(mount, i, host) : []));

export const closeVolumes = ({ mounts }: Config): CallStep[] =>
  mounts.flatMap(({ type, source }, i) =>
    type === "bind" ? [steps.close(volumeSlot(i), { title: `bind ${source}` })] : [],
  );

/** `isShared`: it was taken where the host's mounts are not private. */
export const attachVolume = (mount: Mount, n: number, host: Host, isShared: boolean): CallStep[] => {
  const { destination } = mount;
  const kind = mount.type === "bind" ? host.kind(mount.source) : "directory";
  const isDirectory = kind !== "file" && kind !== "other";
  return [
    ...(isDirectory
      ? directory(destination)
      : [...parents(destination), steps.ensureFile(destination, 0o644)]),
    steps.attachTree(volumeSlot(n), destination, {
      hints: { [errno("EINVAL")]: `${destination} is a link in the root, and nothing is mounted on one` },
    }),
    ...(isShared
      ? [
          steps.mount(
            {
              source: null,
              target: destination,
              fstype: null,
              flags: MS.MS_REC | MS.MS_PRIVATE,
              data: null,
            },
            {
              title: `make ${destination} private`,
              reason: "the host sees nothing of mounts in it, nor the other way",
            },
          ),
        ]
      : []),
    ...(isReadonly(mount) && !hasMountSetattr(host) ? [remountReadonly(destination, 0)] : []),
  ];
};
