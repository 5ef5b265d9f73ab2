// What a command file exports: citty's table of its options, and what to do with them once they are parsed.

import { type ArgDef, type CommandDef, defineCommand } from "citty";
import type { Host } from "../host/host.ts";

/**
 * An option or operand. citty's definition, and what GNU getopt_long knows besides. The key is the long name in
 * camelCase (`mountProc` is `--mount-proc`), a key of one letter has no long form; `alias` adds short and long names.
 */
export type Option = ArgDef & {
  /** The value may be left out, and is taken only when attached: `--kill-child[=SIG]`, `-mFILE`. Without one: `true`. */
  readonly optional?: boolean;
  /** May be given several times; the values come as a list, in order. With `optional`: the last value that was given. */
  readonly multiple?: boolean;
  /** How the short name takes its value, where that is not how the long one does. */
  readonly short?: "never" | "required";
};

export type OptionTable = Readonly<Record<string, Option>>;

/** A value as the parser leaves it, by what the table says of its option. */
type Value<O> = O extends { type: "boolean" }
  ? O extends { multiple: true }
    ? number
    : boolean
  : O extends { optional: true }
    ? string | true | undefined
    : O extends { multiple: true }
      ? readonly string[]
      : string | undefined;

/**
 * Every option of the table, absent ones as `false`, `undefined` or `[]`, and behind them those that were given, in the
 * order in which they were given last. Operands are not here.
 */
export type Values<T> = {
  readonly [K in keyof T as T[K] extends { type: "positional" } ? never : K]: Value<T[K]>;
};

/** What a command is called with. */
export interface Request<T> {
  readonly options: Values<T>;
  readonly operands: readonly string[];
  /** Whether `--` stood before the first operand. */
  readonly dashed: boolean;
  readonly host: Host;
  /** What errors begin with: `nsk cgset`. */
  readonly name: string;
  /** The options before a subcommand's name, by that command's table. */
  readonly above?: Readonly<Record<string, unknown>>;
}

/** A command. Generic in its own table, so that a planner sees the types of its options. */
export interface Command<T extends OptionTable = OptionTable> {
  /** citty's definition: `meta.name`, `meta.description`, and the table. */
  readonly definition: CommandDef<any> & { readonly args: T };
  /** Operands and options may be mixed (`cgset GROUP -r …`); without it, options end at the first operand. */
  readonly permute?: boolean;
  /** What the usage line shows behind the name, e.g. `[options] [<program> [<argument>...]]`. */
  readonly usage: string;
  /** Commands of its own, named by its first operand; it is not run itself then. */
  readonly subcommands?: Readonly<Record<string, () => Promise<Command<any>>>>;
  /** Its options without a value may have docker's: `--rm=false`. */
  readonly truths?: boolean;
  /** Why it has not an option (`--gpus`) that the tool it is like has; undefined for what that has not either. */
  readonly lacks?: (option: string) => Promise<string | undefined>;
  /** The exit status of bad usage and of a failure that has none of its own. */
  readonly failure: number;
  /**
   * Do it; the exit status. A command that becomes another program does not return; undefined comes from one that goes
   * on until it has nothing left to wait for.
   */
  run(request: Request<T>): number | undefined | Promise<number>;
}

/** Declares a command with citty's `defineCommand`, and types its `run` by its own table. */
export const command = <const T extends OptionTable>(
  it: Omit<Command<T>, "definition"> & {
    definition: { meta: { name: string; description: string }; args: T };
  },
): Command<T> => ({ ...it, definition: defineCommand(it.definition) as Command<T>["definition"] });
