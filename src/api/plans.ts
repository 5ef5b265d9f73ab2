// What is done with a plan besides running it.

import type { Arch } from "../abi/syscalls.ts";
import { emit as emitPlan } from "../backends/emit.ts";
import type { Plan } from "../plan/plan.ts";
import { arch } from "../sys/linux.ts";

/**
 * Writes a plan as a static executable of a few KB, which needs neither nsk nor a libc. It keeps the PATH, the ids and
 * the groups of this machine and user.
 *
 * @example
 * ```ts
 * import { emit, program, run } from "nsk";
 *
 * emit(program(["hostname"], { hostname: "sandbox" }), "./sandbox");
 * const { stdout } = await run(["./sandbox"]);
 * console.log(stdout.trim()); // → sandbox
 * ```
 * @throws StepError with `code` where the file cannot be written
 */
export const emit = (plan: Plan, path: string, options: { readonly arch?: Arch } = {}): void => {
  const last = plan.steps.at(-1);
  // A plan that runs no program (of a control group, say) is over when its calls are made.
  const isWhole =
    last !== undefined && last.kind !== "call" && last.kind !== "join" && last.kind !== "expect";
  emitPlan(
    isWhole ? plan : { ...plan, steps: [...plan.steps, { kind: "exit" }] },
    options.arch ?? arch,
    path,
  );
};
