// Reading tar archives as they stream by: the `tar` package's parser frames them (headers, checksums, sizes), and this
// file gives names, attributes and sparse maps back byte for byte, which that parser would turn into text and drop.
// @see tar(5), pax(1p)

import { decode } from "../abi/bytes.ts";
import { HostError } from "../abi/errors.ts";
import { address } from "../sys/linux.ts";
import { compressionOf } from "./decompress.ts";
import { parsePax, parseTime, type Region, type Sparse, regionsOf, type Time } from "./pax.ts";

export type EntryType = "file" | "directory" | "symlink" | "link" | "character" | "block" | "fifo";

export interface Entry {
  readonly type: EntryType;
  /** As written, `./` and all. */
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly major: number;
  readonly minor: number;
  readonly xattrs: readonly (readonly [name: string, value: Uint8Array])[];
  /** The bytes that the archive holds of it. */
  readonly size: number;
  /** Where they begin in the archive. */
  readonly offset: number;
  /** The length of a sparse file with its holes; undefined for another. */
  readonly sparseSize: number | undefined;
}

/** Is told of entries in their order; all calls for one come before those for the next. */
export interface Visitor {
  entry(entry: Entry): void;
  /** A piece of a file's content: `length` bytes in memory at `from` belong at `at`. The memory is valid for the call only. */
  data(from: number, length: number, at: number): void;
  end(): void;
}

export interface Reader {
  write(bytes: Uint8Array): void;
  /** Throws when the archive stops within an entry. */
  end(): void;
}

/** What an archive may hold; a bomb ends here by name. */
export interface Limits {
  readonly entries: number;
  /** Bytes, with holes. */
  readonly size: number;
}

export const LIMITS: Limits = { entries: 5_000_000, size: 256 * 2 ** 30 };

/** An extended header or a long name may measure so much. */
const MOST_META = 2 ** 20;
const BLOCK = 512;
/** Blocks go to the parser from one buffer that is used again and again. */
const BUFFER = 256 * 1024;

const TYPES: Readonly<Record<string, EntryType>> = {
  File: "file",
  OldFile: "file",
  ContiguousFile: "file",
  SparseFile: "file",
  Link: "link",
  SymbolicLink: "symlink",
  CharacterDevice: "character",
  BlockDevice: "block",
  Directory: "directory",
  GNUDumpDir: "directory",
  FIFO: "fifo",
};

const bad = (why: string): never => {
  throw new HostError(`bad archive: ${why}`);
};

/** The bytes of a field up to its first NUL, as text. */
const field = (block: Uint8Array, at: number, length: number): string => {
  const bytes = block.subarray(at, at + length);
  const end = bytes.indexOf(0);
  return decode(end < 0 ? bytes : bytes.subarray(0, end));
};

/** A number in octal digits, or in base 256 when the first bit is set. */
const number = (block: Uint8Array, at: number, length: number): number => {
  if (block[at]! & 0x80) {
    let value = block[at]! & 0x7f;
    for (let i = at + 1; i < at + length; i++) value = value * 256 + block[i]!;
    return value;
  }
  const text = field(block, at, length).trim();
  return text === "" ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
};

/** GNU's old map of a sparse file: offsets and lengths of 12 bytes each. */
const oldSparseNumbers = (block: Uint8Array, at: number, count: number): number[] => {
  const numbers: number[] = [];
  for (let i = 0; i < count; i++, at += 24) {
    if (block[at] === 0) break;
    numbers.push(number(block, at, 12), number(block, at + 12, 12));
  }
  return numbers;
};

/** The records of extended headers that stand before an entry. */
interface Extended {
  readonly records: Map<string, Uint8Array>;
  /** Of version 0.0 of GNU's sparse format, whose keys repeat. */
  readonly pieces: number[];
}

const noRecords = (): Extended => ({ records: new Map(), pieces: [] });

