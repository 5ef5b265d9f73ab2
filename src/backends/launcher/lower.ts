// A plan becomes a launcher: every call of every step in order, and after each call that can fail the way to the
// report. The loops that wait for a child are in wait.ts, what is printed in report.ts.

import { errno } from "../../abi/errno.ts";
import { SIG } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep, Field } from "../../plan/call.ts";
import type { ExecStep, ForkStep, Plan, Step } from "../../plan/plan.ts";
import { type Builder, builder } from "./builder.ts";
import { writeElf } from "./elf.ts";
import type { Operand } from "./ops.ts";
import { type Report, reporter } from "./report.ts";
import { superviseRoutine, waitRoutine } from "./wait.ts";

/** The variable that keeps the address of envp. */
export const ENVIRON = "environ";

/** What the parts of a launcher share while it is written. */
export interface Lowering {
  readonly b: Builder;
  readonly plan: Plan;
  readonly report: Report;
  /** Makes a call and leaves its result in `result`; nothing is checked. */
  emitCall(step: CallStep): void;
  /** Makes a call and does what the step says of a failure: `failed` is where to go on when it is fatal. */
  emitChecked(step: CallStep, failed: string): void;
}

/** The launcher of a plan as the bytes of an executable file. */
export const lower = (plan: Plan, arch: Arch): Uint8Array => {
  const b = builder(arch, ENVIRON);
  const report = reporter(b, plan.name);
  const lowering: Lowering = {
    b,
    plan,
    report,
    emitCall: (step) => emitCall(b, step),
    emitChecked: (step, failed) => emitChecked(lowering, step, failed),
  };
  process(lowering, plan.steps);
  report.finish();
  return writeElf(b);
};

