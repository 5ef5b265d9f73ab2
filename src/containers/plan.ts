// From a container's config to the plan that makes it: the supervisor's part (record, control groups, fork, wait,
// clean up) and the child's (namespaces, root, mounts, privileges, program).

import { errno } from "../abi/errno.ts";
import { encode } from "../abi/bytes.ts";
import { CLONE, MS, O, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, int, type Slot, slot } from "../plan/call.ts";
import { FAILED, type ForkStep, type Plan, STARTED, type Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { call } from "../plan/steps.ts";
import { hasNamespace } from "./config.ts";
import {
  type Container,
  errors,
  mask,
  mayOpenDevices,
  output,
  pair,
  record,
  REPORT,
  report,
  silence,
  supervisor,
} from "./container.ts";
import { devices, protections } from "./devices.ts";
import { end, forget, keep, log } from "./kept.ts";
import { STREAM } from "./log.ts";
import { directories, fileSystem, ownFile, remountReadonly } from "./mounts.ts";
import { confinement, identity } from "./privileges.ts";
import { become, behindInit, failedMark, settings, standardInput, workingDirectory } from "./program.ts";
import { NAMES, STATE } from "./record.ts";
import { forgetName, openRecord, tellId } from "./record-steps.ts";
import { root } from "./root.ts";
import { attachVolume } from "./volumes.ts";

const NAMESPACE_FLAGS = {
  mount: CLONE.CLONE_NEWNS,
  pid: CLONE.CLONE_NEWPID,
  uts: CLONE.CLONE_NEWUTS,
  ipc: CLONE.CLONE_NEWIPC,
  network: CLONE.CLONE_NEWNET,
  cgroup: CLONE.CLONE_NEWCGROUP,
} as const;

export const planContainer = (name: string, container: Container, host: Host): Plan => ({
  name,
  failure: 125,
  // Not only the program: a directory of the caller's would be a way out for `-w /proc/self/fd/N` (CVE-2024-21626).
  descriptors: "standard",
  steps: [
    steps.setName("nsk"),
    ...(container.directory === undefined ? attached(container, host) : detached(container, host)),
  ],
});

const prepare = [
  steps.defaultSignal(SIG.SIGCHLD, {
    reason: "a caller that ignores it would leave nothing to wait for",
  }),
  steps.blockSignals("all", mask, {
    reason: "the supervisor reads signals from a descriptor instead, once there is a container",
  }),
];
const [first, signals, master] = [slot("pid"), slot("signals"), slot("master")];

/** The container's first process. */
const start = (container: Container, host: Host): ForkStep => {
  // The cgroup namespace is made later, once the child is in its groups: they are to be its root.
  const kinds = container.config.linux.namespaces.filter(({ type }) => type !== "cgroup");
  return {
    kind: "fork",
    flags: kinds.reduce((flags, { type }) => flags | NAMESPACE_FLAGS[type], 0),
    pid: first,
    reason: "the container's first process, in new namespaces",
    hints: {
      [errno("EPERM")]: "this needs CAP_SYS_ADMIN: run it as root",
      [errno("ENOSPC")]:
        "the limit on namespaces is reached: see the max_*_namespaces files in /proc/sys/user",
    },
    child: child(container, host),
  };
};

const openPair = (): CallStep =>
  steps.socketPair(pair, { reason: "over it the child tells which descriptor its terminal is" });

const alarm = ({ timeout }: Container): CallStep[] =>
  timeout === undefined
    ? []
    : [steps.setAlarm(timeout, { reason: "the container is killed when this is over" })];

/** The record goes last: it says what is to be removed. */
const cleanup = (container: Container, more: readonly CallStep[] = []): CallStep[] => [
  ...container.limits.remove,
  ...forgetName(container),
  ...more,
  steps.unlink(`${STATE}/${container.id}`),
];

/** The process that was started supervises. */
const attached = (container: Container, host: Host): Step[] => {
  const { limits, input, timeout } = container;
  const { terminal } = container.config.process;
  return [
    ...prepare,
    steps.signalDescriptor(signals),
    ...openRecord(container),
    ...tellId(container),
    ...limits.create,
    ...steps.openSelf(supervisor),
    ...(terminal ? [openPair()] : []),
    start(container, host),
    ...(terminal ? steps.takeDescriptor(first, pair, master) : []),
    ...alarm(container),
    {
      kind: "supervise",
      pid: first,
      signals,
      ...(terminal && { terminal: { master, input } }),
      reason: terminal
        ? "carry what is typed and printed, pass signals on, until the container ends"
        : "pass signals on, until the container ends",
      timeout,
      ...(limits.notices.length > 0 && { notices: limits.notices }),
      tell: [record],
      cleanup: cleanup(container),
    },
  ];
};

/** Another process supervises, in a session of its own; the one that was started prints the id once there is a program. */
const detached = (container: Container, host: Host): Step[] => {
  const [started, pid] = [slot("started"), slot("supervisor process")];
  const id = `${container.id}\n`;
  return [
    steps.pipe(started, { reason: "over it the supervisor tells that the program has been executed" }),
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: "the supervisor, which stays",
      child: inBackground(container, started, host),
    },
    steps.closePart(started, 1),
    { kind: "heed", pid, from: started, confirms: true, cleanup: [], reason: "wait for that" },
    call("write", [int(1), { type: "bytes", value: encode(id) }, int(id.length)], "write the id"),
    { kind: "exit", reason: "the container goes on" },
  ];
};

