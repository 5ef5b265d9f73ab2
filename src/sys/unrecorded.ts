// What can be found out about the caller when nsk runs from its sources, under a Bun that has kept no record: words from
// /proc, and guesses about the state. No part of a built nsk.

import { decode } from "../abi/bytes.ts";
import { SIG } from "../abi/flags.ts";
import { address, listDirectory, readFile, syscall } from "./linux.ts";
import { signalsOf, type Source } from "./source.ts";

/** NUL-terminated words, as one block of bytes. /proc ends the last one with a NUL too, unless it was started oddly. */
const readWords = (path: string): Uint8Array => {
  const read = readFile(path) ?? new Uint8Array();
  return read.length === 0 || read[read.length - 1] === 0 ? read : Uint8Array.of(...read, 0);
};

const startsOf = (block: Uint8Array): number[] => {
  const starts: number[] = [];
  for (let at = 0; at < block.length; at = block.indexOf(0, at) + 1) starts.push(at);
  return starts;
};

/** A NULL-terminated array of pointers to the words, which lie where the block does. */
const pointersTo = (block: Uint8Array): BigUint64Array => {
  const base = block.length ? address(block) : 0;
  return BigUint64Array.from([...startsOf(block).map((start) => BigInt(base + start)), 0n]);
};

/** The parent's soft limit, if its hard limit is ours: then it has probably handed both on. @see proc_pid_limits(5) */
const guessOpenFiles = (): { soft: number; hard: number } | undefined => {
  const limits = (pid: string): string[] =>
    /^Max open files +(\d+) +(\d+)/m
      .exec(decode(readFile(`/proc/${pid}/limits`) ?? new Uint8Array()))
      ?.slice(1) ?? [];
  const [soft, hard] = limits(String(syscall("getppid")));
  return hard !== undefined && hard === limits("self")[1]
    ? { soft: Number(soft), hard: Number(hard) }
    : undefined;
};

/** SIGPIPE and SIGXFSZ are ignored by Bun itself; whether by the caller too cannot be told. */
const guessIgnored = (): number[] => {
  const status = decode(readFile("/proc/self/status") ?? new Uint8Array());
  const [, high = "0", low = "0"] = /^SigIgn:\s*([0-9a-f]{8})([0-9a-f]{8})$/m.exec(status) ?? [];
  return signalsOf(parseInt(low, 16), parseInt(high, 16)).filter(
    (signal) => signal !== SIG.SIGPIPE && signal !== SIG.SIGXFSZ,
  );
};

/** All that are open and no epoll or eventfd, which Bun has of its own. */
const guessDescriptors = (): number[] => {
  const names = listDirectory("/proc/self/fd");
  if (typeof names === "number") return [];
  return names.map((name) => Number(decode(name))).filter((fd) => !isBuns(fd));
};

const isBuns = (fd: number): boolean => {
  const info = decode(readFile(`/proc/self/fdinfo/${fd}`) ?? new Uint8Array());
  return /^(?:eventfd-count|tfd):/m.test(info);
};

export const unrecorded = (): Source => {
  const args = readWords("/proc/self/cmdline");
  const environment = readWords("/proc/self/environ");
  const [argv, envp] = [pointersTo(args), pointersTo(environment)];
  return {
    arguments: () => startsOf(args).map((start) => decode(args.subarray(start, args.indexOf(0, start)))),
    environment: () => `\0${decode(environment)}`,
    vectors: () => ({ argv: address(argv), envp: address(envp) }),
    state: () => ({
      ignored: guessIgnored(),
      openFiles: guessOpenFiles(),
      descriptors: guessDescriptors(),
      blocked: undefined,
    }),
  };
};
