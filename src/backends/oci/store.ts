// Where states of bundles' containers are kept: a directory for each id. state.json is replaced as a whole, so that a
// kill at any moment leaves the old one or the new.

import { cString } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { HostError, StepError } from "../../abi/errors.ts";
import { AT, AT_FDCWD, LOCK, O, S } from "../../abi/flags.ts";
import type { Config } from "../../containers/config.ts";
import { type Bundle, CREATED, CREATING, START } from "../../containers/oci/container.ts";
import { isRunning, parseState, type State, type Status } from "../../containers/oci/state.ts";
import { isFrozen } from "../../cgroups/groups.ts";
import { locate, readHierarchies } from "../../cgroups/hierarchies.ts";
import type { Host } from "../../host/host.ts";
import { address, close, linkCount, open, remove, syscall, writeAll } from "../../sys/linux.ts";

export const directoryOf = (root: string, id: string): string => `${root}/${id}`;

const must = (result: number, title: string, hint?: string): number => {
  if (result < 0) throw new StepError(title, -result, hint);
  return result;
};

const mkdir = (path: string, mode: number): number => {
  const name = cString(path);
  return syscall("mkdirat", AT_FDCWD, address(name), mode);
};

/**
 * Makes the directory of an id, or takes one that is there, and holds it: a descriptor, to be closed once there is a
 * state. Who else wants the id waits for that, and finds it.
 */
export const claim = (root: string, id: string): number => {
  const parts = root.split("/").filter(Boolean);
  parts.forEach((_, i) => {
    const path = `/${parts.slice(0, i + 1).join("/")}`;
    const made = mkdir(path, 0o700);
    if (made < 0 && made !== -errno("EEXIST") && i === parts.length - 1)
      throw new StepError(`make ${root}`, -made, "--root names a directory for the states of containers");
  });
  const path = directoryOf(root, id);
  for (;;) {
    const made = mkdir(path, 0o700);
    if (made !== -errno("EEXIST")) must(made, `make ${path}`);
    const held = open(path, O.O_RDONLY | O.O_CLOEXEC);
    if (held === -errno("ENOENT")) continue;
    must(held, `lock ${path}`);
    must(syscall("flock", held, LOCK.LOCK_EX), `lock ${path}`);
    // One that somebody has removed meanwhile has no links.
    if (linkCount(`/proc/self/fd/${held}`) !== 0) return held;
    close(held);
  }
};

/** The named pipe that the container waits at, and the files that its hooks read, empty until there is a process. */
export const makeFiles = (directory: string): void => {
  const fifo = cString(`${directory}/${START}`);
  must(syscall("mknodat", AT_FDCWD, address(fifo), S.S_IFIFO | 0o600, 0), `make ${directory}/${START}`);
  for (const name of [CREATING, CREATED]) writeFile(`${directory}/${name}`, "");
};

/** Writes a file in place. */
export const writeFile = (path: string, text: string, mode = 0o600): void => {
  const fd = must(open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC | O.O_CLOEXEC, mode), `write ${path}`);
  const written = writeAll(fd, text);
  close(fd);
  must(written, `write ${path}`);
};

/** Replaces a file by one that is whole. */
export const replaceFile = (path: string, text: string, mode = 0o600): void => {
  const slash = path.lastIndexOf("/");
  const draft = `${path.slice(0, slash + 1)}.${path.slice(slash + 1)}`;
  remove(draft);
  const fd = must(open(draft, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, mode), `write ${path}`);
  const written = writeAll(fd, text);
  close(fd);
  must(written, `write ${path}`);
  const [from, to] = [cString(draft), cString(path)];
  must(syscall("renameat2", AT_FDCWD, address(from), AT_FDCWD, address(to), 0), `write ${path}`);
};

export const saveState = (root: string, state: State): void =>
  replaceFile(`${directoryOf(root, state.id)}/state.json`, JSON.stringify(state));

