// AArch64 encoder, by the instruction pages of the Arm architecture reference manual (C6.2). Registers are used within
// one instruction of ours only: x9 and x10 for values, x11 for addresses, x0 to x5 and x8 for system calls.

import { syscallNumber } from "../../abi/syscalls.ts";
import {
  type Arithmetic,
  type Condition,
  type Layout,
  type Operand,
  operandValue,
  type Program,
  variableAddress,
} from "./ops.ts";

const X8 = 8;
const X9 = 9;
const X10 = 10;
const X11 = 11;

/** Condition field of B.cond. */
const CONDITION: Readonly<Record<Condition, number>> = { eq: 0, ne: 1, ge: 10, lt: 11 };
/** `op Xd, Xn, Xm`, shifted register with no shift. */
const ALU: Readonly<Record<Arithmetic, number>> = {
  add: 0x8b000000,
  sub: 0xcb000000,
  and: 0x8a000000,
  or: 0xaa000000,
};
/** LDR/STR (immediate, unsigned offset 0): byte, halfword, word, doubleword. */
const LOAD = { 1: 0x39400000, 2: 0x79400000, 4: 0xb9400000, 8: 0xf9400000 } as const;
const STORE = { 1: 0x39000000, 2: 0x79000000, 4: 0xb9000000, 8: 0xf9000000 } as const;

/** MOVZ or MOVN and as many MOVK as the value needs. */
const movImmediate = (register: number, value: bigint): number[] => {
  const bits = BigInt.asUintN(64, value);
  const parts = [0, 1, 2, 3].map((i) => Number((bits >> BigInt(16 * i)) & 0xffffn));
  const inverted = parts.filter((part) => part === 0xffff).length > parts.filter((part) => part === 0).length;
  const filler = inverted ? 0xffff : 0;
  const first = Math.max(
    0,
    parts.findIndex((part) => part !== filler),
  );
  const out: number[] = [];
  parts.forEach((part, i) => {
    if (i < first || (i > first && part === filler)) return;
    const base = i > first ? 0xf2800000 : inverted ? 0x92800000 : 0xd2800000; // MOVK, MOVN, MOVZ
    const immediate = i === first && inverted ? ~part & 0xffff : part;
    out.push((base | (i << 21) | (immediate << 5) | register) >>> 0);
  });
  return out;
};

/** Machine code for a program whose areas lie as `layout` says. */
export const encodeArm64 = (program: Program, layout: Layout): Uint8Array => {
  const code: number[] = [];
  const labels = new Map<string, number>();
  const fixups: { at: number; label: string; bits: 19 | 26 }[] = [];

  const pointTo = (name: string): void => {
    code.push(...movImmediate(X11, BigInt(variableAddress(program, layout, name))));
  };
  const take = (register: number, operand: Operand): void => {
    const value = operandValue(operand, layout);
    if (value !== undefined) {
      code.push(...movImmediate(register, value));
      return;
    }
    pointTo(operand as string);
    code.push((LOAD[8] | (X11 << 5) | register) >>> 0); // ldr reg, [x11]
  };
  const keep = (register: number, name: string): void => {
    pointTo(name);
    code.push((STORE[8] | (X11 << 5) | register) >>> 0); // str reg, [x11]
  };
  const relative = (base: number, label: string, bits: 19 | 26): void => {
    fixups.push({ at: code.length, label, bits });
    code.push(base >>> 0);
  };

  for (const op of program.ops) {
    switch (op.op) {
      case "start":
        code.push(0xf94003e9); // ldr x9, [sp]: argc
        code.push(0x910043ea); // add x10, sp, #16: argv and its NULL, less the count
        code.push(0x8b090d49); // add x9, x10, x9, lsl #3
        keep(X9, op.environ);
        break;
      case "syscall":
        op.args.forEach((operand, i) => take(i, operand));
        code.push(...movImmediate(X8, BigInt(syscallNumber(op.name, "arm64"))), 0xd4000001); // svc #0
        keep(0, op.result);
        break;
      case "move":
        take(X9, op.from);
        keep(X9, op.to);
        break;
      case "add":
      case "sub":
      case "and":
      case "or":
        take(X9, op.to);
        take(X10, op.by);
        code.push((ALU[op.op] | (X10 << 16) | (X9 << 5) | X9) >>> 0);
        keep(X9, op.to);
        break;
      case "shift":
        take(X9, op.to);
        code.push((0xd340fc00 | (op.right << 16) | (X9 << 5) | X9) >>> 0); // lsr x9, x9, #n (UBFM)
        keep(X9, op.to);
        break;
      case "load":
        take(X10, op.address);
        code.push((LOAD[op.size] | (X10 << 5) | X9) >>> 0);
        keep(X9, op.to);
        break;
      case "store":
        take(X10, op.address);
        take(X9, op.value);
        code.push((STORE[op.size] | (X10 << 5) | X9) >>> 0);
        break;
      case "branch":
        take(X9, op.left);
        take(X10, op.right);
        code.push((0xeb00001f | (X10 << 16) | (X9 << 5)) >>> 0); // cmp x9, x10
        relative(0x54000000 | CONDITION[op.when], op.to, 19);
        break;
      case "jump":
        relative(0x14000000, op.to, 26);
        break;
      case "call":
        relative(0x94000000, op.to, 26); // bl
        break;
      case "return":
        code.push(0xd65f03c0); // ret
        break;
      case "label":
        labels.set(op.name, code.length);
        break;
    }
  }

  for (const { at, label, bits } of fixups) {
    const target = labels.get(label);
    if (target === undefined) throw new RangeError(`no label ${label}`);
    const distance = (target - at) & ((1 << bits) - 1);
    code[at] = (code[at]! | (bits === 19 ? distance << 5 : distance)) >>> 0;
  }
  return new Uint8Array(Uint32Array.from(code).buffer);
};
