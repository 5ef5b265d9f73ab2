// System calls from JavaScript: the only file that imports bun:ffi. One function is bound, and everything is made of it,
// because each module and symbol more costs start-up time (node:fs alone a millisecond).

import { dlopen, type FFIType, linkSymbols, type Pointer, ptr, read, toArrayBuffer } from "bun:ffi";
import { cString, encode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import { AT, AT_FDCWD, O, RESOLVE, TTY } from "../abi/flags.ts";
import { SYSTEM_CALL } from "../abi/record.ts";
import { type Arch, type SyscallName, syscallNumber } from "../abi/syscalls.ts";

/** The architecture that this program was built for. */
export const arch: Arch = process.arch === "arm64" ? "arm64" : "x64";

/** Bun's `i64_fast`: a number wherever one holds the result; `i64` would make a BigInt of each, 0 too. */
const FAST = 15 satisfies FFIType.i64_fast;

const LONGS = ["i64", "i64", "i64", "i64", "i64", "i64", "i64"] as const;

type Call = (number: number, a: Word, b: Word, c: Word, d: Word, e: Word, f: Word) => number | bigint;

declare const NSK_RECORD: number | undefined;

/** The prelude's own function, which returns what the kernel does. */
const bindPrelude = (): Call =>
  linkSymbols({ call: { ptr: SYSTEM_CALL as Pointer, args: LONGS, returns: FAST } }).symbols.call;

/** libc's syscall(2), for nsk that is run from its sources; its errno is put back into the result. */
const bindLibc = (): Call => {
  const { syscall, __errno_location } = dlopen("libc.so.6", {
    syscall: { args: LONGS, returns: FAST },
    __errno_location: { args: [], returns: "ptr" },
  }).symbols;
  return (...words) => {
    const result = Number(syscall(...words));
    return result === -1 ? -read.i32(__errno_location()!, 0) : result;
  };
};

const make: Call = typeof NSK_RECORD === "undefined" ? bindLibc() : bindPrelude();

export type Word = number | bigint;

/** Makes a system call. The result, or the negative error number, as the kernel itself returns it. @see syscall(2) */
export const syscall = (
  name: SyscallName,
  a: Word = 0,
  b: Word = 0,
  c: Word = 0,
  d: Word = 0,
  e: Word = 0,
  f: Word = 0,
): number => Number(make(syscallNumber(name, arch), a, b, c, d, e, f));

/** The address of a buffer's first byte. The caller keeps the buffer alive across the call that gets it. */
export const address = (buffer: NodeJS.TypedArray): number => ptr(buffer);

/** The memory at an address, as it is and stays. */
export const memory = (at: number, length: number): ArrayBuffer => toArrayBuffer(at as Pointer, 0, length);

const EINTR = errno("EINTR");

/** `openat(AT_FDCWD, path, flags, mode)`: a descriptor or the negative error number. */
export const open = (path: string, flags: number, mode = 0): number => {
  const name = cString(path);
  return syscall("openat", AT_FDCWD, address(name), flags, mode);
};

/** `unlinkat(AT_FDCWD, path, flags)`: 0 or the negative error number. @see unlink(2), rmdir(2) */
export const remove = (path: string, flags = 0): number => {
  const name = cString(path);
  return syscall("unlinkat", AT_FDCWD, address(name), flags);
};

export const close = (fd: number): number => syscall("close", fd);

// Files of proc are read whole by one call as a rule, so the buffer is kept and only what was read is copied.
let scratch: Uint8Array | undefined;

/** Everything that can be read from a descriptor, or the negative error number. */
export const readAll = (fd: number): Uint8Array | number => {
  scratch ??= new Uint8Array(65536);
  const parts: Uint8Array[] = [];
  for (;;) {
    const count = syscall("read", fd, address(scratch), scratch.length);
    if (count === -EINTR) continue;
    if (count < 0) return count;
    if (count === 0) break;
    parts.push(scratch.slice(0, count));
  }
  return parts.length === 1 ? parts[0]! : concatenate(parts);
};

// A function of its own, because one that merely mentions `Buffer` has it set up when it is first called.
const concatenate = (parts: readonly Uint8Array[]): Uint8Array => Buffer.concat(parts);

/** A whole file, or the negative error number. */
export const readFileOr = (path: string): Uint8Array | number => {
  const fd = open(path, O.O_RDONLY | O.O_CLOEXEC);
  if (fd < 0) return fd;
  const bytes = readAll(fd);
  close(fd);
  return bytes;
};

/** A whole file, undefined where it is not there or may not be read. */
export const readFile = (path: string): Uint8Array | undefined => {
  const bytes = readFileOr(path);
  return typeof bytes === "number" ? undefined : bytes;
};

/** Writes all of it, waiting where a non-blocking descriptor is full. 0, or the negative error number. @see write(2) */
export const writeAll = (fd: number, data: string | Uint8Array): number => {
  const bytes = typeof data === "string" ? encode(data) : data;
  for (let done = 0; done < bytes.length;) {
    const count = syscall("write", fd, address(bytes) + done, bytes.length - done);
    if (count >= 0) done += count;
    else if (count === -errno("EAGAIN")) waitWritable(fd);
    else if (count !== -EINTR) return count;
  }
  return 0;
};

const waitWritable = (fd: number): void => {
  const POLLOUT = 4;
  const pollfd = new Int32Array([fd, POLLOUT]); // { int fd; short events; short revents; }
  syscall("ppoll", address(pollfd), 1, 0, 0, 0);
};

/** The names in a directory without `.` and `..`, as bytes, or the negative error number. @see getdents64(2) */
export const listDirectory = (path: string): Uint8Array[] | number => listNames(path, undefined);

/** The names of the directories in a directory, symbolic links to such left out, or the negative error number. */
export const listSubdirectories = (path: string): Uint8Array[] | number =>
  // A directory has a link from the one above, its own ".", and one ".." of each below: 2 is none, and saves the look.
  // File systems that do not count them so say 1.
  linkCount(path) === 2 ? [] : listNames(path, DT_DIR);

const DT_DIR = 4;
const DT_UNKNOWN = 0;

// A tree of groups has thousands of directories; one buffer serves them all.
let entries: { readonly bytes: Uint8Array; readonly view: DataView } | undefined;

const listNames = (path: string, type: number | undefined): Uint8Array[] | number => {
  const fd = open(path, O.O_RDONLY | O.O_CLOEXEC);
  if (fd < 0) return fd;
  const names = listOpen(fd, type);
  close(fd);
  return names;
};

/** {@link listDirectory} of an open directory; with `type` (d_type) only the names of such. */
export const listOpen = (fd: number, type?: number): Uint8Array[] | number => {
  if (!entries) {
    const bytes = new Uint8Array(32768);
    entries = { bytes, view: new DataView(bytes.buffer) };
  }
  const { bytes, view } = entries;
  const names: Uint8Array[] = [];
  for (;;) {
    const count = syscall("getdents64", fd, address(bytes), bytes.length);
    if (count <= 0) return count < 0 ? count : names;
    // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[]; }
    for (let at = 0; at < count; at += view.getUint16(at + 16, true)) {
      const start = at + 19;
      const known = bytes[at + 18]!;
      if (type !== undefined && known !== type && known !== DT_UNKNOWN) continue;
      const name = bytes.slice(start, bytes.indexOf(0, start));
      if (type !== undefined && known === DT_UNKNOWN && !isDirectory(fd, name)) continue;
      const isDot = name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e));
      if (!isDot) names.push(name);
    }
  }
};

