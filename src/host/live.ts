// The machine that this process runs on.

import { decode } from "../abi/bytes.ts";
import { arch, fileType, listDirectory, readFile, syscall } from "../sys/linux.ts";
import type { Host } from "./host.ts";

const S_IFREG = 0o100000;
const S_IFDIR = 0o040000;

export const liveHost = (): Host => ({
  arch,
  get euid() {
    return syscall("geteuid");
  },
  get egid() {
    return syscall("getegid");
  },
  env: (name) => process.env[name],
  read: (path) => {
    const bytes = readFile(path);
    return bytes && decode(bytes);
  },
  list: (path) => {
    const names = listDirectory(path);
    return typeof names === "number" ? undefined : names.map(decode);
  },
  kind: (path) => {
    const type = fileType(path);
    if (type < 0) return undefined;
    return type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  },
});
