// Becomes the launcher of a plan: same process id, same parent, and the caller's state as it was before Bun.

import { errno } from "../abi/errno.ts";
import { AT } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import type { Plan } from "../plan/plan.ts";
import type { Arch } from "../abi/syscalls.ts";
import { address, syscall } from "../sys/linux.ts";
import { callerArguments, callerEnvironment, restoreCallerState, type Words } from "../sys/caller.ts";
import { tryExecutables } from "./executable.ts";
import { lower } from "./launcher/lower.ts";

/** The words as a NULL-terminated array of C strings, which lie where the words do. */
const pointers = ({ bytes, starts }: Words): Uint32Array => {
  const base = bytes.length ? address(bytes) : 0;
  const out = new Uint32Array(2 * (starts.length + 1));
  for (let i = 0; i < starts.length; i++) {
    const pointer = base + starts[i]!;
    out[2 * i] = pointer;
    out[2 * i + 1] = pointer / 2 ** 32;
  }
  return out;
};

/**
 * Replaces this process by the plan's launcher, and so by the plan's program. Does not return; throws
 * {@link HostError} when the launcher cannot be executed. The arguments that `ps` shows stay those of the caller.
 * @see execveat(2)
 */
export const execute = (plan: Plan, arch: Arch): never => {
  const launcher = lower(plan, arch);
  const argv = pointers(callerArguments());
  const envp = pointers(callerEnvironment());
  const empty = cString("");
  restoreCallerState(plan.descriptors ?? "all");
  return tryExecutables(launcher, (fd) => {
    const result = syscall("execveat", fd, address(empty), address(argv), address(envp), AT.AT_EMPTY_PATH);
    if (result !== -errno("ENOENT")) return result;
    // Some security modules of older kernels want a path that resolves (seen on Debian's 5.10 without /dev/fd).
    const path = cString(`/proc/self/fd/${fd}`);
    return syscall("execve", address(path), address(argv), address(envp));
  });
};
