// One call of a plan in the launcher's instructions: its arguments, and after it the way to the report where it can fail.

import { encode, printable } from "../../abi/bytes.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Arg, CallStep, Field, Loaded, Text } from "../../plan/call.ts";
import type { Plan } from "../../plan/plan.ts";
import type { Builder } from "./builder.ts";
import type { Operand } from "./ops.ts";

/** What the parts of a launcher share while it is written. */
export interface Lowering {
  readonly b: Builder;
  readonly arch: Arch;
  readonly plan: Plan;
  /** Buffers that a plan refers to by name. */
  readonly buffers: Map<string, number>;
  /** The long routines, where they are loaded. */
  readonly parts?: typeof import("./parts.ts") | undefined;
  /** Addresses of the runtime's routines. */
  readonly routines: Readonly<Record<string, number>>;
  /** Addresses of records for the runtime's `report`. */
  readonly sites: Map<string, number>;
}

/** Where to go on when a step has failed. */
export interface WayOut {
  /** With a report of what is in `site` and `result`. */
  readonly report: string;
  /** Without a word. */
  readonly quiet: string;
}

export const wayOut = (b: Builder): WayOut => ({ report: b.fresh("report"), quiet: b.fresh("exit") });

export const slotVariable = ({ b }: Lowering, name: string) => b.variable(`slot ${name}`);

/** The operand for an argument; what must be stored first is stored. */
export const operand = (lowering: Lowering, arg: Arg): Operand => {
  const { b } = lowering;
  switch (arg.type) {
    case "int":
      return arg.value;
    case "byArch":
      return operand(lowering, arg[lowering.arch]);
    case "string":
      return b.text(arg.value);
    case "text":
      return composed(lowering, arg.parts);
    case "bytes":
      return b.constant(arg.value);
    case "strings":
      return stringArray(lowering, arg.value);
    case "loaded":
      return load(lowering, arg.from);
    case "environ":
      return b.variable("environ");
    case "slot": {
      const whole = slotVariable(lowering, arg.slot.slot);
      if (arg.part === undefined) return whole;
      const part = b.variable(b.fresh("part"));
      b.load(part, whole.at + 4 * arg.part, 4);
      return part;
    }
    case "out":
      return slotVariable(lowering, arg.slot.slot).at;
    case "buffer": {
      const at = lowering.buffers.get(arg.name) ?? b.buffer(arg.size);
      lowering.buffers.set(arg.name, at);
      return at;
    }
    case "struct":
      return structure(lowering, arg.fields);
  }
};

/** Bytes of a number in decimal, of 32 bits at most. */
const DIGITS = 10;

/** The address of a C string that is put together here. */
const composed = (lowering: Lowering, parts: Text): number => {
  const { b } = lowering;
  let size = 1;
  for (const part of parts) size += typeof part === "string" ? encode(part).length : DIGITS;
  const start = b.buffer(size);
  b.move(b.variable("end"), start);
  for (const part of parts)
    if (typeof part === "string") {
      b.move(b.variable("from"), b.text(part));
      b.call("append text");
    } else {
      b.move(b.variable("number"), slotVariable(lowering, part.slot));
      b.call("append number");
    }
  return start;
};

/** A NULL-terminated array of C strings; in writable memory when one of them is put together here. */
const stringArray = (lowering: Lowering, words: readonly (string | Text)[]): number => {
  const { b } = lowering;
  let isConstant = true;
  for (const word of words) if (typeof word !== "string") isConstant = false;
  if (isConstant) return b.strings(words as readonly string[]);
  const start = b.buffer((words.length + 1) * 8);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    b.store(start + i * 8, typeof word === "string" ? b.text(word) : composed(lowering, word), 8);
  }
  return start;
};

export const load = (lowering: Lowering, { buffer, offset, size }: Loaded): Operand => {
  const { b, buffers, arch } = lowering;
  const value = b.variable(b.fresh("loaded"));
  b.load(value, buffers.get(buffer)! + offset[arch], size);
  return value;
};

