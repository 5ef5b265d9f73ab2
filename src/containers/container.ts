// What the parts of the planner share: the container, and the slots that supervisor and child both know.

import type { LimitsPlan } from "../cgroups/limits.ts";
import { type CallStep, slot } from "../plan/call.ts";
import type { ForkStep, Step } from "../plan/plan.ts";
import type { Config, OwnFile } from "./config.ts";
import type { Details } from "./record.ts";
import type { UserNamespacePlan } from "./user-namespace.ts";

/** What the caller of the planner decides besides the config. */
export interface Container {
  /** 12 hexadecimal digits, as docker's short ids. */
  readonly id: string;
  /** Where its record is: statePath(). */
  readonly state: string;
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
  /** Another one, which keeps it from typing into the caller's terminal: see typingFilter(). */
  readonly typing?: Uint8Array | undefined;
  /** The control groups of its limits. */
  readonly limits: LimitsPlan;
  /** Seconds until it is killed. */
  readonly timeout?: number | undefined;
  /** A signal to the supervisor that kills it. */
  readonly killOn?: number | undefined;
  /** When nobody waits for it. */
  readonly background?: Background | undefined;
  /** Enters namespaces of other containers: those of its config that have a path. */
  readonly joins?: readonly Step[] | undefined;
  /** How its root is put together in `state`, where no overlay over all of it can be made. */
  readonly pieces?: readonly CallStep[] | undefined;
  /** Its user namespace, when it has one of its own; its config is then one withoutPrivilege(). */
  readonly users?: UserNamespacePlan | undefined;
}

/** What is different about a container that nobody waits for; background.ts makes it, which others need not load. */
export interface Background {
  /** Where its log and what is known of it are; see kept-files.ts. */
  readonly directory: string;
  /** Its end is told to who carries its terminal, who then removes what is not to stay. */
  readonly isAttached: boolean;
  /** All processes: the one that prints the id once there is a program, the supervisor, and the container's first. */
  steps(container: Container, start: ForkStep, volumes: Held): Step[];
  /** The child's first: why it cannot be started is told to the supervisor. */
  readonly heeded: readonly Step[];
  /** The child's standard output and error, and its input where it has one. */
  output(container: Container): readonly CallStep[];
}

/** What the supervisor opens of the host's tree before there is a child, and closes when there is one. */
export interface Held {
  readonly open: readonly CallStep[];
  readonly close: readonly CallStep[];
}

/** Slots that several parts know. */
export const supervisor = slot("supervisor");

export const mask = slot("mask");

export const pair = slot("pair");

export const record = slot("record");

export const first = slot("pid");
export const signals = slot("signals");
export const master = slot("master");

/** The pipe by which the child of one that does not wait tells of its start. */
export const report = slot("report");

/** The descriptor that the child keeps of it: the one that is closed by execve(2) alone. */
export const REPORT = 3;

/** Pipes for the container's standard output and error, and for an input that nothing comes from. */
export const output = slot("output");
export const errors = slot("errors");
export const silence = slot("silence");
export const umask = slot("umask");

/** Whether nodes in its root open devices: when something else decides which, or when all are its own. */
export const mayOpenDevices = ({ config, limits, users }: Container): boolean =>
  limits.filtersDevices || (!users && config.process.capabilities.bounding.includes("CAP_MKNOD"));
