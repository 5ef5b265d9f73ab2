// From a container's config to the plan that makes it: the supervisor's part (record, control groups, fork, wait,
// clean up) and the child's (namespaces, root, mounts, privileges, program).

import { errno } from "../abi/errno.ts";
import { CAP, CLONE, MNT, MS, O, SIG } from "../abi/flags.ts";
import type { Hierarchies } from "../cgroups/hierarchies.ts";
import type { LimitsPlan } from "../cgroups/limits.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, slot } from "../plan/call.ts";
import type { ExecStep, ForkStep, Plan, Step } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import * as steps from "../plan/steps.ts";
import type { Config, Linux, Mount, OwnFile, Process } from "./config.ts";
import { DEVICE_LINKS, MOUNTS } from "./defaults.ts";
import { parseMountOptions } from "./mount-options.ts";
import { type Details, detailsText } from "./record.ts";

/** Where records of running containers are, and where a container puts its root together in its own namespace. */
export const STATE = "/run/nsk";

/** Links to the records of those containers that have a name. */
export const NAMES = `${STATE}/names`;

/** What the caller of the planner decides besides the config. */
export interface Container {
  /** 12 hexadecimal digits, as docker's short ids. */
  readonly id: string;
  readonly config: Config;
  /** What the record tells of it. */
  readonly details: Details;
  /**
   * Directories that a throwaway layer is put over, so that nothing written inside stays, the uppermost first; none to
   * use the root as it is.
   */
  readonly lower: readonly string[];
  /** The caller's standard input is the container's; otherwise it reads nothing. */
  readonly input: boolean;
  /** Files that it has of its own; a root that is used as it is gets none. */
  readonly files: readonly OwnFile[];
  /** Its first process is not the program, but one that passes signals on and waits for orphans. */
  readonly init: boolean;
  /** A new file that its id is written to. */
  readonly cidfile: string | undefined;
  /** The program that decides over its system calls (compileSeccomp); undefined for none. */
  readonly filter: Uint8Array | undefined;
  /** The control groups of its limits. */
  readonly limits: LimitsPlan;
}

const NAMESPACE_FLAGS = {
  mount: CLONE.CLONE_NEWNS,
  pid: CLONE.CLONE_NEWPID,
  uts: CLONE.CLONE_NEWUTS,
  ipc: CLONE.CLONE_NEWIPC,
  network: CLONE.CLONE_NEWNET,
  cgroup: CLONE.CLONE_NEWCGROUP,
} as const;

/** The names of the slots that supervisor and child both know. */
const supervisor = slot("supervisor");
const mask = slot("mask");
const pair = slot("pair");
const record = slot("record");

export const planContainer = (name: string, container: Container, host: Host): Plan => {
  const { config, limits } = container;
  const { terminal } = config.process;
  const [pid, signals, master] = [slot("pid"), slot("signals"), slot("master")];
  // The cgroup namespace is made later, once the child is in its groups: they are to be its root.
  const kinds = config.linux.namespaces.filter((kind) => kind !== "cgroup");
  const fork: ForkStep = {
    kind: "fork",
    flags: kinds.reduce((flags, kind) => flags | NAMESPACE_FLAGS[kind], 0),
    pid,
    reason: "the container's first process, in new namespaces",
    hints: {
      [errno("EPERM")]: "this needs CAP_SYS_ADMIN: run it as root",
      [errno("ENOSPC")]:
        "the limit on namespaces is reached: see the max_*_namespaces files in /proc/sys/user",
    },
    child: child(container, host),
  };
  return {
    name,
    failure: 125,
    // Not only the program: a directory of the caller's would be a way out for `-w /proc/self/fd/N` (CVE-2024-21626).
    descriptors: "standard",
    steps: [
      steps.setName("nsk"),
      steps.defaultSignal(SIG.SIGCHLD, {
        reason: "a caller that ignores it would leave nothing to wait for",
      }),
      steps.blockSignals("all", mask, {
        reason: "the supervisor reads signals from a descriptor instead, once there is a container",
      }),
      steps.signalDescriptor(signals),
      ...openRecord(container),
      ...tellId(container),
      ...limits.create,
      ...steps.openSelf(supervisor),
      ...(terminal
        ? [steps.socketPair(pair, { reason: "over it the child tells which descriptor its terminal is" })]
        : []),
      fork,
      ...(terminal ? steps.takeDescriptor(pid, pair, master) : []),
      {
        kind: "supervise",
        pid,
        signals,
        ...(terminal && { terminal: { master, input: container.input } }),
        reason: terminal
          ? "carry what is typed and printed, pass signals on, until the container ends"
          : "pass signals on, until the container ends",
        ...(limits.notices.length > 0 && { notices: limits.notices }),
        cleanup: [...limits.remove, ...forgetName(container), steps.unlink(`${STATE}/${container.id}`)],
      },
    ],
  };
};

