// Data for stdout. Never through process.stdout: touching that makes a pipe non-blocking for everybody who holds it.

import { StepError } from "../abi/errors.ts";
import { writeAll } from "../sys/linux.ts";

/** `--json`, for every command that lists. */
export const jsonOption = { json: { type: "boolean", description: "print JSON" } } as const;

/** Writes all of `text` to stdout. Throws {@link StepError}: ENOSPC for a full disk, EPIPE for a reader that is gone. */
export const print = (text: string): void => {
  const result = writeAll(1, text);
  if (result < 0) throw new StepError("write to standard output", -result);
};

/** Writes a value for programs to read. */
export const printJson = (value: unknown): void => print(`${JSON.stringify(value, null, 2)}\n`);
