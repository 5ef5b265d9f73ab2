// More of the vocabulary: entering namespaces that are there, keeping new ones, and a helper that works for a process
// from outside of them.

import { encode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import {
  AT,
  AT_FDCWD,
  CAP,
  CLONE,
  FD_NSFS_ROOT,
  FILEID_NSFS,
  MNT,
  MS,
  NAMESPACE,
  O,
  PR,
  S,
} from "../abi/flags.ts";
import {
  type Arg,
  type CallStep,
  int,
  type Loaded,
  loaded,
  NULL,
  partOf,
  type Slot,
  slot,
  string,
  text,
  type Text,
  valueOf,
} from "./call.ts";
import { type About, call, close, flags, open } from "./steps.ts";

const CWD = int(AT_FDCWD, "AT_FDCWD");

/** `setns(fd, nstype)`: EPERM without privilege in both user namespaces, EINVAL for another kind. @see setns(2) */
export const setns = (fd: Slot, kinds: number, title: string, about?: About): CallStep =>
  call("setns", [valueOf(fd), flags(kinds, CLONE)], title, about);

/** `pidfd_open(pid, 0)` into `result`: a hold on a process; ESRCH when there is none. @see pidfd_open(2) */
export const openProcess = (pid: number, result: Slot, about?: About): CallStep =>
  call("pidfd_open", [int(pid), int(0)], `find process ${pid}`, { result, ...about });

/** `struct stat`: where some fields are. The first two are the same on both processors. @see stat(2), asm/stat.h */
const STAT = {
  size: 256,
  ino: { offset: { x64: 8, arm64: 8 }, size: 8 },
  uid: { offset: { x64: 28, arm64: 24 }, size: 4 },
  gid: { offset: { x64: 32, arm64: 28 }, size: 4 },
  rdev: { offset: { x64: 40, arm64: 32 }, size: 8 },
} as const;

/** One field of what {@link status} put into the buffer `name`. */
export const statusField = (name: string, field: "ino" | "uid" | "gid" | "rdev"): Loaded => ({
  buffer: name,
  ...STAT[field],
  text: `${name}.st_${field}`,
});

/** `newfstatat(fd, "", buffer, AT_EMPTY_PATH)`. @see stat(2) */
export const status = (fd: Slot, name: string, title: string, about?: About): CallStep =>
  call(
    "newfstatat",
    [valueOf(fd), string(""), { type: "buffer", name, size: STAT.size }, flags(AT.AT_EMPTY_PATH, AT)],
    title,
    about,
  );

/** An id that the run reads: of a process's files, as the caller's user namespace sees it by then. @see setuid(2) */
export const setLoadedId = (name: "setuid" | "setgid", from: Loaded, about?: About): CallStep =>
  call(name, [loaded(from)], name, about);

/**
 * `open_by_handle_at(FD_NSFS_ROOT, handle, O_RDONLY|O_CLOEXEC)` into `result`: a namespace by its id alone, since
 * Linux 6.19; ESTALE when there is none. @see open_by_handle_at(2)
 */
export const openNamespaceById = (id: bigint, result: Slot, title: string, about?: About): CallStep => {
  // struct file_handle { u32 handle_bytes; s32 handle_type; } and nsfs's own { u64 ns_id; u32 ns_type, ns_inum; }
  const value = new Uint8Array(24);
  const view = new DataView(value.buffer);
  view.setUint32(0, 16, true);
  view.setInt32(4, FILEID_NSFS, true);
  view.setBigUint64(8, id, true);
  return call(
    "open_by_handle_at",
    [
      int(FD_NSFS_ROOT, "FD_NSFS_ROOT"),
      { type: "bytes", value, text: `{handle_bytes=16, handle_type=FILEID_NSFS, ns_id=${id}}` },
      flags(O.O_RDONLY | O.O_CLOEXEC, O),
    ],
    title,
    { result, ...about },
  );
};

/** `ioctl(fd, request)` into `result`: the namespace that owns this one, is above it, or that a socket is in. @see ioctl_nsfs(2) */
export const relatedNamespace = (
  fd: Slot,
  request: keyof typeof NAMESPACE,
  result: Slot,
  title: string,
  about?: About,
): CallStep => call("ioctl", [valueOf(fd), int(NAMESPACE[request], request)], title, { result, ...about });

/** `pidfd_getfd(pidfd, targetfd, 0)` into `result`: a copy of another process's descriptor. @see pidfd_getfd(2) */
export const copyDescriptor = (
  pidfd: Slot,
  fd: number,
  result: Slot,
  title: string,
  about?: About,
): CallStep => call("pidfd_getfd", [valueOf(pidfd), int(fd), int(0)], title, { result, ...about });

/** `fchdir(fd)`. @see chdir(2) */
export const changeToOpen = (fd: Slot, title: string, about?: About): CallStep =>
  call("fchdir", [valueOf(fd)], title, about);

/** `setresuid(-1, euid, -1)` or `setresgid`: the effective id alone, so that the way back stays open. @see setresuid(2) */
export const setEffective = (name: "setresuid" | "setresgid", id: number, about?: About): CallStep =>
  call(name, [int(-1), int(id), int(-1)], name, about);

/** `pipe2(pair, O_CLOEXEC)`. @see pipe(2) */
export const pipe = (pair: Slot, about?: About): CallStep =>
  call("pipe2", [{ type: "out", slot: pair }, int(O.O_CLOEXEC, "O_CLOEXEC")], "pipe", about);

/** Wait for a word from the process at the pipe's other end; when that has ended without one, so does this process. */
export const awaitWord = (pair: Slot, reason: string): CallStep[] => [
  call("close", [partOf(pair, 1)], "close", { reason: "so that the end of the other process is seen" }),
  call("read", [partOf(pair, 0), { type: "buffer", name: "word", size: 8 }, int(1)], "read", {
    reason,
    endWhen: "zero",
  }),
];

/** `fcntl(fd, F_DUPFD, 3)` into `result`: a copy that stays open on execve(2). @see fcntl(2) */
export const keepOpen = (fd: Slot, result: Slot, about?: About): CallStep =>
  call("fcntl", [valueOf(fd), int(0, "F_DUPFD"), int(3)], "fcntl", { result, ...about });

/** `read(fd, word, 1)`; an end without a word ends this process. @see read(2) */
export const read = (fd: Slot, reason: string): CallStep =>
  call("read", [valueOf(fd), { type: "buffer", name: "word", size: 8 }, int(1)], "read", {
    reason,
    endWhen: "zero",
  });

/** `mknodat(AT_FDCWD, pathname, S_IFIFO|0600, 0)`. @see fifo(7) */
export const makeFifo = (pathname: string, about?: About): CallStep =>
  call(
    "mknodat",
    [CWD, string(pathname), int(S.S_IFIFO | 0o600, "S_IFIFO|0600"), int(0)],
    `make ${pathname}`,
    about,
  );

/** Standard input and output become /dev/null, and errors go to a pipe, whose reader looks at them at the end if at all. */
export const quiet = (errors: Slot): CallStep[] => {
  const [fd, title] = [slot("null"), "open /dev/null"];
  const use = (from: Arg, number: number): CallStep => call("dup3", [from, int(number), int(0)], title);
  return [
    open("/dev/null", O.O_RDWR | O.O_CLOEXEC, fd, { title }),
    use(valueOf(fd), 0),
    use(valueOf(fd), 1),
    use(partOf(errors, 1), 2),
    close(fd, { title }),
  ];
};

/** `pipe2(pair, O_CLOEXEC|O_NONBLOCK)`: what does not fit is lost, and who reads does not wait. @see pipe(2) */
export const looseQueue = (pair: Slot): CallStep =>
  call(
    "pipe2",
    [{ type: "out", slot: pair }, int(O.O_CLOEXEC | O.O_NONBLOCK, "O_CLOEXEC|O_NONBLOCK")],
    "pipe",
  );

/** A line on standard error. */
export const say = (line: string): CallStep => {
  const value = encode(`${line}\n`);
  return call("write", [int(2), { type: "bytes", value }, int(value.length)], "write", { onError: "ignore" });
};

/** What is in a pipe of {@link quiet} goes to standard error, and `line` behind it. */
export const tellErrors = (errors: Slot, line: string): CallStep[] => {
  const [said, length, title] = [
    { type: "buffer", name: "said", size: 4096 } as const,
    slot("length"),
    "write",
  ];
  const quietly = { onError: "ignore" } as const;
  return [
    call("read", [partOf(errors, 0), said, int(said.size)], "read", { ...quietly, result: length }),
    call("write", [int(2), said, valueOf(length)], title, quietly),
    say(line),
  ];
};

/** The word that {@link awaitWord} waits for. */
export const giveWord = (pair: Slot, reason: string): CallStep =>
  call("write", [partOf(pair, 1), { type: "bytes", value: Uint8Array.of(0x2e) }, int(1)], "write", {
    reason,
  });

/** Wait until {@link endWait}, or until the other process has ended. */
export const awaitEnd = (pair: Slot): CallStep[] => [
  call("close", [partOf(pair, 1)], "close"),
  call("read", [partOf(pair, 0), { type: "buffer", name: "word", size: 8 }, int(1)], "read"),
];

export const endWait = (pair: Slot): CallStep[] => [
  call("close", [partOf(pair, 1)], "close"),
  call("close", [partOf(pair, 0)], "close"),
];

/** `getpid()` into `result`. @see getpid(2) */
export const ownId = (result: Slot, about?: About): CallStep =>
  call("getpid", [], "getpid", { result, ...about });

/** `mount(source, target, NULL, MS_BIND, NULL)` of a namespace's file, and its undoing. @see namespaces(7), mount(2) */
export const bindNamespace = (source: Text, target: string, about?: About): CallStep =>
  call("mount", [text(...source), string(target), NULL, flags(MS.MS_BIND, MS), NULL], `mount ${target}`, {
    undo: call("umount2", [string(target), flags(MNT.MNT_DETACH, MNT)], `unmount ${target}`),
    ...about,
  });

/** `openat(AT_FDCWD, pathname, O_WRONLY|O_CLOEXEC)`, write, close, for a file of a process that only the run knows. */
export const writeComposed = (
  path: Text,
  data: string,
  title: string,
  fd: Slot,
  about: About = {},
): CallStep[] => {
  const value = encode(data);
  const { reason, ...rest } = about;
  return [
    call("openat", [int(-100, "AT_FDCWD"), text(...path), flags(O.O_WRONLY | O.O_CLOEXEC, O)], title, {
      ...rest,
      result: fd,
      ...(reason && { reason }),
    }),
    call("write", [valueOf(fd), { type: "bytes", value }, int(value.length)], title, rest),
    call("close", [valueOf(fd)], title),
  ];
};

/** `openat(AT_FDCWD, pathname, O_RDONLY|O_CLOEXEC)` into `result`, for a path that only the run knows. @see open(2) */
export const openComposed = (path: Text, result: Slot, title: string, about?: About): CallStep =>
  call("openat", [int(-100, "AT_FDCWD"), text(...path), flags(O.O_RDONLY | O.O_CLOEXEC, O)], title, {
    result,
    ...about,
  });

/** `execve(path, argv, environ)` with words that only the run knows. @see execve(2) */
export const become = (
  path: string,
  argv: readonly (string | Text)[],
  title: string,
  about?: About,
): CallStep =>
  call("execve", [string(path), { type: "strings", value: argv }, { type: "environ" }], title, about);

/** `prctl(PR_SET_KEEPCAPS, 1)`: a change of user ids leaves the permitted capabilities. @see PR_SET_KEEPCAPS(2const) */
export const keepCapabilities = (about?: About): CallStep =>
  call("prctl", [int(PR.PR_SET_KEEPCAPS, "PR_SET_KEEPCAPS"), int(1)], "prctl", about);

/**
 * `prctl(PR_SET_DUMPABLE, SUID_DUMP_USER)`: a change of ids gives a process's files in /proc to root; this gives them back.
 * @see PR_SET_DUMPABLE(2const)
 */
export const ownFilesOfProc = (about?: About): CallStep =>
  call("prctl", [int(PR.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), int(1, "SUID_DUMP_USER")], "prctl", about);

/** `prctl(PR_SET_DUMPABLE, 0)`: its files in /proc are root's outside, and nobody traces it. @see PR_SET_DUMPABLE(2const) */
export const hideFromOthers = (about?: About): CallStep =>
  call("prctl", [int(PR.PR_SET_DUMPABLE, "PR_SET_DUMPABLE"), int(0, "SUID_DUMP_DISABLE")], "prctl", about);

/**
 * `linkat(AT_FDCWD, "/proc/self/fd/N", AT_FDCWD, pathname, AT_SYMLINK_FOLLOW)`: give an open file a name, for whom
 * linkOpen() is forbidden. @see open(2), O_TMPFILE
 */
export const linkDescriptor = (fd: Slot, pathname: string, about?: About): CallStep =>
  call(
    "linkat",
    [CWD, text("/proc/self/fd/", fd), CWD, string(pathname), flags(AT.AT_SYMLINK_FOLLOW, AT)],
    `make ${pathname}`,
    about,
  );

/** `struct __user_cap_data_struct { u32 effective, permitted, inheritable; }` for bits 0 to 31, and again for those above. */
const CAPS = { buffer: "caps", size: 24 } as const;
const permitted = (half: 0 | 1): Loaded => ({
  buffer: CAPS.buffer,
  offset: { x64: half * 12 + 4, arm64: half * 12 + 4 },
  size: 4,
  text: `permitted[${half}]`,
});

/**
 * Every permitted capability becomes effective, inheritable and ambient, so that it survives an execve(2) of a user
 * that is not 0. `last` is the highest that the kernel knows. @see capabilities(7), PR_CAP_AMBIENT(2const)
 */
export const makeCapabilitiesAmbient = (last: number): CallStep[] => {
  const title = "keep the capabilities";
  // _LINUX_CAPABILITY_VERSION_3, this process
  const header: Arg = {
    type: "bytes",
    value: new Uint8Array(Uint32Array.of(0x20080522, 0).buffer),
    text: "{version=_LINUX_CAPABILITY_VERSION_3, pid=0}",
  };
  const steps = [
    call("capget", [header, { type: "buffer", name: CAPS.buffer, size: CAPS.size }], title, {
      reason: "what is permitted in the user namespace shall outlive the execve",
    }),
    call(
      "capset",
      [
        header,
        {
          type: "struct",
          fields: [0, 0, 0, 1, 1, 1].map((half) => ({ size: 4, value: permitted(half as 0 | 1) })),
          text: "{effective=permitted, permitted=permitted, inheritable=permitted}",
        },
      ],
      title,
      { reason: "ambient is only what can be inherited" },
    ),
  ];
  const names = Object.keys(CAP);
  for (let bit = 0; bit <= last; bit++)
    steps.push(
      call(
        "prctl",
        [
          int(PR.PR_CAP_AMBIENT, "PR_CAP_AMBIENT"),
          int(PR.PR_CAP_AMBIENT_RAISE, "PR_CAP_AMBIENT_RAISE"),
          int(bit, names[bit] ?? `0x${bit.toString(16)}`),
          int(0),
          int(0),
        ],
        title,
        {
          // One that is not permitted cannot be kept, and one that the kernel does not know need not be.
          tolerate: [errno("EPERM"), errno("EINVAL")],
          ...(bit === 0 && { reason: "ambient ones stay when a program is executed" }),
        },
      ),
    );
  return steps;
};
