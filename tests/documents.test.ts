// The documents: how their commands are read and compared (tests/vm runs them), and that what they name is there.

import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { scripts } from "../package.json";
import {
  blocksFor,
  type Chapter,
  type Commands,
  differences,
  parseDocument,
  rewrite,
} from "../scripts/tutorial/document.ts";
import { chapters, RECORDING, recorded } from "../scripts/tutorial/guest.ts";
import { recordingOf } from "../scripts/tutorial/recording.ts";
import { parse } from "../src/cli/getopt.ts";
import { ownOptions, standardOptions } from "../src/cli/standard.ts";
import { findCommand } from "../src/cli/table.ts";

const root = join(import.meta.dir, "..");
const read = (path: string): string => readFileSync(join(root, path), "utf8");
const documents = ["README.md", "CHANGELOG.md", ...new Bun.Glob("docs/*.md").scanSync(root)].sort();

/** A document of one chapter and one block. */
const block = (info: string, ...lines: readonly string[]): Commands =>
  parseDocument(`## One\n\`\`\`${info}\n${lines.join("\n")}\n\`\`\``)[0]!.blocks[0] as Commands;

describe("a document with commands", () => {
  test("has commands of root and of others, what they print, and lines that go on", () => {
    const { commands } = block("console", "# a", "one", "two", "$ b <<E", "> text", "> E", "three", "# c");
    expect(commands.map(({ prompt, typed, output }) => [prompt, typed, output])).toEqual([
      ["#", ["a"], ["one", "two"]],
      ["$", ["b <<E", "text", "E"], ["three"]],
      ["#", ["c"], []],
    ]);
  });
  test("has what ends with a colon as output", () =>
    expect(block("console", "# explain", "# the parent:", "wait").commands[0]!.output).toEqual([
      "# the parent:",
      "wait",
    ]));
  test("says where and how a block is run", () => {
    expect(block("console v1 second numbers", "# a")).toMatchObject({
      only: "v1",
      terminal: "second",
      hasNumbers: true,
    });
    expect(block("console", "# a")).toMatchObject({ terminal: "first", hasNumbers: false });
    expect(block("console", "# a").only).toBeUndefined();
  });
  test("has files by their names, and blocks that nobody runs", () => {
    const [{ blocks } = {} as Chapter] = parseDocument("```ts a.ts\n1;\n```\n```sh\nls\n```");
    expect(blocks).toEqual([
      { kind: "file", name: "a.ts", text: "1;\n" },
      { kind: "other", info: "sh", lines: ["ls"], line: 4 },
    ]);
  });
  test("is in chapters, of which those without a block are none", () =>
    expect(
      parseDocument("# T\n## A\n```sh\n```\n## B\ntext\n## C\n```sh\n```").map(({ title }) => title),
    ).toEqual(["A", "C"]));
  for (const [what, text, reason] of [
    ["output of no command", "```console\nprinted\n```", "line 2: output of no command"],
    ["a word that says nothing", "```console V1\n# a\n```", 'line 1: "V1" says nothing of a console'],
    ["a block without an end", "text\n```console\n# a\n", "line 2: the block has no end"],
  ] as const)
    test(`is refused for ${what}`, () => expect(() => parseDocument(text)).toThrow(reason));
  test("is for one version of control groups or for both", () => {
    const [chapter] = parseDocument("```console v1\n# a\n```\n```console v2\n# b\n```\n```console\n# c\n```");
    const typed = (version: "v1" | "v2") =>
      blocksFor(chapter!, version).map((it) => (it as Commands).commands[0]!.typed[0]);
    expect(typed("v1")).toEqual(["a", "c"]);
    expect(typed("v2")).toEqual(["b", "c"]);
  });
});

