// Command lines that make no sense, with what is said of each.

import { expect, test } from "bun:test";
import { UsageError } from "../../src/abi/errors.ts";

/** A test for each line: `plan` must throw a {@link UsageError} with just that message. */
export const refuses = (
  rows: readonly (readonly [line: string, message: string])[],
  plan: (line: string) => unknown,
): void => {
  for (const [line, message] of rows)
    test(line, () => {
      let found: unknown;
      try {
        plan(line);
      } catch (error) {
        found = error;
      }
      expect(found).toBeInstanceOf(UsageError);
      expect((found as UsageError).message).toBe(message);
    });
};
