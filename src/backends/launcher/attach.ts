// The loop of a process that carries the terminal of a container which another supervises: see AttachStep.

import { encode, printable } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { POLL, SIG } from "../../abi/flags.ts";
import type { AttachStep } from "../../plan/plan.ts";
import { type Lowering, lowerCleanup, reportAndEnd, slotVariable } from "./calls.ts";
import { passText } from "./compare.ts";
import type { Variable } from "./ops.ts";
import { stopSelf } from "./stop.ts";
import { readyTo, record, relay, takeSignal, watch } from "./supervise.ts";
import { appendDigit } from "./sweep.ts";

const STDERR = 2;
const ZERO = 48; // "0"
const STDOUT_STREAM = 1;
const SEEK_END = 2;
/** How often it is looked for the end in the record, and nanoseconds between two looks: two seconds at most. */
const LOOKS = 2000;
const PAUSE = 1_000_000;
/** Bytes at the end of a record in which its last line is. */
const TAIL = 96;

export const attachRoutine = (lowering: Lowering, step: AttachStep): void => {
  const { b, plan } = lowering;
  const [signals, supervisor, first] = [step.signals, step.supervisor, step.first].map(({ slot }) =>
    slotVariable(lowering, slot),
  ) as [Variable, Variable, Variable];
  const [loop, signaled, ended, detached, broken] = [
    "attached",
    "signaled",
    "ended",
    "detached",
    "broken",
  ].map((hint) => b.fresh(hint)) as [string, string, string, string, string];
  const recorder = record(lowering, { log: step.log, sources: [] });
  const terminal = relay(lowering, slotVariable(lowering, step.master.slot), step.input, () => stopSelf(b), {
    ...(step.keys.length > 0 && {
      typed: (start: number, length: Variable) => detachKeys(lowering, step.keys, start, length, detached),
    }),
    shown: (start, length) => recorder.write(STDOUT_STREAM, start, length),
  });
  const poll = b.buffer(8 * 5);
  const info = b.buffer(128);
  const [signal, ignored] = [b.variable("signal"), b.variable("ignored")];
  recorder.resume();
  terminal.start();
  b.branch("lt", first, 0, ended); // it has been waited for by now

  b.label(loop);
  watch(lowering, poll, 0, signals, POLL.POLLIN);
  terminal.watch(poll);
  watch(lowering, poll, 3, first, POLL.POLLIN);
  watch(lowering, poll, 4, supervisor, POLL.POLLIN);
  b.syscall("ppoll", [poll, 5, 0, 0, 0]);
  b.branch("eq", b.result, -errno("EINTR"), loop);
  b.branch("lt", b.result, 0, broken);
  terminal.carry(poll);
  // Signals first: one that waits would end the drain below.
  readyTo(lowering, poll, 0, POLL.POLLIN, signaled);
  readyTo(lowering, poll, 3, POLL.POLLIN, ended);
  readyTo(lowering, poll, 4, POLL.POLLIN, ended);
  b.jump(loop);

  b.label(signaled);
  const on = takeSignal(lowering, signals, info, loop);
  on([SIG.SIGTSTP, SIG.SIGTTIN, SIG.SIGTTOU], () => {
    terminal.restore();
    stopSelf(b);
  });
  on([SIG.SIGWINCH], () => terminal.resize());
  on([SIG.SIGCONT], () => terminal.raw()); // after every stop
  on([SIG.SIGPIPE, SIG.SIGURG, SIG.SIGCHLD, SIG.SIGXFSZ], () => {});
  on([SIG.SIGHUP], () => {
    if (!step.endsIt) b.jump(detached);
    b.syscall("pidfd_send_signal", [first, SIG.SIGKILL, 0, 0], ignored);
    b.jump(loop);
  });
  b.syscall("pidfd_send_signal", [supervisor, signal, 0, 0], ignored); // which passes it on
  b.jump(loop);

  b.label(broken);
  terminal.restore();
  reportAndEnd(lowering, "wait for the container");

  b.label(detached);
  terminal.restore();
  say(lowering, `\n${plan.name}: detached; the container goes on\n`);
  b.syscall("exit_group", [0]);

  b.label(ended);
  terminal.drain(poll, signals);
  terminal.restore();
  // The supervisor is about to tell how, and then waits for this process.
  const [unknown, look, wait, known] = ["unknown", "look", "wait", "known"].map((hint) => b.fresh(hint)) as [
    string,
    string,
    string,
    string,
  ];
  const looks = b.variable("looks");
  b.move(looks, LOOKS);
  b.label(look);
  readEnd(lowering, slotVariable(lowering, step.record.slot), wait);
  b.jump(known);
  b.label(wait);
  b.compute("sub", looks, 1);
  b.branch("lt", looks, 1, unknown);
  b.syscall("ppoll", [0, 0, b.words([0, PAUSE]), 0, 0]);
  b.jump(look);
  b.label(known);
  lowerCleanup(lowering, step.cleanup);
  const fits = b.fresh("memory was enough");
  b.branch("eq", b.variable("kills"), ZERO, fits);
  say(lowering, `${plan.name}: ${printable(step.outOfMemory)}\n`);
  b.label(fits);
  b.jump("end by status");
  b.label(unknown);
  say(lowering, `${plan.name}: nobody knows how the container ended: its supervisor was killed\n`);
  b.syscall("exit_group", [plan.failure]);
};

