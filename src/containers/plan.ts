// From a container's config to the plan that makes it: the supervisor's part (record, control groups, fork, wait,
// clean up) and the child's (namespaces, root, mounts, privileges, program).

import { errno } from "../abi/errno.ts";
import { CLONE, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, partOf } from "../plan/call.ts";
import type { ForkStep, Plan, Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import {
  type Config,
  hasNamespace,
  hasNewNamespace,
  isEarly,
  isVolume,
  type Mount,
  type Namespace,
} from "./config.ts";
import {
  type Container,
  first,
  type Held,
  mask,
  master,
  pair,
  record,
  REPORT,
  signals,
  supervisor,
  umask,
} from "./container.ts";
import { CAPABILITIES, DEVICES, MASKED_PATHS, MOUNTS, READONLY_PATHS } from "./defaults.ts";
import { deviceNodes, protections, terminalAsConsole } from "./devices.ts";
import { directories, fileSystem, ownFile } from "./mounts.ts";
import { lastCalls, prepared } from "./prepared.ts";
import { boundingSet, confinement, identity } from "./privileges.ts";
import { become, behindInit, settings, windowSize, workingDirectory } from "./program.ts";
import { alarm, cleanup, openPair, openRecord, sweep, tellId } from "./record-steps.ts";
import { readonlyRoot, root } from "./root.ts";
import { attachVolume, closeVolumes, openVolumes } from "./volumes.ts";

export const NAMESPACE_FLAGS = {
  mount: CLONE.CLONE_NEWNS,
  pid: CLONE.CLONE_NEWPID,
  uts: CLONE.CLONE_NEWUTS,
  ipc: CLONE.CLONE_NEWIPC,
  network: CLONE.CLONE_NEWNET,
  cgroup: CLONE.CLONE_NEWCGROUP,
  user: CLONE.CLONE_NEWUSER,
  time: CLONE.CLONE_NEWTIME,
} as const;

export const planContainer = (name: string, container: Container, host: Host): Plan => ({
  name,
  failure: 125,
  // Not only the program: a directory of the caller's would be a way out for `-w /proc/self/fd/N` (CVE-2024-21626).
  descriptors: "standard",
  steps:
    container.background?.steps(container, start(container, host), volumesHeld(container, host)) ??
    attached(container, host),
});

/** `CLONE_NEW…` of them all. @see clone(2) */
export const namespaceFlags = (namespaces: readonly Pick<Namespace, "type">[]): number =>
  namespaces.reduce((flags, { type }) => flags | NAMESPACE_FLAGS[type], 0);

/** Why the kernel makes no new namespaces. */
export const REFUSALS: Readonly<Record<number, string>> = {
  [errno("EPERM")]: "this needs CAP_SYS_ADMIN: run it as root",
  [errno("ENOSPC")]: "the limit on namespaces is reached: see the max_*_namespaces files in /proc/sys/user",
};

/** The container's first process. */
const start = (container: Container, host: Host): ForkStep => {
  const { config, users } = container;
  // The cgroup namespace is made later, once the child is in its groups: they are to be its root.
  const kinds = config.linux.namespaces.filter(({ type, path }) => type !== "cgroup" && path === undefined);
  return {
    kind: "fork",
    flags: namespaceFlags(kinds),
    pid: first,
    reason: "the container's first process, in new namespaces",
    hints: { ...REFUSALS, ...users?.hints },
    child: child(container, host),
  };
};

/** Volumes that the supervisor opens, before there is a child, and closes when there is one. */
const volumesHeld = ({ config, users }: Container, host: Host): Held =>
  users?.isRoots ? { open: openVolumes(config, host), close: closeVolumes(config) } : { open: [], close: [] };

/** The process that was started supervises. */
const attached = (container: Container, host: Host): Step[] => {
  const { limits, input, users, timeout } = container;
  const { terminal } = container.config.process;
  const volumes = volumesHeld(container, host);
  return [
    prepared("signals"),
    ...openRecord(container),
    ...tellId(container),
    ...limits.create,
    ...steps.openSelf(supervisor),
    ...(terminal ? [openPair()] : []),
    ...volumes.open,
    ...(container.joins ?? []),
    ...(users?.prepare ?? []),
    start(container, host),
    ...volumes.close,
    ...(users?.admit(first) ?? []),
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
      killOn: container.killOn,
      ...(limits.notices.length > 0 && { notices: limits.notices }),
      tell: [record],
      ...sweep(container),
      cleanup: cleanup(container),
    },
  ];
};

