// Several things that a command was given, each on its own.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { printable } from "../abi/bytes.ts";
import { writeAll } from "../sys/linux.ts";

/**
 * Does something with each. One that it fails for is told, and the others are done all the same, as docker does it. The
 * last failure is thrown.
 */
export const forEach = <T>(all: readonly T[], name: string, what: (it: T) => void): void => {
  let failed: HostError | UsageError | StepError | undefined;
  for (const it of all) {
    try {
      what(it);
    } catch (error) {
      if (!isFailure(error)) throw error;
      if (failed) tell(failed, name);
      failed = error;
    }
  }
  if (failed) throw failed;
};

/** Says on standard error what went wrong, without what could be done about it. */
export const tell = ({ message }: Error, name: string): void =>
  void writeAll(2, `${name}: ${printable(message)}\n`);

/** Of one thing: a reader of our output that is gone is gone for all of them. */
const isFailure = (error: unknown): error is HostError | UsageError | StepError =>
  error instanceof HostError ||
  error instanceof UsageError ||
  (error instanceof StepError && error.code !== "EPIPE");
