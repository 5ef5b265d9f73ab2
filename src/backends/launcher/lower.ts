// A plan becomes a launcher: every call of every step in order, and after each call that can fail the way to the
// report. What does not depend on the plan is in runtime.ts; the supervisor's loop is in supervise.ts.

import { printable, encode } from "../../abi/bytes.ts";
import { SIG } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep, Field } from "../../plan/call.ts";
import type { ExecStep, ForkStep, Plan, Step, WaitStep } from "../../plan/plan.ts";
import { encodeArm64 } from "./arm64.ts";
import { Builder } from "./builder.ts";
import { writeElf } from "./elf.ts";
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
}

/** The launcher of a plan as the bytes of an executable file. */
export const lower = (plan: Plan, arch: Arch): Uint8Array => {
  const runtime = runtimes[arch];
  const runtimeBytes = Uint8Array.fromBase64(runtime.base64);
  const constants = RUNTIME + ((runtimeBytes.length + 7) & ~7);
  const b = new Builder({ constants, variables: runtime.variables, variableBytes: runtime.variableBytes });
  b.ops.push({ op: "start", environ: b.variable("environ") });
  lowerProcess({ b, arch, plan, buffers: new Map() }, plan.steps);
  const plain = b.constants();
  const base = constants + plain.length;
  const { bytes } = (arch === "x64" ? encodeX64 : encodeArm64)(b.ops, base, runtime.labels);
  return writeElf(arch, [runtimeBytes, plain, bytes], base, b.variableBytes);
};

/** The steps of one process, and the way out of it that takes back what was done before a failure. */
const lowerProcess = (lowering: Lowering, steps: readonly Step[]): void => {
  const { b } = lowering;
  const out = b.fresh("exit");
  const undos: { undo: CallStep; made: Operand; exit: string }[] = [];
  let exit = out;

  for (const step of steps) {
    switch (step.kind) {
      case "call":
        lowerChecked(lowering, step, exit);
        if (step.undo) {
          // A call that was tolerated to fail has made nothing, so there is nothing to take back.
          const made = b.variable(b.fresh("made"));
          b.move(made, b.result);
          exit = b.fresh("undo");
          undos.push({ undo: step.undo, made, exit });
        }
        break;
      case "fork":
        lowerFork(lowering, step, exit);
        break;
      case "exec":
        lowerExec(lowering, step, exit);
        break;
      case "wait":
        lowerWait(lowering, step);
        break;
      case "supervise":
        superviseRoutine(lowering, step);
        break;
    }
  }

  for (const { undo, made, exit } of undos.toReversed()) {
    const next = b.fresh("undone");
    b.label(exit);
    b.branch("lt", made, 0, next);
    lowerCall(lowering, undo);
    b.label(next);
  }
  b.label(out);
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
    case "bytes":
      return b.constant(arg.value);
    case "strings":
      return b.strings(arg.value);
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

const structure = (lowering: Lowering, fields: readonly Field[]): number => {
  const { b } = lowering;
  const start = b.buffer(fields.reduce((sum, field) => sum + field.size, 0));
  let at = start;
  for (const { size, value } of fields) {
    b.store(at, typeof value === "object" ? slotVariable(lowering, value.slot) : value, size);
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

/** Prints `NAME: TITLE failed: TEXT` for the negative error number in `result`. */
export const report = ({ b, plan }: Lowering, title: string, hints: CallStep["hints"]): void => {
  const line = encode(`${plan.name}: ${printable(title)} failed: `);
  const site = [b.constant(line), line.length, 0];
  for (const number in hints) {
    const hint = encode(`hint: ${printable(hints[Number(number)]!)}\n`);
    site.push(Number(number), b.constant(hint), hint.length);
    site[2]!++;
  }
  b.move(b.variable("site"), b.words(site));
  b.call("report");
};

/** Makes a call and does what the step says of a failure: `failed` is where to go on when it is fatal. */
const lowerChecked = (lowering: Lowering, step: CallStep, failed: string): void => {
  const { b, plan } = lowering;
  lowerCall(lowering, step);
  if (step.result) b.move(slotVariable(lowering, step.result.slot), b.result);
  if (step.onError === "ignore") return;
  const ok = b.fresh("ok");
  b.branch("ge", b.result, 0, ok);
  for (const number of step.tolerate ?? []) b.branch("eq", b.result, -number, ok);
  report(lowering, step.title, step.hints);
  if (step.onError !== "warn") {
    b.move(b.variable("status"), step.status ?? plan.failure);
    b.jump(failed);
  }
  b.label(ok);
  if (step.endWhenPositive) {
    const goOn = b.fresh("go on");
    b.branch("lt", b.result, 1, goOn);
    b.move(b.variable("status"), plan.failure);
    b.jump(failed);
    b.label(goOn);
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

const lowerFork = (lowering: Lowering, step: ForkStep, failed: string): void => {
  const { b } = lowering;
  const parent = b.fresh("parent");
  lowerChecked(lowering, cloneCall(step), failed);
  b.branch("ne", slotVariable(lowering, step.pid.slot), 0, parent);
  lowerProcess(lowering, step.child);
  b.label(parent);
};

const lowerExec = (lowering: Lowering, step: ExecStep, failed: string): void => {
  const { b } = lowering;
  b.move(b.variable("argv"), b.strings(step.argv));
  b.move(b.variable("envp"), step.env ? b.strings(step.env) : b.variable("environ"));
  b.move(b.variable("candidates"), b.strings(step.candidates));
  b.move(b.variable("script"), b.buffer((step.argv.length + 2) * 8));
  b.call("exec");
  report(lowering, `execute ${step.program}`, undefined);
  if (step.status !== undefined) b.move(b.variable("status"), step.status);
  b.jump(failed);
};

const lowerWait = (lowering: Lowering, step: WaitStep): void => {
  const { b, plan } = lowering;
  const ended = b.fresh("ended");
  b.move(b.variable("child"), slotVariable(lowering, step.pid.slot));
  b.call("wait for child");
  b.branch("ge", b.result, 0, ended);
  report(lowering, "wait for the child", undefined);
  b.syscall("exit_group", [plan.failure]);
  b.label(ended);
  lowerCleanup(lowering, step.cleanup);
  b.jump(step.signaled === "signal" ? "end by signal" : "end by status");
};

/** Each cleanup call reports its own failure, and nothing stops for it. */
export const lowerCleanup = (lowering: Lowering, calls: readonly CallStep[]): void => {
  for (const call of calls) lowerChecked(lowering, { ...call, onError: call.onError ?? "warn" }, "");
};

export { slotVariable };
