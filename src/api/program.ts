// A program and what it is to run in, as options of a script: from them a plan. Pure.

import { UsageError } from "../abi/errors.ts";
import { MS, SIG } from "../abi/flags.ts";
import { allPlaces, type GroupSpec, parseGroupSpec } from "../cgroups/groups.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { planJoin } from "../cgroups/join.ts";
import { type LimitsPlan, planLimits } from "../cgroups/limits.ts";
import type { Resources } from "../cgroups/resources.ts";
import { parseMountOptions } from "../containers/mount-options.ts";
import type { Host } from "../host/host.ts";
import type { IdRange } from "../namespaces/id-maps.ts";
import type { Kind } from "../namespaces/kinds.ts";
import { type Groups, planUnshare, type Propagation } from "../namespaces/unshare.ts";
import type { CallStep } from "../plan/call.ts";
import type { Plan } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import * as steps from "../plan/steps.ts";

/** Something to mount, in a mount namespace of the program's own. @see mount(2) */
export interface Mount {
  /** What is mounted: a path for a bind mount, for others a name that is shown. */
  readonly source: string;
  /** The directory or file that it is mounted on, which must be there. */
  readonly target: string;
  /** The filesystem type. A bind mount of `source` unless given. */
  readonly type?: string;
  /** Options as in fstab(5): `["ro", "nosuid", "size=1m"]`. */
  readonly options?: readonly string[];
}

/** What a program may use. What is left out is not limited. @see cgroups(7) */
export interface ResourceLimits {
  /** How many processors' time: 0.5 is half of one. */
  readonly cpus?: number;
  /** Its part of the processors while others want them too; 1024 is usual. */
  readonly cpuShares?: number;
  /** The processors to run on: `0-2,4`. */
  readonly cpuset?: string;
  /** Bytes. When that is not enough the kernel kills a process of the program. */
  readonly memory?: number;
  /** Processes and threads. */
  readonly pids?: number;
}

/** What names a control group: a handle does. */
export interface GroupName {
  readonly name: string;
  readonly controllers: readonly string[];
}

/** What a program runs in, and as whom. Everything that is left out is the caller's own. */
export interface ProgramOptions {
  /**
   * New namespaces. `user` and `mount` come by themselves where another option needs them. With `pid` the program is
   * process 1 of its namespace, and when it ends the kernel ends all others there. @see namespaces(7)
   */
  readonly namespaces?: readonly Kind[];
  /** The id inside that the caller's user becomes; needs a new user namespace, which is added. @see user_namespaces(7) */
  readonly mapUser?: number;
  /** As `mapUser`, for the group. */
  readonly mapGroup?: number;
  /** Ranges of ids; a caller that is not root must have been given them in subuid(5). */
  readonly mapUsers?: readonly IdRange[];
  /** As `mapUsers`, of groups: subgid(5). */
  readonly mapGroups?: readonly IdRange[];
  /** Files that namespaces are mounted on, so that they stay when the program has ended. */
  readonly keep?: Readonly<Partial<Record<Kind, string>>>;
  /** Made in this order, before the root directory changes; adds a mount namespace. */
  readonly mounts?: readonly Mount[];
  /** Whether mounts show on the other side; `private` unless given. @see mount_namespaces(7) */
  readonly propagation?: Propagation;
  /** Where a proc of the new PID namespace is mounted, `true` for /proc; adds a mount namespace. */
  readonly mountProc?: boolean | string;
  /** The host name inside; adds a UTS namespace. */
  readonly hostname?: string;
  /** The directory that becomes `/`. @see chroot(2) */
  readonly root?: string;
  /** The working directory, looked up inside. */
  readonly cwd?: string;
  /** The whole environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** The user id that it runs as, inside. */
  readonly uid?: number;
  /** The group id that it runs as; supplementary groups are dropped. */
  readonly gid?: number;
  /** Control groups that are there, to run in: handles, or words as for cgexec(1), `cpu,memory:limited`. */
  readonly cgroups?: readonly (string | GroupName)[];
  /**
   * A control group of its own with these limits, removed when it has ended, also when the script was killed by SIGKILL.
   * Needs root, or a delegated group.
   */
  readonly limits?: ResourceLimits;
  /** Whether a process waits for the program, as `unshare --fork`; on by itself where something needs it. */
  readonly fork?: boolean;
}

/** A plan that ends in a program. */
export interface Program extends Plan {
  /** Directories of control groups that it makes, and removes when it has ended by itself. */
  readonly groups: readonly string[];
  /** What it is called when the script ends before it. */
  readonly title?: string;
  /** What ends it and has it clean up behind itself, where SIGKILL would leave nobody who does. */
  readonly deathSignal?: number;
}

