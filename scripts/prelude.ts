// The first code of nsk that runs, before the runtime's own: it notes what the runtime is about to change and cannot tell
// afterwards (src/abi/record.ts), and says in one line what the runtime would end with a crash report for. It is made
// of the launcher's instructions, and put into the compiled file as two more segments. Pure: bytes in, bytes out.

import { encode } from "../src/abi/bytes.ts";
import { errno } from "../src/abi/errno.ts";
import { AT_FDCWD, O, RLIMIT_NOFILE, SIG } from "../src/abi/flags.ts";
import { FIELD, MOST_DESCRIPTORS, PRELUDE, RECORD, RECORD_BYTES, SYSTEM_CALL } from "../src/abi/record.ts";
import { encodeArm64 } from "../src/backends/launcher/arm64.ts";
import { type Builder, newBuilder } from "../src/backends/launcher/builder.ts";
import { encodeX64 } from "../src/backends/launcher/x64.ts";
import type { Arch } from "../src/abi/syscalls.ts";
import { machine, PF, PT, readEntry, readSegments, type Segment, writeEntry, writeSegments } from "./elf.ts";

const AT_EXECFN = 31;
const SIG_IGN = 1;
const SIGNALS = 64;

/**
 * `long (long number, long a, long b, long c, long d, long e, long f)`: a system call for bun:ffi to bind, which finds
 * libc's own slower (dlopen(3)) and needs a second function for its errno. The registers of a call in C are not those of
 * a system call. @see syscall(2), "Architecture calling conventions"
 */
export const SYSTEM_CALL_CODE: Readonly<Record<Arch, string>> = {
  x64:
    "4889f8" + // mov rax, rdi
    "4889f7" + // mov rdi, rsi
    "4889d6" + // mov rsi, rdx
    "4889ca" + // mov rdx, rcx
    "4d89c2" + // mov r10, r8
    "4d89c8" + // mov r8, r9
    "4c8b4c2408" + // mov r9, [rsp + 8]
    "0f05" + // syscall
    "c3" + // ret
    "909090909090", // nop: the entry begins at a multiple of 8
  arm64:
    "e80300aa" + // mov x8, x0
    "e00301aa" + // mov x0, x1
    "e10302aa" + // mov x1, x2
    "e20303aa" + // mov x2, x3
    "e30304aa" + // mov x3, x4
    "e40305aa" + // mov x4, x5
    "e50306aa" + // mov x5, x6
    "010000d4" + // svc #0
    "c0035fd6" + // ret
    "1f2003d5", // nop
};

/** The compiled file with the prelude as its entry. Throws when the file is not laid out as expected. */
export const addPrelude = (file: Buffer): Buffer => {
  const arch = machine(file);
  const systemCall = Buffer.from(SYSTEM_CALL_CODE[arch], "hex");
  const first = SYSTEM_CALL + systemCall.length;
  const code = Buffer.concat([systemCall, assemble(arch, first, readEntry(file))]);
  if (code.length > RECORD - PRELUDE) throw new Error("the prelude is too long for its place");
  const before = readSegments(file);
  const loads = before.filter(({ type }) => type === PT.LOAD);
  if (loads.some(({ address, inMemory }) => address + inMemory > PRELUDE))
    throw new Error("the runtime takes the addresses of the prelude");
  // The table has no room to grow. Two of its entries can be spared: where the table itself is in memory the kernel
  // says by AT_PHDR, and it matters only to files without fixed addresses; the note is a build id.
  const kept = before.filter(({ type }) => type !== PT.PHDR && type !== PT.NOTE);
  if (kept.length !== before.length - 2) throw new Error("not one PT_PHDR and one PT_NOTE to be replaced");

  const align = Math.max(...loads.map((segment) => segment.align));
  const round = (size: number) => Math.ceil(size / align) * align;
  const start = round(file.length);
  const recordStart = start + round(code.length);
  const out = Buffer.alloc(recordStart + SCRATCH - RECORD + SCRATCH_BYTES);
  file.copy(out);
  out.set(code, start);
  const load = (flags: number, offset: number, address: number, size: number): Segment => ({
    type: PT.LOAD,
    flags,
    offset,
    address,
    inFile: size,
    inMemory: size,
    align,
  });
  // Behind the runtime's: kernels before 5.18 take the first one's address for the start of the file in memory.
  const last = kept.findLastIndex(({ type }) => type === PT.LOAD) + 1;
  writeSegments(out, [
    ...kept.slice(0, last),
    load(PF.R | PF.X, start, PRELUDE, code.length),
    load(PF.R | PF.W, recordStart, RECORD, SCRATCH - RECORD + SCRATCH_BYTES),
    ...kept.slice(last),
  ]);
  writeEntry(out, first);
  return out;
};

