// From a bundle's config to the plan of `create`: nsk's child makes groups and forks the container's first process, which
// puts itself together, tells nsk, and waits at a named pipe for `start`. Nothing of nsk stays.

import { errno } from "../../abi/errno.ts";
import { CLONE, MNT, MOUNT_ATTR, MS, O } from "../../abi/flags.ts";
import type { Host } from "../../host/host.ts";
import { parseMountinfo } from "../../host/mountinfo.ts";
import { type Kind, kinds } from "../../namespaces/kinds.ts";
import { enterHints, fileHints } from "../../namespaces/refusals.ts";
import { type CallStep, type Slot, slot, valueOf } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Plan, Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import { type Config, type NamespaceType, type Propagation, type RootPropagation } from "../config.ts";
import { umask } from "../container.ts";
import { deviceNodes } from "../devices.ts";
import { namespaceFlags, REFUSALS } from "../plan.ts";
import { confinement } from "../privileges.ts";
import { settings, windowSize } from "../program.ts";
import {
  type Bundle,
  CHANNEL,
  channel,
  CREATED,
  CREATING,
  ERRORS,
  NAMED,
  ownErrors,
  START,
  start,
} from "./container.ts";
import { openStates, runHooks } from "./hooks.ts";
import { ensureDirectory, idMaps, mountAll, openSources, refuseOldKernel } from "./mounts.ts";
import {
  becomeProgram,
  giveStandard,
  prepareProgram,
  refuseMissingModules,
  securityModules,
  tellReady,
} from "./process.ts";
import { protectPaths } from "./protections.ts";

/** runc's. */
const FAILURE = 1;

export const planCreate = (name: string, bundle: Bundle, host: Host): Plan => {
  const { limits, users } = bundle;
  const { hooks = {} } = bundle.config;
  refuseOldKernel(host);
  refuseMissingModules(bundle.config, host);
  const pid = slot("pid");
  const fresh = bundle.config.linux.namespaces.filter(
    ({ type, path }) => path === undefined && type !== "cgroup" && type !== "time",
  );
  const isOutside = users?.isRoots ?? true;
  return {
    name,
    failure: FAILURE,
    descriptors: "standard",
    steps: [
      steps.setName("nsk"),
      by.nameDescriptor(CHANNEL(bundle), NAMED(bundle), channel, {
        reason: "to the nsk that waits for all this",
      }),
      by.nameDescriptor(ERRORS(bundle), NAMED(bundle), ownErrors, {
        reason: "the program's; what is said until then nsk reads",
      }),
      steps.open(`${bundle.directory}/${START}`, O.O_RDWR | O.O_CLOEXEC, start, {
        reason: "a pipe that has no reader and no writer but itself, until there is a start",
      }),
      ...openStates("createContainer", hooks.createContainer, `${bundle.directory}/${CREATING}`),
      ...openStates("startContainer", hooks.startContainer, `${bundle.directory}/${CREATED}`),
      ...limits.create,
      ...(isOutside ? [...idMaps(bundle), ...openSources(bundle, host)] : []),
      ...enterNamespaces(bundle.config, host),
      ...(users?.prepare ?? []),
      {
        kind: "fork",
        flags: namespaceFlags(fresh),
        pid,
        reason: "the container's first process",
        hints: { ...REFUSALS, ...users?.hints },
        child: first(bundle, host),
      },
      ...(users?.admit(pid) ?? []),
      by.tellSlot(channel, pid, { reason: "nsk writes down who it is" }),
      { kind: "exit", reason: "the container belongs to whoever called from now on" },
    ],
  };
};

const KINDS: Readonly<Record<NamespaceType, Kind>> = {
  user: "user",
  mount: "mount",
  pid: "pid",
  uts: "uts",
  ipc: "ipc",
  network: "net",
  cgroup: "cgroup",
  time: "time",
};

