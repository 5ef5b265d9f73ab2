// A plan becomes a launcher: every call of every step in order, and after each call that can fail the way to the
// report. What does not depend on the plan is in runtime.ts; the supervisor's loop is in supervise.ts, with others that few need (parts.ts).

import { encode, printable } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { SIG } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep } from "../../plan/call.ts";
import type {
  ExecStep,
  ExpectStep,
  ForkStep,
  IdentifyStep,
  JoinStep,
  Plan,
  PreparedStep,
  Step,
  SuperviseStep,
  WaitStep,
} from "../../plan/plan.ts";
import { encodeArm64 } from "./arm64.ts";
import { newBuilder } from "./builder.ts";
import {
  load,
  lowerCall,
  lowerChecked,
  lowerCleanup,
  type Lowering,
  operand,
  reportAndEnd,
  site,
  slotVariable,
  type WayOut,
  wayOut,
} from "./calls.ts";
import { passText } from "./compare.ts";
import { writeElf } from "./elf.ts";
import { waitAndForward } from "./forward.ts";
import { RUNTIME } from "./layout.ts";
import type { Operand } from "./ops.ts";
import { OUTCOME, preparedLabel, superviseLabel } from "./prepared-labels.ts";
// At build time, so that a start of nsk finds it ready.
import type { Runtime } from "./runtime.ts";
import { assembleRuntime } from "./runtime.ts" with { type: "macro" };
import { isAttachable, lowerNotice, tellEnd } from "./ending.ts";
import { encodeX64 } from "./x64.ts";

const plainRuntimes = assembleRuntime();

const STDERR = 2;

/** What a runtime has ready besides what every launcher needs: steps of the plans of this name. */
export interface PreparedRuntimes {
  readonly plan: string;
  readonly runtimes: Readonly<Record<Arch, Runtime>>;
}

export type Parts = typeof import("./parts.ts");

export interface Ready {
  readonly prepared?: PreparedRuntimes | undefined;
  /** For plans that {@link needsParts}. */
  readonly parts?: Parts | undefined;
}

const runtimeFor = (plan: Plan, arch: Arch, prepared: PreparedRuntimes | undefined): Runtime =>
  (prepared?.plan === plan.name ? prepared.runtimes : plainRuntimes)[arch];

/** Whether a launcher contains one of the long routines, and the module that has them must be loaded. */
export const needsParts = (plan: Plan, arch: Arch, prepared?: PreparedRuntimes): boolean => {
  const { labels } = runtimeFor(plan, arch, prepared);
  const any = (steps: readonly Step[]): boolean => {
    for (const step of steps)
      if (
        step.kind === "fork"
          ? any(step.child)
          : step.kind === "attach" ||
            step.kind === "heed" ||
            (step.kind === "supervise" && isLong(step, labels))
      )
        return true;
    return false;
  };
  return any(plan.steps);
};

const isLong = (step: SuperviseStep, labels: Readonly<Record<string, number>>): boolean =>
  labels[superviseLabel(step)] === undefined ||
  step.sweep !== undefined ||
  (step.recorder !== undefined && isAttachable(step.recorder));

/** The launcher of a plan as the bytes of an executable file. */
export const lower = (plan: Plan, arch: Arch, { prepared, parts }: Ready = {}): Uint8Array => {
  const runtime = runtimeFor(plan, arch, prepared);
  const runtimeBytes = Uint8Array.fromBase64(runtime.base64);
  const constants = RUNTIME + ((runtimeBytes.length + 7) & ~7);
  const b = newBuilder({ constants, variables: runtime.variables, variableBytes: runtime.variableBytes });
  b.ops.push({ op: "start", environ: b.variable("environ") });
  b.move(b.variable("report to"), STDERR);
  lowerProcess(
    { b, arch, plan, buffers: new Map(), sites: new Map(), routines: runtime.labels, parts },
    plan.steps,
  );
  const plain = b.constants();
  const base = constants + plain.length;
  const { bytes } = (arch === "x64" ? encodeX64 : encodeArm64)(b.ops, base, runtime.labels);
  return writeElf(arch, [runtimeBytes, plain, bytes], base, b.variableBytes());
};

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
        lowerSupervise(lowering, step);
        break;
      case "prepared":
        lowerPrepared(lowering, step, out);
        break;
      case "join":
        lowerJoin(lowering, step, out);
        break;
      case "expect":
        lowerExpect(lowering, step, out);
        break;
      case "identify":
        lowerIdentify(lowering, step, out);
        break;
      case "attach":
        partsOf(lowering).attachRoutine(lowering, step);
        break;
      case "heed":
        partsOf(lowering).heedRoutine(lowering, step);
        break;
      case "report":
        b.move(b.variable("report to"), step.to);
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

