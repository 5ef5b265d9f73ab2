// Manual pages: the two renderings, and every command's page through man(1) itself.

import { describe, expect, test } from "bun:test";
import { pageOf, roffOf, textOf } from "../../src/cli/man.ts";
import { commands } from "../../src/cli/table.ts";
import { command } from "../../src/commands/command.ts";
import { spawn } from "../../src/index.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";

const sample = command({
  definition: {
    meta: { name: "sample", description: "Do a thing. It takes a \\ and a 'quote'." },
    args: {
      what: { type: "positional", description: ".dotted words at the start" },
      longName: { type: "string", alias: "l", valueHint: "file", description: "-1 is a number" },
    },
  },
  usage: "[options] <what>",
  failure: 3,
  run: () => 0,
});

test("as text", () => {
  expect(textOf(pageOf(sample))).toMatchInlineSnapshot(`
    "NAME
           nsk-sample - do a thing

    SYNOPSIS
           nsk sample [options] <what>

    DESCRIPTION
           Do a thing. It takes a \\ and a 'quote'.

    ARGUMENTS
           <what>
                  .dotted words at the start.

    OPTIONS
           -l, --long-name=<file>
                  -1 is a number.

           -h, --help
                  Display this help.

           -V, --version
                  Display version.

    EXIT STATUS
           0 for success. 3 for a command line that makes no sense, and for a
           failure that has no status of its own; one line on standard error says
           which, and at most one "hint:" line what to do about it.

    SEE ALSO
           nsk(1)
    "
  `);
});

test("of a command with commands of its own, and of one of those", () => {
  expect(runNsk("man", "oci").stdout).toContain("\nCOMMANDS\n");
  expect(runNsk("man", "oci", "run").stdout).toContain("nsk-oci-run - make a container from a bundle");
  for (const command of ["man", "help"])
    expect(runNsk(command, "oci", "rum")).toMatchObject({
      status: 1,
      stderr: `nsk ${command}: 'rum' is not a command of nsk oci\nhint: did you mean run?\n`,
    });
  expect(runNsk("man", "ps", "run").stderr).toStartWith("nsk man: 'run' is not a command of nsk ps\n");
});

test("as roff nothing of the text is taken for a request or an escape", () => {
  const lines = roffOf(pageOf(sample)).split("\n");
  expect(lines).toContain("Do a thing. It takes a \\e and a 'quote'.");
  expect(lines).toContain("\\&.dotted words at the start.");
  expect(lines).toContain("\\-1 is a number.");
  expect(lines).toContain("\\fB\\-l, \\-\\-long\\-name=<file>\\fR");
});

describe("every command has a page", () => {
  for (const [name, { load }] of Object.entries(commands))
    test(name, async () => {
      const page = pageOf(await load());
      expect(page.name).toBe(`nsk-${name}`);
      expect(page.sections.map(({ title }) => title)).toContain("OPTIONS");
      for (const line of roffOf(page).split("\n"))
        expect(line).toMatch(/^(?:[^.']|\.(?:TH|SH|TP|PP|nh|ad|br)\b|\\&|$)/);
    });
});

describe("nsk man", () => {
  testNeeding(nsk)("prints text where there is no terminal, and roff when asked", () => {
    const text = runNsk("man", "unshare");
    expect(text).toMatchObject({ status: 0, stderr: "" });
    expect(text.stdout).toStartWith("NAME\n       nsk-unshare - run a program in new namespaces");
    expect(text.stdout).toContain("       -m, --mount[=<file>]\n");
    expect(runNsk("man", "--roff", "unshare").stdout).toStartWith('.TH NSK-UNSHARE 1 "" "nsk ');
    expect(runNsk("man").stdout).toStartWith("NAME\n       nsk - ");
    expect(runNsk("man", "unsahre")).toMatchObject({ status: 1, stdout: "" });
  });
  testNeeding(nsk, "groff")("is clean for groff", () => {
    for (const name of ["unshare", "run", "cgset"]) {
      const ran = runCommand(["sh", "-c", '"$0" man --roff "$1" | groff -man -Tutf8 -ww', nsk, name]);
      expect(ran.stderr).toBe("");
      expect(ran.stdout).toContain(`nsk-${name}`);
    }
  });
  testNeeding(
    nsk,
    "man",
    "groff",
  )("is shown by man on a terminal", async () => {
    await using child = spawn([nsk, "man", "unshare"], {
      terminal: true,
      env: { PATH: process.env.PATH!, MANPAGER: "cat", PAGER: "cat", LC_ALL: "C" },
    });
    const shown = await new Response(child.terminal!.readable).text();
    expect(shown).toContain("NSK-UNSHARE(1)");
    expect(await child.exited).toEqual({ status: 0 });
  });
});