/** The steps of one process, and the way out of it that takes back what was done before a failure. */
const process = (lowering: Lowering, steps: readonly Step[]): void => {
  const { b } = lowering;
  const undos: { undo: CallStep; made: string; exit: string }[] = [];
  const exits = [b.fresh("exit")];
  const exit = (): string => exits.at(-1)!;

  for (const step of steps) {
    switch (step.kind) {
      case "call":
        lowering.emitChecked(step, exit());
        if (step.undo) {
          // A call that was tolerated to fail has made nothing, so there is nothing to take back.
          const made = b.fresh("made");
          b.move(made, "result");
          undos.push({ undo: step.undo, made, exit: b.fresh("undo") });
          exits.push(undos.at(-1)!.exit);
        }
        break;
      case "fork":
        fork(lowering, step, exit());
        break;
      case "exec":
        exec(lowering, step, exit());
        break;
      case "wait":
        waitRoutine(lowering, step);
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
    lowering.emitCall(undo);
    b.label(next);
  }
  b.label(exits[0]!);
  b.syscall("exit_group", ["status"]);
};

export const slotVariable = (name: string): string => `slot ${name}`;

/** The operand for an argument; what must be stored first is stored. */
const operand = (b: Builder, arg: Arg): Operand => {
  switch (arg.type) {
    case "int":
      return arg.value;
    case "byArch":
      return operand(b, arg[b.arch]);
    case "string":
      return b.text(arg.value);
    case "bytes":
      return b.constant(arg.value);
    case "strings":
      return b.strings(arg.value);
    case "environ":
      return ENVIRON;
    case "slot": {
      const whole = slotVariable(arg.slot.slot);
      if (arg.part === undefined) return whole;
      const part = `${whole} ${arg.part}`;
      b.load(part, { area: "variable", offset: b.variable(whole).offset + 4 * arg.part }, 4);
      return part;
    }
    case "out":
      return b.variable(slotVariable(arg.slot.slot));
    case "buffer":
      return b.buffer(arg.name, arg.size);
    case "struct":
      return structure(b, arg.fields);
  }
};

const structure = (b: Builder, fields: readonly Field[]): Operand => {
  const size = fields.reduce((sum, field) => sum + field.size, 0);
  const at = b.buffer(b.fresh("struct"), size);
  let offset = at.offset;
  for (const { size, value } of fields) {
    const from =
      typeof value !== "object"
        ? value
        : "slot" in value
          ? slotVariable(value.slot)
          : operand(b, value.pointer);
    b.store({ area: "variable", offset }, from, size);
    offset += size;
  }
  return at;
};

const emitCall = (b: Builder, step: CallStep): void => {
  b.syscall(
    step.name,
    step.args.map((arg) => operand(b, arg)),
  );
};

const emitChecked = ({ b, report, plan }: Lowering, step: CallStep, failed: string): void => {
  emitCall(b, step);
  if (step.result) b.move(slotVariable(step.result.slot), "result");
  if (step.onError === "ignore") return;
  const ok = b.fresh("ok");
  b.branch("ge", "result", 0, ok);
  for (const number of step.tolerate ?? []) b.branch("eq", "result", -number, ok);
  report.print(step.title, step.hints);
  if (step.onError !== "warn") {
    b.move("status", step.status ?? plan.failure);
    b.jump(failed);
  }
  b.label(ok);
  if (step.endWhenPositive) {
    const goOn = b.fresh("go on");
    b.branch("lt", "result", 1, goOn);
    b.move("status", plan.failure);
    b.jump(failed);
    b.label(goOn);
  }
};

const fork = (lowering: Lowering, step: ForkStep, failed: string): void => {
  const { b } = lowering;
  const parent = b.fresh("parent");
  lowering.emitChecked(cloneCall(step), failed);
  b.branch("ne", slotVariable(step.pid.slot), 0, parent);
  process(lowering, step.child);
  b.label(parent);
};

/** The system call of a fork step: `clone(SIGCHLD | kinds)` without a stack of its own, which is fork(2). */
export const cloneCall = (step: ForkStep): CallStep => ({
  kind: "call",
  name: "clone",
  // flags, stack, and thread-local things that a launcher has not (x86-64 and arm64 order them differently)
  args: [
    { type: "int", value: SIG.SIGCHLD + step.flags },
    { type: "int", value: 0 },
    { type: "int", value: 0 },
    { type: "int", value: 0 },
    { type: "int", value: 0 },
  ],
  result: step.pid,
  title: "fork",
  ...(step.hints && { hints: step.hints }),
});

// As execvp(3): these say that a candidate is not to be had, and the next one is tried.
const PASSED_OVER = (["ENOENT", "ENOTDIR", "ESTALE", "ENODEV", "ETIMEDOUT"] as const).map(errno);
const SHELL = "/bin/sh";

const exec = ({ b, report }: Lowering, step: ExecStep, failed: string): void => {
  const [loop, next, denied, script, give] = ["exec", "next", "denied", "script", "give"].map(b.fresh) as [
    string,
    string,
    string,
    string,
    string,
  ];
  const argv = b.strings(step.argv);
  const environ = step.env ? b.strings(step.env) : ENVIRON;
  const candidates = b.strings(step.candidates);

  b.move("candidate", candidates);
  b.move("error", -errno("ENOENT"));
  b.label(loop);
  b.load("file", "candidate", 8);
  b.branch("eq", "file", 0, give);
  b.syscall("execve", ["file", argv, environ]);
  b.branch("eq", "result", -errno("ENOEXEC"), script);
  b.branch("eq", "result", -errno("EACCES"), denied);
  for (const number of PASSED_OVER) b.branch("eq", "result", -number, next);
  b.move("error", "result");
  b.jump(give);

  // A file without a #! line is a script for sh: sh FILE ARGUMENTS.
  b.label(script);
  const shellArgv = b.buffer(b.fresh("shell"), (step.argv.length + 2) * 8);
  const place = (i: number): { area: "variable"; offset: number } => ({
    area: "variable",
    offset: shellArgv.offset + i * 8,
  });
  b.store(place(0), b.text(SHELL), 8);
  b.store(place(1), "file", 8);
  step.argv.slice(1).forEach((argument, i) => b.store(place(i + 2), b.text(argument), 8));
  b.syscall("execve", [b.text(SHELL), shellArgv, environ]);
  b.move("error", "result");
  b.jump(give);

  b.label(denied);
  b.move("error", "result");
  b.label(next);
  b.compute("add", "candidate", 8);
  b.jump(loop);

  b.label(give);
  b.move("result", "error");
  report.print(`execute ${step.program}`);
  // 127 not found, 126 found but not executable. @see sh(1), "Exit status for commands"
  b.move("status", 127);
  b.branch("eq", "error", -errno("ENOENT"), failed);
  b.move("status", 126);
  b.jump(failed);
};
