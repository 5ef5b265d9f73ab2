// Running programs: as children of the script, to their end, or in its place.

import { parseSignal, SIG } from "../abi/flags.ts";
import { UsageError } from "../abi/errors.ts";
import type { Exit, Stdio } from "../backends/child.ts";
import { execute } from "../backends/execute.ts";
import * as parts from "../backends/launcher/parts.ts";
import { awaitEnd, signalContainer } from "../backends/containers.ts";
import { endFamily } from "../backends/descendants.ts";
import { removeGroup } from "../backends/leftovers.ts";
import { spawn as spawnPlan, type Spawned } from "../backends/spawn.ts";
import { liveHost } from "../host/live.ts";
import type { Plan } from "../plan/plan.ts";
import { arch, close, syscall } from "../sys/linux.ts";
import { randomBytes } from "../sys/random.ts";
import { endAll, keep } from "./handles.ts";
import { planProgram, type Program, type ProgramOptions } from "./program.ts";

/** How a child is connected with the script. */
export interface ChildOptions {
  /** `inherit` (the script's own, unless given), `ignore` (/dev/null), or `pipe` for a stream of the handle. */
  readonly stdin?: Stdio;
  readonly stdout?: Stdio;
  readonly stderr?: Stdio;
  /** A terminal of its own in the place of the three, 80 columns wide and 24 rows high unless given. @see pty(7) */
  readonly terminal?: boolean | { readonly columns: number; readonly rows: number };
  /** Ends the program when it aborts, with all that it has started, or by `killSignal` it alone. */
  readonly signal?: AbortSignal;
  /** For example SIGTERM, which process 1 of a PID namespace does not get unless it handles it. */
  readonly killSignal?: Signal;
  /** It lives on when the script ends, in a session of its own, and nobody removes its control groups but itself. */
  readonly detached?: boolean;
}

/** A signal's name, with SIG or without, or its number. @see signal(7) */
export type Signal = string | number;

export interface SpawnOptions extends ProgramOptions, ChildOptions {}

/** The side of a terminal that the script has. */
export interface Terminal {
  /** What the program prints. It ends when the program has closed its side. */
  readonly readable: ReadableStream<Uint8Array>;
  /** What is typed. */
  readonly writable: WritableStream<Uint8Array | string>;
  /** Tells the program that the window has another size (SIGWINCH). */
  resize(columns: number, rows: number): void;
}

/**
 * A running program. Leaving an `await using` block ends it with all that it has started; so does the end of the script,
 * which does not wait for a program that nobody waits for: looking at `exited` or a stream is what makes it wait.
 */
export interface Process extends AsyncDisposable {
  /** Of the program, or of the process that waits for it where there is one (`fork`). */
  readonly pid: number;
  /** Where asked for with `pipe`. */
  readonly stdin: WritableStream<Uint8Array | string> | undefined;
  readonly stdout: ReadableStream<Uint8Array> | undefined;
  readonly stderr: ReadableStream<Uint8Array> | undefined;
  /** Where asked for with `terminal`. */
  readonly terminal: Terminal | undefined;
  /** How it ended; its control group is gone by then. 127: the program was not found, 126: it could not be executed. */
  readonly exited: Promise<Exit>;
  /** SIGTERM unless given, for the program alone. Nothing happens to one that has ended. @see kill(2) */
  kill(signal?: Signal): void;
}

/**
 * The plan of a program: for {@link explain}, {@link emit} and {@link spawn}, which starts the same plan quicker than
 * options that it has to plan anew. Nothing is done.
 *
 * @example
 * ```ts
 * import { explain, program } from "nsk";
 *
 * const plan = program(["hostname"], { hostname: "sandbox" });
 * console.log(explain(plan).split(" ")[0]); // → unshare(CLONE_NEWUTS)
 * ```
 * @throws UsageError for options that exclude each other
 * @see unshare(1)
 */
export const program = (argv: readonly string[], options: ProgramOptions = {}): Program =>
  plan(argv, options, true);

const plan = (argv: readonly string[], options: ProgramOptions, isBound: boolean): Program =>
  planProgram(argv, options, liveHost(), { id: randomBytes(6).toHex(), isBound });

