// The tables of numbers against the kernel's own headers (Debian: linux-libc-dev), and text that came as bytes.

import { describe, expect, test } from "bun:test";
import { CString, dlopen } from "bun:ffi";
import { existsSync, readFileSync } from "node:fs";
import { cString, decode, encode, printable } from "../src/abi/bytes.ts";
import { errno, errnoName, errnoNumbers, errnoText } from "../src/abi/errno.ts";
import * as flags from "../src/abi/flags.ts";
import { syscallNumbers } from "../src/abi/syscalls.ts";
import { testNeeding } from "./support/needs.ts";
import { random } from "./support/random.ts";

const include = "/usr/include";

/** What C headers say of names: `#define NAME expression` and enumerators, evaluated when asked for. */
const headers = (...paths: string[]): ((name: string) => number | undefined) => {
  const found = new Map<string, string>();
  for (const path of paths) {
    const text = readFileSync(`${include}/${path}`, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
    for (const [, name, value] of text.matchAll(/^\s*#\s*define\s+(\w+)[ \t]+(.+)$/gm))
      if (!found.has(name!) && value!.trim() !== name) found.set(name!, value!);
    for (const [, name, value] of text.matchAll(/^\s*(\w+)\s*=\s*([^,\n]+),?\s*$/gm))
      found.set(name!, value!);
  }
  const evaluate = (expression: string): number | undefined => {
    // _IO(type, number) and _IOW(type, number, size) of asm-generic/ioctl.h: direction 1 (write) at bit 30, size at 16.
    const plain = expression
      .replace(/_IO\('(.)',\s*(\w+)\)/, (_, type, number) => `(${type.charCodeAt(0)} << 8 | ${number})`)
      .replace(/_IO\((\w+),\s*(\w+)\)/, (_, type, number) => `(${type} << 8 | ${number})`)
      .replace(
        /_IOW\('(.)',\s*(\w+),\s*int\)/,
        (_, type, number) => `(1 << 30 | 4 << 16 | ${type.charCodeAt(0)} << 8 | ${number})`,
      );
    let known = true;
    const script = plain.replace(/\b\w+\b/g, (word) => {
      if (/^0x/i.test(word)) return word.replace(/[UL]+$/i, "");
      if (/^0\d+[UL]*$/i.test(word)) return `0o${word.replace(/[UL]+$/i, "")}`;
      if (/^\d/.test(word)) return word.replace(/[UL]+$/i, "");
      const value = found.has(word) ? evaluate(found.get(word)!) : undefined;
      if (value === undefined) known = false;
      return String(value);
    });
    if (!known || !/^[\s\dxo a-f()|+<-]+$/i.test(script)) return undefined;
    return Number(new Function(`return (${script}) >>> 0`)());
  };
  return (name) => (found.has(name) ? evaluate(found.get(name)!) : undefined);
};

describe("system call numbers are the kernel's", () => {
  const compare = (column: 0 | 1, path: string): void => {
    const header = headers(path);
    for (const [name, numbers] of Object.entries(syscallNumbers))
      expect<unknown>([name, numbers[column]]).toEqual([name, header(`__NR_${name}`)]);
  };
  const x64 = ["x86_64-linux-gnu/asm/unistd_64.h", "asm/unistd_64.h"];
  const present = x64.find((path) => existsSync(`${include}/${path}`)) ?? x64[0]!;
  testNeeding(`${include}/${present}`)("on x86-64", () => compare(0, present));
  // arm64 has the numbers of every architecture that came after 2011.
  testNeeding(`${include}/asm-generic/unistd.h`)("on arm64", () => compare(1, "asm-generic/unistd.h"));
});

describe("error numbers", () => {
  testNeeding(`${include}/asm-generic/errno.h`)("are the kernel's, and all of them", () => {
    const paths = ["asm-generic/errno-base.h", "asm-generic/errno.h"];
    const header = headers(...paths);
    const names = paths.flatMap((path) =>
      [...readFileSync(`${include}/${path}`, "utf8").matchAll(/#define\s+(E[A-Z0-9]+)/g)].map(
        ([, name]) => name!,
      ),
    );
    expect(names.length).toBeGreaterThan(130);
    // Second names of numbers that have one already; errno(3) lists EAGAIN and EDEADLK.
    const doubles = ["EWOULDBLOCK", "EDEADLOCK"];
    const expected = names.filter((name) => !doubles.includes(name)).map((name) => [name, header(name)!]);
    expect(Object.fromEntries(Object.entries(errnoNumbers))).toEqual(Object.fromEntries(expected));
  });

  const glibc = existsSync("/lib64/ld-linux-x86-64.so.2") || existsSync("/lib/ld-linux-aarch64.so.1");
  test.skipIf(!glibc)("have the words of strerror(3)", () => {
    const libc = dlopen("libc.so.6", { strerror: { args: ["i32"], returns: "ptr" } });
    for (let number = 1; number < 140; number++)
      expect(errnoText(number)).toBe(new CString(libc.symbols.strerror(number)!).toString());
  });

  test("are found by name and named by number", () => {
    expect(errno("ENOENT")).toBe(2);
    expect([errnoName(2), errnoName(41), errnoName(999)]).toEqual(["ENOENT", "41", "999"]);
    expect(errnoText(999)).toBe("Unknown error 999");
  });
});

describe("flags", () => {
  const paths = [
    "linux/bpf.h",
    "linux/capability.h",
    "linux/close_range.h",
    "linux/fcntl.h",
    "linux/if.h",
    "linux/ioprio.h",
    "linux/magic.h",
    "linux/memfd.h",
    "linux/keyctl.h",
    "linux/mman.h",
    "linux/mount.h",
    "linux/netlink.h",
    "linux/nsfs.h",
    "linux/openat2.h",
    "linux/personality.h",
    "linux/prctl.h",
    "linux/rtnetlink.h",
    "linux/sched.h",
    "linux/seccomp.h",
    "linux/sockios.h",
    "linux/stat.h",
    "asm-generic/fcntl.h",
    "asm-generic/ioctls.h",
    "asm-generic/mman-common.h",
    "asm-generic/mman.h",
    "asm-generic/poll.h",
    "asm-generic/resource.h",
    "asm-generic/signal.h",
    "asm-generic/signal-defs.h",
    "asm-generic/termbits-common.h",
    "asm-generic/termbits.h",
  ];
  /** The kernel knows these, but exports no header with them; the C library has its own. */
  const withoutHeader = [
    ...["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"],
    ...["AF_UNIX", "AF_INET", "AF_NETLINK", "SOCK_STREAM", "SOCK_DGRAM", "SOCK_RAW", "SOCK_CLOEXEC"],
    // Enumerators of linux/net_namespace.h and linux/bpf.h that count themselves.
    ...["NETNSA_NSID", "NETNSA_FD"],
    ...["BPF_PROG_LOAD", "BPF_PROG_ATTACH", "BPF_PROG_TYPE_CGROUP_DEVICE", "BPF_CGROUP_DEVICE"],
  ];
  /** Younger than the headers of Debian 12 (Linux 6.1), with the version that brought them. */
  const young = ["MFD_EXEC" /* 6.3 */, "FD_NSFS_ROOT", "FILEID_NSFS" /* 6.18 */];

  const constants: [string, number][] = [];
  for (const [name, value] of Object.entries(flags)) {
    if (name === "O_BY_ARCH") constants.push(...Object.entries(flags.O_BY_ARCH.x64));
    else if (name === "O_TMPFILE") constants.push([name, flags.O_TMPFILE.x64]);
    else if (typeof value === "object") constants.push(...Object.entries(value));
    else if (typeof value === "number" && name !== "ALL_SEALS") constants.push([name, value]);
  }

  testNeeding(`${include}/linux/mount.h`)("are the kernel's", () => {
    const header = headers(...paths.filter((path) => existsSync(`${include}/${path}`)));
    expect(constants.length).toBeGreaterThan(150);
    const wrong = constants
      .filter(([name]) => !withoutHeader.includes(name))
      .filter(([name]) => !(young.includes(name) && header(name) === undefined))
      .filter(([name, value]) => header(name) !== value >>> 0)
      .map(([name, value]) => `${name} is ${header(name)}, not ${value}`);
    expect(wrong).toEqual([]);
    expect(withoutHeader.filter((name) => header(name) !== undefined)).toEqual([]);
  });

  test("are written as strace writes them", () => {
    expect(flags.flagText(0, flags.MS)).toBe("0");
    expect(flags.flagText(flags.MS.MS_REC | flags.MS.MS_PRIVATE, flags.MS)).toBe("MS_REC|MS_PRIVATE");
    expect(flags.flagText(flags.MS.MS_RDONLY | 0x80000000, flags.MS)).toBe("MS_RDONLY|0x80000000");
  });

  test("a signal has a name, with or without SIG, or a number", () => {
    expect(["KILL", "sigkill", "9", "64", "0", "65", "NONSENSE", ""].map(flags.parseSignal)).toEqual([
      ...[9, 9, 9, 64],
      ...[undefined, undefined, undefined, undefined],
    ]);
    expect(
      ["RTMIN+1", "SIGRTMAX-2", "rtmin", "RTMAX", "RTMIN+31", "RTMIN-1", "CLD", "SIGIOT", "poll"].map(
        flags.parseSignal,
      ),
    ).toEqual([35, 62, 34, 64, undefined, undefined, 17, 6, 29]);
    expect([flags.signalName(9), flags.signalName(34)]).toEqual(["SIGKILL", "SIGRT_2"]);
  });
});

describe("bytes as text", () => {
  const samples: [string, number[], string][] = [
    ["letters", [0x61, 0x62], "ab"],
    ["two, three and four bytes", [0xc3, 0xa9, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x90, 0xa7], "é€🐧"],
    ["a byte order mark, which is data here", [0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
    ["a byte alone", [0x61, 0xff, 0x62], "a\udcffb"],
    ["a sequence cut short", [0xe2, 0x82], "\udce2\udc82"],
    ["a sequence cut short by a letter", [0xe2, 0x82, 0x61], "\udce2\udc82a"],
    ["an overlong slash", [0xc0, 0xaf], "\udcc0\udcaf"],
    ["an overlong sequence of three", [0xe0, 0x80, 0xaf], "\udce0\udc80\udcaf"],
    ["a surrogate", [0xed, 0xb3, 0xbf], "\udced\udcb3\udcbf"],
    ["past the last character", [0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
  ];
  test.each(samples)("%s", (_, bytes, text) => {
    expect(decode(Uint8Array.from(bytes))).toBe(text);
    expect([...encode(text)]).toEqual(bytes);
  });

  test("any bytes come back as they were", () => {
    const { below, pick } = random(793);
    const lead = [
      0x00, 0x2f, 0x61, 0x7f, 0x80, 0xbf, 0xc0, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5, 0xff,
    ];
    for (let i = 0; i < 5000; i++) {
      const bytes = Uint8Array.from({ length: below(12) }, () =>
        pick([pick(lead), below(256), 0x80 + below(64)]),
      );
      expect(encode(decode(bytes))).toEqual(bytes);
    }
  });

  test("what is UTF-8 reads as it does elsewhere", () => {
    for (let code = 0; code <= 0x10ffff; code += code < 0x3000 ? 1 : 251) {
      if (code >= 0xd800 && code <= 0xdfff) continue;
      const text = String.fromCodePoint(code);
      expect(decode(Buffer.from(text))).toBe(text);
    }
  });

  test("a C string ends in NUL, and has none inside", () => {
    expect([...cString("a\udcff")]).toEqual([0x61, 0xff, 0]);
    expect(() => cString("a\0b")).toThrow(RangeError);
  });

  test("control characters and undecodable bytes are made visible, and nothing else is touched", () => {
    expect(printable("a\n\x1b[2J\x7f\x9b\udcff")).toBe("a\\x0a\\x1b[2J\\x7f\\x9b\\xff");
    expect(printable("größe 組 🐧 ~")).toBe("größe 組 🐧 ~");
  });
});
