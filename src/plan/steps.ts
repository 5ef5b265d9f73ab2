// The vocabulary of plans: one function for a system call or a small fixed group of calls. A group's calls share its
// title, and the first carries the reason. Fields have the kernel's names in the order of the manual pages.

import { errno } from "../abi/errno.ts";
import {
  AT,
  AT_FDCWD,
  CAP,
  CLONE,
  type FlagTable,
  flagText,
  KEYCTL_JOIN_SESSION_KEYRING,
  LOCK,
  MNT,
  MOUNT_ATTR,
  MOVE_MOUNT,
  MS,
  NET,
  O,
  O_BY_ARCH,
  O_TMPFILE,
  OPEN_TREE,
  POLL,
  PR,
  RLIMIT,
  S,
  SECCOMP_SET_MODE_FILTER,
  SIG_SETMASK,
  signalMask,
  signalName,
  TTY,
} from "../abi/flags.ts";
import { encode } from "../abi/bytes.ts";
import {
  type Arg,
  type CallStep,
  int,
  NULL,
  type OnError,
  partOf,
  type Slot,
  slot,
  string,
  valueOf,
} from "./call.ts";
import type { Arch, SyscallName } from "../abi/syscalls.ts";
import type { Notice, Step } from "./plan.ts";

/** What every step may say besides its arguments. */
export interface About {
  readonly title?: string;
  readonly reason?: string;
  readonly onError?: OnError;
  readonly tolerate?: readonly number[];
  readonly hints?: Readonly<Record<number, string>>;
  readonly status?: number;
  readonly undo?: CallStep;
  readonly result?: Slot;
  readonly endWhen?: "positive" | "zero";
  readonly unless?: Slot;
}

/** Any system call; the functions below are this with names for the arguments. */
export const call = (
  name: SyscallName,
  args: readonly Arg[],
  title: string,
  about: About = {},
): CallStep => ({
  kind: "call",
  name,
  args,
  title,
  ...about,
});

/** A flag word. Its names are looked up when somebody reads them, which a start that only runs the plan never does. */
export const flags = (value: number, table: FlagTable): Arg => ({ type: "int", value, flags: table });
const cwd = int(AT_FDCWD, "AT_FDCWD");
/** As strace writes modes: `0755`, and 0 as `000`. */
const octal = (mode: number): Arg => int(mode, `0${mode.toString(8).padStart(2, "0")}`);
const path = (value: string | null): Arg => (value === null ? NULL : string(value));

/** `unshare(flags)`: leave namespaces for new ones. EPERM without CAP_SYS_ADMIN (a user namespace needs none). @see unshare(2) */
export const unshare = (kinds: number, about?: About): CallStep =>
  call("unshare", [flags(kinds, CLONE)], "unshare", about);

export interface Mount {
  readonly source: string | null;
  readonly target: string;
  readonly fstype: string | null;
  readonly flags: number;
  readonly data: string | null;
}

/** `mount(source, target, filesystemtype, mountflags, data)`. @see mount(2) */
export const mount = (m: Mount, about?: About): CallStep =>
  call(
    "mount",
    [path(m.source), string(m.target), path(m.fstype), flags(m.flags, MS), path(m.data)],
    `mount ${m.target}`,
    about,
  );

/** `umount2(target, flags)`. @see umount(2) */
export const umount = (target: string, how: number, about?: About): CallStep =>
  call("umount2", [string(target), flags(how, MNT)], `unmount ${target}`, about);

/** `openat(AT_FDCWD, pathname, flags, mode)` into `result`. @see open(2) */
export const open = (
  pathname: string,
  how: number,
  result: Slot,
  about?: About & { mode?: number },
): CallStep => {
  const { mode, ...rest } = about ?? {};
  const args = [cwd, string(pathname), flags(how, O)];
  if (mode !== undefined) args.push(octal(mode));
  return call("openat", args, `open ${pathname}`, { ...rest, result });
};

/** `openat(AT_FDCWD, pathname, O_PATH|O_DIRECTORY|O_NOFOLLOW|O_CLOEXEC)`: ENOTDIR for a symbolic link. @see open(2) */
export const openDirectory = (pathname: string, result: Slot, about?: About): CallStep => {
  const how = (arch: Arch): Arg => {
    const { O_DIRECTORY, O_NOFOLLOW } = O_BY_ARCH[arch];
    const text = "O_RDONLY|O_NOFOLLOW|O_CLOEXEC|O_PATH|O_DIRECTORY";
    return int(O.O_PATH | O.O_CLOEXEC | O_DIRECTORY | O_NOFOLLOW, text);
  };
  return call(
    "openat",
    [cwd, string(pathname), { type: "byArch", x64: how("x64"), arm64: how("arm64") }],
    `open ${pathname}`,
    { result, ...about },
  );
};

/** `close(fd)`. @see close(2) */
export const close = (fd: Slot, about?: About): CallStep => call("close", [valueOf(fd)], "close", about);

