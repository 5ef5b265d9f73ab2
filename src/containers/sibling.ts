// A program in a container whose maker leaves it to the process outside that was started: that one waits for it, passes
// signals on and carries its terminal.

import { type Arg, type CallStep, int, partOf, slot } from "../plan/call.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { master, pair, signals } from "./container.ts";

/** The program's process id, for whoever made it and for whoever waits. */
export const program = slot("program");

/** The pipe over which the first learns from the second who that is. */
export const told = slot("told");

/** Who made the program says who it is. */
export const tellProgram = (to: Arg): CallStep =>
  steps.call("write", [to, { type: "out", slot: program }, int(8)], "tell the program's id");

/** `inside`: who makes the program, and ends then. `input`: whether keys are carried to a terminal. */
export const superviseSibling = (
  inside: { readonly slot: string },
  terminal: boolean,
  input: boolean,
  reason: string,
): Step[] => [
  steps.closePart(told, 1),
  ...(terminal ? steps.takeDescriptor(inside, pair, master) : []),
  steps.call("read", [partOf(told, 0), { type: "out", slot: program }, int(8)], "find the program"),
  { kind: "join", pid: inside, reason: "the program is this process's child as well, and stays" },
  {
    kind: "supervise",
    pid: program,
    signals,
    ...(terminal && { terminal: { master, input } }),
    cleanup: [],
    reason,
  },
];
