// Bun's switches in the environment (BUN_BE_BUN makes any compiled program a whole Bun, BUN_OPTIONS preloads code,
// BUN_BYTECODE_ORDER_OUT writes a file) are no business of a tool that root runs. There is no flag to turn them off,
// so this file makes their names unmatchable in the built executable. Pure: bytes in, bytes changed in place.

import { machine, section } from "./link/elf.ts";
import { type CodePatch, patchCode } from "./link/patch.ts";

/** A kind of name whose C strings are all cleared, wherever they stand in the read-only data. */
const families = /\0((?:BUN|NODE|JSC|LSQUIC|WTF)_[A-Za-z][A-Za-z0-9_]{0,60})(?=\0)/g;

/** Names of the families that are not looked up in the environment. */
const spared = /^NODE_(?:API|MODULE)_/;

/** Names of no family, read at start or later: heap debugging, the choice of code paths, data files of libraries. */
const single = [
  "DYLD_INSERT_LIBRARIES",
  "ICU_DATA",
  "ICU_TIMEZONE_FILES_DIR",
  "JavaScriptCoreUseJIT",
  "MallocCheckHeapAbort",
  "MallocCheckHeapEach",
  "MallocCheckHeapSleep",
  "MallocCheckHeapStart",
  "MallocCorruptionAbort",
  "MallocDoNotProtectPostlude",
  "MallocDoNotProtectPrelude",
  "MallocErrorAbort",
  "MallocGuardEdges",
  "MallocHelp",
  "MallocLogFile",
  "MallocScribble",
  "MallocStackLogging",
  "UV_THREADPOOL_SIZE",
  "WebKitMallocForceEnabled",
  "WebKitSystemHeapOverrideEnablement",
] as const;

/** Names that are looked up by address and length as well, so that they stand anywhere, between other words. */
const unterminated = [
  "BUN_CONFIG_MAX_HTTP_REQUESTS",
  "BUN_CONFIG_VERBOSE_FETCH",
  "BUN_DISABLE_TRANSPILER",
  "BUN_FEATURE_FLAG_NO_ORPHANS",
  "NODE_TLS_REJECT_UNAUTHORIZED",
] as const;

/** A name that the linker made the end of another string, which nobody but a heap profiler reads. */
const ending = { name: "Malloc", of: "WKFastMalloc" } as const;

/**
 * The directory below $XDG_CACHE_HOME, $HOME or /tmp in which the runtime keeps large files transpiled, and takes them
 * from the next time: code that whoever may write there would have run. With a NUL the path ends before the name of a
 * file, so nothing is ever found. (It may still be written, to the directory above.)
 */
const cache = { name: "@t@", before: "RuntimeTranspilerCache" } as const;

/** Only some targets have these. */
const singleSomewhere = ["GLIBCXX_TUNABLES", "OPENSSL_ia32cap", "SIMDUTF_FORCE_IMPLEMENTATION"] as const;

/** The families' members that are known to do harm: a Bun in which one is not found has changed, and wants a look. */
const expected = [
  "BUN_BE_BUN",
  "BUN_BYTECODE_DIGEST_OUT",
  "BUN_BYTECODE_ORDER_NAMES_OUT",
  "BUN_BYTECODE_ORDER_OUT",
  "BUN_CONFIG_VERBOSE_FETCH",
  "BUN_FEATURE_FLAG_NO_ORPHANS",
  "BUN_GC_TIMER_DISABLE",
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
  "BUN_INSPECT_PRELOAD",
  "BUN_OPTIONS",
  "BUN_RUNTIME_TRANSPILER_CACHE_PATH",
  "BUN_TCC_OPTIONS",
  "BUN_TMPDIR",
  "JSC_useJIT",
  "NODE_CHANNEL_FD",
  "NODE_COMPILE_CACHE",
  "NODE_EXTRA_CA_CERTS",
  "NODE_REDIRECT_WARNINGS",
  "NODE_TLS_REJECT_UNAUTHORIZED",
  "WTF_numberOfProcessorCores",
] as const;

