// A plan becomes a launcher: every call of every step in order, and after each call that can fail the way to the
// report. What does not depend on the plan is in runtime.ts; the supervisor's loop is in supervise.ts.

import { printable, encode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { SIG } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep, Field, Loaded, Text } from "../../plan/call.ts";
import type { ExecStep, ExpectStep, ForkStep, JoinStep, Plan, Step, WaitStep } from "../../plan/plan.ts";
import { encodeArm64 } from "./arm64.ts";
import { type Builder, newBuilder } from "./builder.ts";
import { writeElf } from "./elf.ts";
import { waitAndForward } from "./forward.ts";
import { RUNTIME } from "./layout.ts";
import type { Operand } from "./ops.ts";
// At build time, so that a start of nsk finds it ready.
import { assembleRuntime } from "./runtime.ts" with { type: "macro" };
import { superviseRoutine } from "./supervise.ts";
import { encodeX64 } from "./x64.ts";

const runtimes = assembleRuntime();

/** What the parts of a launcher share while it is written. */
export interface Lowering {
  readonly b: Builder;
  readonly arch: Arch;
  readonly plan: Plan;
  /** Buffers that a plan refers to by name. */
  readonly buffers: Map<string, number>;
  /** Addresses of records for the runtime's `report`. */
  readonly sites: Map<string, number>;
}

/** The launcher of a plan as the bytes of an executable file. */
export const lower = (plan: Plan, arch: Arch): Uint8Array => {
  const runtime = runtimes[arch];
  const runtimeBytes = Uint8Array.fromBase64(runtime.base64);
  const constants = RUNTIME + ((runtimeBytes.length + 7) & ~7);
  const b = newBuilder({ constants, variables: runtime.variables, variableBytes: runtime.variableBytes });
  b.ops.push({ op: "start", environ: b.variable("environ") });
  lowerProcess({ b, arch, plan, buffers: new Map(), sites: new Map() }, plan.steps);
  const plain = b.constants();
  const base = constants + plain.length;
  const { bytes } = (arch === "x64" ? encodeX64 : encodeArm64)(b.ops, base, runtime.labels);
  return writeElf(arch, [runtimeBytes, plain, bytes], base, b.variableBytes());
};

/** Where to go on when a step has failed. */
interface WayOut {
  /** With a report of what is in `site` and `result`. */
  readonly report: string;
  /** Without a word. */
  readonly quiet: string;
}

const wayOut = (b: Builder): WayOut => ({ report: b.fresh("report"), quiet: b.fresh("exit") });

/** The steps of one process, and the way out of it that takes back what was done before a failure. */
const lowerProcess = (lowering: Lowering, steps: readonly Step[]): void => {
  const { b } = lowering;
  const last = wayOut(b);
  const undos: { undo: CallStep; made: Operand; out: WayOut }[] = [];
  let out = last;

  for (const step of steps) {
    switch (step.kind) {
      case "call":
        lowerChecked(lowering, step, out);
        if (step.undo) {
          // A call that was tolerated to fail has made nothing, so there is nothing to take back.
          const made = b.variable(b.fresh("made"));
          b.move(made, b.result);
          out = wayOut(b);
          undos.push({ undo: step.undo, made, out });
        }
        break;
      case "fork":
        lowerFork(lowering, step, out);
        break;
      case "exec":
        lowerExec(lowering, step, out);
        break;
      case "wait":
        lowerWait(lowering, step);
        break;
      case "supervise":
        superviseRoutine(lowering, step);
        break;
      case "join":
        lowerJoin(lowering, step, out);
        break;
      case "expect":
        lowerExpect(lowering, step, out);
        break;
      case "exit":
        b.syscall("exit_group", [0]);
        break;
    }
  }

  for (let i = undos.length - 1; i >= 0; i--) {
    const { undo, made, out } = undos[i]!;
    const next = undos[i - 1]?.out ?? last;
    b.label(out.report);
    b.call("report");
    b.label(out.quiet);
    b.branch("lt", made, 0, next.quiet);
    lowerCall(lowering, undo);
    b.jump(next.quiet);
  }
  b.label(last.report);
  b.call("report");
  b.label(last.quiet);
  b.syscall("exit_group", [b.variable("status")]);
};

const slotVariable = ({ b }: Lowering, name: string) => b.variable(`slot ${name}`);

/** The operand for an argument; what must be stored first is stored. */
const operand = (lowering: Lowering, arg: Arg): Operand => {
  const { b } = lowering;
  switch (arg.type) {
    case "int":
      return arg.value;
    case "byArch":
      return operand(lowering, arg[lowering.arch]);
    case "string":
      return b.text(arg.value);
    case "text":
      return composed(lowering, arg.parts);
    case "bytes":
      return b.constant(arg.value);
    case "strings":
      return stringArray(lowering, arg.value);
    case "loaded":
      return load(lowering, arg.from);
    case "environ":
      return b.variable("environ");
    case "slot": {
      const whole = slotVariable(lowering, arg.slot.slot);
      if (arg.part === undefined) return whole;
      const part = b.variable(b.fresh("part"));
      b.load(part, whole.at + 4 * arg.part, 4);
      return part;
    }
    case "out":
      return slotVariable(lowering, arg.slot.slot).at;
    case "buffer": {
      const at = lowering.buffers.get(arg.name) ?? b.buffer(arg.size);
      lowering.buffers.set(arg.name, at);
      return at;
    }
    case "struct":
      return structure(lowering, arg.fields);
  }
};

