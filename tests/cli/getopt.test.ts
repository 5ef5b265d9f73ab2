// The option parser, by tables of its own and side by side with GNU getopt_long itself, which util-linux's getopt(1)
// makes available to scripts.

import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/abi/errors.ts";
import { longName, parse } from "../../src/cli/getopt.ts";
import type { OptionTable } from "../../src/commands/command.ts";
import { unshare } from "../../src/commands/unshare.ts";
import { testNeeding } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";
import { random } from "../support/random.ts";

const table = {
  fork: { type: "boolean", alias: "f", description: "" },
  verbose: { type: "boolean", alias: "v", multiple: true, description: "" },
  root: { type: "string", alias: ["R", "new-root"], description: "" },
  r: { type: "string", multiple: true, description: "" },
  mount: { type: "string", optional: true, alias: "m", description: "" },
  mapUser: { type: "string", description: "" },
  mapGroup: { type: "string", description: "" },
  killChild: { type: "string", optional: true, description: "" },
  propagation: { type: "enum", options: ["slave", "shared"], description: "" },
  uts: { type: "string", optional: true, multiple: true, short: "never", alias: "u", description: "" },
  wdns: { type: "string", optional: true, short: "required", alias: "W", description: "" },
  dir: { type: "positional", description: "" },
} as const satisfies OptionTable;

const absent = {
  fork: false,
  verbose: 0,
  root: undefined,
  r: [],
  mount: undefined,
  mapUser: undefined,
  mapGroup: undefined,
  killChild: undefined,
  propagation: undefined,
  uts: undefined,
  wdns: undefined,
};

