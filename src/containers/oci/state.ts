// What is known of a bundle's container: a directory by its id, with state.json, which is replaced as a whole, and the pipe
// that a created container waits at. Pure.

import { UsageError } from "../../abi/errors.ts";
import type { Hooks } from "../config.ts";
import { type FirstProcess, parseStat } from "../recognise.ts";

export const OCI_VERSION = "1.2.0";

/** Where states are unless `--root` says otherwise. */
export const ROOT = "/run/nsk/oci";

export type Status = "creating" | "created" | "running" | "paused" | "stopped";

/** state.json. */
export interface State {
  readonly id: string;
  readonly bundle: string;
  readonly rootfs: string;
  /** RFC 3339. */
  readonly created: string;
  /** The user that made it. */
  readonly owner: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The nsk that is making it, until it is made. */
  readonly creator?: FirstProcess | undefined;
  /** Its first process, once there is one. */
  readonly first?: FirstProcess | undefined;
  /** The directories of its control groups. */
  readonly groups: readonly string[];
  readonly hooks: Hooks;
}

/** runc's rule. Throws {@link UsageError}. */
export const checkId = (id: string): string => {
  if (/^[\w+.-]+$/.test(id) && id !== "." && id !== ".." && id.length <= 1024) return id;
  throw new UsageError(id === "" ? "container id cannot be empty" : "invalid container ID format");
};

/** Undefined for what is no state of nsk's, or is that of another id than its directory's. */
export const parseState = (id: string, text: string): State | undefined => {
  try {
    const state = JSON.parse(text) as State;
    const isWhole =
      state.id === id &&
      Array.isArray(state.groups) &&
      typeof state.created === "string" &&
      typeof state.annotations === "object" &&
      typeof state.hooks === "object";
    return isWhole ? state : undefined;
  } catch {
    return undefined;
  }
};

/** Whether a process is there and has not ended, from its line in /proc. @see proc_pid_stat(5) */
export const isRunning = (process: FirstProcess, stat: string | undefined): boolean => {
  if (stat === undefined) return false;
  const found = parseStat(stat);
  const letter = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  return found?.started === process.started && letter !== "Z" && letter !== "X";
};

/** What hooks read. @see https://github.com/opencontainers/runtime-spec/blob/main/runtime.md */
export const stateForHooks = (state: State, status: Status): string =>
  JSON.stringify({
    ociVersion: OCI_VERSION,
    id: state.id,
    status,
    ...(state.first && status !== "stopped" && { pid: state.first.pid }),
    bundle: state.bundle,
    annotations: state.annotations,
  });

/** What `state` prints: the spec's, and runc's. */
export const stateForUsers = (state: State, status: Status): Record<string, unknown> => ({
  ociVersion: OCI_VERSION,
  id: state.id,
  pid: status === "stopped" ? 0 : (state.first?.pid ?? 0),
  status,
  bundle: state.bundle,
  rootfs: state.rootfs,
  created: state.created,
  ...(Object.keys(state.annotations).length > 0 && { annotations: state.annotations }),
  owner: state.owner,
});
