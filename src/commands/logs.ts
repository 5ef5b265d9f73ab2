// nsk logs: what a container that nobody waits for has printed, each stream to its own.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { O } from "../abi/flags.ts";
import { isSupervised, knownContainers } from "../backends/containers.ts";
import { KEPT, keptPath } from "../containers/kept-files.ts";
import { lineCutter, parseFrames, type Piece, STREAM } from "../containers/log.ts";
import { encode } from "../abi/bytes.ts";
import { address, close, open, syscall, writeAll } from "../sys/linux.ts";
import { command } from "./command.ts";
import { tellOutOfMemory, theOne } from "./containers.ts";

export const logs = command({
  definition: {
    meta: {
      name: "logs",
      description:
        "Show what a container in the background (run -d) has printed: its standard output here, its standard error there.",
    },
    args: {
      follow: { type: "boolean", alias: "f", description: "go on until the container ends" },
      tail: {
        type: "string",
        alias: "n",
        valueHint: "number|all",
        description: "only so many lines at the end",
      },
      since: {
        type: "string",
        valueHint: "time",
        description:
          "what was printed since: 2026-01-31T10:00:00Z, seconds since 1970, or 10m for ten minutes ago",
      },
      until: { type: "string", valueHint: "time", description: "what was printed before" },
      timestamps: { type: "boolean", alias: "t", description: "in front of each line when it was printed" },
    },
  },
  usage: "[options] <container>",
  permute: true,
  failure: 1,
  truths: true,
  run: ({ options, operands, host, name }) => {
    const tail = parseTail(options.tail);
    const [since, until] = [parseTime("since", options.since), parseTime("until", options.until)];
    const it = theOne(operands, host);
    const log = open(`${keptPath(host)}/${it.id}/${KEPT.log}`, O.O_RDONLY | O.O_CLOEXEC);
    if (log < 0)
      throw new HostError(
        `${it.id} has no log`,
        it.detached ? "it has just been removed" : "what it prints goes to who started it: run -d keeps it",
      );
    let lost = 0n;
    const tellLost = (): void => {
      if (lost > 0n) writeAll(2, `${name}: ${lost} bytes are missing here: the disk was full\n`);
      lost = 0n;
    };
    const showPiece = shower(options.timestamps);
    const show = (piece: Piece): void => {
      if (piece.stream === STREAM.lost) {
        lost += new DataView(piece.bytes.buffer, piece.bytes.byteOffset).getBigUint64(0, true);
        return;
      }
      tellLost();
      showPiece(piece);
    };
    const cut = lineCutter();
    const wanted = (piece: Piece): boolean =>
      (since === undefined || piece.time >= since) && (until === undefined || piece.time <= until);
    const next = reader(log);
    /** Lines of pieces that are not to be shown before it is known that they are among the last. */
    const last: Piece[][] = [];
    const drain = (take: (piece: Piece) => void): void => {
      for (let frames = next(); frames.length > 0; frames = next())
        for (const frame of frames)
          for (const piece of frame.stream === STREAM.lost ? [{ ...frame, begins: true }] : cut(frame))
            if (wanted(piece)) take(piece);
    };
    if (tail === undefined) drain(show);
    else {
      drain((piece) => {
        if (piece.begins || last.length === 0) last.push([copyOf(piece)]);
        else (last.findLast(([first]) => first!.stream === piece.stream) ?? last.at(-1)!).push(copyOf(piece));
        if (last.length > tail) last.shift();
      });
      for (const line of last) line.forEach(show);
    }
    if (options.follow)
      for (;;) {
        // Asked before the last look, so that nothing is printed in between unseen.
        const isOver =
          !isSupervised(it.id, host) || (until !== undefined && BigInt(Date.now()) * 1_000_000n > until);
        drain(show);
        if (isOver) break;
        Bun.sleepSync(EVERY);
      }
    close(log);
    const now = options.follow ? knownContainers(host).find(({ id }) => id === it.id) : it;
    if (now && now.state !== "running") lost += BigInt(now.end?.lost ?? 0);
    tellLost();
    if (now && now.state !== "running") tellOutOfMemory(now, now.end, name);
    return 0;
  },
});

