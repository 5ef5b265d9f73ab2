// Markdown whose commands are run: reads them from its fences, compares what they print with what it shows, and writes
// what they printed in its place. Pure; `terminal.ts` types them.
//
//     ```console                 commands behind `# ` or `$ `, and what they print; a command goes on behind `> `. What
//                                ends with a colon is none: `# the parent:`
//     ```console v1              … only where control groups are version 1 (or v2)
//     ```console second          … in a second terminal
//     ```console numbers         … in whose output a number of two digits and more may be another one
//     ```ts NAME                 a file of that name, in the directory where the commands are typed
//
// A chapter begins with a heading `## …`, and with terminals of its own.

/** What runs on a machine with this version of control groups alone. */
export type Version = "v1" | "v2";

export interface Command {
  /** root's, or a user's. */
  readonly prompt: "#" | "$";
  readonly typed: readonly string[];
  readonly output: readonly string[];
  /** Where the output begins and ends among the document's lines, counted from 0. */
  readonly from: number;
  readonly to: number;
}

export interface Commands {
  readonly kind: "commands";
  /** Undefined: everywhere. */
  readonly only?: Version;
  readonly terminal: "first" | "second";
  readonly hasNumbers: boolean;
  readonly commands: readonly Command[];
}

interface File {
  readonly kind: "file";
  readonly name: string;
  readonly text: string;
}

/** A block that nobody runs. */
export interface Other {
  readonly kind: "other";
  readonly info: string;
  readonly lines: readonly string[];
  /** Its first line's number, counted from 1. */
  readonly line: number;
}

export type Block = Commands | File | Other;

export interface Chapter {
  readonly title: string;
  readonly blocks: readonly Block[];
}

/** What stands for anything: in a line, or alone for any number of lines. */
const ANYTHING = "…";

/** The chapters of a document; throws where a block cannot be what its first line says. */
export const parseDocument = (text: string): readonly Chapter[] => {
  const lines = text.split("\n");
  const chapters: { title: string; blocks: Block[] }[] = [{ title: "", blocks: [] }];
  for (let at = 0; at < lines.length; at++) {
    const heading = /^## (.*)$/.exec(lines[at]!);
    if (heading) chapters.push({ title: heading[1]!, blocks: [] });
    if (!lines[at]!.startsWith("```")) continue;
    const end = lines.indexOf("```", at + 1);
    if (end < 0) throw new Error(`line ${at + 1}: the block has no end`);
    chapters.at(-1)!.blocks.push(parseBlock(lines, at, end));
    at = end;
  }
  return chapters.filter(({ blocks }) => blocks.length > 0);
};

const parseBlock = (lines: readonly string[], begin: number, end: number): Block => {
  const info = lines[begin]!.slice(3);
  const [language, ...words] = info.split(" ");
  if (language !== "console") {
    const body = lines.slice(begin + 1, end);
    if (words.length === 1)
      return { kind: "file", name: words[0]!, text: body.map((line) => `${line}\n`).join("") };
    return { kind: "other", info, lines: body, line: begin + 1 };
  }
  const unknown = words.find((word) => !["v1", "v2", "second", "numbers"].includes(word));
  if (unknown !== undefined) throw new Error(`line ${begin + 1}: "${unknown}" says nothing of a console`);
  const only = words.find((word): word is Version => word === "v1" || word === "v2");
  return {
    kind: "commands",
    ...(only && { only }),
    terminal: words.includes("second") ? "second" : "first",
    hasNumbers: words.includes("numbers"),
    commands: parseCommands(lines, begin + 1, end),
  };
};

