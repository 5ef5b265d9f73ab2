// `bun run verify`: everything that can be checked, from a fresh clone on. Ends with one line, `N passed, N failed`.
// With --no-skips a test that was left out is a failure.

import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installDependencies, installPackages, isRoot, root, run } from "./setup.ts";
import { missingForGuests } from "./vm/components.ts";
import { prepareGuests } from "./vm/disk.ts";

const bun = process.execPath;

/** What is checked besides the tests; each counts as one. */
const checks = {
  "the build": [bun, "scripts/build.ts"],
  "the types": [bun, "check", "--no-script"],
  "the format": [bun, "fmt", "--check", "--no-script"],
} as const;

interface Count {
  passed: number;
  failed: number;
  /** Titles. */
  skipped: string[];
}

const unescape = (text: string): string =>
  text.replaceAll(
    /&(lt|gt|quot|apos|amp);/g,
    (_, name: string) => ({ lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" })[name]!,
  );

/** Counts the cases of a JUnit report, which is what `bun test` writes for machines. */
const countReport = (xml: string): Count => {
  const count: Count = { passed: 0, failed: 0, skipped: [] };
  // A case is `<testcase … />`, or holds what became of it until `</testcase>`.
  for (const [, attributes = "", closed, body = ""] of xml.matchAll(
    /<testcase ([^>]*?)(\/>|>([^]*?)<\/testcase>)/g,
  )) {
    const content = closed === "/>" ? "" : body;
    if (/<skipped/.test(content))
      count.skipped.push(unescape(/\bname="([^"]*)"/.exec(attributes)?.[1] ?? "?"));
    else if (/<(?:failure|error)/.test(content)) count.failed++;
    else count.passed++;
  }
  const total = Number(/<testsuites [^>]*?\btests="(\d+)"/.exec(xml)?.[1]);
  if (total !== count.passed + count.failed + count.skipped.length)
    throw new Error(`${total} tests ran, by their own count, which is not what was read of them`);
  return count;
};

/** The tests, and those that boot machines to run in, which take all of this one. */
const suites = {
  "the tests": ["--path-ignore-patterns=tests/vm/**"],
  "the tests in guests": ["tests/vm/"],
} as const;

const runTests = (which: readonly string[]): Count => {
  const scratch = mkdtempSync(join(tmpdir(), "nsk-verify-"));
  try {
    const report = join(scratch, "report.xml");
    // In parallel by file: a file's tests may share what they set up, two files never do.
    const status = run([
      ...[bun, "test", "--parallel", "--timeout=30000", "--reporter=junit", `--reporter-outfile=${report}`],
      ...which,
    ]);
    const count = countReport(readFileSync(report, "utf8"));
    // An error between tests, or a run that died, has no case of its own in the report.
    if (status !== 0 && count.failed === 0) count.failed = 1;
    return count;
  } catch (error) {
    console.error(`the tests left no report: ${error}`);
    return { passed: 0, failed: 1, skipped: [] };
  } finally {
    rmSync(scratch, { recursive: true });
  }
};

const title = (text: string): void =>
  console.log(`\n── ${text} ${"─".repeat(Math.max(0, 76 - text.length))}`);

const verify = (noSkips: boolean): number => {
  title("what is needed");
  installDependencies();
  const missing = installPackages();
  if (missing.length > 0) {
    console.log(`missing, and the tests that need them are left out: ${missing.join(" ")}`);
    if (!isRoot()) console.log("run as root to have them installed (Debian), or install them yourself");
  }
  if (!isRoot()) console.log("not root: the tests that need root are left out");
  const noGuests = missingForGuests();
  if (noGuests) console.log(`the tests in guests are left out: ${noGuests}`);

  const count: Count = { passed: 0, failed: 0, skipped: [] };
  for (const [name, command] of Object.entries(checks)) {
    title(name);
    if (run(command) === 0) count.passed++;
    else {
      console.log(`${name}: failed`);
      count.failed++;
    }
  }
  if (!noGuests) {
    title("the guests");
    try {
      prepareGuests();
    } catch (error) {
      // Each test that needs them fails of the same.
      console.log(`the guests could not be made: ${error instanceof Error ? error.message : error}`);
    }
  }
  for (const [name, which] of Object.entries(suites)) {
    title(name);
    const tests = runTests(which);
    count.passed += tests.passed;
    count.failed += tests.failed;
    count.skipped.push(...tests.skipped);
  }

  console.log();
  const skips = count.skipped.length;
  // By their reasons, which stand at the end of a title, where nobody asked for each of them.
  const reasons = Map.groupBy(count.skipped, (name) => /\(([^()]*)\)$/.exec(name)?.[1] ?? name);
  for (const [reason, names] of reasons) console.log(`left out: ${names.length} (${reason})`);
  if (noSkips) for (const name of count.skipped) console.log(`skipped, which is forbidden here: ${name}`);
  console.log(`${count.passed} passed, ${count.failed} failed${skips > 0 ? `, ${skips} skipped` : ""}`);
  return count.failed > 0 || (noSkips && skips > 0) ? 1 : 0;
};

try {
  process.chdir(root);
  process.exit(verify(process.argv.includes("--no-skips")));
} catch (error) {
  console.error(`verify: ${error instanceof Error ? error.message : error}`);
  console.log("0 passed, 1 failed");
  process.exit(1);
}
