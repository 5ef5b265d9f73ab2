// The socket of whoever wants a container's terminal: its master is sent there.

import { encode } from "../../abi/bytes.ts";
import { HostError, StepError } from "../../abi/errors.ts";
import { NET } from "../../abi/flags.ts";
import { address, close, syscall } from "../../sys/linux.ts";

/** Connects to a Unix socket by its path. Throws {@link HostError}. */
export const connectTo = (path: string): number => {
  const name = encode(path);
  if (name.length > 107) throw new HostError(`the console socket ${path} has a name that is too long`);
  const fd = syscall("socket", NET.AF_UNIX, NET.SOCK_STREAM | NET.SOCK_CLOEXEC, 0);
  if (fd < 0) throw new StepError("make a socket", -fd);
  const to = new Uint8Array(110); // struct sockaddr_un { sa_family_t family; char path[108]; }
  to[0] = NET.AF_UNIX;
  to.set(name, 2);
  const connected = syscall("connect", fd, address(to), name.length + 3);
  if (connected < 0) {
    close(fd);
    throw new StepError(`connect to the console socket ${path}`, -connected);
  }
  return fd;
};

/** Sends a descriptor with its name, as runc does. @see unix(7), SCM_RIGHTS */
export const sendDescriptor = (socket: number, fd: number, name: string): void => {
  const text = encode(name);
  const part = BigUint64Array.of(BigInt(address(text)), BigInt(text.length)); // struct iovec
  // struct cmsghdr { size_t len; int level, type; } SOL_SOCKET, SCM_RIGHTS, and the descriptor
  const control = new Uint8Array(24);
  const view = new DataView(control.buffer);
  view.setBigUint64(0, 20n, true);
  view.setInt32(8, 1, true);
  view.setInt32(12, 1, true);
  view.setInt32(16, fd, true);
  // struct msghdr { name, namelen, iov, iovlen, control, controllen, flags }
  const message = BigUint64Array.of(
    0n,
    0n,
    BigInt(address(part)),
    1n,
    BigInt(address(control)),
    BigInt(control.length),
    0n,
  );
  const sent = syscall("sendmsg", socket, address(message), 0);
  if (sent < 0) throw new StepError("send the terminal to the console socket", -sent);
};
