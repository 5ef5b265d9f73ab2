// The launcher's instructions, the same for both processors, and the memory they work on: constants that are never
// written, and variables of 8 bytes each. Everything lives in memory and nothing in registers from one instruction to
// the next, so an encoder is a page long and can be read beside the processor's manual.

import type { Arch, SyscallName } from "../../abi/syscalls.ts";

/** A place in one of the two memory areas. */
export interface Address {
  readonly area: "constant" | "variable";
  readonly offset: number;
}

/** A number, the value of a variable (by name), or the address of a place. */
export type Operand = number | bigint | string | Address;

export type Condition = "eq" | "ne" | "lt" | "ge";
export type Arithmetic = "add" | "sub" | "and" | "or";

export type Op =
  /** Keep the address of envp, which the kernel put behind argv on the stack. Only at the very start. */
  | { readonly op: "start"; readonly environ: string }
  | {
      readonly op: "syscall";
      readonly name: SyscallName;
      readonly args: readonly Operand[];
      readonly result: string;
    }
  | { readonly op: "move"; readonly to: string; readonly from: Operand }
  | { readonly op: Arithmetic; readonly to: string; readonly by: Operand }
  | { readonly op: "shift"; readonly to: string; readonly right: number }
  /** `to` = the `size` bytes at `address`, zero-extended. */
  | { readonly op: "load"; readonly to: string; readonly address: Operand; readonly size: 1 | 2 | 4 | 8 }
  | { readonly op: "store"; readonly address: Operand; readonly value: Operand; readonly size: 1 | 2 | 4 | 8 }
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
  | { readonly op: "label"; readonly name: string };

/** A program for the encoders: instructions and the size and contents of its memory. */
export interface Program {
  readonly arch: Arch;
  readonly ops: readonly Op[];
  readonly constants: Uint8Array;
  /** Bytes of zeroed memory for variables and buffers. */
  readonly variableBytes: number;
  /** Where each variable lies. */
  readonly variables: ReadonlyMap<string, number>;
}

/** Where the two areas begin when the program runs. */
export interface Layout {
  readonly constant: number;
  readonly variable: number;
}

/** The number that an operand stands for, or undefined for the value of a variable. */
export const operandValue = (operand: Operand, layout: Layout): bigint | undefined => {
  if (typeof operand === "string") return undefined;
  if (typeof operand === "object") return BigInt(layout[operand.area] + operand.offset);
  return BigInt(operand);
};

/** The address of a variable. */
export const variableAddress = (program: Program, layout: Layout, name: string): number => {
  const offset = program.variables.get(name);
  if (offset === undefined) throw new RangeError(`no variable ${name}`);
  return layout.variable + offset;
};
