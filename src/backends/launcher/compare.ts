// Comparing text that lies in memory with what a plan knows.

import type { Builder } from "./builder.ts";
import type { Variable } from "./ops.ts";

/** Goes past `text` at `at`, which then is behind it; or to `differs`, with `at` at the first byte that does. */
export const passText = (b: Builder, at: Variable, text: string, differs: string): void => {
  const [wanted, letter, byte] = [b.variable("wanted"), b.variable("letter"), b.variable("byte")];
  const [compare, same] = [b.fresh("compare"), b.fresh("same")];
  b.move(wanted, b.text(text));
  b.label(compare);
  b.load(letter, wanted, 1);
  b.branch("eq", letter, 0, same);
  b.load(byte, at, 1);
  b.branch("ne", letter, byte, differs);
  b.compute("add", wanted, 1);
  b.compute("add", at, 1);
  b.jump(compare);
  b.label(same);
};
