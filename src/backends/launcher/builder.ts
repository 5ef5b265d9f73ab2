// Collects instructions and lays out the memory they work on.

import { cString } from "../../abi/bytes.ts";
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

export interface Builder {
  /** Instructions so far, in order; parts that need none of the words below add theirs here. */
  readonly ops: Op[];
  /** Where the result of a call goes unless told otherwise. */
  readonly result: Variable;
  syscall(name: SyscallName, args: readonly Operand[], result?: Variable): void;
  move(to: Variable, from: Operand): void;
  compute(op: Arithmetic, to: Variable, by: Operand): void;
  shiftRight(to: Variable, right: number): void;
  load(to: Variable, address: Operand, size: Size): void;
  store(address: Operand, value: Operand, size: Size): void;
  branch(when: Condition, left: Operand, right: Operand, to: string): void;
  jump(to: string): void;
  call(to: string): void;
  comeBack(): void;
  label(name: string): void;
  /** The address of a label, into a variable. */
  address(to: Variable, of: string): void;
  enter(stack: Variable, handed: Variable): void;
  leave(handed: Variable, to: Operand): void;
  /** A label that no other has, `hint` made unique by a number. */
  fresh(hint: string): string;
  /** The variable of this name, declared by its first mention. */
  variable(name: string): Variable;
  /** The address of new zeroed memory. */
  buffer(size: number): number;
  /** The address of bytes that are never written. */
  constant(bytes: Uint8Array): number;
  /** The address of a C string; equal ones are stored once. A NUL inside would cut it short unseen, so it is refused. */
  text(value: string): number;
  /** The address of an array of 8-byte words. */
  words(values: readonly number[]): number;
  /** The address of a NULL-terminated array of C strings. */
  strings(values: readonly string[]): number;
  /** All constants so far, as they lie in memory. */
  constants(): Uint8Array;
  /** Addresses of all variables by name. */
  variables(): Record<string, number>;
  /** Bytes of variable memory in use. */
  variableBytes(): number;
}

// Closures, because a class with private members takes a quarter of a millisecond to be defined, at every start of nsk.
export const newBuilder = (start: Start): Builder => {
  const memory = start.memory ?? VARIABLES;
  const ops: Op[] = [];
  const known = new Map<string, Variable>();
  const texts = new Map<string, number>();
  let bytes = new Uint8Array(4096);
  let used = 0;
  let labels = 0;
  let { variableBytes } = start;

  const buffer = (size: number): number => {
    const at = memory + variableBytes;
    variableBytes += (size + 7) & ~7;
    return at;
  };
  const variable = (name: string): Variable => {
    const found = known.get(name);
    if (found) return found;
    const made = { at: start.variables[name] ?? buffer(8) };
    known.set(name, made);
    return made;
  };
  const constant = (value: Uint8Array): number => {
    const at = used;
    used += (value.length + 7) & ~7;
    if (used > bytes.length) {
      const larger = new Uint8Array(used * 2);
      larger.set(bytes);
      bytes = larger;
    }
    bytes.set(value, at);
    return start.constants + at;
  };
  const text = (value: string): number => {
    let at = texts.get(value);
    if (at === undefined) {
      at = constant(cString(value));
      texts.set(value, at);
    }
    return at;
  };
  const words = (values: readonly number[]): number => {
    const pairs = new Uint32Array(values.length * 2); // addresses and lengths of ours fit into the lower halves
    for (let i = 0; i < values.length; i++) pairs[i * 2] = values[i]!;
    return constant(new Uint8Array(pairs.buffer));
  };
  const result = variable("result");
  return {
    ops,
    result,
    syscall: (name, args, into = result) => void ops.push({ op: "syscall", name, args, result: into }),
    move: (to, from) => void ops.push({ op: "move", to, from }),
    compute: (op, to, by) => void ops.push({ op, to, by }),
    shiftRight: (to, right) => void ops.push({ op: "shift", to, right }),
    load: (to, address, size) => void ops.push({ op: "load", to, address, size }),
    store: (address, value, size) => void ops.push({ op: "store", address, value, size }),
    branch: (when, left, right, to) => void ops.push({ op: "branch", when, left, right, to }),
    jump: (to) => void ops.push({ op: "jump", to }),
    call: (to) => void ops.push({ op: "call", to }),
    comeBack: () => void ops.push({ op: "return" }),
    address: (to, of) => void ops.push({ op: "address", to, of }),
    enter: (stack, handed) => void ops.push({ op: "enter", stack, handed }),
    leave: (handed, to) => void ops.push({ op: "leave", handed, to }),
    label: (name) => void ops.push({ op: "label", name }),
    fresh: (hint) => `${hint} ${++labels}`,
    variable,
    buffer,
    constant,
    text,
    words,
    strings: (values) => {
      const pointers: number[] = [];
      for (const value of values) pointers.push(text(value));
      pointers.push(0);
      return words(pointers);
    },
    constants: () => bytes.subarray(0, used),
    variables: () => Object.fromEntries(Array.from(known, ([name, { at }]) => [name, at])),
    variableBytes: () => variableBytes,
  };
};
