// Mistakes that a plan can have as a list, found before anything runs: a slot that is read before it is filled, steps
// behind one that never comes back, a process without an end.

import type { Arg, CallStep, Loaded, Slot } from "./call.ts";
import type { Plan, Step } from "./plan.ts";

/**
 * Throws RangeError with the first mistake of a plan. `here`: the plan runs no program, so it needs no last step.
 *
 * @example
 * ```ts
 * import { checkPlan, steps } from "nsk";
 *
 * const plan = { name: "example", failure: 1, steps: [steps.chdir("/")] };
 * checkPlan(plan, "here");
 * try {
 *   checkPlan(plan);
 * } catch (error) {
 *   console.log(error instanceof RangeError); // → true
 * }
 * ```
 */
export const checkPlan = (plan: Plan, how: "launcher" | "here" = "launcher"): void => {
  checkProcess(plan.steps, new Set(), how === "here");
};

const checkProcess = (steps: readonly Step[], before: ReadonlySet<string>, mayReturn: boolean): void => {
  const filled = new Set(before);
  let ended: Step["kind"] | undefined;
  for (const step of steps) {
    if (ended) throw new RangeError(`a ${step.kind} step behind ${ended}, which does not come back`);
    switch (step.kind) {
      case "call":
        checkCall(step, filled);
        break;
      case "prepared":
        for (const call of step.calls()) {
          if (call.undo) throw new RangeError(`${call.title} is prepared, and has an undo`);
          checkCall(call, filled);
        }
        break;
      case "fork":
        checkProcess(step.child, filled, false);
        filled.add(step.pid.slot);
        break;
      case "exec":
        if (step.candidates.length === 0) throw new RangeError(`no file to execute for ${step.program}`);
        ended = step.kind;
        break;
      case "exit":
        ended = step.kind;
        break;
      case "join":
        need(step.pid, filled, step.kind);
        break;
      case "heed":
        need(step.pid, filled, step.kind);
        need(step.from, filled, step.kind);
        for (const call of step.cleanup) checkCall(call, filled);
        break;
      case "attach":
        for (const slot of [step.supervisor, step.first, step.signals, step.master, step.log, step.record])
          need(slot, filled, step.kind);
        for (const call of step.cleanup) checkCall(call, filled);
        ended = step.kind;
        break;
      case "report":
        break;
      case "identify":
        if (!filled.has(bufferKey(step.stat.name)))
          throw new RangeError(`identify reads the buffer ${step.stat.name}, which no step before it fills`);
        break;
      case "expect":
        needBuffer(step.found, filled, step.title);
        break;
      case "wait":
      case "supervise":
        need(step.pid, filled, step.kind);
        if (step.kind === "supervise") {
          need(step.signals, filled, step.kind);
          if (step.terminal) need(step.terminal.master, filled, step.kind);
          if (step.recorder) need(step.recorder.log, filled, step.kind);
          for (const { from } of step.recorder?.sources ?? []) need(from, filled, step.kind);
          for (const file of step.tell ?? []) need(file, filled, step.kind);
          for (const notice of step.notices ?? []) for (const call of notice.read) checkCall(call, filled);
        }
        for (const call of step.cleanup) checkCall(call, filled);
        ended = step.kind;
        break;
    }
  }
  if (!ended && !mayReturn)
    throw new RangeError("a process that neither executes a program nor waits for one");
};

const need = ({ slot }: Slot, filled: ReadonlySet<string>, by: string): void => {
  if (!filled.has(slot)) throw new RangeError(`${by} reads ${slot}, which no step before it fills`);
};

/** Buffers are known by their names, as slots are; a colon keeps the two apart. */
const bufferKey = (name: string): string => `: ${name}`;

const needBuffer = ({ buffer }: Loaded, filled: ReadonlySet<string>, by: string): void => {
  if (!filled.has(bufferKey(buffer)))
    throw new RangeError(`${by} reads the buffer ${buffer}, which no step before it fills`);
};

const checkCall = (step: CallStep, filled: Set<string>): void => {
  if (step.unless) {
    need(step.unless, filled, step.title);
    // Whether there is something to take back would then be another call's to say.
    if (step.undo) throw new RangeError(`${step.title} may not be made, and has an undo`);
  }
  for (const arg of step.args) {
    for (const slot of slotsRead(arg)) need(slot, filled, step.title);
    for (const loaded of loadedFrom(arg)) needBuffer(loaded, filled, step.title);
  }
  for (const arg of step.args) {
    if (arg.type === "out") filled.add(arg.slot.slot);
    if (arg.type === "buffer") filled.add(bufferKey(arg.name));
  }
  if (step.result) filled.add(step.result.slot);
  if (step.undo) checkCall(step.undo, filled);
};

/** An `out` argument may be read as well as filled (restoring a signal mask), so it is not looked at here. */
const slotsRead = (arg: Arg): Slot[] => {
  if (arg.type === "slot") return [arg.slot];
  if (arg.type === "text") return arg.parts.filter((part) => typeof part !== "string");
  if (arg.type === "strings")
    return arg.value.flatMap((word) =>
      typeof word === "string" ? [] : word.filter((part) => typeof part !== "string"),
    );
  if (arg.type === "struct")
    return arg.fields.flatMap(({ value }) => (typeof value === "object" && "slot" in value ? [value] : []));
  return [];
};

const loadedFrom = (arg: Arg): Loaded[] => {
  if (arg.type === "loaded") return [arg.from];
  if (arg.type === "struct")
    return arg.fields.flatMap(({ value }) => (typeof value === "object" && "buffer" in value ? [value] : []));
  return [];
};