/** `write(fd, data, length)`. A short write does not happen for the small files of proc and cgroup. @see write(2) */
export const write = (fd: Slot, data: string | Uint8Array, title: string, about?: About): CallStep => {
  const value = typeof data === "string" ? encode(data) : data;
  return call("write", [valueOf(fd), { type: "bytes", value }, int(value.length)], title, about);
};

/** `lseek(fd, 0, SEEK_SET)`. @see lseek(2) */
export const rewind = (fd: Slot): CallStep =>
  call("lseek", [valueOf(fd), int(0), int(0, "SEEK_SET")], "rewind");

/** Open a file that exists, write `data` with one call, close it: how proc and cgroup files take a value. */
export const writeFile = (pathname: string, data: string, about: About = {}): CallStep[] => {
  const title = about.title ?? `write ${pathname}`;
  const fd = slot("fd");
  const { reason, undo, ...rest } = about;
  return [
    open(pathname, O.O_WRONLY | O.O_CLOEXEC, fd, { ...rest, title, ...(reason && { reason }) }),
    write(fd, data, title, rest),
    close(fd, { title, ...(undo && { undo }) }),
  ];
};

/** `mkdirat(AT_FDCWD, pathname, mode)`. @see mkdir(2) */
export const mkdir = (pathname: string, mode: number, about?: About): CallStep =>
  call("mkdirat", [cwd, string(pathname), octal(mode)], `make the directory ${pathname}`, about);

/** The same for a directory that may be there already. */
export const ensureDirectory = (pathname: string, mode: number, about?: About): CallStep =>
  mkdir(pathname, mode, { tolerate: [errno("EEXIST")], ...about });

/** `unlinkat(AT_FDCWD, pathname, AT_REMOVEDIR)`: rmdir(2), which arm64 has under this name only. @see rmdir(2) */
export const rmdir = (pathname: string, about?: About): CallStep =>
  call("unlinkat", [cwd, string(pathname), flags(AT.AT_REMOVEDIR, AT)], `remove ${pathname}`, about);

/** `unlinkat(AT_FDCWD, pathname, 0)`. @see unlink(2) */
export const unlink = (pathname: string, about?: About): CallStep =>
  call("unlinkat", [cwd, string(pathname), int(0)], `remove ${pathname}`, about);

/** `symlinkat(target, AT_FDCWD, linkpath)`. @see symlink(2) */
export const symlink = (target: string, linkpath: string, about?: About): CallStep =>
  call("symlinkat", [string(target), cwd, string(linkpath)], `link ${linkpath}`, about);

/** `fchownat(AT_FDCWD, pathname, owner, group, 0)`; -1 leaves one as it is. @see chown(2) */
export const chown = (pathname: string, owner: number, group: number, about?: About): CallStep =>
  call(
    "fchownat",
    [cwd, string(pathname), int(owner), int(group), int(0)],
    `change the owner of ${pathname}`,
    about,
  );

/** `fchmodat(AT_FDCWD, pathname, mode)`. @see chmod(2) */
export const chmod = (pathname: string, mode: number, about?: About): CallStep =>
  call("fchmodat", [cwd, string(pathname), octal(mode)], `change the mode of ${pathname}`, about);

/** `chroot(path)`. @see chroot(2) */
export const chroot = (to: string, about?: About): CallStep =>
  call("chroot", [string(to)], `change the root directory to ${to}`, about);

/** `chdir(path)`. @see chdir(2) */
export const chdir = (to: string, about?: About): CallStep =>
  call("chdir", [string(to)], `change the working directory to ${to}`, about);

/** `setuid(uid)`. @see setuid(2) */
export const setuid = (uid: number, about?: About): CallStep => call("setuid", [int(uid)], "setuid", about);

/** `setgid(gid)`. @see setgid(2) */
export const setgid = (gid: number, about?: About): CallStep => call("setgid", [int(gid)], "setgid", about);

/** `setgroups(size, list)`. @see setgroups(2) */
export const setgroups = (groups: readonly number[], about?: About): CallStep => {
  const value = new Uint8Array(Uint32Array.from(groups).buffer);
  const list: Arg = groups.length ? { type: "bytes", value, text: `[${groups.join(", ")}]` } : NULL;
  return call("setgroups", [int(groups.length), list], "setgroups", about);
};

/** `prctl(PR_SET_PDEATHSIG, signal)`: what this process gets when its parent dies. @see PR_SET_PDEATHSIG(2const) */
export const parentDeathSignal = (signal: number, about?: About): CallStep =>
  call(
    "prctl",
    [int(PR.PR_SET_PDEATHSIG, "PR_SET_PDEATHSIG"), int(signal, signalName(signal))],
    "prctl",
    about,
  );

/** `prctl(PR_SET_NAME, name)`: what `ps -o comm` shows; 15 bytes at most. @see PR_SET_NAME(2const) */
export const setName = (name: string, about?: About): CallStep =>
  call("prctl", [int(PR.PR_SET_NAME, "PR_SET_NAME"), string(name)], "prctl", { onError: "ignore", ...about });

