// Files that appear whole or not at all, also for somebody who has their predecessor open.

import { StepError } from "../abi/errors.ts";
import { AT_FDCWD, O, S } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import { address, close, fileType, open, readLink, remove, syscall, writeAll } from "../sys/linux.ts";

/**
 * Writes beside `path` and renames. `mode` less the umask. What is there and no file of its own (a device, a pipe, a
 * symbolic link such as /dev/stdout) is written to, and stays what it is. Throws {@link StepError}. @see rename(2)
 */
export const writeWhole = (path: string, data: string | Uint8Array, mode: number): void => {
  const temporary = `${path}.${process.pid}.tmp`;
  const check = (result: number): number => {
    if (result < 0) throw new StepError(`write ${path}`, -result);
    return result;
  };
  if (isWrittenThrough(path)) {
    const fd = check(open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC | O.O_CLOEXEC, mode));
    check(writeAll(fd, data));
    check(close(fd));
    return;
  }
  const fd = check(open(temporary, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, mode));
  try {
    check(writeAll(fd, data));
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