/** {@link planProgram}, told what only this process can know. */
export interface Circumstances {
  /** Unique: the name of its control group. */
  readonly id: string;
  /** Whether the program is ended when the process that waits for it is. */
  readonly isBound: boolean;
}

/**
 * What the process that waits for a program with limits gets when the script dies. SIGKILL would leave nobody to remove
 * the control group; this one (SIGRTMAX) nobody sends by chance.
 */
export const ABANDONED = 64;

/**
 * The plan of a program. Throws {@link UsageError} for options that exclude each other, and HostError where no
 * controller for a limit is mounted.
 */
export const planProgram = (
  argv: readonly string[],
  options: ProgramOptions,
  host: Host,
  { id, isBound }: Circumstances,
): Program => {
  const [program] = argv;
  if (program === undefined) throw new UsageError("no program given", 'e.g. ["id", "-u"]');
  const kinds = kindsOf(options);
  const limits = planLimits(host, id, ociResources(options.limits ?? {}));
  const isLimited = limits.groups.length > 0;
  const fork = options.fork ?? (isLimited || kinds.includes("pid") || kinds.includes("time"));
  if (!fork && isLimited)
    throw new UsageError("limits need fork", "somebody has to remove the control group");
  const { env } = options;
  const words = env && Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const plan = planUnshare(
    "nsk",
    {
      kinds,
      fork,
      keep: options.keep,
      mapUser: options.mapUser,
      mapGroup: options.mapGroup,
      mapUsers: options.mapUsers,
      mapGroups: options.mapGroups,
      propagation: options.propagation ?? "private",
      mountProc: options.mountProc === true ? "/proc" : options.mountProc || undefined,
      root: options.root,
      wd: options.cwd,
      setuid: options.uid,
      setgid: options.gid,
      killChild: fork && isBound ? SIG.SIGKILL : undefined,
      forwardSignals: fork,
      killOn: isLimited && isBound ? ABANDONED : undefined,
      hostname: options.hostname,
      mounts: options.mounts?.flatMap(mountSteps),
      groups: groupsOf(options.cgroups ?? [], limits, host),
      program: {
        program,
        argv,
        candidates: programCandidates(program, env ? env.PATH : host.env("PATH")),
        ...(words && { env: words }),
      },
    },
    host,
  );
  return { ...plan, groups: limits.groups, ...(isLimited && isBound && { deathSignal: ABANDONED }) };
};

const kindsOf = (options: ProgramOptions): Kind[] => {
  const kinds = new Set(options.namespaces);
  const isMapped =
    options.mapUser !== undefined ||
    options.mapGroup !== undefined ||
    Boolean(options.mapUsers?.length) ||
    Boolean(options.mapGroups?.length);
  if (isMapped) kinds.add("user");
  if (options.mounts?.length || options.mountProc) kinds.add("mount");
  if (options.hostname !== undefined) kinds.add("uts");
  for (const kind of Object.keys(options.keep ?? {}) as Kind[]) kinds.add(kind);
  return [...kinds];
};

const mountSteps = ({ source, target, type, options = [] }: Mount): CallStep[] => {
  const { flags, data } = parseMountOptions(type === undefined ? ["bind", ...options] : options);
  if (!(flags & MS.MS_BIND)) return [steps.mount({ source, target, fstype: type ?? null, flags, data })];
  const binding = MS.MS_BIND | MS.MS_REC;
  const bound = steps.mount({ source, target, fstype: null, flags: flags & binding, data });
  const others = flags & ~binding;
  if (others === 0) return [bound];
  return [
    bound,
    steps.mount(
      { source: null, target, fstype: null, flags: MS.MS_REMOUNT | MS.MS_BIND | others, data: null },
      { title: `mount ${target}`, reason: "a bind mount gets its options once it is there (mount(2))" },
    ),
  ];
};

/** Microseconds, docker's period. */
const PERIOD = 100_000;

const ociResources = ({ cpus, cpuShares, cpuset, memory, pids }: ResourceLimits): Resources => ({
  cpu: {
    quota: cpus === undefined ? undefined : Math.round(cpus * PERIOD),
    period: PERIOD,
    shares: cpuShares,
    cpus: cpuset,
  },
  memory: { limit: memory },
  pids: { limit: pids },
});

const groupsOf = (names: readonly (string | GroupName)[], limits: LimitsPlan, host: Host): Groups => ({
  create: limits.create,
  join: [
    ...(names.length ? planJoin(host, allPlaces(host, readHierarchies(host), names.map(specOf))) : []),
    ...limits.join,
  ],
  remove: limits.remove,
});

const specOf = (it: string | GroupName): GroupSpec =>
  typeof it === "string" ? parseGroupSpec(it) : { controllers: it.controllers, path: it.name };
