// The OCI runtime spec's config, version 1.2, as nsk plans from it: the spec's names, types and meanings. Lists that may be
// left out there are empty here. A config in JSON is read by parse-config.ts; `nsk run` makes one from docker's flags.
// @see https://github.com/opencontainers/runtime-spec/blob/main/config.md

import type { CAP, RLIMIT } from "../abi/flags.ts";
import type { Resources } from "../cgroups/resources.ts";
import type { Architecture } from "./seccomp/calls.ts";
import type { SeccompAction } from "./seccomp/compile.ts";

export interface Config {
  readonly process: Process;
  readonly root: Root;
  /** Only with a UTS namespace of its own. */
  readonly hostname?: string | undefined;
  readonly domainname?: string | undefined;
  readonly mounts: readonly Mount[];
  readonly hooks?: Hooks | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly linux: Linux;
}

export interface Process {
  /** A terminal of the container's own becomes its standard input, output and error. */
  readonly terminal: boolean;
  /** In characters. */
  readonly consoleSize?: { readonly height: number; readonly width: number } | undefined;
  readonly user: User;
  readonly args: readonly string[];
  /** `NAME=value` words. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly capabilities: Capabilities;
  /** No program inside gains privileges by its setuid bit or file capabilities. @see PR_SET_NO_NEW_PRIVS(2const) */
  readonly noNewPrivileges: boolean;
  readonly rlimits: readonly Rlimit[];
  /** -1000 (never) to 1000 (first) when memory runs out; as the caller's unless given. @see proc_pid_oom_score_adj(5) */
  readonly oomScoreAdj?: number | undefined;
  /** The profile that AppArmor holds the program to. */
  readonly apparmorProfile?: string | undefined;
  /** The context that SELinux runs the program in. */
  readonly selinuxLabel?: string | undefined;
  readonly ioPriority?: IoPriority | undefined;
}

export interface User {
  readonly uid: number;
  readonly gid: number;
  readonly additionalGids: readonly number[];
  /** 0022 unless given, as with runc. */
  readonly umask?: number | undefined;
}

/** By name, e.g. `CAP_CHOWN`. @see capabilities(7) */
export type Capability = keyof typeof CAP;

export interface Capabilities {
  readonly bounding: readonly string[];
  readonly effective: readonly string[];
  readonly inheritable: readonly string[];
  readonly permitted: readonly string[];
  readonly ambient: readonly string[];
}

/** A resource limit; -1 is none. @see getrlimit(2) */
export interface Rlimit {
  readonly type: keyof typeof RLIMIT;
  readonly soft: number;
  readonly hard: number;
}

/** @see ioprio_set(2) */
export interface IoPriority {
  readonly class: "IOPRIO_CLASS_RT" | "IOPRIO_CLASS_BE" | "IOPRIO_CLASS_IDLE";
  /** 0, which is first, to 7. */
  readonly priority: number;
}

/** A file of /etc that a container has of its own in a throwaway layer. */
export interface OwnFile {
  readonly path: string;
  readonly text: string;
}

export interface Root {
  /** The directory that becomes `/`. */
  readonly path: string;
  readonly readonly: boolean;
}

export interface Mount {
  readonly destination: string;
  readonly source: string;
  /** `bind` for a piece of the host's tree, else a filesystem type. */
  readonly type: string;
  /** Options as in fstab(5): flags by name, what is left goes to the filesystem. */
  readonly options: readonly string[];
  /** Owners inside are others than on the disk. @see mount_setattr(2), "ID-mapped mounts" */
  readonly uidMappings?: readonly IdMapping[] | undefined;
  readonly gidMappings?: readonly IdMapping[] | undefined;
  /** Not the spec's: the source is one of another container's mounts, whose first process is held by the slot of this name. */
  readonly of?: string | undefined;
  /** Not the spec's: it is the kernel's, and stands for what a user namespace has not of its own. */
  readonly standsIn?: boolean | undefined;
}

/** `size` ids from `containerID` on are the host's from `hostID` on. @see user_namespaces(7) */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

/** Programs that are run at turning points, with the container's state on standard input. */
export type Hooks = Readonly<Partial<Record<HookName, readonly Hook[]>>>;

export type HookName =
  "prestart" | "createRuntime" | "createContainer" | "startContainer" | "poststart" | "poststop";

