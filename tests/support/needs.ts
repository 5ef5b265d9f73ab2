// What a test needs of the machine. A test that cannot run here is skipped with the reason in its title; the full run
// (`bun run verify --no-skips`) takes a skip for a failure.

import { existsSync } from "node:fs";
import { test } from "bun:test";

/** `root`, a program that PATH must lead to, or a file by its absolute path. */
const has = (need: string): boolean =>
  need === "root"
    ? process.geteuid?.() === 0
    : need.startsWith("/")
      ? existsSync(need)
      : Bun.which(need, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }) !== null;

/** Why a test that needs these cannot run here; undefined when it can. */
export const needs = (...list: readonly string[]): string | undefined => {
  const missing = list.filter((need) => !has(need));
  return missing.length > 0 ? `needs ${missing.join(", ")}` : undefined;
};

/** `const straced = testNeeding("root", "strace")`: a `test` that is skipped, saying why, where one is missing. */
export const testNeeding = (...list: readonly string[]) => {
  const reason = needs(...list);
  return (title: string, run: () => void | Promise<unknown>, timeout?: number) =>
    reason ? test.skip(`${title} (${reason})`, run) : test(title, run, timeout);
};
