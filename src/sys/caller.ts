// What the caller gave this process: arguments and environment as bytes, and the state that Bun changes at its start
// and that a program must get back as it was (docs: "What Bun changes").

import { decode } from "../abi/bytes.ts";
import { CLOSE_RANGE_CLOEXEC, FD, RLIMIT_NOFILE, SIG } from "../abi/flags.ts";
import { address, listDirectory, readFile, readLink, syscall } from "./linux.ts";

/**
 * A block of NUL-terminated words and where each of them begins. /proc ends the last one with a NUL too, unless the
 * process was started with something odd.
 */
export interface Words {
  readonly bytes: Uint8Array;
  readonly starts: readonly number[];
}

const readWords = (path: string): Words => {
  const read = readFile(path) ?? new Uint8Array();
  const bytes = read.length === 0 || read[read.length - 1] === 0 ? read : Uint8Array.of(...read, 0);
  const starts: number[] = [];
  for (let at = 0; at < bytes.length; at = bytes.indexOf(0, at) + 1) starts.push(at);
  return { bytes, starts };
};

// Read once: the words are looked at as text, and handed on as they are.
let args: Words | undefined;
let environment: Words | undefined;

/** The arguments as the kernel holds them. @see proc_pid_cmdline(5) */
export const callerArguments = (): Words => (args ??= readWords("/proc/self/cmdline"));

/** The environment that this process was started with. @see proc_pid_environ(5) */
export const callerEnvironment = (): Words => (environment ??= readWords("/proc/self/environ"));

/** The soft limit on open descriptors that the caller had: Bun has raised ours, so the parent's is the best source. */
const callerSoftLimit = (hard: number): number | undefined => {
  const limits = decode(readFile(`/proc/${syscall("getppid")}/limits`) ?? new Uint8Array());
  const at = limits.indexOf("Max open files");
  if (at < 0) return undefined;
  // Columns of fixed width: the name, the soft limit, the hard limit, the unit. @see proc_pid_limits(5)
  const soft = limits.slice(at + 26, at + 47);
  const parentHard = limits.slice(at + 47, at + 68);
  // A parent with another hard limit has not handed its limits on unchanged: then nothing is known, and ours stays.
  return Number(parentHard) === hard ? Number(soft) : undefined;
};

/**
 * Undoes what Bun did to this process at its start, so that the program to be executed finds the caller's state:
 * SIGPIPE and SIGXFSZ at their default, the soft RLIMIT_NOFILE, and inherited descriptors open across execve(2), or
 * with `standard` none but 0, 1 and 2. Only for a process that is about to be replaced.
 */
export const restoreCallerState = (descriptors: "all" | "standard"): void => {
  // struct kernel_sigaction, all zero: SIG_DFL, no flags, empty mask.
  const defaultAction = new Uint8Array(32);
  syscall("rt_sigaction", SIG.SIGPIPE, address(defaultAction), 0, 8);
  syscall("rt_sigaction", SIG.SIGXFSZ, address(defaultAction), 0, 8);

  const { limit, hard } = openFilesLimit();
  const soft = callerSoftLimit(hard);
  if (soft !== undefined && soft !== limit[0]) {
    limit[0] = soft; // the hard limit is the same, and no kernel allows 2^32 descriptors
    syscall("prlimit64", 0, RLIMIT_NOFILE, address(limit), 0);
  }

  if (descriptors === "standard") syscall("close_range", 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
  else for (const fd of closedByBun()) syscall("fcntl", fd, FD.F_SETFD, 0);
};

/** `struct rlimit { u64 rlim_cur, rlim_max; }` of open descriptors, and the hard limit in it. @see getrlimit(2) */
const openFilesLimit = (): { limit: Uint32Array; hard: number } => {
  const limit = new Uint32Array(4);
  syscall("prlimit64", 0, RLIMIT_NOFILE, 0, address(limit));
  return { limit, hard: limit[2]! + limit[3]! * 2 ** 32 };
};

/**
 * The caller's descriptors that Bun has marked close-on-exec, which it does from 4 up. The caller's own mark is no
 * doubt about them: what had it was closed by our own execve(2).
 */
const closedByBun = (): number[] => {
  const names = listDirectory("/proc/self/fd");
  if (typeof names === "number") return [];
  const found: number[] = [];
  const epolls: number[] = [];
  const eventfds: number[] = [];
  for (const name of names) {
    const fd = Number(decode(name));
    // EBADF: the descriptor that the directory was read with is closed by now.
    if (fd < 3 || syscall("fcntl", fd, FD.F_GETFD) !== FD.FD_CLOEXEC) continue;
    const link = readLink(`/proc/self/fd/${fd}`);
    if (typeof link === "number") continue;
    const file = decode(link);
    if (file === "anon_inode:[eventpoll]") epolls.push(fd);
    else if (file === "anon_inode:[eventfd]") eventfds.push(fd);
    else found.push(fd);
  }
  // Bun's own are the epoll that it waits with and the eventfd that wakes it. As a rule there are no others.
  if (epolls.length > 1 || eventfds.length > 1) found.push(...notBuns(epolls, eventfds));
  return found;
};

/** A caller's are told from Bun's by what an epoll watches; Bun's were made after the caller's. @see proc_pid_fdinfo(5) */
const notBuns = (epolls: readonly number[], eventfds: readonly number[]): number[] => {
  for (const epoll of epolls.toReversed()) {
    const info = decode(readFile(`/proc/self/fdinfo/${epoll}`) ?? new Uint8Array());
    const woken = eventfds.find((eventfd) => new RegExp(`^tfd: +${eventfd} `, "m").test(info));
    if (woken !== undefined) return [...epolls, ...eventfds].filter((fd) => fd !== epoll && fd !== woken);
  }
  return [];
};

/** What a child of Bun's does not get by itself. */
export interface ProcessState {
  /** Signals that the caller ignores, so that its children do. */
  readonly ignored: readonly number[];
  /** The limit on open descriptors, when it is known. @see getrlimit(2) */
  readonly openFiles: { readonly soft: number; readonly hard: number } | undefined;
}

/** The state of the caller that children of this process are to have. */
export const callerProcessState = (): ProcessState => {
  const status = decode(readFile("/proc/self/status") ?? new Uint8Array());
  const mask = BigInt(`0x${/^SigIgn:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? "0"}`);
  const { hard } = openFilesLimit();
  const soft = callerSoftLimit(hard);
  return {
    // SIGPIPE and SIGXFSZ are ignored by Bun itself.
    ignored: Array.from({ length: 64 }, (_, i) => i + 1).filter(
      (signal) => (mask >> BigInt(signal - 1)) & 1n && signal !== SIG.SIGPIPE && signal !== SIG.SIGXFSZ,
    ),
    openFiles: soft === undefined ? undefined : { soft, hard },
  };
};
