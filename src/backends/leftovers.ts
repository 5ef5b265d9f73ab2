// What containers left whose supervisor was killed: their records are no longer locked, and say what to remove.

import { decode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import { AT, LOCK, O, POLL, SIG } from "../abi/flags.ts";
import { KEPT } from "../containers/kept-files.ts";
import { isId, isName, parseDetails } from "../containers/record.ts";
import {
  address,
  close,
  listDirectory,
  open,
  readAll,
  readFile,
  remove,
  syscall,
  writeAll,
} from "../sys/linux.ts";

/**
 * Ends what still runs of containers whose supervisor is dead, and removes their groups and records. Quiet: nobody waits
 * for the result, and what cannot be done now is left to the next run.
 */
export const removeLeftovers = (state: string, kept: string | undefined): void => {
  const names = listDirectory(state);
  if (typeof names === "number") return;
  for (const name of names.map(decode)) {
    if (!isId(name)) continue;
    const path = `${state}/${name}`;
    const record = open(path, O.O_RDONLY | O.O_CLOEXEC);
    if (record < 0) continue;
    if (syscall("flock", record, LOCK.LOCK_EX | LOCK.LOCK_NB) === 0) {
      const text = readAll(record);
      const lines = typeof text === "number" ? [] : decode(text).split("\n").filter(Boolean);
      // Groups stand in the order in which they were made: children after their parents.
      const groups = lines.filter((line) => line.startsWith("/")).reverse();
      const first = lines.find((line) => /^\d/.test(line));
      if ((first === undefined || endProcess(first)) && groups.map(removeGroup).every(Boolean)) {
        const details = parseDetails(lines.join("\n"));
        const stays = details !== undefined && details.detached && !details.autoRemove;
        const isKept =
          details?.detached === true && kept !== undefined && removeKept(`${kept}/${name}`, stays);
        const taken = details?.name;
        if (!isKept && taken !== undefined && isName(taken)) remove(`${state}/names/${taken}`);
        remove(path);
      }
    }
    close(record);
  }
};

/** Removes what is kept of a container that has ended, and gives its name back. */
export const removeContainer = (
  { id, name }: { readonly id: string; readonly name?: string | undefined },
  kept: string,
  state: string,
): void => {
  // In this order: once the directory is gone nobody would know whose the name was.
  if (name !== undefined && isName(name)) remove(`${state}/names/${name}`);
  removeKept(`${kept}/${id}`);
};

/**
 * Removes directories that a killed supervisor, or a machine that was switched off, has left half-made or half-removed,
 * or for which nothing was to be kept.
 */
export const sweepKept = (kept: string, state: string): void => {
  const names = listDirectory(kept);
  if (typeof names === "number") return;
  for (const id of names.map(decode)) {
    // A supervisor has its record from before the directory is made until after it is removed; then both are its own.
    if (!isId(id) || !isGone(`${state}/${id}`)) continue;
    const text = readFile(`${kept}/${id}/${KEPT.details}`);
    const details = text && parseDetails(decode(text));
    if (details && !details.autoRemove) continue;
    // Its name went with its record, and may be another's by now.
    removeKept(`${kept}/${id}`);
  }
};

const isGone = (path: string): boolean => {
  const fd = open(path, O.O_RDONLY | O.O_CLOEXEC);
  if (fd >= 0) close(fd);
  return fd === -errno("ENOENT");
};

/** Removes the directory of a container, unless `stays` says that it is to stay, and it is whole: whether it is there still. */
export const removeKept = (directory: string, stays = false): boolean => {
  const details = `${directory}/${KEPT.details}`;
  if (stays) {
    const text = readFile(details);
    if (text !== undefined && parseDetails(decode(text))) return true;
  }
  // What says that there is a container goes last.
  for (const name of [KEPT.log, KEPT.end, KEPT.details]) remove(`${directory}/${name}`);
  remove(directory, AT.AT_REMOVEDIR);
  return false;
};

/** When a process started, in clock ticks since the machine did, from its line in /proc. @see proc_pid_stat(5) */
const startTime = (line: string): string | undefined => line.slice(line.lastIndexOf(")") + 2).split(" ")[19];

/**
 * Ends a container's first process, and with it all others, when it is still the recorded one: a program that changes
 * its user loses the signal that its supervisor's death should have sent. Whether it is gone.
 */
const endProcess = (recorded: string): boolean => {
  const pid = Number.parseInt(recorded, 10);
  const process = syscall("pidfd_open", pid, 0);
  if (process < 0 && process !== -errno("ENOSYS")) return true;
  // Read with the descriptor at hand: from here on the number cannot become another process unseen.
  const now = readFile(`/proc/${pid}/stat`);
  const isSame = now !== undefined && startTime(decode(now)) === startTime(recorded);
  if (isSame && process < 0) syscall("kill", pid, SIG.SIGKILL); // before Linux 5.3
  if (isSame && process >= 0) syscall("pidfd_send_signal", process, SIG.SIGKILL, 0, 0);
  const isGone = !isSame || process < 0 || waitUntilReadable(process);
  if (process >= 0) close(process);
  return isGone;
};

/** Whether a process ends within the time that {@link removeGroup} takes at most. @see pidfd_open(2) */
const waitUntilReadable = (process: number): boolean => {
  const poll = Int32Array.of(process, POLL.POLLIN); // struct pollfd
  const seconds = BigInt(Math.ceil((PAUSE * ATTEMPTS) / 1000));
  const patience = BigUint64Array.of(seconds, 0n); // struct timespec
  return syscall("ppoll", address(poll), 1, address(patience), 0, 0) === 1;
};

/** Milliseconds to wait between attempts, and how many of them: processes need a moment to die. */
const PAUSE = 10;
const ATTEMPTS = 100;

/** Ends all that runs in a group and removes it; takes a second at most. Whether the group is gone. */
export const removeGroup = (group: string): boolean => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    killGroup(group);
    const result = remove(group, AT.AT_REMOVEDIR);
    if (result === 0 || result === -errno("ENOENT")) return true;
    if (result !== -errno("EBUSY")) return false;
    const pause = BigUint64Array.of(0n, BigInt(PAUSE * 1e6)); // struct timespec
    syscall("ppoll", 0, 0, address(pause), 0, 0);
  }
  return false;
};

/** Sends SIGKILL to all processes in a group. */
export const killGroup = (group: string): void => {
  const fd = open(`${group}/cgroup.kill`, O.O_WRONLY | O.O_CLOEXEC);
  if (fd >= 0) {
    writeAll(fd, "1");
    close(fd);
    return;
  }
  // Version 1, and version 2 before Linux 5.14: one by one.
  const processes = readFile(`${group}/cgroup.procs`);
  // 0 stands for those outside of this PID namespace: to kill(2) that would be all of this process's own group.
  for (const pid of processes ? decode(processes).split("\n").map(Number) : [])
    if (pid > 0) syscall("kill", pid, SIG.SIGKILL);
};