const fieldOperand = (lowering: Lowering, value: Field["value"]): Operand => {
  if (typeof value !== "object") return value;
  if ("slot" in value) return slotVariable(lowering, value.slot);
  return "bytes" in value ? lowering.b.constant(value.bytes) : load(lowering, value);
};

const structure = (lowering: Lowering, fields: readonly Field[]): number => {
  const { b } = lowering;
  const start = b.buffer(fields.reduce((sum, field) => sum + field.size, 0));
  let at = start;
  for (const { size, value } of fields) {
    b.store(at, fieldOperand(lowering, value), size);
    at += size;
  }
  return start;
};

/** Makes a call and leaves its result in `result`; nothing is checked. */
export const lowerCall = (lowering: Lowering, step: CallStep): void => {
  const args: Operand[] = [];
  for (const arg of step.args) args.push(operand(lowering, arg));
  lowering.b.syscall(step.name, args);
};

/**
 * Leaves in `site` what the runtime's `report` prints: `NAME: TITLE failed: TEXT` and a hint, for the negative error
 * number in `result`. It leaves `status` in the variable of that name, 0 for what is there already.
 */
export const site = (
  { b, plan, sites }: Lowering,
  title: string,
  status: number,
  hints: CallStep["hints"],
): void => {
  // Steps of a group have a title in common, and so a record.
  const key = hints ? undefined : `${status} ${title}`;
  const known = key && sites.get(key);
  if (known) {
    b.move(b.variable("site"), known);
    return;
  }
  const line = encode(`${plan.name}: ${printable(title)} failed: `);
  const record = [b.constant(line), line.length, status, 0];
  for (const number in hints) {
    const hint = encode(`hint: ${printable(hints[Number(number)]!)}\n`);
    record.push(Number(number), b.constant(hint), hint.length);
    record[3]!++;
  }
  const at = b.words(record);
  if (key) sites.set(key, at);
  b.move(b.variable("site"), at);
};

/** Reports a failure that is not a step's, and ends. */
export const reportAndEnd = (lowering: Lowering, title: string): void => {
  const { b, plan } = lowering;
  site(lowering, title, plan.failure, undefined);
  b.call("report");
  b.syscall("exit_group", [plan.failure]);
};

/** Makes a call and does what the step says of a failure. */
export const lowerChecked = (lowering: Lowering, step: CallStep, out: WayOut): void => {
  const { b } = lowering;
  if (!step.unless) return lowerMade(lowering, step, out);
  const passed = b.fresh("passed");
  b.branch("ge", slotVariable(lowering, step.unless.slot), 0, passed);
  lowerMade(lowering, step, out);
  b.label(passed);
};

const lowerMade = (lowering: Lowering, step: CallStep, out: WayOut): void => {
  const { b, plan } = lowering;
  lowerCall(lowering, step);
  if (step.result) b.move(slotVariable(lowering, step.result.slot), b.result);
  if (step.onError === "ignore") return;
  const status = step.status ?? plan.failure;
  if (step.tolerate || step.onError === "warn") {
    const ok = b.fresh("ok");
    b.branch("ge", b.result, 0, ok);
    for (const number of step.tolerate ?? []) b.branch("eq", b.result, -number, ok);
    site(lowering, step.title, status, step.hints);
    if (step.onError === "warn") b.call("report");
    else b.jump(out.report);
    b.label(ok);
  } else {
    site(lowering, step.title, status, step.hints);
    b.branch("lt", b.result, 0, out.report);
  }
  if (step.endWhen) {
    b.move(b.variable("status"), plan.failure);
    if (step.endWhen === "zero") b.branch("eq", b.result, 0, out.quiet);
    else b.branch("ge", b.result, 1, out.quiet);
  }
};

/** For calls that never take it. */
const nowhere: WayOut = { report: "nowhere", quiet: "nowhere" };

/** Each cleanup call reports its own failure, and nothing stops for it. */
export const lowerCleanup = (lowering: Lowering, calls: readonly CallStep[]): void => {
  for (const call of calls)
    lowerChecked(lowering, { ...call, onError: call.onError === "ignore" ? "ignore" : "warn" }, nowhere);
};