/**
 * A file that says what to remove, locked as long as the supervisor lives: the next run finds those of dead ones. It is
 * locked and filled before it has a name, so that nobody ever sees it half-made.
 */
const openRecord = ({ id, limits, details }: Container): CallStep[] => {
  const path = `${STATE}/${id}`;
  return [
    steps.ensureDirectory(STATE, 0o700, {
      reason: "records of what to remove should the supervisor be killed",
      hints: {
        [errno("EACCES")]: "run it as root",
        [errno("EROFS")]: "a container's records need a writable /run",
      },
    }),
    steps.openNameless(STATE, record, {
      hints: {
        [errno("EOPNOTSUPP")]:
          "/run is an overlay, which has no nameless files on this kernel: mount -t tmpfs tmpfs /run",
      },
    }),
    steps.lock(record, { title: `lock ${path}` }),
    steps.write(
      record,
      limits.groups.map((group) => `${group}\n`).join("") + detailsText(details),
      `write ${path}`,
    ),
    steps.linkOpen(record, path, { undo: steps.unlink(path) }),
    ...takeName(details.name),
  ];
};

/** The record's other link: there can be one of a name only. */
const takeName = (name: string | undefined): CallStep[] => {
  if (name === undefined) return [];
  const path = `${NAMES}/${name}`;
  return [
    steps.ensureDirectory(NAMES, 0o700),
    steps.linkOpen(record, path, {
      title: `take the name ${name}`,
      reason: "nobody else can have it as long as this link is there",
      hints: { [errno("EEXIST")]: `a container of that name is running: nsk stop ${name}` },
      undo: steps.unlink(path),
    }),
  ];
};

const forgetName = ({ details: { name } }: Container): CallStep[] =>
  name === undefined ? [] : [steps.unlink(`${NAMES}/${name}`)];

const child = (container: Container, host: Host): Step[] => {
  const { config, limits } = container;
  const { process, linux } = config;
  // Mounts from the first that shows a piece of the host on come last: what is made safe before is not theirs to change.
  const bind = config.mounts.findIndex(({ type }) => type === "bind");
  const first = bind < 0 ? config.mounts.length : bind;
  return [
    ...steps.dieWithParent(SIG.SIGKILL, supervisor),
    ...steps.appendIdentity(record, {
      reason: "whom the next run ends, should the supervisor be killed and this live on",
    }),
    steps.setsid({ reason: "signals of the caller's terminal go to the supervisor alone" }),
    steps.joinKeyring(`_ses.${container.id}`, { reason: "the caller's keys are none of its business" }),
    ...limits.join,
    ...(linux.namespaces.includes("cgroup")
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
    ...(linux.namespaces.includes("network") ? steps.loopbackUp() : []),
    ...(linux.namespaces.includes("uts") ? [steps.setHostname(config.hostname)] : []),
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
    steps.closeFrom(3, { reason: "no descriptor of the host gets in" }),
    ...confinement(container, host),
    ...(container.init ? behindInit(process) : [become(process)]),
  ];
};

const become = ({ args, env }: Process): ExecStep => ({
  kind: "exec",
  program: args[0]!,
  argv: args,
  candidates: programCandidates(args[0]!, variable(env, "PATH")),
  env,
  reason: "become the program",
});

/** All that can be passed on: not what a process cannot take, and not what tells of a child or of its own mistakes. */
const PASSED_ON = Array.from({ length: 64 }, (_, i) => i + 1).filter(
  (signal) =>
    ![
      SIG.SIGKILL,
      SIG.SIGSTOP,
      SIG.SIGCHLD,
      SIG.SIGSEGV,
      SIG.SIGBUS,
      SIG.SIGFPE,
      SIG.SIGILL,
      SIG.SIGTRAP,
    ].some((other) => other === signal),
);

/** The kernel gives a namespace's first process no signal that it has no handler for, and orphans for it to wait for. */
const behindInit = (process: Process): Step[] => {
  const pid = slot("program");
  return [
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: "the program is process 2; this one stays",
      child: [steps.restoreSignals(mask), become(process)],
    },
    {
      kind: "wait",
      pid,
      signaled: "status",
      forward: PASSED_ON,
      reaps: true,
      cleanup: [],
      reason: "wait for it and for orphans, and end as it ended",
    },
  ];
};

