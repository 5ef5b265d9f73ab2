// Every command by its name. Nothing is loaded before it is asked for: start-up pays for one command, not for all.

import { UsageError } from "../abi/errors.ts";
import type { Command } from "../commands/command.ts";
import { nearest } from "./nearest.ts";

export interface Entry {
  /** The heading in `nsk --help`. */
  readonly group: "Namespaces" | "Control groups" | "Containers" | "Images" | "Scripts" | "This tool";
  load(): Promise<Command<any>>;
}

export const commands: Readonly<Record<string, Entry>> = {
  unshare: { group: "Namespaces", load: async () => (await import("../commands/unshare.ts")).unshare },
  nsenter: { group: "Namespaces", load: async () => (await import("../commands/nsenter.ts")).nsenter },
  lsns: { group: "Namespaces", load: async () => (await import("../commands/lsns.ts")).lsns },
  ps: { group: "Namespaces", load: async () => (await import("../commands/ps.ts")).ps },
  cgcreate: { group: "Control groups", load: async () => (await import("../commands/cgcreate.ts")).cgcreate },
  cgset: { group: "Control groups", load: async () => (await import("../commands/cgset.ts")).cgset },
  cgget: { group: "Control groups", load: async () => (await import("../commands/cgget.ts")).cgget },
  cgexec: { group: "Control groups", load: async () => (await import("../commands/cgexec.ts")).cgexec },
  cgclassify: {
    group: "Control groups",
    load: async () => (await import("../commands/cgclassify.ts")).cgclassify,
  },
  cgdelete: { group: "Control groups", load: async () => (await import("../commands/cgdelete.ts")).cgdelete },
  cgxset: { group: "Control groups", load: async () => (await import("../commands/cgxset.ts")).cgxset },
  cgxget: { group: "Control groups", load: async () => (await import("../commands/cgxget.ts")).cgxget },
  cgtranslate: {
    group: "Control groups",
    load: async () => (await import("../commands/cgtranslate.ts")).cgtranslate,
  },
  top: { group: "Control groups", load: async () => (await import("../commands/top.ts")).top },
  why: { group: "Control groups", load: async () => (await import("../commands/why.ts")).why },
  cgsnapshot: {
    group: "Control groups",
    load: async () => (await import("../commands/cgsnapshot.ts")).cgsnapshot,
  },
  cgconfigparser: {
    group: "Control groups",
    load: async () => (await import("../commands/cgconfigparser.ts")).cgconfigparser,
  },
  lscgroup: { group: "Control groups", load: async () => (await import("../commands/lscgroup.ts")).lscgroup },
  lssubsys: { group: "Control groups", load: async () => (await import("../commands/lssubsys.ts")).lssubsys },
  run: { group: "Containers", load: async () => (await import("../commands/run.ts")).run },
  exec: { group: "Containers", load: async () => (await import("../commands/exec.ts")).exec },
  attach: { group: "Containers", load: async () => (await import("../commands/attach.ts")).attach },
  logs: { group: "Containers", load: async () => (await import("../commands/logs.ts")).logs },
  stop: { group: "Containers", load: async () => (await import("../commands/stop.ts")).stop },
  kill: { group: "Containers", load: async () => (await import("../commands/stop.ts")).kill },
  wait: { group: "Containers", load: async () => (await import("../commands/wait.ts")).wait },
  rm: { group: "Containers", load: async () => (await import("../commands/rm.ts")).rm },
  inspect: { group: "Containers", load: async () => (await import("../commands/inspect.ts")).inspect },
  stats: { group: "Containers", load: async () => (await import("../commands/stats.ts")).stats },
  oci: { group: "Containers", load: async () => (await import("../commands/oci/oci.ts")).oci },
  pull: { group: "Images", load: async () => (await import("../commands/pull.ts")).pull },
  push: { group: "Images", load: async () => (await import("../commands/push.ts")).push },
  images: { group: "Images", load: async () => (await import("../commands/images.ts")).images },
  rmi: { group: "Images", load: async () => (await import("../commands/rmi.ts")).rmi },
  import: { group: "Images", load: async () => (await import("../commands/import.ts")).importCommand },
  login: { group: "Images", load: async () => (await import("../commands/login.ts")).login },
  logout: { group: "Images", load: async () => (await import("../commands/login.ts")).logout },
  script: { group: "Scripts", load: async () => (await import("../commands/script.ts")).script },
  eval: { group: "Scripts", load: async () => (await import("../commands/eval.ts")).evaluate },
  types: { group: "Scripts", load: async () => (await import("../commands/types.ts")).types },
  "install-links": {
    group: "This tool",
    load: async () => (await import("../commands/install-links.ts")).installLinks,
  },
  doctor: { group: "This tool", load: async () => (await import("../commands/doctor.ts")).doctor },
  completion: { group: "This tool", load: async () => (await import("./completion.ts")).completion },
  man: { group: "This tool", load: async () => (await import("./man.ts")).man },
  help: { group: "This tool", load: async () => (await import("./help.ts")).help },
};

/** The entry of a command. Throws {@link UsageError} that names the nearest commands. */
export const findCommand = (name: string): Entry => {
  if (Object.hasOwn(commands, name)) return commands[name]!;
  const near = nearest(name, Object.keys(commands));
  const hint = near.length ? `did you mean ${near.join(" or ")}?` : "try 'nsk --help'";
  throw new UsageError(`'${name}' is not a command of nsk`, hint);
};

/** A command, or one of its own commands. Throws {@link UsageError} for what is none. */
export const loadCommand = async (name: string, word: string | undefined): Promise<Command<any>> => {
  const command = await findCommand(name).load();
  if (word === undefined) return command;
  const { subcommands = {} } = command;
  if (Object.hasOwn(subcommands, word)) return subcommands[word]!();
  throw unknownSubcommand(name, word, subcommands);
};

/** The error for a subcommand that is none, which names the nearest. */
export const unknownSubcommand = (name: string, word: string, known: object): UsageError => {
  const near = nearest(word, Object.keys(known));
  const hint = near.length ? `did you mean ${near.join(" or ")}?` : `try 'nsk ${name} --help'`;
  return new UsageError(`'${word}' is not a command of nsk ${name}`, hint);
};