const words = (line: string): string[] => line.split(" ").filter(Boolean);
const parsed = (line: string, permute = false) => parse(table, words(line), { name: "nsk tool", permute });
const failure = (line: string): UsageError => {
  try {
    parsed(line);
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  throw new Error(`'${line}' is understood`);
};

describe("a command line becomes values", () => {
  test.each<[string, object, string]>([
    ["", {}, ""],
    ["-f", { fork: true }, ""],
    ["-fvv prog -v", { fork: true, verbose: 2 }, "prog -v"],
    ["--fork --verbose", { fork: true, verbose: 1 }, ""],
    ["-R/new -R /newer", { root: "/newer" }, ""],
    ["-fR /new", { fork: true, root: "/new" }, ""],
    ["--root=/new=x", { root: "/new=x" }, ""],
    ["--root /new", { root: "/new" }, ""],
    ["--new-root /new", { root: "/new" }, ""],
    ["--root= x", { root: "" }, "x"],
    ["--root -- x", { root: "--" }, "x"],
    ["-r a=1 -r b=2 -rc=3", { r: ["a=1", "b=2", "c=3"] }, ""],
    ["-m ls -la", { mount: true }, "ls -la"],
    ["-m/file ls", { mount: "/file" }, "ls"],
    ["--mount ls", { mount: true }, "ls"],
    ["--mount=/file ls", { mount: "/file" }, "ls"],
    ["--mount= ls", { mount: "" }, "ls"],
    // A short name that takes no value, and one that must have it, where the long one may go without.
    ["-uf x", { uts: true, fork: true }, "x"],
    ["--uts=/a -u x", { uts: "/a" }, "x"],
    ["-u --uts=/a --uts=/b --uts x", { uts: "/b" }, "x"],
    ["-W /w x", { wdns: "/w" }, "x"],
    ["-W/w x", { wdns: "/w" }, "x"],
    ["--wdns /w x", { wdns: true }, "/w x"],
    ["--wdns=/w x", { wdns: "/w" }, "x"],
    ["--kill-child=TERM", { killChild: "TERM" }, ""],
    ["--kill", { killChild: true }, ""],
    ["--map-u 5 --map-g=6", { mapUser: "5", mapGroup: "6" }, ""],
    ["--propagation slave", { propagation: "slave" }, ""],
    ["-- -f", {}, "-f"],
    ["- -f", {}, "- -f"],
    ["-f -- -- -f", { fork: true }, "-- -f"],
  ])("%s", (line, values, operands) => {
    expect(parsed(line)).toMatchObject({ options: { ...absent, ...values }, operands: words(operands) });
  });

  test.each<[string, object, string]>([
    ["group -r a=1 other -f", { r: ["a=1"], fork: true }, "group other"],
    ["group -- -f", {}, "group -f"],
    ["- -f", { fork: true }, "-"],
  ])("with operands between options: %s", (line, values, operands) => {
    expect(parsed(line, true)).toMatchObject({
      options: { ...absent, ...values },
      operands: words(operands),
    });
  });

  test.each([
    ["-- prog", true],
    ["-f -- prog", true],
    ["prog", false],
    ["prog -- x", false],
    ["-f", false],
  ])("and it is known whether -- stood before the first operand: %s", (line, dashed) => {
    expect(parsed(line).dashed).toBe(dashed);
    expect(parsed(line, true).dashed).toBe(dashed);
  });

  test("the values have the types that the table says", () => {
    const { options } = parsed("-f");
    const typed: {
      readonly fork: boolean;
      readonly verbose: number;
      readonly root: string | undefined;
      readonly r: readonly string[];
      readonly mount: string | true | undefined;
    } = options;
    expect(typed.fork).toBe(true);
    // @ts-expect-error operands are no options
    void options.dir;
  });

  test("an option of `endAt` ends the parsing, whatever is behind it", () => {
    const { options, operands } = parse(table, ["-fR", "/", "-v", "--nonsense"], {
      name: "nsk tool",
      endAt: ["verbose"],
    });
    expect(options).toEqual({ ...absent, fork: true, root: "/", verbose: 1 });
    expect(operands).toEqual(["--nonsense"]);
  });

  test("a name in camelCase is written with dashes", () => {
    expect(["mountProc", "wd", "cpuShares", "R"].map(longName)).toEqual([
      "mount-proc",
      "wd",
      "cpu-shares",
      "-r",
    ]);
  });
});

describe("a mistake is named in getopt's words", () => {
  const help = "try 'nsk tool --help'";
  test.each([
    ["--frok", "unrecognized option '--frok'", "did you mean '--fork'?"],
    ["--frok=1", "unrecognized option '--frok=1'", "did you mean '--fork'?"],
    ["--something", "unrecognized option '--something'", help],
    ["--mapUser=1", "unrecognized option '--mapUser=1'", "did you mean '--map-user'?"],
    ["-x", "invalid option -- 'x'", help],
    ["-fx", "invalid option -- 'x'", help],
    ["-f-", "invalid option -- '-'", help],
    ["-é", "invalid option -- 'é'", help],
    ["--root", "option '--root' requires an argument", help],
    ["-fR", "option requires an argument -- 'R'", help],
    ["--m", "option '--m' is ambiguous; possibilities: '--mount' '--map-user' '--map-group'", help],
    ["--map=1", "option '--map=1' is ambiguous; possibilities: '--map-user' '--map-group'", help],
    ["--fork=yes", "option '--fork' doesn't allow an argument", help],
    ["--fo=", "option '--fork' doesn't allow an argument", help],
    ["--propagation=x", "invalid argument 'x' for '--propagation'", "valid arguments are 'slave', 'shared'"],
  ])("%s", (line, message, hint) => {
    const { message: actual, hint: actualHint } = failure(line);
    expect([actual, actualHint]).toEqual([message, hint]);
  });
});

// One name per option, for getopt(1) tells only the name that was typed.
const plain = {
  a: { type: "boolean" },
  b: { type: "boolean", multiple: true },
  c: { type: "string", multiple: true },
  d: { type: "string", optional: true },
  fork: { type: "boolean" },
  format: { type: "string" },
  mount: { type: "string", optional: true },
  mountProc: { type: "string", optional: true },
  mapUser: { type: "string", multiple: true },
  mapUsers: { type: "string", multiple: true },
  keepCaps: { type: "boolean", multiple: true },
} as const satisfies OptionTable;
const asGetopt = ["-o", "abc:d::", "-l", "fork,format:,mount::,mount-proc::,map-user:,map-users:,keep-caps"];

/** What getopt(1) says of a command line, brought into the form of `parse`. */
const oracle = (argv: readonly string[], permute: boolean): unknown => {
  const [flag, short, ...long] = asGetopt;
  const { status, stdout, stderr } = runCommand([
    "getopt",
    "-n",
    "tool",
    flag!,
    (permute ? "" : "+") + short,
    ...long,
    "--",
    ...argv,
  ]);
  if (status !== 0) return stderr.split("\n")[0]!.replace(/^tool: /, "");
  const options: Record<string, unknown> = structuredClone(parse(plain, [], { name: "" }).options);
  const said = [...stdout.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare!);
  while (said[0] !== "--") {
    const key = said
      .shift()!
      .replace(/^--?/, "")
      .replace(/-(.)/g, (_, letter) => letter.toUpperCase());
    const { type, multiple } = (plain as OptionTable)[key]!;
    if (type === "boolean") options[key] = multiple ? Number(options[key]) + 1 : true;
    else if (multiple) (options[key] as string[]).push(said.shift()!);
    else options[key] = said.shift();
  }
  return { options, operands: said.slice(1) };
};

const ours = (argv: readonly string[], permute: boolean): unknown => {
  try {
    const { options, operands } = parse(plain, argv, { name: "nsk tool", permute });
    // getopt(1) prints '' for a value that was left out.
    const values = Object.entries(options).map(([key, value]) => [
      key,
      value === true && (plain as OptionTable)[key]!.type !== "boolean" ? "" : value,
    ]);
    return { options: Object.fromEntries(values), operands };
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
};

describe("getopt(1) of util-linux says the same", () => {
  const sideBySide = testNeeding("getopt");

  const lines = [
    "-a -b",
    "-abc value rest -a",
    "-bbb",
    "-cvalue",
    "-dvalue -d value",
    "--fork",
    "--for",
    "--fo --format x",
    "--form=x",
    "--mount x",
    "--mount=x",
    "--mount-proc=x --mount=y",
    "--mount-",
    "--map-user 1 --map-users 2",
    "--map-u 1",
    "--=x",
    "--=",
    "---a",
    "-a-b",
    "-:",
    "-;",
    "-W x",
    "--keep-caps=1",
    "--format",
    "-c",
    "-- -a",
    "x -a -- -b y",
    "- -a",
  ];
  for (const permute of [false, true])
    for (const line of lines)
      sideBySide(`${permute ? "with operands between options: " : ""}${line}`, () => {
        expect(ours(words(line), permute)).toEqual(oracle(words(line), permute));
      });

  sideBySide("300 command lines made by chance", () => {
    const { pick, below } = random(2026);
    const names = ["fork", "format", "mount", "mount-proc", "map-user", "map-users", "keep-caps", "other"];
    const long = (): string => {
      const name = pick(names);
      const cut = pick([name.length, name.length, 1 + below(name.length)]);
      return `--${name.slice(0, cut)}${pick(["", "", "=", "=value", "=-a"])}`;
    };
    const short = (): string =>
      `-${Array.from({ length: 1 + below(4) }, () => pick([..."aabbbcddxW:-="])).join("")}`;
    const operand = (): string => pick(["operand", "-", "", "a=b", "--", "two words"]);
    let accepted = 0;
    for (let i = 0; i < 300; i++) {
      const argv = Array.from({ length: below(6) }, () => pick([long, long, short, short, operand])());
      const permute = i % 2 === 1;
      const expected = oracle(argv, permute);
      expect({ argv, result: ours(argv, permute) }).toEqual({ argv, result: expected });
      if (typeof expected !== "string") accepted++;
    }
    // Neither all right nor all wrong, or this compares little.
    expect(accepted).toBeGreaterThan(60);
    expect(accepted).toBeLessThan(240);
  });
});

describe("unshare of util-linux complains in the same words", () => {
  const sideBySide = testNeeding("unshare");
  for (const line of ["--nonsense", "--nonsense=1", "-R", "--root", "--fork=1", "--kee=1", "-fz", "-f-"])
    sideBySide(line, () => {
      const { stderr } = runCommand(["unshare", ...words(line)]);
      let message = "";
      try {
        parse(unshare.definition.args, words(line), { name: "nsk unshare" });
      } catch (error) {
        ({ message } = error as UsageError);
      }
      expect(`unshare: ${message}`).toBe(stderr.split("\n")[0]!);
    });
});

test("with docker's habits an option without a value may have true or false", () => {
  const given = (...words: string[]) =>
    parse(table, words, { name: "run", truths: true }).options as { fork: boolean };
  expect(given("--fork=true", "x").fork).toBe(true);
  expect(given("--fork", "--fork=false", "x").fork).toBe(false);
  expect(given("--fork=0").fork).toBe(false);
  expect(() => given("--fork=yes")).toThrow("invalid argument 'yes' for '--fork': true or false");
});
