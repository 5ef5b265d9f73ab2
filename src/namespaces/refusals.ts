// Why this host may refuse a namespace, as hints by error number. Only a caller without privilege is asked further
// questions about, since they cost reading files.

import { errno } from "../abi/errno.ts";
import type { Host } from "../host/host.ts";
import type { Kind } from "./kinds.ts";

type Hints = Readonly<Record<number, string>>;

const number = (host: Host, path: string): number | undefined => {
  const text = host.read(path);
  return text === undefined ? undefined : Number.parseInt(text, 10);
};

/** Who forbids user namespaces to plain users here, and what root does about it; undefined if nobody is known to. @see user_namespaces(7) */
export const userNamespacesForbidden = (host: Host): string | undefined => {
  if (number(host, "/proc/sys/user/max_user_namespaces") === 0)
    return "user namespaces are switched off here; root switches them on: sysctl -w user.max_user_namespaces=10000";
  if (number(host, "/proc/sys/kernel/unprivileged_userns_clone") === 0)
    return "only root may make user namespaces here; root lets others: sysctl -w kernel.unprivileged_userns_clone=1";
  if (number(host, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === 1)
    return "AppArmor restricts user namespaces here; root gives nsk a profile with 'userns,', or all of them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  return undefined;
};

/** Hints for `unshare(2)` and `clone(2)` with these kinds. */
export const unshareHints = (host: Host, of: readonly Kind[]): Hints => {
  const hints: Record<number, string> = {
    [errno("ENOSPC")]:
      "the limit on namespaces is reached: see the max_*_namespaces files in /proc/sys/user, and namespaces nested 32 deep",
    [errno("EINVAL")]: "this kernel does not know one of these kinds of namespaces",
  };
  if (of.includes("user")) {
    const forbidden = host.euid !== 0 ? userNamespacesForbidden(host) : undefined;
    if (forbidden !== undefined) hints[errno("ENOSPC")] = forbidden; // a limit of 0 is reached
    hints[errno("EPERM")] =
      forbidden ??
      "a process in a chroot cannot make a user namespace, and a seccomp filter may forbid it (containers have one)";
    hints[errno("EUSERS")] = "user namespaces are nested 32 deep already";
  } else {
    hints[errno("EPERM")] =
      host.euid === 0
        ? "this needs CAP_SYS_ADMIN, which root does not have here: inside a container, add --user --map-root-user"
        : "only root may do this; a plain user adds --user --map-root-user (-Ur)";
  }
  return hints;
};

/** Hints for writing `uid_map` and `gid_map`. */
export const mapHints = (host: Host): Hints => ({
  [errno("EPERM")]:
    (host.euid !== 0 ? userNamespacesForbidden(host) : undefined) ??
    "the kernel lets a plain user map only its own id, and root none that its own namespace lacks (user_namespaces(7))",
});

/** Hints for binding a namespace's file. */
export const bindHints = (kind: Kind, target: string): Hints => ({
  [errno("ENOENT")]: `it is mounted on a file that is there: touch ${target}`,
  [errno("EINVAL")]:
    kind === "mount"
      ? "a mount namespace cannot be kept on a mount that is shared: mount --bind DIR DIR, mount --make-private DIR, and put the file there"
      : "this is no file that a namespace can be mounted on",
  [errno("EPERM")]: "only root may mount outside of the new namespaces",
  [errno("ENOTDIR")]: "it is mounted on a file, and this is none",
});

/** Hints for executing newuidmap(1) or newgidmap(1). */
export const mapProgramHints = (program: string): Hints => ({
  [errno("ENOENT")]:
    `${program} maps ranges for users that are not root: apt install uidmap (shadow-utils on Fedora)`,
  [errno("EACCES")]: `${program} may not be executed by this user`,
});

const S_ISUID = 0o4000;

/** Why newuidmap(1) or newgidmap(1) may have failed, which has said itself what the kernel or its files refused. */
export const mapProgramHint = (host: Host, path: string, sort: "user" | "group"): string => {
  const mode = host.mode(path);
  if (mode !== undefined && !(mode & S_ISUID))
    return `${path} is not set-user-ID root, and needs that or file capabilities: reinstall the package uidmap`;
  const [file, option] =
    sort === "user" ? ["/etc/subuid", "--add-subuids"] : ["/etc/subgid", "--add-subgids"];
  return `the ranges must be in ${file} for this user: usermod ${option} FIRST-LAST USER`;
};

/** Hints for mounting a proc of a new PID namespace. The kernel's own word for the first cause is in brackets. */
export const procHints: Hints = {
  [errno("EPERM")]:
    'the kernel wants a /proc without anything mounted over parts of it (containers have that: "mount too revealing"), and a PID namespace that is its own: add --pid --fork',
};

/** Hints for mounting binfmt_misc. */
export const binfmtHints: Hints = {
  [errno("ENODEV")]: "this kernel has no binfmt_misc: modprobe binfmt_misc",
  [errno("EPERM")]: "user namespaces have a binfmt_misc of their own since Linux 6.7",
  [errno("ENOENT")]:
    "/proc/sys/fs/binfmt_misc is there once the kernel's module is loaded: modprobe binfmt_misc",
};

/** Hints for finding and opening what belongs to another process. */
export const processHints: Hints = {
  [errno("ESRCH")]: "there is no process with this number here: see ps -e",
  [errno("EACCES")]: "only root, or who may trace the process, sees its namespaces",
  [errno("EPERM")]: "only root, or who may trace the process, sees its namespaces",
};

/** Hints for opening a file that is a namespace. */
export const fileHints: Hints = {
  ...processHints,
  [errno("ENOENT")]: "what stands right behind the letter of a kind is a file: -m -u, not -mu",
};

/** Hints for `setns(2)` into these kinds. */
export const enterHints = (host: Host, of: readonly Kind[]): Hints => ({
  [errno("EPERM")]:
    host.euid === 0
      ? "root has no CAP_SYS_ADMIN in the user namespace that it belongs to, or may not trace the process: ls -l /proc/PID/ns tells"
      : of.includes("user")
        ? `only who made a user namespace, or root, enters it${of.length > 1 ? ", and of the others those that belong to it: name these alone, -U -m say" : ""}`
        : "only root may do this; who made the user namespace that it belongs to enters that, too: add --user --preserve-credentials",
  [errno("EINVAL")]: of.includes("user")
    ? "this process is in that user namespace already, or it is no user namespace"
    : "this is no namespace of that kind",
  [errno("ESRCH")]: "the process has ended",
  [errno("EUSERS")]: "user namespaces are nested 32 deep already",
});

/** A hint for a `setgroups(2)` that the user namespace denies. */
export const setgroupsHint: Hints = {
  [errno("EPERM")]: "setgroups is denied in this user namespace: add --preserve-credentials",
};
