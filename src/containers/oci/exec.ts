// The plan of `exec`: a process that joins a container, held to what its first process is held to. While it is not yet
// the program, nobody inside may look into it.

import { errno } from "../../abi/errno.ts";
import { SIG } from "../../abi/flags.ts";
import { planJoinPaths } from "../../cgroups/join.ts";
import type { Host } from "../../host/host.ts";
import { type Kind, kindFlags, kindReason, kinds, namespaceFile } from "../../namespaces/kinds.ts";
import { type CallStep, slot, valueOf } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import { mask, pair } from "../container.ts";
import { settings } from "../program.ts";
import type { FirstProcess } from "../recognise.ts";
import { type Bundle, CHANNEL, channel, ERRORS, ownErrors } from "./container.ts";
import { becomeProgram, refuseMissingModules, securityModules, windowSize } from "./process.ts";

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
  const { process } = bundle.config;
  refuseMissingModules(bundle.config, host);
  const [pid, signals, master] = [slot("pid"), slot("signals"), slot("master")];
  const join = joinSteps(request, host);
  const fork: Step = {
    kind: "fork",
    flags: 0,
    pid,
    reason: "only children are in the PID namespace",
    hints: { [errno("ENOMEM")]: "the container's first process has ended" },
    child: joiner(request, host),
  };
  if (isDetached)
    return {
      name,
      failure: FAILURE,
      descriptors: "standard",
      steps: [
        by.nameDescriptor(CHANNEL(bundle), FIRST, channel, { reason: "to the nsk that waits for all this" }),
        by.nameDescriptor(ERRORS(bundle), FIRST, ownErrors),
        ...join,
        fork,
        by.tellSlot(channel, pid),
        { kind: "exit", reason: "the process belongs to whoever called from now on" },
      ],
    };
  return {
    name,
    failure: FAILURE,
    descriptors: "standard",
    steps: [
      steps.setName("nsk"),
      steps.defaultSignal(SIG.SIGCHLD),
      steps.blockSignals("all", mask, { reason: "they are read from a descriptor, and passed on" }),
      steps.signalDescriptor(signals),
      ...(process.terminal ? [steps.socketPair(pair)] : []),
      ...join,
      fork,
      ...(process.terminal ? steps.takeDescriptor(pid, pair, master) : []),
      {
        kind: "supervise",
        pid,
        signals,
        ...(process.terminal && { terminal: { master, input: request.input } }),
        cleanup: [],
        reason: "pass signals on, and end as it ends",
      },
    ],
  };
};

const FIRST = 200;

/** Into the container's groups, and all its namespaces at once. */
const joinSteps = (request: ExecRequest, host: Host): Step[] => {
  const { bundle, first, groups } = request;
  const kinds = differing(first.pid, host);
  const process = slot("process");
  return [
    enter.openProcess(first.pid, process, {
      reason: "a hold on the container",
      hints: { [errno("ESRCH")]: "the container has ended" },
    }),
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

const joiner = ({ bundle, isDetached }: ExecRequest, host: Host): Step[] => {
  const { process } = bundle.config;
  const toNsk = valueOf(channel);
  const terminal: CallStep[] = !process.terminal
    ? []
    : isDetached
      ? [...steps.newTerminal(toNsk), ...windowSize(process)]
      : steps.openTerminal(pair);
  return [
    ...(isDetached ? by.awaitPeer(channel, "until nsk knows who this is") : []),
    ...(bundle.users?.enter ?? []),
    steps.setsid({ reason: "a session of its own" }),
    ...(bundle.keepsKeyring ? [] : [steps.joinKeyring(`_ses.${bundle.id}`)]),
    ...terminal,
    ...becomeProgram(bundle, host, isDetached ? [] : "untold"),
  ];
};
