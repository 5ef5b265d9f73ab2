// A container that nobody waits for: the process that was started waits until it runs, and another supervises it, in a
// session of its own, and takes what it prints into a log.

import { encode } from "../abi/bytes.ts";
import { O } from "../abi/flags.ts";
import { type CallStep, int, partOf, type Slot, slot } from "../plan/call.ts";
import { FAILED, type ForkStep, STARTED, type Step } from "../plan/plan.ts";
import * as enter from "../plan/namespace-steps.ts";
import * as steps from "../plan/steps.ts";
import type { IdMapping } from "./config.ts";
import {
  type Background,
  type Container,
  errors,
  first,
  type Held,
  master,
  output,
  pair,
  record,
  REPORT,
  report,
  signals,
  silence,
  supervisor,
} from "./container.ts";
import { end, forget, keep, log } from "./kept.ts";
import { STREAM } from "./log.ts";
import { prepared } from "./prepared.ts";
import { failedMark } from "./program.ts";
import { namesIn } from "./record.ts";
import { alarm, cleanup, openPair, openRecord, sweep, tellId } from "./record-steps.ts";

/** What is kept of it lies in `directory`; `isAttached`: its terminal is carried from the start. */
export const inBackground = (directory: string, isAttached: boolean): Background => ({
  directory,
  isAttached,
  steps: background,
  heeded: heeded(),
  output: handsOutput,
});

/** The steps of the process that prints the id once there is a program. */
const background = (container: Container, start: ForkStep, volumes: Held): Step[] => {
  const [started, pid] = [slot("started"), slot("supervisor process")];
  const id = `${container.id}\n`;
  return [
    enter.pipe(started, { reason: "over it the supervisor tells that the program has been executed" }),
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: "the supervisor, which stays",
      child: supervise(container, started, start, volumes),
    },
    steps.closePart(started, 1),
    { kind: "heed", pid, from: started, confirms: true, cleanup: [], reason: "wait for that" },
    steps.call("write", [int(1), { type: "bytes", value: encode(id) }, int(id.length)], "write the id"),
    { kind: "exit", reason: "the container goes on" },
  ];
};

const supervise = (container: Container, started: Slot, start: ForkStep, volumes: Held): Step[] => {
  const { limits, input, users, timeout, details, background } = container;
  const { terminal } = container.config.process;
  const nothing = slot("nothing");
  return [
    steps.closePart(started, 0, { undo: steps.tell(started, FAILED) }),
    steps.setsid({ reason: "no signal of the caller's terminal comes here" }),
    prepared("signals"),
    steps.open("/dev/null", O.O_RDWR | O.O_CLOEXEC, nothing),
    ...openRecord(container),
    ...tellId(container),
    ...keep(container),
    ...limits.create,
    ...steps.openSelf(supervisor),
    enter.pipe(report, { reason: "the child's end is closed when it executes the program" }),
    ...(terminal ? [openPair()] : [enter.pipe(output), enter.pipe(errors)]),
    ...(input && !terminal
      ? [enter.pipe(silence, { reason: "an input that nothing comes from, nor an end" })]
      : []),
    ...(users?.isRoots && !terminal ? giveOutput(container) : []),
    ...volumes.open,
    ...(container.joins ?? []),
    ...(users?.prepare ?? []),
    start,
    ...volumes.close,
    steps.closePart(report, 1),
    ...(users?.admit(first) ?? []),
    ...(terminal
      ? steps.takeDescriptor(first, pair, master)
      : [steps.closePart(output, 1), steps.closePart(errors, 1)]),
    {
      kind: "heed",
      pid: first,
      from: report,
      confirms: false,
      cleanup: [...cleanup(container, forgetAll(container)), steps.tell(started, FAILED)],
      reason: "until it has executed the program, or has said why not",
    },
    ...alarm(container),
    ...steps.hush(nothing),
    steps.chdir("/", { reason: "and no directory of the caller's is in use" }),
    steps.tell(started, STARTED),
    steps.closePart(started, 1),
    {
      kind: "supervise",
      pid: first,
      signals,
      recorder: {
        log,
        sources: terminal
          ? [{ from: master, stream: STREAM.stdout }]
          : [
              { from: output, part: 0, stream: STREAM.stdout },
              { from: errors, part: 0, stream: STREAM.stderr },
            ],
      },
      reason: "carry what is printed to the log, until the container ends",
      timeout,
      ...(limits.notices.length > 0 && { notices: limits.notices }),
      tell: [record, end],
      ...sweep(container),
      cleanup: cleanup(
        container,
        details.autoRemove && background && !background.isAttached ? forget(background.directory) : [],
      ),
    },
  ];
};

/** Of one that has not started nothing is kept. */
const forgetAll = ({ state, details: { name, autoRemove }, background }: Container): CallStep[] => [
  ...(name === undefined || autoRemove ? [] : [steps.unlink(`${namesIn(state)}/${name}`)]),
  ...(background ? forget(background.directory) : []),
];

/** The child's first steps: why it cannot be started is told to the supervisor. */
export const heeded = (): Step[] => [
  steps.duplicate(report, 1, REPORT, {
    closes: true,
    undo: failedMark(),
    reason: "why it cannot be started is told here, not in the container's log",
  }),
  { kind: "report", to: REPORT },
];

/** The child's standard output and error, and its input where it has one. */
const handsOutput = ({ input, config, users }: Container): CallStep[] => {
  const { uid, gid } = config.process.user;
  const fds = input ? [0, 1, 2] : [1, 2];
  return [
    ...(input ? [steps.duplicate(silence, 0, 0)] : []),
    steps.duplicate(output, 1, 1, { reason: "what it prints goes to the log" }),
    steps.duplicate(errors, 1, 2),
    ...fds.map((fd, i) =>
      steps.chownOpen(int(fd), uid, gid, {
        ...(i === 0 && {
          reason: "who opens /dev/stdout opens the pipe anew, and is asked for permission as for a file",
        }),
        // Not a pipe of root outside, which root inside may not give away: the supervisor has done it.
        ...(users && { onError: "ignore" as const }),
      }),
    ),
  ];
};

/** For a container in a user namespace of root's making. */
const giveOutput = ({ input, config: { process, linux } }: Container): CallStep[] => {
  const outside = (mappings: readonly IdMapping[] = [], id: number): number => {
    const found = mappings.find(({ containerID, size }) => id >= containerID && id < containerID + size);
    return found ? found.hostID + id - found.containerID : -1;
  };
  const user = outside(linux.uidMappings, process.user.uid);
  const group = outside(linux.gidMappings, process.user.gid);
  return [
    ...(input ? [steps.chownOpen(partOf(silence, 0), user, group)] : []),
    ...[output, errors].map((it) => steps.chownOpen(partOf(it, 1), user, group)),
  ];
};
