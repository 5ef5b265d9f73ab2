// What may stand where the cursor is: from the words of a command line to candidates, by the tables of options and by
// what there is on this machine. Pure but for the host.

import type { Command, Option, OptionTable } from "../commands/command.ts";
import { SIG } from "../abi/flags.ts";
import { settings } from "../cgroups/settings.ts";
import { allControllers, locate, readHierarchies } from "../cgroups/hierarchies.ts";
import { treeOf } from "../cgroups/tree.ts";
import { findKeptPath } from "../containers/kept-files.ts";
import { isId, namesIn } from "../containers/record.ts";
import { ownStatePath } from "../containers/state-path.ts";
import type { Host } from "../host/host.ts";
import { kinds } from "../namespaces/kinds.ts";
import { findShort, longName, namesOf } from "./getopt.ts";
import { ownOptions, standardOptions } from "./standard.ts";
import { commands } from "./table.ts";

export interface Candidate {
  readonly word: string;
  readonly description?: string;
}

/** What the shell itself knows, and completes besides the candidates. */
export type Else = "files" | "directories" | "programs" | "nothing";

export interface Completion {
  readonly candidates: readonly Candidate[];
  readonly besides: Else;
}

/** Names of images, which are not a host's to say. */
export type Images = () => readonly string[];

const none: Completion = { candidates: [], besides: "nothing" };
const only = (candidates: readonly Candidate[]): Completion => ({ candidates, besides: "nothing" });
const besides = (it: Else): Completion => ({ candidates: [], besides: it });
const named = (words: readonly string[]): Completion => only(words.map((word) => ({ word })));

/** `words`: those behind `nsk`, the last one as far as it is typed. All candidates begin with it. */
export const complete = async (words: readonly string[], host: Host, images: Images): Promise<Completion> => {
  const current = words.at(-1) ?? "";
  const [name] = words;
  if (words.length > 1 && name !== undefined && Object.hasOwn(commands, name)) {
    const command = await commands[name]!.load();
    if (name === "help" || name === "man") return begunBy(current, await pageNames(words.slice(1)));
    return completeBelow(name, command, words.slice(1), host, images);
  }
  if (words.length > 1) return none;
  if (current.startsWith("-"))
    return begunBy(current, only(optionNames({ ...standardOptions({}), ...ownOptions })));
  return begunBy(current, only(await commandNames()));
};

const commandNames = (): Promise<Candidate[]> =>
  Promise.all(
    Object.entries(commands).map(async ([word, { load }]) => {
      const { description } = (await load()).definition.meta as { description: string };
      return { word, description };
    }),
  );

/** A command with commands of its own: those where its first operand stands, and what one of them takes behind it. */
const completeBelow = async (
  name: string,
  command: Command<any>,
  words: readonly string[],
  host: Host,
  images: Images,
): Promise<Completion> => {
  const { definition, subcommands } = command;
  const current = words.at(-1)!;
  const before = words.slice(0, -1);
  if (subcommands) {
    const table: OptionTable = { ...definition.args, ...standardOptions(definition.args) };
    const { waiting, operands } = walk(table, before, false);
    const [word] = operands;
    if (word !== undefined && Object.hasOwn(subcommands, word)) {
      const rest = words.slice(before.length - operands.length + 1);
      return completeBelow(`${name} ${word}`, await subcommands[word]!(), rest, host, images);
    }
    if (!waiting && !current.startsWith("-"))
      return word === undefined ? begunBy(current, await subcommandNames(command)) : none;
  }
  return begunBy(current, completeCommand(name, command, words, host, images));
};

const subcommandNames = async ({ subcommands = {} }: Command<any>): Promise<Completion> =>
  only(
    await Promise.all(
      Object.entries(subcommands).map(async ([word, load]) => {
        const { description } = (await load()).definition.meta as { description: string };
        return { word, description };
      }),
    ),
  );

/** Commands, and behind one with commands of its own those. */
const pageNames = async (words: readonly string[]): Promise<Completion> => {
  const [name, ...more] = words.slice(0, -1).filter((word) => !word.startsWith("-"));
  if (words.at(-1)!.startsWith("-")) return only(optionNames(standardOptions({})));
  if (name === undefined) return named(Object.keys(commands));
  return more.length === 0 && Object.hasOwn(commands, name)
    ? subcommandNames(await commands[name]!.load())
    : none;
};

const begunBy = (start: string, { candidates, besides }: Completion): Completion => ({
  candidates: candidates.filter(({ word }) => word.startsWith(start)),
  besides,
});