const BLOCK = int(0, "SIG_BLOCK");
const SETMASK = int(SIG_SETMASK, "SIG_SETMASK");
/** Bytes of the kernel's signal set. */
const SIGSET = int(8);

const signalSet = (signals: readonly number[]): Arg => {
  const value = new Uint8Array(BigUint64Array.of(signalMask(signals)).buffer);
  let names = "";
  for (const signal of signals) names += `${names && " "}${signalName(signal).slice(3)}`;
  return { type: "bytes", value, text: `[${names}]` };
};

/** Every signal; SIGKILL and SIGSTOP cannot be blocked, and the kernel passes them over. */
const allSignals: Arg = { type: "bytes", value: new Uint8Array(8).fill(0xff), text: "~[]" };

/** `rt_sigprocmask(SIG_BLOCK, set, oldset, 8)`; what was blocked before goes into `old`. @see rt_sigprocmask(2) */
export const blockSignals = (signals: readonly number[] | "all", old: Slot, about?: About): CallStep =>
  call(
    "rt_sigprocmask",
    [BLOCK, signals === "all" ? allSignals : signalSet(signals), { type: "out", slot: old }, SIGSET],
    "block signals",
    about,
  );

/** `rt_sigprocmask(SIG_SETMASK, set, NULL, 8)` with the mask that {@link blockSignals} left in `old`. */
export const restoreSignals = (old: Slot, about?: About): CallStep =>
  call(
    "rt_sigprocmask",
    [SETMASK, { type: "out", slot: old }, NULL, SIGSET],
    "restore the signal mask",
    about,
  );

/** `signalfd4(-1, every signal, 8, SFD_CLOEXEC|SFD_NONBLOCK)` into `result`. @see signalfd(2) */
export const signalDescriptor = (result: Slot, about?: About): CallStep =>
  call(
    "signalfd4",
    [int(-1), allSignals, SIGSET, int(O.O_CLOEXEC | O.O_NONBLOCK, "SFD_CLOEXEC|SFD_NONBLOCK")],
    "signalfd",
    { result, ...about },
  );

/** `rt_sigaction(signal, {SIG_DFL}, NULL, 8)`. @see sigaction(2) */
export const defaultSignal = (signal: number, about?: About): CallStep =>
  call(
    "rt_sigaction",
    [
      int(signal, signalName(signal)),
      // struct kernel_sigaction
      { type: "bytes", value: new Uint8Array(32), text: "{sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}" },
      NULL,
      SIGSET,
    ],
    "rt_sigaction",
    about,
  );

/** `rt_sigaction(signal, {SIG_IGN}, NULL, 8)`. @see sigaction(2) */
export const ignoreSignal = (signal: number): CallStep => {
  const value = new Uint8Array(32); // struct kernel_sigaction
  value[0] = 1; // SIG_IGN
  return call(
    "rt_sigaction",
    [int(signal, signalName(signal)), { type: "bytes", value, text: "{sa_handler=SIG_IGN}" }, NULL, SIGSET],
    "ignore a signal",
    { onError: "ignore" },
  );
};

/**
 * `prlimit64(0, resource, {soft, hard}, NULL)`, or another process's (`of`); -1 is no limit. EPERM for a hard limit above the present one without
 * CAP_SYS_RESOURCE. @see prlimit(2)
 */
export const limitResource = (
  resource: keyof typeof RLIMIT,
  soft: number,
  hard: number,
  about: About & { of?: Slot } = {},
): CallStep => {
  const { of, ...rest } = about;
  const value = new Uint8Array(BigInt64Array.of(BigInt(soft), BigInt(hard)).buffer);
  return call(
    "prlimit64",
    [
      of ? valueOf(of) : int(0),
      int(RLIMIT[resource], resource),
      { type: "bytes", value, text: `{rlim_cur=${limitText(soft)}, rlim_max=${limitText(hard)}}` },
      NULL,
    ],
    `set ${resource}`,
    rest,
  );
};

/** As strace writes limits. */
const limitText = (limit: number): string => {
  if (limit < 0) return "RLIM64_INFINITY";
  return limit > 1024 && limit % 1024 === 0 ? `${limit / 1024}*1024` : String(limit);
};

/** A pidfd of this very process, for children to hold. @see pidfd_open(2) */
export const openSelf = (result: Slot): CallStep[] => {
  const self = slot("self");
  return [
    call("getpid", [], "getpid", { result: self }),
    call("pidfd_open", [valueOf(self), int(0)], "pidfd_open", {
      result,
      reason: "with it the child sees a parent that died too early",
      // Before Linux 5.3 there is none; the poll on it then finds nothing, as on a parent that lives.
      onError: "ignore",
    }),
  ];
};

/** `struct pollfd` for one descriptor. @see poll(2) */
export const readable = (fd: Slot): Arg => ({
  type: "struct",
  fields: [
    { size: 4, value: fd },
    { size: 2, value: POLL.POLLIN },
    { size: 2, value: 0 },
  ],
  text: `[{fd=${fd.slot}, events=POLLIN}]`,
});

