// nsk's containers: those that run, and those of which something is kept; and signals to them.

import { decode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { LOCK, O, POLL } from "../abi/flags.ts";
import { findKeptPath, KEPT } from "../containers/kept-files.ts";
import { parseStat } from "../containers/recognise.ts";
import {
  type Details,
  type End,
  isId,
  namesIn,
  parseDetails,
  parseEnd,
  parseRunning,
  type Running,
} from "../containers/record.ts";
import { ownStatePath } from "../containers/state-path.ts";
import type { Host } from "../host/host.ts";
import { close, address, linkCount, open, readAll, remove, syscall } from "../sys/linux.ts";

/** Those whose first process is there, oldest first. */
export const runningContainers = (host: Host): Running[] => {
  const all: Running[] = [];
  const state = ownStatePath(host);
  if (state === undefined) return all;
  for (const id of host.list(state) ?? []) {
    if (!isId(id)) continue;
    const found = parseRunning(id, host.read(`${state}/${id}`) ?? "");
    if (found && isThere(found, host)) all.push(found);
  }
  return all.toSorted((one, other) => Number(one.first.started) - Number(other.first.started));
};

/** One that has ended, or whose supervisor is at work before its first process is there or when that has gone. */
export interface Kept extends Details {
  readonly id: string;
  /** `dead`: whoever would have told how it ended was killed. */
  readonly state: "exited" | "dead" | "between";
  readonly end: End | undefined;
}

/** Those of which something is kept, and that do not run; in the order in which they were asked for. */
export const keptContainers = (host: Host, running: readonly Running[]): Kept[] => {
  const directory = findKeptPath(host);
  const all: Kept[] = [];
  if (directory === undefined) return all;
  for (const id of host.list(directory) ?? []) {
    if (!isId(id) || running.some((it) => it.id === id)) continue;
    const isBusy = isSupervised(id, host);
    const details = parseDetails(host.read(`${directory}/${id}/${KEPT.details}`) ?? "");
    if (!details) continue;
    const end = parseEnd(host.read(`${directory}/${id}/${KEPT.end}`) ?? "");
    all.push({ ...details, id, state: end ? "exited" : isBusy ? "between" : "dead", end });
  }
  return all.toSorted((one, other) => (one.created < other.created ? -1 : 1));
};

export type Known = (Running & { readonly state: "running" }) | Kept;

/** All that there is something to say about, the oldest first. */
export const knownContainers = (host: Host): Known[] => {
  const running = runningContainers(host);
  const all: Known[] = [
    ...running.map((it) => ({ ...it, state: "running" as const })),
    ...keptContainers(host, running),
  ];
  return all.toSorted((one, other) => (one.created < other.created ? -1 : 1));
};

/** The recorded process, not one that its supervisor has yet to hear of the end of, and not another with its number. */
const isThere = ({ first }: Running, host: Host): boolean => {
  const line = host.read(`/proc/${first.pid}/stat`) ?? "";
  return parseStat(line)?.started === first.started && !/\) [ZX] /.test(line);
};

/** Whether the supervisor of a container is there: it locks the record as long as it lives. */
export const isSupervised = (id: string, host: Host): boolean => {
  const record = holdRecord(id, host);
  if (record === undefined) return false;
  const result = syscall("flock", record, LOCK.LOCK_SH | LOCK.LOCK_NB);
  close(record);
  return result < 0;
};

/** A hold on a container's record, for {@link awaitSupervisor}; undefined when it is gone. */
export const holdRecord = (id: string, host: Host): number | undefined => {
  const state = ownStatePath(host);
  const record = state === undefined ? -1 : open(`${state}/${id}`, O.O_RDONLY | O.O_CLOEXEC);
  return record < 0 ? undefined : record;
};

/** Waits until the supervisor has done its work: how its container ended, undefined when it was killed before it knew. */
export const awaitSupervisor = (record: number): End | undefined => {
  let result: number;
  do result = syscall("flock", record, LOCK.LOCK_SH);
  while (result === -errno("EINTR"));
  if (result < 0) throw new StepError("wait for the supervisor", -result);
  // Opened before it was removed, so it can still be read.
  const text = readAll(record);
  close(record);
  return typeof text === "number" ? undefined : parseEnd(decode(text));
};

/** A hold on a container's first process, for {@link signalContainer}; undefined when it has ended. */
export const holdContainer = (container: Running, host: Host): number | undefined => {
  const process = syscall("pidfd_open", container.first.pid, 0);
  if (process === -errno("ESRCH")) return undefined;
  if (process < 0) throw new StepError(`find process ${container.first.pid}`, -process);
  // From here on the number cannot become another process unseen.
  if (isThere(container, host)) return process;
  close(process);
  return undefined;
};

/** Throws {@link StepError} when that is not allowed; one that has ended is no failure. */
export const signalContainer = (process: number, signal: number): void => {
  const result = syscall("pidfd_send_signal", process, signal, 0, 0);
  if (result < 0 && result !== -errno("ESRCH")) throw new StepError("send the signal", -result);
};

/** Whether it ends within so many milliseconds; -1 waits for ever. */
export const awaitEnd = (process: number, milliseconds: number): boolean => {
  const poll = Int32Array.of(process, POLL.POLLIN); // struct pollfd
  const time = BigInt64Array.of(
    BigInt(Math.floor(milliseconds / 1000)),
    BigInt(milliseconds % 1000) * 1_000_000n,
  );
  return syscall("ppoll", address(poll), 1, milliseconds < 0 ? 0 : address(time), 0, 0) === 1;
};

/**
 * Throws {@link HostError} when a container that has ended has the name. One that runs holds it otherwise. A name that is
 * left of a container whose directory somebody has removed by hand is given back.
 */
export const refuseKeptName = (name: string, host: Host): void => {
  const state = ownStatePath(host);
  const path = state === undefined ? undefined : `${namesIn(state)}/${name}`;
  // Asked before it is looked for: with its record it loses the other link, and has its directory then.
  const isLast = path !== undefined && linkCount(path) === 1;
  const found = keptContainers(host, runningContainers(host)).find((it) => it.name === name);
  if (found)
    throw new HostError(
      `the name ${name} is that of the container ${found.id}`,
      `nsk rm ${name} removes that`,
    );
  if (isLast) remove(path);
};

/** Files of a container, seen with its own root: whatever its links point to, nothing of the host's is opened. */
export const insideOf = (
  container: Running,
  host: Host,
): { read(path: string): string | undefined; close(): void } => {
  const root = open(`/proc/${container.first.pid}/root`, O.O_PATH | O.O_CLOEXEC);
  if (root < 0) throw new StepError("look into the container", -root);
  if (!isThere(container, host)) {
    close(root);
    throw new HostError(`container ${container.id} is not running`);
  }
  return {
    read: (path) => host.readIn(`/proc/self/fd/${root}`, path),
    close: () => void close(root),
  };
};
