// Help made from the tables of options, in util-linux's layout: usage, description, options in two columns.

import { command, type Command, type Option, type OptionTable } from "../commands/command.ts";
import { print } from "../commands/output.ts";
import { namesOf } from "./getopt.ts";
import { ownOptions, standardOptions } from "./standard.ts";
import { commands, loadCommand } from "./table.ts";

const WIDTH = 80;
/** Where descriptions begin at most; a longer label has its line to itself. */
const COLUMN = 29;

/** `[left, right]` of a list in two columns. */
export type Row = readonly [string, string];

/** The commands that a command has of its own, by their names and what they are for. */
export const subcommandRows = async ({ subcommands = {} }: Command<any>): Promise<Row[]> =>
  Promise.all(
    Object.entries(subcommands).map(async ([name, load]): Promise<Row> => {
      const { description } = (await load()).definition.meta as { description: string };
      return [` ${name}`, firstSentence(description)];
    }),
  );

/** The help of one command; `subcommands` are its {@link subcommandRows}. */
export const helpText = ({ definition, usage }: Command<any>, subcommands: readonly Row[] = []): string => {
  const { name, description } = definition.meta as { name: string; description: string };
  const table: OptionTable = definition.args;
  const operands = rowsOf(table, true);
  const options = rowsOf(table, false);
  const standard = rowsOf(standardOptions(table), false);
  const column = columnOf([...subcommands, ...operands, ...options, ...standard]);
  return [
    `Usage:\n${usageLines(name, usage)}`,
    `${wrap(sentence(description), WIDTH).join("\n")}\n`,
    ...(subcommands.length ? [section("Commands", subcommands, column)] : []),
    ...(operands.length ? [section("Arguments", operands, column)] : []),
    `${section("Options", options, column)}${options.length ? "\n" : ""}${list(standard, column)}`,
  ].join("\n");
};

const usageLines = (name: string, usage: string): string => {
  const start = ` nsk ${name} `;
  const indent = " ".repeat(start.length);
  return `${start}${wrap(usage, WIDTH - start.length).join(`\n${indent}`)}\n`;
};

/** What `nsk --help` prints: every command, by group. */
export const overview = async (): Promise<string> => {
  const groups = new Map<string, Row[]>();
  for (const [name, { group, load }] of Object.entries(commands)) {
    const { description } = (await load()).definition.meta as { description: string };
    const row: Row = [` ${name}`, firstSentence(description)];
    groups.set(group, [...(groups.get(group) ?? []), row]);
  }
  const options = rowsOf({ ...standardOptions({}), ...ownOptions }, false);
  const column = columnOf([...[...groups.values()].flat(), ...options]);
  return [
    "Usage:\n nsk <command> [options] [<operand>...]\n",
    "Namespaces, control groups and containers in one program.\n",
    ...[...groups].map(([group, rows]) => section(group, rows, column)),
    section("Options", options, column),
    "See 'nsk help <command>' for the options of a command.\n",
  ].join("\n");
};

const section = (title: string, rows: readonly Row[], column: number): string =>
  `${title}:\n${list(rows, column)}`;

export const firstSentence = (text: string): string => sentence(text).replace(/\.( .*)?$/, "");

export const sentence = (text: string): string =>
  `${text[0]!.toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;

export const rowsOf = (table: OptionTable, operands: boolean): Row[] =>
  Object.entries(table)
    .filter(([, option]) => (option.type === "positional") === operands)
    .map(([key, option]) => [
      operands ? ` <${option.valueHint ?? key}>` : label(key, option),
      option.description ?? "",
    ]);

/** ` -m, --mount[=<file>]` */
const label = (key: string, option: Option): string => {
  const names = namesOf(key, option);
  const short = names.filter((name) => name.length === 1).map((name) => `-${name}`);
  const long = names.filter((name) => name.length > 1).map((name) => `--${name}`);
  const written = [...short, ...long].join(", ") + valueText(option, long.length > 0);
  // Long names stand under each other, also where no short one is before them.
  return short.length ? ` ${written}` : `     ${written}`;
};

/** `=<file>`, or `[=<file>]` where the value may be left out; ` <file>` behind a short name. */
const valueText = (option: Option, isLong: boolean): string => {
  if (option.type === "boolean") return "";
  const hint = valueHint(option);
  if (option.optional) return isLong ? `[=${hint}]` : `[${hint}]`;
  return isLong ? `=${hint}` : ` ${hint}`;
};

/** `<file>`; the words themselves where only some are possible; a hint with brackets of its own as it is. */
const valueHint = (option: Option): string => {
  if (option.type === "enum") return option.valueHint ?? (option.options ?? []).join("|");
  const hint = option.valueHint ?? "value";
  return hint.includes("<") ? hint : `<${hint}>`;
};

const columnOf = (rows: readonly Row[]): number =>
  rows.reduce((widest, [left]) => (left.length + 2 > COLUMN ? widest : Math.max(widest, left.length + 2)), 0);

const list = (rows: readonly Row[], column: number): string =>
  rows
    .flatMap(([left, right]) => {
      const lines = wrap(right, WIDTH - column);
      const indented = lines.map((line) => " ".repeat(column) + line);
      if (!lines.length || left.length + 2 > column) return [left, ...indented];
      return [left.padEnd(column) + lines[0], ...indented.slice(1)];
    })
    .map((line) => `${line}\n`)
    .join("");

/** Lines of `width` characters at most, broken at spaces. */
export const wrap = (text: string, width: number): string[] => {
  const lines: string[] = [];
  for (const word of text.split(" ").filter(Boolean)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
};

/** `nsk help [<command>]` */
export const help = command({
  definition: {
    meta: { name: "help", description: "display help about a command" },
    args: {},
  },
  usage: "[options] [<command> [<command>]]",
  failure: 1,
  run: async ({ operands }) => {
    const [name, word] = operands;
    if (name === undefined) print(await overview());
    else {
      const shown = await loadCommand(name, word);
      print(helpText(shown, await subcommandRows(shown)));
    }
    return 0;
  },
});
