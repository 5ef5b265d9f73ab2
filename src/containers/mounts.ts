// The file systems that a container has of its own, and the places that they and others are mounted on.

import { errno } from "../abi/errno.ts";
import { MS, O } from "../abi/flags.ts";
import type { Hierarchies } from "../cgroups/hierarchies.ts";
import { type CallStep, slot } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Mount, OwnFile } from "./config.ts";
import { MOUNTS } from "./defaults.ts";
import { parseMountOptions } from "./mount-options.ts";

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/** Makes a directory and those above it. In a read-only root they must be there: then nothing has to be made. */
export const directories = (path: string, mode = 0o755): CallStep[] => {
  const parts = path.split("/").filter(Boolean);
  return parts.map((_, i) =>
    steps.ensureDirectory(`/${parts.slice(0, i + 1).join("/")}`, mode, {
      tolerate: [errno("EEXIST"), errno("EROFS")],
    }),
  );
};

/** `hierarchies`: the trees in which the container has groups of its own. */
export const fileSystem = (mount: Mount, hierarchies: Hierarchies): CallStep[] => {
  const { flags, data } = parseMountOptions(mount.options);
  const target = mount.destination;
  if (mount.type === "cgroup") return controlGroups(target, flags, hierarchies);
  return [
    ...directory(target),
    steps.mount(
      { source: mount.source, target, fstype: mount.type, flags, data },
      // A kernel without POSIX message queues has no mqueue to mount, and nothing else misses it.
      mount.type === "mqueue" ? { tolerate: [errno("ENODEV")] } : {},
    ),
  ];
};

/** A directory to mount on. */
export const directory = (target: string): CallStep[] => [
  // Those above it are there already, where it is one of docker's own.
  ...(MADE.includes(target) ? [steps.ensureDirectory(target, 0o755)] : directories(target)),
  ...(SOLID.includes(target) ? solid(target) : []),
];

/** The directories above a file to mount on. */
export const parents = (target: string): CallStep[] =>
  MADE.includes(parentOf(target)) ? [] : directories(parentOf(target));

const MADE: readonly string[] = MOUNTS.map(({ destination }) => destination);

/** Where a link would have the container's own file systems, and what protects them, lie elsewhere (CVE-2019-19921). */
const SOLID: readonly string[] = ["/proc", "/sys", "/dev"];

const solid = (path: string): CallStep[] => {
  const [directory, title] = [slot("directory"), `use ${path}`];
  return [
    steps.openDirectory(path, directory, {
      title,
      hints: { [errno("ENOTDIR")]: `${path} of the root must be a directory, and no link` },
    }),
    steps.close(directory, { title }),
  ];
};

/**
 * The container's view of its control groups, read-only: its own groups are the roots. Where it has none of its own
 * there is nothing to see but the host's, and they are none of its business.
 */
export const controlGroups = (target: string, flags: number, hierarchies: Hierarchies): CallStep[] => {
  const [only] = hierarchies;
  const view = (path: string, fstype: string, data: string | null): CallStep =>
    steps.mount({ source: fstype, target: path, fstype, flags, data }, { onError: "ignore" });
  if (only === undefined) return [];
  if (hierarchies.length === 1 && only.version === 2) return [view(target, "cgroup2", null)];
  return [
    steps.mount({ source: "tmpfs", target, fstype: "tmpfs", flags: flags & ~MS.MS_RDONLY, data: "mode=755" }),
    ...hierarchies.flatMap((hierarchy) => {
      const name = hierarchy.mountPoint.slice(hierarchy.mountPoint.lastIndexOf("/") + 1);
      const path = `${target}/${name}`;
      const options =
        hierarchy.name === undefined ? hierarchy.controllers.join(",") : `name=${hierarchy.name}`;
      return [
        steps.mkdir(path, 0o755),
        hierarchy.version === 2 ? view(path, "cgroup2", null) : view(path, "cgroup", options),
      ];
    }),
    steps.mount(
      {
        source: null,
        target,
        fstype: null,
        flags: flags | MS.MS_REMOUNT | MS.MS_BIND | MS.MS_RDONLY,
        data: null,
      },
      { title: `make ${target} read-only` },
    ),
  ];
};

/** The flags of a bind mount are replaced, not added to: `flags` are those that it is to keep. */
export const remountReadonly = (
  target: string,
  flags: number,
  about?: Pick<steps.About, "tolerate">,
): CallStep =>
  steps.mount(
    {
      source: null,
      target,
      fstype: null,
      flags: MS.MS_REMOUNT | MS.MS_BIND | MS.MS_RDONLY | flags,
      data: null,
    },
    { title: `make ${target} read-only`, ...about },
  );

/** What the root has of that name is put away first: a link of an image's leads to no other file. */
export const ownFile = ({ path, text }: OwnFile): CallStep[] => {
  const [file, title] = [slot("file"), `write ${path}`];
  return [
    steps.unlink(path, { tolerate: [errno("ENOENT")] }),
    steps.open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, file, { mode: 0o644, title }),
    ...(text === "" ? [] : [steps.write(file, text, title)]),
    steps.close(file, { title }),
  ];
};
