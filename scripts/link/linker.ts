// How a file without PT_INTERP gets its libraries: what the kernel would have done is done here, with the dynamic linker
// of this machine where it belongs to a glibc that is new enough, and else with the embedded one (docs/static.md).
// Instructions for the prelude; nothing is read or run.

import { AT_FDCWD, MAP, MFD, O, PROT } from "../../src/abi/flags.ts";
import type { Arch } from "../../src/abi/syscalls.ts";
import type { Builder } from "../../src/backends/launcher/builder.ts";
import { appendRoutines } from "../../src/backends/launcher/compose.ts";
import type { Operand, Variable } from "../../src/backends/launcher/ops.ts";
import { EM, PF, PHDR_SIZE, PT } from "./elf.ts";
import { refuse, variables } from "./parts.ts";

/** What a dynamic linker has to know of the runtime. */
export interface Program {
  /** Where its program headers are in memory, as its own linker laid them out, and how many there are. */
  readonly headers: number;
  readonly headerCount: number;
  readonly embedded: Embedded;
}

/** The dynamic linker and the libraries that the file brings along. */
export interface Embedded {
  /** Where the linker is mapped, and its entry. */
  readonly base: number;
  readonly entry: number;
  /** The runtime's dynamic section, and what goes over it: it names the libraries by descriptors of memory files. */
  readonly dynamic: { readonly at: number; readonly from: number; readonly size: number };
  readonly libraries: readonly {
    readonly soname: string;
    readonly at: number;
    readonly size: number;
    /** Behind `/proc/self/fd/`, in the name that the linker opens. */
    readonly digitsAt: number;
  }[];
}

/** @see getauxval(3) */
const AT = { PHDR: 3, PHNUM: 5, PAGESZ: 6, BASE: 7, ENTRY: 9 } as const;
const DT_VERDEF = 0x6ffffffc;
const ET_DYN = 3;
const PAGE = 4096;
const R_OK = 4;

/** Where a glibc has its parts; the dynamic linker by its name in the ABI, libc where linkers look for it. */
export const PLACES: Readonly<Record<Arch, { readonly linker: string; readonly libc: readonly string[] }>> = {
  x64: {
    linker: "/lib64/ld-linux-x86-64.so.2",
    libc: [
      "/lib/x86_64-linux-gnu/libc.so.6",
      "/lib64/libc.so.6",
      "/usr/lib64/libc.so.6",
      "/usr/lib/libc.so.6",
      "/lib/libc.so.6",
    ],
  },
  arm64: {
    linker: "/lib/ld-linux-aarch64.so.1",
    libc: [
      "/lib/aarch64-linux-gnu/libc.so.6",
      "/lib64/libc.so.6",
      "/usr/lib64/libc.so.6",
      "/usr/lib/libc.so.6",
      "/lib/libc.so.6",
    ],
  },
};

/** The version that the runtime needs. */
const NEEDED = "GLIBC_2.17";

/** The hash of a version's name in a file that defines it. (System V ABI, "Hash Table") */
export const elfHash = (name: string): number => {
  let hash = 0;
  for (const character of name) {
    hash = (hash * 16 + character.charCodeAt(0)) % 2 ** 32;
    const high = Math.floor(hash / 2 ** 28);
    hash = (hash ^ (high << 4)) & 0x0fffffff;
  }
  return hash;
};

/** Ends the prelude: in a dynamic linker, which goes on at `entry` when it has brought the libraries. */
export const goThroughLinker = (b: Builder, arch: Arch, entry: number, program: Program): void => {
  const [handed, base, start] = variables(b, "handed", "base", "start");
  findPageSize(b);
  lookAtLibc(b, arch, "embedded");
  mapLinker(b, arch, "embedded");
  tellLinker(b, program, base, entry);
  b.leave(handed, start);

  b.label("embedded");
  const { embedded } = program;
  const files = embedded.libraries.map(({ soname }) => b.variable(`file of ${soname}`));
  for (const [i, library] of embedded.libraries.entries()) {
    makeFile(b, library, files[i]!);
    b.move(b.variable("number"), files[i]!);
    b.move(b.variable("end"), library.digitsAt);
    b.call("append number");
  }
  copyWords(b, embedded.dynamic.at, embedded.dynamic.from, embedded.dynamic.size);
  renameVariables(b, "L", HIDDEN);
  // It goes on behind this prelude's first way out, to put right what it alone was to see.
  b.address(start, "linked");
  tellLinker(b, program, embedded.base, start);
  b.leave(handed, embedded.entry);

  b.label("linked");
  b.enter(b.variable("ignored"), handed);
  renameVariables(b, HIDDEN, "L");
  for (const file of files) b.syscall("close", [file]);
  b.leave(handed, entry);
  appendRoutines(b);
};

