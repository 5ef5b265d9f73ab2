// The built program, as tests run it: dist/nsk, or the file that NSK_BINARY names.

import { join } from "node:path";

export const nsk = process.env.NSK_BINARY ?? join(import.meta.dir, "../../dist/nsk");

/** Shell words behind which descriptor 4 is a pipe that nobody reads. */
export const READERLESS =
  'pipe=$(mktemp -u) && mkfifo "$pipe" && exec 5<>"$pipe" 4>"$pipe" 5>&- && rm "$pipe"';

export interface Ran {
  readonly status: number | null;
  /** `SIGPIPE`, for a program that a signal ended. */
  readonly signal: string | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line to its end. The environment is `env` on top of ours, or `env` alone. */
export const runCommand = (
  words: readonly string[],
  env: Record<string, string> = {},
  how: "onTop" | "alone" = "onTop",
): Ran => {
  const ran = Bun.spawnSync([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: how === "alone" ? env : { ...process.env, LC_ALL: "C", ...env },
  });
  return {
    status: ran.exitCode,
    signal: ran.signalCode as string | undefined,
    stdout: ran.stdout.toString(),
    stderr: ran.stderr.toString(),
  };
};

/** `runNsk("unshare", "-U", "true")` */
export const runNsk = (...words: readonly string[]): Ran => runCommand([nsk, ...words]);
