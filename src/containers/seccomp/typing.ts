// A filter for programs that are handed the caller's terminal and have CAP_SYS_ADMIN: with that the kernel lets them type
// into it what the caller's shell then reads, although it is not their controlling terminal. @see ioctl_tty(2), TIOCSTI

import { errno } from "../../abi/errno.ts";

const [LOAD, JEQ, RETURN] = [0x20, 0x15, 0x06];
// In struct seccomp_data; of the second and third argument the low halves.
const [NUMBER, ARCHITECTURE, COMMAND, ARGUMENT] = [0, 4, 24, 32];
const [X86_64, AARCH64] = [0xc000003e, 0xc00000b7]; // AUDIT_ARCH_*
const [ALLOW, ERRNO] = [0x7fff0000, 0x50000];
const [TIOCSTI, TIOCLINUX, TIOCSCTTY] = [0x5412, 0x541c, 0x540e];

/** Each a `struct sock_filter`: code, jump if true, jump if false, k. The kernel itself looks at 32 bits of the command. */
const program = [
  [LOAD, 0, 0, ARCHITECTURE],
  [JEQ, 4, 0, X86_64],
  [JEQ, 6, 0, AARCH64],
  [LOAD, 0, 0, NUMBER], // ioctl(2) of 32-bit programs has one number on both
  [JEQ, 6, 0, 54],
  [RETURN, 0, 0, ALLOW],
  [LOAD, 0, 0, NUMBER],
  [JEQ, 3, 0, 16],
  [JEQ, 2, 8, 0x40000000 + 514], // x32
  [LOAD, 0, 0, NUMBER],
  [JEQ, 0, 6, 29],
  [LOAD, 0, 0, COMMAND],
  [JEQ, 5, 0, TIOCSTI],
  [JEQ, 4, 0, TIOCLINUX],
  [JEQ, 0, 2, TIOCSCTTY], // 1 takes a terminal from the session that has it
  [LOAD, 0, 0, ARGUMENT],
  [JEQ, 1, 0, 1],
  [RETURN, 0, 0, ALLOW],
  [RETURN, 0, 0, ERRNO | errno("EPERM")],
] as const;

/** `capabilities`: its bounding set. Undefined where it is not needed: with a terminal of its own, or without the capability. */
export const typingFilter = (
  capabilities: readonly string[],
  hasTerminal: boolean,
): Uint8Array | undefined => {
  if (hasTerminal || !capabilities.includes("CAP_SYS_ADMIN")) return undefined;
  const view = new DataView(new ArrayBuffer(8 * program.length));
  program.forEach(([code, yes, no, k], i) => {
    view.setUint16(8 * i, code, true);
    view.setUint8(8 * i + 2, yes);
    view.setUint8(8 * i + 3, no);
    view.setUint32(8 * i + 4, k, true);
  });
  return new Uint8Array(view.buffer);
};
