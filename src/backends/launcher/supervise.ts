// The loop that waits for a container: it passes signals on and carries the terminal.

import { encode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { POLL, SIG, TTY } from "../../abi/flags.ts";
import { ATTACH, type Recorder, type SuperviseStep } from "../../plan/plan.ts";
import type { Builder } from "./builder.ts";
import { type Lowering, reportAndEnd, slotVariable } from "./calls.ts";
import { isAttachable } from "./ending.ts";
import type { Operand, Variable } from "./ops.ts";
import { stopSelf } from "./stop.ts";

const WNOHANG = 1;
const SIG_IGN = 1;
const F_SETFL = 4;
const O_NONBLOCK = 0o4000;

/** How many times SIGINT, SIGTERM or SIGQUIT must come before a container that takes no notice is killed; docker's number. */
const PATIENCE = 3;

/** Goes on behind the loop when the container has ended, with how in `wait status`. See {@link SuperviseStep}. */
export const superviseLoop = (
  lowering: Lowering,
  step: Pick<SuperviseStep, "pid" | "signals" | "terminal" | "recorder" | "timeout" | "killOn">,
): void => {
  const { b, plan } = lowering;
  const pid = slotVariable(lowering, step.pid.slot);
  const signals = slotVariable(lowering, step.signals.slot);
  const terminal =
    step.terminal &&
    relay(lowering, slotVariable(lowering, step.terminal.master.slot), step.terminal.input, () =>
      stop(b, pid),
    );
  const recorder = step.recorder && record(lowering, step.recorder);
  const guest =
    recorder && step.recorder && isAttachable(step.recorder)
      ? attachable(lowering, recorder.resume)
      : undefined;
  const [loop, signaled, ended, broken] = ["supervise", "signaled", "ended", "broken"].map((hint) =>
    b.fresh(hint),
  ) as [string, string, string, string];
  const poll = b.buffer(8 * 3);
  const info = b.buffer(128);
  const action = b.buffer(32);

  const [patience, signal, ignored] = [b.variable("patience"), b.variable("signal"), b.variable("ignored")];
  const [waitStatus, handler] = [b.variable("wait status"), b.variable("handler")];
  b.move(patience, PATIENCE);
  terminal?.start();
  recorder?.start();
  guest?.start();

  b.label(loop);
  watch(lowering, poll, 0, signals, POLL.POLLIN);
  terminal?.watch(poll);
  recorder?.watch(poll);
  guest?.watch(poll);
  b.syscall("ppoll", [poll, terminal || guest ? 3 : 1 + (step.recorder?.sources.length ?? 0), 0, 0, 0]);
  b.branch("eq", b.result, -errno("EINTR"), loop);
  b.branch("lt", b.result, 0, broken);
  terminal?.carry(poll);
  if (guest) guest.unlessThere(() => recorder?.carry(poll), poll);
  else recorder?.carry(poll);
  readyTo(lowering, poll, 0, POLL.POLLIN, signaled);
  b.jump(loop);

  b.label(signaled);
  const on = takeSignal(lowering, signals, info, loop);
  const kill = (): void => {
    b.syscall("kill", [pid, SIG.SIGKILL], ignored);
    terminal?.hurry();
  };
  on([SIG.SIGCHLD], () => {
    b.syscall("wait4", [pid, waitStatus.at, WNOHANG, 0]);
    b.branch("eq", b.result, 0, loop);
    b.branch("lt", b.result, 0, broken);
    b.load(waitStatus, waitStatus.at, 4);
    b.jump(ended);
  });
  if (guest) on([ATTACH], () => guest.come(info));
  if (step.killOn !== undefined) on([step.killOn], kill);
  // A blocked signal arrives although it is ignored: nohup's SIGHUP, the SIGINT of a script's background job.
  b.syscall("rt_sigaction", [signal, 0, action, 8], ignored);
  b.load(handler, action, 8);
  b.branch("eq", handler, SIG_IGN, loop);
  if (step.timeout !== undefined)
    on([SIG.SIGALRM], () => {
      const [code, other] = [b.variable("code"), b.fresh("another's alarm")];
      b.load(code, info + 8, 4); // ssi_code
      b.branch("ne", code, SI_KERNEL, other);
      const line = encode(`${plan.name}: --timeout ${step.timeout} is over: the container is killed\n`);
      b.syscall("write", [STDERR, b.constant(line), line.length], ignored);
      kill();
      b.jump(loop);
      b.label(other);
      b.syscall("kill", [pid, signal], ignored);
    });
  // The terminal is gone, and nobody is left to stop the container by hand.
  if (!step.recorder) on([SIG.SIGHUP], kill);
  on([SIG.SIGTSTP, SIG.SIGTTIN, SIG.SIGTTOU], () => {
    terminal?.restore();
    stop(b, pid);
  });
  on([SIG.SIGWINCH], () => terminal?.resize());
  on([SIG.SIGCONT], () => terminal?.raw()); // after every stop
  // A log may become larger than the limit on files allows, which is no concern of the container's.
  on([SIG.SIGPIPE, SIG.SIGURG, ...(step.recorder ? [SIG.SIGXFSZ] : [])], () => {});
  on([SIG.SIGINT, SIG.SIGTERM, SIG.SIGQUIT], () => {
    const forward = b.fresh("forward");
    b.compute("sub", patience, 1);
    b.branch("ne", patience, 0, forward);
    kill();
    b.jump(loop);
    b.label(forward);
    b.syscall("kill", [pid, signal], ignored);
  });
  b.syscall("kill", [pid, signal], ignored);
  b.jump(loop);

  b.label(broken);
  terminal?.restore();
  reportAndEnd(lowering, "wait for the container");

  b.label(ended);
  terminal?.drain(poll, signals);
  terminal?.restore();
  if (guest) guest.unlessThere(() => recorder?.drain());
  else recorder?.drain();
};

const STDERR = 2;
/** A signal that the kernel sent, and no process. @see sigaction(2) */
const SI_KERNEL = 0x80;

/** Where the poll of a supervisor with a terminal in the background looks for the end of who has attached. */
const GUEST = 2;
/** In struct signalfd_siginfo. */
const SENDER = 12;

/**
 * A process that has asked for the terminal has it until it ends; another that asks meanwhile is not heard, which it
 * sees, for this process holds nothing of it.
 */
const attachable = (lowering: Lowering, resume: () => void) => {
  const { b } = lowering;
  const [held, sender, ignored] = [b.variable("guest"), b.variable("sender"), b.variable("ignored")];
  return {
    start: (): void => b.move(held, -1),
    watch: (poll: number): void => {
      const none = b.fresh("no guest");
      watch(lowering, poll, GUEST, held, POLL.POLLIN);
      b.branch("lt", held, 0, none);
      watch(lowering, poll, 1, -1, 0);
      b.label(none);
    },
    come: (info: number): void => {
      const taken = b.fresh("taken");
      b.branch("ge", held, 0, taken);
      b.load(sender, info + SENDER, 4);
      b.syscall("pidfd_open", [sender, 0], held);
      b.label(taken);
    },
    /** `routine` where there is no guest, or with `poll` none any more. */
    unlessThere: (routine: () => void, poll?: number): void => {
      const [there, gone, done] = [b.fresh("there"), b.fresh("gone"), b.fresh("guest done")];
      b.branch("ge", held, 0, there);
      routine();
      b.jump(done);
      b.label(there);
      if (poll !== undefined) {
        readyTo(lowering, poll, GUEST, POLL.POLLIN, gone);
        b.jump(done);
        b.label(gone);
        b.syscall("close", [held], ignored);
        b.move(held, -1);
        resume();
      }
      b.label(done);
    },
  };
};

/** Seconds that who carries the terminal has for the last of what was printed, once it has been told how it ended. */
const FAREWELL = 2;

/** Behind the line that tells of the end: waits for who carries the terminal, and takes what that has left. */
export const seeGuestOff = (lowering: Lowering, recorded: Recorder): void => {
  const { b } = lowering;
  const [held, none] = [b.variable("guest"), b.fresh("no guest")];
  const recorder = record(lowering, recorded);
  const poll = b.buffer(8);
  b.branch("lt", held, 0, none);
  watch(lowering, poll, 0, held, POLL.POLLIN);
  b.syscall("ppoll", [poll, 1, b.words([FAREWELL, 0]), 0, 0]);
  recorder.resume();
  recorder.drain();
  b.label(none);
};

const SEEK_END = 2;
const CLOCK_REALTIME = 0;

/** Stops the container's first process and this one; both go on together. */
const stop = (b: Builder, pid: Variable): void => {
  const ignored = b.variable("ignored");
  b.syscall("kill", [pid, SIG.SIGSTOP], ignored);
  stopSelf(b);
  b.syscall("kill", [pid, SIG.SIGCONT], ignored);
};

/** Fills in `struct pollfd { int fd; short events; short revents; }` number `n`; a negative fd is passed over. */
export const watch = ({ b }: Lowering, poll: number, n: number, fd: Operand, events: Operand): void => {
  b.store(poll + n * 8, fd, 4);
  b.store(poll + n * 8 + 4, events, 4);
};

/**
 * Reads a struct signalfd_siginfo into the 128 bytes at `info`. What comes back says which routine is which signals'; all
 * of them go back to `loop`, as does a read without a signal.
 */
export const takeSignal = (
  { b }: Lowering,
  signals: Variable,
  info: number,
  loop: string,
): ((numbers: readonly number[], routine: () => void) => void) => {
  const signal = b.variable("signal");
  b.syscall("read", [signals, info, 128]);
  b.branch("lt", b.result, 0, loop);
  b.load(signal, info, 4); // ssi_signo
  return (numbers, routine) => {
    const [other, mine] = [b.fresh("other"), b.fresh("mine")];
    for (const number of numbers) b.branch("eq", signal, number, mine);
    b.jump(other);
    b.label(mine);
    routine();
    b.jump(loop);
    b.label(other);
  };
};

/** Goes to a label when any of `events` came for entry `n`. */
export const readyTo = ({ b }: Lowering, poll: number, n: number, events: number, to: string): void => {
  const came = b.variable("events");
  b.load(came, poll + n * 8 + 6, 2);
  b.compute("and", came, events);
  b.branch("ne", came, 0, to);
};

const READY = POLL.POLLIN | POLL.POLLOUT | POLL.POLLHUP | POLL.POLLERR | POLL.POLLNVAL;
const BLOCK = 4096;
const STDIN = 0;
const STDOUT = 1;
/** What a terminal takes as "end of input" (VEOF). */
const END_OF_TRANSMISSION = 4;

/** What else is done with what passes. */
export interface RelayHooks {
  /** With each byte that was typed, at `start`: it may put others in its place, and change the length. */
  typed?(start: number, length: Variable): void;
  /** With each block that was printed. */
  shown?(start: number, length: Variable): void;
}

/**
 * Carries bytes between the caller's terminal and the container's. When what is typed goes there, the caller's is in
 * raw mode meanwhile, so that Ctrl-C and the like reach the container's as bytes, and is put back on every way out.
 */
export const relay = (
  lowering: Lowering,
  master: Variable,
  stdin: boolean,
  stop: () => void,
  hooks: RelayHooks = {},
) => {
  const { b } = lowering;
  const saved = b.buffer(64);
  const termios = b.buffer(64);
  const size = b.buffer(8);
  const typed = b.buffer(BLOCK);
  const shown = b.buffer(BLOCK);
  const field = (offset: number): number => termios + offset;
  const names = ["flags", "left", "from", "typed from", "typed length"];
  const [flags, left, from, typedFrom, typedLength] = names.map((name) => b.variable(name)) as [
    Variable,
    Variable,
    Variable,
    Variable,
    Variable,
  ];
  const [input, isRaw, isBackground, timeout, ignored] = [
    b.variable("input"),
    b.variable("is raw"),
    b.variable("is background"),
    b.variable("timeout"),
    b.variable("ignored"),
  ];

  /** Takes `clear` out of a flag word of termios and puts `set` in. */
  const change = (offset: number, clear: number, set = 0): void => {
    b.load(flags, field(offset), 4);
    b.compute("and", flags, ~clear >>> 0);
    b.compute("or", flags, set);
    b.store(field(offset), flags, 4);
  };

  const resize = (): void => {
    const done = b.fresh("resized");
    b.syscall("ioctl", [STDIN, TTY.TIOCGWINSZ, size]);
    b.branch("lt", b.result, 0, done);
    b.syscall("ioctl", [master, TTY.TIOCSWINSZ, size], ignored);
    b.label(done);
  };

  /** Finds out whether this process is a background job of its terminal: then that belongs to another. */
  const askForeground = (): void => {
    const [group, own, known] = [b.variable("group"), b.variable("own group"), b.fresh("known")];
    b.move(isBackground, 0);
    b.syscall("ioctl", [STDIN, TTY.TIOCGPGRP, size]);
    b.branch("lt", b.result, 0, known); // not a terminal, or not that of this session
    b.load(group, size, 4);
    b.syscall("getpgid", [0], own);
    b.branch("eq", group, own, known);
    b.move(isBackground, 1);
    b.label(known);
  };

  /**
   * As cfmakeraw(3); what was set before is kept for {@link restore}. A job in the background stops instead, as the
   * kernel would do with one that has not blocked the signal for it; the SIGCONT that ends the stop leads here again.
   */
  const raw = (): void => {
    if (!stdin) return resize();
    const [done, known, mine] = [b.fresh("raw"), b.fresh("kept"), b.fresh("mine")];
    b.syscall("ioctl", [STDIN, TTY.TCGETS, termios]);
    b.branch("lt", b.result, 0, done);
    askForeground();
    b.branch("eq", isBackground, 0, mine);
    stop();
    b.jump(done);
    b.label(mine);
    b.branch("ne", isRaw, 0, known);
    b.syscall("ioctl", [STDIN, TTY.TCGETS, saved], ignored);
    b.move(isRaw, 1);
    b.label(known);
    change(
      0,
      TTY.IGNBRK | TTY.BRKINT | TTY.PARMRK | TTY.ISTRIP | TTY.INLCR | TTY.IGNCR | TTY.ICRNL | TTY.IXON,
    );
    change(4, TTY.OPOST);
    change(8, TTY.CSIZE | TTY.PARENB, TTY.CS8);
    change(12, TTY.ECHO | TTY.ECHONL | TTY.ICANON | TTY.ISIG | TTY.IEXTEN);
    b.store(field(17 + TTY.VTIME), 0, 1);
    b.store(field(17 + TTY.VMIN), 1, 1);
    b.syscall("ioctl", [STDIN, TTY.TCSETSW, termios], ignored);
    b.label(done);
    resize();
  };

  const restore = (): void => {
    if (!stdin) return;
    const done = b.fresh("restored");
    b.branch("eq", isRaw, 0, done);
    b.move(isRaw, 0);
    askForeground();
    b.branch("ne", isBackground, 0, done);
    b.syscall("ioctl", [STDIN, TTY.TCSETSW, saved], ignored);
    b.label(done);
  };

  /** What the container prints, into `shown`; goes to `nothing` when there is none, with the reason in `result`. */
  const take = (nothing: string): void => {
    b.syscall("read", [master, shown, BLOCK]);
    b.branch("lt", b.result, 1, nothing);
    b.move(left, b.result);
    b.move(from, shown);
    hooks.shown?.(shown, left);
  };

  /** Writes as much of the `length` bytes at `start` as `fd` takes now. When nobody reads there any more they are dropped. */
  const writeSome = (fd: Operand, start: Variable, length: Variable): void => {
    const [written, done] = [b.fresh("written"), b.fresh("not now")];
    b.syscall("write", [fd, start, length]);
    b.branch("ge", b.result, 0, written);
    b.branch("eq", b.result, -errno("EAGAIN"), done);
    b.move(length, 0);
    b.jump(done);
    b.label(written);
    b.compute("add", start, b.result);
    b.compute("sub", length, b.result);
    b.label(done);
  };

  return {
    start: (): void => {
      b.syscall("fcntl", [master, F_SETFL, 2 | O_NONBLOCK], ignored); // O_RDWR, and never wait for a full terminal
      b.move(typedLength, 0);
      b.move(input, stdin ? STDIN : -1);
      raw();
    },
    raw,
    restore,
    resize,
    watch: (poll: number): void => {
      // What was typed waits for room in the container's terminal before more is read, and what was printed for room
      // in standard output.
      const [shownAll, typedAll, set] = [b.fresh("shown all"), b.fresh("typed all"), b.fresh("set")];
      watch(lowering, poll, 2, master, POLL.POLLIN);
      b.branch("eq", left, 0, shownAll);
      watch(lowering, poll, 2, STDOUT, POLL.POLLOUT);
      b.label(shownAll);
      b.branch("eq", typedLength, 0, typedAll);
      watch(lowering, poll, 1, master, POLL.POLLOUT);
      b.jump(set);
      b.label(typedAll);
      watch(lowering, poll, 1, -1, 0);
      b.branch("ne", isBackground, 0, set);
      watch(lowering, poll, 1, input, POLL.POLLIN);
      b.label(set);
    },
    carry: (poll: number): void => {
      const names = ["output", "more", "gone", "no output", "input", "type", "end", "no input"];
      const [output, more, gone, noOutput, readIn, type, end, noInput] = names.map((hint) =>
        b.fresh(hint),
      ) as [string, string, string, string, string, string, string, string];
      readyTo(lowering, poll, 2, READY, output);
      b.jump(noOutput);
      b.label(output);
      b.branch("eq", left, 0, more);
      writeSome(STDOUT, from, left);
      b.jump(noOutput);
      b.label(more);
      take(gone);
      b.jump(noOutput);
      b.label(gone);
      b.branch("eq", b.result, -errno("EAGAIN"), noOutput);
      b.move(master, -1); // every program of the container has closed its terminal (EIO)
      b.label(noOutput);

      readyTo(lowering, poll, 1, READY, readIn);
      b.jump(noInput);
      b.label(readIn);
      b.branch("ne", typedLength, 0, type);
      b.move(typedFrom, typed);
      b.syscall("read", [STDIN, typed, hooks.typed ? 1 : BLOCK]);
      b.branch("eq", b.result, -errno("EAGAIN"), noInput);
      b.branch("lt", b.result, 1, end);
      b.move(typedLength, b.result);
      hooks.typed?.(typed, typedLength);
      b.jump(noInput);
      b.label(end);
      const ended = b.fresh("ended");
      askForeground(); // EIO: it was put into the background without being stopped
      b.branch("eq", isBackground, 0, ended);
      stop();
      b.jump(noInput);
      b.label(ended);
      b.move(input, -1);
      b.store(typed, END_OF_TRANSMISSION, 1);
      b.move(typedLength, 1);
      b.jump(noInput);

      b.label(type);
      writeSome(master, typedFrom, typedLength);
      b.label(noInput);
    },
    /** From here on nobody is waited for who does not read what was printed. */
    hurry: (): void => b.move(timeout, b.buffer(16)), // struct timespec, all zero
    /** The rest of what was printed; whoever does not read it is waited for until a signal comes, at most. */
    drain: (poll: number, signals: Variable): void => {
      const [again, out, empty] = [b.fresh("drain"), b.fresh("out"), b.fresh("drained")];
      b.label(again);
      b.branch("ne", left, 0, out);
      take(empty);
      b.label(out);
      watch(lowering, poll, 0, signals, POLL.POLLIN);
      watch(lowering, poll, 1, STDOUT, POLL.POLLOUT);
      b.syscall("ppoll", [poll, 2, timeout, 0, 0]);
      b.branch("lt", b.result, 1, empty);
      readyTo(lowering, poll, 0, POLL.POLLIN, empty);
      writeSome(STDOUT, from, left);
      b.jump(again);
      b.label(empty);
    },
  };
};

/** Bytes of a frame in front of what was printed: see containers/log.ts. */
const HEADER = 24;
/** The stream of a frame that says how many bytes are missing. */
const LOST = 3;
/** How many blocks are taken at most once the container has ended: others may hold its pipes, and write for ever. */
const LAST = 1024;

/**
 * Takes what the container prints into its log, each piece as a frame of one write, with stream, length and time in
 * front. What the disk does not take is counted, and the count written as soon as there is room.
 */
export const record = (lowering: Lowering, { log, sources }: Recorder) => {
  const { b } = lowering;
  const file = slotVariable(lowering, log.slot);
  const header = b.buffer(HEADER);
  const vector = b.buffer(2 * 16); // struct iovec[2]
  const block = b.buffer(BLOCK);
  const names = ["log size", "lost", "printed", "frame length", "ignored", "blocks"];
  const [size, lost, printed, frame, ignored, blocks] = names.map((name) => b.variable(name)) as [
    Variable,
    Variable,
    Variable,
    Variable,
    Variable,
    Variable,
  ];
  const ends = sources.map((_, i) => b.variable(`source ${i}`));

  /** Appends a frame; goes to `full` when the file is as it was before, for want of room. */
  const append = (stream: number, start: number, length: Operand, full: string): void => {
    const [whole, cut] = [b.fresh("whole"), b.fresh("cut")];
    b.store(header, stream, 4);
    b.store(header + 4, length, 4);
    b.syscall("clock_gettime", [CLOCK_REALTIME, header + 8], ignored);
    b.store(vector, header, 8);
    b.store(vector + 8, HEADER, 8);
    b.store(vector + 16, start, 8);
    b.store(vector + 24, length, 8);
    b.move(frame, length);
    b.compute("add", frame, HEADER);
    b.syscall("writev", [file, vector, 2]);
    b.branch("eq", b.result, frame, whole);
    b.branch("lt", b.result, 1, cut);
    b.syscall("ftruncate", [file, size], ignored);
    b.label(cut);
    b.jump(full);
    b.label(whole);
    b.compute("add", size, frame);
  };
  const tellLost = (full: string): void => {
    const none = b.fresh("nothing lost");
    b.branch("eq", lost, 0, none);
    append(LOST, lost.at, 8, full);
    b.move(lost, 0);
    b.label(none);
  };
  /** A piece of what was printed; what there is no room for is counted. */
  const write = (stream: number, start: number, length: Variable): void => {
    const [full, done] = [b.fresh("full"), b.fresh("recorded")];
    tellLost(full);
    append(stream, start, length, full);
    b.jump(done);
    b.label(full);
    b.compute("add", lost, length);
    b.label(done);
  };
  /** Finds out how long the log is, when another has written to it. */
  const resume = (): void => b.syscall("lseek", [file, 0, SEEK_END], size);
  /** One block from a source into the log; goes to `nothing` when there is none. */
  const take = (i: number, nothing: string): void => {
    const { stream } = sources[i]!;
    const [done, gone] = [b.fresh("taken"), b.fresh("gone")];
    b.branch("lt", ends[i]!, 0, nothing);
    b.syscall("read", [ends[i]!, block, BLOCK]);
    b.branch("eq", b.result, -errno("EAGAIN"), nothing);
    b.branch("lt", b.result, 1, gone);
    b.move(printed, b.result);
    write(stream, block, printed);
    b.jump(done);
    b.label(gone); // all writers have closed it
    b.move(ends[i]!, -1);
    b.jump(nothing);
    b.label(done);
  };

  return {
    write,
    resume,
    start: (): void =>
      sources.forEach(({ from, part }, i) => {
        const whole = slotVariable(lowering, from.slot);
        if (part === undefined) b.move(ends[i]!, whole);
        else b.load(ends[i]!, whole.at, 4);
        // Of a pipe the flag is its reading end's alone.
        b.syscall("fcntl", [ends[i]!, F_SETFL, (part === undefined ? 2 : 0) | O_NONBLOCK], ignored);
      }),
    watch: (poll: number): void =>
      sources.forEach((_, i) => watch(lowering, poll, 1 + i, ends[i]!, POLL.POLLIN)),
    carry: (poll: number): void =>
      sources.forEach((_, i) => {
        const [ready, done] = [b.fresh("ready"), b.fresh("carried")];
        readyTo(lowering, poll, 1 + i, READY, ready);
        b.jump(done);
        b.label(ready);
        take(i, done);
        b.label(done);
      }),
    drain: (): void => {
      const done = b.fresh("told");
      sources.forEach((_, i) => {
        const [again, empty] = [b.fresh("drain"), b.fresh("drained")];
        b.move(blocks, LAST);
        b.label(again);
        take(i, empty);
        b.compute("sub", blocks, 1);
        b.branch("ne", blocks, 0, again);
        b.label(empty);
      });
      tellLost(done);
      b.label(done);
    },
  };
};
