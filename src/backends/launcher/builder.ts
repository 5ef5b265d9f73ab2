// Collects instructions and lays out the memory they work on.

import { encode, refuseNul } from "../../abi/bytes.ts";
import type { SyscallName } from "../../abi/syscalls.ts";
import { VARIABLES } from "./layout.ts";
import type { Arithmetic, Condition, Op, Operand, Size, Variable } from "./ops.ts";

/** What a builder goes on from: the runtime's variables, which routines and plans share by name. */
export interface Start {
  /** The address of the first constant. */
  readonly constants: number;
  /** Addresses of variables that exist already. */
  readonly variables: Readonly<Record<string, number>>;
  /** Bytes of variable memory in use. */
  readonly variableBytes: number;
  /** Where variable memory begins; the launcher's place for it unless given. */
  readonly memory?: number;
}

export class Builder {
  readonly ops: Op[] = [];
  /** Where the result of a call goes unless told otherwise. */
  readonly result: Variable;
  #variables = new Map<string, Variable>();
  #texts = new Map<string, number>();
  #bytes = new Uint8Array(16384);
  #used = 0;
  #labels = 0;
  readonly #start: Start;
  variableBytes: number;

  constructor(start: Start) {
    this.#start = start;
    this.variableBytes = start.variableBytes;
    this.result = this.variable("result");
  }

  syscall(name: SyscallName, args: readonly Operand[], result: Variable = this.result): void {
    this.ops.push({ op: "syscall", name, args, result });
  }
  move(to: Variable, from: Operand): void {
    this.ops.push({ op: "move", to, from });
  }
  compute(op: Arithmetic, to: Variable, by: Operand): void {
    this.ops.push({ op, to, by });
  }
  shiftRight(to: Variable, right: number): void {
    this.ops.push({ op: "shift", to, right });
  }
  load(to: Variable, address: Operand, size: Size): void {
    this.ops.push({ op: "load", to, address, size });
  }
  store(address: Operand, value: Operand, size: Size): void {
    this.ops.push({ op: "store", address, value, size });
  }
  branch(when: Condition, left: Operand, right: Operand, to: string): void {
    this.ops.push({ op: "branch", when, left, right, to });
  }
  jump(to: string): void {
    this.ops.push({ op: "jump", to });
  }
  call(to: string): void {
    this.ops.push({ op: "call", to });
  }
  comeBack(): void {
    this.ops.push({ op: "return" });
  }
  label(name: string): void {
    this.ops.push({ op: "label", name });
  }
  /** A label that no other has, `hint` made unique by a number. */
  fresh(hint: string): string {
    return `${hint} ${++this.#labels}`;
  }

  /** The variable of this name, declared by its first mention. */
  variable(name: string): Variable {
    const found = this.#variables.get(name);
    if (found) return found;
    const given = this.#start.variables[name];
    const made = { at: given ?? this.buffer(8) };
    this.#variables.set(name, made);
    return made;
  }
  /** The address of new zeroed memory. */
  buffer(size: number): number {
    const at = (this.#start.memory ?? VARIABLES) + this.variableBytes;
    this.variableBytes += (size + 7) & ~7;
    return at;
  }

  /** The address of bytes that are never written. */
  constant(bytes: Uint8Array): number {
    const at = this.#used;
    this.#used += (bytes.length + 7) & ~7;
    if (this.#used > this.#bytes.length) {
      const larger = new Uint8Array(this.#used * 2);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, at);
    return this.#start.constants + at;
  }
  /** The address of a C string; equal ones are stored once. A NUL inside would cut it short unseen, so it is refused. */
  text(value: string): number {
    let at = this.#texts.get(value);
    if (at === undefined) {
      if (value.includes("\0")) refuseNul(value);
      at = this.constant(encode(`${value}\0`));
      this.#texts.set(value, at);
    }
    return at;
  }
  /** The address of an array of 8-byte words. */
  words(values: readonly number[]): number {
    const words = new Uint32Array(values.length * 2); // addresses and lengths of ours fit into the lower halves
    for (let i = 0; i < values.length; i++) words[i * 2] = values[i]!;
    return this.constant(new Uint8Array(words.buffer));
  }
  /** The address of a NULL-terminated array of C strings. */
  strings(values: readonly string[]): number {
    const pointers: number[] = [];
    for (const value of values) pointers.push(this.text(value));
    pointers.push(0);
    return this.words(pointers);
  }
  constants(): Uint8Array {
    return this.#bytes.subarray(0, this.#used);
  }
  /** Addresses of all variables by name. */
  variables(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#variables, ([name, variable]) => [name, variable.at]));
  }
}
