// A launcher that nsk talks with while it works: over a socket, and by what it has said when it failed.

import { cString, decode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { HostError, StepError } from "../../abi/errors.ts";
import { FD, MFD, NET } from "../../abi/flags.ts";
import type { Plan } from "../../plan/plan.ts";
import { address, close, readAll, syscall } from "../../sys/linux.ts";
import { spawn } from "../spawn.ts";

export interface Started {
  /** The socket to the container's first process. */
  readonly channel: number;
  /** The launcher's process id. */
  readonly pid: number;
  /** The launcher's end. */
  readonly exited: Promise<unknown>;
  /** Throws what the container's processes have said before they ended. */
  fail(): Promise<never>;
  dispose(): void;
}

/** A copy of a descriptor with a number that no handed-over one will have. */
export const moved = (fd: number, title: string, least: number): number => {
  if (fd < 0) throw new StepError(title, -fd);
  const result = syscall("fcntl", fd, FD.F_DUPFD_CLOEXEC, least);
  if (result < 0) throw new StepError(title, -result);
  return result;
};

/** The launcher of a plan that has the socket to us and its own standard error behind `preserved` of the caller's. */
export const launch = (plan: Plan, count: number): Started => {
  // Those that are handed over are 3 and up, the socket and standard error behind the caller's.
  const least = 5 + count;
  const pair = new Int32Array(2);
  const made = syscall("socketpair", NET.AF_UNIX, NET.SOCK_STREAM | NET.SOCK_CLOEXEC, 0, address(pair));
  if (made < 0) throw new StepError("socketpair", -made);
  const channel = pair[0]!;
  const theirs = moved(pair[1]!, "socketpair", least);
  close(pair[1]!);
  const name = cString("nsk");
  const memory = syscall("memfd_create", address(name), MFD.MFD_CLOEXEC);
  const errors = moved(memory, "memfd_create", least);
  close(memory);
  const ownErrors = moved(2, "use standard error", least);
  const preserved = Array.from({ length: count }, (_, i) =>
    moved(3 + i, `preserve descriptor ${3 + i}`, least),
  );
  let launcher: ReturnType<typeof spawn>;
  try {
    launcher = spawn(plan, { stderr: errors, descriptors: [...preserved, theirs, ownErrors] });
  } finally {
    for (const fd of [theirs, ownErrors, ...preserved]) close(fd);
  }
  return {
    channel,
    pid: launcher.pid,
    exited: launcher.exited,
    fail: async () => {
      await launcher.exited;
      throw failureFrom(saidIn(errors), plan.name);
    },
    dispose: () => {
      close(channel);
      close(errors);
    },
  };
};

const saidIn = (memory: number): string => {
  syscall("lseek", memory, 0, 0);
  const bytes = readAll(memory);
  return typeof bytes === "number" ? "" : decode(bytes).trim();
};

/** The launcher's own words as an error: its line, and the hint behind it. */
const failureFrom = (text: string, name: string): HostError => {
  const lines = text.split("\n").filter(Boolean);
  const prefix = `${name}: `;
  const hint = lines.at(-1)?.startsWith("hint: ") ? lines.pop()!.slice("hint: ".length) : undefined;
  // A hook's failure is told by the hint, behind what the hook itself has said.
  if (hint?.startsWith("error running "))
    return new HostError(lines.length ? `${hint}: ${lines.join("; ")}` : hint);
  const line = lines.findLast((it) => it.startsWith(prefix))?.slice(prefix.length);
  const program = /^find (.*) failed: (.*)$/s.exec(line ?? "");
  if (program) return notFound(program[1]!, program[2]!);
  return new HostError(line ?? (lines.join("; ") || "the container's first process ended"), hint);
};

/** In the words that engines look for. */
const notFound = (program: string, why: string): HostError => {
  const quoted = JSON.stringify(program);
  if (why === "No such file or directory")
    return new HostError(
      program.includes("/")
        ? `exec: ${quoted}: stat ${program}: no such file or directory`
        : `exec: ${quoted}: executable file not found in $PATH`,
    );
  return new HostError(`exec: ${quoted}: ${why === "Permission denied" ? "permission denied" : why}`);
};

const read = (fd: number, bytes: Uint8Array): boolean => {
  for (let done = 0; done < bytes.length;) {
    const count = syscall("read", fd, address(bytes) + done, bytes.length - done);
    if (count === -errno("EINTR")) continue;
    if (count <= 0) return false;
    done += count;
  }
  return true;
};

/** The 8 bytes of a slot; undefined when the other side has ended. */
export const readWord = (fd: number): bigint | undefined => {
  const word = new BigInt64Array(1);
  return read(fd, new Uint8Array(word.buffer)) ? word[0] : undefined;
};

/** Whether the other side says to go on; it has ended otherwise. */
export const readByte = (fd: number): boolean => read(fd, new Uint8Array(1));

/** Says to go on. */
export const tell = (fd: number): void => {
  const byte = Uint8Array.of(0x2e);
  // Who is not there any more is found out by the next read.
  syscall("write", fd, address(byte), 1);
};

/** A copy of a process's descriptor. @see pidfd_getfd(2) */
export const takeDescriptor = (pid: number, number: number): number => {
  const process = syscall("pidfd_open", pid, 0);
  if (process < 0) throw new StepError("take the terminal", -process);
  const fd = syscall("pidfd_getfd", process, number, 0);
  close(process);
  if (fd < 0) throw new StepError("take the terminal", -fd);
  return fd;
};