const completeCommand = (
  name: string,
  { definition, usage, permute = false }: Command<any>,
  words: readonly string[],
  host: Host,
  images: Images,
): Completion => {
  const table: OptionTable = { ...definition.args, ...standardOptions(definition.args) };
  const current = words.at(-1)!;
  const { waiting, operands, isOver } = walk(table, words.slice(0, -1), permute);
  const sources = { host, images };
  if (waiting) return valuesOf(waiting, current, sources);
  if (!isOver && current.startsWith("--") && current.includes("=")) {
    const typed = current.slice(2, current.indexOf("="));
    const found = Object.entries(table).find(([key, option]) => namesOf(key, option).includes(typed));
    if (!found || found[1].type === "boolean") return none;
    const before = `--${typed}=`;
    const { candidates, besides } = valuesOf(found[1], current.slice(before.length), sources);
    return { candidates: candidates.map((it) => ({ ...it, word: before + it.word })), besides };
  }
  if (!isOver && current.startsWith("-")) return only(optionNames(table));
  return operandsOf(name, usage, operands, current, sources);
};

interface Walked {
  /** The option whose value comes next. */
  readonly waiting: Option | undefined;
  readonly operands: readonly string[];
  /** Options are over: what follows are operands. */
  readonly isOver: boolean;
}

/** As getopt reads them, but that mistakes are passed over. */
const walk = (table: OptionTable, words: readonly string[], permute: boolean): Walked => {
  const operands: string[] = [];
  let waiting: Option | undefined;
  let isOver = false;
  for (const word of words) {
    if (waiting) waiting = undefined;
    else if (isOver) operands.push(word);
    else if (word === "--") isOver = true;
    else if (word.startsWith("--")) {
      const [, option] =
        Object.entries(table).find(([key, option]) => namesOf(key, option).includes(word.slice(2))) ?? [];
      if (option && option.type !== "boolean" && !option.optional) waiting = option;
    } else if (word.startsWith("-") && word.length > 1) waiting = waitingShort(table, word.slice(1));
    else {
      operands.push(word);
      isOver = !permute;
    }
  }
  return { waiting, operands, isOver };
};

/** The option at the end of bundled short ones that has no value yet. */
const waitingShort = (table: OptionTable, letters: string): Option | undefined => {
  for (let i = 0; i < letters.length; i++) {
    const option = findShort(table, letters[i]!)?.option;
    if (!option || option.type === "boolean" || option.short === "never") continue;
    const needsValue = !option.optional || option.short === "required";
    return needsValue && i === letters.length - 1 ? option : undefined;
  }
  return undefined;
};

/** `--name`, and `--name=` where a value must be there; a key of one letter is a short name. */
const optionNames = (table: OptionTable): Candidate[] =>
  Object.entries(table).flatMap(([key, option]) => {
    if (option.type === "positional") return [];
    const word = longName(key).length > 1 ? `--${longName(key)}` : `-${key}`;
    return [{ word, ...(option.description && { description: option.description }) }];
  });

interface Sources {
  readonly host: Host;
  readonly images: Images;
}

/** Parts of hints that stand for something, and are no words to be typed. */
const PLACEHOLDERS: readonly string[] = [
  "uid",
  "gid",
  "name",
  "pid",
  "file",
  "dir",
  "id",
  "user",
  "group",
  "number",
];

/** Candidates for an option's value, by what the table calls it. */
const valuesOf = (option: Option, current: string, sources: Sources): Completion => {
  if (option.type === "enum") return named(option.options ?? []);
  const hint = option.valueHint ?? "";
  if (hint === "dir") return besides("directories");
  if (/^file\b|^FILE$/.test(hint)) return besides("files");
  return valueByHint(hint, current, sources) ?? alternatives(hint, sources.host);
};

/** `a|b|c[:d]` as far as they are words, and for `container:NAME` the containers that run. */
const alternatives = (hint: string, host: Host): Completion => {
  if (hint === "json") return named([hint]);
  const parts = hint.replaceAll(/\[[^\]]*\]/g, "").split("|");
  if (parts.length === 1) return none;
  return named(
    parts.flatMap((part) =>
      part === "container:NAME"
        ? runningWords(host).map((word) => `container:${word}`)
        : /^[a-z][\w-]*$/.test(part) && !PLACEHOLDERS.includes(part)
          ? [part]
          : [],
    ),
  );
};

