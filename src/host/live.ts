// The machine that this process runs on.

import { decode } from "../abi/bytes.ts";
import { callerEnvironment } from "../sys/caller.ts";
import {
  arch,
  deviceOf,
  entryStatus,
  fileMode,
  fileType,
  isTerminal,
  listDirectory,
  readFile,
  readFileIn,
  readLink,
  fileOwner,
  listSubdirectories,
  syscall,
} from "../sys/linux.ts";
import type { Host } from "./host.ts";

const S_IFMT = 0o170000;
const DEVICES: Readonly<Record<number, "b" | "c">> = { 0o060000: "b", 0o020000: "c" };
const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

/** Not process.env, which loses bytes that are not UTF-8. */
let environment: string | undefined;

/** As getenv(3): the first of several wins. */
const variable = (name: string): string | undefined => {
  environment ??= callerEnvironment();
  const at = environment.indexOf(`\0${name}=`);
  if (at < 0) return undefined;
  const start = at + name.length + 2;
  const end = environment.indexOf("\0", start);
  return environment.slice(start, end < 0 ? undefined : end);
};

/**
 * This machine and its user, as planners ask for them. A fact is read when it is asked for.
 *
 * @example
 * ```ts
 * import { liveHost } from "nsk";
 *
 * const host = liveHost();
 * console.log(host.euid, host.kind("/etc/passwd")); // → 0 file
 * ```
 */
export const liveHost = (): Host => ({
  arch,
  get euid() {
    return syscall("geteuid");
  },
  get egid() {
    return syscall("getegid");
  },
  env: variable,
  read: (path) => {
    const bytes = readFile(path);
    return bytes && decode(bytes);
  },
  readIn: (root, path) => {
    const bytes = readFileIn(root, path);
    return bytes && decode(bytes);
  },
  list: (path) => {
    const names = listDirectory(path);
    return typeof names === "number" ? undefined : names.map(decode);
  },
  directories: (path) => {
    const names = listSubdirectories(path);
    return typeof names === "number" ? undefined : names.map(decode);
  },
  mode: (path) => {
    const mode = fileMode(path);
    return mode < 0 ? undefined : mode & 0o7777;
  },
  link: (path) => {
    const link = readLink(path);
    return typeof link === "number" ? undefined : decode(link);
  },
  owner: fileOwner,
  entry: (path) => {
    const found = entryStatus(path);
    if (!found) return undefined;
    const format = found.mode & S_IFMT;
    const type = format === S_IFDIR ? "directory" : format === S_IFLNK ? "link" : "other";
    return { type, uid: found.uid, mode: found.mode & 0o7777 };
  },
  device: (path) => {
    const mode = fileMode(path);
    const type = mode < 0 ? undefined : DEVICES[mode & S_IFMT];
    return type && { type, ...deviceOf(path), mode: mode & 0o777 };
  },
  isTerminal: (fd) => isTerminal(fd),
  kind: (path) => {
    const type = fileType(path);
    if (type < 0) return undefined;
    return type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  },
});
