// More of the vocabulary: mounting by descriptors, so that no link leads a mount astray, and what only the OCI runtime
// spec asks for.

import { encode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import {
  AT,
  AT_FDCWD,
  FD,
  IOPRIO,
  MOVE_MOUNT,
  O,
  OPEN_TREE,
  PER,
  PROC_SUPER_MAGIC,
  RESOLVE,
  S,
  signalName,
} from "../abi/flags.ts";
import { type Arg, type CallStep, int, NULL, type Slot, slot, string, valueOf } from "./call.ts";
import type { ExpectStep } from "./plan.ts";
import { type About, call, flags, readable } from "./steps.ts";

const cwd = int(AT_FDCWD, "AT_FDCWD");

/**
 * `openat2(AT_FDCWD, path, {O_PATH|O_CLOEXEC, RESOLVE_NO_MAGICLINKS}, 24)` into `result`: a hold on what a path leads to.
 * ELOOP for a link of /proc/PID, which would lead out of the root; with `links` false for any link. @see openat2(2)
 */
export const holdPath = (
  pathname: string,
  result: Slot,
  about: About & { readonly links?: boolean } = {},
): CallStep => {
  const { links = true, ...rest } = about;
  const resolve = links
    ? RESOLVE.RESOLVE_NO_MAGICLINKS
    : RESOLVE.RESOLVE_NO_MAGICLINKS | RESOLVE.RESOLVE_NO_SYMLINKS;
  // struct open_how { u64 flags, mode, resolve; }
  const value = new Uint8Array(BigUint64Array.of(BigInt(O.O_PATH | O.O_CLOEXEC), 0n, BigInt(resolve)).buffer);
  const names = links ? "RESOLVE_NO_MAGICLINKS" : "RESOLVE_NO_MAGICLINKS|RESOLVE_NO_SYMLINKS";
  const text = `{flags=O_RDONLY|O_CLOEXEC|O_PATH, resolve=${names}}`;
  return call(
    "openat2",
    [cwd, string(pathname), { type: "bytes", value, text }, int(value.length)],
    `open ${pathname}`,
    { result, ...rest },
  );
};

/** `mkdirat(directory, name, mode)`. @see mkdir(2) */
export const mkdirIn = (
  directory: Slot,
  name: string,
  mode: number,
  title: string,
  about?: About,
): CallStep => call("mkdirat", [valueOf(directory), string(name), octal(mode)], title, about);

/** `mknodat(directory, name, S_IFREG|mode, 0)`: an empty file. @see mknod(2) */
export const mkfileIn = (
  directory: Slot,
  name: string,
  mode: number,
  title: string,
  about?: About,
): CallStep =>
  call(
    "mknodat",
    [valueOf(directory), string(name), int(S.S_IFREG | mode, `S_IFREG|0${mode.toString(8)}`), int(0)],
    title,
    about,
  );

const octal = (mode: number): Arg => int(mode, `0${mode.toString(8)}`);

/** `open_tree(fd, "", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH)` into `result`. @see open_tree(2) */
export const copyMount = (
  fd: Slot,
  result: Slot,
  title: string,
  about: About & { readonly isRecursive?: boolean } = {},
): CallStep => {
  const { isRecursive, ...rest } = about;
  const how =
    OPEN_TREE.OPEN_TREE_CLONE |
    OPEN_TREE.OPEN_TREE_CLOEXEC |
    AT.AT_EMPTY_PATH |
    (isRecursive ? AT.AT_RECURSIVE : 0);
  const names = `OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH${isRecursive ? "|AT_RECURSIVE" : ""}`;
  return call("open_tree", [valueOf(fd), string(""), int(how, names)], title, { result, ...rest });
};

/** `move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH)`. @see move_mount(2) */
export const attachTo = (tree: Slot, target: Slot, title: string, about?: About): CallStep =>
  call(
    "move_mount",
    [
      valueOf(tree),
      string(""),
      valueOf(target),
      string(""),
      flags(MOVE_MOUNT.MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT.MOVE_MOUNT_T_EMPTY_PATH, MOVE_MOUNT),
    ],
    title,
    about,
  );

/** Fails when an open place is in a proc, where a mount would take the place of what protects. @see fstatfs(2) */
export const refuseProc = (fd: Slot, title: string, hint: string): [CallStep, ExpectStep] => [
  call("fstatfs", [valueOf(fd), { type: "buffer", name: "statfs", size: 128 }], title),
  {
    kind: "expect",
    found: { buffer: "statfs", offset: { x64: 0, arm64: 0 }, size: 8, text: "statfs.f_type" },
    value: BigInt(PROC_SUPER_MAGIC),
    differs: true,
    errno: errno("EPERM"),
    title,
    hint,
  },
];

/** `fcntl(fd, F_DUPFD_CLOEXEC, least)` into `result`: a descriptor that the caller has opened, by a name. @see fcntl(2) */
export const nameDescriptor = (fd: number, least: number, result: Slot, about?: About): CallStep =>
  call("fcntl", [int(fd), int(FD.F_DUPFD_CLOEXEC, "F_DUPFD_CLOEXEC"), int(least)], `use descriptor ${fd}`, {
    result,
    ...about,
  });

/** `dup3(from, to, 0)`. @see dup(2) */
export const duplicate = (from: Slot, to: number, title: string, about?: About): CallStep =>
  call("dup3", [valueOf(from), int(to), int(0)], title, about);

/** `setdomainname(name, length)`. @see setdomainname(2) */
export const setDomainname = (name: string, about?: About): CallStep => {
  const value = encode(name);
  return call("setdomainname", [{ type: "bytes", value }, int(value.length)], "set the domain name", about);
};

/** `personality(persona)`. @see personality(2) */
export const setPersonality = (domain: "LINUX" | "LINUX32", about?: About): CallStep =>
  call("personality", [int(PER[`PER_${domain}`], `PER_${domain}`)], "personality", about);

/** By their numbers. @see ioprio_set(2) */
const IO_CLASSES = ["IOPRIO_CLASS_NONE", "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"] as const;

/** `ioprio_set(IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(class, priority))`. @see ioprio_set(2) */
export const setIoPriority = (of: (typeof IO_CLASSES)[number], priority: number, about?: About): CallStep =>
  call(
    "ioprio_set",
    [
      int(IOPRIO.IOPRIO_WHO_PROCESS, "IOPRIO_WHO_PROCESS"),
      int(0),
      int(
        (IO_CLASSES.indexOf(of) << IOPRIO.IOPRIO_CLASS_SHIFT) | priority,
        `IOPRIO_PRIO_VALUE(${of}, ${priority})`,
      ),
    ],
    "set the priority of input and output",
    about,
  );

/**
 * `setitimer(ITIMER_REAL, {seconds})`: SIGALRM ends this process then, and the program that it has become by then.
 * @see setitimer(2)
 */
export const endAfter = (seconds: number, about?: About): CallStep => {
  // struct itimerval { struct timeval it_interval, it_value; }
  const value = new Uint8Array(BigInt64Array.of(0n, 0n, BigInt(seconds), 0n).buffer);
  return call(
    "setitimer",
    [int(0, "ITIMER_REAL"), { type: "bytes", value, text: `{it_value={tv_sec=${seconds}}}` }, NULL],
    "set a timer",
    about,
  );
};

/** `faccessat(AT_FDCWD, path, X_OK)`, by the real ids. @see access(2) */
export const mayExecute = (pathname: string, title: string, about?: About): CallStep =>
  call("faccessat", [cwd, string(pathname), int(1, "X_OK")], title, about);

/** `dup3(from, to, 0)` for descriptors that everybody has. */
export const duplicateNumber = (from: number, to: number, title: string): CallStep =>
  call("dup3", [int(from), int(to), int(0)], title);

/** The 8 bytes of a slot, for the process at the other end of a socket. @see write(2) */
export const tellSlot = (to: Slot, what: Slot, about?: About): CallStep =>
  call("write", [valueOf(to), { type: "out", slot: what }, int(8)], "tell nsk", about);

/** One byte: go on. */
export const tellByte = (to: Slot, reason: string): CallStep[] => [
  call("write", [valueOf(to), { type: "bytes", value: Uint8Array.of(0x2e) }, int(1)], "tell nsk", { reason }),
];

/** Waits for one byte; when the other end is closed without one, this process ends without a word. */
export const awaitPeer = (from: Slot, reason: string): CallStep[] => [
  call("read", [valueOf(from), { type: "buffer", name: "word", size: 8 }, int(1)], "wait for nsk", {
    reason,
    endWhen: "zero",
  }),
];

/** Waits for the byte that a start writes into the pipe. */
export const awaitStart = (from: Slot): CallStep[] => [
  call("read", [valueOf(from), { type: "buffer", name: "word", size: 8 }, int(1)], "wait for the start", {
    reason: "the container is created, and waits for its start",
  }),
  call("close", [valueOf(from)], "close"),
];

/** `ppoll({pidfd, POLLIN}, 1, NULL, NULL, 0)`: until a process has ended. @see pidfd_open(2) */
export const awaitProcess = (process: Slot, reason: string): CallStep =>
  call("ppoll", [readable(process), int(1), NULL, NULL, int(0)], "wait for the end", { reason });

/** `kill(getpid(), signal)`. @see kill(2) */
export const signalSelf = (signal: number, reason: string): CallStep[] => {
  const self = slot("self");
  return [
    call("getpid", [], "getpid", { result: self }),
    call("kill", [valueOf(self), int(signal, signalName(signal))], "kill", { reason }),
  ];
};