export interface Hook {
  /** Absolute. */
  readonly path: string;
  /** With argv[0]; the path alone unless given. */
  readonly args: readonly string[];
  readonly env: readonly string[];
  /** Seconds until it is killed; undefined for as long as it takes. */
  readonly timeout?: number | undefined;
}

/** A piece of the host's tree: what is in it may be anybody's. */
export const isVolume = ({ type, standsIn }: Mount): boolean => type === "bind" && !standsIn;

/** What the kernel makes in a user namespace only while the host's of that type can be seen. */
export const isEarly = ({ type }: Mount): boolean => type === "proc" || type === "sysfs";

export interface Linux {
  /** Namespaces that are not the caller's. */
  readonly namespaces: readonly Namespace[];
  /** Which users inside a new user namespace are which outside. @see user_namespaces(7) */
  readonly uidMappings?: readonly IdMapping[] | undefined;
  /** The same of groups. */
  readonly gidMappings?: readonly IdMapping[] | undefined;
  /** What the clocks of a time namespace are ahead of the host's. @see time_namespaces(7) */
  readonly timeOffsets?: Readonly<Partial<Record<"boottime" | "monotonic", TimeOffset>>> | undefined;
  /** Where its control groups are: from the root of each hierarchy on, or with no slash before it from the caller's own. */
  readonly cgroupsPath?: string | undefined;
  readonly resources: Resources;
  readonly seccomp?: Seccomp | undefined;
  /** How mounts are passed on between the host and it; private unless given. @see mount_namespaces(7) */
  readonly rootfsPropagation?: RootPropagation | undefined;
  /** The SELinux context of the files of its mounts. */
  readonly mountLabel?: string | undefined;
  /** @see personality(2) */
  readonly personality?: { readonly domain: "LINUX" | "LINUX32" } | undefined;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly devices: readonly Device[];
  /** Files below /proc/sys by their names with dots, for its own namespaces. @see sysctl(8) */
  readonly sysctl: Readonly<Record<string, string>>;
}

export type Propagation = "shared" | "slave" | "private" | "unbindable";

/** With `r` for all mounts of the tree. */
export type RootPropagation = Propagation | `r${Propagation}`;

export interface TimeOffset {
  readonly secs: number;
  readonly nanosecs: number;
}

export type NamespaceType = "mount" | "pid" | "uts" | "ipc" | "network" | "cgroup" | "user" | "time";

export interface Namespace {
  readonly type: NamespaceType;
  /** The file of one that is there; a new one unless given. */
  readonly path?: string | undefined;
}

/** Whether the container's namespace of a kind is another than the caller's. */
export const hasNamespace = ({ namespaces }: Linux, type: NamespaceType): boolean =>
  namespaces.some((namespace) => namespace.type === type);

/** Whether it is a new one, and not another container's. */
export const hasNewNamespace = ({ namespaces }: Linux, type: NamespaceType): boolean =>
  namespaces.some((namespace) => namespace.type === type && namespace.path === undefined);

/** Which system calls programs may make. @see seccomp(2) */
export interface Seccomp {
  /** What becomes of a call that no rule names. */
  readonly defaultAction: SeccompAction;
  /** The error number of an SCMP_ACT_ERRNO; EPERM unless given. */
  readonly defaultErrnoRet?: number | undefined;
  /** A program of any other kind ends at its first call. */
  readonly architectures: readonly Architecture[];
  readonly syscalls: readonly SeccompRule[];
}

export interface SeccompRule {
  readonly names: readonly string[];
  readonly action: SeccompAction;
  readonly errnoRet?: number | undefined;
  /** Conditions that must all hold. */
  readonly args: readonly SeccompArgument[];
}

export interface SeccompArgument {
  /** 0 to 5. */
  readonly index: number;
  readonly value: bigint;
  /** Of SCMP_CMP_MASKED_EQ: what is left of the argument when `value` is the mask. */
  readonly valueTwo: bigint;
  readonly op: SeccompOperator;
}

export type SeccompOperator = `SCMP_CMP_${"NE" | "LT" | "LE" | "EQ" | "GE" | "GT" | "MASKED_EQ"}`;

/** A block or character device, or a named pipe, which has no numbers. @see mknod(2) */
export interface Device {
  readonly path: string;
  /** Where the host has it, when that is another path. */
  readonly source?: string | undefined;
  readonly type: "b" | "c" | "p";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
  /** Root's unless given. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}
