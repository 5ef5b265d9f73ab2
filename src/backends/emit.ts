// Writes the launcher of a plan to a file: a small static executable that needs neither nsk nor a libc.

import { StepError } from "../abi/errors.ts";
import { AT_FDCWD, O, S } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import type { Arch } from "../abi/syscalls.ts";
import { checkPlan } from "../plan/check.ts";
import type { Plan } from "../plan/plan.ts";
import { address, close, fileType, open, readLink, remove, syscall, writeAll } from "../sys/linux.ts";
import { lower } from "./launcher/lower.ts";

/**
 * Writes the launcher to `path` with mode 0755 less the umask. The file appears whole or not at all. What is there and
 * no file of its own (a device, a pipe, a symbolic link such as /dev/stdout) is written to, and stays what it is.
 */
export const emit = (plan: Plan, arch: Arch, path: string): void => {
  checkPlan(plan);
  const bytes = lower(plan, arch);
  const title = `write ${path}`;
  const temporary = `${path}.${process.pid}.tmp`;
  const check = (result: number): number => {
    if (result < 0) throw new StepError(title, -result);
    return result;
  };
  if (isWrittenThrough(path)) {
    const fd = check(open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC | O.O_CLOEXEC, 0o755));
    check(writeAll(fd, bytes));
    check(close(fd));
    return;
  }
  const fd = check(open(temporary, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, 0o755));
  try {
    check(writeAll(fd, bytes));
    check(close(fd));
    const [from, to] = [cString(temporary), cString(path)];
    check(syscall("renameat2", AT_FDCWD, address(from), AT_FDCWD, address(to), 0));
  } catch (error) {
    remove(temporary);
    throw error;
  }
};

const isWrittenThrough = (path: string): boolean => {
  if (typeof readLink(path) !== "number") return true;
  const type = fileType(path);
  return type >= 0 && type !== S.S_IFREG && type !== S.S_IFDIR;
};
