// AArch64 encoder, by the instruction pages of the Arm architecture reference manual (C6.2). Registers are used within
// one instruction of ours only: x9 and x10 for values, x11 for addresses, x0 to x5 and x8 for system calls.

import { syscallNumber } from "../../abi/syscalls.ts";
import type { Arithmetic, Condition, Encoder, Operand, Variable } from "./ops.ts";

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

const MOVZ = 0xd2800000;
const MOVN = 0x92800000;
const MOVK = 0xf2800000;

/** ADR's distance, in words here: its two lowest bits, which are 0 for code, stand apart from the 19 above. */
const adr = (words: number): number => (words & 0x7ffff) << 5;

export const encodeArm64: Encoder = (ops, base, known) => {
  const code: number[] = [];
  const labels = new Map<string, number>();
  const fixups: { at: number; label: string; bits: 19 | 21 | 26 }[] = [];

  const put = (word: number): void => {
    code.push(word >>> 0);
  };
  /** MOVZ, or MOVN for a value that is mostly ones, and as many MOVK as there are 16-bit parts left. */
  const putImmediate = (register: number, value: number | bigint): void => {
    const bits = BigInt.asUintN(64, BigInt(value));
    const parts = [0, 16, 32, 48].map((shift) => Number((bits >> BigInt(shift)) & 0xffffn));
    const inverted =
      parts.filter((part) => part === 0xffff).length > parts.filter((part) => part === 0).length;
    const filler = inverted ? 0xffff : 0;
    let first = true;
    for (const [i, part] of parts.entries()) {
      // The last part is written even if nothing else was: a value that is all filler.
      if (part === filler && !(first && i === 3)) continue;
      const base = !first ? MOVK : inverted ? MOVN : MOVZ;
      const immediate = first && inverted ? ~part & 0xffff : part;
      put(base | (i << 21) | (immediate << 5) | register);
      first = false;
    }
  };
  const take = (register: number, operand: Operand): void => {
    if (typeof operand !== "object") {
      putImmediate(register, operand);
      return;
    }
    putImmediate(X11, operand.at);
    put(LOAD[8] | (X11 << 5) | register); // ldr reg, [x11]
  };
  const keep = (register: number, variable: Variable): void => {
    putImmediate(X11, variable.at);
    put(STORE[8] | (X11 << 5) | register); // str reg, [x11]
  };
  const putRelative = (base: number, label: string, bits: 19 | 21 | 26): void => {
    fixups.push({ at: code.length, label, bits });
    put(base);
  };

  for (const op of ops) {
    switch (op.op) {
      case "start":
        put(0xf94003e9); // ldr x9, [sp]: argc
        put(0x910043ea); // add x10, sp, #16: argv and its NULL, less the count
        put(0x8b090d49); // add x9, x10, x9, lsl #3
        keep(X9, op.environ);
        break;
      case "enter":
        keep(0, op.handed);
        put(0x910003e9); // mov x9, sp
        keep(X9, op.stack);
        break;
      case "leave":
        take(0, op.handed);
        take(X9, op.to);
        put(0xd61f0120); // br x9
        break;
      case "syscall":
        op.args.forEach((operand, i) => take(i, operand));
        putImmediate(X8, syscallNumber(op.name, "arm64"));
        put(0xd4000001); // svc #0
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
        put(ALU[op.op] | (X10 << 16) | (X9 << 5) | X9);
        keep(X9, op.to);
        break;
      case "shift":
        take(X9, op.to);
        put(0xd340fc00 | (op.right << 16) | (X9 << 5) | X9); // lsr x9, x9, #n (UBFM)
        keep(X9, op.to);
        break;
      case "load":
        take(X10, op.address);
        put(LOAD[op.size] | (X10 << 5) | X9);
        keep(X9, op.to);
        break;
      case "store":
        take(X10, op.address);
        take(X9, op.value);
        put(STORE[op.size] | (X10 << 5) | X9);
        break;
      case "branch":
        take(X9, op.left);
        take(X10, op.right);
        put(0xeb00001f | (X10 << 16) | (X9 << 5)); // cmp x9, x10
        putRelative(0x54000000 | CONDITION[op.when], op.to, 19);
        break;
      case "jump":
        putRelative(0x14000000, op.to, 26);
        break;
      case "call":
        putRelative(0x94000000, op.to, 26); // bl
        break;
      case "return":
        put(0xd65f03c0); // ret
        break;
      case "address":
        putRelative(0x10000000 | X9, op.of, 21); // adr x9, label
        keep(X9, op.to);
        break;
      case "label":
        labels.set(op.name, code.length);
        break;
    }
  }

  for (const { at, label, bits } of fixups) {
    const target = labels.get(label) ?? (known[label]! - base) / 4;
    if (Number.isNaN(target)) throw new RangeError(`no label ${label}`);
    const distance = (target - at) & ((1 << bits) - 1);
    code[at] = (code[at]! | (bits === 19 ? distance << 5 : bits === 21 ? adr(distance) : distance)) >>> 0;
  }
  return {
    bytes: new Uint8Array(Uint32Array.from(code).buffer),
    labels: new Map(Array.from(labels, ([name, word]) => [name, word * 4])),
  };
};
