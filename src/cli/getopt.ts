// GNU getopt_long over a command's table of options, with its messages word for word: scripts and habits that know
// util-linux find here what they know. Pure: what `--help` does, or an error looks like, is decided elsewhere.

import { UsageError } from "../abi/errors.ts";
import type { Option, OptionTable, Values } from "../commands/command.ts";
import { nearest } from "./nearest.ts";

export interface Habits {
  /** Operands and options may be mixed; without it, options end at the first operand (getopt's `+`). */
  readonly permute?: boolean | undefined;
  /** How the user calls the command, for the hint: `nsk unshare`. */
  readonly name: string;
  /** Keys of options that end the parsing at once, so that `--help` wins over the mistakes behind it. */
  readonly endAt?: readonly string[];
  /** Options without a value may have docker's: `--rm=true`, `--rm=false`. */
  readonly truths?: boolean | undefined;
}

/** docker's words for what is so and what is not. */
const TRUTHS: Readonly<Record<string, boolean>> = {
  true: true,
  t: true,
  1: true,
  false: false,
  f: false,
  0: false,
};

export interface Parsed<T> {
  readonly options: Values<T>;
  readonly operands: readonly string[];
  /** Whether `--` stood before the first operand. */
  readonly dashed: boolean;
}

/** A name that an option can be called by. */
interface Name {
  readonly key: string;
  readonly option: Option;
}

/** `mountProc` is written `--mount-proc`. */
export const longName = (key: string): string => {
  let name = "";
  let done = 0;
  for (let i = 0; i < key.length; i++) {
    const code = key.charCodeAt(i);
    if (code < 0x41 || code > 0x5a) continue;
    name += `${key.slice(done, i)}-${key[i]!.toLowerCase()}`;
    done = i + 1;
  }
  return done ? name + key.slice(done) : key;
};

const aliasesOf = (option: Option): readonly string[] => {
  const { alias } = option as { alias?: string | string[] };
  return alias === undefined ? [] : typeof alias === "string" ? [alias] : alias;
};

/** The names of an option: its key first, then the aliases. One character is a short name. */
export const namesOf = (key: string, option: Option): string[] => [longName(key), ...aliasesOf(option)];

/** The option with a short name, undefined where there is none. */
export const findShort = (table: OptionTable, letter: string): Name | undefined => {
  for (const key in table) {
    const option = table[key]!;
    if (option.type === "positional") continue;
    if (key === letter || aliasesOf(option).includes(letter)) return { key, option };
  }
  return undefined;
};

const longNames = (table: OptionTable): Map<string, Name> => {
  const names = new Map<string, Name>();
  for (const key in table) {
    const option = table[key]!;
    if (option.type === "positional") continue;
    for (const name of namesOf(key, option)) if (name.length > 1) names.set(name, { key, option });
  }
  return names;
};

/**
 * Parses the words behind a command's name. Throws {@link UsageError} at the first mistake, like the mirrored tools.
 * @see getopt_long(3)
 */
