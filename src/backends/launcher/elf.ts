// Writes a static ELF executable: a segment to read and execute (headers, runtime, constants, code) and one to read
// and write (variables), at fixed addresses, and none that is both.

import type { Arch } from "../../abi/syscalls.ts";
import { BASE, HEADERS, VARIABLES } from "./layout.ts";

const EHDR = 64;
const PHDR = 56;
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
const EM_X86_64 = 62;
const EM_AARCH64 = 183;
/** The largest page size of either processor: arm64 kernels may use 64 KiB. */
const ALIGN = 0x10000;

/** The bytes of an executable file: `parts` behind the headers, each at a multiple of 8. @see elf(5) */
export const writeElf = (
  arch: Arch,
  parts: readonly Uint8Array[],
  entry: number,
  variableBytes: number,
): Uint8Array => {
  let size = HEADERS;
  for (const part of parts) size = ((size + 7) & ~7) + part.length;
  if (BASE + size > VARIABLES) throw new RangeError("the plan is too large for a launcher");
  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  // Every 64-bit field of ours fits in 32 bits.
  const word = (at: number, value: number): void => view.setUint32(at, value, true);

  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // \x7fELF, ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  file[16] = 2; // e_type ET_EXEC
  file[18] = arch === "x64" ? EM_X86_64 : EM_AARCH64;
  word(20, 1); // e_version
  word(24, entry);
  word(32, EHDR); // e_phoff
  file[52] = EHDR; // e_ehsize
  file[54] = PHDR; // e_phentsize
  file[56] = 3; // e_phnum

  // p_offset is 0: the headers are part of the first segment, and the others have no bytes in the file.
  const segment = (
    n: number,
    type: number,
    flags: number,
    at: number,
    inFile: number,
    inMemory: number,
  ): void => {
    const header = EHDR + n * PHDR;
    word(header, type);
    word(header + 4, flags);
    word(header + 16, at);
    word(header + 24, at);
    word(header + 32, inFile);
    word(header + 40, inMemory);
    word(header + 48, ALIGN);
  };
  segment(0, PT_LOAD, PF_R | PF_X, BASE, size, size);
  segment(1, PT_LOAD, PF_R | PF_W, VARIABLES, 0, variableBytes);
  segment(2, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0);

  let at = HEADERS;
  for (const part of parts) {
    at = (at + 7) & ~7;
    file.set(part, at);
    at += part.length;
  }
  return file;
};
