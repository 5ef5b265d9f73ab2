// The last step of every command that has a plan: print it, write it to a file, or do it.

import type { Plan } from "../plan/plan.ts";
import type { Host } from "../host/host.ts";
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
export const carryOut = async (plan: Plan, choice: PlanChoice, host: Host): Promise<number> => {
  void [plan, choice, host];
  throw new Error("not yet");
};

/** Explain, or make the calls of a plan that runs no program in this process. */
export const carryOutHere = async (plan: Plan, choice: PlanChoice): Promise<number> => {
  void [plan, choice];
  throw new Error("not yet");
};
