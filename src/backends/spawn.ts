// Runs a plan as a child of this process: for programs that use nsk as a library, and go on.

import { errno } from "../abi/errno.ts";
import { parseSignal } from "../abi/flags.ts";
import type { Plan } from "../plan/plan.ts";
import { callerState } from "../sys/caller.ts";
import { arch, close } from "../sys/linux.ts";
import type { ProcessState } from "../sys/source.ts";
import type { Exit, Stdio } from "./child.ts";
import { memoryFile, namelessFiles } from "./executable.ts";
import { lower } from "./launcher/lower.ts";
import * as parts from "./launcher/parts.ts";
import { checkPlan } from "../plan/check.ts";
import * as steps from "../plan/steps.ts";

export interface SpawnOptions {
  /** All three are the caller's own unless given. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  /** Or a descriptor of this process. */
  readonly stderr?: Stdio | number;
  readonly cwd?: string;
  /** The caller's own unless given. A plan's `exec` step may name another. */
  readonly env?: Readonly<Record<string, string>>;
  /** It gets this signal when this process ends in whatever way; a program that changes its ids loses that. */
  readonly deathSignal?: number;
  /** In a session of its own, so that the terminal's signals pass it by. @see setsid(2) */
  readonly detached?: boolean;
  /** This process's descriptors that it has as 3 and up, besides the three. */
  readonly descriptors?: readonly number[];
  /** A terminal of its own in the place of the three. */
  readonly terminal?: Bun.TerminalOptions;
}

/** A running plan. */
export interface Spawned {
  readonly pid: number;
  readonly stdin: Bun.FileSink | undefined;
  readonly stdout: ReadableStream<Uint8Array> | undefined;
  readonly stderr: ReadableStream<Uint8Array> | undefined;
  readonly terminal: Bun.Terminal | undefined;
  readonly exited: Promise<Exit>;
  kill(signal?: number): void;
  /** Whether this process stays for as long as the child runs; it does at first. */
  ref(): void;
  unref(): void;
}

/**
 * Starts the plan's launcher, which puts right what the runtime changes for its children before it makes the plan's
 * calls. Throws RangeError for a plan that {@link checkPlan} refuses, and an error with `code` when nothing can be
 * started.
 */
export const spawn = (plan: Plan, options: SpawnOptions = {}): Spawned => {
  const bytes = launcherOf(plan, options.deathSignal);
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
    terminal: child.terminal,
    kill: (signal) => child.kill(signal),
    ref: () => child.ref(),
    unref: () => child.unref(),
  };
};

/** Launchers of plans that are still at hand: one that is started again and again is written once. */
const launchers = new WeakMap<
  Plan,
  { readonly deathSignal: number | undefined; readonly bytes: Uint8Array }
>();

const launcherOf = (plan: Plan, deathSignal: number | undefined): Uint8Array => {
  const known = launchers.get(plan);
  if (known && known.deathSignal === deathSignal) return known.bytes;
  checkPlan(plan);
  const bound =
    deathSignal === undefined ? [] : [steps.parentDeathSignal(deathSignal, { onError: "ignore" })];
  const whole = { ...plan, steps: [...bound, ...restoreSteps(callerState()), ...plan.steps] };
  const bytes = lower(whole, arch, { parts });
  launchers.set(plan, { deathSignal, bytes });
  return bytes;
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
  {
    stdin = "inherit",
    stdout = "inherit",
    stderr = "inherit",
    cwd,
    env,
    detached,
    descriptors = [],
    terminal,
  }: SpawnOptions,
): Bun.Subprocess =>
  Bun.spawn([`/proc/self/fd/${fd}`], {
    ...(terminal ? { terminal } : { stdio: [stdin, stdout, stderr, ...descriptors] }),
    argv0: "nsk",
    ...(detached && { detached }),
    ...(cwd !== undefined && { cwd }),
    ...(env && { env }),
  });
