// The first code of nsk that runs, before the runtime's own: it notes what the runtime is about to change and cannot tell
// afterwards (src/abi/record.ts), and says in one line what the runtime would end with a crash report for. It is made
// of the launcher's instructions, and put into the compiled file as two more segments. Pure: bytes in, bytes out.

import { errno } from "../../src/abi/errno.ts";
import { AT_FDCWD, FD, MAP, O, PROT, RLIMIT, SIG } from "../../src/abi/flags.ts";
import { FIELD, MOST_DESCRIPTORS, PRELUDE, RECORD, SYSTEM_CALL } from "../../src/abi/record.ts";
import { encodeArm64 } from "../../src/backends/launcher/arm64.ts";
import { type Builder, newBuilder } from "../../src/backends/launcher/builder.ts";
import { encodeX64 } from "../../src/backends/launcher/x64.ts";
import type { Arch } from "../../src/abi/syscalls.ts";
import { SCRATCH, SCRATCH_BYTES } from "./layout.ts";
import { goThroughLinker, type Program } from "./linker.ts";
import { at, refuse, variables } from "./parts.ts";

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

/** The variable `features`: behind `result`, the first that there is. */
const FEATURES = SCRATCH + 8;
/** A routine, called by its label: what CPUID's leaf 1 says in ECX. (Intel 64 manual, volume 2, "CPUID") */
const CPUID_CODE =
  "b801000000" + // mov eax, 1
  "53" + // push rbx
  "0fa2" + // cpuid
  "5b" + // pop rbx
  `48890c25${Buffer.from(Uint32Array.of(FEATURES).buffer).toString("hex")}` + // mov [FEATURES], rcx
  "c3" + // ret
  "909090909090"; // nop
const SSE4_2 = 1 << 20;

/** What the prelude goes on with. */
export interface Start {
  readonly arch: Arch;
  /** The runtime's own entry. */
  readonly entry: number;
  /** For a file without PT_INTERP: what its dynamic linker has to know. */
  readonly program?: Program | undefined;
}

/** The prelude for address {@link PRELUDE}, and where in it the entry is. */
export const assemblePrelude = (start: Start): { code: Uint8Array; entry: number } => {
  const encoder = start.arch === "x64" ? encodeX64 : encodeArm64;
  const routines = Buffer.from(
    SYSTEM_CALL_CODE[start.arch] + (start.arch === "x64" ? CPUID_CODE : ""),
    "hex",
  );
  const entry = SYSTEM_CALL + routines.length;
  const known = { cpuid: SYSTEM_CALL + SYSTEM_CALL_CODE.x64.length / 2 };
  // The code comes first, for that is where it is entered; the place of the constants behind it takes a second pass.
  const write = (constants: number) => {
    const b = newBuilder({ constants, variables: {}, variableBytes: 0, memory: SCRATCH });
    b.variable("features");
    prelude(b, start);
    return { bytes: encoder(b.ops, entry, known).bytes, b };
  };
  const size = (write(entry).bytes.length + 7) & ~7;
  const { bytes, b } = write(entry + size);
  if (((bytes.length + 7) & ~7) !== size) throw new Error("the prelude's length depends on its constants");
  const labels = b.ops.flatMap((op) => (op.op === "label" ? [op.name] : []));
  if (new Set(labels).size !== labels.length) throw new Error("two labels of the prelude have one name");
  if (b.variableBytes() > SCRATCH_BYTES) throw new Error("the prelude's variables have no room");
  const constants = b.constants();
  const code = new Uint8Array(routines.length + size + constants.length);
  if (PRELUDE + code.length > RECORD) throw new Error("the prelude is too long for its place");
  code.set(routines);
  code.set(bytes, routines.length);
  code.set(constants, routines.length + size);
  return { code, entry };
};

