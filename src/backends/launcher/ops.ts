// The launcher's instructions, the same for both processors. Everything lives in memory, in variables of 8 bytes, and
// nothing in registers from one instruction to the next, so an encoder is a page long and can be read beside the
// processor's manual. Addresses are fixed (layout.ts), and therefore plain numbers.

import type { Arch, SyscallName } from "../../abi/syscalls.ts";

/** 8 bytes of memory, zero at the start. */
export interface Variable {
  /** Its address. */
  readonly at: number;
}

/** A number (an address is one), or the value of a variable. */
export type Operand = number | bigint | Variable;

export type Size = 1 | 2 | 4 | 8;
export type Condition = "eq" | "ne" | "lt" | "ge";
export type Arithmetic = "add" | "sub" | "and" | "or";

export type Op =
  /** Keep the address of envp, which the kernel put behind argv on the stack. Only at the very start. */
  | { readonly op: "start"; readonly environ: Variable }
  /**
   * Keep the stack pointer and the register that the entry of a program is handed something in (the function that
   * the dynamic linker wants called at the end). Only at the very start. @see the processor's supplement to the System V ABI
   */
  | { readonly op: "enter"; readonly stack: Variable; readonly handed: Variable }
  /** Go to another program's entry as if this code had not been there: the reverse of `enter`. */
  | { readonly op: "leave"; readonly handed: Variable; readonly to: Operand }
  | {
      readonly op: "syscall";
      readonly name: SyscallName;
      readonly args: readonly Operand[];
      readonly result: Variable;
    }
  | { readonly op: "move"; readonly to: Variable; readonly from: Operand }
  | { readonly op: Arithmetic; readonly to: Variable; readonly by: Operand }
  | { readonly op: "shift"; readonly to: Variable; readonly right: number }
  /** `to` = the `size` bytes at `address`, zero-extended. */
  | { readonly op: "load"; readonly to: Variable; readonly address: Operand; readonly size: Size }
  | { readonly op: "store"; readonly address: Operand; readonly value: Operand; readonly size: Size }
  /** Compare as signed 64-bit numbers and jump. */
  | {
      readonly op: "branch";
      readonly when: Condition;
      readonly left: Operand;
      readonly right: Operand;
      readonly to: string;
    }
  | { readonly op: "jump"; readonly to: string }
  /** Go to a label and come back at `return`. One level deep: arm64 keeps the way back in a register. */
  | { readonly op: "call"; readonly to: string }
  | { readonly op: "return" }
  | { readonly op: "label"; readonly name: string }
  /** `to` = the address of a label. */
  | { readonly op: "address"; readonly to: Variable; readonly of: string };

/** What an encoder makes of ops. */
export interface Code {
  readonly bytes: Uint8Array;
  /** Offsets into `bytes`. */
  readonly labels: ReadonlyMap<string, number>;
}

/** Encodes `ops`, to be placed at address `base`. `known` are labels elsewhere, by their addresses. */
export type Encoder = (ops: readonly Op[], base: number, known: Readonly<Record<string, number>>) => Code;

export type { Arch };