const say = ({ b }: Lowering, text: string): void => {
  const line = encode(text);
  b.syscall("write", [STDERR, b.constant(line), line.length], b.variable("ignored"));
};

/** Holds typed bytes back as long as they are the beginning of the keys; what turns out to be none goes on whole. */
const detachKeys = (
  { b }: Lowering,
  keys: readonly number[],
  start: number,
  length: Variable,
  detached: string,
): void => {
  const [matched, byte, at] = [b.variable("matched"), b.variable("key"), b.variable("key at")];
  const [held, differs, done] = [b.fresh("held"), b.fresh("differs"), b.fresh("typed")];
  b.load(byte, start, 1);
  keys.forEach((key, i) => {
    const next = b.fresh("next key");
    b.branch("ne", matched, i, next);
    b.branch("ne", byte, key, differs);
    if (i === keys.length - 1) b.jump(detached);
    else b.jump(held);
    b.label(next);
  });
  b.label(held);
  b.compute("add", matched, 1);
  b.move(length, 0);
  b.jump(done);
  b.label(differs);
  keys.forEach((key, i) => {
    const over = b.fresh("over");
    b.branch("ge", i, matched, over);
    b.store(start + i, key, 1);
    b.label(over);
  });
  b.move(at, start);
  b.compute("add", at, matched);
  b.store(at, byte, 1);
  b.move(length, matched);
  b.compute("add", length, 1);
  b.move(matched, 0);
  b.label(done);
};

/** The number behind `ended ` in the last bytes of a record, into `wait status`, and the digit behind it into `kills`. */
const readEnd = ({ b }: Lowering, record: Variable, unknown: string): void => {
  const names = ["at", "list end", "byte", "number", "from end"];
  const [at, end, byte, number, from] = names.map((name) => b.variable(name)) as Five;
  const [line, skip, digit] = [b.fresh("line"), b.fresh("skip"), b.fresh("digit")];
  const tail = b.buffer(TAIL);
  b.syscall("lseek", [record, 0, SEEK_END], from);
  b.compute("sub", from, TAIL);
  b.branch("lt", from, 0, unknown);
  b.syscall("pread64", [record, tail, TAIL, from]);
  b.branch("lt", b.result, TAIL, unknown);
  b.move(end, tail + TAIL - 8);
  b.move(from, tail);
  b.label(line);
  b.branch("ge", from, end, unknown);
  b.move(at, from);
  passText(b, at, "ended ", skip);
  b.jump(digit);
  b.label(skip);
  b.compute("add", from, 1);
  b.jump(line);
  b.label(digit);
  b.move(number, 0);
  const [next, last] = [b.fresh("next digit"), b.fresh("last digit")];
  b.label(next);
  b.load(byte, at, 1);
  b.branch("eq", byte, 0x20, last);
  b.compute("add", at, 1);
  appendDigit(b, number, byte);
  b.jump(next);
  b.label(last);
  b.move(b.variable("wait status"), number);
  b.compute("add", at, 1);
  b.load(b.variable("kills"), at, 1);
};

type Five = [Variable, Variable, Variable, Variable, Variable];
