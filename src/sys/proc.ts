// What /proc says of processes and namespaces, for thousands of them in one go: names are made once, buffers are used
// again, and text that is a number is read as one, with no string in between.

import { cString } from "../abi/bytes.ts";
import { AT, AT_FDCWD, NAMESPACE, NETLINK, O, STATX_INO } from "../abi/flags.ts";
import { address, arch, close, open, syscall } from "./linux.ts";

/**
 * Memory whose address may be kept. A small typed array's own may not: it has its bytes copied elsewhere as soon as
 * somebody wants its ArrayBuffer, which the JIT compiler does when it finds one to be constant.
 */
const fixed = (size: number): ArrayBuffer => new ArrayBuffer(size);

/** A C string that stays where it is, for calls that are made again and again. */
export interface Name {
  /** Keeps the memory behind the address alive. */
  readonly bytes: Uint8Array;
  readonly address: number;
}

export const name = (text: string): Name => {
  const string = cString(text);
  const bytes = new Uint8Array(fixed(string.length));
  bytes.set(string);
  return { bytes, address: address(bytes) };
};

const nothing = name("");

/** What was read last: {@link readAt}, {@link linkAt}. */
export const text = new Uint8Array(fixed(65536));
const textAddress = address(text);

const stat = new Uint32Array(fixed(256));
const statAddress = address(stat);

/** `openat(directory, name, flags | O_CLOEXEC)`: a descriptor or the negative error number. */
export const openAt = (directory: number, it: Name, flags: number = O.O_RDONLY): number =>
  syscall("openat", directory, it.address, flags | O.O_CLOEXEC);

const decimal = new Uint8Array(fixed(16));
const decimalAddress = address(decimal);

/** Where {@link decimal} begins when it holds this whole number, as a C string. */
const writeDecimal = (number: number): number => {
  let at = decimal.length - 1;
  let rest = number;
  do {
    const tenth = Math.floor(rest / 10);
    decimal[--at] = 0x30 + rest - tenth * 10;
    rest = tenth;
  } while (rest > 0);
  return decimalAddress + at;
};

/** `openat(directory, "NUMBER", O_PATH)`: a process's directory, say. A descriptor or the negative error number. */
export const openNumbered = (directory: number, number: number): number =>
  syscall("openat", directory, writeDecimal(number), O.O_PATH | O.O_CLOEXEC);

/** The longest entry of a directory: `struct linux_dirent64` with a name of NAME_MAX bytes. @see getdents64(2) */
const ENTRY = 280;

/** The numbers among the names in an open directory of /proc, in its order. Stops quietly where it cannot be read on. */
export const numbersIn = (directory: number): number[] => {
  const numbers: number[] = [];
  for (;;) {
    const count = syscall("getdents64", directory, textAddress, text.length);
    if (count <= 0) return numbers;
    // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[]; }
    for (let at = 0; at < count; at += text[at + 16]! | (text[at + 17]! << 8)) {
      const number = numberAt(at + 19);
      if (number >= 0) numbers.push(number);
    }
    // /proc fills the buffer while there is more: room for another entry is the end, and no second call has to say so.
    if (count + ENTRY < text.length) return numbers;
  }
};

/** The decimal number at a place in {@link text}, -1 where there is none. */
export const numberAt = (start: number): number => {
  let number = 0;
  let at = start;
  for (let digit: number; (digit = text[at]! - 0x30) >= 0 && digit < 10; at++) number = number * 10 + digit;
  return at === start ? -1 : number;
};

/** Reads a file below a directory into {@link text}, as much of it as one call gives: its length or the negative error number. */
export const readAt = (directory: number, it: Name): number => {
  const fd = openAt(directory, it);
  if (fd < 0) return fd;
  const length = syscall("read", fd, textAddress, text.length);
  close(fd);
  return length;
};

/** Reads a symbolic link below a directory into {@link text}: its length or the negative error number. */
export const linkAt = (directory: number, it: Name): number =>
  syscall("readlinkat", directory, it.address, textAddress, 4096);

const statx = new Uint32Array(fixed(256));
const statxAddress = address(statx);

/**
 * The inode number of the file that a numbered link leads to, if that is on the device of `like`, as {@link deviceOf}
 * gives it; otherwise -1. Nobody is asked who might not answer, such as the server of a network filesystem.
 */
export const inodeOnDevice = (directory: number, number: number, like: number): number => {
  const name = writeDecimal(number);
  const result = syscall("statx", directory, name, AT.AT_STATX_DONT_SYNC, STATX_INO, statxAddress);
  // struct statx: u64 stx_ino at 32, u32 stx_dev_major at 136 and stx_dev_minor at 140.
  return result < 0 || device() !== like ? -1 : statx[8]! + statx[9]! * 2 ** 32;
};