/** For whoever started it with `--cidfile`. */
const tellId = ({ id, cidfile }: Container): CallStep[] => {
  if (cidfile === undefined) return [];
  const [file, title] = [slot("cidfile"), `write ${cidfile}`];
  return [
    steps.open(cidfile, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, file, {
      mode: 0o644,
      title,
      hints: { [errno("EEXIST")]: "it may be another container's: remove it, or write to another file" },
      undo: steps.unlink(cidfile),
    }),
    steps.write(file, id, title),
    steps.close(file, { title }),
  ];
};

/** What the root has of that name is put away first: a link of an image's leads to no other file. */
const ownFile = ({ path, text }: OwnFile): CallStep[] => {
  const [file, title] = [slot("file"), `write ${path}`];
  return [
    steps.unlink(path, { tolerate: [errno("ENOENT")] }),
    steps.open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, file, { mode: 0o644, title }),
    ...(text === "" ? [] : [steps.write(file, text, title)]),
    steps.close(file, { title }),
  ];
};

/** What is set by files of /proc, while they can be written. */
const settings = ({ process, linux }: Config): CallStep[] => {
  const out: CallStep[] = [];
  if (process.oomScoreAdj !== undefined)
    out.push(...steps.writeFile("/proc/self/oom_score_adj", String(process.oomScoreAdj)));
  for (const name in linux.sysctl)
    out.push(
      ...steps.writeFile(`/proc/sys/${name.replaceAll(".", "/")}`, linux.sysctl[name]!, {
        title: `set ${name}`,
      }),
    );
  return out;
};

const variable = (env: readonly string[], name: string): string | undefined =>
  env.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);

/** Whether nodes in its root open devices: when something else decides which, or when all are its own. */
const mayOpenDevices = ({ config, limits }: Container): boolean =>
  limits.filtersDevices || config.process.capabilities.includes("CAP_MKNOD");

/** Overlayfs takes colons between layers and commas between options, so those of a path need a backslash. */
const overlayPath = (path: string): string => path.replace(/[\\:,]/g, (character) => `\\${character}`);

