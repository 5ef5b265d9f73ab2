// The likely cause of a failure, by its error number: what the kernel's one word means for control groups.

import { errno } from "../abi/errno.ts";
import type { Host } from "../host/host.ts";

export type Hints = Readonly<Record<number, string>>;

const EPERM = errno("EPERM");
const EACCES = errno("EACCES");
const EROFS = errno("EROFS");
const EBUSY = errno("EBUSY");
const ENOENT = errno("ENOENT");
const ENOSPC = errno("ENOSPC");
const EINVAL = errno("EINVAL");
const ERANGE = errno("ERANGE");
const EAGAIN = errno("EAGAIN");
const EOPNOTSUPP = errno("EOPNOTSUPP");

/** What any change of a hierarchy can meet. */
const privilege = (host: Host): Hints => {
  const who =
    host.euid === 0
      ? "this root has no power over the hierarchy: it is root of a user namespace or a container"
      : "run it as root, or let root give you a group: nsk cgcreate -a USER -t USER -g …";
  return {
    [EPERM]: who,
    [EACCES]: who,
    [EROFS]: "the hierarchy is mounted read-only, as in most containers",
  };
};

/** mkdir(2) of a group. */
export const makeHints = (host: Host): Hints => ({
  ...privilege(host),
  [EAGAIN]: "cgroup.max.depth or cgroup.max.descendants of a group above allows no more",
  [ENOSPC]: "the kernel has room for no more groups of this controller",
});

/** rmdir(2) of a group. */
export const removeHints = (host: Host, below: readonly string[]): Hints => ({
  ...privilege(host),
  [EBUSY]: below.length
    ? `there are groups below it (${some(below)}): -r removes them too`
    : "a process is in it, or was until just now",
});

/** Why a plain user who owns a group may not move a process to it, and what helps. */
const ancestorHint = (host: Host): string =>
  `a plain user moves a process only within a group that is hers or his, from below it to below it (cgroups(7), delegation): ${
    host.kind("/run/systemd/system") === "directory"
      ? "systemd-run --user --scope -p MemoryMax=64M PROGRAM, or nsk cgexec -c -g memory:NAME PROGRAM"
      : "root puts the shell there first: nsk cgclassify -g … $$"
  }`;

/** Writing `0` to cgroup.procs. */
export const joinHints = (host: Host, version: 1 | 2, title: string): Hints => ({
  ...privilege(host),
  ...(version === 2 && host.euid !== 0 && { [EACCES]: ancestorHint(host) }),
  [ENOENT]: `there is no such group; make it: nsk cgcreate -g ${title}`,
  ...(version === 1
    ? { [ENOSPC]: "cpuset.cpus or cpuset.mems of the group is empty; nsk cgset fills them" }
    : {
        [EBUSY]:
          "it hands controllers on to groups below it, and such a group may hold no processes itself (cgroups(7), no internal processes)",
        [EOPNOTSUPP]: "the group is threaded; see cgroup.type there",
      }),
});

/** Writing a setting. */
export const settingHints = (host: Host, name: string): Hints => ({
  ...privilege(host),
  [EINVAL]: `the kernel does not take this value for ${name}, or ${name} can only be read`,
  [ERANGE]: `the value is out of the range that ${name} has on this machine`,
  [EBUSY]: name.startsWith("memory.")
    ? "the group uses more than that already and cannot give enough back"
    : "the group has processes or groups below it that need what would be taken away",
  ...(name.startsWith("cpuset.") && {
    [ENOSPC]: "the group has processes, and its cpuset.cpus or cpuset.mems would be empty",
    [EACCES]: "the group above does not have these itself",
  }),
});

/** Writing `+CONTROLLER` to the cgroup.subtree_control of `directory`. */
export const enableHints = (host: Host, directory: string, isRoot: boolean): Hints => ({
  ...privilege(host),
  [ENOENT]: `${directory}/cgroup.controllers has not all of these: the group above does not hand them on`,
  [EBUSY]: isRoot
    ? `processes are in ${directory} itself, which is not the kernel's own root (a container's, then)${holders(host, directory)}`
    : `a group that hands controllers on may hold no processes itself (cgroups(7), no internal processes)${holders(host, directory)}`,
  [EOPNOTSUPP]: `${directory} is threaded; see cgroup.type there`,
});

/** `; it holds 12 (bash), 15 (sleep)` */
const holders = (host: Host, directory: string): string => {
  const pids = (host.read(`${directory}/cgroup.procs`) ?? "").split("\n").filter(Boolean);
  if (pids.length === 0) return "";
  const shown = pids.slice(0, SHOWN).map((pid) => {
    const comm = host.read(`/proc/${pid}/comm`)?.trim();
    return comm ? `${pid} (${comm})` : pid;
  });
  return `; it holds ${shown.join(", ")}${pids.length > SHOWN ? ` and ${pids.length - SHOWN} more` : ""}`;
};

const SHOWN = 4;

const some = (names: readonly string[]): string =>
  names.slice(0, SHOWN).join(", ") + (names.length > SHOWN ? ", …" : "");