/**
 * Get `signal` when the parent dies, also when it died before this was asked for: `parent` is its pidfd from
 * {@link openSelf}, readable once it is dead, and then this process ends itself the same way.
 */
export const dieWithParent = (signal: number, parent: Slot): CallStep[] => {
  return [
    parentDeathSignal(signal, { reason: "the child shall not outlive its parent" }),
    call(
      "ppoll",
      [
        readable(parent),
        int(1),
        { type: "bytes", value: new Uint8Array(16), text: "{tv_sec=0, tv_nsec=0}" },
        NULL,
        int(0),
      ],
      "ppoll",
      { reason: "unless it is dead already: then end here", endWhen: "positive" },
    ),
  ];
};

/**
 * Appends a process's line of /proc to the open file `to`: process id and start time together name it for as long as
 * the machine runs. Where no /proc shows the process, nothing is appended. @see proc_pid_stat(5)
 */
export const appendIdentity = (to: Slot, about?: About): CallStep[] => {
  const [stat, length] = [slot("stat"), slot("length")];
  const line: Arg = { type: "buffer", name: "line", size: 1024 };
  const quiet = { onError: "ignore" } as const;
  return [
    open("/proc/self/stat", O.O_RDONLY | O.O_CLOEXEC, stat, { ...about, ...quiet }),
    call("read", [valueOf(stat), line, int(1024)], "read /proc/self/stat", { ...quiet, result: length }),
    call("write", [valueOf(to), line, valueOf(length)], "write the record", quiet),
    close(stat, quiet),
  ];
};

/**
 * `keyctl(KEYCTL_JOIN_SESSION_KEYRING, name)`: a new keyring takes the place of the caller's. A kernel without keys has
 * none to hide. @see KEYCTL_JOIN_SESSION_KEYRING(2const)
 */
export const joinKeyring = (name: string, about?: About): CallStep =>
  call(
    "keyctl",
    [int(KEYCTL_JOIN_SESSION_KEYRING, "KEYCTL_JOIN_SESSION_KEYRING"), string(name)],
    "make a session keyring",
    { tolerate: [errno("ENOSYS")], ...about },
  );

/** `setsid()`. @see setsid(2) */
export const setsid = (about?: About): CallStep => call("setsid", [], "setsid", about);

/** `umask(mask)`; what it was before goes into `old`. It cannot fail. @see umask(2) */
export const setUmask = (mask: number, old: Slot, about?: About): CallStep =>
  call("umask", [octal(mask)], "umask", { result: old, ...about });

export const restoreUmask = (old: Slot, about?: About): CallStep =>
  call("umask", [valueOf(old)], "umask", about);

/** `pivot_root(new_root, put_old)`. @see pivot_root(2) */
export const pivotRoot = (newRoot: string, putOld: string, about?: About): CallStep =>
  call("pivot_root", [string(newRoot), string(putOld)], "pivot_root", about);

/** `sethostname(name, length)`. @see sethostname(2) */
export const setHostname = (name: string, about?: About): CallStep => {
  const value = encode(name);
  return call("sethostname", [{ type: "bytes", value }, int(value.length)], "set the host name", about);
};

const hexadecimal = (value: number): string => (value === 0 ? "0" : `0x${value.toString(16)}`);

/** A device node or named pipe as mknod(2) takes it. */
export interface Node {
  readonly path: string;
  readonly type: "b" | "c" | "p";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly fileMode: number;
}

/** The kernel's 32 bits of a device number: 12 of the major one between the minor one's 8 and 12. @see makedev(3) */
const deviceNumber = (major: number, minor: number): number =>
  ((minor & 0xff) | (major << 8) | ((minor & 0xfff00) << 12)) >>> 0;

const NODES = { b: "S_IFBLK", c: "S_IFCHR", p: "S_IFIFO" } as const;

/** `mknodat(AT_FDCWD, pathname, S_IFCHR|mode, makedev(major, minor))`, or S_IFBLK, or S_IFIFO. @see mknod(2) */
export const makeDevice = (
  { path: pathname, type, major, minor, fileMode: mode }: Node,
  about?: About,
): CallStep =>
  call(
    "mknodat",
    [
      cwd,
      string(pathname),
      int(S[NODES[type]] | mode, `${NODES[type]}|0${mode.toString(8)}`),
      int(deviceNumber(major, minor), `makedev(${hexadecimal(major)}, ${hexadecimal(minor)})`),
    ],
    `make the device ${pathname}`,
    about,
  );

/** An empty file, where there is nothing yet: something to mount a file on. It has no device number. @see mknod(2) */
export const ensureFile = (pathname: string, mode: number): CallStep =>
  call(
    "mknodat",
    [cwd, string(pathname), int(S.S_IFREG | mode, `S_IFREG|0${mode.toString(8)}`)],
    `make ${pathname}`,
    { tolerate: [errno("EEXIST"), errno("EROFS")] },
  );

