// What a supervisor tells when its container has ended.

import { encode, printable } from "../../abi/bytes.ts";
import type { Slot } from "../../plan/call.ts";
import type { Notice, Recorder } from "../../plan/plan.ts";
import { type Lowering, lowerCleanup, operand, slotVariable } from "./calls.ts";
import { passText } from "./compare.ts";
import type { Variable } from "./ops.ts";

const STDERR = 2;
const NEWLINE = 10;
const ZERO = 48; // "0"
const CLOCK_REALTIME = 0;
/** The largest number that is written in digits. */
const MOST = 0xffffffff;

/** See {@link Notice}: goes through the file's lines until one begins with the counter's name and a blank. */
export const lowerNotice = (lowering: Lowering, { read, counts, counter, text, hint }: Notice): void => {
  const { b, plan } = lowering;
  const [line, skip, found, done] = [b.fresh("line"), b.fresh("skip"), b.fresh("found"), b.fresh("done")];
  const [start, at, byte] = [b.variable("line start"), b.variable("at"), b.variable("byte")];
  lowerCleanup(lowering, read);
  b.move(start, operand(lowering, counts));
  b.label(line);
  b.move(at, start);
  passText(b, at, `${counter} `, skip);
  b.jump(found);
  b.label(skip);
  b.load(byte, start, 1);
  b.branch("eq", byte, 0, done);
  b.compute("add", start, 1);
  b.branch("eq", byte, NEWLINE, line);
  b.jump(skip);
  b.label(found);
  b.load(byte, at, 1);
  b.branch("eq", byte, ZERO, done);
  b.move(b.variable("kills"), 1);
  const message = encode(`${plan.name}: ${printable(text)}\nhint: ${printable(hint)}\n`);
  b.syscall("write", [STDERR, b.constant(message), message.length], b.variable("ignored"));
  b.label(done);
};

/**
 * Appends to each of the files how the child ended, whether the kernel had killed for want of memory, when, and how many
 * bytes of what was printed the log lacks without saying so.
 */
export const tellEnd = (lowering: Lowering, files: readonly Slot[]): void => {
  const { b } = lowering;
  const now = b.buffer(16); // struct timespec
  const line = b.buffer(80);
  const [end, number, seconds] = [b.variable("end"), b.variable("number"), b.variable("seconds")];
  b.syscall("clock_gettime", [CLOCK_REALTIME, now]);
  b.move(end, line);
  const append = (word: string, value: Variable): void => {
    b.move(b.variable("from"), b.text(word));
    b.call("append text");
    b.move(number, value);
    b.call("append number");
  };
  append("ended ", b.variable("wait status"));
  append(" ", b.variable("kills"));
  for (const at of [now, now + 8]) {
    b.load(seconds, at, 8);
    append(" ", seconds);
  }
  const [lost, small] = [b.variable("lost"), b.fresh("small")];
  b.branch("lt", lost, MOST, small);
  b.move(lost, MOST);
  b.label(small);
  append(" ", lost);
  b.store(end, NEWLINE, 1);
  b.compute("add", end, 1);
  b.compute("sub", end, line);
  for (const file of files)
    b.syscall("write", [slotVariable(lowering, file.slot), line, end], b.variable("ignored"));
};

/** A terminal's is one that others may ask for, and who has it is waited for a moment. */
export const isAttachable = ({ sources }: Recorder): boolean => sources.length === 1;
