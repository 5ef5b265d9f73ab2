// x86-64 encoder. Section numbers are those of the Intel 64 manual, volume 2. Registers are used within one
// instruction of ours only: rax and rcx for values, the System V system call registers for arguments.
// It runs at every start of nsk, so it writes bytes into one buffer and touches a BigInt only where a value needs it.

import { syscallNumber } from "../../abi/syscalls.ts";
import type { Arithmetic, Condition, Encoder, Operand, Variable } from "./ops.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
/** rdi, rsi, rdx, r10, r8, r9. @see syscall(2), "Architecture calling conventions" */
const ARGUMENTS = [7, 6, 2, 10, 8, 9] as const;

/** Second opcode byte of `0F 8x cd` (Jcc rel32). */
const JCC: Readonly<Record<Condition, number>> = { eq: 0x84, ne: 0x85, lt: 0x8c, ge: 0x8d };
/** Opcode of `op r/m64, r64`. */
const ALU: Readonly<Record<Arithmetic, number>> = { add: 0x01, sub: 0x29, and: 0x21, or: 0x09 };
/** `movzx eax, byte [rcx]`, `movzx eax, word [rcx]`, `mov eax, [rcx]`, `mov rax, [rcx]` */
const LOAD = {
  1: [0x0f, 0xb6, 0x01],
  2: [0x0f, 0xb7, 0x01],
  4: [0x8b, 0x01],
  8: [0x48, 0x8b, 0x01],
} as const;
/** `mov [rcx], al`, `mov [rcx], ax`, `mov [rcx], eax`, `mov [rcx], rax` */
const STORE = { 1: [0x88, 0x01], 2: [0x66, 0x89, 0x01], 4: [0x89, 0x01], 8: [0x48, 0x89, 0x01] } as const;

/** No instruction of ours is longer: six arguments of ten bytes, a number, the call and a store. */
const LONGEST = 100;

export const encodeX64: Encoder = (ops, base, known) => {
  const code = new Uint8Array(ops.length * LONGEST);
  const labels = new Map<string, number>();
  const fixups: { at: number; label: string }[] = [];
  let at = 0;

  // A start of nsk writes thousands of bytes here before anything is compiled: no rest parameters, no DataView, and
  // the two forms that operands nearly always have in one piece each.
  const put = (byte: number): void => {
    code[at++] = byte;
  };
  const put2 = (first: number, second: number): void => {
    code[at] = first;
    code[at + 1] = second;
    at += 2;
  };
  const put3 = (first: number, second: number, third: number): void => {
    put2(first, second);
    code[at++] = third;
  };
  const put32 = (value: number): void => {
    code[at] = value;
    code[at + 1] = value >> 8;
    code[at + 2] = value >> 16;
    code[at + 3] = value >> 24;
    at += 4;
  };
  /** `mov reg, imm`: the shortest of B8+rd id (zero-extends), REX.W C7 /0 id (sign-extends), REX.W B8+rd io. */
  const putImmediate = (register: number, value: number | bigint): void => {
    const low = register & 7;
    const high = register >> 3;
    if (value >= 0 && value <= 0xffffffff) {
      if (high) put(0x41);
      put(0xb8 + low);
      put32(Number(value) | 0);
    } else if (value >= -0x80000000 && value < 0) {
      put3(0x48 | high, 0xc7, 0xc0 | low);
      put32(Number(value));
    } else {
      put2(0x48 | high, 0xb8 + low);
      const bits = BigInt.asUintN(64, BigInt(value));
      put32(Number(bits & 0xffffffffn) | 0);
      put32(Number(bits >> 32n) | 0);
    }
  };
  /** `mov reg, [name]` (REX.W 8B /r) or `mov [name], reg` (89), by absolute address: mod 00, rm 100, SIB without base and index (2.1.5). */
  const putVariable = (opcode: 0x8b | 0x89, register: number, variable: Variable): void => {
    const rex = 0x48 | ((register >> 3) << 2);
    put32(rex | (opcode << 8) | ((((register & 7) << 3) | 4) << 16) | (0x25 << 24));
    put32(variable.at);
  };
  const take = (register: number, operand: Operand): void => {
    if (typeof operand === "object") putVariable(0x8b, register, operand);
    else putImmediate(register, operand);
  };
  const keep = (variable: Variable): void => putVariable(0x89, RAX, variable);
  const putRelative = (label: string): void => {
    fixups.push({ at, label });
    at += 4;
  };

  for (const op of ops) {
    switch (op.op) {
      case "start":
        put32(0x24048b48); // mov rax, [rsp]: argc
        put(0x48);
        put32(0x10c4448d); // lea rax, [rsp + rax*8 + 16]: past argv and its NULL
        keep(op.environ);
        break;
      case "enter":
        put3(0x48, 0x89, 0xe0); // mov rax, rsp
        keep(op.stack);
        put3(0x48, 0x89, 0xd0); // mov rax, rdx
        keep(op.handed);
        break;
      case "leave":
        take(RDX, op.handed);
        take(RAX, op.to);
        put2(0xff, 0xe0); // jmp rax
        break;
      case "syscall":
        for (let i = 0; i < op.args.length; i++) take(ARGUMENTS[i]!, op.args[i]!);
        putImmediate(RAX, syscallNumber(op.name, "x64"));
        put2(0x0f, 0x05);
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
        put3(0x48, ALU[op.op], 0xc8); // op rax, rcx
        keep(op.to);
        break;
      case "shift":
        take(RAX, op.to);
        put3(0x48, 0xc1, 0xe8);
        put(op.right); // shr rax, imm8
        keep(op.to);
        break;
      case "load":
        take(RCX, op.address);
        for (const byte of LOAD[op.size]) put(byte);
        keep(op.to);
        break;
      case "store":
        take(RCX, op.address);
        take(RAX, op.value);
        for (const byte of STORE[op.size]) put(byte);
        break;
      case "branch":
        take(RAX, op.left);
        take(RCX, op.right);
        put32(0x0fc83948); // cmp rax, rcx; jcc rel32
        put(JCC[op.when]);
        putRelative(op.to);
        break;
      case "jump":
        put(0xe9);
        putRelative(op.to);
        break;
      case "call":
        put(0xe8);
        putRelative(op.to);
        break;
      case "return":
        put(0xc3);
        break;
      case "address":
        put3(0x48, 0x8d, 0x05); // lea rax, [rip + rel32]
        putRelative(op.of);
        keep(op.to);
        break;
      case "label":
        labels.set(op.name, at);
        break;
    }
  }

  const end = at;
  for (const fixup of fixups) {
    const target = labels.get(fixup.label) ?? known[fixup.label]! - base;
    if (Number.isNaN(target)) throw new RangeError(`no label ${fixup.label}`);
    at = fixup.at;
    put32(target - (at + 4));
  }
  return { bytes: code.subarray(0, end), labels };
};
