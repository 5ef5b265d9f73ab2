// A program that shows what it reads, on the terminal that this one has.

import type { Exit } from "../backends/child.ts";
import { spawn } from "../backends/spawn.ts";
import { liveHost } from "../host/live.ts";
import { programCandidates } from "../plan/program.ts";

/** Runs a program with `text` as its input. One that ends before it has read all of it is none that failed. */
export const run = async (argv: readonly [string, ...string[]], text: string): Promise<Exit> => {
  const [program] = argv;
  const child = spawn(
    {
      name: "nsk",
      failure: 1,
      steps: [
        { kind: "exec", program, argv, candidates: programCandidates(program, liveHost().env("PATH")) },
      ],
    },
    { stdin: "pipe" },
  );
  try {
    await child.stdin!.write(text);
    await child.stdin!.end();
  } catch (error) {
    if ((error as { code?: string }).code !== "EPIPE") throw error;
  }
  return child.exited;
};
