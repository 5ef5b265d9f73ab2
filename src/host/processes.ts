// What is known of the processes of a machine and of the namespaces that they are in: the facts that an inventory is
// made of, gathered in one go (gather.ts). Pure.

import { CLONE } from "../abi/flags.ts";
import type { Mount } from "./mountinfo.ts";

/** The kinds of namespaces by the names of the links in /proc/PID/ns. @see namespaces(7) */
export const links = ["mnt", "net", "ipc", "user", "pid", "uts", "cgroup", "time"] as const;
export type Link = (typeof links)[number];

/** The CLONE_NEW… bit of each. @see namespaces(7) */
export const linkFlags: Readonly<Record<Link, number>> = {
  mnt: CLONE.CLONE_NEWNS,
  net: CLONE.CLONE_NEWNET,
  ipc: CLONE.CLONE_NEWIPC,
  user: CLONE.CLONE_NEWUSER,
  pid: CLONE.CLONE_NEWPID,
  uts: CLONE.CLONE_NEWUTS,
  cgroup: CLONE.CLONE_NEWCGROUP,
  time: CLONE.CLONE_NEWTIME,
};

/** Processes as columns: the n-th of each belongs to one process. In ascending order of their ids. */
export interface Processes {
  readonly pids: readonly number[];
  /** Inode numbers of namespaces, 0 where they may not be seen. Only of the kinds that were asked for. */
  readonly namespaces: Readonly<Partial<Record<Link, readonly number[]>>>;
}

/** What is known of one process besides. */
export interface Process {
  readonly pid: number;
  /** The parent's id, 0 for none in this PID namespace. */
  readonly parent: number;
  /** The effective user, or 0 for one that may not be dumped. @see proc(5) */
  readonly uid: number;
}

/** What /proc/PID/status and /proc/PID/cgroup say. @see proc_pid_status(5), cgroups(7) */
export interface Status {
  readonly pid: number;
  readonly parent: number;
  /** The effective user. */
  readonly uid: number;
  /** The name of the program, as the kernel keeps it: 15 bytes. */
  readonly name: string;
  /** Its ids from this PID namespace inwards: the first is `pid`, the last is what it itself sees. */
  readonly ids: readonly number[];
  /** The paths of its control groups, one for each hierarchy; that of version 2 comes last. */
  readonly groups: readonly string[];
}

/** Parses both files; undefined for what is no status. */
export const parseStatus = (pid: number, status: string, cgroup: string): Status | undefined => {
  const field = (name: string): string | undefined => {
    const at = status.startsWith(`${name}:\t`) ? 0 : status.indexOf(`\n${name}:\t`) + 1;
    if (at === 0 && name !== "Name") return undefined;
    return status.slice(at + name.length + 2, status.indexOf("\n", at));
  };
  const [name, parent, uids] = [field("Name"), field("PPid"), field("Uid")];
  if (name === undefined || parent === undefined || uids === undefined) return undefined;
  // A kernel without PID namespaces, and one before 4.1, has no NSpid.
  const ids = field("NSpid")?.split("\t").map(Number) ?? [pid];
  const groups = cgroup
    .split("\n")
    .filter(Boolean)
    .map((line) => line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1));
  return { pid, parent: Number(parent), uid: Number(uids.split("\t")[1]), name, ids, groups };
};

/** A path that leads to a namespace and keeps it alive. */
export interface Holder {
  readonly link: Link;
  readonly id: number;
  /** `/proc/PID/fd/N`, or where it is mounted. */
  readonly path: string;
  readonly by: "descriptor" | "mount";
}

/** What ioctl(2) tells of a namespace. @see ioctl_ns(2) */
export interface Relation {
  readonly link: Link;
  readonly id: number;
  /** The namespace above it, 0 where it has none or it cannot be seen. */
  readonly parent: number;
  /** The user namespace that owns it, 0 likewise. */
  readonly owner: number;
  /** Who made it, or the user namespace that owns it. */
  readonly uid: number | undefined;
}

/** The kind and inode number in `net:[4026531840]`; undefined for anything else. */
export const parseNamespaceLink = (text: string): { link: Link; id: number } | undefined => {
  const [, link, id] = /^([a-z]+):\[(\d+)\]$/.exec(text) ?? [];
  return (links as readonly string[]).includes(link ?? "")
    ? { link: link as Link, id: Number(id) }
    : undefined;
};

/** The namespaces among mounts, in the order of the table. Rows of type nsfs are enough. */
export const mountedNamespaces = (mounts: readonly Mount[]): Holder[] =>
  mounts.flatMap(({ root, mountPoint }) => {
    const namespace = parseNamespaceLink(root);
    return namespace ? [{ ...namespace, path: mountPoint, by: "mount" as const }] : [];
  });
