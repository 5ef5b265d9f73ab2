// What the launcher prints when a call fails: the step's own title, the error's text, and a hint where the plan has
// one for that error. One write, so that lines of several processes do not mix.

import { encode, printable } from "../../abi/bytes.ts";
import { errnoTable, errnoText } from "../../abi/errno.ts";
import type { Builder } from "./builder.ts";
import type { Operand } from "./ops.ts";

export interface Report {
  /** Prints `NAME: TITLE failed: TEXT` for the negative error number in `result`. */
  print(title: string, hints?: Readonly<Record<number, string>>): void;
  /** Writes the routine that all reports share, if there was one. */
  finish(): void;
}

const ROUTINE = "report";

export const reporter = (b: Builder, name: string): Report => {
  let used = false;
  /** Leaves address and length of a text in the variables that the routine reads. */
  const give = (variable: string, text: string): void => {
    const bytes = encode(text);
    b.move(`${variable} text`, b.constant(bytes));
    b.move(`${variable} length`, bytes.length);
  };
  return {
    print: (title, hints = {}) => {
      used = true;
      give("title", `${name}: ${printable(title)} failed: `);
      b.move("hint length", 0);
      const done = b.fresh("hinted");
      for (const [number, hint] of Object.entries(hints)) {
        const other = b.fresh("hint");
        b.branch("ne", "result", -Number(number), other);
        give("hint", `hint: ${printable(hint)}\n`);
        b.jump(done);
        b.label(other);
      }
      b.label(done);
      b.call(ROUTINE);
    },
    finish: () => {
      if (used) routine(b, give);
    },
  };
};

/** Bytes of a row of the table. */
const ROW = 8;

const routine = (b: Builder, give: (variable: string, text: string) => void): void => {
  const highest = Math.max(...Object.keys(errnoTable).map(Number));

  b.label(ROUTINE);
  // The texts lie behind one another; a table of two 32-bit numbers says where each begins and how long it is.
  const texts = Array.from({ length: highest + 1 }, (_, n) => encode(errnoText(n)));
  const starts = new Uint32Array((highest + 1) * 2);
  let at = 0;
  texts.forEach((text, n) => {
    starts.set([at, text.length], n * 2);
    at += text.length;
  });
  const all = b.constant(new Uint8Array(Buffer.concat(texts)));
  const table = b.constant(new Uint8Array(starts.buffer));

  const unknown = b.fresh("unknown");
  const found = b.fresh("found");
  b.move("row", 0);
  b.compute("sub", "row", "result");
  b.branch("ge", "row", highest + 1, unknown);
  for (let doubled = 1; doubled < ROW; doubled *= 2) b.compute("add", "row", "row");
  b.compute("add", "row", table);
  b.load("text text", "row", 4);
  b.compute("add", "text text", all);
  b.compute("add", "row", 4);
  b.load("text length", "row", 4);
  b.jump(found);
  b.label(unknown);
  give("text", "unknown error");
  b.label(found);

  // struct iovec { void *base; size_t len; }
  const parts: [Operand, Operand][] = [
    ["title text", "title length"],
    ["text text", "text length"],
    [b.constant(encode("\n")), 1],
    ["hint text", "hint length"],
  ];
  const vector = b.buffer("report", parts.length * 16);
  parts.forEach(([text, length], i) => {
    b.store({ area: "variable", offset: vector.offset + i * 16 }, text, 8);
    b.store({ area: "variable", offset: vector.offset + i * 16 + 8 }, length, 8);
  });
  b.syscall("writev", [2, vector, parts.length], "ignored");
  b.comeBack();
};