/** Puts the root together, opens what is bound in from the host, and changes over. @see pivot_root(2) */
const root = (container: Container, host: Host): Step[] => {
  const { config, lower } = container;
  const overlay = lower.length > 0;
  const { path } = config.root;
  const base = `${STATE}/root`;
  const merged = overlay
    ? [
        steps.mount(
          {
            source: "tmpfs",
            target: STATE,
            fstype: "tmpfs",
            flags: MS.MS_NOSUID | MS.MS_NODEV,
            data: "mode=0700",
          },
          { reason: "memory that takes what the container writes, gone with it" },
        ),
        steps.mkdir(`${STATE}/upper`, 0o755),
        steps.mkdir(`${STATE}/work`, 0o700),
        steps.mkdir(base, 0o755),
        steps.mount(
          {
            source: "overlay",
            target: base,
            fstype: "overlay",
            flags: mayOpenDevices(container) ? 0 : MS.MS_NODEV,
            data: `lowerdir=${lower.map(overlayPath).join(":")},upperdir=${STATE}/upper,workdir=${STATE}/work`,
          },
          {
            reason: `${path} below, unchanged; what is written lands in the layer above`,
            hints: {
              [errno("ENODEV")]: "the kernel has no overlay: modprobe overlay",
              [errno("EINVAL")]:
                `${path} is itself an overlay over an overlay, and the kernel stacks two at most`,
            },
          },
        ),
      ]
    : [
        steps.mount(
          { source: path, target: path, fstype: null, flags: MS.MS_BIND | MS.MS_REC, data: null },
          { reason: "a root must be a mount", title: `use ${path} as the root` },
        ),
        ...(mayOpenDevices(container)
          ? []
          : [
              steps.mount(
                {
                  source: null,
                  target: path,
                  fstype: null,
                  flags: MS.MS_REMOUNT | MS.MS_BIND | MS.MS_NODEV,
                  data: null,
                },
                { reason: "device nodes that lie in it open no device", title: `use ${path} as the root` },
              ),
            ]),
      ];
  return [
    steps.mount(
      { source: null, target: "/", fstype: null, flags: MS.MS_REC | MS.MS_PRIVATE, data: null },
      { title: "make the mounts private", reason: "the host sees nothing of the mounts made from here on" },
    ),
    ...config.mounts.flatMap((mount, i) => (mount.type === "bind" ? openVolume(mount, i, host) : [])),
    ...merged,
    steps.chdir(overlay ? base : path),
    steps.pivotRoot(".", ".", { reason: "the new root; the old one lies over it" }),
    steps.umount(".", MNT.MNT_DETACH, {
      title: "leave the old root",
      reason: "and now the host's tree is out of reach",
    }),
    steps.chdir("/"),
  ];
};

const volumeSlot = (n: number) => slot(`volume${n}`);

/** Linux 5.12 and later make a whole tree read-only before it is attached. @see mount_setattr(2) */
const hasMountSetattr = (host: Host): boolean => {
  const [major = 0, minor = 0] = (host.read("/proc/sys/kernel/osrelease") ?? "").split(".").map(Number);
  return major > 5 || (major === 5 && minor >= 12);
};

const isReadonly = (mount: Mount): boolean => mount.options.includes("ro");

/** Takes a copy of the host's mounts below `source`, not attached anywhere yet: no path leads there any more. */
const openVolume = (mount: Mount, n: number, host: Host): CallStep[] => {
  const tree = volumeSlot(n);
  const open = steps.openTree(mount.source, tree, {
    title: `bind ${mount.source}`,
    reason: "taken while the host's tree can be seen",
    hints: { [errno("ENOENT")]: "the source of -v must be there; docker would make a directory of root's" },
  });
  return isReadonly(mount) && hasMountSetattr(host)
    ? [open, steps.readonlyTree(tree, { title: `make ${mount.destination} read-only` })]
    : [open];
};

const attachVolume = (mount: Mount, n: number, host: Host): CallStep[] => {
  const { destination } = mount;
  const kind = host.kind(mount.source);
  const isDirectory = kind !== "file" && kind !== "other";
  return [
    ...(isDirectory
      ? directories(destination)
      : [...directories(parentOf(destination)), steps.ensureFile(destination, 0o644)]),
    steps.attachTree(volumeSlot(n), destination, {
      hints: { [errno("EINVAL")]: `${destination} is a link in the root, and nothing is mounted on one` },
    }),
    ...(isReadonly(mount) && !hasMountSetattr(host) ? [remountReadonly(destination, 0)] : []),
  ];
};

const parentOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

/** Makes a directory and those above it. In a read-only root they must be there: then nothing has to be made. */
const directories = (path: string, mode = 0o755): CallStep[] => {
  const parts = path.split("/").filter(Boolean);
  return parts.map((_, i) =>
    steps.ensureDirectory(`/${parts.slice(0, i + 1).join("/")}`, mode, {
      tolerate: [errno("EEXIST"), errno("EROFS")],
    }),
  );
};

const fileSystem = (mount: Mount, { limits }: Container): CallStep[] => {
  const { flags, data } = parseMountOptions(mount.options);
  const target = mount.destination;
  if (mount.type === "cgroup") return controlGroups(target, flags, limits.hierarchies);
  return [
    // Those above it are there already, where it is one of docker's own.
    ...(MADE.includes(target) ? [steps.ensureDirectory(target, 0o755)] : directories(target)),
    ...(SOLID.includes(target) ? solid(target) : []),
    steps.mount(
      { source: mount.source, target, fstype: mount.type, flags, data },
      // A kernel without POSIX message queues has no mqueue to mount, and nothing else misses it.
      mount.type === "mqueue" ? { tolerate: [errno("ENODEV")] } : {},
    ),
  ];
};

