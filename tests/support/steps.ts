// Plans as short lines, so that a test reads as what is done.

import type { Arg, CallStep } from "../../src/plan/call.ts";
import type { Step } from "../../src/plan/plan.ts";

const text = (arg: Arg | undefined): string => {
  if (arg === undefined) return "";
  if (arg.type === "string") return arg.value;
  if (arg.type === "bytes") return new TextDecoder().decode(arg.value);
  if (arg.type === "int") return arg.text ?? String(arg.value);
  return `<${arg.type}>`;
};

/** `mkdir PATH`, `rmdir PATH`, `FILE < VALUE` for open, write and close, `exec PROGRAM`; others by name and arguments. */
export const outline = (steps: readonly Step[]): string[] => {
  const lines: string[] = [];
  let file = "";
  for (const step of steps) {
    if (step.kind === "exec") lines.push(`exec ${step.argv.join(" ")}`);
    else if (step.kind !== "call") lines.push(step.kind);
    else if (step.name === "openat") file = text(step.args[1]);
    else if (step.name === "write") lines.push(`${file} < ${text(step.args[1])}`);
    else if (step.name !== "close") lines.push(callLine(step));
  }
  return lines;
};

const callLine = ({ name, args }: CallStep): string => {
  if (name === "mkdirat") return `mkdir ${text(args[1])}`;
  if (name === "unlinkat") return `rmdir ${text(args[1])}`;
  return [name, ...args.slice(1).map(text)].join(" ");
};

/** What a step says when it fails with this error. */
export const hintOf = (steps: readonly Step[], call: CallStep["name"], errno: number): string | undefined => {
  const step = steps.find((it) => it.kind === "call" && it.name === call && it.hints?.[errno] !== undefined);
  return step?.kind === "call" ? step.hints?.[errno] : undefined;
};
