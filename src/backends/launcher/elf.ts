// Writes a static ELF executable: a segment to read and execute (headers, constants, code) and one to read and write
// (variables), at fixed addresses, and none that is both.

import type { Arch } from "../../abi/syscalls.ts";
import { encodeArm64 } from "./arm64.ts";
import type { Builder } from "./builder.ts";
import type { Layout } from "./ops.ts";
import { encodeX64 } from "./x64.ts";

const EHDR = 64;
const PHDR = 56;
const HEADERS = EHDR + 3 * PHDR;
/** Where the file is mapped. */
const BASE = 0x400000;
/** Far enough from the code for any plan, and near enough for 32-bit addresses. */
const VARIABLES = 0x800000;

const EM: Readonly<Record<Arch, number>> = { x64: 62, arm64: 183 };
const PT_LOAD = 1;
const PT_GNU_STACK = 0x6474e551;
const PF_X = 1;
const PF_W = 2;
const PF_R = 4;
/** The largest page size of either processor: arm64 kernels may use 64 KiB. */
const ALIGN = 0x10000;

/** The bytes of an executable file. @see elf(5) */
export const writeElf = (source: Builder): Uint8Array => {
  const layout: Layout = { constant: BASE + HEADERS, variable: VARIABLES };
  const program = source.finish(layout.constant);
  const code = (program.arch === "x64" ? encodeX64 : encodeArm64)(program, layout);
  const entry = HEADERS + program.constants.length;
  const size = entry + code.length;
  if (BASE + size > VARIABLES) throw new RangeError("the plan is too large for a launcher");

  const file = new Uint8Array(size);
  const view = new DataView(file.buffer);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, true);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);

  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // \x7fELF, ELFCLASS64, ELFDATA2LSB, EV_CURRENT
  u16(16, 2); // e_type ET_EXEC
  u16(18, EM[program.arch]);
  u32(20, 1); // e_version
  u64(24, BASE + entry);
  u64(32, EHDR); // e_phoff
  u16(52, EHDR); // e_ehsize
  u16(54, PHDR); // e_phentsize
  u16(56, 3); // e_phnum

  const segment = (
    n: number,
    type: number,
    flags: number,
    address: number,
    inFile: number,
    inMemory: number,
  ): void => {
    const at = EHDR + n * PHDR;
    u32(at, type);
    u32(at + 4, flags);
    u64(at + 8, 0); // p_offset: the headers are part of the first segment, the others have no bytes in the file
    u64(at + 16, address);
    u64(at + 24, address);
    u64(at + 32, inFile);
    u64(at + 40, inMemory);
    u64(at + 48, ALIGN);
  };
  segment(0, PT_LOAD, PF_R | PF_X, BASE, size, size);
  segment(1, PT_LOAD, PF_R | PF_W, VARIABLES, 0, Math.max(8, program.variableBytes));
  segment(2, PT_GNU_STACK, PF_R | PF_W, 0, 0, 0);

  file.set(program.constants, HEADERS);
  file.set(code, entry);
  return file;
};