const COMMAND = /^([#$]) (.*[^:])$/;

const parseCommands = (lines: readonly string[], begin: number, end: number): readonly Command[] => {
  const commands: Command[] = [];
  for (let at = begin; at < end;) {
    const [, prompt, first] = COMMAND.exec(lines[at]!) ?? [];
    if (first === undefined) throw new Error(`line ${at + 1}: output of no command`);
    const typed = [first];
    while (++at < end && lines[at]!.startsWith("> ")) typed.push(lines[at]!.slice(2));
    const from = at;
    while (at < end && !COMMAND.test(lines[at]!)) at++;
    commands.push({ prompt: prompt as "#" | "$", typed, output: lines.slice(from, at), from, to: at });
  }
  return commands;
};

/** The blocks of a chapter that are for such a machine. */
export const blocksFor = ({ blocks }: Chapter, version: Version): readonly (Commands | File)[] =>
  blocks.filter(
    (block) => block.kind === "file" || (block.kind === "commands" && (block.only ?? version) === version),
  ) as readonly (Commands | File)[];

/** What is different, of a chapter's commands in order and what they have printed. */
export interface Difference {
  readonly command: Command;
  readonly printed: readonly string[];
}

/** The number of a namespace. */
const NAMESPACE = /^40265\d{5}$/;

/**
 * Compares blank for blank, but not how many of them there are: columns are as wide as their numbers. A namespace may
 * have another number, but the same one wherever the document has the same, and another where it has another. So may
 * numbers of three digits and more in a block that says `numbers`, such as process ids. Empty lines at the end of an
 * output are not compared: a document may have them between its commands.
 */
export const differences = (
  blocks: readonly (Commands | File)[],
  printed: readonly (readonly string[])[],
): readonly Difference[] => {
  const found: Difference[] = [];
  const known: Numbers = { real: new Map(), shown: new Map() };
  const ran = blocks.flatMap((block) =>
    block.kind === "commands"
      ? block.commands.map((command) => ({ command, hasNumbers: block.hasNumbers }))
      : [],
  );
  ran.forEach(({ command, hasNumbers }, i) => {
    const lines = printed[i] ?? [];
    const pairs = matchLines(comparable(command.output), comparable(lines), hasNumbers);
    if (!pairs || !agree(pairs, known)) found.push({ command, printed: lines });
  });
  return found;
};

const comparable = (lines: readonly string[]): readonly string[] => {
  const last = lines.findLastIndex((line) => line.trim() !== "");
  return lines.slice(0, last + 1).map((line) => line.trim().replaceAll(/\s+/g, " "));
};

type Pair = readonly [shown: string, real: string];

/** The numbers that stand for each other, where the lines are alike. */
const matchLines = (
  shown: readonly string[],
  real: readonly string[],
  hasNumbers: boolean,
): readonly Pair[] | undefined => {
  const [line, ...rest] = shown;
  if (line === undefined) return real.length === 0 ? [] : undefined;
  if (line === ANYTHING) {
    for (let skipped = 0; skipped <= real.length; skipped++) {
      const pairs = matchLines(rest, real.slice(skipped), hasNumbers);
      if (pairs) return pairs;
    }
    return undefined;
  }
  if (real.length === 0) return undefined;
  const pairs = matchLine(line, real[0]!, hasNumbers);
  const others = pairs && matchLines(rest, real.slice(1), hasNumbers);
  return others && [...pairs, ...others];
};

const matchLine = (shown: string, real: string, hasNumbers: boolean): readonly Pair[] | undefined => {
  const numbers: string[] = [];
  const pattern = shown.replaceAll(/…|\d+(?:\.\d+)?|[^…\d]+/g, (part) => {
    if (part === ANYTHING) return ".*";
    const varies = NAMESPACE.test(part) || (hasNumbers && /^\d./.test(part));
    if (!varies) return RegExp.escape(part);
    numbers.push(part);
    return NAMESPACE.test(part) ? "(40265\\d{5})" : "(\\d+(?:\\.\\d+)?)";
  });
  const match = new RegExp(`^${pattern}$`).exec(real);
  return match?.slice(1).map((number, i) => [numbers[i]!, number]);
};

interface Numbers {
  readonly real: Map<string, string>;
  /** Of namespaces alone: two of them are not one. */
  readonly shown: Map<string, string>;
}

const agree = (pairs: readonly Pair[], known: Numbers): boolean =>
  pairs.every(([shown, real]) => {
    if (shown.length < 3) return true;
    const isNamespace = NAMESPACE.test(shown);
    const before = known.real.get(shown) ?? real;
    const other = (isNamespace && known.shown.get(real)) || shown;
    known.real.set(shown, before);
    if (isNamespace) known.shown.set(real, other);
    return before === real && other === shown;
  });

/** The document with what was printed in the place of what it shows. */
export const rewrite = (text: string, changes: readonly Difference[]): string => {
  const lines = text.split("\n");
  for (const { command, printed } of [...changes].sort((a, b) => b.command.from - a.command.from)) {
    const empty = command.output.slice(command.output.findLastIndex((line) => line !== "") + 1);
    const last = printed.findLastIndex((line) => line.trim() !== "");
    const output = printed.slice(0, last + 1).map((line) => line.trimEnd());
    lines.splice(command.from, command.to - command.from, ...output, ...empty);
  }
  return lines.join("\n");
};
