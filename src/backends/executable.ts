// A launcher as something that can be executed: a sealed memfd, or a file without a name where that is forbidden.

import { HostError } from "../abi/errors.ts";
import { errno, errnoText } from "../abi/errno.ts";
import { ALL_SEALS, FD, MFD, O, O_TMPFILE } from "../abi/flags.ts";
import { cString } from "../abi/bytes.ts";
import { address, arch, close, open, syscall, writeAll } from "../sys/linux.ts";

/** A close-on-exec descriptor of an executable with these bytes, which nobody can change any more. @see memfd_create(2) */
export const memoryFile = (bytes: Uint8Array): number => {
  const name = cString("nsk");
  let fd = syscall("memfd_create", address(name), MFD.MFD_CLOEXEC | MFD.MFD_ALLOW_SEALING | MFD.MFD_EXEC);
  // Kernels before 6.3 do not know MFD_EXEC, and every memfd of theirs can be executed.
  if (fd === -errno("EINVAL"))
    fd = syscall("memfd_create", address(name), MFD.MFD_CLOEXEC | MFD.MFD_ALLOW_SEALING);
  if (fd < 0) return fd;
  const written = writeAll(fd, bytes);
  if (written < 0) {
    close(fd);
    return written;
  }
  syscall("fcntl", fd, FD.F_ADD_SEALS, ALL_SEALS);
  return fd;
};

/** Directories for a file where a memfd may not be executed (vm.memfd_noexec=2), the likeliest first. */
const DIRECTORIES = ["/tmp", "/dev/shm", "/run", "/var/tmp", "."];

/**
 * Tries `run` with descriptors of an executable with these bytes: a memfd first, then files without a name. `run` does
 * not return when it succeeds, and returns the negative error number when it does not.
 */
export const tryExecutables = (bytes: Uint8Array, run: (fd: number) => number): never => {
  const fd = memoryFile(bytes);
  let result = fd < 0 ? fd : run(fd);
  for (const directory of DIRECTORIES) {
    if (result !== -errno("EACCES") && result !== -errno("EPERM") && result !== -errno("ENOSYS")) break;
    const file = namelessFile(directory, bytes);
    if (file >= 0) {
      result = run(file);
      close(file);
    }
  }
  throw new HostError(
    `cannot execute the launcher: ${errnoText(-result)}`,
    result === -errno("EACCES")
      ? "vm.memfd_noexec=2, and no directory of this machine allows programs"
      : undefined,
  );
};

/** What opens such files, one after the other, for a caller that goes on. */
export const namelessFiles = (bytes: Uint8Array): (() => number)[] =>
  DIRECTORIES.map((directory) => () => namelessFile(directory, bytes));

/** A file that never had a name, opened for reading only: a file open for writing cannot be executed (ETXTBSY). */
const namelessFile = (directory: string, bytes: Uint8Array): number => {
  const writable = open(directory, O_TMPFILE[arch] | O.O_RDWR | O.O_CLOEXEC, 0o700);
  if (writable < 0) return writable;
  const written = writeAll(writable, bytes);
  const fd = written < 0 ? written : open(`/proc/self/fd/${writable}`, O.O_RDONLY | O.O_CLOEXEC);
  close(writable);
  return fd;
};
