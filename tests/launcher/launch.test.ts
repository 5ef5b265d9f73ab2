// Whole launchers, from plans made by hand, run on this processor and under qemu as arm64's.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { errno } from "../../src/abi/errno.ts";
import { O, POLL, SIG } from "../../src/abi/flags.ts";
import {
  type CallStep,
  int,
  type Loaded,
  NULL,
  partOf,
  slot,
  string,
  text,
  valueOf,
} from "../../src/plan/call.ts";
import * as enter from "../../src/plan/namespace-steps.ts";
import type { Plan, Step, WaitStep } from "../../src/plan/plan.ts";
import * as steps from "../../src/plan/steps.ts";
import { needs } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";
import { cleanUp, exec, launch, launcher, planOf, processors, scratch, sh } from "./launch.ts";

afterAll(cleanUp);

const pid = slot("pid");
const fd = slot("fd");

/** Says so on stdout when it is reached. */
const say = (text: string, about: steps.About = {}): CallStep =>
  steps.call(
    "write",
    [int(1), { type: "bytes", value: Buffer.from(`${text}\n`) }, int(text.length + 1)],
    "say",
    about,
  );

/** Fails with ENOENT. */
const missing = (about: steps.About = {}): CallStep => steps.chdir("/no such directory", about);

const fork = (...child: readonly Step[]): Step => ({ kind: "fork", flags: 0, pid, child });
const wait = (signaled: WaitStep["signaled"], ...cleanup: readonly CallStep[]): Step => ({
  kind: "wait",
  pid,
  signaled,
  cleanup,
});

const line = (title: string, text: string): string => `test: ${title} failed: ${text}\n`;
const NOT_THERE = line("change the working directory to /no such directory", "No such file or directory");

/** Leaves a number in a slot: a place in a file. */
const made = (number: number, result: ReturnType<typeof slot>): CallStep[] => [
  steps.call("memfd_create", [string("file"), int(0)], "memfd_create", { result: slot("file") }),
  steps.call("lseek", [valueOf(slot("file")), int(number), int(0)], "lseek", { result }),
];

const word = (buffer: string, at: number): Loaded => ({
  buffer,
  offset: { x64: at, arm64: at },
  size: 4,
  text: "",
});

const expectInode = (inode: number): Step => ({
  kind: "expect",
  found: enter.statusField("null", "ino"),
  value: BigInt(inode),
  errno: errno("ESRCH"),
  title: "find it",
  hint: "look elsewhere",
});

interface Expected {
  readonly status?: number;
  readonly signal?: string;
  readonly stdout?: string;
  readonly stderr?: string;
}

