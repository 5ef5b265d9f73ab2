// The plan of `exec`: a process that joins a container, held to what its first process is held to. While it is not yet
// the program, nobody inside may look into it.

import { errno } from "../../abi/errno.ts";
import { CLONE, SIG } from "../../abi/flags.ts";
import { planJoinPaths } from "../../cgroups/join.ts";
import type { Host } from "../../host/host.ts";
import { type Kind, kindFlags, kindReason, kinds, namespaceFile } from "../../namespaces/kinds.ts";
import { type CallStep, partOf, slot, valueOf } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import { hold } from "../hold.ts";
import { mask, pair, signals } from "../container.ts";
import { confinement } from "../privileges.ts";
import { settings, windowSize } from "../program.ts";
import type { FirstProcess } from "../recognise.ts";
import { program, superviseSibling, tellProgram, told } from "../sibling.ts";
import { type Bundle, CHANNEL, channel, ERRORS, NAMED, ownErrors } from "./container.ts";
import {
  becomeProgram,
  giveStandard,
  prepareProgram,
  refuseMissingModules,
  securityModules,
  tellReady,
} from "./process.ts";

export interface ExecRequest {
  /** The container, whose config's process is the one that joins. */
  readonly bundle: Bundle;
  readonly first: FirstProcess;
  /** Directories of control groups. */
  readonly groups: readonly string[];
  /** nsk waits until the process is ready and goes; otherwise the launcher waits for its end. */
  readonly isDetached: boolean;
  /** The caller's standard input is a terminal whose keys are carried. */
  readonly input: boolean;
}

/** runc's, for all that is not the program's own. */
const FAILURE = 255;

export const planExec = (name: string, request: ExecRequest, host: Host): Plan => {
  const { bundle, isDetached } = request;
  refuseMissingModules(bundle.config, host);
  return {
    name,
    failure: FAILURE,
    descriptors: "standard",
    steps: isDetached ? detached(request, host) : foreground(request, host),
  };
};

/** The one that enters leaves the program behind. */
const detached = (request: ExecRequest, host: Host): Step[] => {
  const { bundle } = request;
  const { terminal } = bundle.config.process;
  return [
    by.nameDescriptor(CHANNEL(bundle), NAMED(bundle), channel, {
      reason: "to the nsk that waits for all this",
    }),
    by.nameDescriptor(ERRORS(bundle), NAMED(bundle), ownErrors),
    ...entering(request, host, {
      flags: 0,
      terminal: steps.newTerminal(valueOf(channel)),
      ready: [...by.awaitPeer(channel, "until nsk has written down who this is"), ...tellReady()],
      isTold: true,
    }),
    by.tellSlot(channel, program, { reason: terminal ? "and who has it" : "nsk writes down who it is" }),
    { kind: "exit", reason: "the process belongs to whoever called from now on" },
  ];
};

/** The one that was started waits outside; the one that enters makes the program its own sibling. */
const foreground = (request: ExecRequest, host: Host): Step[] => {
  const { terminal } = request.bundle.config.process;
  const inside = slot("inside");
  return [
    steps.setName("nsk"),
    steps.defaultSignal(SIG.SIGCHLD),
    steps.blockSignals("all", mask, { reason: "they are read from a descriptor, and passed on" }),
    steps.signalDescriptor(signals),
    enter.pipe(told, { reason: "over it comes the program's process id" }),
    ...(terminal ? [steps.socketPair(pair)] : []),
    {
      kind: "fork",
      flags: 0,
      pid: inside,
      reason: "it enters the container",
      child: [
        ...entering(request, host, {
          flags: CLONE.CLONE_PARENT,
          terminal: steps.newTerminal(partOf(pair, 1)),
          ready: [steps.restoreSignals(mask)],
          isTold: false,
        }),
        tellProgram(partOf(told, 1)),
        { kind: "exit", reason: "the other waits for the program" },
      ],
    },
    ...superviseSibling(inside, terminal, request.input, "pass signals on, and end as it ends"),
  ];
};

/** Into the container's groups, and all its namespaces at once. */
const joinSteps = (request: ExecRequest, host: Host): Step[] => {
  const { bundle, first, groups } = request;
  const kinds = differing(first.pid, host);
  const process = slot("process");
  return [
    ...hold(first, process, { reason: "a hold on the container" }),
    ...planJoinPaths(host, groups),
    // What /proc is asked for is asked of the host's.
    ...settings(bundle, "process"),
    ...securityModules(bundle.config, host),
    enter.hideFromOthers({
      reason: "who is in the container may not look into this process (CVE-2016-9962)",
    }),
    ...(kinds.length
      ? [
          enter.setns(process, kindFlags(kinds), "enter the container", {
            reason: kindReason(kinds).replace("new ", "the container's "),
          }),
        ]
      : []),
    steps.close(process),
  ];
};

/** Kinds of which the container has another than this process. */
const differing = (pid: number, host: Host): Kind[] =>
  (Object.keys(kinds) as Kind[]).filter((kind) => {
    const file = namespaceFile(kind);
    const theirs = host.link(`/proc/${pid}/ns/${file}`);
    return theirs !== undefined && theirs !== host.link(`/proc/self/ns/${file}`);
  });

interface Entering {
  /** For the fork of the program. */
  readonly flags: number;
  readonly terminal: readonly CallStep[];
  /** What the program's process does first. */
  readonly ready: readonly CallStep[];
  /** nsk listens. */
  readonly isTold: boolean;
}

/**
 * A process that the container's own do not see becomes all that the program is to be, and only then is there one inside
 * the PID namespace: who traces there would find what it has before it is let go.
 */
const entering = (request: ExecRequest, host: Host, how: Entering): Step[] => {
  const { bundle } = request;
  const { process } = bundle.config;
  const confine = confinement(bundle, host);
  // Who may trace everybody could still take what the program's process has until it is confined.
  const isEarly = process.capabilities.bounding.includes("CAP_SYS_PTRACE");
  return [
    ...joinSteps(request, host),
    ...(bundle.users?.enter ?? []),
    ...(bundle.keepsKeyring ? [] : [steps.joinKeyring(`_ses.${bundle.id}`)]),
    ...(process.terminal ? [...how.terminal, ...windowSize(process), ...steps.standOnTerminal()] : []),
    ...giveStandard(bundle, host, how.isTold),
    ...prepareProgram(bundle, host),
    ...(isEarly ? confine : []),
    enter.hideFromOthers({
      reason:
        "what is visible inside from here on is not to be looked into before it is the program (CVE-2016-9962)",
    }),
    {
      kind: "fork",
      flags: how.flags,
      pid: program,
      reason: "in the container's PID namespace",
      hints: { [errno("ENOMEM")]: "the container's first process has ended" },
      child: [
        steps.setsid({ reason: "a session of its own" }),
        ...(process.terminal ? [steps.controlTerminal()] : []),
        ...how.ready,
        ...becomeProgram(bundle, isEarly ? [] : confine),
      ],
    },
  ];
};