/** What a name in the environment that is not for the embedded linker begins with meanwhile. */
const HIDDEN = "\x01";

/** Goes through the auxiliary vector; `each` is given the places of an entry's type and value. @see getauxval(3) */
const throughAuxiliary = (b: Builder, each: (type: Operand, value: Operand) => void): void => {
  const [place, type, value] = variables(b, "place", "type", "value");
  const [next, end] = [b.fresh("auxiliary"), b.fresh("auxiliary end")];
  b.move(place, b.variable("auxv"));
  b.label(next);
  b.load(type, place, 8);
  b.branch("eq", type, 0, end); // AT_NULL
  b.move(value, place);
  b.compute("add", value, 8);
  each(type, value);
  b.compute("add", place, 16);
  b.jump(next);
  b.label(end);
};

/** `page`: the size of a page, and `page mask`: what rounds an address down to one. */
const findPageSize = (b: Builder): void => {
  const [page, mask] = variables(b, "page", "page mask");
  b.move(page, PAGE);
  throughAuxiliary(b, (type, value) => {
    const other = b.fresh("other");
    b.branch("ne", type, AT.PAGESZ, other);
    b.load(page, value, 8);
    b.label(other);
  });
  b.move(mask, 0);
  b.compute("sub", mask, page);
};

/** Tells the dynamic linker what the kernel would have told it of a file with PT_INTERP. */
const tellLinker = (b: Builder, program: Program, base: Operand, entry: Operand): void => {
  const rows: readonly (readonly [number, Operand])[] = [
    [AT.PHDR, program.headers],
    [AT.PHNUM, program.headerCount],
    [AT.BASE, base],
    [AT.ENTRY, entry],
  ];
  throughAuxiliary(b, (type, value) => {
    for (const [number, told] of rows) {
      const other = b.fresh("other");
      b.branch("ne", type, number, other);
      b.store(value, told, 8);
      b.label(other);
    }
  });
};

/** A piece of a file at a time, in memory; goes to `unfit` when something is asked for that is not in it. */
const reader = (b: Builder, unfit: string) => {
  const [file, place, end, word] = variables(b, "file", "place", "end", "word");
  const block = b.buffer(PAGE);
  const read = (offset: Operand): void => {
    b.syscall("pread64", [file, block, PAGE, offset]);
    b.branch("lt", b.result, 0, unfit);
    b.move(end, b.result);
    b.compute("add", end, block);
    b.move(place, block);
  };
  /** `word` becomes the `size` bytes that are `at` bytes behind `place`. */
  const field = (at: number, size: 2 | 4 | 8): void => {
    b.move(word, place);
    b.compute("add", word, at + size);
    b.branch("lt", end, word, unfit);
    b.compute("sub", word, size);
    b.load(word, word, size);
  };
  return { file, place, word, block, read, field };
};
type Reader = ReturnType<typeof reader>;

/** Reads the beginning of a shared object, and does `each` with `place` at every program header of a type. */
const throughSegments = (
  b: Builder,
  arch: Arch,
  { read, field, place, word, block }: Reader,
  unfit: string,
  type: number,
  each: () => void,
): void => {
  const [left, header] = variables(b, "left", "header");
  const [next, end, other] = [b.fresh("header"), b.fresh("headers end"), b.fresh("other header")];
  read(0);
  field(0, 4);
  b.branch("ne", word, 0x464c457f, unfit); // \x7fELF
  field(16, 2);
  b.branch("ne", word, ET_DYN, unfit);
  field(18, 2);
  b.branch("ne", word, EM[arch], unfit);
  field(56, 2);
  b.move(left, word); // e_phnum
  field(32, 8);
  b.move(header, word); // e_phoff
  b.compute("add", header, block);
  b.label(next);
  b.branch("eq", left, 0, end);
  b.move(place, header);
  field(0, 4);
  b.branch("ne", word, type, other);
  each();
  b.label(other);
  b.compute("add", header, PHDR_SIZE);
  b.compute("sub", left, 1);
  b.jump(next);
  b.label(end);
};