const addRecords = (to: Extended, bytes: Uint8Array): void => {
  for (const [key, value] of parsePax(bytes) ?? bad("an extended header that is none")) {
    if (key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes") to.pieces.push(Number(decode(value)));
    else to.records.set(key, value);
  }
};

const XATTR = "SCHILY.xattr.";

/** Calls `visitor` for what {@link Reader.write} is given. Errors, the visitor's too, come out of `write`. */
export const readArchive = async (visitor: Visitor, limits: Limits = LIMITS): Promise<Reader> => {
  const { Parser } = await import("tar");
  const buffer = Buffer.alloc(BUFFER);
  const base = address(buffer);
  let filled = 0;
  /** Where in the archive the buffer's first byte lies, and the header that the parser reads next. */
  let start = 0;
  let position = 0;
  let isAtEnd = false;
  let entries = 0;
  let bytes = 0;
  let global = noRecords();
  let local = noRecords();

  const text = (key: string): string | undefined => {
    const value = local.records.get(key) ?? global.records.get(key);
    return value === undefined || value.length === 0 ? undefined : decode(value);
  };
  const numeric = (key: string): number | undefined => {
    const value = text(key);
    if (value === undefined) return undefined;
    return /^\d{1,16}$/.test(value) ? Number(value) : bad(`'${value}' for ${key}`);
  };
  const header = (): Uint8Array => buffer.subarray(position - start, position - start + BLOCK);

  /** The content of an extended header or a long name, as it is. */
  const collect = (entry: ReadEntry, done: (content: Uint8Array) => void): void => {
    if (entry.remain > MOST_META) bad(`a header of ${entry.remain} bytes`);
    const content = new Uint8Array(entry.remain);
    let at = 0;
    // The parser would drop what is longer than its limit, which is none: so all of it comes here.
    entry.ignore = false;
    entry.on("data", (piece: Buffer) => {
      content.set(piece, at);
      at += piece.length;
    });
    entry.on("end", () => done(content));
  };

  const meta = (entry: ReadEntry): void => {
    const key = { NextFileHasLongPath: "path", OldGnuLongPath: "path", NextFileHasLongLinkpath: "linkpath" }[
      entry.type as string
    ];
    const isGlobal = entry.type === "GlobalExtendedHeader";
    collect(entry, (content) => {
      const end = content.indexOf(0);
      if (key) local.records.set(key, end < 0 ? content : content.subarray(0, end));
      else addRecords(isGlobal ? global : local, content);
    });
    position += BLOCK + entry.blockRemain!;
  };

  /** The map of a sparse file, or where it stands: at the content's beginning, or in blocks before it (GNU's old format). */
  const sparseOf = (block: Uint8Array, isOld: boolean): SparseMap | undefined => {
    if (isOld) {
      const size = number(block, 483, 12);
      const numbers = oldSparseNumbers(block, 386, 4);
      return block[482] ? { size, numbers } : known(regionsOf(numbers, size));
    }
    const size = numeric("GNU.sparse.realsize") ?? numeric("GNU.sparse.size");
    if (size === undefined) return undefined;
    if (text("GNU.sparse.major") === "1") return { size };
    const map = text("GNU.sparse.map");
    return known(
      regionsOf(map === undefined ? local.pieces : map === "" ? [] : map.split(",").map(Number), size),
    );
  };

  /** Takes an entry's header apart. Fields of the parser's entry are set where an extended header knows better. */
  const take = (raw: ReadEntry): { entry: Entry; write: (piece: Buffer) => void } => {
    const type = TYPES[raw.type as string]!;
    const block = header();
    const isOld = raw.type === "SparseFile";
    const sparse = type === "file" ? sparseOf(block, isOld) : undefined;
    // Other kinds have no content, whatever their header says (as Go's archive/tar, which docker reads with).
    const size = type === "file" ? (numeric("size") ?? raw.header.size ?? 0) : 0;
    raw.size = raw.remain = size;
    raw.startBlockSize = raw.blockRemain = Math.ceil(size / BLOCK) * BLOCK;
    // The size does not count the blocks with the rest of the map, and the padding is told from them below.
    if (sparse?.numbers) raw.remain = raw.blockRemain += BLOCK;
    // The parser has made text of the name; bytes that are none are lost there.
    const written = (): string => {
      const isUstar = field(block, 257, 6) === "ustar" && block[263] === 0x30;
      const prefix = isUstar ? field(block, 345, block[475] !== 0 ? 155 : 130) : "";
      return prefix ? `${prefix}/${field(block, 0, 100)}` : field(block, 0, 100);
    };
    const xattrs: [string, Uint8Array][] = [];
    for (const [key, value] of local.records)
      if (key.startsWith(XATTR)) xattrs.push([key.slice(XATTR.length), value]);
    const mtime = text("mtime");
    const entry: Entry = {
      type,
      name: text("GNU.sparse.name") ?? text("path") ?? written(),
      target: type === "link" || type === "symlink" ? (text("linkpath") ?? field(block, 157, 100)) : "",
      mode: (raw.header.mode ?? 0) & 0o7777,
      uid: numeric("uid") ?? raw.header.uid ?? 0,
      gid: numeric("gid") ?? raw.header.gid ?? 0,
      mtime: (mtime === undefined ? undefined : parseTime(mtime)) ?? {
        seconds: number(block, 136, 12) || 0,
        nanoseconds: 0,
      },
      // Not the parser's, which knows them of POSIX's format only, and not of GNU's.
      major: type === "character" || type === "block" ? number(block, 329, 8) : 0,
      minor: type === "character" || type === "block" ? number(block, 337, 8) : 0,
      xattrs,
      size,
      offset: position + BLOCK,
      sparseSize: sparse?.size,
    };
    position += BLOCK + raw.blockRemain;
    local = noRecords();
    if (++entries > limits.entries) bad(`more than ${limits.entries} entries`);
    bytes += Math.max(size, entry.sparseSize ?? 0);
    if (bytes > limits.size) bad(`more than ${limits.size} bytes when unpacked`);
    return { entry, write: sparse ? sparseWriter(sparse, size, raw) : plainWriter() };
  };

  const give = (piece: Buffer, skip: number, length: number, at: number): void =>
    visitor.data(base + (piece.byteOffset - buffer.byteOffset) + skip, length, at);

  const plainWriter = (): ((piece: Buffer) => void) => {
    let at = 0;
    return (piece) => {
      give(piece, 0, piece.length, at);
      at += piece.length;
    };
  };

  /** Spreads content over the regions of a map, which may come first. */
  const sparseWriter = (sparse: SparseMap, size: number, raw: ReadEntry): ((piece: Buffer) => void) => {
    let { regions } = sparse;
    let [region, inRegion, mapBytes] = [0, 0, 0];
    let lines = "";
    const use = (map: Sparse | undefined): void => {
      ({ regions } = known(map));
      if (regions!.reduce((sum, [, length]) => sum + length, mapBytes) !== size)
        bad("a sparse file whose map does not fit its content");
    };
    /** Twenty-one pieces, and whether another such block follows. */
    const readOldBlock = (block: Buffer): void => {
      sparse.numbers!.push(...oldSparseNumbers(block, 0, 21));
      if (sparse.numbers!.length * 12 > MOST_META) bad("a sparse file whose map does not end");
      if (!block[504]) return use(regionsOf(sparse.numbers!, sparse.size));
      raw.remain += BLOCK;
      raw.blockRemain! += BLOCK;
      position += BLOCK;
    };
    /** Decimal numbers in lines, how many pairs first, filled up to a whole block. */
    const readLines = (block: Buffer): void => {
      lines += block.toString("latin1");
      mapBytes += block.length;
      if (mapBytes > MOST_META) bad("a sparse file whose map does not end");
      const numbers = lines.split("\n");
      const wanted = 1 + 2 * Number(numbers[0]);
      if (!Number.isSafeInteger(wanted)) bad("a sparse file whose map makes no sense");
      if (numbers.length > wanted) use(regionsOf(numbers.slice(1, wanted).map(Number), sparse.size));
    };
    if (regions) use({ regions, size: sparse.size });
    return (piece) => {
      for (let at = 0; at < piece.length;) {
        if (!regions) {
          // Pieces begin and end where blocks do, unless they end the content.
          const block = piece.subarray(at, at + BLOCK);
          if (sparse.numbers) readOldBlock(block);
          else readLines(block);
          at += block.length;
          continue;
        }
        if (region === regions.length) return; // the padding of GNU's old format
        const [offset, length] = regions[region]!;
        const count = Math.min(piece.length - at, length - inRegion);
        give(piece, at, count, offset + inRegion);
        at += count;
        inRegion += count;
        if (inRegion === length) [region, inRegion] = [region + 1, 0];
      }
    };
  };

  const visit = (raw: ReadEntry, { entry, write }: ReturnType<typeof take>): void => {
    visitor.entry(entry);
    raw.on("data", write);
    raw.on("end", () => visitor.end());
    raw.resume();
  };

  let taken: ReturnType<typeof take>;
  const parser = new Parser({
    // Every extended header is "too long", and so comes out untouched as an ignored entry.
    maxMetaEntrySize: -1,
    filter: (_, raw) => {
      taken = take(raw as ReadEntry);
      return true;
    },
    onReadEntry: (raw) => visit(raw, taken),
    onwarn: (code, message) => {
      if (code !== "TAR_ENTRY_INFO") bad(entries === 0 ? "this is no tar archive" : String(message));
    },
  });
  parser.on("ignoredEntry", (raw: ReadEntry) => {
    if (raw.meta) meta(raw);
    else if (raw.type === "SparseFile") {
      raw.ignore = false;
      visit(raw, take(raw));
    } else {
      local = noRecords();
      position += BLOCK + raw.blockRemain!;
    }
  });
  parser.on("nullBlock", () => void (position += BLOCK));
  parser.on("eof", () => void (isAtEnd = true));

  const flush = (): void => {
    // The parser would decompress by itself, and count in other bytes than these.
    if (start === 0 && compressionOf(buffer) !== "none") bad("compressed twice");
    // What lies behind the end would pile up inside the parser.
    if (!isAtEnd) parser.write(buffer.subarray(0, filled));
    start += filled;
    filled = 0;
  };

  return {
    write: (chunk) => {
      for (let at = 0; at < chunk.length;) {
        const count = Math.min(chunk.length - at, BUFFER - filled);
        buffer.set(count === chunk.length ? chunk : chunk.subarray(at, at + count), filled);
        at += count;
        filled += count;
        if (filled === BUFFER) flush();
      }
    },
    end: () => {
      const whole = filled - (filled % BLOCK);
      const isRagged = filled !== whole;
      filled = whole;
      flush();
      if (!isAtEnd && (isRagged || position > start)) bad("it ends too early");
    },
  };
};

/** A sparse file's map as far as its headers have it. */
interface SparseMap {
  readonly size: number;
  readonly regions?: readonly Region[];
  /** The beginning of a map in GNU's old format, which goes on in blocks behind the header. */
  readonly numbers?: number[];
}

const known = (map: Sparse | undefined): Sparse => map ?? bad("a sparse file whose map makes no sense");

/** What is used of the parser's entries. */
type ReadEntry = InstanceType<(typeof import("tar"))["ReadEntry"]>;