/** A file in `directory` that has no name yet, for {@link linkOpen}. @see open(2), O_TMPFILE */
export const openNameless = (directory: string, result: Slot, about?: About): CallStep =>
  call(
    "openat",
    [
      cwd,
      string(directory),
      { type: "byArch", x64: int(tmpfile("x64"), TMPFILE), arm64: int(tmpfile("arm64"), TMPFILE) },
      octal(0o600),
    ],
    `make a file in ${directory}`,
    { result, ...about },
  );

const TMPFILE = "O_WRONLY|O_CLOEXEC|O_TMPFILE";
const tmpfile = (arch: Arch): number => O.O_WRONLY | O_TMPFILE[arch] | O.O_CLOEXEC;

/** `flock(fd, LOCK_EX|LOCK_NB)`; the lock goes when every copy of the descriptor is closed. @see flock(2) */
export const lock = (fd: Slot, about?: About): CallStep =>
  call("flock", [valueOf(fd), flags(LOCK.LOCK_EX | LOCK.LOCK_NB, LOCK)], "lock", about);

/** `linkat(fd, "", AT_FDCWD, pathname, AT_EMPTY_PATH)`: give an open file a name. @see linkat(2) */
export const linkOpen = (fd: Slot, pathname: string, about?: About): CallStep =>
  call(
    "linkat",
    [valueOf(fd), string(""), cwd, string(pathname), flags(AT.AT_EMPTY_PATH, AT)],
    `make ${pathname}`,
    about,
  );

/** `open_tree(AT_FDCWD, source, OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_RECURSIVE)`, or of one mount alone. @see open_tree(2) */
export const openTree = (
  source: string,
  result: Slot,
  about?: About,
  reach: "tree" | "mount" = "tree",
): CallStep => {
  const whole = reach === "tree" ? OPEN_TREE.AT_RECURSIVE : 0;
  const how = OPEN_TREE.OPEN_TREE_CLONE | OPEN_TREE.OPEN_TREE_CLOEXEC | whole;
  return call("open_tree", [cwd, string(source), flags(how, OPEN_TREE)], `open ${source}`, {
    result,
    ...about,
  });
};

/** What {@link setMountAttributes} changes. `propagation` is MS_SHARED or the like; `userns` is what ids are mapped by. */
export interface MountChange {
  readonly set?: number;
  readonly cleared?: number;
  readonly propagation?: number;
  readonly userns?: Slot;
  readonly isRecursive?: boolean;
}

/**
 * `mount_setattr(mount, "", AT_EMPTY_PATH, {attr_set, attr_clr, propagation, userns_fd}, 32)`, with AT_RECURSIVE for all
 * mounts of the tree. Since Linux 5.12. @see mount_setattr(2)
 */
export const setMountAttributes = (
  fd: Slot,
  { set = 0, cleared = 0, propagation = 0, userns, isRecursive = false }: MountChange,
  about?: About,
): CallStep => {
  const value = new Uint8Array(32); // struct mount_attr { u64 attr_set, attr_clr, propagation, userns_fd; }
  const words = new BigUint64Array(value.buffer);
  words[0] = BigInt(set);
  words[1] = BigInt(cleared);
  words[2] = BigInt(propagation);
  const text = `{attr_set=${flagText(set, MOUNT_ATTR)}, attr_clr=${attributesText(cleared)}, propagation=${flagText(propagation, MS)}, userns_fd=${userns?.slot ?? 0}}`;
  return call(
    "mount_setattr",
    [
      valueOf(fd),
      string(""),
      flags(AT.AT_EMPTY_PATH | (isRecursive ? AT.AT_RECURSIVE : 0), AT),
      userns
        ? {
            type: "struct",
            fields: [
              { size: 8, value: set },
              { size: 8, value: cleared },
              { size: 8, value: propagation },
              { size: 8, value: userns },
            ],
            text,
          }
        : { type: "bytes", value, text },
      int(value.length),
    ],
    "change the mount",
    about,
  );
};

const attributesText = (bits: number): string => {
  const { MOUNT_ATTR__ATIME } = MOUNT_ATTR;
  if ((bits & MOUNT_ATTR__ATIME) !== MOUNT_ATTR__ATIME) return flagText(bits, MOUNT_ATTR);
  const rest = bits & ~MOUNT_ATTR__ATIME;
  return rest ? `${flagText(rest, MOUNT_ATTR)}|MOUNT_ATTR__ATIME` : "MOUNT_ATTR__ATIME";
};

/** {@link setMountAttributes}: the whole tree becomes read-only. */
export const readonlyTree = (tree: Slot, about?: About): CallStep =>
  setMountAttributes(
    tree,
    { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY, isRecursive: true },
    { title: "make read-only", ...about },
  );

/**
 * `mount_setattr(AT_FDCWD, path, 0, {attr_set}, 32)`: what a mount is besides what it is already, since Linux 5.12. Those
 * of another user namespace's cannot be taken away, which MS_REMOUNT would. @see mount_setattr(2)
 */