/** Goes to `otherwise` unless the libc that this machine's dynamic linker will find defines the version needed. */
const lookAtLibc = (b: Builder, arch: Arch, otherwise: string): void => {
  const [found, unfit, fit] = ["libc found", "libc unfit", "libc fit"];
  const it = reader(b, unfit);
  const { file, place, word, read, field } = it;
  const offset = b.variable("offset");
  for (const path of PLACES[arch].libc) {
    const next = b.fresh("next place");
    b.syscall("openat", [AT_FDCWD, b.text(path), O.O_RDONLY | O.O_CLOEXEC, 0], file);
    b.branch("lt", file, 0, next);
    // Some images keep libc alone of all that belongs to it.
    for (const name of ["libm.so.6", "libpthread.so.0", "libdl.so.2"]) {
      b.syscall("faccessat", [AT_FDCWD, b.text(path.replace("libc.so.6", name)), R_OK]);
      b.branch("lt", b.result, 0, unfit);
    }
    b.jump(found);
    b.label(next);
  }
  b.jump(otherwise);

  b.label(found);
  throughSegments(b, arch, it, unfit, PT.DYNAMIC, () => {
    field(8, 8); // p_offset
    b.move(offset, word);
    b.jump("dynamic section");
  });
  b.jump(unfit);
  b.label("dynamic section");
  read(offset);
  b.label("dynamic entry");
  field(0, 8);
  b.branch("eq", word, 0, unfit); // DT_NULL
  b.branch("eq", word, DT_VERDEF, "definitions");
  b.compute("add", place, 16);
  b.jump("dynamic entry");
  b.label("definitions");
  field(8, 8);
  b.move(offset, word); // an address, and a place in the file as well: the first segment begins with the file
  read(offset);
  // struct { u16 vd_version, vd_flags, vd_ndx, vd_cnt; u32 vd_hash, vd_aux, vd_next; }
  b.label("definition");
  field(8, 4);
  b.branch("eq", word, elfHash(NEEDED), fit);
  field(16, 4);
  b.branch("eq", word, 0, unfit);
  b.compute("add", place, word);
  b.jump("definition");

  b.label(unfit);
  b.syscall("close", [file]);
  b.jump(otherwise);
  b.label(fit);
  b.syscall("close", [file]);
};

/** Maps this machine's dynamic linker as the kernel would, at `base`; `start` is its entry. @see elf(5) */
const mapLinker = (b: Builder, arch: Arch, otherwise: string): void => {
  const unfit = "linker unfit";
  const it = reader(b, unfit);
  const { file, word, read, field } = it;
  const [base, start, mask, page] = variables(b, "base", "start", "page mask", "page");
  const [span, address, from, length] = variables(b, "span", "address", "from", "length");
  const [offset, protection, flags, end, rest] = variables(
    b,
    "offset",
    "protection",
    "flags",
    "segment end",
    "rest",
  );
  const fixed = MAP.MAP_PRIVATE | MAP.MAP_FIXED;
  b.syscall("openat", [AT_FDCWD, b.text(PLACES[arch].linker), O.O_RDONLY | O.O_CLOEXEC, 0], file);
  b.branch("lt", file, 0, otherwise);

  b.move(span, 0);
  throughSegments(b, arch, it, unfit, PT.LOAD, () => {
    const shorter = b.fresh("shorter");
    field(16, 8); // p_vaddr
    b.move(end, word);
    field(40, 8); // p_memsz
    b.compute("add", end, word);
    b.branch("lt", end, span, shorter);
    b.move(span, end);
    b.label(shorter);
  });
  b.syscall("mmap", [0, span, PROT.PROT_NONE, MAP.MAP_PRIVATE | MAP.MAP_ANONYMOUS, -1, 0], base);
  b.branch("lt", base, 0, unfit);

  throughSegments(b, arch, it, unfit, PT.LOAD, () => {
    const done = b.fresh("segment");
    field(4, 4);
    b.move(flags, word);
    b.move(protection, 0);
    for (const [flag, bit] of [
      [PF.R, PROT.PROT_READ],
      [PF.W, PROT.PROT_WRITE],
      [PF.X, PROT.PROT_EXEC],
    ] as const) {
      const without = b.fresh("without");
      b.move(word, flags);
      b.compute("and", word, flag);
      b.branch("eq", word, 0, without);
      b.compute("or", protection, bit);
      b.label(without);
    }
    field(16, 8); // p_vaddr
    b.move(address, base);
    b.compute("add", address, word);
    b.move(from, address);
    b.compute("and", from, mask);
    // Whole pages: what lies before the segment in its first one is mapped too.
    b.move(length, address);
    b.compute("sub", length, from);
    field(8, 8); // p_offset
    b.move(offset, word);
    b.compute("sub", offset, length);
    field(32, 8); // p_filesz
    b.compute("add", length, word);
    b.move(end, address);
    b.compute("add", end, word);
    b.syscall("mmap", [from, length, protection, fixed, file, offset]);
    b.branch("lt", b.result, 0, unfit);

    // What is in memory and not in the file is zero: the rest of the last page, and pages behind it.
    field(40, 8); // p_memsz
    b.compute("add", address, word);
    b.branch("eq", address, end, done);
    b.move(rest, end);
    roundUp(b, rest, page, mask);
    zero(b, end, rest);
    roundUp(b, address, page, mask);
    b.branch("ge", rest, address, done);
    b.compute("sub", address, rest);
    b.syscall("mmap", [rest, address, protection, fixed | MAP.MAP_ANONYMOUS, -1, 0]);
    b.branch("lt", b.result, 0, unfit);
    b.label(done);
  });
  read(0);
  field(24, 8); // e_entry
  b.move(start, base);
  b.compute("add", start, word);
  b.syscall("close", [file]);
  b.jump("linker mapped");
  b.label(unfit);
  b.syscall("close", [file]);
  b.jump(otherwise);
  b.label("linker mapped");
};