/** `BUN_JSC_…` and mimalloc's options are compared in code, with no string that could be changed. */
const code: Readonly<Record<"x64" | "arm64", readonly CodePatch[]>> = {
  x64: [
    {
      what: "BUN_JSC_*",
      // cmpb $'B',(%r14); jne next; cmpb $'U',1(%r14); jne next; …
      find: "41803e4275..41807e015575..41807e024e75..41807e035f75..41807e044a75..41807e055375..41807e064375..41807e075f75..",
      at: 4,
      // jne → jmp: every variable is "not ours"
      write: () => Buffer.from([0xeb]),
    },
    {
      what: "MIMALLOC_*",
      // cmpb $'=',(%r10,%rcx); je found; inc %r9; cmp $10000,%r9
      find: "41803c0a3d0f84........49ffc14981f910270000",
      at: 5,
      // je → a no-op of six bytes: nothing is ever found
      write: () => Buffer.from("660f1f440000", "hex"),
    },
  ],
  arm64: [
    {
      what: "BUN_JSC_*",
      // ldrb w10,[x9]; cmp w10,#'B'; b.ne next; ldrb w10,[x9,#1]; cmp w10,#'U'; b.ne next; …
      find:
        "2a0140395f090171......542a0540395f550171......542a0940395f390171......542a0d40395f7d0171......54" +
        "2a1140395f290171......542a1540395f4d0171......542a1940395f0d0171......542a1d40395f7d0171......54",
      at: 8,
      // b.ne → b.al
      write: (old) => Buffer.from([(old[0]! & 0xf0) | 0xe]),
    },
    {
      what: "MIMALLOC_*",
      // ldrb w13,[x12,x8]; cmp w13,#'='; b.eq found; add x10,x10,#1
      find: "8d696838bff50071......544a050091",
      at: 8,
      // b.eq → nop
      write: () => Buffer.from("1f2003d5", "hex"),
    },
  ],
};

/**
 * Clears the switches of a compiled executable in place; the names and kinds of name that are dead now. Throws when
 * something that should be there is not.
 *
 * The first byte of a name becomes NUL: `getenv("")` finds nothing in glibc and in musl, and a comparison of another
 * sort fails as well, for no string of an environment contains a NUL. (An `=` would not do: glibc's getenv compares
 * prefixes, so `BUN=BE` would be found in BUN's value.) A linker shares the ends of strings, never their beginnings:
 * only the name itself changes, and nothing that ends like it.
 */
export const neutralise = (file: Buffer): string[] => {
  const rodata = section(file, ".rodata");
  const strings = file.toString("latin1", rodata.offset, rodata.offset + rodata.size);
  const dead: string[] = [];
  const clear = (name: string, at: number) => {
    file[rodata.offset + at] = 0;
    dead.push(name);
  };

  for (const match of strings.matchAll(families))
    if (!spared.test(match[1]!)) clear(match[1]!, match.index + 1);
  for (const name of expected)
    if (!dead.includes(name)) throw new Error(`the executable does not contain ${name}`);
  for (const name of [...single, ...singleSomewhere]) {
    const at = strings.indexOf(`\0${name}\0`);
    if (at >= 0) clear(name, at + 1);
    else if ((single as readonly string[]).includes(name))
      throw new Error(`the executable does not contain ${name}`);
  }
  for (const name of unterminated) {
    const places = [...strings.matchAll(new RegExp(name, "g"))];
    if (places.length === 0) throw new Error(`the executable does not contain ${name}`);
    for (const place of places) clear(name, place.index);
  }

  const shared = strings.indexOf(`\0${ending.of}\0`);
  if (shared < 0) throw new Error(`the executable does not contain ${ending.of}`);
  clear(ending.name, shared + 1 + ending.of.length - ending.name.length);

  const places = [...strings.matchAll(new RegExp(cache.name + cache.before, "g"))];
  if (places.length !== 1) throw new Error(`the executable contains ${cache.name} ${places.length} times`);
  clear(cache.name, places[0]!.index);

  const patches = code[machine(file)];
  for (const patch of patches) patchCode(file, patch);
  dead.push(...patches.map(({ what }) => what));
  return [...new Set(dead)];
};