/** What a process that joins is to be like: the config as it was, which the bundle's file need not be any more. */
export const saveForExec = (
  directory: string,
  { config, filter }: Pick<Bundle, "config" | "filter">,
): void => {
  const { seccomp: _, ...linux } = config.linux;
  const kept: ForExec = { config: { ...config, linux }, filter: filter?.toBase64() };
  writeFile(`${directory}/${EXEC}`, JSON.stringify(kept));
};

interface ForExec {
  readonly config: Config;
  readonly filter: string | undefined;
}

/** Throws {@link HostError} where it is not there. */
export const loadForExec = (directory: string, host: Host): Pick<Bundle, "config" | "filter"> => {
  const text = host.read(`${directory}/${EXEC}`);
  if (text === undefined) throw new HostError("container does not exist");
  const { config, filter } = JSON.parse(text) as ForExec;
  return { config, filter: filter === undefined ? undefined : Uint8Array.fromBase64(filter) };
};

const EXEC = "exec.json";

export const loadState = (root: string, id: string, host: Host): State | undefined => {
  const text = host.read(`${directoryOf(root, id)}/state.json`);
  return text === undefined ? undefined : parseState(id, text);
};

/** All there are, by their ids. */
export const listStates = (root: string, host: Host): State[] =>
  (host.directories(root) ?? []).toSorted().flatMap((id) => loadState(root, id, host) ?? []);

/** Throws {@link HostError} in runc's words. */
export const needState = (root: string, id: string, host: Host): State => {
  const state = loadState(root, id, host);
  if (!state) throw new HostError("container does not exist");
  return state;
};

export const statusOf = (root: string, state: State, host: Host): Status => {
  const isAlive = (process: State["first"]): boolean =>
    process !== undefined && isRunning(process, host.read(`/proc/${process.pid}/stat`));
  if (state.creator) return isAlive(state.creator) ? "creating" : "stopped";
  if (!isAlive(state.first)) return "stopped";
  if (isPaused(state, host)) return "paused";
  return host.kind(`${directoryOf(root, state.id)}/${START}`) === undefined ? "running" : "created";
};

/** The group that is frozen and thawed, and how. */
export const freezerOf = (
  { groups }: Pick<State, "groups">,
  host: Host,
): { readonly group: string; readonly version: 1 | 2 } | undefined => {
  const hierarchies = readHierarchies(host);
  const found = locate(hierarchies, "freezer")?.hierarchy;
  const group = found && groups.find((path) => path.startsWith(`${found.mountPoint}/`));
  return found && group ? { group, version: found.version } : undefined;
};

const isPaused = (state: State, host: Host): boolean => {
  const freezer = freezerOf(state, host);
  if (!freezer) return false;
  return freezer.version === 1
    ? host.read(`${freezer.group}/freezer.state`)?.trim() === "FROZEN"
    : isFrozen(host, freezer.group);
};

/** Keeps others from changing a container for as long as `what` takes. */
export const locked = <T>(root: string, id: string, what: () => T): T => {
  const directory = open(directoryOf(root, id), O.O_RDONLY | O.O_CLOEXEC);
  if (directory === -errno("ENOENT")) throw new HostError("container does not exist");
  must(directory, `lock ${directoryOf(root, id)}`);
  try {
    must(syscall("flock", directory, LOCK.LOCK_EX), `lock ${directoryOf(root, id)}`);
    return what();
  } finally {
    close(directory);
  }
};

/** Removes the state of an id; state.json last, so that what is half removed is still found. */
export const removeState = (root: string, id: string): void => {
  const directory = directoryOf(root, id);
  for (const name of [START, CREATING, CREATED, EXEC, ".state.json", "state.json"])
    remove(`${directory}/${name}`);
  const removed = remove(directory, AT.AT_REMOVEDIR);
  if (removed !== -errno("ENOENT")) must(removed, `remove ${directory}`);
};
