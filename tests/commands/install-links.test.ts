// Links to nsk: what is made, what is left alone, and that it can be said again.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HostError } from "../../src/abi/errors.ts";
import { planLinks } from "../../src/commands/install-links.ts";
import { mirroredTools } from "../../src/commands/mirrored.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runNsk } from "../support/nsk.ts";
import { outline } from "../support/steps.ts";

describe("the plan", () => {
  const places = [
    { path: "/bin/a", holds: "nothing" },
    { path: "/bin/b", holds: "ours" },
  ] as const;
  const foreign = { path: "/bin/c", holds: "foreign" } as const;

  test("makes what is missing and takes it back when a later link fails", () => {
    const { steps } = planLinks("nsk install-links", "/opt/nsk", places, false);
    expect(steps).toMatchObject([{ name: "symlinkat", undo: { name: "unlinkat" } }]);
  });

  test("refuses before anything is made when a foreign file is there", () => {
    expect(() => planLinks("nsk install-links", "/opt/nsk", [...places, foreign], false)).toThrow(
      new HostError("/bin/c is there and no link to /opt/nsk"),
    );
  });

  test("replaces a foreign file by a rename, so that the name always leads somewhere", () => {
    const { steps } = planLinks("nsk install-links", "/opt/nsk", [foreign], true);
    expect(outline(steps)).toMatchInlineSnapshot(`
      [
        "symlinkat AT_FDCWD /bin/c.nsk",
        "renameat2 /bin/c.nsk AT_FDCWD /bin/c 0",
      ]
    `);
  });
});

const built = testNeeding(nsk);

describe("install-links", () => {
  let directory: string;
  beforeEach(() => void (directory = mkdtempSync(join(tmpdir(), "nsk-links-"))));
  afterEach(() => rmSync(directory, { recursive: true }));
  const all = [...mirroredTools].sort();
  const binary = () => realpathSync(nsk);

  built("links every mirrored tool to the running binary and says so", () => {
    const ran = runNsk("install-links", directory);
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).toBe(mirroredTools.map((tool) => `${directory}/${tool} -> ${binary()}\n`).join(""));
    expect(readdirSync(directory).sort()).toEqual(all);
    for (const tool of all) expect(readlinkSync(join(directory, tool))).toBe(binary());
  });

  built("may be said again", () => {
    runNsk("install-links", directory);
    expect(runNsk("install-links", `${directory}/`)).toMatchObject({
      status: 0,
      stdout: mirroredTools.map((tool) => `${directory}/${tool} -> ${binary()} (was there)\n`).join(""),
    });
  });

  built("overwrites no foreign file, and makes no link when one is in the way", () => {
    const path = join(directory, "cgset");
    writeFileSync(path, "mine");
    expect(runNsk("install-links", directory)).toMatchObject({
      status: 1,
      stdout: "",
      stderr: `nsk install-links: ${path} is there and no link to ${binary()}\nhint: --force replaces it\n`,
    });
    expect(readdirSync(directory)).toEqual(["cgset"]);
    expect(readFileSync(path, "utf8")).toBe("mine");
  });

  built("overwrites a foreign file and a foreign link with --force", () => {
    writeFileSync(join(directory, "cgset"), "mine");
    symlinkSync("/nowhere", join(directory, "cgget"));
    const ran = runNsk("install-links", directory, "-f");
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).toContain(`${directory}/cgset -> ${binary()} (replaced)\n`);
    expect(readdirSync(directory).sort()).toEqual(all);
    for (const tool of all) expect(readlinkSync(join(directory, tool))).toBe(binary());
  });

  built("does not replace a directory even with --force, and takes back what it made", () => {
    mkdirSync(join(directory, "cgset"));
    expect(runNsk("install-links", "--force", directory)).toMatchObject({
      status: 1,
      stdout: "",
      stderr: `nsk install-links: replace ${directory}/cgset failed: Is a directory\n`,
    });
    expect(lstatSync(join(directory, "cgset")).isDirectory()).toBe(true);
    expect(readdirSync(directory)).toEqual(["cgset"]);
  });

  built("--explain makes nothing", () => {
    const { stdout } = runNsk("install-links", "--explain", directory);
    expect(stdout).toContain(`symlinkat("${binary()}", AT_FDCWD, "${directory}/unshare")`);
    expect(readdirSync(directory)).toEqual([]);
  });

  for (const [title, words, stderr] of [
    ["no directory", [], "no directory given\nhint: try 'nsk install-links --help'\n"],
    ["two directories", ["/a", "/b"], "one directory, and no '/b' behind it\n"],
    ["a directory that is not there", ["/no/such\npath"], "'/no/such\\x0apath' is not a directory\n"],
    ["a file", [import.meta.path], `'${import.meta.path}' is not a directory\n`],
  ] as const)
    built(`${title} is named in one line`, () => {
      expect(runNsk("install-links", ...words)).toEqual({
        status: 1,
        signal: undefined,
        stdout: "",
        stderr: `nsk install-links: ${stderr}`,
      });
    });
});
