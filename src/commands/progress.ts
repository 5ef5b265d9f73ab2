// How far layers have come, on a terminal: a line for each, drawn anew in place. Elsewhere nothing is said.

import type { Host } from "../host/host.ts";
import type { Phase } from "../images/import.ts";
import type { Progress } from "../run/fetch.ts";
import { writeAll } from "../sys/linux.ts";
import { windowSize } from "../sys/terminal.ts";
import { humanSize } from "./human.ts";

/** Milliseconds between two drawings. */
const PAUSE = 100;
const BAR = 24;

const WORDS: Readonly<Record<Phase, string>> = {
  waiting: "Waiting",
  downloading: "Downloading",
  unpacking: "Extracting",
  complete: "Pull complete",
  exists: "Already exists",
  uploading: "Pushing",
  pushed: "Pushed",
  mounted: "Mounted",
};

interface Line {
  readonly phase: Phase;
  readonly done: number;
  readonly total: number;
}

/** `a3ed95caeb02: Downloading [=====>     ]  1.2MB/3.4MB`, as docker writes it, within `width` columns. */
export const progressLine = (digest: string, { phase, done, total }: Line, width: number): string => {
  const head = `${digest.slice(digest.indexOf(":") + 1).slice(0, 12)}: ${WORDS[phase]}`;
  if (!["downloading", "unpacking", "uploading"].includes(phase)) return head.slice(0, width);
  const sizes = `${humanSize(done)}/${humanSize(total)}`;
  const filled = total > 0 ? Math.min(BAR, Math.floor((done / total) * BAR)) : 0;
  const bar = `[${"=".repeat(filled)}${filled < BAR ? ">" : ""}${" ".repeat(Math.max(0, BAR - filled - 1))}]`;
  const line = `${head.padEnd(25)} ${bar} ${sizes}`;
  // A line that wraps could not be drawn over.
  return line.length < width ? line : `${head} ${sizes}`.slice(0, width - 1);
};

/** Draws on standard error, where that is a terminal and `quiet` is not asked for. */
export const openProgress = (host: Host, quiet: boolean): Progress => {
  if (quiet || !host.isTerminal(2)) return { report: () => {}, finish: () => {} };
  const lines = new Map<string, Line>();
  let drawn = 0;
  let last = 0;
  const draw = (): void => {
    const { rows, columns } = windowSize(2);
    // What has scrolled away cannot be drawn over: the latest that fit.
    const shown = [...lines].slice(-Math.max(1, rows - 1));
    const up = drawn ? `\x1b[${drawn}A` : "";
    writeAll(
      2,
      up + shown.map(([digest, line]) => `\r\x1b[K${progressLine(digest, line, columns)}\n`).join(""),
    );
    drawn = shown.length;
    last = performance.now();
  };
  return {
    report: (digest, phase, done, total) => {
      const before = lines.get(digest)?.phase;
      lines.set(digest, { phase, done, total });
      if (phase !== before || performance.now() - last >= PAUSE) draw();
    },
    finish: () => {
      if (lines.size) draw();
    },
  };
};
