// A plan: what a command will do, as a list of steps, before anything is done. Pure data; `check` finds the mistakes
// that a list can have.

import type { Arg, CallStep, Loaded, Slot } from "./call.ts";

/** Start a child that goes through steps of its own; the plan goes on in the parent. @see clone(2) */
export interface ForkStep {
  readonly kind: "fork";
  /** CLONE_NEW… kinds that the child starts in, 0 for none. */
  readonly flags: number;
  /** The child's process id, in the parent. */
  readonly pid: Slot;
  readonly child: readonly Step[];
  readonly reason?: string;
  readonly hints?: Readonly<Record<number, string>>;
}

/** Become a program: the last step. @see execve(2) */
export interface ExecStep {
  readonly kind: "exec";
  /** As the user wrote it, for messages. */
  readonly program: string;
  readonly argv: readonly string[];
  /** The files to try, in the order of PATH; one that is not there is passed over. @see execvp(3) */
  readonly candidates: readonly string[];
  /** `NAME=value` words; the caller's own environment, byte for byte, unless given. */
  readonly env?: readonly string[];
  /** The exit status when it cannot be executed; 127 for not found and 126 for the rest unless given. */
  readonly status?: number;
  readonly reason?: string;
}

/** The end of a helper that has done its work: exit status 0. @see _exit(2) */
export interface ExitStep {
  readonly kind: "exit";
  readonly reason?: string;
}

/** Wait for a helper. One that failed has said why, and this process ends with the plan's exit status. @see wait4(2) */
export interface JoinStep {
  readonly kind: "join";
  readonly pid: Slot;
  readonly reason?: string;
  /** A `hint:` line behind the helper's own words, unless it ended with 127: then nothing was executed, and that was said. */
  readonly hint?: string;
}

/**
 * Fails with ESRCH unless the process whose line of /proc has been read into `stat` started at `started`, in clock
 * ticks: another may have got its number. No call of its own. @see proc_pid_stat(5)
 */
export interface IdentifyStep {
  readonly kind: "identify";
  readonly stat: Extract<Arg, { readonly type: "buffer" }>;
  readonly started: string;
  readonly title: string;
  readonly hint?: string;
}

/** Fails with `errno` unless a number is what it should be, or with `differs` when it is that. No call of its own. */
export interface ExpectStep {
  readonly kind: "expect";
  readonly found: Loaded;
  readonly value: bigint;
  readonly differs?: true;
  readonly errno: number;
  /** As a call's: what an error names. */
  readonly title: string;
  readonly hint?: string;
}

/**
 * Wait for a child and end as it ended. A child that is stopped stops the waiting process too, and both go on
 * together. The last step of a parent.
 */
export interface WaitStep {
  readonly kind: "wait";
  readonly pid: Slot;
  /**
   * A child that a signal ended: `signal` dies of the same one (util-linux's way), `status` exits with 128 + n
   * (docker's way).
   */
  readonly signaled: "signal" | "status";
  /** Signals that are passed on to the child. They and SIGCHLD must be blocked. */
  readonly forward?: readonly number[];
  /** With `forward`, and blocked as those are: this signal is not passed on, the child is ended by SIGKILL instead. */
  readonly killOn?: number;
  /**
   * With `forward`: other children are waited for as well, one that is stopped stops nobody, and the caller's
   * environment is wiped from memory, because who waits may be seen by others.
   */
  readonly reaps?: boolean;
  /** Undone on every way out, in this order, when the child is gone. */
  readonly cleanup: readonly CallStep[];
  readonly reason?: string;
}

/**
 * Wait for a container's first process: as {@link WaitStep} with `status`, and pass signals on to it. With a terminal
 * of its own, also carry what is typed and printed, and the window's size.
 */
export interface SuperviseStep {
  readonly kind: "supervise";
  readonly pid: Slot;
  /** The signalfd(2) that signals come from; all are blocked. */
  readonly signals: Slot;
  /** The master side of the container's terminal, when it has one, and whether what is typed goes there. */
  readonly terminal?: { readonly master: Slot; readonly input: boolean };
  /** What is printed goes there instead of to the caller, who does not wait. */
  readonly recorder?: Recorder;
  /** This signal is not passed on, the child is ended by SIGKILL instead. */
  readonly killOn?: number | undefined;
  /** Seconds after which the child was to be killed: the kernel's SIGALRM says that they are over. @see setitimer(2) */
  readonly timeout?: number | undefined;
  /** Open files that a line `ended STATUS KILLS SECONDS NANOSECONDS LOST` is appended to: see {@link parseEnd}. */
  readonly tell?: readonly Slot[];
  /** A file of process ids: when the child is gone all of these are killed, until there are none. */
  readonly sweep?: string;
  /** Looked at when the child is gone, before the cleanup. */
  readonly notices?: readonly Notice[];
  readonly cleanup: readonly CallStep[];
  readonly reason?: string;
}

