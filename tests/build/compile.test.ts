// What the build promises of its files besides what they do.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { compile } from "../../scripts/compile.ts";

const directory = mkdtempSync(join(tmpdir(), "nsk-compile-"));
afterAll(() => rmSync(directory, { recursive: true }));

const entry = join(directory, "entry.ts");
writeFileSync(entry, 'declare const WORD: string;\nconsole.log(WORD, (await import("./lazy.ts")).lazy);\n');
writeFileSync(join(directory, "lazy.ts"), 'export const lazy = "loaded";\n');
const outfile = (name: string) => join(directory, name, "program");

test("a program is one executable file, with its constants and what it loads later", () => {
  compile({ entry, outfile: outfile("one"), define: { WORD: '"defined"' } });
  expect(readdirSync(join(directory, "one"))).toEqual(["program"]);
  expect(statSync(outfile("one")).mode & 0o777).toBe(0o755);
  const run = Bun.spawnSync([outfile("one")], { cwd: "/" });
  expect(run.stdout.toString()).toBe("defined loaded\n");
});

test("two builds of the same sources are the same bytes", () => {
  compile({ entry, outfile: outfile("first"), define: { WORD: '"a"' } });
  compile({ entry, outfile: outfile("second"), define: { WORD: '"a"' } });
  expect(readFileSync(outfile("first")).equals(readFileSync(outfile("second")))).toBe(true);
});

test("a build that fails leaves the file of the one before", () => {
  compile({ entry, outfile: outfile("kept"), define: { WORD: '"a"' } });
  const before = statSync(outfile("kept")).ino;
  writeFileSync(join(directory, "broken.ts"), 'import "./nowhere.ts";\n');
  expect(() => compile({ entry: join(directory, "broken.ts"), outfile: outfile("kept") })).toThrow(
    "nowhere.ts",
  );
  expect(readdirSync(join(directory, "kept"))).toEqual(["program"]);
  expect(statSync(outfile("kept")).ino).toBe(before);
});

test("no thread makes heap ready that a command does not live to use", () => {
  const source = join(directory, "heap.ts");
  writeFileSync(
    source,
    `import { readdirSync, readFileSync } from "node:fs";
    const kept = Array.from({ length: 200_000 }, (_, i) => ({ i }));
    const threads = readdirSync("/proc/self/task").map((id) => readFileSync(\`/proc/self/task/\${id}/comm\`, "utf8"));
    console.log(kept.length, threads.includes("JSCWarmUp\\n"));`,
  );
  compile({ entry: source, outfile: outfile("heap") });
  const output = (...command: string[]) => Bun.spawnSync(command, { cwd: "/" }).stdout.toString();
  expect(output(outfile("heap"))).toBe("200000 false\n");
  expect(output(process.execPath, source)).toBe("200000 true\n");
});
