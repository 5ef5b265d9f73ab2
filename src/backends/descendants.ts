// What a process has started, and what that has: ended with it.

import { decode } from "../abi/bytes.ts";
import { SIG } from "../abi/flags.ts";
import { listDirectory, readFile, syscall } from "../sys/linux.ts";

/**
 * Ends a child of this process with all that it has started, by SIGKILL; how many these were. What has left the family
 * is not found: what was started by one that has ended since.
 * @see proc_pid_task(5), "children"
 */
export const endFamily = (pid: number): number => {
  const family = new Set([pid]);
  // Stopped from the top, so that none goes on to start others; and looked at once more, for one may have been about to.
  for (let known = 0; known !== family.size;) {
    known = family.size;
    for (const member of family) {
      syscall("kill", member, SIG.SIGSTOP);
      for (const child of childrenOf(member)) family.add(child);
    }
  }
  for (const member of family) syscall("kill", member, SIG.SIGKILL);
  return family.size - 1;
};

/** Children are their thread's. */
const childrenOf = (pid: number): number[] => {
  const threads = listDirectory(`/proc/${pid}/task`);
  if (typeof threads === "number") return [];
  return threads.flatMap((thread) => {
    const text = readFile(`/proc/${pid}/task/${decode(thread)}/children`);
    return text ? decode(text).split(" ").filter(Boolean).map(Number) : [];
  });
};
