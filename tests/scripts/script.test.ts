// `nsk script` and `nsk eval` of the built program: what a script may import, what it must not fall for, and what is
// said of one that fails.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";

const built = testNeeding(nsk);
let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "nsk-script-"))));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;

/** Runs `main.ts` (or the first file) of some files in a directory of their own. */
const runFiles = (
  files: Readonly<Record<string, string>>,
  { words = [], env = {} }: { words?: string[]; env?: Record<string, string> } = {},
): Ran & { readonly at: string } => {
  const at = join(directory, String(++count));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(at, path)), { recursive: true });
    writeFileSync(join(at, path), text);
  }
  const script = "main.ts" in files ? "main.ts" : Object.keys(files)[0]!;
  const ran = runCommand(["sh", "-c", 'cd "$0" && exec "$@"', at, nsk, "script", script, ...words], {
    HOME: join(at, "home"),
    XDG_CACHE_HOME: "",
    ...env,
  });
  return { ...ran, at };
};

describe("a script", () => {
  built("is TypeScript, finds the API as nsk, and other files by their paths", () => {
    const ran = runFiles({
      "main.ts": `import { UsageError, namespaces } from "nsk";
        import { two } from "./lib/two";
        import data from "./data.json";
        enum Kind { One = 1 }
        const error: Error = new UsageError("mine");
        console.log(error.message, typeof namespaces, two satisfies number, data.three, Kind.One);`,
      "lib/two.ts": "export const two: number = 2;",
      "data.json": '{"three": 3}',
    });
    expect(ran).toMatchObject({ status: 0, stdout: "mine function 2 3 1\n", stderr: "" });
  });
  built("gets the arguments behind its name, also such as look like nsk's", () => {
    const ran = runFiles(
      { "main.ts": "console.log(JSON.stringify(process.argv.slice(1)), import.meta.main)" },
      { words: ["--help", "-x", "", "two words"] },
    );
    expect(ran.stdout).toBe(`["${ran.at}/main.ts","--help","-x","","two words"] true\n`);
  });
  built("may be a program by its first line, with any name", () => {
    const at = join(directory, "program");
    mkdirSync(at);
    symlinkSync(nsk, join(at, "nsk"));
    writeFileSync(
      join(at, "hello"),
      "#!/usr/bin/env -S nsk script\nconst who: string = process.argv[2]!;\nconsole.log(`hello ${who}`);\n",
    );
    chmodSync(join(at, "hello"), 0o755);
    const ran = runCommand([join(at, "hello"), "you"], { PATH: `${at}:${process.env.PATH}` });
    expect(ran).toMatchObject({ status: 0, stdout: "hello you\n", stderr: "" });
  });
  built("may come from standard input", () => {
    const ran = runCommand(["sh", "-c", `echo 'console.log(1 as number)' | "$0" script -`, nsk]);
    expect(ran).toMatchObject({ status: 0, stdout: "1\n", stderr: "" });
  });
  built("goes on until nothing is left to wait for, and ends with the status that it sets", () => {
    const ran = runFiles({ "main.ts": 'process.exitCode = 3;\nsetTimeout(() => console.log("later"), 50);' });
    expect(ran).toMatchObject({ status: 3, stdout: "later\n", stderr: "" });
    expect(runFiles({ "main.ts": "process.exit(4)" })).toMatchObject({ status: 4, stderr: "" });
    for (const ending of ["process.exit(0)", "await Bun.sleep(1); process.exit()"])
      expect(runFiles({ "main.ts": ending })).toMatchObject({ status: 0, stderr: "" });
  });
  built("may be a CommonJS module", () => {
    const ran = runFiles({
      "main.ts":
        'const { two } = require("./lib");\nmodule.exports = 1;\nconsole.log(two, require.main === module);',
      "lib.ts": "export const two: number = 2;",
    });
    expect(ran).toMatchObject({ status: 0, stdout: "2 true\n", stderr: "" });
  });
});

describe("code of an argument", () => {
  built("is a script too", () => {
    const ran = runCommand([
      nsk,
      "eval",
      'import { explain } from "nsk"; type T = 1; console.log(typeof explain, process.argv[2])',
      "word",
    ]);
    expect(ran).toMatchObject({ status: 0, stdout: "function word\n", stderr: "" });
  });
  built("has a line for its errors", () => {
    const ran = runCommand(["sh", "-c", `cd / && exec "$0" eval '\nthrow new Error("mine")'`, nsk]);
    expect(ran.status).toBe(1);
    expect(ran.stderr).toStartWith('nsk eval: /[eval]:2:11: Error: mine\n  2 | throw new Error("mine")\n');
  });
});