const partsOf = ({ parts }: Lowering): Parts => {
  if (parts) return parts;
  throw new RangeError("a plan with a long routine, and nobody has loaded these");
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

/** The blanks between the end of the program's name and the time: fields 3 to 22 of the line. */
const FIELDS = 20;

/** Compares a field of a line of /proc, digit by digit: it stands behind so many blanks behind the last `)`. */
const lowerIdentify = (lowering: Lowering, step: IdentifyStep, out: WayOut): void => {
  const { b, plan } = lowering;
  const [at, byte, field] = [b.variable("at"), b.variable("byte"), b.variable("field")];
  const left = b.variable("left");
  const names = ["seek", "other", "behind", "skip", "differs", "same"];
  const [seek, other, behind, skip, differs, same] = names.map((name) => b.fresh(name)) as Six;
  b.move(at, operand(lowering, step.stat));
  b.move(field, at);
  b.label(seek);
  b.load(byte, at, 1);
  b.branch("eq", byte, 0, behind);
  b.compute("add", at, 1);
  b.branch("ne", byte, 0x29, other); // ")"
  b.move(field, at);
  b.label(other);
  b.jump(seek);
  b.label(behind);
  b.move(left, FIELDS);
  b.label(skip);
  b.load(byte, field, 1);
  b.branch("eq", byte, 0, differs);
  b.compute("add", field, 1);
  b.branch("ne", byte, 0x20, skip);
  b.compute("sub", left, 1);
  b.branch("ne", left, 0, skip);
  passText(b, field, `${step.started} `, differs);
  b.jump(same);
  b.label(differs);
  const hints = step.hint === undefined ? undefined : { [errno("ESRCH")]: step.hint };
  site(lowering, step.title, plan.failure, hints);
  b.move(b.result, -errno("ESRCH"));
  b.jump(out.report);
  b.label(same);
};

type Six = [string, string, string, string, string, string];

const lowerWait = (lowering: Lowering, step: WaitStep): void => {
  const { b } = lowering;
  if (step.forward) {
    waitAndForward(
      lowering,
      slotVariable(lowering, step.pid.slot),
      step.forward,
      step.reaps ?? false,
      step.killOn,
    );
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

/** Calls the routine that was made when nsk was built; where there is none the steps are lowered here. */
const lowerPrepared = (lowering: Lowering, step: PreparedStep, out: WayOut): void => {
  const { b, routines } = lowering;
  const routine = preparedLabel(step.name);
  if (routines[routine] === undefined) {
    for (const call of step.calls()) lowerChecked(lowering, call, out);
    return;
  }
  const outcome = b.variable("outcome");
  b.call(routine);
  b.branch("eq", outcome, OUTCOME.failed, out.report);
  b.branch("eq", outcome, OUTCOME.ends, out.quiet);
};

const lowerSupervise = (lowering: Lowering, step: SuperviseStep): void => {
  const { b, routines } = lowering;
  const routine = superviseLabel(step);
  if (routines[routine] === undefined) partsOf(lowering).superviseLoop(lowering, step);
  else b.call(routine);
  if (step.sweep !== undefined) partsOf(lowering).sweepRoutine(lowering, step.sweep);
  for (const notice of step.notices ?? []) lowerNotice(lowering, notice);
  if (step.tell?.length) tellEnd(lowering, step.tell);
  if (step.recorder && isAttachable(step.recorder)) partsOf(lowering).seeGuestOff(lowering, step.recorder);
  lowerCleanup(lowering, step.cleanup);
  b.jump("end by status");
};