/** What runs at the start, for address `first`; it goes on at `entry`. */
const assemble = (arch: Arch, first: number, entry: number): Uint8Array => {
  const encoder = arch === "x64" ? encodeX64 : encodeArm64;
  // The code comes first, for that is where it is entered; the place of the constants behind it takes a second pass.
  const write = (constants: number) => {
    const b = newBuilder({ constants, variables: {}, variableBytes: 0, memory: SCRATCH });
    prelude(b, entry);
    return { bytes: encoder(b.ops, first, {}).bytes, b };
  };
  const size = (write(first).bytes.length + 7) & ~7;
  const { bytes, b } = write(first + size);
  if (((bytes.length + 7) & ~7) !== size) throw new Error("the prelude's length depends on its constants");
  if (b.variableBytes() > SCRATCH_BYTES) throw new Error("the prelude's variables have no room");
  const constants = b.constants();
  const out = new Uint8Array(size + constants.length);
  out.set(bytes);
  out.set(constants, size);
  return out;
};

/** The prelude's variables and buffers lie behind the record. */
const SCRATCH = (RECORD + RECORD_BYTES + 7) & ~7;
const SCRATCH_BYTES = 8192;

const prelude = (b: Builder, entry: number): void => {
  const handed = b.variable("handed");
  b.ops.push({ op: "enter", stack: at("stack"), handed });
  findWords(b);
  listDescriptors(b);
  refuseWithoutThreads(b);
  b.syscall("prlimit64", [0, RLIMIT_NOFILE, 0, RECORD + FIELD.softLimit]);
  noteSignals(b);
  b.ops.push({ op: "leave", handed, to: entry });
};

const at = (field: keyof typeof FIELD) => ({ at: RECORD + FIELD[field] });

/** Behind envp lies the auxiliary vector, and in it where the file's name is: right behind the last word of envp. */
const findWords = (b: Builder): void => {
  const [place, word] = [b.variable("place"), b.variable("word")];
  b.load(word, at("stack"), 8); // argc
  b.compute("add", word, 2); // itself, and the NULL behind argv
  for (let doubled = 0; doubled < 3; doubled++) b.compute("add", word, word);
  b.move(place, at("stack"));
  b.compute("add", place, word);
  b.label("envp");
  b.load(word, place, 8);
  b.compute("add", place, 8);
  b.branch("ne", word, 0, "envp");
  b.label("auxv");
  b.load(word, place, 8);
  b.compute("add", place, 8);
  b.branch("eq", word, 0, "words found"); // AT_NULL
  b.load(at("wordsEnd"), place, 8);
  b.compute("add", place, 8);
  b.branch("ne", word, AT_EXECFN, "auxv");
  b.label("words found");
};

/** What is open now is the caller's, for execve(2) has closed all else. Without /proc the runtime ends with SIGABRT. */
const listDescriptors = (b: Builder): void => {
  const [directory, place, end, byte] = variables(b, "directory", "place", "end", "byte");
  const [number, name, length, next] = variables(b, "number", "name", "length", "next");
  const entries = b.buffer(4096);
  const flags = O.O_RDONLY | O.O_CLOEXEC;
  b.syscall("openat", [AT_FDCWD, b.text("/proc/self/fd"), flags, 0], directory);
  b.branch("eq", directory, -errno("ENOENT"), "no proc");
  b.branch("lt", directory, 0, "listed");
  b.move(next, RECORD + FIELD.descriptors);

  b.label("entries");
  b.syscall("getdents64", [directory, entries, 4096]);
  b.branch("lt", b.result, 1, "read");
  b.move(place, entries);
  b.move(end, b.result);
  b.compute("add", end, entries);
  // struct linux_dirent64 { u64 d_ino; s64 d_off; u16 d_reclen; u8 d_type; char d_name[]; }
  b.label("entry");
  b.move(name, place);
  b.compute("add", name, 16);
  b.load(length, name, 2);
  b.compute("add", place, length);
  b.compute("add", name, 3);
  b.move(number, 0);
  b.label("digit");
  b.load(byte, name, 1);
  b.branch("eq", byte, 0, "number");
  b.compute("sub", byte, "0".charCodeAt(0));
  b.branch("lt", byte, 0, "next entry"); // . and ..
  // number * 10 + byte
  b.compute("add", number, number);
  b.compute("add", byte, number);
  b.compute("add", number, number);
  b.compute("add", number, number);
  b.compute("add", number, byte);
  b.compute("add", name, 1);
  b.jump("digit");
  b.label("number");
  b.branch("eq", number, directory, "next entry");
  b.branch("ge", at("count"), MOST_DESCRIPTORS, "next entry");
  b.store(next, number, 4);
  b.compute("add", next, 4);
  b.compute("add", at("count"), 1);
  b.label("next entry");
  b.branch("lt", place, end, "entry");
  b.jump("entries");

  b.label("no proc");
  refuse(b, "/proc is not mounted, and nsk cannot work without it", "mount -t proc proc /proc");
  b.label("read");
  b.syscall("close", [directory]);
  b.label("listed");
};

