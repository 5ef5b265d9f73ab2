// Puts a prelude into a compiled file. A file for glibc loses its PT_INTERP as well, and gets a dynamic linker and
// libraries of its own for machines that have none (docs/static.md). Pure: bytes in, bytes out.

import { PRELUDE, RECORD } from "../../src/abi/record.ts";
import {
  machine,
  PF,
  PHDR_SIZE,
  PT,
  readEntry,
  readSegments,
  type Segment,
  writeEntry,
  writeSegments,
} from "./elf.ts";
import type { Glibc } from "./glibc.ts";
import { LIBRARIES, LINKER, TABLES } from "./layout.ts";
import type { Program } from "./linker.ts";
import { assemblePrelude } from "./prelude.ts";
import { renamedTables } from "./tables.ts";

/** Bytes that become a segment: at an address, with what may be done there. */
interface Piece {
  readonly flags: number;
  readonly address: number;
  readonly bytes: Uint8Array;
  /** Bytes in memory, when they are more; the rest is zero. */
  readonly inMemory?: number;
}

/**
 * The compiled file with the prelude as its entry, and the dynamic linker as it was: PT_INTERP names it. For musl, whose
 * files work with no other libc.
 */
export const linkDynamic = (file: Buffer): Buffer => {
  const segments = ownSegments(file);
  const prelude = assemblePrelude({ arch: machine(file), entry: readEntry(file) });
  const [out, added] = append(file, [
    { flags: PF.R | PF.X, address: PRELUDE, bytes: prelude.code },
    { flags: PF.R | PF.W, address: RECORD, bytes: new Uint8Array(TABLES - RECORD) },
  ]);
  // The table has no room to grow, and it must stay where it is: the dynamic linker is told its place by the kernel, and
  // kernels before 5.18 know no other. Two of its entries can be spared: the one that says where the table is matters only
  // to files without fixed addresses, and the note is a build id.
  const kept = segments.filter(({ type }) => type !== PT.PHDR && type !== PT.NOTE);
  if (kept.length !== segments.length - 2) throw new Error("not one PT_PHDR and one PT_NOTE to be replaced");
  // Behind the runtime's: those kernels take the first one's address for the start of the file in memory.
  const last = kept.findLastIndex(({ type }) => type === PT.LOAD) + 1;
  writeSegments(out, [...kept.slice(0, last), ...added, ...kept.slice(last)]);
  writeEntry(out, prelude.entry);
  return out;
};

/**
 * The compiled file without PT_INTERP: the prelude brings in the dynamic linker, this machine's or the embedded one. The
 * kernel gets a table of segments of its own; the runtime's stays where it is, for the dynamic linker to read.
 */
export const linkStatic = (file: Buffer, glibc: Glibc): Buffer => {
  const segments = ownSegments(file);
  const loads = segments.filter(({ type }) => type === PT.LOAD);
  const tables = renamedTables(
    file,
    loads,
    glibc.libraries.map(({ soname }) => soname),
    TABLES,
  );
  let at = LIBRARIES;
  const libraries = glibc.libraries.map(({ soname, bytes }) => {
    const place = at;
    at += (bytes.length + 15) & ~15;
    return { soname, at: place, size: bytes.length, digitsAt: tables.digitsAt[soname]! };
  });
  const images = Buffer.alloc(at - LIBRARIES);
  for (const [i, { bytes }] of glibc.libraries.entries()) images.set(bytes, libraries[i]!.at - LIBRARIES);

  const program: Program = {
    headers: loads[0]!.address + Number(file.readBigUInt64LE(0x20)),
    headerCount: segments.length,
    embedded: {
      base: LINKER,
      entry: LINKER + readEntry(glibc.linker),
      dynamic: tables.dynamic,
      libraries,
    },
  };
  const prelude = assemblePrelude({ arch: machine(file), entry: readEntry(file), program });
  const memory = new Uint8Array(TABLES - RECORD + tables.bytes.length);
  memory.set(tables.bytes, TABLES - RECORD);
  const [out, added] = append(file, [
    { flags: PF.R | PF.X, address: PRELUDE, bytes: prelude.code },
    { flags: PF.R | PF.W, address: RECORD, bytes: memory },
    ...readSegments(glibc.linker)
      .filter(({ type }) => type === PT.LOAD)
      .map((segment) => ({
        flags: segment.flags,
        address: LINKER + segment.address,
        bytes: glibc.linker.subarray(segment.offset, segment.offset + segment.inFile),
        inMemory: segment.inMemory,
      })),
    { flags: PF.R, address: LIBRARIES, bytes: images },
  ]);
  const stack = segments.filter(({ type }) => type === PT.GNU_STACK);
  const table = [...loads, ...added, ...stack];
  const final = Buffer.concat([out, Buffer.alloc(table.length * PHDR_SIZE)]);
  final.writeBigUInt64LE(BigInt(out.length), 0x20); // e_phoff
  final.writeUInt16LE(table.length, 0x38); // e_phnum
  writeSegments(final, table);
  writeEntry(final, prelude.entry);
  return final;
};

/** The file's own segments. Throws where they leave the added ones no place. */
const ownSegments = (file: Buffer): Segment[] => {
  const segments = readSegments(file, "fixed");
  if (segments.some(({ type, address, inMemory }) => type === PT.LOAD && address + inMemory > PRELUDE))
    throw new Error("the runtime takes the addresses of the prelude");
  return segments;
};

/** The file with the pieces behind it, and their segments. */
const append = (file: Buffer, pieces: readonly Piece[]): [Buffer, Segment[]] => {
  const align = Math.max(
    ...readSegments(file).map((segment) => (segment.type === PT.LOAD ? segment.align : 1)),
  );
  const segments: Segment[] = [];
  let end = file.length;
  for (const { flags, address, bytes, inMemory = bytes.length } of pieces) {
    // A segment's place in the file and its address have the same distance to a page. It is there whole, zeroes and
    // all: kernels differ in what they make of several segments with a rest that is not in the file.
    const offset = Math.ceil((end - (address % align)) / align) * align + (address % align);
    segments.push({ type: PT.LOAD, flags, offset, address, inFile: inMemory, inMemory, align });
    end = offset + inMemory;
  }
  const out = Buffer.alloc(end);
  file.copy(out);
  for (const [i, { bytes }] of pieces.entries()) out.set(bytes, segments[i]!.offset);
  return [out, segments];
};
