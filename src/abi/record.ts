// Where in memory a built nsk has its prelude (scripts/prelude.ts), and what that notes of the caller before the runtime
// starts and changes it, for src/sys/caller.ts to read.

/** Where the prelude is mapped: behind the runtime, which is linked to lower addresses, and in reach of 32 bits. */
export const PRELUDE = 0x10000000;
/** A function of C's `long (long number, long a, … long f)` there: a system call, and what the kernel returns. */
export const SYSTEM_CALL = PRELUDE;
/** Where the record is mapped. */
export const RECORD = 0x10010000;

/** Offsets in the record, of 8 bytes each. */
export const FIELD = {
  /** The stack pointer: argc, argv, NULL, envp, NULL and the auxiliary vector lie there. */
  stack: 0,
  /** The end of the words that argv and envp point to. */
  wordsEnd: 8,
  /** `struct rlimit` of open descriptors. */
  softLimit: 16,
  hardLimit: 24,
  /** Bit n - 1 stands for signal n, as in /proc/PID/status. */
  ignored: 32,
  blocked: 40,
  /** How many descriptors were open. */
  count: 48,
  /** Their numbers, of 4 bytes each. */
  descriptors: 56,
} as const;

/** So many descriptors have room; those that a directory of /proc lists behind them are not handed on. */
export const MOST_DESCRIPTORS = 16000;
export const RECORD_BYTES = FIELD.descriptors + 4 * MOST_DESCRIPTORS;
