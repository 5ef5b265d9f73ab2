// The names of routines that are made when nsk is built, and what they leave behind.

import type { SuperviseStep } from "../../plan/plan.ts";

/** What a prepared routine leaves in `outcome`: all is well, `result` and `site` tell what failed, the process ends. */
export const OUTCOME = { done: 0, failed: 1, ends: 2 } as const;

export const preparedLabel = (name: string): string => `prepared: ${name}`;

export const superviseLabel = ({
  pid,
  signals,
  terminal,
  recorder,
  timeout,
  killOn,
}: Pick<SuperviseStep, "pid" | "signals" | "terminal" | "recorder" | "timeout" | "killOn">): string =>
  `supervise${killOn === undefined ? "" : " for a script"}${recorder ? " in the background" : ""}${timeout === undefined ? "" : " for a while"} ${pid.slot} ${signals.slot} ${terminal ? `${terminal.master.slot} ${terminal.input ? "in" : "out"}` : "alone"}`;
