// The last step of every command that has a plan: print it, write it to a file, or do it.

import { StepError, UsageError } from "../abi/errors.ts";
import type { Arch } from "../abi/syscalls.ts";
import { execute } from "../backends/execute.ts";
import { needsParts, type PreparedRuntimes } from "../backends/launcher/lower.ts";
import { perform } from "../backends/perform.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import type { Plan } from "../plan/plan.ts";
import { writeAll } from "../sys/linux.ts";
import type { OptionTable, Values } from "./command.ts";

/** `--explain[=json]`, for every command whose plan can be shown. */
export const explainOption = {
  explain: {
    type: "string",
    optional: true,
    valueHint: "json",
    description: "print what would be done, call by call, and do nothing",
  },
} as const satisfies OptionTable;

/** `--explain` and `--emit`, for commands whose plan ends in a program. */
export const planOptions = {
  ...explainOption,
  emit: {
    type: "string",
    valueHint: "FILE",
    description: "write a small static executable that does this, and do nothing",
  },
  emitArch: {
    type: "enum",
    options: ["x64", "arm64"],
    valueHint: "x64|arm64",
    description: "the processor that --emit writes for (this machine's unless given)",
  },
} as const satisfies OptionTable;

/** What {@link carryOut} looks at: the values of {@link explainOption} or {@link planOptions}. */
export type PlanChoice = Values<typeof explainOption> & Partial<Values<typeof planOptions>>;

/**
 * Explain, emit, or become the plan's program. Returns the exit status for the first two; on success the third does
 * not return.
 */
export const carryOut = async (
  plan: Plan,
  choice: PlanChoice,
  host: Host,
  prepared?: PreparedRuntimes,
): Promise<number> => {
  if (choice.explain !== undefined) return printPlan(plan, choice.explain);
  if (choice.emit !== undefined) {
    const { emit } = await import("../backends/emit.ts");
    emit(plan, (choice.emitArch as Arch | undefined) ?? host.arch, choice.emit);
    return 0;
  }
  if (choice.emitArch !== undefined) throw new UsageError("--emit-arch goes with --emit");
  const parts = needsParts(plan, host.arch, prepared)
    ? await import("../backends/launcher/parts.ts")
    : undefined;
  return execute(plan, host.arch, { prepared, parts });
};

/**
 * Explain, or make the calls of a plan that runs no program in this process. The exit status is the plan's own when a
 * call failed that is only reported.
 */
export const carryOutHere = async (plan: Plan, choice: PlanChoice): Promise<number> => {
  if (choice.explain !== undefined) return printPlan(plan, choice.explain);
  return perform(plan) === 0 ? 0 : plan.failure;
};

/**
 * Explain, or make the calls of a plan that makes something and then does more with it, in two parts: what `more` is
 * shows in full only when the first is done. Takes the first back when the second fails.
 */
export const carryOutInTwo = async (
  plan: Plan & { readonly steps: readonly CallStep[] },
  more: () => readonly CallStep[],
  choice: PlanChoice,
): Promise<number> => {
  if (choice.explain !== undefined)
    return carryOutHere({ ...plan, steps: [...plan.steps, ...more()] }, choice);
  const made: CallStep[] = [];
  perform(plan, made);
  try {
    return await carryOutHere({ ...plan, steps: more() }, choice);
  } catch (error) {
    perform({ ...plan, steps: made.toReversed().map((step) => ({ ...step, onError: "ignore" })) });
    throw error;
  }
};

const printPlan = async (plan: Plan, how: string | true): Promise<number> => {
  if (how !== true && how !== "json") throw new UsageError(`--explain knows json, not '${how}'`);
  const { explain, explainJson } = await import("../backends/explain.ts");
  const written = writeAll(
    1,
    how === "json" ? `${JSON.stringify(explainJson(plan), null, 2)}\n` : explain(plan),
  );
  if (written < 0) throw new StepError("write the plan", -written);
  return 0;
};
