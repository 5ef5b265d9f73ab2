// This machine's own root for a plain user's container. In a user namespace the kernel puts no overlay over a directory
// that something is mounted in, for it would show what lies below: so each directory that nothing is mounted in gets one
// of its own, and those above are made anew.

import { errno } from "../abi/errno.ts";
import { MOUNT_ATTR, MS } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { parseMountinfo } from "../host/mountinfo.ts";
import type { CallStep } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import { overlayPath, throwawayMemory } from "./root.ts";

/**
 * Puts it together at `STATE/root`. What is mounted shows as an empty directory, as it does below a single overlay. Files
 * that `own` names are made later.
 */
export const rootInPieces = (state: string, own: readonly string[], host: Host): CallStep[] => {
  const base = `${state}/root`;
  const mounts = parseMountinfo(host.read("/proc/self/mountinfo") ?? "").map(({ mountPoint }) => mountPoint);
  let n = 0;
  const piece = (path: string): CallStep[] => {
    const target = `${base}${path}`;
    const link = host.link(path);
    if (link !== undefined) return [steps.symlink(link, target)];
    const kind = host.kind(path);
    if (kind === "file") return own.includes(path) ? [] : file(path, target);
    if (kind !== "directory") return [];
    const mode = (host.mode(path) ?? 0o755) & 0o1777;
    const names = host.list(path);
    const empty = steps.mkdir(target, mode);
    // What the user may not look into is nothing that could be shown.
    if (mounts.includes(path) || names === undefined) return [empty];
    if (mounts.some((point) => point.startsWith(`${path}/`)))
      return [empty, ...names.flatMap((name) => piece(`${path}/${name}`))];
    const [upper, work] = [`${state}/upper/${n}`, `${state}/work/${n}`];
    n++;
    return [
      steps.mkdir(target, 0o755),
      steps.mkdir(upper, mode),
      steps.mkdir(work, 0o700),
      steps.mount(
        {
          source: "overlay",
          target,
          fstype: "overlay",
          flags: MS.MS_NODEV,
          data: `lowerdir=${overlayPath(path)},upperdir=${overlayPath(upper)},workdir=${overlayPath(work)},userxattr`,
        },
        {
          ...(n === 1 && { reason: "unchanged below; what is written lands in the layer above" }),
          hints: {
            [errno("EPERM")]: "overlays in user namespaces are there since Linux 5.11",
            [errno("ENODEV")]: "the kernel has no overlay: modprobe overlay",
          },
        },
      ),
    ];
  };
  return [
    throwawayMemory(state),
    ...["upper", "work"].map((name) => steps.mkdir(`${state}/${name}`, 0o700)),
    steps.mkdir(base, 0o755),
    steps.mount(
      { source: base, target: base, fstype: null, flags: MS.MS_BIND, data: null },
      { reason: "a root must be a mount", title: `use ${base} as the root` },
    ),
    ...(host.list("/") ?? []).toSorted().flatMap((name) => piece(`/${name}`)),
  ];
};

/** One beside which something is mounted. It cannot be changed. */
const file = (path: string, target: string): CallStep[] => [
  steps.ensureFile(target, 0o644),
  steps.mount({ source: path, target, fstype: null, flags: MS.MS_BIND, data: null }),
  steps.restrictMount(target, MOUNT_ATTR.MOUNT_ATTR_RDONLY),
];
