// Reads and changes 64-bit little-endian ELF files: sections by name, and segments. Pure: bytes in, bytes out.

import type { Arch } from "../../src/abi/syscalls.ts";

export interface Section {
  readonly offset: number;
  readonly size: number;
}

/** A section of an ELF file. Throws where there is none of this name. @see elf(5) */
export const section = (file: Buffer, name: string): Section => {
  const table = Number(file.readBigUInt64LE(0x28));
  const [size, count, names] = [0x3a, 0x3c, 0x3e].map((at) => file.readUInt16LE(at)) as [
    number,
    number,
    number,
  ];
  const field = (index: number, at: number) => Number(file.readBigUInt64LE(table + index * size + at));
  for (let i = 0; i < count; i++) {
    const start = field(names, 0x18) + file.readUInt32LE(table + i * size);
    if (file.toString("latin1", start, file.indexOf(0, start)) === name)
      return { offset: field(i, 0x18), size: field(i, 0x20) };
  }
  throw new Error(`no section ${name}: not the executable that was expected`);
};

export const EM: Readonly<Record<Arch, number>> = { x64: 62, arm64: 183 };

/** The processor that an ELF file is for. */
export const machine = (file: Buffer): Arch => {
  const number = file.readUInt16LE(0x12);
  for (const arch of ["x64", "arm64"] as const) if (EM[arch] === number) return arch;
  throw new Error(`machine ${number} of the ELF header is neither x86-64 nor arm64`);
};

export const PT = { LOAD: 1, DYNAMIC: 2, INTERP: 3, NOTE: 4, PHDR: 6, GNU_STACK: 0x6474e551 } as const;
export const PF = { X: 1, W: 2, R: 4 } as const;
const ET_EXEC = 2;
/** Bytes of a program header. */
export const PHDR_SIZE = 56;

/** A program header. @see elf(5), Elf64_Phdr */
export interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly address: number;
  readonly inFile: number;
  readonly inMemory: number;
  readonly align: number;
}

/** The program headers of a file. With `fixed` it must be an executable that is linked to fixed addresses, or it throws. */
export const readSegments = (file: Buffer, fixed?: "fixed"): Segment[] => {
  if (fixed && file.readUInt16LE(0x10) !== ET_EXEC) throw new Error("not an executable with fixed addresses");
  if (file.readUInt16LE(0x36) !== PHDR_SIZE) throw new Error("program headers of an unknown size");
  const table = Number(file.readBigUInt64LE(0x20));
  return Array.from({ length: file.readUInt16LE(0x38) }, (_, i): Segment => {
    const at = table + i * PHDR_SIZE;
    const long = (offset: number) => Number(file.readBigUInt64LE(at + offset));
    return {
      type: file.readUInt32LE(at),
      flags: file.readUInt32LE(at + 4),
      offset: long(8),
      address: long(16),
      inFile: long(32),
      inMemory: long(40),
      align: long(48),
    };
  });
};

/** Writes program headers over those of the file, which must be as many. */
export const writeSegments = (file: Buffer, segments: readonly Segment[]): void => {
  if (segments.length !== file.readUInt16LE(0x38))
    throw new Error("not as many program headers as there were");
  const table = Number(file.readBigUInt64LE(0x20));
  for (const [i, segment] of segments.entries()) {
    const at = table + i * PHDR_SIZE;
    file.writeUInt32LE(segment.type, at);
    file.writeUInt32LE(segment.flags, at + 4);
    const { offset, address, inFile, inMemory, align } = segment;
    for (const [n, value] of [offset, address, address, inFile, inMemory, align].entries())
      file.writeBigUInt64LE(BigInt(value), at + 8 + 8 * n);
  }
};

export const readEntry = (file: Buffer): number => Number(file.readBigUInt64LE(0x18));
export const writeEntry = (file: Buffer, address: number): void =>
  void file.writeBigUInt64LE(BigInt(address), 0x18);