/** The file type bits of a path's mode (S_IFMT), symbolic links followed, or the negative error number. @see stat(2) */
export const fileType = (path: string): number => {
  const mode = fileMode(path);
  return mode < 0 ? mode : mode & 0o170000;
};

/** A path's whole mode (st_mode), symbolic links followed, or the negative error number. @see stat(2) */
export const fileMode = (path: string): number => {
  const name = cString(path);
  const result = readStatus(AT_FDCWD, address(name), 0);
  return result < 0 ? result : modeOf(status!.view);
};

/** The numbers of the device that a path leads to; 0 and 0 when it is none. @see stat(2), st_rdev */
export const deviceOf = (path: string): { major: number; minor: number } => {
  const name = cString(path);
  if (readStatus(AT_FDCWD, address(name), 0) < 0) return { major: 0, minor: 0 };
  // st_rdev: at 40 on x86-64, at 32 on arm64.
  const number = status!.view.getUint32(arch === "x64" ? 40 : 32, true);
  return { major: (number >>> 8) & 0xfff, minor: (number & 0xff) | ((number >>> 12) & 0xfff00) };
};

// struct stat: st_nlink (8 bytes) and st_mode are behind st_dev and st_ino on x86-64; on arm64 st_mode comes first, and
// st_nlink has 4 bytes.
let status: { readonly bytes: Uint8Array; readonly view: DataView } | undefined;

