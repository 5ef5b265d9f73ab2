// Becomes the launcher of a plan: same process id, same parent, and the caller's state as it was before Bun.

import { errno } from "../abi/errno.ts";
import { AT } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import type { Plan } from "../plan/plan.ts";
import type { Arch } from "../abi/syscalls.ts";
import { address, syscall } from "../sys/linux.ts";
import { callerVectors, restoreCallerState } from "../sys/caller.ts";
import { tryExecutables } from "./executable.ts";
import { lower, type Ready } from "./launcher/lower.ts";

/**
 * Replaces this process by the plan's launcher, and so by the plan's program. Does not return; throws
 * {@link HostError} when the launcher cannot be executed. The arguments that `ps` shows stay those of the caller.
 * @see execveat(2)
 */
export const execute = (plan: Plan, arch: Arch, ready?: Ready): never => {
  const launcher = lower(plan, arch, ready);
  const { argv, envp } = callerVectors();
  const empty = cString("");
  restoreCallerState(plan.descriptors ?? "all");
  return tryExecutables(launcher, (fd) => {
    const result = syscall("execveat", fd, address(empty), argv, envp, AT.AT_EMPTY_PATH);
    if (result !== -errno("ENOENT")) return result;
    // Some security modules of older kernels want a path that resolves (seen on Debian's 5.10 without /dev/fd).
    const path = cString(`/proc/self/fd/${fd}`);
    return syscall("execve", address(path), argv, envp);
  });
};
