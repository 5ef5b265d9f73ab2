// The runtime's dynamic section over again, with its libraries under other names: files in memory, by the numbers of
// their descriptors. The prelude lays it over the original for the embedded dynamic linker. Pure.

import { section, type Segment } from "./elf.ts";

const DT = { NULL: 0, NEEDED: 1, STRTAB: 5, STRSZ: 10, VERNEED: 0x6ffffffe } as const;

/** What a descriptor's number is written behind, with room for the largest and its NUL. */
const PREFIX = "/proc/self/fd/";
const NAME = `${PREFIX}${"\0".repeat(11)}`;

export interface Tables {
  /** What comes to be at the address that was asked for. */
  readonly bytes: Uint8Array;
  /** The original's address, and that of what goes over it, of the same size. */
  readonly dynamic: { readonly at: number; readonly from: number; readonly size: number };
  /** By library, the address of the number in its name. */
  readonly digitsAt: Readonly<Record<string, number>>;
}

/** Throws when the runtime needs another library than these and its dynamic linker. */
export const renamedTables = (
  file: Buffer,
  loads: readonly Segment[],
  libraries: readonly string[],
  address: number,
): Tables => {
  const copyOf = (name: string): Buffer => {
    const { offset, size } = section(file, name);
    return Buffer.from(file.subarray(offset, offset + size));
  };
  const dynamic = copyOf(".dynamic");
  const versions = copyOf(".gnu.version_r");
  const strings = copyOf(".dynstr");
  const nameAt = (at: number): string => strings.toString("latin1", at, strings.indexOf(0, at));

  const renamed = Buffer.concat([strings, ...libraries.map(() => Buffer.from(NAME))]);
  const places = Object.fromEntries(libraries.map((name, i) => [name, strings.length + i * NAME.length]));
  const newName = (at: number): number => {
    const name = nameAt(at);
    if (/^ld-linux/.test(name)) return at;
    const place = places[name];
    if (place === undefined) throw new Error(`the runtime needs ${name}, which is not embedded`);
    return place;
  };

  // The three lie behind one another, each at a multiple of 8.
  const stringsAt = address;
  const versionsAt = (stringsAt + renamed.length + 7) & ~7;
  const dynamicAt = (versionsAt + versions.length + 7) & ~7;

  // struct { u16 vn_version, vn_cnt; u32 vn_file, vn_aux, vn_next; }
  for (let at = 0; ; at += versions.readUInt32LE(at + 12)) {
    versions.writeUInt32LE(newName(versions.readUInt32LE(at + 4)), at + 4);
    if (versions.readUInt32LE(at + 12) === 0) break;
  }
  for (let at = 0; at < dynamic.length; at += 16) {
    const tag = Number(dynamic.readBigUInt64LE(at));
    const set = (value: number) => void dynamic.writeBigUInt64LE(BigInt(value), at + 8);
    if (tag === DT.NULL) break;
    if (tag === DT.NEEDED) set(newName(Number(dynamic.readBigUInt64LE(at + 8))));
    else if (tag === DT.STRTAB) set(stringsAt);
    else if (tag === DT.STRSZ) set(renamed.length);
    else if (tag === DT.VERNEED) set(versionsAt);
  }
  const bytes = Buffer.alloc(dynamicAt + dynamic.length - address);
  bytes.set(renamed, stringsAt - address);
  bytes.set(versions, versionsAt - address);
  bytes.set(dynamic, dynamicAt - address);

  const { offset } = section(file, ".dynamic");
  const load = loads.find((it) => offset >= it.offset && offset < it.offset + it.inFile);
  if (!load) throw new Error("the dynamic section is in no segment");
  return {
    bytes,
    dynamic: { at: load.address + offset - load.offset, from: dynamicAt, size: dynamic.length },
    digitsAt: Object.fromEntries(libraries.map((name) => [name, stringsAt + places[name]! + PREFIX.length])),
  };
};