/** Those that are there: all are opened while their paths can be seen. The user namespace is last: it is the way down. */
const enterNamespaces = ({ linux }: Config, host: Host): Step[] => {
  const joined = ORDER.flatMap((type) => linux.namespaces.filter((it) => it.type === type && it.path));
  const fdOf = (type: NamespaceType): Slot => slot(`${type}ns`);
  const out: Step[] = joined.map(({ type, path }) =>
    steps.open(path!, O.O_RDONLY | O.O_CLOEXEC, fdOf(type), {
      title: `enter the ${type} namespace ${path}`,
      hints: fileHints,
    }),
  );
  for (const { type, path } of joined) {
    const kind = KINDS[type];
    out.push(
      enter.setns(fdOf(type), kinds[kind].flag, `enter the ${type} namespace ${path}`, {
        reason: kinds[kind].isolates,
        hints: enterHints(host, [kind]),
      }),
    );
  }
  if (linux.namespaces.some(({ type, path }) => type === "time" && path === undefined)) {
    out.push(steps.unshare(CLONE.CLONE_NEWTIME, { reason: "clocks of the child's own" }));
    for (const clock of ["boottime", "monotonic"] as const) {
      const offset = linux.timeOffsets?.[clock];
      if (offset)
        out.push(
          ...steps.writeFile("/proc/self/timens_offsets", `${clock} ${offset.secs} ${offset.nanosecs}`, {
            title: `set the ${clock} clock`,
            hints: { [errno("ERANGE")]: "a clock can neither be before 0 nor end within 146 years" },
          }),
        );
    }
  }
  return out;
};

const ORDER: readonly NamespaceType[] = ["cgroup", "ipc", "uts", "network", "pid", "time", "mount", "user"];

/** The container's first process, from its beginning to its program. */
const first = (bundle: Bundle, host: Host): Step[] => {
  const { config, limits, users } = bundle;
  const { process, linux, hooks = {}, root } = config;
  const own = (type: NamespaceType): boolean => isNew(config, type);
  const isBefore = Boolean(hooks.prestart ?? hooks.createRuntime ?? hooks.createContainer);
  const { terminal } = process;
  const asked = plainOf(linux.rootfsPropagation ?? "slave");
  const before = asked === "unbindable" ? "private" : asked;
  const hasDevices = !config.mounts.some(
    ({ destination, type }) => destination === "/dev" && type === "bind",
  );
  const inside: Step[] = [
    steps.setUmask(0, umask, { reason: "modes of what is made below are meant as they are written" }),
    ...mountAll(bundle, host),
    ...(hasDevices ? deviceNodes(linux.devices).map(tolerant) : []),
    ...(terminal ? [...steps.newTerminal(valueOf(channel)), ...windowSize(process), ...consoleSteps()] : []),
    ...ensureDirectory(process.cwd),
  ];
  return [
    ...(users?.wait ?? []),
    ...by.awaitPeer(channel, "until nsk has written down who this is; when it is dead, end here"),
    ...limits.join,
    ...(users?.enter ?? []),
    steps.setsid({ reason: "a session of its own" }),
    ...(bundle.keepsKeyring
      ? []
      : [steps.joinKeyring(`_ses.${bundle.id}`, { reason: "the caller's keys are none of its business" })]),
    ...(own("cgroup")
      ? [
          steps.unshare(CLONE.CLONE_NEWCGROUP, {
            reason: "its own groups are the root of what it sees of them",
          }),
        ]
      : []),
    // The host's proc is still the one that /proc leads to: nothing of the container's can stand in its place.
    ...settings(bundle),
    ...securityModules(config, host),
    // Always of the whole tree; and what cannot be bound is not bound yet.
    propagate("/", before, "make the mounts the container's own", true),
    ...(before === "shared" ? [parentPrivate(root.path, host)] : []),
    ...(users?.early ?? []),
    ...((users?.isRoots ?? true) ? [] : openSources(bundle, host)),
    steps.mount(
      { source: root.path, target: root.path, fstype: null, flags: MS.MS_BIND | MS.MS_REC, data: null },
      { reason: "a root must be a mount", title: `use ${root.path} as the root` },
    ),
    // It is a copy of a shared mount, where its directory is one.
    ...(before === "shared" ? [makePrivate(root.path)] : []),
    ...(isBefore ? beforeHooks(bundle, inside) : [...changeRoot(bundle), ...inside]),
    ...(own("network") ? steps.loopbackUp() : []),
    ...(config.hostname === undefined ? [] : [steps.setHostname(config.hostname)]),
    ...(config.domainname === undefined ? [] : [by.setDomainname(config.domainname)]),
    ...protectPaths(bundle, host),
    ...(root.readonly
      ? [steps.restrictMount("/", MOUNT_ATTR.MOUNT_ATTR_RDONLY, { title: "make / read-only" })]
      : []),
    // Private they are by now, each that the options of its own do not say more of.
    ...(linux.rootfsPropagation === undefined || asked === "private"
      ? []
      : [finalPropagation(linux.rootfsPropagation)]),
    ...(terminal ? steps.useTerminal() : []),
    ...giveStandard(bundle, host, true),
    ...prepareProgram(bundle, host),
    ...tellReady(),
    ...by.awaitStart(start),
    ...runHooks("startContainer", hooks.startContainer, confinement(bundle, host)),
    ...becomeProgram(bundle, confinement(bundle, host)),
  ];
};

