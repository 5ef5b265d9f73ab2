// Runs a plan as a child of this process: for programs that use nsk as a library, and go on.

import { errno } from "../abi/errno.ts";
import { parseSignal } from "../abi/flags.ts";
import type { Plan } from "../plan/plan.ts";
import { callerState } from "../sys/caller.ts";
import { arch, close } from "../sys/linux.ts";
import type { ProcessState } from "../sys/source.ts";
import { memoryFile, namelessFiles } from "./executable.ts";
import { lower } from "./launcher/lower.ts";
import { checkPlan } from "../plan/check.ts";
import * as steps from "../plan/steps.ts";

export type Stdio = "inherit" | "ignore" | "pipe";

export interface SpawnOptions {
  /** All three are the caller's own unless given. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  readonly stderr?: Stdio;
  readonly cwd?: string;
  /** The caller's own unless given. A plan's `exec` step may name another. */
  readonly env?: Readonly<Record<string, string>>;
}

/** How a process ended: one of the two. */
export interface Exit {
  readonly status?: number;
  /** The number of the signal that killed it. */
  readonly signal?: number;
}

/** A running plan. */
export interface Spawned {
  readonly pid: number;
  readonly stdin: Bun.FileSink | undefined;
  readonly stdout: ReadableStream<Uint8Array> | undefined;
  readonly stderr: ReadableStream<Uint8Array> | undefined;
  readonly exited: Promise<Exit>;
  kill(signal?: number): void;
}

/**
 * Starts the plan's launcher, which puts right what the runtime changes for its children before it makes the plan's
 * calls. Throws RangeError for a plan that {@link checkPlan} refuses, and an error with `code` when nothing can be
 * started.
 */
export const spawn = (plan: Plan, options: SpawnOptions = {}): Spawned => {
  checkPlan(plan);
  const restored: Plan = { ...plan, steps: [...restoreSteps(callerState()), ...plan.steps] };
  const bytes = lower(restored, arch);
  const child = startFirst(bytes, options);
  const stream = (from: unknown): ReadableStream<Uint8Array> | undefined =>
    from instanceof ReadableStream ? from : undefined;
  return {
    pid: child.pid,
    stdin: options.stdin === "pipe" ? (child.stdin as unknown as Bun.FileSink) : undefined,
    stdout: stream(child.stdout),
    stderr: stream(child.stderr),
    exited: child.exited.then(() =>
      child.signalCode
        ? { signal: parseSignal(String(child.signalCode)) ?? 0 }
        : { status: child.exitCode ?? 0 },
    ),
    kill: (signal) => child.kill(signal),
  };
};

/** A child of Bun's has every signal at its default and the raised limit on descriptors. */
const restoreSteps = ({ ignored, openFiles }: ProcessState): ReturnType<typeof steps.ignoreSignal>[] => [
  ...ignored.map((signal) => steps.ignoreSignal(signal)),
  ...(openFiles
    ? [steps.limitResource("RLIMIT_NOFILE", openFiles.soft, openFiles.hard, { onError: "ignore" })]
    : []),
];

const startFirst = (bytes: Uint8Array, options: SpawnOptions): Bun.Subprocess => {
  let refused: unknown;
  const memory = memoryFile(bytes);
  const candidates = memory >= 0 ? [() => memory] : [];
  for (const open of [...candidates, ...namelessFiles(bytes)]) {
    const fd = open();
    if (fd < 0) continue;
    try {
      return start(fd, options);
    } catch (error) {
      // vm.memfd_noexec=2, or a directory mounted noexec: the next may do.
      if ((error as { errno?: number }).errno !== -errno("EACCES")) throw error;
      refused = error;
    } finally {
      close(fd);
    }
  }
  throw refused ?? new Error("no place for a launcher");
};

const start = (
  fd: number,
  { stdin = "inherit", stdout = "inherit", stderr = "inherit", cwd, env }: SpawnOptions,
) =>
  Bun.spawn([`/proc/self/fd/${fd}`], {
    stdio: [stdin, stdout, stderr],
    argv0: "nsk",
    ...(cwd !== undefined && { cwd }),
    ...(env && { env }),
  });
