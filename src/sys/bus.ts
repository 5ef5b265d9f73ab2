// A connection to a D-Bus daemon, or to a program that speaks D-Bus on a socket of its own: one call, one answer.

import { decode, encode } from "../abi/bytes.ts";
import { type Answer, decodeMessage, encodeCall, type MethodCall } from "../abi/dbus.ts";
import { errno } from "../abi/errno.ts";
import { NET } from "../abi/flags.ts";
import { address, close, syscall, writeAll } from "./linux.ts";

export interface Bus {
  /** The answer to a call, or the negative error number of what went wrong on the way; ETIMEDOUT for no answer. */
  call(call: MethodCall): Answer | number;
  close(): void;
}

/** Seconds that an answer may take. */
const PATIENCE = 20;

/** Connects to a socket by its path and says who we are; a negative error number when there is nobody who listens. */
export const connectBus = (path: string): Bus | number => {
  const fd = syscall("socket", NET.AF_UNIX, NET.SOCK_STREAM | NET.SOCK_CLOEXEC, 0);
  if (fd < 0) return fd;
  const fail = (error: number): number => {
    close(fd);
    return error;
  };
  const name = encode(path);
  if (name.length > 107) return fail(-errno("ENAMETOOLONG"));
  const socketAddress = new Uint8Array(110); // struct sockaddr_un { u16 sun_family; char sun_path[108]; }
  socketAddress[0] = NET.AF_UNIX;
  socketAddress.set(name, 2);
  const connected = syscall("connect", fd, address(socketAddress), 2 + name.length + 1);
  if (connected < 0) return fail(connected);

  let pending = new Uint8Array();
  /** Waits for more bytes and appends them. */
  const receive = (): number => {
    const pollfd = new Int32Array([fd, 1]); // { int fd; short events = POLLIN; short revents; }
    const timeout = BigInt64Array.of(BigInt(PATIENCE), 0n);
    const ready = syscall("ppoll", address(pollfd), 1, address(timeout), 0, 0);
    if (ready <= 0) return ready || -errno("ETIMEDOUT");
    const buffer = new Uint8Array(16384);
    const count = syscall("read", fd, address(buffer), buffer.length);
    if (count <= 0) return count || -errno("ECONNRESET");
    pending = Uint8Array.from([...pending, ...buffer.subarray(0, count)]);
    return count;
  };

  // EXTERNAL: the kernel tells the other end our user id, which is said here in hexadecimal digits of its decimal ones.
  const uid = [...String(syscall("geteuid"))].map((digit) => digit.charCodeAt(0).toString(16)).join("");
  const greeted = writeAll(fd, `\0AUTH EXTERNAL ${uid}\r\n`);
  if (greeted < 0) return fail(greeted);
  while (!decode(pending).includes("\r\n")) {
    const received = receive();
    if (received < 0) return fail(received);
  }
  if (!decode(pending).startsWith("OK")) return fail(-errno("EACCES"));
  pending = new Uint8Array();
  const begun = writeAll(fd, "BEGIN\r\n");
  if (begun < 0) return fail(begun);

  let serial = 0;
  return {
    call: (call) => {
      const sent = writeAll(fd, encodeCall(call, ++serial));
      if (sent < 0) return sent;
      for (;;) {
        const message = decodeMessage(pending);
        if (!message) {
          const received = receive();
          if (received < 0) return received;
          continue;
        }
        pending = pending.slice(message.length);
        // Signals and answers to nobody are passed over.
        if (message.answer.serial === serial) return message.answer;
      }
    },
    close: () => void close(fd),
  };
};
