// What the caller gave this process: arguments and environment as bytes, and the state that Bun changes at its start
// and that a program must get back as it was (docs: "What Bun changes").

import { decode } from "../abi/bytes.ts";
import { CLOSE_RANGE_CLOEXEC, FD, RLIMIT_NOFILE, SIG } from "../abi/flags.ts";
import { address, listDirectory, readFile, readLink, syscall } from "./linux.ts";

/** The words of a NUL-separated file of /proc. */
const words = (bytes: Uint8Array): Uint8Array[] => {
  const out: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = bytes.indexOf(0, start);
    out.push(bytes.subarray(start, end < 0 ? bytes.length : end));
    start = end < 0 ? bytes.length : end + 1;
  }
  return out;
};

/** The arguments as the kernel holds them. @see proc_pid_cmdline(5) */
export const callerArguments = (): string[] =>
  words(readFile("/proc/self/cmdline") ?? new Uint8Array()).map(decode);

/** The environment block that this process was started with: NUL-terminated words, byte for byte. @see proc_pid_environ(5) */
export const callerEnvironment = (): Uint8Array => readFile("/proc/self/environ") ?? new Uint8Array();

/** The soft limit on open descriptors that the caller had: Bun has raised ours, so the parent's is the best source. */
const callerSoftLimit = (hard: number): number | undefined => {
  const limits = readFile(`/proc/${syscall("getppid")}/limits`);
  const line =
    limits &&
    decode(limits)
      .split("\n")
      .find((line) => line.startsWith("Max open files"));
  const [soft, parentHard] = line?.slice("Max open files".length).trim().split(" ").filter(Boolean) ?? [];
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

  const limit = new BigUint64Array(2);
  syscall("prlimit64", 0, RLIMIT_NOFILE, 0, address(limit));
  const soft = callerSoftLimit(Number(limit[1]));
  if (soft !== undefined && BigInt(soft) !== limit[0]) {
    limit[0] = BigInt(soft);
    syscall("prlimit64", 0, RLIMIT_NOFILE, address(limit), 0);
  }

  if (descriptors === "standard") syscall("close_range", 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
  else for (const fd of inheritedDescriptors()) syscall("fcntl", fd, FD.F_SETFD, 0);
};

/** Bun's own descriptors look like these; everything else from 3 up that is open came from the caller. */
const OWN = ["anon_inode:[eventpoll]", "anon_inode:[eventfd]", "anon_inode:[timerfd]"];

/**
 * The descriptors from 3 up that the caller left open for its children. Bun marks those from 4 up close-on-exec; those
 * that were so before were closed by our own execve(2), so every one that is not Bun's is the caller's.
 */
export const inheritedDescriptors = (): number[] => {
  const names = listDirectory("/proc/self/fd");
  if (typeof names === "number") return [];
  const found: number[] = [];
  for (const name of names) {
    const fd = Number(decode(name));
    if (fd < 3) continue;
    const link = readLink(`/proc/self/fd/${fd}`);
    // ENOENT: the descriptor that the directory was read with is closed by now.
    if (typeof link !== "number" && !OWN.includes(decode(link))) found.push(fd);
  }
  return found;
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
  const limit = new BigUint64Array(2);
  syscall("prlimit64", 0, RLIMIT_NOFILE, 0, address(limit));
  const hard = Number(limit[1]);
  const soft = callerSoftLimit(hard);
  return {
    // SIGPIPE and SIGXFSZ are ignored by Bun itself.
    ignored: Array.from({ length: 64 }, (_, i) => i + 1).filter(
      (signal) => (mask >> BigInt(signal - 1)) & 1n && signal !== SIG.SIGPIPE && signal !== SIG.SIGXFSZ,
    ),
    openFiles: soft === undefined ? undefined : { soft, hard },
  };
};
