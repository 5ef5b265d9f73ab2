// What every launcher contains, whatever its plan: reporting a failed call, finding a program along PATH, waiting for a
// child and ending as it ended. It does not depend on the plan, so it is assembled once, when nsk itself is built: the
// file that imports it does so `with { type: "macro" }`.

import { encode } from "../../abi/bytes.ts";
import { errno, errnoTexts } from "../../abi/errno.ts";
import { SIG, SIG_SETMASK } from "../../abi/flags.ts";
import type { Arch } from "../../abi/syscalls.ts";
import { encodeArm64 } from "./arm64.ts";
import { type Builder, newBuilder } from "./builder.ts";
import { appendRoutines } from "./compose.ts";
import { stopSelf } from "./stop.ts";
import { RUNTIME } from "./layout.ts";
import type { Encoder } from "./ops.ts";
import { encodeX64 } from "./x64.ts";

/** The runtime of one processor, in a form that survives being written into JavaScript source. */
export interface Runtime {
  readonly base64: string;
  /** Addresses of its routines. */
  readonly labels: Record<string, number>;
  /** Addresses of its variables, by which plans hand arguments over. */
  readonly variables: Record<string, number>;
  readonly variableBytes: number;
}

/** Assembles the runtime for both processors, with what `more` adds to it. */
export const assembleRuntime = (more?: (b: Builder, arch: Arch) => void): Record<Arch, Runtime> => ({
  x64: assemble(encodeX64, (b) => more?.(b, "x64")),
  arm64: assemble(encodeArm64, (b) => more?.(b, "arm64")),
});

const assemble = (encoder: Encoder, more: (b: Builder) => void): Runtime => {
  // The code comes first, for its address must be known; the constants' place behind it takes a second pass.
  const write = (
    constants: number,
  ): { code: Uint8Array; labels: ReadonlyMap<string, number>; b: Builder } => {
    const b = newBuilder({ constants, variables: {}, variableBytes: 0 });
    b.variable("environ");
    report(b);
    exec(b);
    waitForChild(b);
    endAsChild(b);
    appendRoutines(b);
    more(b);
    const { bytes, labels } = encoder(b.ops, RUNTIME, {});
    return { code: bytes, labels, b };
  };
  const size = (write(RUNTIME + 0x10000).code.length + 7) & ~7;
  const { code, labels, b } = write(RUNTIME + size);
  const constants = b.constants();
  const bytes = new Uint8Array(size + constants.length);
  bytes.set(code);
  bytes.set(constants, size);
  return {
    base64: bytes.toBase64(),
    labels: Object.fromEntries(
      Array.from(labels)
        .filter(([name]) => !isFresh(name))
        .map(([name, offset]) => [name, RUNTIME + offset]),
    ),
    variables: Object.fromEntries(Object.entries(b.variables()).filter(([name]) => !isFresh(name))),
    variableBytes: b.variableBytes(),
  };
};

/** Whether a name is one of {@link Builder.fresh}'s, and of use inside only. */
const isFresh = (name: string): boolean => / \d+$/.test(name);

/**
 * `report`: prints what failed, for the negative error number in `result`. `site` points to the title and its length,
 * the exit status (0: the one that is there), the number of hints, and for each an error number, its text and its
 * length. `report to` is the descriptor. One write, so that lines of several processes do not mix.
 */
