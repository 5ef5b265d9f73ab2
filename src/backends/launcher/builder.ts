// Collects a program's instructions and lays out its memory.

import { cString } from "../../abi/bytes.ts";
import type { Arch, SyscallName } from "../../abi/syscalls.ts";
import type { Address, Arithmetic, Condition, Op, Operand, Program } from "./ops.ts";

export interface Builder {
  readonly arch: Arch;
  syscall(name: SyscallName, args: readonly Operand[], result?: string): void;
  move(to: string, from: Operand): void;
  compute(op: Arithmetic, to: string, by: Operand): void;
  shiftRight(to: string, bits: number): void;
  load(to: string, address: Operand, size: 1 | 2 | 4 | 8): void;
  store(address: Operand, value: Operand, size: 1 | 2 | 4 | 8): void;
  branch(when: Condition, left: Operand, right: Operand, to: string): void;
  jump(to: string): void;
  call(to: string): void;
  comeBack(): void;
  label(name: string): void;
  /** A label that no other has, `hint` made readable by a number. */
  fresh(hint: string): string;
  /** Bytes that are never written; equal ones are stored once. */
  constant(bytes: Uint8Array): Address;
  text(value: string): Address;
  /** NULL-terminated array of C strings. Its pointers need the final address, so {@link finish} fills them in. */
  strings(values: readonly string[]): Address;
  /** The address of a variable, declared by its first mention. */
  variable(name: string): Address;
  /** Zeroed writable memory. The same name is the same memory. */
  buffer(name: string, size: number): Address;
  finish(constantBase: number): Program;
}

export const builder = (arch: Arch, environ: string): Builder => {
  const ops: Op[] = [{ op: "start", environ }];
  const chunks: Uint8Array[] = [];
  const known = new Map<string, Address>();
  const arrays: { at: number; strings: Address[] }[] = [];
  const variables = new Map<string, number>();
  const buffers = new Map<string, Address>();
  let constantBytes = 0;
  let variableBytes = 0;
  let labels = 0;

  const declare = (operand: Operand): void => {
    if (typeof operand === "string") variable(operand);
  };
  const push = (op: Op, ...operands: readonly Operand[]): void => {
    operands.forEach(declare);
    ops.push(op);
  };
  const variable = (name: string): Address => {
    let offset = variables.get(name);
    if (offset === undefined) {
      offset = variableBytes;
      variables.set(name, offset);
      variableBytes += 8;
    }
    return { area: "variable", offset };
  };
  const append = (bytes: Uint8Array): Address => {
    const at: Address = { area: "constant", offset: constantBytes };
    const padded = new Uint8Array((bytes.length + 7) & ~7);
    padded.set(bytes);
    chunks.push(padded);
    constantBytes += padded.length;
    return at;
  };
  const constant = (bytes: Uint8Array): Address => {
    const key = bytes.toHex();
    const found = known.get(key) ?? append(bytes);
    known.set(key, found);
    return found;
  };
  const text = (value: string): Address => constant(cString(value));

  variable(environ);
  return {
    arch,
    syscall: (name, args, result = "result") => push({ op: "syscall", name, args, result }, result, ...args),
    move: (to, from) => push({ op: "move", to, from }, to, from),
    compute: (op, to, by) => push({ op, to, by }, to, by),
    shiftRight: (to, right) => push({ op: "shift", to, right }, to),
    load: (to, from, size) => push({ op: "load", to, address: from, size }, to, from),
    store: (to, value, size) => push({ op: "store", address: to, value, size }, to, value),
    branch: (when, left, right, to) => push({ op: "branch", when, left, right, to }, left, right),
    jump: (to) => push({ op: "jump", to }),
    call: (to) => push({ op: "call", to }),
    comeBack: () => push({ op: "return" }),
    label: (name) => push({ op: "label", name }),
    fresh: (hint) => `${hint}_${++labels}`,
    constant,
    text,
    strings: (values) => {
      const strings = values.map(text);
      const array = append(new Uint8Array((values.length + 1) * 8));
      arrays.push({ at: array.offset, strings });
      return array;
    },
    variable,
    buffer: (name, size) => {
      const found = buffers.get(name);
      if (found) return found;
      const at: Address = { area: "variable", offset: variableBytes };
      buffers.set(name, at);
      variableBytes += (size + 7) & ~7;
      return at;
    },
    finish: (constantBase) => {
      const constants = new Uint8Array(constantBytes);
      let at = 0;
      for (const chunk of chunks) {
        constants.set(chunk, at);
        at += chunk.length;
      }
      const view = new DataView(constants.buffer);
      for (const array of arrays) {
        array.strings.forEach((string, i) => {
          view.setBigUint64(array.at + i * 8, BigInt(constantBase + string.offset), true);
        });
      }
      return { arch, ops, constants, variableBytes, variables };
    },
  };
};
