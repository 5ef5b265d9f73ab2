// Hooks that run in the container's own processes. Those of the runtime are run by nsk itself (backends/hooks.ts).

import { O } from "../../abi/flags.ts";
import { type CallStep, slot } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import type { Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import type { Hook, HookName } from "../config.ts";

const stateSlot = (name: HookName, i: number) => slot(`${name}${i}`);

/** Each hook reads the state from its beginning, so each has the file open for itself. */
export const openStates = (name: HookName, hooks: readonly Hook[] = [], path: string): CallStep[] =>
  hooks.map((_, i) =>
    steps.open(path, O.O_RDONLY | O.O_CLOEXEC, stateSlot(name, i), { title: `open the state for ${name}` }),
  );

/** What nsk makes of a hook's end in an error of its own. */
export const hookFailure = (name: HookName, i: number, { path }: Hook): string =>
  `error running ${name} hook #${i} (${path})`;

/** Runs them one after the other; `confined` is what each does before it becomes the hook's program. */
export const runHooks = (name: HookName, hooks: readonly Hook[] = [], confined: readonly Step[]): Step[] =>
  hooks.flatMap((hook, i): Step[] => {
    const pid = slot("hook");
    const title = hookFailure(name, i, hook);
    return [
      {
        kind: "fork",
        flags: 0,
        pid,
        reason: `the hook ${hook.path}`,
        child: [
          by.duplicate(stateSlot(name, i), 0, title, { reason: "it reads the container's state" }),
          by.duplicateNumber(2, 1, title),
          ...(hook.timeout === undefined ? [] : [by.endAfter(hook.timeout, { title })]),
          steps.closeFrom(3),
          ...confined,
          {
            kind: "exec",
            program: hook.path,
            argv: hook.args,
            candidates: [hook.path],
            env: hook.env,
          },
        ],
      },
      { kind: "join", pid, hint: title, reason: "wait for it; when it failed, so does the container" },
      steps.close(stateSlot(name, i), { title }),
    ];
  });
