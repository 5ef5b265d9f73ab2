// Randomness from the kernel.

import { address, syscall } from "./linux.ts";

/** `count` bytes, at most 256: so many come in one piece. @see getrandom(2) */
export const randomBytes = (count: number): Uint8Array => {
  const bytes = new Uint8Array(count);
  syscall("getrandom", address(bytes), count, 0);
  return bytes;
};
