// Waiting for a child and passing some signals on to it meanwhile.

import { errno } from "../../abi/errno.ts";
import { SIG, signalMask } from "../../abi/flags.ts";
import type { Variable } from "./ops.ts";
import { type Lowering, reportAndEnd } from "./calls.ts";
import { stopSelf } from "./stop.ts";

const WNOHANG = 1;
const WUNTRACED = 2;

/**
 * Goes on when process `child` has ended, with how in `wait status`. `signals` and SIGCHLD are blocked, so none is lost
 * between two looks. `reaps`: all other children are waited for, too, and the caller's words and environment are forgotten.
 * `killOn`, blocked as well: this signal ends the child.
 * @see rt_sigtimedwait(2)
 */
export const waitAndForward = (
  lowering: Lowering,
  child: Variable,
  signals: readonly number[],
  reaps: boolean,
  killOn: number | undefined,
): void => {
  const { b } = lowering;
  const [waitStatus, low, signal] = [b.variable("wait status"), b.variable("low"), b.variable("signal")];
  const ignored = b.variable("ignored");
  const [again, news, stopped, broken, ended] = [
    b.fresh("wait"),
    b.fresh("news"),
    b.fresh("stopped"),
    b.fresh("broken"),
    b.fresh("ended"),
  ];
  const awaited = [...signals, SIG.SIGCHLD];
  if (killOn !== undefined) awaited.push(killOn);
  const set = b.constant(new Uint8Array(BigUint64Array.of(signalMask(awaited)).buffer));
  if (reaps) wipeCaller(lowering);
  b.label(again);
  b.syscall("rt_sigtimedwait", [set, 0, 0, 8], signal);
  b.branch("eq", signal, -errno("EINTR"), again);
  b.branch("eq", signal, SIG.SIGCHLD, news);
  b.move(b.result, signal);
  b.branch("lt", signal, 0, broken);
  if (killOn !== undefined) {
    const other = b.fresh("passed on");
    b.branch("ne", signal, killOn, other);
    b.move(signal, SIG.SIGKILL);
    b.label(other);
  }
  b.syscall("kill", [child, signal], ignored);
  b.jump(again);

  b.label(news);
  if (reaps) {
    // One signal may tell of several.
    b.syscall("wait4", [-1, waitStatus.at, WNOHANG, 0]);
    b.branch("eq", b.result, 0, again);
    b.branch("lt", b.result, 0, broken);
    b.branch("ne", b.result, child, news);
    b.load(waitStatus, waitStatus.at, 4);
    b.jump(ended);
  } else {
    b.syscall("wait4", [child, waitStatus.at, WNOHANG + WUNTRACED, 0]);
    b.branch("eq", b.result, 0, again);
    b.branch("lt", b.result, 0, broken);
    b.load(waitStatus, waitStatus.at, 4);
  }
  b.move(low, waitStatus);
  b.compute("and", low, 0xff);
  b.branch("eq", low, 0x7f, stopped); // WIFSTOPPED
  b.jump(ended);
  b.label(stopped);
  stopSelf(b);
  b.syscall("kill", [child, SIG.SIGCONT], ignored);
  b.jump(again);

  b.label(broken);
  reportAndEnd(lowering, "wait for the child");
  b.label(ended);
};

/**
 * What stays in a container is not to tell it of the caller's variables, nor of the words that it was asked for with.
 * Its own name, argv[0], stays for ps(1). @see proc_pid_environ(5), proc_pid_cmdline(5)
 */
const wipeCaller = ({ b }: Lowering): void => {
  const [word, below, text] = [b.variable("word"), b.variable("below"), b.variable("text")];
  const [variables, noMore, words, done] = ["variables", "no more", "words", "wiped"].map((it) =>
    b.fresh(it),
  ) as Four;
  b.move(word, b.variable("environ"));
  b.label(variables);
  b.load(text, word, 8);
  b.branch("eq", text, 0, noMore);
  wipeString(b, text);
  b.compute("add", word, 8);
  b.jump(variables);
  b.label(noMore);
  // The kernel put argc, argv and a null below: what is below argv[0] is a number, and the others are addresses.
  b.move(word, b.variable("environ"));
  b.compute("sub", word, 16);
  b.label(words);
  b.load(text, word, 8);
  b.compute("sub", word, 8);
  b.load(below, word, 8);
  b.branch("lt", below, MOST_ARGUMENTS, done);
  wipeString(b, text);
  b.jump(words);
  b.label(done);
};

type Four = [string, string, string, string];

/** More than fit into what execve(2) takes, 6 MB; less than any address of a stack. */
const MOST_ARGUMENTS = 1 << 20;

/** Zeroes at `at`, up to the zero that is there. */
const wipeString = (b: Lowering["b"], at: Variable): void => {
  const [byte, next, end] = [b.variable("byte"), b.fresh("wipe"), b.fresh("end of the string")];
  b.label(next);
  b.load(byte, at, 1);
  b.branch("eq", byte, 0, end);
  b.store(at, 0, 1);
  b.compute("add", at, 1);
  b.jump(next);
  b.label(end);
};
