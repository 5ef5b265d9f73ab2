// Another program in a container that runs: the plan from an OCI process and the container's first process.
//
// Three processes: the one that was started waits, outside. A second enters the container's groups and namespaces and
// becomes what the program is to be (user, capabilities, descriptors); its process id is still one of the host's, so the
// container's processes do not see it. From it comes the third, inside the PID namespace, which is the program.

import { CLONE, O, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, partOf, slot, valueOf } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Plan, Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { hold } from "./hold.ts";
import { heeded } from "./background.ts";
import type { NamespaceType, Process } from "./config.ts";
import { mask, pair, report, REPORT, supervisor } from "./container.ts";
import { namespaceFlags } from "./plan.ts";
import { prepared } from "./prepared.ts";
import { boundingSet, confinement, type Confined, identity } from "./privileges.ts";
import { become } from "./program.ts";
import { openPair } from "./record-steps.ts";
import type { FirstProcess } from "./recognise.ts";
import { program, superviseSibling, tellProgram, told } from "./sibling.ts";

export interface Exec {
  readonly process: Process;
  /** The container's first process. */
  readonly target: FirstProcess;
  /** The namespaces of it that are not the caller's. */
  readonly namespaces: readonly NamespaceType[];
  /** Enters its control groups. */
  readonly join: readonly CallStep[];
  /** The container's filter on system calls. */
  readonly filter: Uint8Array | undefined;
  /** See typingFilter(). */
  readonly typing?: Uint8Array | undefined;
  /** The name of the container's session keyring. */
  readonly keyring: string;
  /** With a user namespace: whether setgroups(2) works inside. */
  readonly users?: { readonly setsGroups: boolean } | undefined;
  /** The caller's standard input is the program's; otherwise it reads nothing. */
  readonly input: boolean;
  /** Nobody waits for it, and what it prints goes nowhere. A terminal is not for such. */
  readonly background: boolean;
}

const target = slot("target");

/** The descriptor that the pipe for the program's id has at last. */
const TOLD = 3;

/** The exit status when something fails that is not the program's: docker's. */
const FAILURE = 126;

export const planExec = (name: string, exec: Exec, host: Host): Plan => {
  const { process, background, input, target: first } = exec;
  const inside = slot("inside");
  const { terminal } = process;
  const start: Step[] = [
    ...(background ? [] : [enter.pipe(told, { reason: "over it comes the program's process id" })]),
    prepared("signals"),
    ...steps.openSelf(supervisor),
    ...hold(first, target, { reason: "a hold on the container's first process", status: 1 }),
    ...(terminal ? [openPair()] : []),
    {
      kind: "fork",
      flags: 0,
      pid: inside,
      reason: "it enters the container",
      child: entering(exec, host),
    },
  ];
  const end: Step[] = background
    ? [
        {
          kind: "wait",
          pid: inside,
          signaled: "status",
          cleanup: [],
          reason: "until the program is executed",
        },
      ]
    : superviseSibling(inside, terminal, input, "pass signals on, until the program ends");
  return { name, failure: FAILURE, descriptors: "standard", steps: [...start, ...end] };
};

/** The second process, until it has become what the program is to be. */
const entering = (exec: Exec, host: Host): Step[] => {
  const { process, namespaces, join, keyring, users, input, background, filter, typing } = exec;
  const confined: Confined = { config: { process }, filter, typing, users };
  const flags = namespaceFlags(namespaces.map((type) => ({ type })));
  // Who traces may take what a process has before it is let go. Nobody inside sees this one, unless all see all.
  const isEarly = process.capabilities.bounding.includes("CAP_SYS_PTRACE");
  const confine = confinement(confined, host);
  return [
    ...steps.dieWithParent(SIG.SIGKILL, supervisor),
    ...join,
    ...(process.oomScoreAdj === undefined
      ? []
      : steps.writeFile("/proc/self/oom_score_adj", String(process.oomScoreAdj))),
    enter.setns(target, flags, "enter the container", {
      reason: "all of its namespaces, or none; of the PID namespace children alone are part",
    }),
    ...(namespaces.includes("user")
      ? [
          steps.setgid(0, { reason: "root of its user namespace, whoever that is outside" }),
          steps.setuid(0),
          enter.ownFilesOfProc(),
        ]
      : []),
    steps.joinKeyring(keyring, { reason: "the caller's keys are none of its business" }),
    ...process.rlimits.map(({ type, soft, hard }) => steps.limitResource(type, soft, hard)),
    ...standard(process.terminal, input, background),
    ...boundingSet(process.capabilities.bounding),
    ...identity(confined, host),
    steps.chdir(process.cwd),
    ...(isEarly ? confine : []),
    ...(background ? behind(process, isEarly ? [] : confine) : beside(process, isEarly ? [] : confine)),
  ];
};

const standard = (terminal: boolean, input: boolean, background: boolean): CallStep[] => {
  if (background) return [];
  if (terminal) return [...steps.newTerminal(partOf(pair, 1)), ...steps.standOnTerminal()];
  return input ? [] : steps.readNothing();
};

const hide = (): CallStep =>
  enter.hideFromOthers({
    reason: "what is visible inside from here on is not to be looked into before it is the program",
  });

/** The program as a child of the one that was started: a sibling of this process, which is done then. */
const beside = (process: Process, confine: readonly CallStep[]): Step[] => {
  const tell = slot("tell");
  return [
    steps.moveDescriptor(partOf(told, 1), TOLD, tell),
    steps.closeFrom(TOLD + 1, { reason: "no descriptor of the host gets in" }),
    hide(),
    {
      kind: "fork",
      flags: CLONE.CLONE_PARENT,
      pid: program,
      reason: "in the container's PID namespace",
      child: [
        // Not by a pidfd, which who traces could take, and with it the descriptors of a process outside: a pipe that
        // nobody reads any more is in error.
        ...steps.dieWithParent(SIG.SIGKILL, tell),
        steps.setsid(),
        ...(process.terminal ? [steps.controlTerminal()] : []),
        steps.closeFrom(TOLD),
        steps.restoreSignals(mask),
        ...confine,
        become(process),
      ],
    },
    tellProgram(valueOf(tell)),
    { kind: "exit", reason: "the other waits for the program" },
  ];
};

/** The program as a child that stays when this process ends, once it has been executed. */
const behind = (process: Process, confine: readonly CallStep[]): Step[] => {
  const nothing = slot("nothing");
  return [
    steps.closeFrom(3, { reason: "no descriptor of the host gets in" }),
    steps.open("/dev/null", O.O_RDWR | O.O_CLOEXEC, nothing),
    enter.pipe(report, { reason: "the program's end is closed when it is executed" }),
    hide(),
    {
      kind: "fork",
      flags: 0,
      pid: program,
      reason: "in the container's PID namespace",
      child: [
        ...steps.hush(nothing),
        ...heeded(),
        steps.setsid(),
        steps.closeFrom(REPORT + 1),
        steps.restoreSignals(mask),
        ...confine,
        become(process),
      ],
    },
    steps.closePart(report, 1),
    { kind: "heed", pid: program, from: report, confirms: false, cleanup: [] },
    { kind: "exit", reason: "the program goes on" },
  ];
};