/**
 * A process whose children go to another PID namespace may start no thread (clone(2), EINVAL), and the runtime needs
 * some. The link of that namespace leads nowhere until it has its first process (namespaces(7)).
 */
const refuseWithoutThreads = (b: Builder): void => {
  const [own, children] = [b.buffer(64), b.buffer(64)];
  const [one, other] = variables(b, "one", "other");
  b.syscall("readlinkat", [AT_FDCWD, b.text("/proc/self/ns/pid"), own, 64]);
  b.branch("lt", b.result, 0, "threads");
  b.syscall("readlinkat", [AT_FDCWD, b.text("/proc/self/ns/pid_for_children"), children, 64]);
  b.branch("eq", b.result, -errno("ENOENT"), "no threads");
  b.branch("lt", b.result, 0, "threads");
  // `pid:[4026531836]`
  for (const offset of [0, 8, 16]) {
    b.load(one, own + offset, 8);
    b.load(other, children + offset, 8);
    b.branch("ne", one, other, "no threads");
  }
  b.jump("threads");
  b.label("no threads");
  refuse(
    b,
    "this process can start no threads, because its children go to another PID namespace",
    "start nsk as a child of it, or make the namespace with --fork",
  );
  b.label("threads");
};

/** Says both lines and ends, with docker's status for `run` and 1 for all else. */
const refuse = (b: Builder, message: string, hint: string): void => {
  const [status, word, run] = [b.variable("status"), b.variable("word"), b.fresh("not run")];
  const text = encode(`nsk: ${message}\nhint: ${hint}\n`);
  b.syscall("write", [2, b.constant(text), text.length]);
  b.move(status, 1);
  b.load(word, at("stack"), 8);
  b.branch("lt", word, 2, run);
  b.move(word, at("stack"));
  b.compute("add", word, 16);
  b.load(word, word, 8); // argv[1]
  b.load(word, word, 4);
  b.branch("ne", word, 0x6e7572, run); // "run"
  b.move(status, 125);
  b.label(run);
  b.syscall("exit_group", [status]);
};

const noteSignals = (b: Builder): void => {
  const [signal, bit, handler] = variables(b, "signal", "bit", "handler");
  const action = b.buffer(32); // struct kernel_sigaction, whose first member is the handler
  b.move(signal, 1);
  b.move(bit, 1);
  b.label("signal");
  b.syscall("rt_sigaction", [signal, 0, action, 8]);
  b.load(handler, action, 8);
  b.branch("ne", handler, SIG_IGN, "not ignored");
  b.compute("or", at("ignored"), bit);
  b.label("not ignored");
  b.compute("add", bit, bit);
  b.compute("add", signal, 1);
  b.branch("lt", signal, SIGNALS + 1, "signal");
  b.syscall("rt_sigprocmask", [0, 0, RECORD + FIELD.blocked, 8]);
  // The runtime's threads stop one another by it, and complain where it is ignored.
  b.syscall("rt_sigaction", [SIG.SIGPWR, b.constant(new Uint8Array(32)), 0, 8]);
};

const variables = <const N extends readonly string[]>(
  b: Builder,
  ...names: N
): { [K in keyof N]: ReturnType<Builder["variable"]> } =>
  names.map((name) => b.variable(name)) as { [K in keyof N]: ReturnType<Builder["variable"]> };