/** A log of frames (see containers/log.ts), written by the supervisor as long as the container runs. */
export interface Recorder {
  readonly log: Slot;
  /** Where the frames come from: a pipe's reading end, or a terminal's master. What fails to be written is counted. */
  readonly sources: readonly { readonly from: Slot; readonly part?: 0; readonly stream: number }[];
}

/**
 * Reads a child's report from a pipe until the child has executed its program, which closes the pipe: text goes to
 * standard error, {@link FAILED} is the end of a child that has failed. Then this process ends as the child did.
 */
export interface HeedStep {
  readonly kind: "heed";
  readonly pid: Slot;
  /** The pipe, as pipe2(2) leaves it. */
  readonly from: Slot;
  /** A child that says {@link STARTED} at its time; one that closes the pipe without it was killed. */
  readonly confirms: boolean;
  readonly cleanup: readonly CallStep[];
  readonly reason?: string;
}

/** What a child writes as the last byte, see {@link HeedStep}. */
export const FAILED = 0;
export const STARTED = 1;

/** From here on this process writes what fails to another descriptor than 2. No call of its own. */
export interface ReportStep {
  readonly kind: "report";
  readonly to: number;
}

/**
 * Carry what is typed and printed for a container that another process supervises, and write what is printed into its
 * log meanwhile; end as it ended, or with 0 when the keys to detach are typed. The supervisor has been asked to leave
 * the terminal alone for as long as this process lives: see {@link ATTACH}.
 */
export interface AttachStep {
  readonly kind: "attach";
  /** pidfds of the supervisor, which gets the signals that come here, and of the container's first process, if it is there. */
  readonly supervisor: Slot;
  readonly first: Slot;
  readonly signals: Slot;
  readonly master: Slot;
  readonly input: boolean;
  readonly log: Slot;
  /** The open record, whose last line will tell how the container has ended. */
  readonly record: Slot;
  /** The bytes that detach when they are typed one after another; none for no way out. */
  readonly keys: readonly number[];
  /** Whether the container is killed when the caller's terminal goes (SIGHUP), and not left like by the keys. */
  readonly endsIt: boolean;
  /** Told when the kernel had killed a program of the container for want of memory. */
  readonly outOfMemory: string;
  /** Done when the container has ended. */
  readonly cleanup: readonly CallStep[];
  readonly reason?: string;
}

/** The signal by which a process asks a supervisor in the background for the terminal, as long as it lives. */
export const ATTACH = 63;

/** A line on standard error for what the kernel has counted and nobody else tells. */
export interface Notice {
  /** They put the text of a file into `counts`. What fails leaves nothing to tell. */
  readonly read: readonly CallStep[];
  readonly counts: Extract<Arg, { readonly type: "buffer" }>;
  /** Told when `counts` has a line `COUNTER N` and N is not 0. */
  readonly counter: string;
  readonly text: string;
  readonly hint: string;
}

/**
 * Calls that are the same in every plan that has them. Whoever makes machine code of plans may have that of these ready,
 * by their name; the calls themselves are only made when somebody wants to see them.
 */
export interface PreparedStep {
  readonly kind: "prepared";
  readonly name: string;
  readonly calls: () => readonly CallStep[];
}

export type Step =
  | PreparedStep
  | CallStep
  | ForkStep
  | ExecStep
  | WaitStep
  | SuperviseStep
  | ExitStep
  | JoinStep
  | ExpectStep
  | HeedStep
  | AttachStep
  | ReportStep
  | IdentifyStep;

export interface Plan {
  /** What errors begin with: `nsk unshare`. */
  readonly name: string;
  /** The exit status when a step fails that has none of its own. */
  readonly failure: number;
  /** Whose descriptors the plan's processes get: all that the caller left open (unless given), or 0, 1 and 2 alone. */
  readonly descriptors?: "all" | "standard";
  readonly steps: readonly Step[];
}
