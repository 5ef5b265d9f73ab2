// The vocabulary of plans: one function for a system call or a small fixed group of calls. A group's calls share its
// title, and the first carries the reason. Fields have the kernel's names in the order of the manual pages.

import { errno } from "../abi/errno.ts";
import {
  AT,
  AT_FDCWD,
  CLONE,
  flagText,
  type FlagTable,
  MNT,
  MS,
  O,
  POLL,
  PR,
  signalMask,
  signalName,
} from "../abi/flags.ts";
import { encode } from "../abi/bytes.ts";
import {
  type Arg,
  type CallStep,
  int,
  NULL,
  type OnError,
  type Slot,
  slot,
  string,
  valueOf,
} from "./call.ts";
import type { SyscallName } from "../abi/syscalls.ts";

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
  readonly endWhenPositive?: boolean;
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

const flags = (value: number, table: FlagTable): Arg => int(value, flagText(value, table));
const cwd = int(AT_FDCWD, "AT_FDCWD");
const octal = (mode: number): Arg => int(mode, `0${mode.toString(8)}`);
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
  const args = [cwd, string(pathname), int(how, openFlagText(how))];
  if (mode !== undefined) args.push(octal(mode));
  return call("openat", args, `open ${pathname}`, { ...rest, result });
};

const openFlagText = (value: number): string => {
  const access = ["O_RDONLY", "O_WRONLY", "O_RDWR"][value & 3]!;
  const rest = flagText(value & ~3, O, "");
  return rest ? `${access}|${rest}` : access;
};

/** `close(fd)`. @see close(2) */
export const close = (fd: Slot, about?: About): CallStep => call("close", [valueOf(fd)], "close", about);

/** `write(fd, data, length)`. A short write does not happen for the small files of proc and cgroup. @see write(2) */
export const write = (fd: Slot, data: string | Uint8Array, title: string, about?: About): CallStep => {
  const value = typeof data === "string" ? encode(data) : data;
  return call("write", [valueOf(fd), { type: "bytes", value }, int(value.length)], title, about);
};

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

const SIG_BLOCK = int(0, "SIG_BLOCK");
const SIG_SETMASK = int(2, "SIG_SETMASK");
/** Bytes of the kernel's signal set. */
const SIGSET = int(8);

const signalSet = (signals: readonly number[]): Arg => {
  const value = new Uint8Array(BigUint64Array.of(signalMask(signals)).buffer);
  return {
    type: "bytes",
    value,
    text: `[${signals.map((number) => signalName(number).slice(3)).join(" ")}]`,
  };
};

/** Every signal; SIGKILL and SIGSTOP cannot be blocked, and the kernel passes them over. */
const allSignals: Arg = { type: "bytes", value: new Uint8Array(8).fill(0xff), text: "~[]" };

/** `rt_sigprocmask(SIG_BLOCK, set, oldset, 8)`; what was blocked before goes into `old`. @see rt_sigprocmask(2) */
export const blockSignals = (signals: readonly number[] | "all", old: Slot, about?: About): CallStep =>
  call(
    "rt_sigprocmask",
    [SIG_BLOCK, signals === "all" ? allSignals : signalSet(signals), { type: "out", slot: old }, SIGSET],
    "block signals",
    about,
  );

/** `rt_sigprocmask(SIG_SETMASK, set, NULL, 8)` with the mask that {@link blockSignals} left in `old`. */
export const restoreSignals = (old: Slot, about?: About): CallStep =>
  call(
    "rt_sigprocmask",
    [SIG_SETMASK, { type: "out", slot: old }, NULL, SIGSET],
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
        {
          type: "struct",
          fields: [
            { size: 4, value: parent },
            { size: 2, value: POLL.POLLIN },
            { size: 2, value: 0 },
          ],
          text: `[{fd=${parent.slot}, events=POLLIN}]`,
        },
        int(1),
        { type: "bytes", value: new Uint8Array(16), text: "{tv_sec=0, tv_nsec=0}" },
        NULL,
        int(0),
      ],
      "ppoll",
      { reason: "unless it is dead already: then end here", endWhenPositive: true },
    ),
  ];
};