/** Notes, refuses what cannot work, and goes on at the runtime's entry, by way of a dynamic linker where that is left to it. */
const prelude = (b: Builder, { arch, entry, program }: Start): void => {
  const handed = b.variable("handed");
  b.enter(at("stack"), handed);
  findWords(b);
  if (arch === "x64") refuseOldProcessor(b);
  listDescriptors(b);
  refuseWithoutThreads(b);
  b.syscall("prlimit64", [0, RLIMIT.RLIMIT_NOFILE, 0, RECORD + FIELD.softLimit]);
  noteSignals(b);
  refuseWithoutNull(b);
  refuseWithoutRoom(b);
  if (program) goThroughLinker(b, arch, entry, program);
  else b.leave(handed, entry);
};

/** Behind envp lies the auxiliary vector, and in it where the file's name is: right behind the last word of envp. */
const findWords = (b: Builder): void => {
  const [place, word] = [b.variable("place"), b.variable("word")];
  b.load(word, at("stack"), 8); // argc
  b.compute("add", word, 2); // itself, and the NULL behind argv
  for (let doubled = 0; doubled < 3; doubled++) b.compute("add", word, word);
  b.move(place, at("stack"));
  b.compute("add", place, word);
  b.move(b.variable("envp"), place);
  b.label("envp");
  b.load(word, place, 8);
  b.compute("add", place, 8);
  b.branch("ne", word, 0, "envp");
  b.move(b.variable("auxv"), place);
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
  b.label("digit of a name");
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
  b.jump("digit of a name");
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

/** The runtime is compiled for it, and ends with SIGILL on an older processor. */
const refuseOldProcessor = (b: Builder): void => {
  const features = b.variable("features");
  if (features.at !== FEATURES) throw new Error("the variable of CPUID is at another place");
  b.call("cpuid");
  b.compute("and", features, SSE4_2);
  b.branch("ne", features, 0, "new enough");
  refuse(
    b,
    "this processor is too old: it has no SSE4.2",
    "on a virtual machine, choose a newer model of processor (qemu: -cpu Nehalem or host)",
  );
  b.label("new enough");
};

/** The runtime opens /dev/null in the place of a standard descriptor that is closed, and ends with SIGABRT where it cannot. */
const refuseWithoutNull = (b: Builder): void => {
  const file = b.variable("file");
  for (const fd of [0, 1, 2]) {
    b.syscall("fcntl", [fd, FD.F_GETFD]);
    b.branch("lt", b.result, 0, "null");
  }
  b.jump("no need");
  b.label("null");
  b.syscall("openat", [AT_FDCWD, b.text("/dev/null"), O.O_RDWR | O.O_CLOEXEC, 0], file);
  b.branch("ge", file, 0, "null there");
  refuse(
    b,
    "standard input, output or error is closed, and there is no /dev/null for its place",
    "leave all three open, or make one: mknod -m 666 /dev/null c 1 3",
  );
  b.label("null there");
  b.syscall("close", [file]);
  b.label("no need");
};

/**
 * Addresses that the runtime takes at its start, in MB: 1024 for its heap, 1024 for the machine code that bun:ffi needs,
 * and some. Without them it ends with SIGABRT, or prints a stack trace.
 */
const ROOM = 2160;

const refuseWithoutRoom = (b: Builder): void => {
  const size = ROOM * 2 ** 20;
  const flags = MAP.MAP_PRIVATE | MAP.MAP_ANONYMOUS | MAP.MAP_NORESERVE;
  b.syscall("mmap", [0, size, PROT.PROT_READ | PROT.PROT_WRITE, flags, -1, 0]);
  b.branch("lt", b.result, 0, "no room");
  b.syscall("munmap", [b.result, size]);
  b.jump("room");
  b.label("no room");
  refuse(
    b,
    `there is no room for ${ROOM} MB of addresses, which its heap takes at the start`,
    "ulimit -v (RLIMIT_AS) or vm.overcommit_memory=2 limits them; they are no memory until they are used",
  );
  b.label("room");
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
