// What a child tells of its own start, from a pipe: see HeedStep.

import { encode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { FAILED, type HeedStep, STARTED } from "../../plan/plan.ts";
import { type Lowering, lowerCleanup, slotVariable } from "./calls.ts";

const STDERR = 2;
const BLOCK = 512;

/** Goes on when the child has started; otherwise cleans up and ends as the child did. */
export const heedRoutine = (lowering: Lowering, step: HeedStep): void => {
  const { b, plan } = lowering;
  const [again, over, failed, done] = ["heed", "over", "failed", "started"].map((hint) => b.fresh(hint)) as [
    string,
    string,
    string,
    string,
  ];
  const [from, last, length, at] = ["from end", "last byte", "report length", "at"].map((name) =>
    b.variable(name),
  ) as [Variable, Variable, Variable, Variable];
  const [waitStatus, ignored] = [b.variable("wait status"), b.variable("ignored")];
  const buffer = b.buffer(BLOCK);

  b.load(from, slotVariable(lowering, step.from.slot).at, 4);
  b.move(last, 0xff);
  b.label(again);
  b.syscall("read", [from, buffer, BLOCK]);
  b.branch("eq", b.result, -errno("EINTR"), again);
  b.branch("lt", b.result, 1, over);
  b.move(length, b.result);
  b.move(at, buffer);
  b.compute("add", at, length);
  b.compute("sub", at, 1);
  b.load(last, at, 1);
  b.branch("eq", last, STARTED, done);
  const text = b.fresh("text");
  b.branch("ne", last, FAILED, text);
  b.compute("sub", length, 1);
  b.label(text);
  b.syscall("write", [STDERR, buffer, length], ignored);
  b.branch("eq", last, FAILED, failed);
  b.jump(again);

  b.label(over);
  if (!step.confirms) b.jump(done);
  const line = encode(`${plan.name}: what waits for the container was killed before it had started\n`);
  b.syscall("write", [STDERR, b.constant(line), line.length], ignored);

  b.label(failed);
  b.syscall("wait4", [slotVariable(lowering, step.pid.slot), waitStatus.at, 0, 0]);
  b.branch("eq", b.result, -errno("EINTR"), failed);
  b.load(waitStatus, waitStatus.at, 4);
  lowerCleanup(lowering, step.cleanup);
  b.jump("end by status");
  b.label(done);
  b.syscall("close", [from], ignored);
};

type Variable = ReturnType<Lowering["b"]["variable"]>;
