// The end of a bundle's container: its processes, its groups, its state.

import { decode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { HostError, StepError } from "../../abi/errors.ts";
import { AT, O, SIG } from "../../abi/flags.ts";
import { isRunning, type State } from "../../containers/oci/state.ts";
import type { Host } from "../../host/host.ts";
import { address, close, listSubdirectories, open, remove, syscall, writeAll } from "../../sys/linux.ts";
import { awaitEnd } from "../containers.ts";
import { freezerOf, removeState } from "./store.ts";

/** A hold on the container's first process; undefined when it has ended. */
export const holdFirst = ({ first }: State, host: Host): number | undefined => {
  if (!first) return undefined;
  const process = syscall("pidfd_open", first.pid, 0);
  if (process < 0) return undefined;
  // From here on the number cannot become another process unseen.
  if (isRunning(first, host.read(`/proc/${first.pid}/stat`))) return process;
  close(process);
  return undefined;
};

/** Throws {@link StepError}; one that has ended meanwhile is no failure. */
export const sendSignal = (process: number, signal: number): void => {
  const result = syscall("pidfd_send_signal", process, signal, 0, 0);
  if (result < 0 && result !== -errno("ESRCH")) throw new StepError("send the signal", -result);
};

/** A group and those below it, these first. */
const treeOf = (group: string): string[] => {
  const below = listSubdirectories(group);
  if (typeof below === "number") return [group];
  return [...below.flatMap((name) => treeOf(`${group}/${decode(name)}`)), group];
};

/** All processes of the container, by the first hierarchy that it has a group in. */
export const processesOf = ({ groups }: State, host: Host): number[] => {
  const [group] = groups;
  if (group === undefined) return [];
  return treeOf(group).flatMap((it) =>
    // 0 stands for those outside of this PID namespace: to kill(2) that would be all of this process's own group.
    (host.read(`${it}/cgroup.procs`) ?? "")
      .split("\n")
      .map(Number)
      .filter((pid) => pid > 0),
  );
};

/** Sends every process a signal. */
export const signalAll = (state: State, signal: number, host: Host): void => {
  for (const pid of processesOf(state, host)) syscall("kill", pid, signal);
};

/** Thaws what was frozen: a frozen process of version 1 does not die. */
export const freeze = (state: State, how: "freeze" | "thaw", host: Host): void => {
  const freezer = freezerOf(state, host);
  if (!freezer) throw new HostError("there is no freezer here that the container is in");
  const [file, text] =
    freezer.version === 1
      ? ["freezer.state", how === "freeze" ? "FROZEN" : "THAWED"]
      : ["cgroup.freeze", how === "freeze" ? "1" : "0"];
  const fd = open(`${freezer.group}/${file}`, O.O_WRONLY | O.O_CLOEXEC);
  if (fd < 0) throw new StepError(`${how} the container`, -fd);
  const written = writeAll(fd, text!);
  close(fd);
  if (written < 0) throw new StepError(`${how} the container`, -written);
};

/** Milliseconds between attempts, and how many of them: processes need a moment to die. */
const PAUSE = 10;
const ATTEMPTS = 500;

/** Ends all processes and removes groups and state. Throws when something stays. */
export const destroy = async (root: string, state: State, host: Host): Promise<void> => {
  const first = holdFirst(state, host);
  if (first !== undefined) {
    sendSignal(first, SIG.SIGKILL);
    thawQuietly(state, host);
    awaitEnd(first, PAUSE * ATTEMPTS);
    close(first);
  }
  for (const group of state.groups) removeTree(group, state, host);
  removeState(root, state.id);
};

/** For a frozen process of version 1, which does not die. */
export const thawQuietly = (state: State, host: Host): void => {
  try {
    if (freezerOf(state, host)) freeze(state, "thaw", host);
  } catch {
    // The group may be gone with its last process.
  }
};

const removeTree = (group: string, state: State, host: Host): void => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let result = 0;
    for (const it of treeOf(group)) result = remove(it, AT.AT_REMOVEDIR);
    if (result === 0 || result === -errno("ENOENT")) return;
    if (result !== -errno("EBUSY")) throw new StepError(`remove the group ${group}`, -result);
    signalAll(state, SIG.SIGKILL, host);
    const pause = BigUint64Array.of(0n, BigInt(PAUSE * 1e6)); // struct timespec
    syscall("ppoll", 0, 0, address(pause), 0, 0);
  }
  throw new HostError(`the group ${group} has processes that do not end`);
};
