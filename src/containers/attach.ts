// The plan of a process that carries the terminal of a container in the background.

import { O } from "../abi/flags.ts";
import { slot } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Plan } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { hold } from "./hold.ts";
import { forget, log } from "./kept.ts";
import { KEPT } from "./kept-files.ts";
import { master, record, signals, supervisor } from "./container.ts";
import { prepared } from "./prepared.ts";
import type { FirstProcess } from "./recognise.ts";

export interface Attach {
  readonly supervisor: FirstProcess;
  /** The number of the supervisor's descriptor that is the terminal's master side. */
  readonly master: number;
  /** The process id of the container's first. */
  readonly first: number;
  /** Where what is kept of it lies, and whether that goes with it. */
  readonly directory: string;
  readonly removes: boolean;
  readonly record: string;
  readonly input: boolean;
  readonly keys: readonly number[];
  /** Whether it ends with the caller's terminal. */
  readonly endsIt: boolean;
  /** What there is to be said when it has run out of memory. */
  readonly outOfMemory: string;
}

/** For a process that the supervisor knows already as the one that carries the terminal. */
export const planAttach = (name: string, attach: Attach): Plan => {
  const first = slot("first");
  return {
    name,
    failure: 1,
    descriptors: "standard",
    steps: [
      prepared("signals"),
      ...hold(attach.supervisor, supervisor, { reason: "it passes signals on, and waits" }),
      enter.openProcess(attach.first, first, {
        reason: "its end is the container's; it may have come",
        onError: "ignore",
      }),
      enter.copyDescriptor(supervisor, attach.master, master, "take the container's terminal"),
      steps.open(`${attach.directory}/${KEPT.log}`, O.O_WRONLY | O.O_APPEND | O.O_CLOEXEC, log),
      steps.open(attach.record, O.O_RDONLY | O.O_CLOEXEC, record),
      {
        kind: "attach",
        supervisor,
        first,
        signals,
        master,
        input: attach.input,
        log,
        record,
        keys: attach.keys,
        endsIt: attach.endsIt,
        outOfMemory: attach.outOfMemory,
        // Its supervisor may have done it.
        cleanup: attach.removes
          ? forget(attach.directory).map((step) => ({ ...step, onError: "ignore" as const }))
          : [],
        reason: "carry what is typed and printed, until the container ends or the keys to detach are typed",
      },
    ],
  };
};
