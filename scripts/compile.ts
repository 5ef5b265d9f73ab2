// One program in, one executable file out, with the flags that nsk is built with. The benchmark's empty program goes
// through here too, so that it is what nsk would be without its own code.

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { RECORD } from "../src/abi/record.ts";
import { neutralise } from "./switches.ts";
import { omitWarmUp } from "./warm-up.ts";

const flags = [
  "--compile",
  "--bytecode",
  // Bytecode of another format knows no top-level await.
  "--format=esm",
  "--minify",
  // What a command does not need is not loaded: without this a lazy import costs as much as an eager one.
  "--splitting",
  // Compile to machine code a hundred times later. A command lives for milliseconds: what the JIT and its threads cost
  // never comes back (`unshare` 11.7 → 9.8 ms, `run` 36 → 26 ms, and no better with 1000). A loop of many thousand turns
  // gets its machine code all the same.
  "--compile-jit-policy=100",
  // No order file (--bytecode-order): the code is so small that it changed nothing that could be measured.
  // A program that root runs must not take settings, let alone code, from the directory it is started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
];

export interface Compilation {
  readonly entry: string;
  readonly outfile: string;
  /** Constants of the program, as JavaScript source: `{ NSK_VERSION: '"1.0"' }`. */
  readonly define?: Readonly<Record<string, string>>;
  /** Puts a prelude into the file; the program finds its record at `NSK_RECORD`. */
  readonly link?: (file: Buffer) => Buffer;
  /** Another machine: Bun's name for it and a Bun executable for it. */
  readonly target?: { readonly name: string; readonly executable: string };
}

/** Compiles a program. The file appears whole or not at all, also for somebody who is running its predecessor. */
export const compile = (it: Compilation): void => {
  const directory = dirname(it.outfile);
  mkdirSync(directory, { recursive: true });
  // The name of the file goes into the file: it must be the final one for two builds to be equal.
  const scratch = mkdtempSync(join(directory, ".build-"));
  const made = join(scratch, basename(it.outfile));
  const command = [
    process.execPath,
    "build",
    ...flags,
    ...Object.entries({ ...it.define, ...(it.link && { NSK_RECORD: `${RECORD}` }) }).flatMap(
      ([name, value]) => ["--define", `${name}=${value}`],
    ),
    ...(it.target ? [`--target=${it.target.name}`, `--compile-executable-path=${it.target.executable}`] : []),
    `--outfile=${made}`,
    it.entry,
  ];
  try {
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    });
    if (exitCode !== 0) throw new Error(`bun build of ${it.entry} failed\n${stdout}${stderr}`);
    const file = readFileSync(made);
    neutralise(file);
    omitWarmUp(file);
    writeFileSync(made, it.link ? it.link(file) : file);
    chmodSync(made, 0o755);
    renameSync(made, it.outfile);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
};