const inBackground = (container: Container, started: Slot, host: Host): Step[] => {
  const { limits, input, timeout, directory = "", details } = container;
  const { terminal } = container.config.process;
  const nothing = slot("nothing");
  return [
    steps.closePart(started, 0, { undo: steps.tell(started, FAILED) }),
    steps.setsid({ reason: "no signal of the caller's terminal comes here" }),
    ...prepare,
    steps.signalDescriptor(signals),
    steps.open("/dev/null", O.O_RDWR | O.O_CLOEXEC, nothing),
    ...openRecord(container),
    ...tellId(container),
    ...keep(container),
    ...limits.create,
    ...steps.openSelf(supervisor),
    steps.pipe(report, { reason: "the child's end is closed when it executes the program" }),
    ...(terminal ? [openPair()] : [steps.pipe(output), steps.pipe(errors)]),
    ...(input && !terminal
      ? [steps.pipe(silence, { reason: "an input that nothing comes from, nor an end" })]
      : []),
    start(container, host),
    steps.closePart(report, 1),
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
      cleanup: cleanup(container, details.autoRemove ? forget(directory) : []),
    },
  ];
};

/** Of one that has not started nothing is kept. */
const forgetAll = ({ details: { name, autoRemove }, directory = "" }: Container): CallStep[] => [
  ...(name === undefined || autoRemove ? [] : [steps.unlink(`${NAMES}/${name}`)]),
  ...forget(directory),
];

const child = (container: Container, host: Host): Step[] => {
  const { config, limits } = container;
  const { process, linux } = config;
  // Mounts from the first that shows a piece of the host on come last: what is made safe before is not theirs to change.
  const bind = config.mounts.findIndex(({ type }) => type === "bind");
  const first = bind < 0 ? config.mounts.length : bind;
  const isHeeded = container.directory !== undefined;
  return [
    ...(isHeeded
      ? [
          steps.duplicate(report, 1, REPORT, {
            closes: true,
            undo: failedMark(),
            reason: "why it cannot be started is told here, not in the container's log",
          }),
          { kind: "report", to: REPORT } as const,
        ]
      : []),
    ...steps.dieWithParent(SIG.SIGKILL, supervisor),
    ...steps.appendIdentity(record, {
      reason: "whom the next run ends, should the supervisor be killed and this live on",
    }),
    steps.setsid({ reason: "signals of the caller's terminal go to the supervisor alone" }),
    steps.joinKeyring(`_ses.${container.id}`, { reason: "the caller's keys are none of its business" }),
    ...limits.join,
    ...(hasNamespace(linux, "cgroup")
      ? [
          steps.unshare(CLONE.CLONE_NEWCGROUP, {
            reason: "its own groups are the root of what it sees of them",
          }),
        ]
      : []),
    ...root(container, host),
    steps.setUmask(0, slot("umask"), { reason: "modes of what is made below are meant as they are written" }),
    ...config.mounts.slice(0, first).flatMap((mount) => fileSystem(mount, container)),
    ...devices(linux),
    ...(container.files.length ? [...directories("/etc"), ...container.files.flatMap(ownFile)] : []),
    ...settings(config),
    ...(hasNamespace(linux, "network") ? steps.loopbackUp() : []),
    ...(hasNamespace(linux, "uts") ? [steps.setHostname(config.hostname)] : []),
    ...protections(linux, host),
    ...config.mounts
      .slice(first)
      .flatMap((mount, i) =>
        mount.type === "bind" ? attachVolume(mount, first + i, host) : fileSystem(mount, container),
      ),
    ...(config.root.readonly ? [remountReadonly("/", mayOpenDevices(container) ? 0 : MS.MS_NODEV)] : []),
    ...standardInput(container),
    ...process.rlimits.map(({ type, soft, hard }) => steps.limitResource(type, soft, hard)),
    ...identity(container, host),
    ...workingDirectory(process.cwd, config.root.readonly),
    steps.parentDeathSignal(SIG.SIGKILL, { reason: "again: a change of user has cleared it" }),
    steps.restoreUmask(slot("umask")),
    ...(container.init ? [] : [steps.restoreSignals(mask)]),
    steps.closeFrom(isHeeded ? REPORT + 1 : 3, { reason: "no descriptor of the host gets in" }),
    ...confinement(container, host),
    ...(container.init ? behindInit(process, isHeeded) : [become(process)]),
  ];
};