describe("what is printed is what the document shows", () => {
  const NS = "4026532151";
  /** `[info, what it shows, what is printed, whether that is the same]` */
  const rows: readonly (readonly [string, readonly string[], readonly string[], boolean])[] = [
    ["", ["one", "two"], ["one", "two"], true],
    ["", ["one"], ["one", "two"], false],
    ["", ["one", "two"], ["one"], false],
    ["", [], ["one"], false],
    // Blanks, and empty lines at the end.
    ["", ["PID  NAME", " 1   a"], ["PID      NAME", "  1  a  "], true],
    ["", ["a b"], ["ab"], false],
    ["", ["a", ""], ["a"], true],
    ["", ["a", "", "b"], ["a", "b"], false],
    // What stands for anything.
    ["", ["a … z"], ["a b c z"], true],
    ["", ["a … z"], ["a b c y"], false],
    ["", ["a", "…", "z"], ["a", "b", "c", "z"], true],
    ["", ["a", "…", "z"], ["a", "z"], true],
    ["", ["a", "…", "z"], ["a", "b"], false],
    // Text is no pattern.
    ["", ["a.c (x|y)*"], ["a.c (x|y)*"], true],
    ["", ["a.c"], ["abc"], false],
    // Numbers of namespaces, everywhere.
    ["", [`uts:[${NS}]`], ["uts:[4026532999]"], true],
    ["", [NS, NS], ["4026532999", "4026532999"], true],
    ["", [NS, NS], ["4026532999", "4026532998"], false],
    ["", [NS, "4026532152"], ["4026532999", "4026532999"], false],
    ["", [NS], ["402653"], false],
    // Other numbers where the block says so: those of one digit never.
    ["", ["pid 123"], ["pid 124"], false],
    ["numbers", ["pid 123 of 123"], ["pid 4711 of 4711"], true],
    ["numbers", ["pid 123 of 123"], ["pid 4711 of 4712"], false],
    ["numbers", ["49.7 %"], ["5 %"], true],
    ["numbers", ["exit 1"], ["exit 2"], false],
    ["numbers", ["12 a"], ["a a"], false],
  ];
  for (const [info, shown, printed, same] of rows)
    test(`${info} ${JSON.stringify(shown)} ${same ? "is" : "is not"} ${JSON.stringify(printed)}`, () =>
      expect(differences([block(`console ${info}`.trim(), "# a", ...shown)], [printed])).toHaveLength(
        same ? 0 : 1,
      ));
  test("also where nothing was printed of a later command", () =>
    expect(
      differences([block("console", "# a", "1", "# b", "2")], [["1"]]).map(({ command }) => command.typed),
    ).toEqual([["b"]]));
  test("and is written where it is not", () => {
    const text = "text\n```console\n# a\nold\n\n# b\n```\nmore\n```console\n# c\nsame\n```\n";
    const blocks = parseDocument(text)[0]!.blocks as readonly Commands[];
    const changes = differences(blocks, [["new", "lines", ""], ["b's  "], ["same"]]);
    expect(rewrite(text, changes)).toBe(
      "text\n```console\n# a\nnew\nlines\n\n# b\nb's\n```\nmore\n```console\n# c\nsame\n```\n",
    );
  });
});

test("every block of the tutorial is run", () => {
  const blocks = parseDocument(read("docs/tutorial.md")).flatMap((chapter) => chapter.blocks);
  expect(blocks.filter(({ kind }) => kind === "other")).toEqual([]);
  const run = chapters().filter(({ document }) => document === "docs/tutorial.md");
  const count = (version: "v1" | "v2") =>
    run.flatMap((chapter) => blocksFor(chapter, version)).filter(({ kind }) => kind === "commands").length;
  const only = blocks.filter((it) => it.kind === "commands" && it.only).length;
  const all = blocks.filter(({ kind }) => kind === "commands").length;
  expect(count("v1") + count("v2")).toBe(2 * all - only);
  expect(all).toBeGreaterThan(30);
});

test(`${RECORDING} is the tour of README.md: bun run tutorial makes it`, () =>
  expect(read(RECORDING)).toBe(recordingOf(recorded())));

/** The simple commands of a line of shell: words without their quotes; comments and redirections are left out. */
const simpleCommands = (line: string): string[][] => {
  const found: string[][] = [[]];
  for (const [part] of line.matchAll(/#.*|\\\n|[|;&()]+|(?:"[^"]*"|'[^']*'|\$\([^)]*\)|[^\s|;&()"'])+/g)) {
    if (part.startsWith("#") || part === "\\\n") continue;
    if (/^[|;&()]/.test(part)) found.push([]);
    else if (!/^\d?[<>]/.test(part)) found.at(-1)!.push(part.replaceAll(/["']/g, ""));
  }
  return found.filter((words) => words.length > 0);
};

const mustBeKnown = async (words: readonly string[]): Promise<void> => {
  const [name, ...rest] = words;
  if (name === undefined || name.startsWith("-"))
    return void parse({ ...standardOptions({}), ...ownOptions }, words, { name: "nsk" });
  const { definition, permute } = await findCommand(name).load();
  const { operands } = parse({ ...definition.args, ...standardOptions(definition.args) }, rest, {
    permute,
    name: `nsk ${name}`,
  });
  if (operands[0] === "nsk") await mustBeKnown(operands.slice(1));
};

for (const document of documents) {
  const text = read(document);
  test(`${document}: the commands and options of nsk that it types are there, and so are the scripts`, async () => {
    const lines = parseDocument(text)
      .flatMap((chapter) => chapter.blocks)
      .flatMap((it) =>
        it.kind === "commands"
          ? it.commands.map(({ typed }) => typed.join("\n"))
          : it.kind === "other" && it.info === "sh"
            ? it.lines.join("\n").replaceAll("\\\n", " ").split("\n")
            : [],
      );
    for (const words of lines.flatMap(simpleCommands)) {
      if (words[0] === "nsk") await mustBeKnown(words.slice(1));
      const run = words.indexOf("run");
      if (run > 0 && /^bun(@|$)/.test(words[run - 1]!))
        expect(Object.keys(scripts)).toContain(words[run + 1]!);
    }
  });
  test(`${document}: the files that it leads to are there`, () => {
    for (const [, path] of text.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g))
      expect([path, existsSync(join(root, dirname(document), path!))]).toEqual([path, true]);
    for (const [, path] of text.matchAll(/`((?:src|scripts|tests)\/[\w./-]*)`/g))
      expect([path, existsSync(join(root, path!))]).toEqual([path, true]);
  });
}
