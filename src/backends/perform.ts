// Makes the calls of a plan in this very process: for plans that start no program and change nothing of the process
// itself (make a control group, write a setting).

import { cString } from "../abi/bytes.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { errnoText } from "../abi/errno.ts";
import type { Arg, CallStep } from "../plan/call.ts";
import type { Plan } from "../plan/plan.ts";
import { address, syscall, type Word, writeAll } from "../sys/linux.ts";

type Slots = Map<string, number>;

/**
 * Makes the calls of a plan in this process, one after the other.
 * Throws {@link StepError} for the call that failed, after taking back what the plan says to take back. Returns how many
 * calls failed that are only reported (`onError: "warn"`); the rest of such a call's group is passed over. What would
 * take back each call that was made is left in `undos`.
 *
 * @example
 * ```ts
 * import { cgroup, perform } from "nsk";
 *
 * const group = cgroup(`example-${process.pid}`, ["pids"]);
 * perform(group.plans.create({ "pids.max": 20 }));
 * console.log(group.get("pids.max")); // → 20
 * await group.delete();
 * ```
 */
export const perform = (plan: Plan, undos: CallStep[] = []): number => {
  const slots: Slots = new Map();
  let warnings = 0;
  const told = new Set<string>();
  try {
    for (const step of plan.steps) {
      if (step.kind !== "call") throw new HostError(`a plan with a ${step.kind} step needs a launcher`);
      // Its reason has been told by the call that should have opened what this one is about.
      if (step.onError === "warn" && isAboutFailure(step, slots)) continue;
      const result = makeCall(step, slots);
      if (result >= 0) {
        if (step.undo) undos.push(step.undo);
      } else if (!step.tolerate?.includes(-result) && step.onError !== "ignore") {
        const failure = new StepError(step.title, -result, step.hints?.[-result], step.status);
        if (step.onError !== "warn") throw failure;
        writeAll(2, `${plan.name}: ${failure.message}\n`);
        warnings++;
        const { hint } = failure;
        if (hint === undefined || told.has(hint)) continue;
        told.add(hint);
        writeAll(2, `hint: ${hint}\n`);
      }
    }
    return warnings;
  } catch (error) {
    for (const undo of undos.toReversed()) {
      const result = makeCall(undo, slots);
      if (result < 0) writeAll(2, `${plan.name}: ${undo.title} failed: ${errnoText(-result)}\n`);
    }
    throw error;
  }
};

const isAboutFailure = ({ args }: CallStep, slots: Slots): boolean =>
  args.some((arg) => arg.type === "slot" && slots.get(arg.slot.slot)! < 0);

const makeCall = (step: CallStep, slots: Slots): number => {
  const kept: Uint8Array[] = [];
  const [a, b, c, d, e, f] = step.args.map((arg) => argWord(arg, slots, kept));
  const result = syscall(step.name, a, b, c, d, e, f);
  if (step.result) slots.set(step.result.slot, result);
  kept.length = 0; // what the call's addresses point to had to stay alive until here
  return result;
};

const argWord = (arg: Arg, slots: Slots, kept: Uint8Array[]): Word => {
  const keep = (bytes: Uint8Array): number => {
    kept.push(bytes);
    return bytes.length ? address(bytes) : 0;
  };
  switch (arg.type) {
    case "int":
      return arg.value;
    case "string":
      return keep(cString(arg.value));
    case "bytes":
      return keep(arg.value);
    case "slot": {
      const value = slots.get(arg.slot.slot);
      if (value === undefined) throw new RangeError(`${arg.slot.slot} is used before it is known`);
      if (arg.part !== undefined) throw new HostError("a pair of descriptors needs a launcher");
      return value;
    }
    default:
      throw new HostError(`an argument of type ${arg.type} needs a launcher`);
  }
};
