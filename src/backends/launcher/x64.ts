// x86-64 encoder. Section numbers are those of the Intel 64 manual, volume 2. Registers are used within one
// instruction of ours only: rax and rcx for values, the System V system call registers for arguments.

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

const RAX = 0;
const RCX = 1;
/** rdi, rsi, rdx, r10, r8, r9. @see syscall(2), "Architecture calling conventions" */
const ARGUMENTS = [7, 6, 2, 10, 8, 9] as const;

/** Second opcode byte of `0F 8x cd` (Jcc rel32). */
const JCC: Readonly<Record<Condition, number>> = { eq: 0x84, ne: 0x85, lt: 0x8c, ge: 0x8d };
/** Opcode of `op r/m64, r64`. */
const ALU: Readonly<Record<Arithmetic, number>> = { add: 0x01, sub: 0x29, and: 0x21, or: 0x09 };

const le32 = (value: number): number[] => [
  value & 255,
  (value >> 8) & 255,
  (value >> 16) & 255,
  (value >>> 24) & 255,
];
const le64 = (value: bigint): number[] => {
  const low = Number(BigInt.asUintN(32, value)) | 0;
  const high = Number(BigInt.asUintN(32, value >> 32n)) | 0;
  return [...le32(low), ...le32(high)];
};

/** `mov reg, imm`: the shortest of B8+rd id (zero-extends), REX.W C7 /0 id (sign-extends), REX.W B8+rd io. */
const movImmediate = (register: number, value: bigint): number[] => {
  const bits = BigInt.asUintN(64, value);
  const low = register & 7;
  const high = register >> 3;
  if (bits < 1n << 32n) return [...(high ? [0x41] : []), 0xb8 + low, ...le32(Number(bits) | 0)];
  if (bits >= 0xffffffff80000000n)
    return [0x48 | high, 0xc7, 0xc0 | low, ...le32(Number(BigInt.asIntN(32, bits)))];
  return [0x48 | high, 0xb8 + low, ...le64(bits)];
};

/** ModRM and SIB for an absolute 32-bit address: mod 00, rm 100, SIB without base and index (2.1.5, table 2-3). */
const absolute = (register: number, address: number): number[] => [
  ((register & 7) << 3) | 4,
  0x25,
  ...le32(address),
];

/** `mov reg, [address]`, REX.W 8B /r */
const loadAbsolute = (register: number, address: number): number[] => [
  0x48 | ((register >> 3) << 2),
  0x8b,
  ...absolute(register, address),
];
/** `mov [address], reg`, REX.W 89 /r */
const storeAbsolute = (register: number, address: number): number[] => [
  0x48 | ((register >> 3) << 2),
  0x89,
  ...absolute(register, address),
];

/** Machine code for a program whose areas lie as `layout` says. */
export const encodeX64 = (program: Program, layout: Layout): Uint8Array => {
  const code: number[] = [];
  const labels = new Map<string, number>();
  const fixups: { at: number; label: string }[] = [];

  const address = (name: string): number => variableAddress(program, layout, name);
  const take = (register: number, operand: Operand): void => {
    const value = operandValue(operand, layout);
    code.push(
      ...(value === undefined
        ? loadAbsolute(register, address(operand as string))
        : movImmediate(register, value)),
    );
  };
  const keep = (name: string): void => {
    code.push(...storeAbsolute(RAX, address(name)));
  };
  const relative = (label: string): void => {
    fixups.push({ at: code.length, label });
    code.push(0, 0, 0, 0);
  };

  for (const op of program.ops) {
    switch (op.op) {
      case "start":
        code.push(0x48, 0x8b, 0x04, 0x24); // mov rax, [rsp]: argc
        code.push(0x48, 0x8d, 0x44, 0xc4, 0x10); // lea rax, [rsp + rax*8 + 16]: past argv and its NULL
        keep(op.environ);
        break;
      case "syscall":
        op.args.forEach((operand, i) => take(ARGUMENTS[i]!, operand));
        code.push(...movImmediate(RAX, BigInt(syscallNumber(op.name, "x64"))), 0x0f, 0x05);
        keep(op.result);
        break;
      case "move":
        take(RAX, op.from);
        keep(op.to);
        break;
      case "add":
      case "sub":
      case "and":
      case "or":
        take(RAX, op.to);
        take(RCX, op.by);
        code.push(0x48, ALU[op.op], 0xc8); // op rax, rcx
        keep(op.to);
        break;
      case "shift":
        take(RAX, op.to);
        code.push(0x48, 0xc1, 0xe8, op.right); // shr rax, imm8
        keep(op.to);
        break;
      case "load":
        take(RCX, op.address);
        // movzx eax, byte [rcx]; movzx eax, word [rcx]; mov eax, [rcx]; mov rax, [rcx]
        code.push(
          ...{ 1: [0x0f, 0xb6, 0x01], 2: [0x0f, 0xb7, 0x01], 4: [0x8b, 0x01], 8: [0x48, 0x8b, 0x01] }[
            op.size
          ],
        );
        keep(op.to);
        break;
      case "store":
        take(RCX, op.address);
        take(RAX, op.value);
        code.push(
          ...{ 1: [0x88, 0x01], 2: [0x66, 0x89, 0x01], 4: [0x89, 0x01], 8: [0x48, 0x89, 0x01] }[op.size],
        );
        break;
      case "branch":
        take(RAX, op.left);
        take(RCX, op.right);
        code.push(0x48, 0x39, 0xc8, 0x0f, JCC[op.when]); // cmp rax, rcx; jcc rel32
        relative(op.to);
        break;
      case "jump":
        code.push(0xe9);
        relative(op.to);
        break;
      case "call":
        code.push(0xe8);
        relative(op.to);
        break;
      case "return":
        code.push(0xc3);
        break;
      case "label":
        labels.set(op.name, code.length);
        break;
    }
  }

  const bytes = Uint8Array.from(code);
  const view = new DataView(bytes.buffer);
  for (const { at, label } of fixups) {
    const target = labels.get(label);
    if (target === undefined) throw new RangeError(`no label ${label}`);
    view.setInt32(at, target - (at + 4), true);
  }
  return bytes;
};
