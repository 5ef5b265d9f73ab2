// Becomes the launcher of a plan: same process id, same parent, and the caller's state as it was before Bun.

import { errno } from "../abi/errno.ts";
import { AT } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import type { Plan } from "../plan/plan.ts";
import type { Arch } from "../abi/syscalls.ts";
import { address, readFile, syscall } from "../sys/linux.ts";
import { restoreCallerState } from "../sys/caller.ts";
import { tryExecutables } from "./executable.ts";
import { lower } from "./launcher/lower.ts";

/** A block of NUL-terminated words as a NULL-terminated array of pointers into it. */
const pointers = (block: Uint8Array): BigUint64Array => {
  const base = BigInt(block.length ? address(block) : 0);
  const out: bigint[] = [];
  for (let start = 0; start < block.length;) {
    out.push(base + BigInt(start));
    const end = block.indexOf(0, start);
    if (end < 0) break;
    start = end + 1;
  }
  return BigUint64Array.from([...out, 0n]);
};

/** A word block of /proc that ends in NUL even if the process was started with something odd. */
const block = (path: string): Uint8Array => {
  const bytes = readFile(path) ?? new Uint8Array();
  return bytes.length === 0 || bytes.at(-1) === 0
    ? bytes
    : new Uint8Array(Buffer.concat([bytes, new Uint8Array(1)]));
};

/**
 * Replaces this process by the plan's launcher, and so by the plan's program. Does not return; throws
 * {@link HostError} when the launcher cannot be executed. The arguments that `ps` shows stay those of the caller.
 * @see execveat(2)
 */
export const execute = (plan: Plan, arch: Arch): never => {
  const launcher = lower(plan, arch);
  const args = block("/proc/self/cmdline");
  const environ = block("/proc/self/environ");
  const argv = pointers(args);
  const envp = pointers(environ);
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