/** Files that candidates of an execve may be. */
const file = (name: string, text: string, mode: number): string => {
  const path = join(scratch, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
};
const notExecutable = file("not-executable", "#!/bin/sh\n", 0o644);
const script = file("a script", 'echo "$0" "$#" "$1"\n', 0o755);
const broken = file("broken", "#!/no/such/interpreter\n", 0o755);
const absent = join(scratch, "absent");
const long = `/${"x".repeat(5000)}`;

const ENOENT = "No such file or directory";
const EACCES = "Permission denied";

/** `[title, steps, what comes of it]` */
const rows: readonly (readonly [string, readonly Step[], Expected])[] = [
  // What a program gets.
  ["becomes the program", [sh("exit 7")], { status: 7 }],
  [
    "hands arguments on",
    [sh('printf "<%s>" "$@"', "a b", "", "\n", "$x", "-la")],
    { stdout: "<a b><><\n><$x><-la>" },
  ],
  [
    "hands on bytes that are no UTF-8",
    [sh('printf %s "$1" | od -An -tx1', "a\udcff\udc80")],
    { stdout: " 61 ff 80\n" },
  ],
  ["hands a long argument on", [sh('echo "${#1}"', "x".repeat(100_000))], { stdout: "100000\n" }],
  ["hands many arguments on", [sh("echo $#", ...Array.from({ length: 3000 }, String))], { stdout: "3000\n" }],
  [
    "gives an environment of the plan's",
    [{ ...exec(["env"], ["/usr/bin/env"]), env: ["A=1", "B=", "C=\u{e4}"] }],
    { stdout: "A=1\nB=\nC=\u{e4}\n" },
  ],
  ["gives an empty environment", [{ ...exec(["env"], ["/usr/bin/env"]), env: [] }], { stdout: "" }],
  ["argv[0] is not the file's name", [exec(["-sh", "-c", 'echo "$0"'], ["/bin/sh"])], { stdout: "-sh\n" }],

  // Where the program is. @see execvp(3)
  [
    "takes the first candidate that is there",
    [exec(["true"], [absent, "/usr/bin/true", "/usr/bin/false"])],
    {},
  ],
  [
    "the last error counts",
    [exec(["prog"], [absent, `${script}/x`])],
    { status: 126, stderr: line("execute prog", "Not a directory") },
  ],
  [
    "a program that may not be executed counts more",
    [exec(["prog"], [notExecutable, `${script}/x`])],
    { status: 126, stderr: line("execute prog", EACCES) },
  ],
  ["passes over a file in place of a directory", [exec(["true"], [`${script}/true`, "/usr/bin/true"])], {}],
  ["passes over what may not be executed", [exec(["true"], [notExecutable, scratch, "/usr/bin/true"])], {}],
  [
    "nothing found is 127",
    [exec(["prog"], [absent, `${absent}2`])],
    { status: 127, stderr: line("execute prog", ENOENT) },
  ],
  [
    "something found that may not be executed is 126",
    [exec(["prog"], [notExecutable, absent])],
    { status: 126, stderr: line("execute prog", EACCES) },
  ],
  ["a directory is 126", [exec([scratch])], { status: 126, stderr: line(`execute ${scratch}`, EACCES) }],
  [
    "an interpreter that is missing is 127",
    [exec([broken])],
    { status: 127, stderr: line(`execute ${broken}`, ENOENT) },
  ],
  [
    "another error ends the search",
    [exec(["prog"], [long, "/usr/bin/true"])],
    { status: 126, stderr: line("execute prog", "File name too long") },
  ],
  [
    "a file without #! is a script for sh",
    [exec(["prog", "one", "2"], [absent, script])],
    { stdout: `${script} 2 one\n` },
  ],
  ["a script without arguments", [exec([script])], { stdout: `${script} 0 \n` }],
  [
    "an exit status of the plan's",
    [{ ...exec([absent]), status: 9 }],
    { status: 9, stderr: line(`execute ${absent}`, ENOENT) },
  ],

  // Failures.
  ["a failure says what failed, and ends", [missing(), say("on")], { status: 42, stderr: NOT_THERE }],
  ["a failure with a status of its own", [missing({ status: 3 })], { status: 3, stderr: NOT_THERE }],
  [
    "a failure with a hint",
    [missing({ hints: { 1: "no", [errno("ENOENT")]: "look again", 20: "nor this" } })],
    { status: 42, stderr: `${NOT_THERE}hint: look again\n` },
  ],
  [
    "a hint for another error is not shown",
    [missing({ hints: { 1: "no", 20: "no" } })],
    { status: 42, stderr: NOT_THERE },
  ],
  [
    "a title with what a terminal must not get",
    [missing({ title: "go to \x1b[31m\n", hints: { 2: "\x07" } })],
    { status: 42, stderr: `${line("go to \\x1b[31m\\x0a", ENOENT)}hint: \\x07\n` },
  ],
  ["a tolerated failure", [missing({ tolerate: [1, errno("ENOENT")] }), sh("echo on")], { stdout: "on\n" }],
  [
    "a failure that is not the tolerated one",
    [missing({ tolerate: [1, 3] })],
    { status: 42, stderr: NOT_THERE },
  ],
  ["an ignored failure", [missing({ onError: "ignore" }), sh("echo on")], { stdout: "on\n" }],
  ["a warning", [missing({ onError: "warn" }), sh("echo on")], { stdout: "on\n", stderr: NOT_THERE }],
  [
    "the largest number of an error",
    [steps.call("close", [int(-1)], "close")],
    { status: 42, stderr: line("close", "Bad file descriptor") },
  ],

  // Taking back.
  [
    "a failure takes back what was done, the last first",
    [
      say("1", { undo: say("undo 1") }),
      say("2", { undo: say("undo 2") }),
      say("3"),
      missing(),
      say("4", { undo: say("undo 4") }),
    ],
    { status: 42, stdout: "1\n2\n3\nundo 2\nundo 1\n", stderr: NOT_THERE },
  ],
  [
    "what has failed itself is not taken back",
    [say("1", { undo: say("undo 1") }), missing({ undo: say("undo 2") })],
    { status: 42, stdout: "1\nundo 1\n", stderr: NOT_THERE },
  ],
  [
    "what was tolerated to fail is not taken back",
    [say("1", { undo: say("undo 1") }), missing({ tolerate: [2], undo: say("undo 2") }), missing()],
    { status: 42, stdout: "1\nundo 1\n", stderr: NOT_THERE },
  ],
  [
    "what was warned about or ignored is not taken back",
    [
      missing({ onError: "warn", undo: say("undo 1") }),
      missing({ onError: "ignore", undo: say("undo 2") }),
      exec([absent]),
    ],
    { status: 127, stderr: NOT_THERE + line(`execute ${absent}`, ENOENT) },
  ],
  [
    "a program that is not there takes back",
    [say("1", { undo: say("undo 1") }), exec([absent])],
    { status: 127, stdout: "1\nundo 1\n", stderr: line(`execute ${absent}`, ENOENT) },
  ],
  [
    "a program that runs does not",
    [say("1", { undo: say("undo 1") }), sh("echo 2; exit 5")],
    { status: 5, stdout: "1\n2\n" },
  ],
  [
    "an undo that fails does not stop those before it",
    [say("1", { undo: say("undo 1") }), say("2", { undo: missing() }), missing()],
    { status: 42, stdout: "1\n2\nundo 1\n", stderr: NOT_THERE },
  ],
  [
    "a child takes back what it did itself",
    [
      say("1", { undo: say("undo 1") }),
      fork(say("2", { undo: say("undo 2") }), missing(), sh("")),
      wait("signal"),
    ],
    { status: 42, stdout: "1\n2\nundo 2\n", stderr: NOT_THERE },
  ],

  // Children.
  ...[0, 1, 127, 255].map(
    (status) =>
      [`a child's exit status ${status}`, [fork(sh(`exit ${status}`)), wait("signal")], { status }] as const,
  ),
  ["an exit status where signals are statuses", [fork(sh("exit 3")), wait("status")], { status: 3 }],
  ...(["SIGTERM", "SIGKILL", "SIGINT", "SIGHUP", "SIGUSR1", "SIGPIPE"] as const).flatMap((name) => [
    [
      `ends by ${name} as the child did`,
      [fork(sh(`kill -${SIG[name]} $$`)), wait("signal")],
      { signal: name },
    ] as const,
    [
      `ends with 128 + ${name} as the child did`,
      [fork(sh(`kill -${SIG[name]} $$`)), wait("status")],
      { status: 128 + SIG[name] },
    ] as const,
  ]),
  [
    "ends by a signal that is blocked and ignored here",
    [
      steps.blockSignals([SIG.SIGTERM], slot("mask")),
      steps.ignoreSignal(SIG.SIGTERM),
      fork(
        steps.restoreSignals(slot("mask")),
        // An ignored signal stays so across an execve; KILL is the one that no shell can be kept from.
        steps.call("getpid", [], "getpid", { result: slot("self") }),
        sh("kill -9 $$"),
      ),
      wait("signal"),
    ],
    { signal: "SIGKILL" },
  ],
  [
    "a child's process id is its parent's to use",
    [fork(sh("exec sleep 60")), steps.call("kill", [valueOf(pid), int(SIG.SIGTERM)], "kill"), wait("status")],
    { status: 128 + SIG.SIGTERM },
  ],
  [
    "cleans up in order when the child is gone, whatever fails",
    [fork(sh("echo child; exit 4")), wait("signal", say("1"), missing(), say("2"))],
    { status: 4, stdout: "child\n1\n2\n", stderr: NOT_THERE },
  ],
  [
    "cleans up after a child that a signal ended, and then ends by it",
    [fork(sh("kill -TERM $$")), wait("signal", say("1"))],
    { signal: "SIGTERM", stdout: "1\n" },
  ],
  [
    "cleanup passes over what it is told to",
    [fork(sh("exit 4")), wait("signal", missing({ onError: "ignore" }), missing({ tolerate: [2] }))],
    { status: 4 },
  ],
  [
    "a child of a child",
    [
      fork(
        { ...(fork(sh("exit 6")) as Step & { kind: "fork" }), pid: slot("inner") },
        { ...(wait("signal", say("inner")) as WaitStep), pid: slot("inner") },
      ),
      wait("signal", say("outer")),
    ],
    { status: 6, stdout: "inner\nouter\n" },
  ],

  // Arguments.
  [
    "a slot carries a descriptor",
    [
      steps.open(join(scratch, "made"), O.O_WRONLY | O.O_CREAT | O.O_TRUNC, fd, { mode: 0o600 }),
      steps.write(fd, "text\n", "write"),
      steps.close(fd),
      sh(`cat '${join(scratch, "made")}'`),
    ],
    { stdout: "text\n" },
  ],
  [
    "a slot is read as it is now",
    [
      steps.setUmask(0o27, slot("first")),
      steps.setUmask(0o77, slot("second")),
      steps.restoreUmask(slot("second")),
      sh("umask"),
    ],
    { stdout: "0027\n" },
  ],
  [
    "parts of a pair, a structure of slots, and a result that is no error and above 0",
    [
      steps.call("pipe2", [{ type: "out", slot: slot("pair") }, int(0)], "pipe2"),
      steps.call("dup3", [partOf(slot("pair"), 0), int(9), int(0)], "dup3", { result: slot("reader") }),
      ...polled(slot("reader")),
      say("nothing to read"),
      steps.call(
        "write",
        [partOf(slot("pair"), 1), { type: "bytes", value: Buffer.from("x") }, int(1)],
        "write",
      ),
      ...polled(slot("reader")),
      say("not reached"),
    ],
    { status: 42, stdout: "nothing to read\n" },
  ],
  [
    "a buffer keeps what a call put in it",
    [
      steps.open("/proc/version", O.O_RDONLY, fd),
      steps.call("read", [valueOf(fd), { type: "buffer", name: "text", size: 16 }, int(13)], "read"),
      steps.call("write", [int(1), { type: "buffer", name: "text", size: 16 }, int(13)], "write"),
      sh("echo"),
    ],
    { stdout: "Linux version\n" },
  ],
  [
    "a number that depends on the processor",
    [
      steps.openNameless(scratch, fd),
      steps.write(fd, "1", "write"),
      steps.linkOpen(fd, join(scratch, "linked"), { tolerate: [errno("EEXIST")] }),
      sh(`cat '${join(scratch, "linked")}'`),
    ],
    { stdout: "1" },
  ],
  [
    "strings in an array",
    [
      steps.call(
        "execve",
        [
          string("/bin/sh"),
          { type: "strings", value: ["sh", "-c", "echo $A"] },
          { type: "strings", value: ["A=b"] },
        ],
        "execve",
      ),
    ],
    { stdout: "b\n" },
  ],
  [
    "a string with numbers in it is put together",
    [
      ...made(42, slot("answer")),
      steps.call(
        "execve",
        [
          string("/bin/sh"),
          { type: "strings", value: ["sh", "-c", ["echo ", slot("answer"), "/", slot("answer"), "!"]] },
          NULL,
        ],
        "execve",
      ),
    ],
    { stdout: "42/42!\n" },
  ],
  ...[0, 7, 10, 4194304, 1000000000, 4294967295].map(
    (number) =>
      [
        `the number ${number} in decimal`,
        [
          ...made(number, slot("n")),
          steps.call(
            "execve",
            [string("/bin/sh"), { type: "strings", value: ["sh", "-c", 'echo "$0"', [slot("n")]] }, NULL],
            "execve",
          ),
        ],
        { stdout: `${number}\n` },
      ] as const,
  ),
  [
    "a path with the process's own id",
    [
      steps.call("getpid", [], "getpid", { result: slot("self") }),
      steps.call("openat", [int(-100), text("/proc/", slot("self"), "/comm"), int(O.O_RDONLY)], "open", {
        result: fd,
      }),
      steps.call("read", [valueOf(fd), { type: "buffer", name: "comm", size: 16 }, int(9)], "read"),
      steps.call("write", [int(1), { type: "buffer", name: "comm", size: 16 }, int(9)], "write"),
      sh(""),
    ],
    {},
  ],
  [
    "a field of a structure that a call has filled",
    [
      steps.open("/etc/passwd", O.O_PATH, fd),
      enter.status(fd, "passwd", "stat"),
      steps.call(
        "execve",
        [string("/bin/sh"), { type: "strings", value: ["sh", "-c", "id -u"] }, NULL],
        "execve",
        { unless: fd },
      ),
      enter.setLoadedId("setgid", enter.statusField("passwd", "gid")),
      enter.setLoadedId("setuid", enter.statusField("passwd", "uid")),
      sh("id -u; id -g"),
    ],
    { stdout: `${statSync("/etc/passwd").uid}\n${statSync("/etc/passwd").gid}\n` },
  ],
  [
    "a structure of what another call has filled",
    [
      steps.call("pipe2", [{ type: "out", slot: slot("pair") }, int(0)], "pipe2"),
      steps.call(
        "write",
        [partOf(slot("pair"), 1), { type: "bytes", value: Buffer.from("abcdefgh") }, int(8)],
        "write",
      ),
      steps.call(
        "read",
        [partOf(slot("pair"), 0), { type: "buffer", name: "eight", size: 8 }, int(8)],
        "read",
      ),
      steps.call(
        "write",
        [
          int(1),
          {
            type: "struct",
            text: "",
            fields: [
              { size: 4, value: word("eight", 4) },
              { size: 4, value: word("eight", 0) },
            ],
          },
          int(8),
        ],
        "write",
      ),
      sh("echo"),
    ],
    { stdout: "efghabcd\n" },
  ],
  [
    "a call that is made only where another has failed",
    [
      missing({ onError: "ignore", result: slot("first") }),
      say("1", { unless: slot("first"), result: slot("second") }),
      say("2", { unless: slot("second") }),
      sh("echo 3"),
    ],
    { stdout: "1\n3\n" },
  ],
  [
    "a failure in a call that is made because another has failed",
    [missing({ onError: "ignore", result: slot("first") }), missing({ unless: slot("first") }), sh("")],
    { status: 42, stderr: NOT_THERE },
  ],
  [
    "what was expected is there",
    [
      steps.open("/dev/null", O.O_PATH, fd),
      enter.status(fd, "null", "stat"),
      expectInode(statSync("/dev/null").ino),
      sh("echo on"),
    ],
    { stdout: "on\n" },
  ],
  [
    "what was expected is not there",
    [
      say("1", { undo: say("undo 1") }),
      steps.open("/dev/null", O.O_PATH, fd),
      enter.status(fd, "null", "stat"),
      expectInode(statSync("/dev/null").ino + 1),
      sh(""),
    ],
    {
      status: 42,
      stdout: "1\nundo 1\n",
      stderr: `${line("find it", "No such process")}hint: look elsewhere\n`,
    },
  ],
  [
    "a helper that has done its work",
    [fork(say("helper"), { kind: "exit" }), { kind: "join", pid, hint: "no" }, sh("echo on; exit 3")],
    { status: 3, stdout: "helper\non\n" },
  ],
  [
    "a helper that has failed has said so",
    [say("1", { undo: say("undo 1") }), fork(missing(), { kind: "exit" }), { kind: "join", pid }, sh("")],
    { status: 42, stdout: "1\nundo 1\n", stderr: NOT_THERE },
  ],
  [
    "a helper that became a program which failed, and a hint",
    [fork(sh("echo why >&2; exit 1")), { kind: "join", pid, hint: "because" }, sh("")],
    { status: 42, stderr: "why\nhint: because\n" },
  ],
  [
    "a helper that could not become the program has given its own hint",
    [
      fork(
        steps.call("execve", [string(absent), NULL, NULL], "execute it", {
          hints: { [errno("ENOENT")]: "install it" },
          status: 127,
        }),
        { kind: "exit" },
      ),
      { kind: "join", pid, hint: "because" },
      sh(""),
    ],
    { status: 42, stderr: `${line("execute it", ENOENT)}hint: install it\n` },
  ],
  [
    "a helper that a signal ended",
    [fork(sh("kill -KILL $$")), { kind: "join", pid }, sh("")],
    { status: 42 },
  ],
  [
    "a helper waits for a word",
    [
      enter.pipe(slot("ready")),
      fork(...enter.awaitWord(slot("ready"), ""), say("2"), { kind: "exit" }),
      say("1"),
      enter.giveWord(slot("ready"), ""),
      { kind: "join", pid },
      sh("echo 3"),
    ],
    { stdout: "1\n2\n3\n" },
  ],
  [
    "and ends without one when nobody is left to give it",
    [
      enter.pipe(slot("ready")),
      fork(...enter.awaitWord(slot("ready"), ""), say("2"), { kind: "exit" }),
      missing(),
      sh(""),
    ],
    { status: 42, stderr: NOT_THERE },
  ],
  ...([SIG.SIGTERM, SIG.SIGINT] as const).map(
    (signal) =>
      [
        `passes signal ${signal} on and ends as the child does`,
        [
          steps.blockSignals([SIG.SIGINT, SIG.SIGTERM, SIG.SIGCHLD], slot("mask")),
          fork(
            steps.restoreSignals(slot("mask")),
            sh(`trap 'echo came; exit 6' ${signal}; kill -${signal} $PPID; while :; do sleep 0.01; done`),
          ),
          { ...(wait("signal") as WaitStep), forward: [SIG.SIGINT, SIG.SIGTERM] },
        ],
        { status: 6, stdout: "came\n" },
      ] as const,
  ),
  [
    "passes nothing on that does not come, and dies as the child did",
    [
      steps.blockSignals([SIG.SIGINT, SIG.SIGTERM, SIG.SIGCHLD], slot("mask")),
      fork(steps.restoreSignals(slot("mask")), sh("kill -HUP $$")),
      { ...(wait("signal", say("cleaned up")) as WaitStep), forward: [SIG.SIGINT, SIG.SIGTERM] },
    ],
    { signal: "SIGHUP", stdout: "cleaned up\n" },
  ],
  [
    "NULL and the caller's environment",
    [
      steps.call("execve", [string("/usr/bin/env"), NULL, { type: "environ" }], "execve", {
        onError: "ignore",
      }),
      sh("echo $MARK"),
    ],
    {},
  ],
];

function polled(on: ReturnType<typeof slot>): CallStep[] {
  const fields = [
    { size: 4, value: on },
    { size: 2, value: POLL.POLLIN },
    { size: 2, value: 0 },
  ] as const;
  // Zeros. qemu writes what is left of the time back, and takes it for an error where it cannot, unlike the kernel.
  const now = { type: "buffer", name: "now", size: 16 } as const;
  return [
    steps.call("ppoll", [{ type: "struct", fields, text: "" }, int(1), now, NULL, int(0)], "ppoll", {
      endWhen: "positive",
    }),
  ];
}

/** Supervises a program that ends with 3, and then looks at what a file counts. */
const noticing = (path: string): Plan => {
  const [mask, signals] = [slot("mask"), slot("signals")];
  const notice = { ...steps.readCounts(path, ""), counter: "oom_kill", text: "it was so", hint: "do this" };
  return planOf(steps.blockSignals("all", mask), steps.signalDescriptor(signals), fork(sh("exit 3")), {
    kind: "supervise",
    pid,
    signals,
    notices: [notice],
    cleanup: [],
  });
};

for (const { arch, needs: list } of processors) {
  const reason = needs(...list);
  const run = (title: string, check: () => void | Promise<void>): void =>
    reason ? test.skip(`${title} (${reason})`, check) : test(title, check);
  describe(arch, () => {
    for (const [title, list, expected] of rows)
      run(title, () => {
        const ends = list.some(({ kind }) => kind === "exec" || kind === "wait");
        const ran = launch(planOf(...list, ...(ends ? [] : [sh("echo not reached")])), arch);
        expect(ran).toMatchObject({
          status: expected.signal ? null : (expected.status ?? 0),
          signal: expected.signal,
          stderr: expected.stderr ?? "",
          ...(expected.stdout !== undefined && { stdout: expected.stdout }),
        });
      });

    run("the environment is handed on byte for byte", () => {
      const shown = "od -An -v -tx1 /proc/$$/environ | tr -d ' \\n'";
      const [first, ...rest] = launcher(planOf(sh(shown)), arch) as [string, ...string[]];
      // Bytes that are no UTF-8 cannot come from this process.
      const start = `exec env -i "B=$(printf '\\377')" A=2 "$@"`;
      const { stdout } = runCommand(["sh", "-c", start, "sh", Bun.which(first)!, ...rest]);
      const words = Buffer.from(stdout, "hex").toString("latin1").split("\0");
      // qemu hands them on in another order.
      expect(words.sort()).toEqual(["", "A=2", "B=\xff"]);
    });

    run("a closed stderr costs the words alone", () => {
      const words = launcher(planOf(missing(), sh("")), arch);
      expect(runCommand(["sh", "-c", '"$@" 2>&-', "sh", ...words]).status).toBe(42);
    });

    for (const [what, counts, told] of [
      ["more than none", "low 0\noom 3\noom_kill 1\n", true],
      ["many, first of all", "oom_kill 20\n", true],
      ["none", "oom_kill_disable 1\nunder_oom 1\noom_kill 0\n", false],
      ["nothing that ends so", "no_oom_kill 1\n", false],
      ["nothing", "", false],
      ["an unfinished line", "oom_kill", false],
    ] as const)
      run(`a file that counts ${what} is ${told ? "" : "not "}told of`, () => {
        expect(launch(noticing(file("counts", counts, 0o644)), arch)).toMatchObject({
          status: 3,
          stderr: told ? "test: it was so\nhint: do this\n" : "",
        });
      });
    run("a file that cannot be read has nothing to tell", () => {
      expect(launch(noticing(absent), arch)).toMatchObject({ status: 3, stderr: "" });
    });

    run("it waits for its own child only", () => {
      // A child that the shell left to it before it became the launcher.
      const words = launcher(planOf(fork(sh("sleep 0.05; exit 8")), wait("signal")), arch);
      expect(runCommand(["sh", "-c", '(exit 9) & exec "$@"', "sh", ...words]).status).toBe(8);
    });

    run("when the child stops, so does it, and both go on together", async () => {
      const child = Bun.spawn(
        launcher(planOf(fork(sh("echo $$; kill -STOP $$; exit 5")), wait("signal")), arch),
        {
          stdout: "pipe",
        },
      );
      const state = (id: number): string => /\) (.)/.exec(readFileSync(`/proc/${id}/stat`, "utf8"))![1]!;
      while (state(child.pid) !== "T") await Bun.sleep(2);
      process.kill(child.pid, "SIGCONT");
      expect(await child.exited).toBe(5);
    });
  });
}

describe("what a launcher cannot be made of", () => {
  test("a string with a NUL inside", () => {
    expect(() => launch(planOf(steps.chdir("a\0b"), sh("")), "x64")).toThrow("NUL");
  });
  test("a plan that is larger than its place", () => {
    expect(() => launch(planOf(sh("", "x".repeat(5_000_000))), "x64")).toThrow("too large");
  });
});
