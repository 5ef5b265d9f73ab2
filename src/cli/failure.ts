// How a failure looks: one line on stderr that names the command and the thing, then at most one `hint:` line. The
// only place that makes lines of errors, and the exit status of each.

import { printable } from "../abi/bytes.ts";
import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { SIG } from "../abi/flags.ts";
import { address, syscall, writeAll } from "../sys/linux.ts";

/** What a failed command was. */
export interface Failed {
  /** What the line begins with: `nsk unshare`. */
  readonly name: string;
  /** The exit status of a failure that has none of its own. */
  readonly status: number;
}

/** An error as text and exit status; nothing is printed. */
export const describe = (error: unknown, failed: Failed, debug = false): { text: string; status: number } => {
  if (error instanceof UsageError || error instanceof HostError) {
    return { text: lines(failed.name, error.message, error.hint), status: error.status ?? failed.status };
  }
  if (error instanceof StepError) {
    const text = lines(failed.name, error.message, error.hint);
    return { text, status: error.status ?? failed.status };
  }
  const bug = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (!debug) {
    const hint = "set NSK_DEBUG=1 to see where it happened";
    return { text: lines(failed.name, `a bug in nsk: ${bug}`, hint), status: failed.status };
  }
  const stack = (error instanceof Error && error.stack) || "";
  return { text: `${lines(failed.name, `a bug in nsk: ${bug}`)}${stack}\n`, status: failed.status };
};

/** Both lines, whatever the message holds: a file name with a newline or an escape sequence stays on its line. */
const lines = (name: string, message: string, hint?: string): string => {
  const first = `${name}: ${printable(message)}\n`;
  return hint === undefined ? first : `${first}hint: ${printable(hint)}\n`;
};

/**
 * Reports an error on stderr and returns the exit status. A reader of our output that went away is no failure to talk
 * about: then this process dies of SIGPIPE, as a program does that has not been started by Bun, which ignores it.
 */
export const report = (error: unknown, failed: Failed): number => {
  if (error instanceof StepError && error.code === "EPIPE") dieOfBrokenPipe();
  const { text, status } = describe(error, failed, Boolean(process.env.NSK_DEBUG));
  writeAll(2, text);
  return status;
};

const dieOfBrokenPipe = (): void => {
  const defaultAction = new Uint8Array(32); // struct kernel_sigaction: SIG_DFL, no flags, empty mask
  syscall("rt_sigaction", SIG.SIGPIPE, address(defaultAction), 0, 8);
  syscall("kill", syscall("getpid"), SIG.SIGPIPE);
};
