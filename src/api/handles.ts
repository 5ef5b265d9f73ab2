// What a script has started and not yet ended: ended when the script does, in whatever way it ends, and told.

import { SIG } from "../abi/flags.ts";
import { callerState } from "../sys/caller.ts";
import { writeAll } from "../sys/linux.ts";

/** Something that does not outlive the script. */
export interface Handle {
  /** As the user is told of it: `process 123 (sleep 9)`. */
  readonly title: string;
  /** Ends it at once, without waiting for anything but the kernel. What is returned is told instead of "ended". */
  end(): string | undefined | void;
}

const open = new Set<Handle>();

/** Keeps a handle until the function that is returned is called. */
export const keep = (handle: Handle): (() => void) => {
  watch();
  open.add(handle);
  return () => {
    // Not at once: a script that runs one program after the other would set and take back handlers for each.
    if (open.delete(handle) && open.size === 0) setImmediate(unwatchIfIdle);
  };
};

/** Ends all that is open, the youngest first, and says on standard error what that was. */
export const endAll = (): void => {
  for (const handle of [...open].toReversed()) {
    open.delete(handle);
    const trouble = handle.end();
    writeAll(2, `nsk: the script ends: ${trouble ?? `ended ${handle.title}`}\n`);
  }
  unwatch();
};

/** Signals that end a process unless it handles them. */
const FATAL = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

let isWatching = false;

const watch = (): void => {
  if (isWatching) return;
  isWatching = true;
  process.on("exit", endAll);
  const { ignored } = callerState();
  for (const signal of FATAL) if (!ignored.includes(SIG[signal])) process.on(signal, onSignal);
};

const unwatchIfIdle = (): void => {
  if (open.size === 0) unwatch();
};

const unwatch = (): void => {
  isWatching = false;
  process.off("exit", endAll);
  for (const signal of FATAL) process.off(signal, onSignal);
};

const onSignal = (signal: (typeof FATAL)[number]): void => {
  // A script that handles the signal itself means to go on, or calls process.exit().
  if (process.listenerCount(signal) > 1) return;
  endAll();
  // With nobody left who handles it, it is what ends this process, and the caller sees that.
  process.kill(process.pid, signal);
};
