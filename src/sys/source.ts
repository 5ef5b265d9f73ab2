// What is to be known of the caller, wherever it is known from: a built nsk has a record (caller.ts), the sources run by
// Bun guess (unrecorded.ts).

/** Addresses of NULL-terminated arrays of C strings, as execve(2) takes them. */
export interface Vectors {
  readonly argv: number;
  readonly envp: number;
}

/** The state of the caller that Bun changes. */
export interface ProcessState {
  /** Signals that the caller ignores. */
  readonly ignored: readonly number[];
  /** The limit on open descriptors, when it is known. @see getrlimit(2) */
  readonly openFiles: { readonly soft: number; readonly hard: number } | undefined;
  /** Open descriptors, all of which the caller meant to hand on: execve(2) has closed the others. */
  readonly descriptors: ArrayLike<number>;
  /** The 64 bits of the blocked signals, the lower half first; undefined for those that are blocked now. */
  readonly blocked: Uint32Array | undefined;
}

/** Where the caller's words and state are known from. */
export interface Source {
  arguments(): string[];
  /** Each word with a NUL before it. */
  environment(): string;
  vectors(): Vectors;
  state(): ProcessState;
}

/** The numbers of the signals in a set, given by its two halves. @see sigset_t in signal(7) */
export const signalsOf = (low: number, high: number): number[] => {
  const signals: number[] = [];
  for (let bit = 0; bit < 64 && (low || high); bit++)
    if (((bit < 32 ? low : high) >>> (bit & 31)) & 1) signals.push(bit + 1);
  return signals;
};