const readStatus = (directory: number, name: number, flags: number): number => {
  if (!status) {
    const bytes = new Uint8Array(256);
    status = { bytes, view: new DataView(bytes.buffer) };
  }
  return syscall("newfstatat", directory, name, address(status.bytes), flags);
};

const modeOf = (view: DataView): number => view.getUint32(arch === "x64" ? 24 : 16, true);

/** The owner of what a path leads to; undefined where there is nothing. @see stat(2) */
export const fileOwner = (path: string): { uid: number; gid: number } | undefined => {
  const name = cString(path);
  if (readStatus(AT_FDCWD, address(name), 0) < 0) return undefined;
  const at = arch === "x64" ? 28 : 24;
  return { uid: status!.view.getUint32(at, true), gid: status!.view.getUint32(at + 4, true) };
};

/** What stands at a path itself, symbolic links not followed; undefined where there is nothing. @see lstat(2) */
export const entryStatus = (path: string): { uid: number; mode: number } | undefined => {
  const name = cString(path);
  if (readStatus(AT_FDCWD, address(name), AT.AT_SYMLINK_NOFOLLOW) < 0) return undefined;
  return { uid: status!.view.getUint32(arch === "x64" ? 28 : 24, true), mode: modeOf(status!.view) };
};

/** How many names a file has, or the negative error number. @see stat(2) */
export const linkCount = (path: string): number => {
  const name = cString(path);
  const result = readStatus(AT_FDCWD, address(name), 0);
  return result < 0 ? result : status!.view.getUint32(arch === "x64" ? 16 : 20, true);
};

/** For file systems whose directories do not tell the types of what is in them. */
const isDirectory = (directory: number, name: Uint8Array): boolean => {
  const path = Uint8Array.of(...name, 0);
  return (
    readStatus(directory, address(path), AT.AT_SYMLINK_NOFOLLOW) === 0 &&
    (modeOf(status!.view) & 0o170000) === 0o040000
  );
};

/**
 * The contents of a plain file in a directory that is the root of its path and of all links, a megabyte at most;
 * undefined where there is none. What a link leads to outside, a pipe or a device are not opened. @see openat2(2)
 */
export const readFileIn = (root: string, path: string): Uint8Array | undefined => {
  const top = open(root, O.O_PATH | O.O_CLOEXEC);
  if (top < 0) return undefined;
  const name = cString(path);
  // struct open_how { u64 flags, mode, resolve; }
  const how = BigUint64Array.of(
    BigInt(O.O_PATH | O.O_CLOEXEC),
    0n,
    BigInt(RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS),
  );
  let found = syscall("openat2", top, address(name), address(how), 24);
  // Before Linux 5.6, and under filters from before: then by its name.
  if (found === -errno("ENOSYS") || found === -errno("EPERM"))
    found = open(`${root}${path}`, O.O_PATH | O.O_CLOEXEC);
  close(top);
  if (found < 0) return undefined;
  const again = `/proc/self/fd/${found}`;
  const fd = fileType(again) === 0o100000 ? open(again, O.O_RDONLY | O.O_CLOEXEC) : -1;
  close(found);
  if (fd < 0) return undefined;
  const bytes = readStart(fd);
  close(fd);
  return bytes;
};

const readStart = (fd: number): Uint8Array | undefined => {
  const bytes = new Uint8Array(1 << 20);
  let length = 0;
  for (;;) {
    const count = syscall("read", fd, address(bytes) + length, bytes.length - length);
    if (count < 0) return undefined;
    if (count === 0) return bytes.subarray(0, length);
    length += count;
  }
};

/** Where a symbolic link points, as bytes, or the negative error number. @see readlink(2) */
export const readLink = (path: string): Uint8Array | number => {
  const name = cString(path);
  const buffer = new Uint8Array(4096);
  const count = syscall("readlinkat", AT_FDCWD, address(name), address(buffer), buffer.length);
  return count < 0 ? count : buffer.subarray(0, count);
};

/** Whether a descriptor is a terminal, without touching it otherwise. @see isatty(3) */
export const isTerminal = (fd: number): boolean => {
  const termios = new Uint8Array(64);
  return syscall("ioctl", fd, TTY.TCGETS, address(termios)) === 0;
};

/** How wide the terminal behind a descriptor is, 80 where it does not know; undefined for what is none. @see ioctl_tty(2) */
export const terminalColumns = (fd: number): number | undefined => {
  if (!isTerminal(fd)) return undefined;
  const size = new Uint16Array(4); // struct winsize { rows, columns, … }
  return (syscall("ioctl", fd, TTY.TIOCGWINSZ, address(size)) === 0 && size[1]) || 80;
};
