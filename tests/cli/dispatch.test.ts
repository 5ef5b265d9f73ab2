// The built program from outside: what is found by which name, what is printed where, and how it ends.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, READERLESS, runCommand, runNsk } from "../support/nsk.ts";

let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "nsk-dispatch-"))));
afterAll(() => rmSync(directory, { recursive: true }));

const built = testNeeding(nsk);
const shell = (line: string) => runCommand(["sh", "-c", line, "sh", nsk]);

built("--version says which build this is", () => {
  expect(runNsk("--version")).toEqual({
    status: 0,
    signal: undefined,
    stdout: expect.stringMatching(/^nsk \d+\.\d+\.\d+ \([0-9a-f]{7,}\+?\)\n$/),
    stderr: "",
  });
  expect(runNsk("-V").stdout).toBe(runNsk("--version").stdout);
  expect(runNsk("unshare", "--version").stdout).toBe(`unshare from ${runNsk("-V").stdout}`);
});

built("help goes to stdout where it was asked for, and to stderr where a command is missing", () => {
  const asked = runNsk("--help");
  expect(asked).toMatchObject({ status: 0, stderr: "", stdout: expect.stringMatching(/^Usage:\n nsk </) });
  expect(runNsk("-h")).toEqual(asked);
  expect(runNsk("help")).toEqual(asked);
  expect(runNsk()).toEqual({ ...asked, status: 1, stdout: "", stderr: asked.stdout });
});

built("the help of a command is the same by each of its ways", () => {
  const asked = runNsk("help", "unshare");
  expect(asked).toMatchObject({
    status: 0,
    stderr: "",
    stdout: expect.stringMatching(/^Usage:\n nsk unshare /),
  });
  for (const words of [["--help"], ["-h"], ["-fr", "--hel", "--nonsense"]])
    expect(runNsk("unshare", ...words)).toEqual(asked);
});

for (const [line, stderr, status] of [
  ["unsahre", "nsk: 'unsahre' is not a command of nsk\nhint: did you mean unshare?\n", 1],
  ["cgget2", "nsk: 'cgget2' is not a command of nsk\nhint: did you mean cgget or cgset or cgxget?\n", 1],
  ["nonsense", "nsk: 'nonsense' is not a command of nsk\nhint: try 'nsk --help'\n", 1],
  ["toString", "nsk: 'toString' is not a command of nsk\nhint: try 'nsk --help'\n", 1],
  ["help unsahre", "nsk help: 'unsahre' is not a command of nsk\nhint: did you mean unshare?\n", 1],
  ["--frobnicate unshare", "nsk: unrecognized option '--frobnicate'\nhint: try 'nsk --help'\n", 1],
  ["unshare --frok", "nsk unshare: unrecognized option '--frok'\nhint: did you mean '--fork'?\n", 1],
  ["unshare -R", "nsk unshare: option requires an argument -- 'R'\nhint: try 'nsk unshare --help'\n", 1],
] as const)
  built(`nsk ${line}`, () => {
    expect(runNsk(...line.split(" "))).toEqual({ status, signal: undefined, stdout: "", stderr });
  });

built("a link named after a tool is that tool, and a link of another name is nsk", () => {
  for (const name of ["unshare", "nsk-0.1", "run"]) symlinkSync(nsk, join(directory, name));
  const { stdout } = runNsk("unshare", "--help");
  expect(runCommand([join(directory, "unshare"), "--help"]).stdout).toBe(stdout);
  expect(runCommand([join(directory, "nsk-0.1"), "unshare", "--help"]).stdout).toBe(stdout);
  expect(runCommand([join(directory, "run"), "unshare", "--help"]).stdout).toBe(stdout);
});

built("arguments keep bytes that are no UTF-8", () => {
  expect(shell(`"$1" "$(printf 'no\\377pe')"`).stderr).toStartWith(
    "nsk: 'no\\xffpe' is not a command of nsk\n",
  );
});

built("a reader that goes away ends it quietly, as SIGPIPE does", () => {
  const { stdout, stderr } = shell(`${READERLESS}; "$1" --help >&4; echo $?`);
  expect([stdout, stderr]).toEqual(["141\n", ""]);
});

built("an output that is full is named", () => {
  expect(shell(`"$1" --help >/dev/full`)).toMatchObject({
    status: 1,
    stderr: "nsk: write to standard output failed: No space left on device\n",
  });
});

built("a closed stderr or stdout is no crash", () => {
  expect(shell(`"$1" nonsense 2>&-`)).toMatchObject({ status: 1, stdout: "", stderr: "" });
  // Bun opens /dev/null where one of the first three descriptors is closed.
  expect(shell(`"$1" --help >&-`)).toMatchObject({ stdout: "", stderr: "" });
});

test("the sources run without being built", () => {
  const main = join(import.meta.dir, "../../src/main.ts");
  expect(runCommand([process.execPath, main, "--version"]).stdout).toBe("nsk development\n");
  expect(runCommand([process.execPath, "run", main, "help", "help"]).stdout).toStartWith(
    "Usage:\n nsk help ",
  );
});
