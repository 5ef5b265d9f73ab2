// The part of the OCI runtime spec's config that nsk plans from, with the spec's names, types and meanings.
// @see https://github.com/opencontainers/runtime-spec/blob/main/config.md

import type { RLIMIT } from "../abi/flags.ts";
import type { Limits } from "../cgroups/limits.ts";
import type { Architecture } from "./seccomp/calls.ts";
import type { SeccompAction } from "./seccomp/compile.ts";

export interface Config {
  readonly process: Process;
  readonly root: Root;
  readonly hostname: string;
  readonly mounts: readonly Mount[];
  readonly linux: Linux;
}

export interface Process {
  /** A terminal of the container's own becomes its standard input, output and error. */
  readonly terminal: boolean;
  readonly user: { readonly uid: number; readonly gid: number; readonly additionalGids: readonly number[] };
  readonly args: readonly string[];
  /** `NAME=value` words. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** By name, e.g. `CAP_CHOWN`: the bounding, permitted and effective set. The inheritable and ambient are empty. */
  readonly capabilities: readonly string[];
  /** No program inside gains privileges by its setuid bit or file capabilities. @see PR_SET_NO_NEW_PRIVS(2const) */
  readonly noNewPrivileges: boolean;
  readonly rlimits: readonly Rlimit[];
  /** -1000 (never) to 1000 (first) when memory runs out; as the caller's unless given. @see proc_pid_oom_score_adj(5) */
  readonly oomScoreAdj?: number | undefined;
}

/** A resource limit; -1 is none. @see getrlimit(2) */
export interface Rlimit {
  readonly type: keyof typeof RLIMIT;
  readonly soft: number;
  readonly hard: number;
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
  /** It is the kernel's, and stands for what a user namespace has not of its own: nobody's files are in it. */
  readonly standsIn?: boolean | undefined;
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
  readonly resources: Limits;
  readonly maskedPaths: readonly string[];
  readonly readonlyPaths: readonly string[];
  readonly devices: readonly Device[];
  /** Files below /proc/sys by their names with dots, for its own namespaces. @see sysctl(8) */
  readonly sysctl: Readonly<Record<string, string>>;
}

/** `size` ids from `hostID` on are those from `containerID` on inside. */
export interface IdMapping {
  readonly containerID: number;
  readonly hostID: number;
  readonly size: number;
}

export type NamespaceType = "user" | "mount" | "pid" | "uts" | "ipc" | "network" | "cgroup";

export interface Namespace {
  readonly type: NamespaceType;
}

/** Whether the container's namespace of a kind is another than the caller's. */
export const hasNamespace = ({ namespaces }: Linux, type: NamespaceType): boolean =>
  namespaces.some((namespace) => namespace.type === type);

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

/** A block or character device. @see mknod(2) */
export interface Device {
  readonly path: string;
  /** Where the host has it, when that is another path. */
  readonly source?: string | undefined;
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly fileMode: number;
}
