// What containers left whose supervisor was killed: their records are no longer locked, and say what to remove.

import { cString, decode } from "../abi/bytes.ts";
import { errno } from "../abi/errno.ts";
import { AT, AT_FDCWD, LOCK, O, SIG } from "../abi/flags.ts";
import { address, close, listDirectory, open, readAll, readFile, syscall, writeAll } from "../sys/linux.ts";

/** Ends what still runs in the recorded groups, and removes groups and records. Quiet: nobody waits for the result. */
export const removeLeftovers = (state: string): void => {
  const names = listDirectory(state);
  if (typeof names === "number") return;
  for (const name of names.map(decode)) {
    if (!/^[0-9a-f]{12}$/.test(name)) continue;
    const path = `${state}/${name}`;
    const record = open(path, O.O_RDONLY | O.O_CLOEXEC);
    if (record < 0) continue;
    if (syscall("flock", record, LOCK.LOCK_EX | LOCK.LOCK_NB) === 0) {
      const text = readAll(record);
      // Groups stand in the order in which they were made: children after their parents.
      const groups = typeof text === "number" ? [] : decode(text).split("\n").filter(Boolean).reverse();
      if (groups.map(removeGroup).every(Boolean)) remove(path, 0);
    }
    close(record);
  }
};

const remove = (path: string, flags: number): number => {
  const name = cString(path);
  return syscall("unlinkat", AT_FDCWD, address(name), flags);
};

/** Milliseconds to wait between attempts, and how many of them: processes need a moment to die. */
const PAUSE = 10;
const ATTEMPTS = 100;

/** Whether the group is gone. */
const removeGroup = (group: string): boolean => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    killAll(group);
    const result = remove(group, AT.AT_REMOVEDIR);
    if (result === 0 || result === -errno("ENOENT")) return true;
    if (result !== -errno("EBUSY")) return false;
    const pause = BigUint64Array.of(0n, BigInt(PAUSE * 1e6)); // struct timespec
    syscall("ppoll", 0, 0, address(pause), 0, 0);
  }
  return false;
};

const killAll = (group: string): void => {
  const fd = open(`${group}/cgroup.kill`, O.O_WRONLY | O.O_CLOEXEC);
  if (fd >= 0) {
    writeAll(fd, "1");
    close(fd);
    return;
  }
  // Version 1, and version 2 before Linux 5.14: one by one.
  const processes = readFile(`${group}/cgroup.procs`);
  for (const pid of processes ? decode(processes).split("\n").filter(Boolean) : [])
    syscall("kill", Number(pid), SIG.SIGKILL);
};
