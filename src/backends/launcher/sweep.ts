// Killing all processes that a file of a control group lists, until it lists none.

import { AT_FDCWD, O, SIG } from "../../abi/flags.ts";
import type { Lowering } from "./calls.ts";
import type { Variable } from "./ops.ts";

const BLOCK = 4096;
const NEWLINE = 10;
const ZERO = 48; // "0"
/** How often it is looked again, and nanoseconds between two looks: two seconds at most. */
const ROUNDS = 1000;
const PAUSE = 2_000_000;

/** See {@link SuperviseStep}. What cannot be killed now is left to the next run. */
export const sweepRoutine = ({ b }: Lowering, file: string): void => {
  const names = ["file", "at", "list end", "byte", "number", "rounds", "ignored"];
  const [fd, at, end, byte, number, rounds, ignored] = names.map((name) => b.variable(name)) as Seven;
  const [again, next, whole, pause, done] = ["sweep", "next", "whole", "pause", "swept"].map((hint) =>
    b.fresh(hint),
  ) as [string, string, string, string, string];
  const list = b.buffer(BLOCK);
  const time = b.words([0, PAUSE]); // struct timespec

  b.move(rounds, ROUNDS);
  b.label(again);
  b.syscall("openat", [AT_FDCWD, b.text(file), O.O_RDONLY | O.O_CLOEXEC, 0], fd);
  b.branch("lt", fd, 0, done);
  b.syscall("read", [fd, list, BLOCK]);
  b.syscall("close", [fd], ignored);
  b.branch("lt", b.result, 1, done);
  b.move(at, list);
  b.move(end, list);
  b.compute("add", end, b.result);
  b.move(number, 0);

  b.label(next);
  b.branch("eq", at, end, pause);
  b.load(byte, at, 1);
  b.compute("add", at, 1);
  b.branch("eq", byte, NEWLINE, whole);
  appendDigit(b, number, byte);
  b.jump(next);

  b.label(whole);
  b.syscall("kill", [number, SIG.SIGKILL], ignored);
  b.move(number, 0);
  b.jump(next);

  b.label(pause);
  b.syscall("ppoll", [0, 0, time, 0, 0], ignored);
  b.compute("sub", rounds, 1);
  b.branch("ne", rounds, 0, again);
  b.label(done);
};

type Seven = [Variable, Variable, Variable, Variable, Variable, Variable, Variable];

/** `number` = ten times that, and the decimal digit in `byte`. */
export const appendDigit = (b: Lowering["b"], number: Variable, byte: Variable): void => {
  const double = b.variable("double");
  b.compute("add", number, number); // ten times: twice, and eight times
  b.move(double, number);
  b.compute("add", number, number);
  b.compute("add", number, number);
  b.compute("add", number, double);
  b.compute("add", number, byte);
  b.compute("sub", number, ZERO);
};