/**
 * Starts a program.
 *
 * @example
 * ```ts
 * import { spawn } from "nsk";
 *
 * await using child = spawn(["sh", "-c", "id -u; hostname"], {
 *   mapUser: 0,
 *   hostname: "sandbox",
 *   stdout: "pipe",
 * });
 * const text = await new Response(child.stdout).text();
 * console.log(text.split("\n")); // → [ "0", "sandbox", "" ]
 * console.log((await child.exited).status); // → 0
 * ```
 * @example
 * ```ts
 * import { spawn } from "nsk";
 *
 * const child = spawn(["sleep", "60"], { signal: AbortSignal.timeout(50) });
 * console.log((await child.exited).signal); // → 9
 * ```
 * @throws UsageError for options that exclude each other, HostError for what this machine cannot do; what fails in the
 * child is told on its standard error, and is an exit status
 * @see unshare(1), clone(2)
 */
export const spawn = (what: readonly string[] | Plan, options: SpawnOptions = {}): Process => {
  const { signal, detached = false } = options;
  signal?.throwIfAborted();
  const made = isPlan(what) ? what : plan(what, options, !detached);
  const { groups = [], deathSignal = SIG.SIGKILL, title } = made as Partial<Program>;
  const terminal = options.terminal ? openTerminal(options.terminal) : undefined;
  const child = spawnPlan(made, {
    stdin: options.stdin ?? "inherit",
    stdout: options.stdout ?? "inherit",
    stderr: options.stderr ?? "inherit",
    ...(terminal && { terminal: terminal.options }),
    ...(detached ? { detached } : { deathSignal }),
  });
  child.unref();
  const ending = endingOf(child, deathSignal);
  let isRunning = true;
  const kill = (by: Signal = SIG.SIGTERM): void => {
    const number = signalNumber(by);
    if (!isRunning) return;
    if (number === SIG.SIGKILL) ending.kill();
    else child.kill(number);
  };
  const end = (): void => {
    if (isRunning) ending.end();
  };
  const called = title ?? `process ${child.pid} (${titleOf(what)})`;
  const release = detached
    ? () => {}
    : keep({
        title: called,
        end: () => {
          const others = ending.endNow();
          for (const group of groups) if (!removeGroup(group)) return `the control group ${group} stays`;
          return others ? `ended ${called}, and ${others} that it had started` : undefined;
        },
      });
  const { killSignal } = options;
  const abort = (): void => (killSignal === undefined ? end() : kill(killSignal));
  signal?.addEventListener("abort", abort, { once: true });
  const exited = child.exited.then((exit) => {
    isRunning = false;
    ending.release();
    signal?.removeEventListener("abort", abort);
    // Who was killed while it waited for the program has removed nothing.
    if (exit.signal !== undefined) for (const group of groups) removeGroup(group);
    release();
    // It came before anybody waited for it.
    return exit.signal === deathSignal ? { signal: SIG.SIGKILL } : exit;
  });
  const awaited = <T>(value: T): T => {
    if (isRunning) child.ref();
    return value;
  };
  const stdin = child.stdin && writableOf(child.stdin);
  return {
    pid: child.pid,
    get stdin() {
      return awaited(stdin);
    },
    get stdout() {
      return awaited(child.stdout);
    },
    get stderr() {
      return awaited(child.stderr);
    },
    get terminal() {
      return awaited(terminal && terminal.of(child));
    },
    get exited() {
      return awaited(exited);
    },
    kill,
    [Symbol.asyncDispose]: async () => {
      end();
      await awaited(exited);
    },
  };
};

/** Milliseconds that what cleans up behind itself has for that. */
const PATIENCE = 2000;

/** How a child is ended: by SIGKILL, or by what its plan has for that. */
const endingOf = (child: Spawned, signal: number) => {
  // Bun sends no real-time signals. Opened while the child cannot have been reaped yet.
  const process = signal === SIG.SIGKILL ? -1 : syscall("pidfd_open", child.pid, 0);
  /** With all that it has started; how many these were, as far as they are not left to what the plan has for that. */
  const end = (): number => {
    if (process < 0) return endFamily(child.pid);
    signalContainer(process, signal);
    return 0;
  };
  return {
    /** It alone. */
    kill: (): void => (process < 0 ? child.kill(SIG.SIGKILL) : signalContainer(process, signal)),
    end,
    /** Waits for it; nobody else does any more. */
    endNow: (): number => {
      const others = end();
      if (process >= 0 && !awaitEnd(process, PATIENCE)) child.kill(SIG.SIGKILL);
      return others;
    },
    release: (): void => void (process >= 0 && close(process)),
  };
};

