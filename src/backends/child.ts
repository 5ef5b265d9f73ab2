// How a child is connected, and how it ended, in words that need none of the runtime's own types.

/** `inherit` is the script's own, `ignore` is /dev/null, `pipe` a stream. */
export type Stdio = "inherit" | "ignore" | "pipe";

/** How a process ended: one of the two. @see wait(2) */
export interface Exit {
  readonly status?: number;
  /** The number of the signal that killed it. */
  readonly signal?: number;
}