/** Bytes of a number in decimal, of 32 bits at most. */
const DIGITS = 10;

/** The address of a C string that is put together here. */
const composed = (lowering: Lowering, parts: Text): number => {
  const { b } = lowering;
  let size = 1;
  for (const part of parts) size += typeof part === "string" ? encode(part).length : DIGITS;
  const start = b.buffer(size);
  b.move(b.variable("end"), start);
  for (const part of parts)
    if (typeof part === "string") {
      b.move(b.variable("from"), b.text(part));
      b.call("append text");
    } else {
      b.move(b.variable("number"), slotVariable(lowering, part.slot));
      b.call("append number");
    }
  return start;
};

/** A NULL-terminated array of C strings; in writable memory when one of them is put together here. */
const stringArray = (lowering: Lowering, words: readonly (string | Text)[]): number => {
  const { b } = lowering;
  let isConstant = true;
  for (const word of words) if (typeof word !== "string") isConstant = false;
  if (isConstant) return b.strings(words as readonly string[]);
  const start = b.buffer((words.length + 1) * 8);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    b.store(start + i * 8, typeof word === "string" ? b.text(word) : composed(lowering, word), 8);
  }
  return start;
};

const load = (lowering: Lowering, { buffer, offset, size }: Loaded): Operand => {
  const { b, buffers, arch } = lowering;
  const value = b.variable(b.fresh("loaded"));
  b.load(value, buffers.get(buffer)! + offset[arch], size);
  return value;
};

const fieldOperand = (lowering: Lowering, value: Field["value"]): Operand => {
  if (typeof value !== "object") return value;
  if ("slot" in value) return slotVariable(lowering, value.slot);
  return "bytes" in value ? lowering.b.constant(value.bytes) : load(lowering, value);
};

const structure = (lowering: Lowering, fields: readonly Field[]): number => {
  const { b } = lowering;
  const start = b.buffer(fields.reduce((sum, field) => sum + field.size, 0));
  let at = start;
  for (const { size, value } of fields) {
    b.store(at, fieldOperand(lowering, value), size);
    at += size;
  }
  return start;
};

/** Makes a call and leaves its result in `result`; nothing is checked. */
const lowerCall = (lowering: Lowering, step: CallStep): void => {
  const args: Operand[] = [];
  for (const arg of step.args) args.push(operand(lowering, arg));
  lowering.b.syscall(step.name, args);
};

/**
 * Leaves in `site` what the runtime's `report` prints: `NAME: TITLE failed: TEXT` and a hint, for the negative error
 * number in `result`. It leaves `status` in the variable of that name, 0 for what is there already.
 */
const site = (
  { b, plan, sites }: Lowering,
  title: string,
  status: number,
  hints: CallStep["hints"],
): void => {
  // Steps of a group have a title in common, and so a record.
  const key = hints ? undefined : `${status} ${title}`;
  const known = key && sites.get(key);
  if (known) {
    b.move(b.variable("site"), known);
    return;
  }
  const line = encode(`${plan.name}: ${printable(title)} failed: `);
  const record = [b.constant(line), line.length, status, 0];
  for (const number in hints) {
    const hint = encode(`hint: ${printable(hints[Number(number)]!)}\n`);
    record.push(Number(number), b.constant(hint), hint.length);
    record[3]!++;
  }
  const at = b.words(record);
  if (key) sites.set(key, at);
  b.move(b.variable("site"), at);
};

/** Reports a failure that is not a step's, and ends. */
export const reportAndEnd = (lowering: Lowering, title: string): void => {
  const { b, plan } = lowering;
  site(lowering, title, plan.failure, undefined);
  b.call("report");
  b.syscall("exit_group", [plan.failure]);
};

/** Makes a call and does what the step says of a failure. */
const lowerChecked = (lowering: Lowering, step: CallStep, out: WayOut): void => {
  const { b } = lowering;
  if (!step.unless) return lowerMade(lowering, step, out);
  const passed = b.fresh("passed");
  b.branch("ge", slotVariable(lowering, step.unless.slot), 0, passed);
  lowerMade(lowering, step, out);
  b.label(passed);
};

