// The root of a container: put together, and changed over to.

import { errno } from "../abi/errno.ts";
import { MNT, MOUNT_ATTR, MS } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { type Container, mayOpenDevices } from "./container.ts";
import { openVolumes } from "./volumes.ts";

/** Overlayfs takes colons between layers and commas between options, so those of a path need a backslash. */
export const overlayPath = (path: string): string => path.replace(/[\\:,]/g, (character) => `\\${character}`);

/** `flags`: what it is to be besides not open for devices, where it is not. */
const restrict = (
  container: Container,
  path: string,
  flags: typeof MS.MS_RDONLY | 0,
  about: steps.About,
): CallStep => {
  const isOpen = mayOpenDevices(container);
  // The mount of another user namespace's keeps what it is: MS_REMOUNT, which names all flags anew, would be refused.
  if (container.users)
    return steps.restrictMount(
      path,
      (flags && MOUNT_ATTR.MOUNT_ATTR_RDONLY) | (isOpen ? 0 : MOUNT_ATTR.MOUNT_ATTR_NODEV),
      about,
    );
  const all = MS.MS_REMOUNT | MS.MS_BIND | flags | (isOpen ? 0 : MS.MS_NODEV);
  return steps.mount({ source: null, target: path, fstype: null, flags: all, data: null }, about);
};

export const readonlyRoot = (container: Container): CallStep =>
  restrict(container, "/", MS.MS_RDONLY, { title: "make / read-only" });

/** Letters for lower directories on the page of options that mount(2) takes. */
const MOST_LETTERS = 3900;

/** Lower directories as overlayfs takes them; too many for a page are seen from the directory that all of them lie in. */
const lowerDirectories = (lower: readonly string[]): { from: string | undefined; words: string } => {
  const words = lower.map(overlayPath).join(":");
  const from = lower[0]!.slice(0, lower[0]!.lastIndexOf("/"));
  const isBeside = lower.every((path) => path.lastIndexOf("/") === from.length && path.startsWith(from));
  if (words.length <= MOST_LETTERS || from === "" || !isBeside) return { from: undefined, words };
  return { from, words: lower.map((path) => overlayPath(path.slice(from.length + 1))).join(":") };
};

/** The memory that a throwaway layer is in; the root is put together there, too. */
export const throwawayMemory = (state: string): CallStep =>
  steps.mount(
    {
      source: "tmpfs",
      target: state,
      fstype: "tmpfs",
      flags: MS.MS_NOSUID | MS.MS_NODEV,
      data: "mode=0700",
    },
    { reason: "memory that takes what the container writes, gone with it" },
  );

/** What is written lands in memory, and is gone with the container. */
const overlaid = (container: Container): CallStep[] => {
  const { config, lower, state, users } = container;
  const { path } = config.root;
  const { from, words } = lowerDirectories(lower);
  const own = overlayPath(state);
  return [
    ...(from === undefined
      ? []
      : [steps.chdir(from, { reason: "mount(2) takes a page: the layers by their last names" })]),
    throwawayMemory(state),
    steps.mkdir(`${state}/upper`, 0o755),
    steps.mkdir(`${state}/work`, 0o700),
    steps.mkdir(`${state}/root`, 0o755),
    steps.mount(
      {
        source: "overlay",
        target: `${state}/root`,
        fstype: "overlay",
        flags: mayOpenDevices(container) ? 0 : MS.MS_NODEV,
        data: `lowerdir=${words},upperdir=${own}/upper,workdir=${own}/work${users ? ",userxattr" : ""}`,
      },
      {
        reason: `${path} below, unchanged; what is written lands in the layer above`,
        hints: {
          ...(users && { [errno("EPERM")]: "overlays in user namespaces are there since Linux 5.11" }),
          [errno("ENODEV")]: "the kernel has no overlay: modprobe overlay",
          [errno("EINVAL")]: users
            ? `${path} is itself an overlay over an overlay, or something is mounted in it, and a user namespace may not look behind that`
            : `${path} is itself an overlay over an overlay, and the kernel stacks two at most`,
        },
      },
    ),
  ];
};

/** The directory as it is. */
const itself = (container: Container): CallStep[] => {
  const { path } = container.config.root;
  return [
    steps.mount(
      { source: path, target: path, fstype: null, flags: MS.MS_BIND | MS.MS_REC, data: null },
      { reason: "a root must be a mount", title: `use ${path} as the root` },
    ),
    ...(mayOpenDevices(container)
      ? []
      : [
          restrict(container, path, 0, {
            reason: "device nodes that lie in it open no device",
            title: `use ${path} as the root`,
          }),
        ]),
  ];
};

/** Puts the root together, opens what is bound in from the host, and changes over. @see pivot_root(2) */
export const root = (container: Container, host: Host): Step[] => {
  const { config, lower, state, pieces, users } = container;
  const overlay = lower.length > 0;
  return [
    steps.mount(
      { source: null, target: "/", fstype: null, flags: MS.MS_REC | MS.MS_PRIVATE, data: null },
      {
        title: "make the mounts private",
        reason: "the host sees nothing of the mounts made from here on",
        ...(users?.refusals && { hints: users.refusals }),
      },
    ),
    ...(users?.early ?? []),
    ...(users?.isRoots ? [] : openVolumes(config, host)),
    ...(pieces ?? (overlay ? overlaid(container) : itself(container))),
    steps.chdir(overlay ? `${state}/root` : config.root.path),
    steps.pivotRoot(".", ".", { reason: "the new root; the old one lies over it" }),
    steps.umount(".", MNT.MNT_DETACH, {
      title: "leave the old root",
      reason: "and now the host's tree is out of reach",
    }),
    steps.chdir("/"),
  ];
};