/** Milliseconds between two looks at a log that is followed. */
const EVERY = 50;

const copyOf = (piece: Piece): Piece => ({ ...piece, bytes: piece.bytes.slice() });

const parseTail = (text: string | undefined): number | undefined => {
  if (text === undefined || text === "all" || text === "-1") return undefined;
  if (!/^\d+$/.test(text))
    throw new UsageError(`invalid argument '${text}' for --tail: a number of lines, or all`);
  return Number(text);
};

const UNITS: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 1e-3, us: 1e-6, ns: 1e-9 };

/** Nanoseconds since 1970. As docker: a time of RFC 3339 (without a zone: this machine's), seconds, or how long ago. */
const parseTime = (option: string, text: string | undefined): bigint | undefined => {
  if (text === undefined) return undefined;
  if (/^\d+(\.\d{1,9})?$/.test(text)) {
    const [seconds, fraction = ""] = text.split(".");
    return BigInt(seconds!) * 1_000_000_000n + BigInt(fraction.padEnd(9, "0"));
  }
  if (/^(\d+(\.\d+)?(h|ms|m|s|us|ns))+$/.test(text)) {
    let seconds = 0;
    for (const [, number, unit] of text.matchAll(/([\d.]+)(h|ms|m|s|us|ns)/g))
      seconds += Number(number) * UNITS[unit!]!;
    return BigInt(Math.floor((Date.now() - seconds * 1000) * 1e3)) * 1000n;
  }
  const found = /^\d{4}-\d\d-\d\d(T\d\d(:\d\d(:\d\d(\.\d+)?)?)?(Z|[+-]\d\d:\d\d)?)?$/.test(text)
    ? Date.parse(
        /T\d\d(Z|[+-]|$)/.test(text)
          ? text.replace(/(T\d\d)/, "$1:00")
          : text.length === 10
            ? `${text}T00:00`
            : text,
      )
    : Number.NaN;
  if (Number.isNaN(found))
    throw new UsageError(
      `invalid value for --${option}: ${text}`,
      "2026-01-31T10:00:00Z, 1769853600, or 10m",
    );
  return BigInt(found) * 1_000_000n;
};

const BLOCK = 1 << 18;

/** The next whole frames of a log; none when there are no more yet. They lie in memory that the next look uses again. */
const reader = (log: number): (() => ReturnType<typeof parseFrames>["frames"]) => {
  let bytes = new Uint8Array(BLOCK);
  let from = 0;
  let to = 0;
  return () => {
    for (;;) {
      bytes.copyWithin(0, from, to);
      to -= from;
      from = 0;
      if (to === bytes.length) {
        const larger = new Uint8Array(bytes.length * 2);
        larger.set(bytes);
        bytes = larger;
      }
      const count = syscall("read", log, address(bytes) + to, bytes.length - to);
      if (count < 0) throw new StepError("read the log", -count);
      to += count;
      const { frames, used } = parseFrames(bytes.subarray(0, to));
      from = used;
      if (frames.length > 0 || count === 0) return frames;
    }
  };
};

/** As docker's logs have it: RFC 3339 with nanoseconds. */
const timeText = (time: bigint): string => {
  const seconds = new Date(Number(time / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(time % 1_000_000_000n).padStart(9, "0")}Z`;
};

const shower =
  (timestamps: boolean) =>
  ({ stream, time, bytes, begins }: Piece): void => {
    const parts = timestamps && begins ? [encode(`${timeText(time)} `), bytes] : [bytes];
    for (const part of parts) {
      const result = writeAll(stream === STREAM.stdout ? 1 : 2, part);
      if (result < 0) throw new StepError("write to standard output", -result);
    }
  };