const lowerMade = (lowering: Lowering, step: CallStep, out: WayOut): void => {
  const { b, plan } = lowering;
  lowerCall(lowering, step);
  if (step.result) b.move(slotVariable(lowering, step.result.slot), b.result);
  if (step.onError === "ignore") return;
  const status = step.status ?? plan.failure;
  if (step.tolerate || step.onError === "warn") {
    const ok = b.fresh("ok");
    b.branch("ge", b.result, 0, ok);
    for (const number of step.tolerate ?? []) b.branch("eq", b.result, -number, ok);
    site(lowering, step.title, status, step.hints);
    if (step.onError === "warn") b.call("report");
    else b.jump(out.report);
    b.label(ok);
  } else {
    site(lowering, step.title, status, step.hints);
    b.branch("lt", b.result, 0, out.report);
  }
  if (step.endWhen) {
    b.move(b.variable("status"), plan.failure);
    if (step.endWhen === "zero") b.branch("eq", b.result, 0, out.quiet);
    else b.branch("ge", b.result, 1, out.quiet);
  }
};

/** `clone(SIGCHLD | kinds)` without a stack of its own, which is fork(2). */
const cloneCall = (step: ForkStep): CallStep => {
  const zero: Arg = { type: "int", value: 0 };
  return {
    kind: "call",
    name: "clone",
    // flags, stack, and thread-local things that a launcher has not (the processors order them differently)
    args: [{ type: "int", value: SIG.SIGCHLD + step.flags }, zero, zero, zero, zero],
    result: step.pid,
    title: "fork",
    ...(step.hints && { hints: step.hints }),
  };
};

const lowerFork = (lowering: Lowering, step: ForkStep, out: WayOut): void => {
  const { b } = lowering;
  const parent = b.fresh("parent");
  lowerChecked(lowering, cloneCall(step), out);
  b.branch("ne", slotVariable(lowering, step.pid.slot), 0, parent);
  lowerProcess(lowering, step.child);
  b.label(parent);
};

const lowerExec = (lowering: Lowering, step: ExecStep, out: WayOut): void => {
  const { b } = lowering;
  b.move(b.variable("argv"), b.strings(step.argv));
  b.move(b.variable("envp"), step.env ? b.strings(step.env) : b.variable("environ"));
  b.move(b.variable("candidates"), b.strings(step.candidates));
  b.move(b.variable("script"), b.buffer((step.argv.length + 2) * 8));
  b.call("exec");
  site(lowering, `execute ${step.program}`, step.status ?? 0, undefined);
  b.jump(out.report);
};

const lowerJoin = (lowering: Lowering, { pid, hint }: JoinStep, out: WayOut): void => {
  const { b, plan } = lowering;
  const [again, joined, failed] = [b.fresh("join"), b.fresh("joined"), b.fresh("helper failed")];
  const waitStatus = b.variable("wait status");
  b.label(again);
  b.syscall("wait4", [slotVariable(lowering, pid.slot), waitStatus.at, 0, 0]);
  b.branch("eq", b.result, -errno("EINTR"), again);
  site(lowering, "wait for the helper", plan.failure, undefined);
  b.branch("lt", b.result, 0, out.report);
  b.load(waitStatus, waitStatus.at, 4);
  b.branch("eq", waitStatus, 0, joined);
  b.label(failed);
  b.move(b.variable("status"), plan.failure);
  if (hint !== undefined) {
    const line = encode(`hint: ${printable(hint)}\n`);
    b.branch("eq", waitStatus, 127 << 8, out.quiet);
    b.syscall("write", [2, b.constant(line), line.length], b.variable("ignored"));
  }
  b.jump(out.quiet);
  b.label(joined);
};

const lowerExpect = (lowering: Lowering, step: ExpectStep, out: WayOut): void => {
  const { b, plan } = lowering;
  const hints = step.hint === undefined ? undefined : { [step.errno]: step.hint };
  const found = load(lowering, step.found);
  site(lowering, step.title, plan.failure, hints);
  b.move(b.result, -step.errno);
  b.branch(step.differs ? "eq" : "ne", found, step.value, out.report);
};

const lowerWait = (lowering: Lowering, step: WaitStep): void => {
  const { b } = lowering;
  if (step.forward) {
    waitAndForward(lowering, slotVariable(lowering, step.pid.slot), step.forward, step.reaps ?? false);
  } else {
    const ended = b.fresh("ended");
    b.move(b.variable("child"), slotVariable(lowering, step.pid.slot));
    b.call("wait for child");
    b.branch("ge", b.result, 0, ended);
    reportAndEnd(lowering, "wait for the child");
    b.label(ended);
  }
  lowerCleanup(lowering, step.cleanup);
  b.jump(step.signaled === "signal" ? "end by signal" : "end by status");
};

/** For calls that never take it. */
const nowhere: WayOut = { report: "nowhere", quiet: "nowhere" };

/** Each cleanup call reports its own failure, and nothing stops for it. */
export const lowerCleanup = (lowering: Lowering, calls: readonly CallStep[]): void => {
  for (const call of calls)
    lowerChecked(lowering, { ...call, onError: call.onError === "ignore" ? "ignore" : "warn" }, nowhere);
};

export { operand, slotVariable };