const roundUp = (b: Builder, address: Variable, page: Variable, mask: Variable): void => {
  b.compute("add", address, page);
  b.compute("sub", address, 1);
  b.compute("and", address, mask);
};

/** Zeroes memory from `from`, which is moved, to `to`, a multiple of 8. */
const zero = (b: Builder, from: Variable, to: Variable): void => {
  const low = b.variable("low");
  const [bytes, words, end] = [b.fresh("bytes"), b.fresh("words"), b.fresh("zeroed")];
  b.label(bytes);
  b.move(low, from);
  b.compute("and", low, 7);
  b.branch("eq", low, 0, words);
  b.store(from, 0, 1);
  b.compute("add", from, 1);
  b.jump(bytes);
  b.label(words);
  b.branch("ge", from, to, end);
  b.store(from, 0, 8);
  b.compute("add", from, 8);
  b.jump(words);
  b.label(end);
};

/** Copies `size` bytes, a multiple of 8, between fixed addresses. */
const copyWords = (b: Builder, to: number, from: number, size: number): void => {
  const word = b.variable("word");
  for (let offset = 0; offset < size; offset += 8) {
    b.load(word, from + offset, 8);
    b.store(to + offset, word, 8);
  }
};

/** Makes a file in memory of a library. It is not executed, only mapped, which `vm.memfd_noexec` allows. */
const makeFile = (b: Builder, library: Embedded["libraries"][number], file: Variable): void => {
  const [from, left] = variables(b, "from", "left");
  const [more, written, failed] = [b.fresh("more"), b.fresh("written"), b.fresh("failed")];
  b.syscall("memfd_create", [b.text(library.soname), MFD.MFD_CLOEXEC], file);
  b.branch("lt", file, 0, failed);
  b.move(from, library.at);
  b.move(left, library.size);
  b.label(more);
  b.syscall("write", [file, from, left]);
  b.branch("lt", b.result, 1, failed);
  b.compute("add", from, b.result);
  b.compute("sub", left, b.result);
  b.branch("ne", left, 0, more);
  b.jump(written);
  b.label(failed);
  refuse(
    b,
    `this machine has no glibc of version 2.17 or later, and there is no room for ${library.soname} in memory`,
    "more memory, or more descriptors (ulimit -n), are needed",
  );
  b.label(written);
};

/** Changes the first byte of the environment's words that begin with `first` and `D_`. */
const renameVariables = (b: Builder, first: string, renamed: string): void => {
  const [place, word, start] = variables(b, "place", "word", "start");
  const [next, end] = [b.fresh("word"), b.fresh("words end")];
  b.move(place, b.variable("envp"));
  b.label(next);
  b.load(start, place, 8);
  b.branch("eq", start, 0, end);
  b.compute("add", place, 8);
  b.load(word, start, 1);
  b.branch("ne", word, first.charCodeAt(0), next);
  for (const character of "D_") {
    // One byte at a time: a word may be shorter than what is looked for.
    b.compute("add", start, 1);
    b.load(word, start, 1);
    b.branch("ne", word, character.charCodeAt(0), next);
  }
  b.compute("sub", start, 2);
  b.store(start, renamed.charCodeAt(0), 1);
  b.jump(next);
  b.label(end);
};