const report = (b: Builder): void => {
  const [site, number, text, byte, end] = ["site", "number", "text", "byte", "end"].map((name) =>
    b.variable(name),
  ) as Five;
  const [hint, hintLength, left] = [b.variable("hint"), b.variable("hint length"), b.variable("left")];
  const field = b.variable("field");
  const { result } = b;
  b.label("report");
  b.move(number, 0);
  b.compute("sub", number, result);

  b.move(hintLength, 0);
  b.move(field, site);
  b.compute("add", field, 16);
  b.load(left, field, 8);
  b.branch("eq", left, 0, "status kept");
  b.move(b.variable("status"), left);
  b.label("status kept");
  b.compute("add", field, 8);
  b.load(left, field, 8);
  b.compute("add", field, 8);
  b.label("hint");
  b.branch("eq", left, 0, "hinted");
  b.load(byte, field, 8);
  b.branch("eq", byte, number, "this hint");
  b.compute("add", field, 24);
  b.compute("sub", left, 1);
  b.jump("hint");
  b.label("this hint");
  b.compute("add", field, 8);
  b.load(hint, field, 8);
  b.compute("add", field, 8);
  b.load(hintLength, field, 8);
  b.label("hinted");

  // The texts lie behind one another, each ended by NUL: text n is behind n such ends. Slow and small, and run once.
  b.move(text, b.constant(encode(`${errnoTexts.join("\0")}\0`)));
  b.branch("ge", number, errnoTexts.length, "found"); // text 0 is empty: better than a wrong one
  b.label("next text");
  b.branch("eq", number, 0, "found");
  b.label("skip");
  b.load(byte, text, 1);
  b.compute("add", text, 1);
  b.branch("ne", byte, 0, "skip");
  b.compute("sub", number, 1);
  b.jump("next text");
  b.label("found");
  b.move(end, text);
  b.label("measure");
  b.load(byte, end, 1);
  b.branch("eq", byte, 0, "measured");
  b.compute("add", end, 1);
  b.jump("measure");
  b.label("measured");
  b.compute("sub", end, text);

  // struct iovec { void *base; size_t len; } for the title, the error's text, the end of the line, the hint
  const vector = b.buffer(4 * 16);
  b.load(field, site, 8);
  b.store(vector, field, 8);
  b.compute("add", site, 8);
  b.load(field, site, 8);
  b.store(vector + 8, field, 8);
  b.store(vector + 16, text, 8);
  b.store(vector + 24, end, 8);
  b.store(vector + 32, b.constant(encode("\n")), 8);
  b.store(vector + 40, 1, 8);
  b.store(vector + 48, hint, 8);
  b.store(vector + 56, hintLength, 8);
  b.syscall("writev", [b.variable("report to"), vector, 4], b.variable("ignored"));
  b.comeBack();
};

type Variable = ReturnType<Builder["variable"]>;
type Five = [Variable, Variable, Variable, Variable, Variable];

// As execvp(3): these say that a candidate is not to be had, and the next one is tried.
const PASSED_OVER = ["ENOENT", "ENOTDIR", "ESTALE", "ENODEV", "ETIMEDOUT"] as const;
const SHELL = "/bin/sh";

/**
 * `exec`: becomes the first of `candidates` that can be executed, with `argv` and `envp`. `script` is room for two
 * words more than argv has. Comes back only when there is none, with the error number in `result` and in `status` 127
 * for not found and 126 for found but not executable (sh(1), "Exit status for commands").
 */
const exec = (b: Builder): void => {
  const [candidates, argv, envp, script, file] = ["candidates", "argv", "envp", "script", "file"].map(
    (name) => b.variable(name),
  ) as Five;
  const [error, status, word] = [b.variable("error"), b.variable("status"), b.variable("word")];
  const { result } = b;
  b.label("exec");
  b.move(error, -errno("ENOENT"));
  b.label("candidate");
  b.load(file, candidates, 8);
  b.branch("eq", file, 0, "none");
  b.syscall("execve", [file, argv, envp]);
  b.branch("eq", result, -errno("ENOEXEC"), "as a script");
  b.branch("eq", result, -errno("EACCES"), "denied");
  for (const name of PASSED_OVER) b.branch("eq", result, -errno(name), "passed over");
  b.move(error, result);
  b.jump("none");
  // In the end the last error counts, but a program that may not be executed is the better news.
  b.label("passed over");
  b.branch("eq", error, -errno("EACCES"), "next candidate");
  b.label("denied");
  b.move(error, result);
  b.label("next candidate");
  b.compute("add", candidates, 8);
  b.jump("candidate");

  // A file without a #! line is a script for sh: sh FILE ARGUMENTS.
  b.label("as a script");
  b.move(word, script);
  b.store(word, b.text(SHELL), 8);
  b.compute("add", word, 8);
  b.store(word, file, 8);
  b.load(result, argv, 8); // argv[0], for which the file's name stands now
  b.label("argument");
  b.branch("eq", result, 0, "run the shell");
  b.compute("add", argv, 8);
  b.compute("add", word, 8);
  b.load(result, argv, 8);
  b.store(word, result, 8);
  b.jump("argument");
  b.label("run the shell");
  b.syscall("execve", [b.text(SHELL), script, envp]);
  b.move(error, result);

  b.label("none");
  b.move(result, error);
  b.move(status, 127);
  b.branch("eq", error, -errno("ENOENT"), "not found");
  b.move(status, 126);
  b.label("not found");
  b.comeBack();
};

