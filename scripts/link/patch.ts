// Changes in the machine code of a compiled executable, at places that are found by their bytes.

import { section } from "./elf.ts";

/** A place in machine code, by its bytes in hex with `..` for any byte, and what is written over it. */
export interface CodePatch {
  readonly what: string;
  readonly find: string;
  /** Where in the found bytes the new ones go. */
  readonly at: number;
  readonly write: (old: Buffer) => Buffer;
}

/** Makes the change in place. Throws where the place is not there, or not the only one: then the runtime has changed. */
export const patchCode = (file: Buffer, { what, find, at, write }: CodePatch): void => {
  const text = section(file, ".text");
  const bytes = file.toString("latin1", text.offset, text.offset + text.size);
  const pattern = new RegExp(find.replaceAll("..", "[^]").replaceAll(/[0-9a-f]{2}/g, "\\x$&"), "g");
  const [match, second] = bytes.matchAll(pattern);
  if (!match || second) throw new Error(`${what}: ${match ? "several places" : "no place"} in the code`);
  const start = text.offset + match.index + at;
  write(file.subarray(start, start + 1)).copy(file, start);
};
