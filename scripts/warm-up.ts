// The runtime keeps a helper thread (JSCWarmUp) that has 32 blocks of heap ready with their pages already there. It starts
// when the program has taken 64, which a command does just before it is done: then its pages are a hundred faults for
// nothing, and its thread one more to be ended by execve(2). Pure: bytes in, bytes changed in place.

import { machine } from "./link/elf.ts";
import { type CodePatch, patchCode } from "./link/patch.ts";

/** The default of JavaScriptCore's `warmUpMarkedBlockCount`, 32; with 0 there is no thread. It lies beside another, 64. */
const what = "warmUpMarkedBlockCount";
const patches: Readonly<Record<"x64" | "arm64", CodePatch>> = {
  // movabs $0x4000000020,%rax
  x64: { what, find: "48b82000000040000000", at: 2, write: () => Buffer.of(0) },
  // mov x9, #0x20; movk x9, #0x40, lsl #32
  arm64: { what, find: "090480d20908c0f2", at: 0, write: () => Buffer.from("090080d2", "hex") },
};

/** Sees to it that the thread is never started. Throws when the runtime is not as it was. */
export const omitWarmUp = (file: Buffer): void => patchCode(file, patches[machine(file)]);