const MADE: readonly string[] = MOUNTS.map(({ destination }) => destination);

/** Where a link would have the container's own file systems, and what protects them, lie elsewhere (CVE-2019-19921). */
const SOLID: readonly string[] = ["/proc", "/sys", "/dev"];

const solid = (path: string): CallStep[] => {
  const [directory, title] = [slot("directory"), `use ${path}`];
  return [
    steps.openDirectory(path, directory, {
      title,
      hints: { [errno("ENOTDIR")]: `${path} of the root must be a directory, and no link` },
    }),
    steps.close(directory, { title }),
  ];
};

/**
 * The container's view of its control groups, read-only: its own groups are the roots. Where it has none of its own
 * there is nothing to see but the host's, and they are none of its business.
 */
const controlGroups = (target: string, flags: number, hierarchies: Hierarchies): CallStep[] => {
  const [only] = hierarchies;
  const view = (path: string, fstype: string, data: string | null): CallStep =>
    steps.mount({ source: fstype, target: path, fstype, flags, data }, { onError: "ignore" });
  if (only === undefined) return [];
  if (hierarchies.length === 1 && only.version === 2) return [view(target, "cgroup2", null)];
  return [
    steps.mount({ source: "tmpfs", target, fstype: "tmpfs", flags: flags & ~MS.MS_RDONLY, data: "mode=755" }),
    ...hierarchies.flatMap((hierarchy) => {
      const name = hierarchy.mountPoint.slice(hierarchy.mountPoint.lastIndexOf("/") + 1);
      const path = `${target}/${name}`;
      const options =
        hierarchy.name === undefined ? hierarchy.controllers.join(",") : `name=${hierarchy.name}`;
      return [
        steps.mkdir(path, 0o755),
        hierarchy.version === 2 ? view(path, "cgroup2", null) : view(path, "cgroup", options),
      ];
    }),
    steps.mount(
      {
        source: null,
        target,
        fstype: null,
        flags: flags | MS.MS_REMOUNT | MS.MS_BIND | MS.MS_RDONLY,
        data: null,
      },
      { title: `make ${target} read-only` },
    ),
  ];
};

const devices = ({ devices }: Linux): CallStep[] => [
  ...devices.flatMap((device) => {
    const parent = parentOf(device.path);
    return parent === "/dev"
      ? [steps.makeDevice(device)]
      : [...directories(parent), steps.makeDevice(device)];
  }),
  ...DEVICE_LINKS.map(([link, target]) => steps.symlink(target, link)),
];

/** The flags of a bind mount are replaced, not added to: `flags` are those that it is to keep. */
const remountReadonly = (target: string, flags: number): CallStep =>
  steps.mount(
    {
      source: null,
      target,
      fstype: null,
      flags: MS.MS_REMOUNT | MS.MS_BIND | MS.MS_RDONLY | flags,
      data: null,
    },
    { title: `make ${target} read-only` },
  );

/** What is not there on this kernel needs no protection. */
const protections = ({ readonlyPaths, maskedPaths }: Linux, host: Host): CallStep[] => {
  const out: CallStep[] = [];
  for (const path of readonlyPaths) if (host.kind(path)) out.push(...readonlyPath(path));
  for (const path of maskedPaths) {
    const kind = host.kind(path);
    if (kind) out.push(maskedPath(path, kind));
  }
  return out;
};

const readonlyPath = (path: string): CallStep[] => [
  steps.mount(
    { source: path, target: path, fstype: null, flags: MS.MS_BIND | MS.MS_REC, data: null },
    { title: `make ${path} read-only` },
  ),
  remountReadonly(path, MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC),
];

/** An empty read-only directory over a directory, the null device over a file. */
const maskedPath = (path: string, kind: ReturnType<Host["kind"]>): CallStep =>
  steps.mount(
    kind === "directory"
      ? { source: "tmpfs", target: path, fstype: "tmpfs", flags: MS.MS_RDONLY, data: "size=0k,mode=755" }
      : { source: "/dev/null", target: path, fstype: null, flags: MS.MS_BIND, data: null },
    { title: `mask ${path}` },
  );