describe("what lies about does not change what runs", () => {
  for (const [what, files] of [
    ["a bunfig.toml with a preload", { "bunfig.toml": 'preload = ["./evil.ts"]\n' }],
    ["a .env", { ".env": "EVIL=evil\n" }],
    [
      "paths in a tsconfig.json",
      {
        "tsconfig.json":
          '{"compilerOptions":{"baseUrl":".","paths":{"nsk":["./evil.ts"],"./good":["./evil.ts"]}}}',
      },
    ],
    ["a package called nsk", { "node_modules/nsk/package.json": '{"name":"nsk","main":"../../evil.ts"}' }],
    [
      "imports in a package.json",
      { "package.json": '{"imports":{"#x":"./evil.ts"},"type":"commonjs","exports":{"./good":"./evil.ts"}}' },
    ],
  ] as const)
    built(what, () => {
      const ran = runFiles({
        "main.ts": `import { explain } from "nsk"; import { good } from "./good";
          console.log(typeof explain, good, process.env.EVIL, (globalThis as any).evil);`,
        "good.ts": 'export const good = "good";',
        "evil.ts":
          '(globalThis as any).evil = "evil"; export const good = "evil", explain = "evil"; console.log("evil");',
        ...files,
      });
      expect(ran).toMatchObject({ status: 0, stdout: "function good undefined undefined\n", stderr: "" });
    });
  built("switches of Bun's in the environment", () => {
    const ran = runFiles(
      { "main.ts": "console.log((globalThis as any).evil)", "evil.ts": "(globalThis as any).evil = 1" },
      { env: { BUN_OPTIONS: "--preload=./evil.ts", BUN_BE_BUN: "1", BUN_INSPECT_PRELOAD: "./evil.ts" } },
    );
    expect(ran).toMatchObject({ status: 0, stdout: "undefined\n", stderr: "" });
  });
  testNeeding(nsk, "strace")("a cache: no code is taken from what earlier runs left", () => {
    const at = join(directory, "cached");
    mkdirSync(at);
    const lines = Array.from({ length: 4000 }, (_, i) => `export const v${i}: number = ${i};`);
    writeFileSync(join(at, "main.ts"), 'import "./large.ts"; console.log("done")');
    writeFileSync(join(at, "large.ts"), lines.join("\n"));
    const run = () =>
      runCommand(["strace", "-f", "-e", "trace=openat", nsk, "script", join(at, "main.ts")], {
        XDG_CACHE_HOME: join(at, "cache"),
      });
    run();
    const again = run();
    expect(again).toMatchObject({ status: 0, stdout: "done\n" });
    expect(again.stderr).toContain("/large.ts");
    expect(again.stderr.split("\n").filter((line) => /\.pile".*O_RDONLY/.test(line))).toEqual([]);
  });
  built("a package that is not there is not fetched", () => {
    const ran = runFiles({ "main.ts": '\nimport pad from "left-pad";\npad;' });
    expect(ran.stderr).toStartWith(`nsk script: ${ran.at}/main.ts:2:18: Cannot find package 'left-pad'`);
    expect(ran.stderr).toContain("\nhint: ");
    expect(ran.status).toBe(1);
  });
});

describe("an error shows the user's line", () => {
  for (const [what, text, first, excerpt] of [
    [
      "thrown",
      'interface X { a: 1 }\n\nthrow new TypeError("mine");',
      "3:11: TypeError: mine",
      'throw new TypeError("mine");',
    ],
    [
      "thrown by nsk",
      'import { steps, spawn } from "nsk";\n\n  spawn({ name: "x", failure: 1, steps: [] });',
      "3:3: RangeError: a process that",
      "  spawn({",
    ],
    [
      "of a rejected promise",
      'void Promise.reject(new Error("mine"));\nawait Bun.sleep(9999);',
      "1:25: Error: mine",
      "void Promise",
    ],
    [
      "of a callback",
      'setTimeout(() => {\n  throw new Error("mine");\n});',
      "2:13: Error: mine",
      "  throw new",
    ],
    ["of syntax", "const a = 1;\nconst b = = 2;", "2:11: Unexpected =", "const b = = 2;"],
    [
      "of an export that is not there",
      'import {\n  explain, nonsense } from "nsk";\nnonsense;',
      "2:",
      "nonsense }",
    ],
    ["with several lines", 'throw new Error("one\\ntwo");', "1:11: Error: one\ntwo\n", "throw new"],
    ["that is no Error", "throw 7;", "", ""],
  ] as const)
    built(what, () => {
      const ran = runFiles({ "main.ts": text });
      expect(ran.status).toBe(1);
      expect(ran.stdout).toBe("");
      expect(ran.stderr).toStartWith(`nsk script: ${ran.at}/main.ts:${first}`);
      expect(ran.stderr).toContain(excerpt);
      expect(ran.stderr).not.toContain("bunfs");
    });
  built("and the way to it through the user's files", () => {
    const ran = runFiles({
      "main.ts": 'import { fail } from "./lib.ts";\nfail();',
      "lib.ts": '\nexport const fail = () => { throw new Error("deep"); };',
    });
    expect(ran.stderr).toBe(
      `nsk script: ${ran.at}/lib.ts:2:39: Error: deep\n` +
        '  2 | export const fail = () => { throw new Error("deep"); };\n' +
        `${" ".repeat(6 + 38)}^\n` +
        `    at fail (${ran.at}/lib.ts:2:39)\n    at ${ran.at}/main.ts:2:1\n`,
    );
  });
  built("unless the script handles it", () => {
    const ran = runFiles({
      "main.ts":
        'process.on("uncaughtException", (e) => console.log("caught", e.message));\nsetTimeout(() => { throw new Error("mine") });',
    });
    expect(ran).toMatchObject({ status: 0, stdout: "caught mine\n", stderr: "" });
  });
});

describe("a script that cannot run", () => {
  for (const [words, stderr] of [
    [["script"], "nsk script: no file given\nhint: e.g. nsk script hello.ts\n"],
    [["script", "/nowhere.ts"], "nsk script: read /nowhere.ts failed: No such file or directory\n"],
    [["script", "/"], "nsk script: read / failed: Is a directory\n"],
    [["eval"], /^nsk eval: no code given\nhint: e\.g\. .*\n$/],
  ] as const)
    built(words.join(" "), () => {
      const ran = runCommand([nsk, ...words]);
      expect(ran).toMatchObject({ status: 1, stdout: "" });
      if (typeof stderr === "string") expect(ran.stderr).toBe(stderr);
      else expect(ran.stderr).toMatch(stderr);
    });
  built("because it waits for nothing says so", () => {
    const ran = runFiles({ "main.ts": "await new Promise(() => {});" });
    expect(ran).toMatchObject({
      status: 13,
      stderr: `nsk script: ${ran.at}/main.ts: the module waits at its top level for what can no longer come\n`,
    });
  });
});

describe("types", () => {
  const tsc = join(import.meta.dir, "../../node_modules/.bin/tsc");
  testNeeding(nsk, tsc)(
    "are written where an editor looks for them, and pass for a strict consumer",
    () => {
      const at = join(directory, "types");
      mkdirSync(at);
      const ran = runCommand([nsk, "types", at]);
      expect(ran).toMatchObject({ status: 0, stdout: `${at}/node_modules/nsk\n`, stderr: "" });
      writeFileSync(
        join(at, "good.ts"),
        'import { namespaces, type Namespace } from "nsk";\nexport const all: Promise<readonly Namespace[]> | readonly Namespace[] = namespaces();\n',
      );
      writeFileSync(
        join(at, "bad.ts"),
        'import { namespaces } from "nsk";\nexport const no: number = namespaces;\n',
      );
      const check = (file: string) =>
        runCommand([
          tsc,
          "--noEmit",
          "--ignoreConfig",
          "--strict",
          "--target",
          "esnext",
          "--module",
          "preserve",
          "--types",
          "",
          "--lib",
          "esnext,dom",
          join(at, file),
        ]);
      expect(check("good.ts")).toMatchObject({ status: 0, stdout: "" });
      expect(check("bad.ts").stdout).toContain("bad.ts(2,14): error TS2322");
      // Again, over its own.
      expect(runCommand([nsk, "types", at]).status).toBe(0);
    },
    60_000,
  );
  built("do not go over a package that somebody installed", () => {
    const at = join(directory, "installed");
    mkdirSync(join(at, "node_modules/nsk"), { recursive: true });
    writeFileSync(join(at, "node_modules/nsk/package.json"), "{}");
    expect(runCommand([nsk, "types", at])).toMatchObject({
      status: 1,
      stderr: `nsk types: ${at}/node_modules/nsk is there, and was not made by nsk types\nhint: the npm package has its own types\n`,
    });
    expect(runCommand([nsk, "types", "/nowhere"]).stderr).toBe(
      "nsk types: write to /nowhere failed: No such file or directory\n",
    );
  });
});
