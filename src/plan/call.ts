// A system call as data: what the launcher makes, what `--explain` prints, and what an error message names.

import type { FlagTable } from "../abi/flags.ts";
import type { SyscallName } from "../abi/syscalls.ts";

/**
 * A place for a number that only the run will know: a descriptor, a process id. A call stores its result in one, and
 * later calls refer to it. The name is what `--explain` prints.
 */
export interface Slot {
  readonly slot: string;
}

export const slot = (name: string): Slot => ({ slot: name });

/** A number that lies in memory which an earlier call has filled: `size` bytes at `offset` of a named buffer. */
export interface Loaded {
  readonly buffer: string;
  /** The two processors order some structures differently. */
  readonly offset: { readonly x64: number; readonly arm64: number };
  readonly size: 4 | 8;
  /** What `--explain` prints. */
  readonly text: string;
}

/** A C string that only the run can put together: a slot stands for its value in decimal. */
export type Text = readonly (string | Slot)[];

/** The address of bytes that the call reads. */
export interface Pointer {
  readonly bytes: Uint8Array;
}

/** One field of a structure that is filled in just before the call. `size` in bytes. */
export interface Field {
  readonly size: 1 | 2 | 4 | 8;
  readonly value: number | bigint | Slot | Loaded | Pointer;
}

/** An argument, with the text that strace would print where the value alone does not tell it. */
export type Arg =
  | {
      readonly type: "int";
      readonly value: number | bigint;
      readonly text?: string;
      readonly flags?: FlagTable;
    }
  /** A number that the two processors write differently. */
  | { readonly type: "byArch"; readonly x64: Arg; readonly arm64: Arg }
  /** A C string. */
  | { readonly type: "string"; readonly value: string }
  /** A C string with numbers in it that the run will know. */
  | { readonly type: "text"; readonly parts: Text }
  | { readonly type: "loaded"; readonly from: Loaded }
  /** Bytes that the call reads, without an end mark (the buffer of write(2), a structure that never changes). */
  | { readonly type: "bytes"; readonly value: Uint8Array; readonly text?: string }
  /** A NULL-terminated array of C strings: argv or envp. */
  | { readonly type: "strings"; readonly value: readonly (string | Text)[]; readonly text?: string }
  /** The environment that the launcher was started with, untouched. */
  | { readonly type: "environ" }
  /** The value that an earlier call left in a slot; of a pair of descriptors (pipe2, socketpair) one of the two. */
  | { readonly type: "slot"; readonly slot: Slot; readonly part?: 0 | 1 }
  /** The address of a slot, for a call that writes 8 bytes at most into it. */
  | { readonly type: "out"; readonly slot: Slot; readonly text?: string }
  /** A structure in writable memory, its fields stored in order before the call. */
  | { readonly type: "struct"; readonly fields: readonly Field[]; readonly text: string }
  /** Writable memory of `size` bytes; the same `name` is the same memory. */
  | { readonly type: "buffer"; readonly name: string; readonly size: number; readonly text?: string };

/** What follows when a call fails: report and end (`fail`), report and go on (`warn`), or go on silently (`ignore`). */
export type OnError = "fail" | "warn" | "ignore";

/** One system call of a plan. */
export interface CallStep {
  readonly kind: "call";
  readonly name: SyscallName;
  readonly args: readonly Arg[];
  /** Where the result goes. */
  readonly result?: Slot;
  /** What is being done, as an error names it: `mount /proc` gives `mount /proc failed: Operation not permitted`. */
  readonly title: string;
  /** Why, for a person who is learning. The first call of a group carries it. */
  readonly reason?: string;
  /** `fail` unless given. */
  readonly onError?: OnError;
  /** Error numbers that count as success, e.g. EEXIST for a directory that may be there. */
  readonly tolerate?: readonly number[];
  /** A `hint:` line for an error number that has a likely cause. */
  readonly hints?: Readonly<Record<number, string>>;
  /** A result above 0, or of 0, ends the process with the plan's exit status, without a word. */
  readonly endWhen?: "positive" | "zero";
  /** Only made when the call that filled this slot has failed. */
  readonly unless?: Slot;
  /** The exit status when this call fails; the plan's own unless given. */
  readonly status?: number;
  /** What takes this call back when a later one fails, so that nothing half-made stays. */
  readonly undo?: CallStep;
}

export const int = (value: number | bigint, text?: string): Arg =>
  text === undefined ? { type: "int", value } : { type: "int", value, text };
export const string = (value: string): Arg => ({ type: "string", value });
export const text = (...parts: Text): Arg => ({ type: "text", parts });
export const loaded = (from: Loaded): Arg => ({ type: "loaded", from });
export const valueOf = (from: Slot): Arg => ({ type: "slot", slot: from });
/** One of the two descriptors that a call left in a slot. @see socketpair(2) */
export const partOf = (from: Slot, part: 0 | 1): Arg => ({ type: "slot", slot: from, part });
export const NULL: Arg = { type: "int", value: 0, text: "NULL" };