const WNOHANG = 1;
const WUNTRACED = 2;
const WCONTINUED = 8;

/**
 * `wait for child`: comes back when process `child` has ended, with how in `wait status`, or with a negative error
 * number in `result`. When it is stopped, so does this process, and both go on together.
 */
const waitForChild = (b: Builder): void => {
  const [child, waitStatus, low] = [b.variable("child"), b.variable("wait status"), b.variable("low")];
  b.label("wait for child");
  b.syscall("wait4", [child, waitStatus.at, WUNTRACED, 0]);
  b.label("news");
  b.branch("eq", b.result, -errno("EINTR"), "wait for child");
  b.branch("lt", b.result, 0, "waited");
  b.load(waitStatus, waitStatus.at, 4);
  b.move(low, waitStatus);
  b.compute("and", low, 0xff);
  b.branch("eq", low, 0xff, "wait for child"); // WIFCONTINUED
  b.branch("ne", low, 0x7f, "waited"); // WIFSTOPPED
  // Ctrl-Z stops both, and this process hears of its child only when both go on again: then that is no news any more.
  b.syscall("wait4", [child, waitStatus.at, WNOHANG + WUNTRACED + WCONTINUED, 0]);
  b.branch("ne", b.result, 0, "news");
  stopSelf(b);
  b.syscall("kill", [child, SIG.SIGCONT]);
  b.jump("wait for child");
  b.label("waited");
  b.comeBack();
};

const PR_SET_DUMPABLE = 4;

/**
 * `end by signal` and `end by status`: end as the child in `wait status` did. When a signal ended it, the first dies
 * of the same, the second exits with 128 + n. @see wait(2)
 */
const endAsChild = (b: Builder): void => {
  const [waitStatus, signal, self] = [b.variable("wait status"), b.variable("signal"), b.variable("self")];
  const zeros = b.constant(new Uint8Array(32)); // struct kernel_sigaction: SIG_DFL; sigset_t: empty
  b.label("end by signal");
  b.move(signal, waitStatus);
  b.compute("and", signal, 0x7f);
  b.branch("eq", signal, 0, "end by status");
  b.syscall("prctl", [PR_SET_DUMPABLE, 0]); // the child has dumped its core; one is enough
  b.syscall("rt_sigaction", [signal, zeros, 0, 8]);
  b.syscall("rt_sigprocmask", [SIG_SETMASK, zeros, 0, 8]);
  b.syscall("getpid", [], self);
  b.syscall("kill", [self, signal]);

  b.label("end by status");
  b.move(signal, waitStatus);
  b.compute("and", signal, 0x7f);
  b.branch("ne", signal, 0, "killed");
  b.shiftRight(waitStatus, 8);
  b.compute("and", waitStatus, 0xff);
  b.syscall("exit_group", [waitStatus]);
  b.label("killed");
  b.compute("add", signal, 128);
  b.syscall("exit_group", [signal]);
};
