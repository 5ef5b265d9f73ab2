// Gathers the facts of processes and namespaces. A process that ends meanwhile is passed over, as if it had ended
// before; what may not be seen is left out.

import { decode } from "../abi/bytes.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { O } from "../abi/flags.ts";
import { close, open, readFile, readLink } from "../sys/linux.ts";
import {
  deviceOf,
  inodeOf,
  inodeOnDevice,
  linkAt,
  type Name,
  name,
  namespaceIn,
  namespaceType,
  networkId,
  numberAt,
  numbersIn,
  openAt,
  openNamespace,
  openNumbered,
  ownerOf,
  ownerUid,
  readAt,
  relatedNamespace,
  routeSocket,
  text,
} from "../sys/proc.ts";
import { parseMountinfo } from "./mountinfo.ts";
import {
  type Holder,
  type Link,
  linkFlags,
  links,
  mountedNamespaces,
  parseNamespaceLink,
  parseStatus,
  type Status,
  type Process,
  type Processes,
  type Relation,
} from "./processes.ts";

/** What is to be read of each process: what nobody asks for costs nothing. */
export interface Wanted {
  readonly links: readonly Link[];
  /** Namespaces that are open as descriptors. */
  readonly descriptors: boolean;
}

/** Reads all processes that /proc shows. Throws {@link StepError} where it cannot be read. */
export const gatherProcesses = (wanted: Wanted): { processes: Processes; holders: Holder[] } => {
  const proc = open("/proc", O.O_RDONLY | O.O_CLOEXEC);
  if (proc < 0) throw new StepError("open /proc", -proc);
  const names = wanted.links.map((link) => name(`ns/${link}`));
  const pids: number[] = [];
  const columns: number[][] = wanted.links.map(() => []);
  const holders: Holder[] = [];
  const device = wanted.descriptors ? deviceOf(anyNamespace) : -1;
  // A plain loop over thousands: what is in it is paid for each process.
  for (const pid of numbersIn(proc)) {
    const directory = openNumbered(proc, pid);
    if (directory < 0) continue;
    pids.push(pid);
    for (let i = 0; i < names.length; i++) columns[i]!.push(namespaceAt(directory, names[i]!));
    if (device >= 0) addDescriptors(holders, directory, pid, device);
    close(directory);
  }
  close(proc);
  const namespaces: Partial<Record<Link, number[]>> = {};
  wanted.links.forEach((link, i) => (namespaces[link] = columns[i]!));
  return { processes: { pids, namespaces }, holders };
};

const namespaceAt = (directory: number, link: Name): number => {
  const length = linkAt(directory, link);
  return length < 0 ? 0 : Math.max(namespaceIn(length), 0);
};

const statFile = name("stat");

/** What is known of one process, undefined when it is gone. */
export const gatherProcess = (pid: number): Process | undefined => {
  const directory = open(`/proc/${pid}`, O.O_PATH | O.O_CLOEXEC);
  if (directory < 0) return undefined;
  const uid = ownerOf(directory);
  const parent = parentOf(directory);
  close(directory);
  return uid < 0 || parent < 0 ? undefined : { pid, parent, uid };
};

/** The parent's id, negative for a process that is gone. @see proc_pid_stat(5) */
const parentOf = (directory: number): number => {
  const length = readAt(directory, statFile);
  if (length <= 0) return -1;
  // `PID (NAME) STATE PPID …`, and a name may hold anything, parentheses and newlines too.
  return numberAt(text.lastIndexOf(0x29, length - 1) + 4);
};

const descriptors = name("fd");
const anyNamespace = name("/proc/self/ns/mnt");

const addDescriptors = (holders: Holder[], process: number, pid: number, device: number): void => {
  const directory = openAt(process, descriptors);
  if (directory < 0) return;
  for (const fd of numbersIn(directory)) {
    // Not told by the link's text: of one that was opened at a mount it is that path, or what is left of it.
    const id = inodeOnDevice(directory, fd, device);
    if (id < 0) continue;
    const path = `/proc/${pid}/fd/${fd}`;
    const link = kindAt(path);
    if (link) holders.push({ link, id, path, by: "descriptor" });
  }
  close(directory);
};

/** The kind of the namespace that a path leads to. */
const kindAt = (path: string): Link | undefined => {
  const fd = openNamespace(path);
  if (fd < 0) return undefined;
  const flag = namespaceType(fd);
  close(fd);
  return links.find((link) => linkFlags[link] === flag);
};

