// From the words of the command line to a command and its exit status. What is imported here is what every start of
// nsk pays for.

import { UsageError } from "../abi/errors.ts";
import { mirroredTools } from "../commands/mirrored.ts";
import { print } from "../commands/output.ts";
import { liveHost } from "../host/live.ts";
import { writeAll } from "../sys/linux.ts";
import type { Command } from "../commands/command.ts";
import { type Failed, report } from "./failure.ts";
import { parse, type Parsed } from "./getopt.ts";
import { ownOptions, standardKeys, standardOptions } from "./standard.ts";
import { findCommand, unknownSubcommand } from "./table.ts";
import { version } from "./version.ts";

/** Runs what the words say; the exit status, undefined for what goes on by itself. `program` is argv[0], which a link to nsk makes the name of a command. */
export const dispatch = (program: string, words: readonly string[]): Promise<number | undefined> => {
  const called = program.slice(program.lastIndexOf("/") + 1);
  // Only the names that install-links makes: a binary that somebody renamed to `run` is still all of nsk.
  if ((mirroredTools as readonly string[]).includes(called)) return runCommand(called, words);
  // Engines call a runtime by the name of a file, and give it no words before its own.
  if (called === "nsk-oci") return runCommand("oci", words);
  // As a rule there are no options of nsk's own, and nothing to be parsed before the command is known.
  const [first] = words;
  const isOption = first === undefined || first.startsWith("-");
  return isOption ? runItself(words) : runCommand(first, words.slice(1));
};

/** nsk's own options, and the command behind them. */
const runItself = async (words: readonly string[]): Promise<number | undefined> => {
  const failed: Failed = { name: "nsk", status: 1 };
  try {
    const { options, operands } = parse({ ...standardOptions({}), ...ownOptions }, words, {
      name: "nsk",
      endAt: [...standardKeys, "licenses"],
    });
    if (options.version) return said(`nsk ${version}\n`);
    if (options.licenses) return said((await import("./licenses.ts")).licenses());
    if (options.help) return said(await (await import("./help.ts")).overview());
    const [name, ...rest] = operands;
    if (name === undefined) {
      writeAll(2, await (await import("./help.ts")).overview());
      return 1;
    }
    return await runCommand(name, rest);
  } catch (error) {
    return report(error, failed);
  }
};

const said = (text: string): number => {
  print(text);
  return 0;
};

const runCommand = async (name: string, words: readonly string[]): Promise<number | undefined> => {
  const failed: Failed = { name: "nsk", status: 1 };
  try {
    return await runLoaded(name, await findCommand(name).load(), words, failed);
  } catch (error) {
    return report(error, failed);
  }
};

/** In the place of an error for an unknown option, one for an option that another tool has. */
const lacking = async (error: unknown, { lacks }: Command): Promise<UsageError | undefined> => {
  const option = error instanceof UsageError ? error.unknown : undefined;
  const reason = option === undefined ? undefined : await lacks?.(option);
  return reason === undefined ? undefined : new UsageError(reason);
};

/** `failed` becomes this command's. */
const runLoaded = async (
  name: string,
  command: Command,
  words: readonly string[],
  failed: { -readonly [K in keyof Failed]: Failed[K] },
  above?: Readonly<Record<string, unknown>>,
): Promise<number | undefined> => {
  failed.name = `nsk ${name}`;
  failed.status = command.failure;
  const table = command.definition.args;
  let parsed: Parsed<typeof table & ReturnType<typeof standardOptions>>;
  try {
    parsed = parse({ ...table, ...standardOptions(table) }, words, {
      name: failed.name,
      permute: command.permute,
      endAt: standardKeys,
      truths: command.truths,
    });
  } catch (error) {
    throw (await lacking(error, command)) ?? error;
  }
  const { options, operands, dashed } = parsed;
  if (options.help) {
    const { helpText, subcommandRows } = await import("./help.ts");
    return said(helpText(command, await subcommandRows(command)));
  }
  if (options.version) return said(`${name} from nsk ${version}\n`);
  const { subcommands } = command;
  if (subcommands && operands.length) {
    const [word, ...rest] = operands as [string, ...string[]];
    const load = Object.hasOwn(subcommands, word) ? subcommands[word] : undefined;
    if (!load) throw unknownSubcommand(name, word, subcommands);
    return runLoaded(`${name} ${word}`, await load(), rest, failed, options);
  }
  return command.run({
    options,
    operands,
    dashed,
    host: liveHost(),
    name: failed.name,
    ...(above && { above }),
  });
};
