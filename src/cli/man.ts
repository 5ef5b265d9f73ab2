// `nsk man COMMAND`: manual pages made from the tables of options. One page, two renderings: roff(7) for man(1), and
// plain text for where there is none.

import { HostError } from "../abi/errors.ts";
import { command, type Command } from "../commands/command.ts";
import { mirroredTools } from "../commands/mirrored.ts";
import { print } from "../commands/output.ts";
import type { Host } from "../host/host.ts";
import { programCandidates } from "../plan/program.ts";
import { firstSentence, type Row, rowsOf, sentence, subcommandRows, wrap } from "./help.ts";
import { ownOptions, standardOptions } from "./standard.ts";
import { commands, loadCommand } from "./table.ts";
import { version } from "./version.ts";

/** A part of a page: paragraphs, or terms and what they mean. */
interface Section {
  readonly title: string;
  readonly text?: readonly string[];
  readonly terms?: readonly Row[];
}

export interface Page {
  /** `nsk-unshare` */
  readonly name: string;
  readonly sections: readonly Section[];
}

const trimmed = (rows: readonly Row[]): Row[] => rows.map(([left, right]) => [left.trim(), sentence(right)]);

/** `nsk-oci-run`, as man(1) looks for `nsk oci run`. */
const pageName = (name: string): string => `nsk-${name.replaceAll(" ", "-")}`;

/** The page of a command; `subcommands` are its {@link subcommandRows}. */
export const pageOf = (
  { definition, usage, failure }: Command<any>,
  subcommands: readonly Row[] = [],
): Page => {
  const { name, description } = definition.meta as { name: string; description: string };
  const table = definition.args;
  const operands = rowsOf(table, true);
  const mirrored = (mirroredTools as readonly string[]).includes(name);
  return {
    name: pageName(name),
    sections: [
      { title: "NAME", text: [`${pageName(name)} - ${lower(firstSentence(description))}`] },
      {
        title: "SYNOPSIS",
        text: [`nsk ${name} ${usage}`, ...(mirrored ? [`${name} ${usage}   (by a link of that name)`] : [])],
      },
      { title: "DESCRIPTION", text: [sentence(description)] },
      ...(subcommands.length ? [{ title: "COMMANDS", terms: trimmed(subcommands) }] : []),
      ...(operands.length ? [{ title: "ARGUMENTS", terms: trimmed(operands) }] : []),
      {
        title: "OPTIONS",
        terms: trimmed([...rowsOf(table, false), ...rowsOf(standardOptions(table), false)]),
      },
      {
        title: "EXIT STATUS",
        text: [
          `0 for success. ${failure} for a command line that makes no sense, and for a failure that has no status of its own; one line on standard error says which, and at most one "hint:" line what to do about it.`,
          ...("explain" in table && "emit" in table
            ? [
                "When a program is run: its own status; 126 for one that cannot be executed and 127 for one that is not there, unless the tool that is mirrored does otherwise.",
              ]
            : []),
        ],
      },
      { title: "SEE ALSO", text: [[...(mirrored ? [`${name}(1)`] : []), "nsk(1)"].join(", ")] },
    ],
  };
};

/** The page of nsk itself. */
export const pageOfAll = async (): Promise<Page> => {
  const groups = new Map<string, Row[]>();
  for (const [name, { group, load }] of Object.entries(commands)) {
    const { description } = (await load()).definition.meta as { description: string };
    groups.set(group, [...(groups.get(group) ?? []), [name, `${firstSentence(description)}.`]]);
  }
  return {
    name: "nsk",
    sections: [
      { title: "NAME", text: ["nsk - namespaces, control groups and containers in one program"] },
      { title: "SYNOPSIS", text: ["nsk <command> [options] [<operand>...]"] },
      ...[...groups].map(([group, terms]) => ({ title: group.toUpperCase(), terms })),
      { title: "OPTIONS", terms: trimmed(rowsOf({ ...standardOptions({}), ...ownOptions }, false)) },
      { title: "SEE ALSO", text: ["namespaces(7), cgroups(7), capabilities(7)"] },
    ],
  };
};

const lower = (text: string): string => `${text[0]!.toLowerCase()}${text.slice(1)}`;

/** @see man(7) */
export const roffOf = ({ name, sections }: Page): string => {
  const lines = [`.TH ${name.toUpperCase()} 1 "" "nsk ${version}" "nsk"`, ".nh", ".ad l"];
  for (const { title, text = [], terms = [] } of sections) {
    lines.push(`.SH "${title}"`);
    text.forEach((paragraph, i) =>
      lines.push(...(i ? [title === "SYNOPSIS" ? ".br" : ".PP"] : []), roff(paragraph)),
    );
    for (const [term, meaning] of terms) lines.push(".TP", `\\fB${roff(term)}\\fR`, roff(meaning));
  }
  return `${lines.join("\n")}\n`;
};

/** Text as roff takes it for itself: no escapes, dashes that stay dashes, and no line that is a request. */
const roff = (text: string): string =>
  text
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replace(/^([.'])/gm, "\\&$1")
    // groff reads bytes of Latin-1 unless it is told another name for a letter. @see groff_char(7)
    .replace(
      /[^\x00-\x7f]/gu,
      (letter) => `\\[u${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
    );

const WIDTH = 80;
const INDENT = 7;

/** As man(1) lays it out. */
export const textOf = ({ sections }: Page): string => {
  const indented = (text: string, indent: number): string =>
    wrap(text, WIDTH - indent)
      .map((line) => `${" ".repeat(indent)}${line}\n`)
      .join("");
  return sections
    .map(({ title, text = [], terms = [] }) =>
      [
        `${title}\n`,
        text.map((paragraph) => indented(paragraph, INDENT)).join(title === "SYNOPSIS" ? "" : "\n"),
        terms.map(([term, meaning]) => indented(term, INDENT) + indented(meaning, 2 * INDENT)).join("\n"),
      ].join(""),
    )
    .join("\n");
};

export const man = command({
  definition: {
    meta: {
      name: "man",
      description: "Show the manual page of a command. On a terminal man shows it, where it is installed.",
    },
    args: {
      roff: { type: "boolean", description: "print the page's source, for a file such as nsk-unshare.1" },
      command: { type: "positional", description: "a command of nsk; nsk itself unless given" },
    },
  },
  usage: "[options] [<command> [<command>]]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host }) => {
    const [name, word] = operands;
    const shown = name === undefined ? undefined : await loadCommand(name, word);
    const page = shown ? pageOf(shown, await subcommandRows(shown)) : await pageOfAll();
    if (options.roff) print(roffOf(page));
    else if (host.isTerminal(1) && hasMan(host)) return showByMan(roffOf(page));
    else print(textOf(page));
    return 0;
  },
});

const hasMan = (host: Host): boolean => {
  for (const path of programCandidates("man", host.env("PATH"))) if (host.kind(path) === "file") return true;
  return false;
};

const showByMan = async (source: string): Promise<number> => {
  const { run } = await import("./pager.ts");
  const { status, signal } = await run(["man", "-l", "-"], source);
  if (status !== undefined) return status;
  throw new HostError(`man was ended by signal ${signal}`);
};
