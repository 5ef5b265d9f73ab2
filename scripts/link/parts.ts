// Words that the prelude is written with.

import { encode } from "../../src/abi/bytes.ts";
import { FIELD, RECORD } from "../../src/abi/record.ts";
import type { Builder } from "../../src/backends/launcher/builder.ts";
import type { Variable } from "../../src/backends/launcher/ops.ts";

/** A field of the record, which is a variable like any other. */
export const at = (field: keyof typeof FIELD): Variable => ({ at: RECORD + FIELD[field] });

/** Several variables at once, by their names. */
export const variables = <const N extends readonly string[]>(
  b: Builder,
  ...names: N
): { [K in keyof N]: Variable } => names.map((name) => b.variable(name)) as { [K in keyof N]: Variable };

/** Says both lines and ends, with docker's status for `run` and 1 for all else. */
export const refuse = (b: Builder, message: string, hint: string): void => {
  const [status, word, run] = [b.variable("status"), b.variable("word"), b.fresh("not run")];
  const text = encode(`nsk: ${message}\nhint: ${hint}\n`);
  b.syscall("write", [2, b.constant(text), text.length]);
  b.move(status, 1);
  b.load(word, at("stack"), 8);
  b.branch("lt", word, 2, run);
  b.move(word, at("stack"));
  b.compute("add", word, 16);
  b.load(word, word, 8); // argv[1]
  b.load(word, word, 4);
  b.branch("ne", word, 0x6e7572, run); // "run"
  b.move(status, 125);
  b.label(run);
  b.syscall("exit_group", [status]);
};
