// The terminal of a program that shows something live: its size, its keys, and everything as it was afterwards.

import { errno } from "../abi/errno.ts";
import { TTY } from "../abi/flags.ts";
import { address, syscall, writeAll } from "./linux.ts";

export interface WindowSize {
  readonly rows: number;
  readonly columns: number;
}

/** As the terminal has it, 0 for what it does not know. @see TIOCGWINSZ(2const) */
export const ownWindowSize = (fd: number): WindowSize => {
  const size = new Uint16Array(4); // struct winsize: ws_row, ws_col, ws_xpixel, ws_ypixel
  if (syscall("ioctl", fd, TTY.TIOCGWINSZ, address(size)) < 0) return { rows: 0, columns: 0 };
  return { rows: size[0]!, columns: size[1]! };
};

/** The same; 24 and 80 where the terminal does not know. */
export const windowSize = (fd: number): WindowSize => {
  const { rows, columns } = ownWindowSize(fd);
  return { rows: rows || 24, columns: columns || 80 };
};

/** Keys come one by one, without echo and without signals. The function puts the terminal back. @see termios(3) */
export const takeKeys = (fd: number): (() => void) => {
  const before = new Uint8Array(64);
  if (syscall("ioctl", fd, TTY.TCGETS, address(before)) < 0) return () => {};
  const raw = before.slice();
  // struct termios: c_iflag, c_oflag, c_cflag, c_lflag, 32 bits each.
  const words = new Uint32Array(raw.buffer);
  words[3]! &= ~(TTY.ICANON | TTY.ECHO | TTY.ISIG);
  syscall("ioctl", fd, TTY.TCSETSW, address(raw));
  return () => void syscall("ioctl", fd, TTY.TCSETSW, address(before));
};

/** What has been typed, without waiting; `end` when there is nobody to type any more. */
export const typed = (fd: number): Uint8Array | "end" => {
  const POLLIN = 1;
  const pollfd = new Int32Array([fd, POLLIN]); // { int fd; short events; short revents; }
  const now = new Uint8Array(16);
  if (syscall("ppoll", address(pollfd), 1, address(now), 0, 0) <= 0) return new Uint8Array();
  const keys = new Uint8Array(64);
  const count = syscall("read", fd, address(keys), keys.length);
  return count > 0 ? keys.subarray(0, count) : "end";
};

/**
 * A line that somebody types, shown as it is typed or not at all, after a prompt on standard error; undefined where the
 * typing ends without one. Ctrl-C ends this process as it would, with the terminal as it was before.
 */
export const readLine = (fd: number, prompt: string, isShown: boolean): string | undefined => {
  writeAll(2, prompt);
  const release = takeKeys(fd);
  const line: number[] = [];
  const key = new Uint8Array(1);
  try {
    for (;;) {
      const count = syscall("read", fd, address(key), 1);
      if (count === -errno("EINTR")) continue;
      const [code] = key as unknown as [number];
      if (count <= 0 || (code === CTRL_D && line.length === 0)) return undefined;
      if (code === CTRL_C) {
        release();
        writeAll(2, "\n");
        process.kill(process.pid, "SIGINT");
        return undefined;
      }
      if (code === NEWLINE || code === RETURN) return new TextDecoder().decode(Uint8Array.from(line));
      if (code === BACKSPACE || code === DELETE) {
        if (line.length === 0) continue;
        // The bytes of one letter: those that go on begin with the bits 10.
        while ((line.pop()! & 0xc0) === 0x80);
        if (isShown) writeAll(2, "\b \b");
      } else if (code >= SPACE) {
        line.push(code);
        if (isShown) writeAll(2, key);
      }
    }
  } finally {
    release();
    writeAll(2, "\n");
  }
};

const [CTRL_C, CTRL_D, BACKSPACE, NEWLINE, RETURN, SPACE, DELETE] = [3, 4, 8, 10, 13, 32, 127];

/** A screen of its own without a cursor; the function goes back to what was there. @see console_codes(4) */
export const takeScreen = (fd: number): (() => void) => {
  writeAll(fd, "\x1b[?1049h\x1b[?25l");
  return () => void writeAll(fd, "\x1b[?25h\x1b[?1049l");
};

/** Shows lines from the top of the screen, and nothing below them. */
export const showLines = (fd: number, lines: readonly string[]): number =>
  writeAll(fd, `\x1b[H${lines.map((line) => `${line}\x1b[K`).join("\r\n")}\x1b[J`);