/** Whether it gets a new one, and not one by its path. */
const isNew = ({ linux }: Config, type: NamespaceType): boolean =>
  linux.namespaces.some((it) => it.type === type && it.path === undefined);

const PROPAGATION: Readonly<Record<Propagation, number>> = {
  shared: MS.MS_SHARED,
  slave: MS.MS_SLAVE,
  private: MS.MS_PRIVATE,
  unbindable: MS.MS_UNBINDABLE,
};

const propagate = (target: string, how: Propagation, title: string, isRecursive: boolean): CallStep =>
  steps.mount(
    {
      source: null,
      target,
      fstype: null,
      flags: PROPAGATION[how] | (isRecursive ? MS.MS_REC : 0),
      data: null,
    },
    { title },
  );

const plainOf = (how: RootPropagation): Propagation =>
  (how in PROPAGATION ? how : how.slice(1)) as Propagation;

const finalPropagation = (how: RootPropagation): CallStep =>
  propagate("/", plainOf(how), "set the propagation of /", !(how in PROPAGATION));

/** The mount that the root lies in: with a shared one there is no pivot_root(2), and the bind would show on the host. */
const parentPrivate = (path: string, host: Host): CallStep => {
  let parent = "/";
  for (const { mountPoint } of parseMountinfo(host.read("/proc/self/mountinfo") ?? ""))
    if (`${path}/`.startsWith(`${mountPoint}/`) && mountPoint.length > parent.length) parent = mountPoint;
  return makePrivate(parent);
};

const makePrivate = (target: string): CallStep =>
  steps.mount(
    { source: null, target, fstype: null, flags: MS.MS_PRIVATE, data: null },
    { title: `make ${target} private` },
  );

/** @see pivot_root(2) */
const changeRoot = (bundle: Bundle): CallStep[] => {
  const { root } = bundle.config;
  const go = steps.chdir(root.path);
  if (bundle.noPivot)
    return [
      go,
      steps.chroot(".", { reason: "without a pivot_root: the host's tree is out of sight" }),
      steps.chdir("/"),
    ];
  return [
    go,
    steps.pivotRoot(".", ".", { reason: "the new root; the old one lies over it" }),
    steps.umount(".", MNT.MNT_DETACH, {
      title: "leave the old root",
      reason: "and now the host's tree is out of reach",
    }),
    steps.chdir("/"),
  ];
};

/**
 * Hooks see the host's tree and, in it, the mounts of the container: these are made from inside, with the root as the
 * root and no descriptor that leads out, and then the way back is the namespace's own root.
 */
const beforeHooks = (bundle: Bundle, inside: readonly Step[]): Step[] => {
  const { hooks = {}, root } = bundle.config;
  const namespace = slot("mnt");
  return [
    steps.open("/proc/self/ns/mnt", O.O_RDONLY | O.O_CLOEXEC, namespace, {
      reason: "the way back to the host's tree, which no path leads through",
    }),
    steps.chdir(root.path),
    steps.chroot(".", { reason: "no link leads out of the root while it is put together" }),
    steps.chdir("/"),
    ...inside,
    enter.setns(namespace, CLONE.CLONE_NEWNS, "go back to the host's tree", {
      reason: "hooks see the host's tree",
    }),
    steps.close(namespace),
    ...by.tellByte(channel, "nsk runs the hooks of the runtime"),
    ...by.awaitPeer(channel, "until they are done; when one failed, end here"),
    ...runHooks("createContainer", hooks.createContainer, []),
    ...changeRoot(bundle),
  ];
};

/** A node or link that the image has already stays. */
const tolerant = (step: CallStep): CallStep =>
  step.name === "mknodat" || step.name === "symlinkat" || step.name === "mkdirat"
    ? { ...step, tolerate: [...(step.tolerate ?? []), errno("EEXIST"), errno("EROFS")] }
    : step;

/** The terminal itself, by its descriptor, and never what a path of the container's leads to (CVE-2025-52565). */
const consoleSteps = (): CallStep[] => {
  const title = "make /dev/console";
  const [place, copy] = [slot("console"), slot("copy")];
  return [
    steps.ensureFile("/dev/console", 0o666),
    by.holdPath("/dev/console", place, { title, links: false }),
    by.copyMount(steps.terminal, copy, title),
    by.attachTo(copy, place, title),
    steps.close(copy, { title }),
    steps.close(place, { title }),
  ];
};