const device = (): number => statx[34]! * 2 ** 32 + statx[35]!;

/** The device of a file, for {@link inodeOnDevice}; the negative error number where there is none. */
export const deviceOf = (it: Name): number => {
  const result = syscall("statx", AT_FDCWD, it.address, AT.AT_STATX_DONT_SYNC, STATX_INO, statxAddress);
  return result < 0 ? result : device();
};

/** The inode number in what was read, `mnt:[4026531832]`; -1 where it is something else. */
export const namespaceIn = (length: number): number => {
  const bracket = text.indexOf(0x5b);
  // Names of namespaces are short: `cgroup:[`. A longer one is a path with a bracket in it.
  return bracket > 8 || bracket >= length || text[bracket - 1] !== 0x3a ? -1 : numberAt(bracket + 1);
};

/** Who owns the file behind a descriptor, or the negative error number. Of /proc/PID: the process. @see proc(5) */
export const ownerOf = (fd: number): number => {
  const result = syscall("newfstatat", fd, nothing.address, statAddress, AT.AT_EMPTY_PATH);
  // struct stat: st_uid is at 28 on x86-64 and at 24 on arm64.
  return result < 0 ? result : stat[arch === "x64" ? 7 : 6]!;
};

/** The inode number of the file behind a descriptor, or the negative error number. */
export const inodeOf = (fd: number): number => {
  const result = syscall("newfstatat", fd, nothing.address, statAddress, AT.AT_EMPTY_PATH);
  return result < 0 ? result : stat[2]! + stat[3]! * 2 ** 32;
};

/** Opens a namespace by a path; a descriptor or the negative error number. */
export const openNamespace = (path: string): number => open(path, O.O_RDONLY | O.O_CLOEXEC);

/**
 * `ioctl(fd, NS_GET_PARENT)` or `NS_GET_USERNS`: a descriptor of the parent, or of the owning user namespace, or the
 * negative error number; EPERM for one that the caller cannot see. @see ioctl_ns(2)
 */
export const relatedNamespace = (fd: number, which: "parent" | "owner"): number =>
  syscall("ioctl", fd, which === "parent" ? NAMESPACE.NS_GET_PARENT : NAMESPACE.NS_GET_USERNS);

/** `ioctl(fd, NS_GET_NSTYPE)`: the CLONE_NEW… bit of an open namespace or the negative error number. @see ioctl_ns(2) */
export const namespaceType = (fd: number): number => syscall("ioctl", fd, NAMESPACE.NS_GET_NSTYPE);

/** `ioctl(fd, NS_GET_OWNER_UID)`: who made a user namespace, or the negative error number. @see ioctl_ns(2) */
export const ownerUid = (fd: number): number => {
  const result = syscall("ioctl", fd, NAMESPACE.NS_GET_OWNER_UID, statAddress);
  return result < 0 ? result : stat[0]!;
};

/** A socket that {@link networkId} asks through, or the negative error number. @see rtnetlink(7) */
export const routeSocket = (): number =>
  syscall("socket", NETLINK.AF_NETLINK, NETLINK.SOCK_RAW | O.O_CLOEXEC, NETLINK.NETLINK_ROUTE);

/**
 * The id that this process's network namespace has for an open one (`ip netns set`), -1 for none, undefined where the
 * kernel does not say. @see ip-netns(8)
 */
export const networkId = (socket: number, fd: number): number | undefined => {
  const message = new DataView(new ArrayBuffer(28));
  // struct nlmsghdr { u32 len; u16 type, flags; u32 seq, pid; }, struct rtgenmsg { u8 family; } and padding,
  // struct rtattr { u16 len, type; u32 value; }
  message.setUint32(0, 28, true);
  message.setUint16(4, NETLINK.RTM_GETNSID, true);
  message.setUint16(6, NETLINK.NLM_F_REQUEST, true);
  message.setUint16(20, 8, true);
  message.setUint16(22, NETLINK.NETNSA_FD, true);
  message.setUint32(24, fd, true);
  const bytes = new Uint8Array(message.buffer);
  if (syscall("write", socket, address(bytes), bytes.length) < 0) return undefined;
  const count = syscall("read", socket, textAddress, text.length);
  const answer = new DataView(text.buffer);
  if (count < 28 || answer.getUint16(4, true) !== NETLINK.RTM_NEWNSID) return undefined;
  for (let at = 20; at + 8 <= count; at += (answer.getUint16(at, true) + 3) & ~3) {
    if (answer.getUint16(at + 2, true) === NETLINK.NETNSA_NSID) return answer.getInt32(at + 4, true);
    if (answer.getUint16(at, true) < 4) break;
  }
  return undefined;
};
