// The machine that this process runs on.

import { decode } from "../abi/bytes.ts";
import { callerEnvironment } from "../sys/caller.ts";
import { arch, fileMode, fileType, isTerminal, listDirectory, readFile, syscall } from "../sys/linux.ts";
import type { Host } from "./host.ts";

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

/** The variables that this process was started with; process.env would lose bytes that are not UTF-8. */
const readEnvironment = (): Map<string, string> => {
  const found = new Map<string, string>();
  for (const word of decode(callerEnvironment()).split("\0")) {
    const equals = word.indexOf("=", 1);
    const name = word.slice(0, equals);
    // As getenv(3): the first of several wins.
    if (equals > 0 && !found.has(name)) found.set(name, word.slice(equals + 1));
  }
  return found;
};

let environment: Map<string, string> | undefined;

export const liveHost = (): Host => ({
  arch,
  get euid() {
    return syscall("geteuid");
  },
  get egid() {
    return syscall("getegid");
  },
  env: (name) => (environment ??= readEnvironment()).get(name),
  read: (path) => {
    const bytes = readFile(path);
    return bytes && decode(bytes);
  },
  list: (path) => {
    const names = listDirectory(path);
    return typeof names === "number" ? undefined : names.map(decode);
  },
  mode: (path) => {
    const mode = fileMode(path);
    return mode < 0 ? undefined : mode & 0o7777;
  },
  isTerminal: (fd) => isTerminal(fd),
  kind: (path) => {
    const type = fileType(path);
    if (type < 0) return undefined;
    return type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  },
});
