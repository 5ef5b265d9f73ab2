// The steps that are the same in every start of a container, as routines of the launcher's runtime. They are lowered
// when nsk itself is built: the file that imports this does so `with { type: "macro" }`.

import { preparedCalls } from "../../containers/prepared.ts";
import { type Slot, slot } from "../../plan/call.ts";
import type { Builder } from "./builder.ts";
import { lowerChecked, type Lowering, wayOut } from "./calls.ts";
import { OUTCOME, preparedLabel, superviseLabel } from "./prepared-labels.ts";
import type { PreparedRuntimes } from "./lower.ts";
import { assembleRuntime } from "./runtime.ts";
import { superviseLoop } from "./supervise.ts";

/** The runtimes for plans of the name `name` that end with `failure` when a step fails. */
export const assemblePrepared = (name: string, failure: number): PreparedRuntimes => ({
  plan: name,
  runtimes: assembleRuntime((b, arch) => {
    const lowering: Lowering = {
      b,
      arch,
      plan: { name, failure, steps: [] },
      buffers: new Map(),
      sites: new Map(),
      routines: {},
    };
    for (const [group, calls] of Object.entries(preparedCalls)) {
      const from = b.ops.length;
      const out = wayOut(b);
      const outcome = b.variable("outcome");
      const end = (how: number): void => {
        b.move(outcome, how);
        b.comeBack();
      };
      b.label(preparedLabel(group));
      for (const call of calls()) lowerChecked(lowering, call, out);
      end(OUTCOME.done);
      b.label(out.report);
      end(OUTCOME.failed);
      b.label(out.quiet);
      end(OUTCOME.ends);
      if (b.ops.slice(from).some(({ op }) => op === "call"))
        throw new RangeError(`${group}: a routine calls no other, there is one way back only`);
    }
    supervisors(lowering, b);
  }),
});

/** The two loops of `nsk run`, with and without `-it`. */
const supervisors = (lowering: Lowering, b: Builder): void => {
  const [pid, signals, master] = ["pid", "signals", "master"].map(slot) as [Slot, Slot, Slot];
  for (const step of [
    { pid, signals },
    { pid, signals, terminal: { master, input: true } },
  ]) {
    b.label(superviseLabel(step));
    superviseLoop(lowering, step);
    b.comeBack();
  }
};
