// The examples in the doc comments of the API, each run as a script; what follows `// →` is what it prints.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as api from "../../src/index.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";

const src = join(import.meta.dir, "../../src");
const directory = mkdtempSync(join(tmpdir(), "nsk-examples-"));
afterAll(() => rmSync(directory, { recursive: true }));

interface Example {
  readonly of: string;
  readonly code: string;
}

/** Doc comments with examples, and the name that is declared behind each. */
const examples: readonly Example[] = [...new Bun.Glob("**/*.ts").scanSync(src)].sort().flatMap((file) => {
  const text = readFileSync(join(src, file), "utf8");
  return [...text.matchAll(/\/\*\*\n((?: \*.*\n)+?) \*\/\nexport (?:const|interface|type) (\w+)/g)].flatMap(
    ([, comment, of]) =>
      [...comment!.matchAll(/^ \* ```ts\n((?: \*.*\n)+?) \* ```$/gm)].map(([, lines]) => ({
        of: of!,
        code: lines!.replaceAll(/^ \* ?/gm, ""),
      })),
  );
});

describe("examples", () => {
  examples.forEach(({ of, code }, i) =>
    testNeeding(nsk, "root")(`${i + 1}, of ${of}`, () => {
      const file = join(directory, `${i}.ts`);
      writeFileSync(file, code);
      const expected = [...code.matchAll(/\/\/ → (.*)/g)].map(([, line]) => `${line}\n`);
      expect(expected).not.toEqual([]);
      const ran = runCommand(["sh", "-c", 'cd "$0" && exec "$@"', directory, nsk, "script", file]);
      expect(ran).toMatchObject({ status: 0, stdout: expected.join(""), stderr: "" });
    }),
  );
});

test("every function has one", () => {
  const functions = Object.entries(api).flatMap(([name, it]) =>
    typeof it === "function" && !(it.prototype instanceof Error) ? [name] : [],
  );
  expect(functions).toContain("container");
  expect(functions.filter((name) => !examples.some(({ of }) => of === name))).toEqual([]);
});