const child = (container: Container, host: Host): Step[] => {
  const { config, limits, users } = container;
  const { process, linux } = config;
  // Mounts from the first that shows a piece of the host on come last: what is made safe before is not theirs to change.
  const volume = config.mounts.findIndex(isVolume);
  const from = volume < 0 ? config.mounts.length : volume;
  const attach = (mount: Mount, i: number): CallStep[] =>
    mount.type === "bind" || (users && isEarly(mount))
      ? attachVolume(mount, i, host, mount.type === "bind" && (users?.isRoots ?? false))
      : fileSystem(mount, limits.hierarchies);
  const isHeeded = container.background !== undefined;
  return [
    ...(container.background?.heeded ?? []),
    prepared("child"),
    ...(users?.wait ?? []),
    ...limits.join,
    // The change of ids has cleared it.
    ...(users ? [...users.enter, ...steps.dieWithParent(SIG.SIGKILL, supervisor)] : []),
    steps.joinKeyring(`_ses.${container.id}`, { reason: "the caller's keys are none of its business" }),
    ...(hasNamespace(linux, "cgroup")
      ? [
          steps.unshare(CLONE.CLONE_NEWCGROUP, {
            reason: "its own groups are the root of what it sees of them",
            ...(users?.refusals && { hints: users.refusals }),
          }),
        ]
      : []),
    steps.setUmask(0, umask, { reason: "modes of what is made below are meant as they are written" }),
    ...root(container, host),
    ...fileSystems(config.mounts.slice(0, from), attach, users === undefined),
    ...(linux.devices === DEVICES ? [prepared("devices")] : deviceNodes(linux.devices)),
    ...(container.files.length ? [...directories("/etc"), ...container.files.flatMap(ownFile)] : []),
    ...settings(container),
    ...(hasNewNamespace(linux, "network") ? [prepared("loopback")] : []),
    ...(hasNewNamespace(linux, "uts") ? [steps.setHostname(config.hostname ?? container.id)] : []),
    ...(linux.maskedPaths === MASKED_PATHS && linux.readonlyPaths === READONLY_PATHS
      ? [prepared("protections")]
      : protections(linux, host)),
    ...config.mounts.slice(from).flatMap((mount, i) => attach(mount, from + i)),
    ...(config.root.readonly ? [readonlyRoot(container)] : []),
    ...standardInput(container),
    ...limitsOn(container),
    ...(process.capabilities.bounding === CAPABILITIES
      ? [prepared("bounding set")]
      : boundingSet(process.capabilities.bounding)),
    ...identity(container, host),
    ...workingDirectory(process.cwd, config.root.readonly),
    ...(isHeeded ? lastCalls(REPORT + 1) : [prepared("last calls")]),
    ...(container.init ? [] : [steps.restoreSignals(mask)]),
    ...confinement(container, host),
    ...(container.init ? behindInit(process, isHeeded) : [become(process)]),
  ];
};

const limitsOn = ({ config: { process }, users }: Container): CallStep[] => {
  const hints = { [errno("EPERM")]: "a hard limit is raised by root outside alone" };
  return process.rlimits.map(({ type, soft, hard }) =>
    steps.limitResource(type, soft, hard, users ? { hints } : {}),
  );
};

/** Those of a container; the usual ones stand at the beginning, and nothing is special about them but in a user namespace. */
const fileSystems = (
  mounts: readonly Mount[],
  attach: (mount: Mount, i: number) => CallStep[],
  areUsual: boolean,
): Step[] => {
  const first = areUsual && MOUNTS.every((mount, i) => mounts[i] === mount) ? MOUNTS.length : 0;
  const others = mounts.slice(first).flatMap((mount, i) => attach(mount, first + i));
  return first ? [prepared("file systems"), ...others] : others;
};

/** Whether what is in /dev is the container's alone, and no volume's. */
const hasOwnDev = ({ mounts }: Config): boolean =>
  !mounts.some((mount) => isVolume(mount) && /^\/dev($|\/(console|pts)($|\/))/.test(mount.destination));

const standardInput = (container: Container): Step[] => {
  const { config, input, background } = container;
  if (config.process.terminal)
    return [
      ...steps.newTerminal(partOf(pair, 1)),
      ...windowSize(config.process),
      ...steps.useTerminal(),
      ...(hasOwnDev(config) ? terminalAsConsole() : []),
    ];
  return [...(input ? [] : [prepared("no input")]), ...(background?.output(container) ?? [])];
};
