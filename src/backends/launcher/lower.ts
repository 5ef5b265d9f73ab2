// A plan becomes a launcher: every call of every step in order, and after each call that can fail the way to the
// report. What does not depend on the plan is in runtime.ts; the supervisor's loop is in supervise.ts.

import { printable, encode } from "../../abi/bytes.ts";
import { SIG } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep, Field } from "../../plan/call.ts";
import type { ExecStep, ForkStep, Plan, Step, WaitStep } from "../../plan/plan.ts";
import { encodeArm64 } from "./arm64.ts";
import { type Builder, newBuilder } from "./builder.ts";
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
  if (step.endWhenPositive) {
    b.move(b.variable("status"), plan.failure);
    b.branch("ge", b.result, 1, out.quiet);
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

const lowerWait = (lowering: Lowering, step: WaitStep): void => {
  const { b } = lowering;
  const ended = b.fresh("ended");
  b.move(b.variable("child"), slotVariable(lowering, step.pid.slot));
  b.call("wait for child");
  b.branch("ge", b.result, 0, ended);
  reportAndEnd(lowering, "wait for the child");
  b.label(ended);
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
