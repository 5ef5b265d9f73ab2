// What the caller gave this process: arguments and environment as bytes, and the state that Bun changes at its start
// and that a program must get back as it was (docs/how-it-works.md). A built nsk has all of it on record, from before
// the runtime started; run from the sources it asks /proc, and guesses (unrecorded.ts).

import { decode } from "../abi/bytes.ts";
import { CLOSE_RANGE_CLOEXEC, FD, O, RLIMIT, SIG, SIG_SETMASK } from "../abi/flags.ts";
import { FIELD, RECORD_BYTES } from "../abi/record.ts";
import { address, close, memory, open, syscall } from "./linux.ts";
import { type ProcessState, signalsOf, type Source, type Vectors } from "./source.ts";
import { unrecorded } from "./unrecorded.ts";

declare const NSK_RECORD: number | undefined;

/** @see scripts/prelude.ts */
const recorded = (at: number): Source => {
  const fields = new Uint32Array(memory(at, RECORD_BYTES & ~3));
  const field = (offset: number): number => fields[offset / 4]! + fields[offset / 4 + 1]! * 2 ** 32;
  // argc, argv, NULL, envp, NULL, the auxiliary vector, and the words that argv and envp point to.
  const stack = field(FIELD.stack);
  const size = field(FIELD.wordsEnd) - stack;
  const block = memory(stack, size);
  const bytes = new Uint8Array(block);
  const pointers = new Uint32Array(block, 0, size >> 2);
  const argc = pointers[0]!;
  /** Where in the block a pointer of argv or envp leads. */
  const place = (n: number): number => (pointers[2 * n]! - fields[FIELD.stack / 4]!) >>> 0;
  const word = (n: number): string => {
    const start = place(n);
    return decode(bytes.subarray(start, bytes.indexOf(0, start)));
  };
  const envp = argc + 2;
  return {
    arguments: () => {
      const words: string[] = [];
      for (let i = 1; i <= argc; i++) words.push(word(i));
      return words;
    },
    environment: () => (pointers[2 * envp] ? `\0${decode(bytes.subarray(place(envp)))}` : ""),
    vectors: () => ({ argv: stack + 8, envp: stack + 8 * envp }),
    state: () => ({
      ignored: signalsOf(fields[FIELD.ignored / 4]!, fields[FIELD.ignored / 4 + 1]!),
      openFiles: { soft: field(FIELD.softLimit), hard: field(FIELD.hardLimit) },
      descriptors: fields.subarray(FIELD.descriptors / 4, FIELD.descriptors / 4 + field(FIELD.count)),
      blocked: fields.slice(FIELD.blocked / 4, FIELD.blocked / 4 + 2),
    }),
  };
};

const source: Source = typeof NSK_RECORD === "undefined" ? unrecorded() : recorded(NSK_RECORD);

/** The arguments as the kernel holds them, argv[0] first; {@link decode} made text of them. */
export const callerArguments = (): string[] => source.arguments();

/** The environment that this process was started with, each word with a NUL before it. */
export const callerEnvironment = (): string => source.environment();

/** Arguments and environment, byte for byte. */
export const callerVectors = (): Vectors => source.vectors();

/** The state of the caller that children of this process are to have. */
export const callerState = (): ProcessState => source.state();

/**
 * Undoes what Bun did to this process at its start, so that the program to be executed finds the caller's state:
 * ignored and blocked signals, the limit on open descriptors, and inherited descriptors open across execve(2), or with
 * `standard` none but 0, 1 and 2. Only for a process that is about to be replaced.
 */
export const restoreCallerState = (descriptors: "all" | "standard"): void => {
  const state = source.state();
  dispose(SIG.SIGPIPE, SIG_DFL); // both ignored by Bun itself
  dispose(SIG.SIGXFSZ, SIG_DFL);
  for (const signal of state.ignored) dispose(signal, SIG_IGN);
  if (state.blocked) syscall("rt_sigprocmask", SIG_SETMASK, address(state.blocked), 0, 8);

  if (state.openFiles) {
    const { soft, hard } = state.openFiles;
    const limit = Uint32Array.of(soft, soft / 2 ** 32, hard, hard / 2 ** 32);
    syscall("prlimit64", 0, RLIMIT.RLIMIT_NOFILE, address(limit), 0);
  }

  if (descriptors === "standard") {
    syscall("close_range", 3, 0xffffffff, CLOSE_RANGE_CLOEXEC);
    for (let fd = 0; fd <= 2; fd++) if (!isIn(state.descriptors, fd)) readNothing(fd);
  } else
    for (let i = 0; i < state.descriptors.length; i++)
      if (state.descriptors[i]! > 2) syscall("fcntl", state.descriptors[i], FD.F_SETFD, 0);
};

const isIn = (descriptors: ArrayLike<number>, fd: number): boolean => {
  for (let i = 0; i < descriptors.length; i++) if (descriptors[i] === fd) return true;
  return false;
};

/** What is opened next would have the number of one that the caller has closed, and be taken for it. */
const readNothing = (fd: number): void => {
  const nothing = open("/dev/null", O.O_RDWR | O.O_CLOEXEC);
  if (nothing === fd) syscall("fcntl", fd, FD.F_SETFD, 0);
  else if (nothing >= 0) {
    syscall("dup3", nothing, fd, 0);
    close(nothing);
  }
};

const SIG_DFL = 0;
const SIG_IGN = 1;

const dispose = (signal: number, handler: number): void => {
  const action = new Uint32Array(8); // struct kernel_sigaction: the handler, no flags, an empty mask
  action[0] = handler;
  syscall("rt_sigaction", signal, address(action), 0, 8);
};