export const parse = <T extends OptionTable>(
  table: T,
  argv: readonly string[],
  { permute, name, endAt = [], truths = false }: Habits,
): Parsed<T> => {
  const help = `try '${name} --help'`;
  let long: Map<string, Name> | undefined;
  const values: Record<string, unknown> = {};
  for (const key in table) if (table[key]!.type !== "positional") values[key] = absent(table[key]!);

  let at = 0;
  let ended = false;
  let dashed = false;
  const operands: string[] = [];

  /** Notes an option that was given; `value` is undefined where it has none. */
  const give = ({ key, option }: Name, written: string, value: string | undefined): void => {
    const before = values[key];
    // Keys stand in the order in which options were given last.
    delete values[key];
    if (option.type === "boolean") {
      values[key] = option.multiple ? Number(before) + 1 : true;
    } else {
      if (value !== undefined) checkChoice(option, written, value);
      if (option.optional && option.multiple && value === undefined) values[key] = before ?? true;
      else if (option.optional || !option.multiple) values[key] = value ?? true;
      else values[key] = [...(before as string[]), value!];
    }
    if (endAt.includes(key)) ended = true;
  };

  /** `--name`, `--name=value`, `--name value`. `body` is the word without its dashes. */
  const takeLong = (body: string): void => {
    const equals = body.indexOf("=");
    const typed = equals < 0 ? body : body.slice(0, equals);
    const attached = equals < 0 ? undefined : body.slice(equals + 1);
    long ??= longNames(table);
    const word = complete(long, typed, body, help);
    const found = long.get(word)!;
    if (found.option.type === "boolean") {
      const truth = attached === undefined || (truths ? TRUTHS[attached.toLowerCase()] : undefined);
      if (truth === undefined)
        throw new UsageError(
          truths
            ? `invalid argument '${attached}' for '--${word}': true or false`
            : `option '--${word}' doesn't allow an argument`,
          help,
        );
      if (truth) give(found, `--${word}`, undefined);
      else values[found.key] = absent(found.option);
    } else if (attached !== undefined || found.option.optional) {
      give(found, `--${word}`, attached);
    } else {
      if (at >= argv.length) throw new UsageError(`option '--${word}' requires an argument`, help);
      give(found, `--${word}`, argv[at++]);
    }
  };

  /** `-abc`, `-ovalue`, `-o value`. `body` is the word without its dash. */
  const takeShort = (body: string): void => {
    for (let rest = body; rest && !ended;) {
      const letter = String.fromCodePoint(rest.codePointAt(0)!);
      rest = rest.slice(letter.length);
      const found = findShort(table, letter);
      if (!found) throw new UsageError(`invalid option -- '${letter}'`, help, undefined, `-${letter}`);
      if (found.option.type === "boolean" || found.option.short === "never") {
        give(found, `-${letter}`, undefined);
        continue;
      }
      const isOptional = found.option.optional && found.option.short !== "required";
      if (!rest && !isOptional && at >= argv.length) {
        throw new UsageError(`option requires an argument -- '${letter}'`, help);
      }
      give(found, `-${letter}`, rest || (isOptional ? undefined : argv[at++]));
      return;
    }
  };

  while (at < argv.length && !ended) {
    const word = argv[at++]!;
    if (word === "--") {
      dashed = operands.length === 0;
      break;
    }
    if (word.startsWith("--")) takeLong(word.slice(2));
    else if (word.startsWith("-") && word.length > 1) takeShort(word.slice(1));
    else {
      operands.push(word);
      if (!permute) break;
    }
  }
  operands.push(...argv.slice(at));
  return { options: values as Values<T>, operands, dashed };
};

/** The value of an option that is not given. */
const absent = (option: Option): unknown => {
  if (option.type === "boolean") return option.multiple ? 0 : (option.default ?? false);
  if (option.multiple && !option.optional) return [];
  return option.default;
};

/** The full name that `typed` stands for: itself, or the only option that it begins. `body` is the word as written. */
const complete = (long: ReadonlyMap<string, Name>, typed: string, body: string, help: string): string => {
  if (long.has(typed)) return typed;
  const begun = [...long.keys()].filter((word) => word.startsWith(typed));
  if (begun.length === 0) {
    const near = nearest(typed, [...long.keys()])[0];
    throw new UsageError(
      `unrecognized option '--${body}'`,
      near === undefined ? help : `did you mean '--${near}'?`,
      undefined,
      `--${typed}`,
    );
  }
  // Several names of one option are no ambiguity.
  if (new Set(begun.map((word) => long.get(word)!.key)).size > 1) {
    const possibilities = begun.map((word) => `'--${word}'`).join(" ");
    throw new UsageError(`option '--${body}' is ambiguous; possibilities: ${possibilities}`, help);
  }
  return begun[0]!;
};

const checkChoice = (option: Option, written: string, value: string): void => {
  if (option.type !== "enum" || !option.options || option.options.includes(value)) return;
  throw new UsageError(
    `invalid argument '${value}' for '${written}'`,
    `valid arguments are ${option.options.map((choice) => `'${choice}'`).join(", ")}`,
  );
};