/** The namespaces that are mounted somewhere in this process's mount namespace. */
export const gatherMounts = (): Holder[] => {
  const bytes = readFile("/proc/self/mountinfo");
  return bytes ? mountedNamespaces(parseMountinfo(decode(bytes), "nsfs")) : [];
};

/**
 * What the kernel tells of namespaces, given by paths that lead to them, and of those above and of those that own them,
 * also where no process is in one. Throws {@link HostError} with util-linux's status 2 where the kernel cannot tell.
 */
export const gatherRelations = (
  namespaces: Iterable<{ readonly link: Link; readonly id: number; readonly path: string }>,
): Map<number, Relation> => {
  const found = new Map<number, Relation>();
  for (const { link, id, path } of namespaces) {
    if (found.has(id)) continue;
    const fd = openNamespace(path);
    if (fd < 0) continue;
    // The path may lead to another one by now: a process that has moved on, or a number used again.
    if (inodeOf(fd) === id) relate(found, link, id, fd);
    close(fd);
  }
  return found;
};

const relate = (found: Map<number, Relation>, link: Link, id: number, fd: number): void => {
  const above = relatedNamespace(fd, "parent");
  const owning = relatedNamespace(fd, "owner");
  if (above === -errno("ENOTTY") || owning === -errno("ENOTTY"))
    throw new HostError(
      "the kernel does not tell how namespaces are related",
      "it does from Linux 4.9 on",
      2,
    );
  const parent = above < 0 ? 0 : inodeOf(above);
  const owner = owning < 0 ? 0 : inodeOf(owning);
  const made = ownerUid(link === "user" ? fd : owning);
  found.set(id, { link, id, parent, owner, uid: made < 0 ? undefined : made });
  if (owning >= 0 && !found.has(owner)) relate(found, "user", owner, owning);
  if (above >= 0 && !found.has(parent)) relate(found, link, parent, above);
  if (above >= 0) close(above);
  if (owning >= 0) close(owning);
};

/**
 * The ids that this process's network namespace has for others, by their inode numbers: -1 for none. Left out where the
 * kernel does not say.
 */
export const gatherNetworkIds = (
  namespaces: Iterable<{ readonly id: number; readonly path: string }>,
): Map<number, number> => {
  const ids = new Map<number, number>();
  const socket = routeSocket();
  if (socket < 0) return ids;
  for (const { id, path } of namespaces) {
    const fd = openNamespace(path);
    if (fd < 0) continue;
    const known = networkId(socket, fd);
    if (known !== undefined) ids.set(id, known);
    close(fd);
  }
  close(socket);
  return ids;
};

/** The namespace that this process is in, by its inode number; 0 where it cannot be seen. */
export const ownNamespace = (link: Link): number => {
  const target = readLink(`/proc/self/ns/${link}`);
  return typeof target === "number" ? 0 : (parseNamespaceLink(decode(target))?.id ?? 0);
};

const statusFile = name("status");
const groupFile = name("cgroup");

/** What is known of one process at length, undefined when it is gone; its control groups only on demand. */
export const gatherStatus = (pid: number, groups: boolean): Status | undefined => {
  const directory = open(`/proc/${pid}`, O.O_PATH | O.O_CLOEXEC);
  if (directory < 0) return undefined;
  const status = textAt(directory, statusFile);
  const group = groups ? textAt(directory, groupFile) : "";
  close(directory);
  return status === undefined ? undefined : parseStatus(pid, status, group ?? "");
};

/** A file below a directory as a string; undefined where it cannot be read. */
const textAt = (directory: number, file: Name): string | undefined => {
  const length = readAt(directory, file);
  return length < 0 ? undefined : decode(text.subarray(0, length));
};

/** As much of a command line as util-linux's tools take. */
const LONGEST = 8191;

/** The words of a command line with spaces between them; the name, where it has none: kernel threads, the dead. */
export const commandLine = (pid: number): string => {
  const line = readFile(`/proc/${pid}/cmdline`);
  if (!line || line.length === 0) {
    const comm = readFile(`/proc/${pid}/comm`);
    return comm ? decode(comm.subarray(0, -1)) : "";
  }
  // Each word ends with a NUL, and what is between two of them may be nothing.
  const words = line.subarray(
    0,
    Math.min(line[line.length - 1] === 0 ? line.length - 1 : line.length, LONGEST),
  );
  for (let at = words.indexOf(0); at >= 0; at = words.indexOf(0, at + 1)) words[at] = 0x20;
  return decode(words);
};