const standardInput = ({ config, input }: Container): CallStep[] => {
  if (config.process.terminal) return steps.openTerminal(pair);
  return input ? [] : steps.readNothing();
};

/** The user, and what no program inside can gain: what root may drop is dropped while it is still root. */
const identity = (container: Container, host: Host): CallStep[] => {
  const { process } = container.config;
  const { uid, gid, additionalGids } = process.user;
  const last = Number(host.read("/proc/sys/kernel/cap_last_cap") ?? CAP.CAP_CHECKPOINT_RESTORE);
  const out: CallStep[] = [];
  const drop = (bit: number, name: string): void => {
    const reason = "no program inside can gain these again";
    out.push(steps.dropFromBoundingSet(bit, name, out.length ? {} : { reason }));
  };
  let name: keyof typeof CAP;
  for (name in CAP) if (CAP[name] <= last && !process.capabilities.includes(name)) drop(CAP[name], name);
  // A newer kernel's, which have no names here.
  for (let bit = CAP.CAP_CHECKPOINT_RESTORE + 1; bit <= last; bit++) drop(bit, `0x${bit.toString(16)}`);
  out.push(steps.setgroups(additionalGids), steps.setgid(gid));
  const filters = needsPrivilegeToFilter(container) && uid !== 0;
  if (filters) out.push(steps.keepCapabilities({ reason: "the filter below takes one of them" }));
  out.push(steps.setuid(uid));
  if (filters) out.push(steps.setCapabilities(["CAP_SYS_ADMIN"], { reason: "this one, and until then" }));
  return out;
};

/** Who has not promised to gain nothing needs CAP_SYS_ADMIN for a filter. @see seccomp(2) */
const needsPrivilegeToFilter = ({ filter, config }: Container): boolean =>
  filter !== undefined && !config.process.noNewPrivileges;

/**
 * The filter and the capabilities, as late as can be: a filter that knows nothing of nsk sees two calls of it at most,
 * capset(2) and execve(2).
 */
const confinement = (container: Container, host: Host): CallStep[] => {
  const { filter, config } = container;
  const { user, capabilities, noNewPrivileges } = config.process;
  const own = permitted(host);
  const kept: (keyof typeof CAP)[] = [];
  let name: keyof typeof CAP;
  if (user.uid === 0)
    for (name in CAP) if (capabilities.includes(name) && inSet(own, CAP[name])) kept.push(name);
  const reason = "the program has these, and none that it could hand on unseen";
  const out = [steps.setCapabilities(kept, { reason })];
  if (noNewPrivileges)
    out.push(steps.noNewPrivileges({ reason: "no setuid bit and no file capability counts any more" }));
  if (filter === undefined) return out;
  const filtering = steps.filterCalls(filter, {
    reason: "from here on system calls that containers do not need fail",
    hints: {
      [errno("EINVAL")]: "this kernel has no filters: --security-opt seccomp=unconfined goes without",
    },
  });
  if (noNewPrivileges) out.push(filtering);
  else out.unshift(filtering);
  return out;
};

/**
 * The caller's permitted set, as /proc writes it. A set may only shrink: in a container within a container some of those
 * to be kept are not there. @see proc_pid_status(5)
 */
const permitted = (host: Host): string => {
  const status = host.read("/proc/self/status") ?? "";
  const at = status.indexOf("CapPrm:");
  return at < 0 ? "ffffffffffffffff" : status.slice(at + 8, at + 24);
};

/** Whether the caller has what makes namespaces and mounts. */
export const mayAdminister = (host: Host): boolean => inSet(permitted(host), CAP.CAP_SYS_ADMIN);

/** Whether a bit is in a set of 16 hexadecimal digits. */
const inSet = (digits: string, bit: number): boolean =>
  ((Number.parseInt(digits[15 - (bit >> 2)]!, 16) >> (bit & 3)) & 1) === 1;

const workingDirectory = (cwd: string, readonlyRoot: boolean): CallStep[] => [
  ...(cwd === "/" || readonlyRoot ? [] : directories(cwd)),
  steps.chdir(cwd),
];