export const restrictMount = (pathname: string, attributes: number, about?: About): CallStep => {
  const value = new Uint8Array(32);
  value[0] = attributes;
  const names = flagText(attributes, MOUNT_ATTR);
  return call(
    "mount_setattr",
    [
      cwd,
      string(pathname),
      int(0),
      { type: "bytes", value, text: `{attr_set=${names}, attr_clr=0, propagation=0, userns_fd=0}` },
      int(value.length),
    ],
    `restrict ${pathname}`,
    about,
  );
};

/** `move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH)`. @see move_mount(2) */
export const attachTree = (tree: Slot, target: string, about?: About): CallStep =>
  call(
    "move_mount",
    [valueOf(tree), string(""), cwd, string(target), flags(MOVE_MOUNT.MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT)],
    `mount ${target}`,
    about,
  );

/** The loopback device of a new network namespace is there, but down. @see netdevice(7) */
export const loopbackUp = (): CallStep[] => {
  const title = "bring the loopback device up";
  const socket = slot("socket");
  const ifreq = new Uint8Array(40); // char ifr_name[16]; short ifr_flags; …
  ifreq.set(encode("lo"));
  new DataView(ifreq.buffer).setInt16(16, NET.IFF_UP | NET.IFF_RUNNING, true);
  return [
    call(
      "socket",
      [
        int(NET.AF_INET, "AF_INET"),
        int(NET.SOCK_DGRAM | NET.SOCK_CLOEXEC, "SOCK_DGRAM|SOCK_CLOEXEC"),
        int(0, "IPPROTO_IP"),
      ],
      title,
      {
        result: socket,
        reason: "127.0.0.1 answers inside",
      },
    ),
    call(
      "ioctl",
      [
        valueOf(socket),
        int(NET.SIOCSIFFLAGS, "SIOCSIFFLAGS"),
        { type: "bytes", value: ifreq, text: '{ifr_name="lo", ifr_flags=IFF_UP|IFF_RUNNING}' },
      ],
      title,
    ),
    close(socket, { title }),
  ];
};

/** `prctl(PR_CAPBSET_DROP, capability)`; one that the kernel does not know is dropped already. @see capabilities(7) */
export const dropFromBoundingSet = (bit: number, name: string, about?: About): CallStep =>
  call("prctl", [int(PR.PR_CAPBSET_DROP, "PR_CAPBSET_DROP"), int(bit, name)], "drop capabilities", {
    tolerate: [errno("EINVAL")],
    ...about,
  });

/** Names of the capabilities in each of a process's own sets. @see capabilities(7) */
export interface CapabilitySets {
  readonly effective: readonly (keyof typeof CAP)[];
  readonly permitted: readonly (keyof typeof CAP)[];
  readonly inheritable: readonly (keyof typeof CAP)[];
}

/** `capset(header, data)`: the sets become these. @see capset(2) */
export const setCapabilities = (sets: CapabilitySets, about?: About): CallStep => {
  const header = new Uint8Array(Uint32Array.of(0x20080522, 0).buffer); // _LINUX_CAPABILITY_VERSION_3, this process
  // { effective, permitted, inheritable } for bits 0 to 31, and again for those above
  const words = new Uint32Array(6);
  const fill = (names: readonly (keyof typeof CAP)[], at: 0 | 1 | 2): string => {
    let text = "";
    for (const name of names) {
      const bit = CAP[name];
      words[at + (bit < 32 ? 0 : 3)]! |= 1 << (bit & 31);
      text += `${text && "|"}1<<${name}`;
    }
    return text || "0";
  };
  const text = `{effective=${fill(sets.effective, 0)}, permitted=${fill(sets.permitted, 1)}, inheritable=${fill(sets.inheritable, 2)}}`;
  return call(
    "capset",
    [
      { type: "bytes", value: header, text: "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}" },
      { type: "bytes", value: new Uint8Array(words.buffer), text },
    ],
    "set the capabilities",
    about,
  );
};