const valueByHint = (hint: string, current: string, { host, images }: Sources): Completion | undefined => {
  switch (hint) {
    case "pid":
    case "pid[:inode]":
      return only(processesOf(host));
    case "signal":
      return named(Object.keys(SIG).map((name) => name.slice(3)));
    case "kind":
      return named(Object.keys(kinds));
    case "controllers:path":
    case "controllers[:path]":
      return named(groupSpecs(host, current));
    case "group":
    case "path":
      return named(groupNames(host));
    case "name=value":
      return current.includes("=") ? none : named(settingNames().map((name) => `${name}=`));
    case "DIR[:O]":
      return besides("directories");
    case "SRC:DST[:ro]":
      return besides("files");
    case "IMAGE":
      return named(images());
    case "container":
      return named(runningWords(host));
    default:
      return undefined;
  }
};

/** Candidates for an operand, by what the usage line calls it. */
const operandsOf = (
  name: string,
  usage: string,
  operands: readonly string[],
  current: string,
  sources: Sources,
): Completion => {
  const { host, images } = sources;
  const isFirst = operands.length === 0;
  if (name === "run") return isFirst ? { ...named(images()), besides: "programs" } : besides("files");
  if (usage.includes("<container>"))
    return isFirst || usage.includes("<container>...") ? named(containerWords(host)) : besides("files");
  if (usage.includes("<program>")) return besides(isFirst ? "programs" : "files");
  if (/<pid>/.test(usage)) {
    const groups = usage.includes("<controllers>:<path>") ? groupSpecs(host, current) : [];
    return only([...processesOf(host), ...groups.map((word) => ({ word }))]);
  }
  if (usage.includes("<controllers>:<path>")) return named(groupSpecs(host, current));
  if (usage.includes("<controller>")) return named(allControllers(readHierarchies(host)));
  if (/<group>|<path>/.test(usage)) return named(groupNames(host));
  if (usage.includes("<image>") || usage.includes("<repository>")) return named(images());
  if (usage.includes("<name=value>")) return named(settingNames().map((word) => `${word}=`));
  if (usage.includes("<dir>")) return besides("directories");
  if (usage.includes("<file>")) return besides("files");
  if (usage.includes("<shell>")) return named(["bash", "zsh", "fish"]);
  return none;
};

const processesOf = (host: Host): Candidate[] =>
  (host.list("/proc") ?? [])
    .filter((name) => /^\d+$/.test(name))
    .map((word) => ({ word, description: host.read(`/proc/${word}/comm`)?.trim() ?? "" }));

/** Names in either version. */
const settingNames = (): string[] => [...new Set(settings.flatMap(({ v1, v2 }) => [v1, v2]))].sort();

/** `cpu:` while the controllers are typed, `cpu:a/b` behind them. */
const groupSpecs = (host: Host, current: string): string[] => {
  const hierarchies = readHierarchies(host);
  const colon = current.indexOf(":");
  if (colon < 0) {
    const comma = current.lastIndexOf(",") + 1;
    return allControllers(hierarchies).map((name) => `${current.slice(0, comma)}${name}:`);
  }
  const controllers = current.slice(0, colon);
  const place = locate(hierarchies, controllers.split(",")[0]!);
  return place ? groupsBelow(host, place.hierarchy.mountPoint).map((path) => `${controllers}:${path}`) : [];
};

const groupsBelow = (host: Host, mountPoint: string): string[] =>
  treeOf(host, mountPoint)
    .slice(1)
    .map((directory) => directory.slice(mountPoint.length + 1));

const groupNames = (host: Host): string[] => [
  ...new Set(readHierarchies(host).flatMap(({ mountPoint }) => groupsBelow(host, mountPoint))),
];

/** The names in a directory of the records'. */
const recorded = (host: Host, directory: (state: string) => string): string[] => {
  const state = ownStatePath(host);
  return state === undefined ? [] : (host.list(directory(state)) ?? []);
};

const containersOf = (host: Host): string[] => recorded(host, (state) => state).filter(isId);

const keptIds = (host: Host): string[] => {
  const kept = findKeptPath(host);
  return kept === undefined ? [] : (host.list(kept) ?? []);
};

/** Names and ids of those that run; a name is there until `nsk rm`, too. */
const runningWords = (host: Host): string[] => [...recorded(host, namesIn), ...containersOf(host)];

/** Names and ids, of those that have ended as well. */
const containerWords = (host: Host): string[] => [...new Set([...runningWords(host), ...keptIds(host)])];
