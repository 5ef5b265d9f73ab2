// The plans of `run` in the foreground: this process waits for the container and carries its terminal, and a guardian
// deletes the container when it has ended.

import { SIG } from "../../abi/flags.ts";
import { type Arg, type CallStep, int, NULL, type Slot, slot } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import type { Plan } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import { mask } from "../container.ts";

/**
 * Waits for the end of the process whose pidfd it has as descriptor 3, and becomes the program that cleans up after it.
 * A number would not do: whoever waits in the foreground may have heard of its end by then, and it is nobody's any more.
 */
export const planGuardian = (name: string, argv: readonly [string, ...string[]]): Plan => {
  const process = slot("process");
  return {
    name,
    failure: 1,
    descriptors: "standard",
    steps: [
      steps.setName("nsk"),
      steps.setsid({ reason: "signals of the terminal are for who waits in the foreground" }),
      by.nameDescriptor(3, 3, process),
      by.awaitProcess(process, "until the container has ended"),
      steps.closeFrom(3),
      { kind: "exec", program: argv[0], argv: ["nsk", ...argv.slice(1)], candidates: [argv[0]] },
    ],
  };
};

/** `number` is a descriptor that the 8 bytes of the container's process id can be read from, `terminal` the master's. */
export const planForeground = (
  name: string,
  number: number,
  terminal: number | undefined,
  guardian: number | undefined,
): Plan => {
  const [pid, signals, master] = [slot("pid"), slot("signals"), slot("master")];
  return {
    name,
    failure: 1,
    steps: [
      steps.setName("nsk"),
      steps.defaultSignal(SIG.SIGCHLD),
      steps.blockSignals("all", mask, { reason: "they are read from a descriptor, and passed on" }),
      steps.signalDescriptor(signals),
      // It may have ended before there was somebody to be told.
      ...by.signalSelf(SIG.SIGCHLD, "look at once: the container may have ended by now"),
      readNumber(number, pid),
      ...(terminal === undefined ? [] : [by.nameDescriptor(terminal, 3, master)]),
      {
        kind: "supervise",
        pid,
        signals,
        ...(terminal !== undefined && { terminal: { master, input: true } }),
        cleanup: guardian === undefined ? [] : [waitFor(guardian)],
        reason: "pass signals on, until the container ends",
      },
    ],
  };
};

const readNumber = (fd: number, result: Slot): CallStep => {
  const out: Arg = { type: "out", slot: result };
  return steps.call("read", [int(fd), out, int(8)], "read the process id");
};

const waitFor = (pid: number): CallStep =>
  steps.call("wait4", [int(pid), NULL, int(0), NULL], "wait for who cleans up", {
    reason: "when this ends, the container is gone",
  });