/** `prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0)`. @see PR_CAP_AMBIENT(2const) */
export const raiseAmbient = (name: keyof typeof CAP, about?: About): CallStep =>
  call(
    "prctl",
    [
      int(PR.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
      int(PR.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"),
      int(CAP[name], name),
      int(0),
      int(0),
    ],
    "set the ambient capabilities",
    about,
  );

/** `prctl(PR_SET_KEEPCAPS, 1)`: a change of user leaves the permitted set as it is. @see PR_SET_KEEPCAPS(2const) */
export const keepCapabilities = (about?: About): CallStep =>
  call("prctl", [int(PR.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"), int(1)], "keep capabilities", about);

/** `prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)`. @see PR_SET_NO_NEW_PRIVS(2const) */
export const noNewPrivileges = (about?: About): CallStep =>
  call(
    "prctl",
    [int(PR.PR_SET_NO_NEW_PRIVS, "PR_SET_NO_NEW_PRIVS"), int(1), int(0), int(0), int(0)],
    "set no_new_privs",
    about,
  );

/**
 * `seccomp(SECCOMP_SET_MODE_FILTER, 0, {len, filter})`: this process and all that it starts make the calls that the
 * program lets through. EACCES without CAP_SYS_ADMIN or no_new_privs, EINVAL where the kernel has no filters.
 * @see seccomp(2)
 */
export const filterCalls = (program: Uint8Array, about?: About): CallStep => {
  const count = program.length / 8; // struct sock_filter
  return call(
    "seccomp",
    [
      int(SECCOMP_SET_MODE_FILTER, "SECCOMP_SET_MODE_FILTER"),
      int(0),
      {
        type: "struct",
        // struct sock_fprog { unsigned short len; struct sock_filter *filter; }
        fields: [
          { size: 8, value: count },
          { size: 8, value: { bytes: program } },
        ],
        text: `{len=${count}, filter=[...]}`,
      },
    ],
    "filter system calls",
    about,
  );
};

/** `close_range(first, ~0, 0)`. Its flag to close on execve only is younger than the call (Linux 5.11). @see close_range(2) */
export const closeFrom = (first: number, about?: About): CallStep =>
  call("close_range", [int(first), int(0xffffffff, "4294967295"), int(0)], "close_range", about);

/**
 * Reads a short file of counts into a buffer whose end stays 0; nothing happens where it cannot be read.
 * @see cgroups(7), memory.events
 */
export const readCounts = (pathname: string, reason: string): Pick<Notice, "read" | "counts"> => {
  const [fd, title, onError] = [slot("file"), `read ${pathname}`, "ignore"] as const;
  const counts = { type: "buffer", name: "counts", size: 512 } as const;
  return {
    read: [
      open(pathname, O.O_RDONLY | O.O_CLOEXEC, fd, { title, reason, onError }),
      call("read", [valueOf(fd), counts, int(counts.size - 1)], title, { onError }),
      close(fd, { title, onError }),
    ],
    counts,
  };
};

const dup = (from: Slot, to: number, title: string): CallStep =>
  call("dup3", [valueOf(from), int(to), int(0)], title);

/** `dup3(fd, to, O_CLOEXEC)` into `result`. @see dup(2) */
export const moveDescriptor = (fd: Arg, to: number, result: Slot, about?: About): CallStep =>
  call("dup3", [fd, int(to), int(O.O_CLOEXEC, "O_CLOEXEC")], "keep a descriptor", { result, ...about });

/** Reads the line of /proc of process `pid`, and ends unless it is the one that started at `started`. */
export const identify = (pid: number, started: string, hint: string): Step[] => {
  const [fd, title] = [slot("stat"), `find process ${pid}`];
  const stat = { type: "buffer", name: "line", size: 1024 } as const;
  return [
    open(`/proc/${pid}/stat`, O.O_RDONLY | O.O_CLOEXEC, fd, {
      title,
      reason: "whether its number is another's by now",
      hints: { [errno("ENOENT")]: hint },
    }),
    call("read", [valueOf(fd), stat, int(stat.size - 1)], title, { hints: { [errno("ESRCH")]: hint } }),
    close(fd, { title }),
    { kind: "identify", stat, started, title, hint },
  ];
};

/** Standard input becomes /dev/null. */
export const readNothing = (): CallStep[] => {
  const fd = slot("null");
  const title = "open /dev/null";
  return [
    open("/dev/null", O.O_RDONLY | O.O_CLOEXEC, fd, { reason: "without -i the program reads nothing" }),
    dup(fd, 0, title),
    close(fd, { title }),
  ];
};

/** `dup3(fd, to, flags)` of one of a pair. @see dup(2) */
export const duplicate = (
  pair: Slot,
  part: 0 | 1,
  to: number,
  about?: About & { closes?: boolean },
): CallStep => {
  const { closes = false, ...rest } = about ?? {};
  const how = closes ? int(O.O_CLOEXEC, "O_CLOEXEC") : int(0);
  return call("dup3", [partOf(pair, part), int(to), how], `hand on descriptor ${to}`, rest);
};

/** `fchown(fd, owner, group)`. @see chown(2) */
export const chownOpen = (fd: Arg, owner: number, group: number, about?: About): CallStep =>
  call("fchown", [fd, int(owner), int(group)], "change the owner of a pipe", about);

/** `close(fd)` of one of a pair. @see close(2) */
export const closePart = (pair: Slot, part: 0 | 1, about?: About): CallStep =>
  call("close", [partOf(pair, part)], "close", about);

export const closeNumber = (fd: number): CallStep => call("close", [int(fd)], "close");

/** `write(fd, byte, 1)`: what a heed step of another process waits for. */
export const tell = (fd: number | Slot, byte: number): CallStep =>
  call(
    "write",
    [typeof fd === "number" ? int(fd) : partOf(fd, 1), { type: "bytes", value: Uint8Array.of(byte) }, int(1)],
    "tell of the start",
    { onError: "ignore" },
  );

/** Standard input, output and error become /dev/null, which is open already. */
export const hush = (nothing: Slot): CallStep[] =>
  [0, 1, 2].map((fd, i) =>
    call("dup3", [valueOf(nothing), int(fd), int(0)], "let go of the caller's files", {
      ...(i === 0 && { reason: "the caller's files are not held open by one that stays" }),
    }),
  );

/** `setitimer(ITIMER_REAL, {seconds once}, NULL)`: SIGALRM when they are over; execve(2) keeps it, a child has none. */
export const setAlarm = (seconds: number, about?: About): CallStep => {
  const value = new Uint8Array(BigInt64Array.of(0n, 0n, BigInt(seconds), 0n).buffer); // struct itimerval
  return call(
    "setitimer",
    [
      int(0, "ITIMER_REAL"),
      {
        type: "bytes",
        value,
        text: `{it_interval={tv_sec=0, tv_usec=0}, it_value={tv_sec=${seconds}, tv_usec=0}}`,
      },
      NULL,
    ],
    "set the alarm",
    about,
  );
};

/** Two connected sockets in one slot. @see socketpair(2) */
export const socketPair = (result: Slot, about?: About): CallStep =>
  call(
    "socketpair",
    [
      int(NET.AF_UNIX, "AF_UNIX"),
      int(NET.SOCK_STREAM | NET.SOCK_CLOEXEC, "SOCK_STREAM|SOCK_CLOEXEC"),
      int(0),
      { type: "out", slot: result },
    ],
    "socketpair",
    about,
  );

/** The side of a new terminal that programs use. */
export const terminal = slot("tty");

/**
 * A terminal from the container's own /dev/pts. The supervisor, who listens at a socket, is told the number of the
 * master's descriptor, and takes it (see {@link takeDescriptor}) before the child goes on.
 */
export const newTerminal = (supervisor: Arg): CallStep[] => {
  const title = "open a terminal";
  const master = slot("ptmx");
  const answer: Arg = { type: "buffer", name: "answer", size: 8 };
  return [
    open("/dev/ptmx", O.O_RDWR | O.O_NOCTTY | O.O_CLOEXEC, master, {
      title,
      reason: "a terminal of the container's own",
    }),
    call(
      "ioctl",
      [
        valueOf(master),
        int(TTY.TIOCSPTLCK, "TIOCSPTLCK"),
        { type: "bytes", value: new Uint8Array(4), text: "[0]" },
      ],
      title,
    ),
    call(
      "ioctl",
      [valueOf(master), int(TTY.TIOCGPTPEER, "TIOCGPTPEER"), int(O.O_RDWR | O.O_NOCTTY, "O_RDWR|O_NOCTTY")],
      title,
      {
        result: terminal,
      },
    ),
    call("write", [supervisor, { type: "out", slot: master }, int(8)], title, {
      reason: "the supervisor takes it from here",
    }),
    call("read", [supervisor, answer, int(1)], title, { endWhen: "zero" }),
  ];
};

/** {@link newTerminal} becomes standard input, output and error, and the controlling terminal of the session. */
export const useTerminal = (): CallStep[] => {
  const title = "use the terminal";
  return [
    call("ioctl", [valueOf(terminal), int(TTY.TIOCSCTTY, "TIOCSCTTY"), int(0)], title),
    dup(terminal, 0, title),
    dup(terminal, 1, title),
    dup(terminal, 2, title),
  ];
};

/** Instead of {@link useTerminal} for a process that another is started from: that one takes {@link controlTerminal}. */
export const standOnTerminal = (): CallStep[] => {
  const title = "use the terminal";
  return [dup(terminal, 0, title), dup(terminal, 1, title), dup(terminal, 2, title)];
};

/** `ioctl(0, TIOCSCTTY, 0)`: standard input becomes the controlling terminal of this session. @see ioctl_tty(2) */
export const controlTerminal = (): CallStep =>
  call("ioctl", [int(0), int(TTY.TIOCSCTTY, "TIOCSCTTY"), int(0)], "use the terminal");

/**
 * The supervisor's side of {@link newTerminal}. A child that has failed before it had a terminal has said why, and
 * has closed its end: everything here then passes, and `result` is no descriptor.
 */
export const takeDescriptor = (child: Slot, pair: Slot, result: Slot): CallStep[] => {
  const title = "take the container's terminal";
  const [number, pidfd] = [slot("number"), slot("child")];
  return [
    call("close", [partOf(pair, 1)], title),
    call("read", [partOf(pair, 0), { type: "out", slot: number }, int(8)], title),
    call("pidfd_open", [valueOf(child), int(0)], title, { result: pidfd }),
    call("pidfd_getfd", [valueOf(pidfd), valueOf(number), int(0)], title, { result, onError: "ignore" }),
    call("write", [partOf(pair, 0), { type: "bytes", value: new Uint8Array(1) }, int(1)], title, {
      onError: "ignore",
    }),
    call("close", [partOf(pair, 0)], title),
  ];
};
