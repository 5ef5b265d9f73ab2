// Runs a plan's launcher as a program: on this processor, and as one for arm64 under qemu.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Arch } from "../../src/abi/syscalls.ts";
import * as parts from "../../src/backends/launcher/parts.ts";
import { lower } from "../../src/backends/launcher/lower.ts";
import { checkPlan } from "../../src/plan/check.ts";
import type { ExecStep, Plan, Step } from "../../src/plan/plan.ts";
import { type Ran, runCommand } from "../support/nsk.ts";

export const scratch = mkdtempSync(join(tmpdir(), "nsk-launch-"));
export const cleanUp = (): void => rmSync(scratch, { recursive: true, force: true });

/** A plan whose errors begin with `test` and end with 42. */
export const planOf = (...steps: readonly Step[]): Plan => ({ name: "test", failure: 42, steps });

/** Become `argv`, found at `candidates`. */
export const exec = (argv: readonly string[], candidates: readonly string[] = [argv[0]!]): ExecStep => ({
  kind: "exec",
  program: argv[0]!,
  argv,
  candidates,
});

/** Become a shell that runs `script` with words behind it. */
export const sh = (script: string, ...words: readonly string[]): ExecStep =>
  exec(["sh", "-c", script, "sh", ...words], ["/bin/sh"]);

let files = 0;

/** The words that start a plan's launcher. */
export const launcher = (plan: Plan, arch: Arch): string[] => {
  checkPlan(plan);
  const file = join(scratch, `launcher-${files++}`);
  writeFileSync(file, lower(plan, arch, { parts }));
  chmodSync(file, 0o755);
  return arch === process.arch ? [file] : ["qemu-aarch64-static", file];
};

/** Which processors' launchers can be run here, with what that needs. */
export const processors: readonly { arch: Arch; needs: readonly string[] }[] =
  process.arch === "arm64"
    ? [{ arch: "arm64", needs: [] }]
    : [
        { arch: "x64", needs: [] },
        { arch: "arm64", needs: ["qemu-aarch64-static"] },
      ];

export const launch = (plan: Plan, arch: Arch): Ran => runCommand(launcher(plan, arch));
