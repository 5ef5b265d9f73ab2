// The three ways in which nsk fails. Callers match the class and its fields, never the text; src/cli/failure.ts is
// the one place that turns them into lines.

import { errnoName, errnoText } from "./errno.ts";

/** The command line, or the arguments of an API call, make no sense. */
export class UsageError extends Error {
  override readonly name = "UsageError";
  constructor(
    message: string,
    readonly hint?: string,
    /** The exit status, where it is not the command's usual one. */
    readonly status?: number,
    /** The option that the command has not, as written but for its value: `--gpus`. */
    readonly unknown?: string,
  ) {
    super(message);
  }
}

/** The request is fine, but this host cannot do it. `hint` says what to do about it. */
export class HostError extends Error {
  override readonly name = "HostError";
  constructor(
    message: string,
    readonly hint?: string,
    /** The exit status, where it is not the command's usual one. */
    readonly status?: number,
  ) {
    super(message);
  }
}

/** A system call of a plan's step failed. The message is the step's own title, so that it reads like `--explain`. */
export class StepError extends Error {
  override readonly name = "StepError";
  constructor(
    /** What was tried, e.g. `mount /proc`. */
    readonly title: string,
    /** The positive error number. */
    readonly errno: number,
    readonly hint?: string,
    /** The exit status that the step asks for, when it has one of its own. */
    readonly status?: number,
  ) {
    super(`${title} failed: ${errnoText(errno)}`);
  }
  /** E.g. `EPERM`. */
  get code(): string {
    return errnoName(this.errno);
  }
}
