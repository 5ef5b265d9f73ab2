// Runs a module of the user's in this process. `nsk` is a module inside of this program, other modules are files by
// their paths; nothing of the directory it runs in is taken for settings, and nothing is installed or cached.

import type { Host } from "../host/host.ts";
import { writeAll } from "../sys/linux.ts";

export interface Module {
  /** What errors begin with: `nsk script`. */
  readonly name: string;
  /** Absolute. Relative imports begin here. */
  readonly path: string;
  /** What the module says, where it is no file. */
  readonly text?: string;
}

/** What a module that waits for something that cannot come ends with, as with node. */
const UNSETTLED = 13;

/** Starts the module. Undefined: the process ends when the module has nothing left to wait for. */
export const runModule = (module: Module, words: readonly string[]): undefined => {
  const { path } = module;
  Bun.plugin({ name: "nsk", setup: (build) => provide(build, module) });
  // What `import.meta.main` compares with, and what `process.argv.slice(2)` cuts.
  (Bun as { main: string }).main = path;
  process.argv = [process.execPath, path, ...words];

  let isEnding = false;
  let isDone = false;
  const fail = (error: unknown): void => {
    // What is thrown by what runs at the end shall not hide the first.
    if (isEnding) return;
    isEnding = true;
    void import("./script-errors.ts").then(({ describeThrown }) => {
      writeAll(2, describeThrown(error, module));
      process.exit(1);
    });
  };
  const ownUnlessUsers = (event: "uncaughtException" | "unhandledRejection"): void => {
    process.on(event, (error: unknown) => {
      if (process.listenerCount(event) === 1) fail(error);
    });
  };
  ownUnlessUsers("uncaughtException");
  ownUnlessUsers("unhandledRejection");
  // Of an end by process.exit() it is not told.
  let isLoopEmpty = false;
  process.on("beforeExit", () => void (isLoopEmpty = true));
  process.on("exit", (status) => {
    if (isDone || isEnding || !isLoopEmpty || status !== 0) return;
    writeAll(2, `${module.name}: ${path}: the module waits at its top level for what can no longer come\n`);
    process.exitCode = UNSETTLED;
  });
  import(path).then(() => void (isDone = true), fail);
  return undefined;
};

const provide = (build: Bun.PluginBuilder, { path, text }: Module): void => {
  build.module("nsk", async () => ({ exports: await import("../index.ts"), loader: "object" }));
  if (text !== undefined) build.module(path, () => ({ contents: text, loader: "ts" }));
};

export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** A path from the working directory. */
export const absolutePath = (path: string, host: Host): string => {
  if (path.startsWith("/")) return path;
  const here = host.link("/proc/self/cwd");
  return `${here === undefined || here === "/" ? "" : here}/${path}`;
};
