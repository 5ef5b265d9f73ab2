// What a script has thrown, as the user sees it: where in the script, the line itself, and the way there. Lines of nsk's
// own code are left out.

import { printable } from "../abi/bytes.ts";
import { readFile } from "../sys/linux.ts";
import type { Module } from "./script-module.ts";
import { textOf } from "./script-module.ts";

interface Position {
  readonly file: string;
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}

/** Several lines that end in a newline: `nsk script: hello.ts:9:13: Error: …`, the line, and who called it. */
export const describeThrown = (thrown: unknown, module: Module): string => {
  const frames = framesOf(thrown);
  const position = ownPosition(thrown) ?? frames[0]?.at ?? mentioned(thrown, module);
  const where = position ? `${position.file}:${position.line}:${position.column}` : module.path;
  const message = messageOf(thrown).split("\n").map(printable).join("\n");
  const lines = [`${module.name}: ${where}: ${message}`];
  if (position) lines.push(...excerpt(position, module));
  for (const { text } of frames) lines.push(`    at ${text}`);
  const hint = hintOf(thrown);
  if (hint !== undefined) lines.push(`hint: ${printable(hint)}`);
  return `${lines.join("\n")}\n`;
};

const messageOf = (thrown: unknown): string => {
  if (!isObject(thrown) || typeof thrown.message !== "string") return `thrown: ${Bun.inspect(thrown)}`;
  const { name, message } = thrown;
  // The runtime's own words for a module that it cannot read are no names of errors that a user would know.
  return name === "BuildMessage" || name === "ResolveMessage" || typeof name !== "string"
    ? message
    : `${name}: ${message}`;
};

const hintOf = (thrown: unknown): string | undefined => {
  if (!isObject(thrown)) return undefined;
  if (typeof thrown.hint === "string") return thrown.hint;
  if (typeof thrown.message === "string" && thrown.message.startsWith("Cannot find package"))
    return 'a script imports files by their paths, "nsk", and modules of the runtime (node:fs, bun:ffi, …); no packages';
  return undefined;
};

const isObject = (it: unknown): it is Record<string, unknown> => typeof it === "object" && it !== null;

/** Where a syntax error is: the runtime's BuildMessage says it. */
const ownPosition = (thrown: unknown): Position | undefined => {
  const position = isObject(thrown) ? thrown.position : undefined;
  if (!isObject(position)) return undefined;
  const { file, line, column } = position;
  return typeof file === "string" && typeof line === "number" && typeof column === "number"
    ? { file, line, column }
    : undefined;
};

interface Frame {
  readonly text: string;
  readonly at: Position;
}

/** The frames of a stack that are in files of the user's. */
const framesOf = (thrown: unknown): Frame[] => {
  if (!isObject(thrown) || typeof thrown.stack !== "string") return [];
  const frames: Frame[] = [];
  for (const line of thrown.stack.split("\n")) {
    const [, text, file, row, column] = /^ *at ((?:.*\()?(\/.*?):(\d+):(\d+)\)?)$/.exec(line) ?? [];
    if (text === undefined || isInside(file!)) continue;
    frames.push({ text: printable(text), at: { file: file!, line: Number(row), column: Number(column) } });
  }
  return frames;
};

const SOURCES = import.meta.dir.slice(0, import.meta.dir.lastIndexOf("/") + 1);

/** Whether a file is nsk's: in the built program, or among its sources. */
const isInside = (file: string): boolean => file.startsWith("/$bunfs/") || file.startsWith(SOURCES);

/** An import that leads nowhere has no position: the line that names it is looked for. */
const mentioned = (thrown: unknown, module: Module): Position | undefined => {
  if (!isObject(thrown) || typeof thrown.message !== "string") return undefined;
  const file = typeof thrown.referrer === "string" ? thrown.referrer : module.path;
  const word =
    typeof thrown.specifier === "string"
      ? thrown.specifier
      : /^Export named '(.+)' not found/.exec(thrown.message)?.[1];
  if (word === undefined) return undefined;
  const lines = linesOf(file, module);
  const at = lines.findIndex((line) => line.includes(word));
  return at < 0 ? undefined : { file, line: at + 1, column: lines[at]!.indexOf(word) + 1 };
};

const linesOf = (file: string, module: Module): string[] => {
  const text = file === module.path ? module.text : undefined;
  return (text ?? textOf(readFile(file) ?? new Uint8Array())).split("\n");
};

/** The line, and a mark below its column. */
const excerpt = ({ file, line, column }: Position, module: Module): string[] => {
  const text = linesOf(file, module)[line - 1];
  if (text === undefined || text.length > 200) return [];
  const head = `  ${line} | `;
  // A tab below a tab, so that the mark stands where the eye looks.
  const indent = text.slice(0, column - 1).replace(/[^\t]/g, " ");
  return [printable(`${head}${text}`), `${" ".repeat(head.length)}${indent}^`];
};