const isPlan = (it: readonly string[] | Plan): it is Plan => !Array.isArray(it);

const titleOf = (what: readonly string[] | Plan): string => (isPlan(what) ? what.name : what.join(" "));

const signalNumber = (signal: Signal): number => {
  const number = typeof signal === "number" ? signal : parseSignal(signal);
  if (number === undefined) throw new UsageError(`unknown signal: ${signal}`);
  return number;
};

const writableOf = (sink: {
  write(data: Uint8Array | string): unknown;
  flush(): unknown;
  end(): unknown;
}): WritableStream<Uint8Array | string> =>
  new WritableStream({
    write: async (chunk) => {
      await sink.write(chunk);
      await sink.flush();
    },
    close: async () => void (await sink.end()),
    abort: async () => void (await sink.end()),
  });

/** The terminal's streams, and what the runtime is told to connect them. */
const openTerminal = (size: Exclude<ChildOptions["terminal"], undefined | false>) => {
  const { columns, rows } = size === true ? { columns: 80, rows: 24 } : size;
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const readable = new ReadableStream<Uint8Array>({ start: (it) => void (controller = it) });
  let streams: Terminal | undefined;
  return {
    options: {
      cols: columns,
      rows,
      data: (_: unknown, data: Uint8Array) => controller.enqueue(data.slice()),
      exit: () => controller.close(),
    },
    of: ({ terminal }: Spawned): Terminal =>
      (streams ??= {
        readable,
        writable: new WritableStream({ write: (chunk) => void terminal!.write(chunk as string) }),
        resize: (columns, rows) => terminal!.resize(columns, rows),
      }),
  };
};

/** What a program has printed, and how it ended. */
export interface Output extends Exit {
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions extends ProgramOptions, Pick<ChildOptions, "signal" | "killSignal"> {
  /** What the program reads; nothing unless given. */
  readonly input?: string | Uint8Array;
}

/**
 * Runs a program to its end, and keeps what it prints. A status that is not 0 is no error.
 *
 * @example
 * ```ts
 * import { run } from "nsk";
 *
 * const { stdout, status } = await run(["sh", "-c", "echo $$; cat"], {
 *   namespaces: ["user", "pid"],
 *   input: "typed",
 * });
 * console.log(status, stdout.split("\n")); // → 0 [ "1", "typed" ]
 * ```
 * @throws UsageError and HostError as {@link spawn}; the reason of `signal` when it aborts
 */
export const run = async (what: readonly string[] | Plan, options: RunOptions = {}): Promise<Output> => {
  const { input, ...rest } = options;
  await using child = spawn(what, {
    ...rest,
    stdin: input === undefined ? "ignore" : "pipe",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
    input !== undefined && child.stdin ? feed(child.stdin, input) : undefined,
  ]);
  options.signal?.throwIfAborted();
  return { stdout, stderr, ...exit };
};

/** A program need not read what it is given. */
const feed = async (
  stdin: WritableStream<Uint8Array | string>,
  input: Uint8Array | string,
): Promise<void> => {
  const writer = stdin.getWriter();
  try {
    await writer.write(input);
    await writer.close();
  } catch (error) {
    if ((error as { code?: string }).code !== "EPIPE") throw error;
  }
};

/**
 * Becomes the program: same process id, and the script is gone. What the script has open is ended before.
 *
 * @example
 * ```ts
 * import { exec } from "nsk";
 *
 * exec(["sh", "-c", "echo $0 is now a shell", "this"]); // → this is now a shell
 * ```
 * @throws UsageError and HostError as {@link spawn}
 * @see execve(2)
 */
export const exec = (what: readonly string[] | Plan, options: ProgramOptions = {}): never => {
  const made = isPlan(what) ? what : plan(what, options, true);
  endAll();
  return execute({ ...made, descriptors: made.descriptors ?? "standard" }, arch, { parts });
};
