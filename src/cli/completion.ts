// `nsk completion SHELL`: what makes a shell ask nsk for candidates. The shells' own code is short; what may stand where is
// decided here, by the program that the user has.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { command } from "../commands/command.ts";
import { print } from "../commands/output.ts";
import type { Host } from "../host/host.ts";
import bash from "./completion/bash.txt" with { type: "text" };
import fish from "./completion/fish.txt" with { type: "text" };
import zsh from "./completion/zsh.txt" with { type: "text" };

const scripts: Readonly<Record<string, string>> = { bash, zsh, fish };

export const completion = command({
  definition: {
    meta: {
      name: "completion",
      description:
        "Print what makes a shell complete nsk's command lines. In bash: source <(nsk completion bash), in " +
        "~/.bashrc say; in zsh the same with zsh; in fish: nsk completion fish | source.",
    },
    args: {
      shell: { type: "positional", description: "bash, zsh or fish" },
      for: {
        type: "boolean",
        description: "print candidates for the words behind --, a line each, below what the shell adds",
      },
    },
  },
  usage: "[options] <shell> | --for -- [<word>...]",
  failure: 1,
  run: async ({ options, operands, host }) => {
    if (options.for) {
      print(await candidates(operands, host));
      return 0;
    }
    const [shell, more] = operands;
    if (shell === undefined || !Object.hasOwn(scripts, shell) || more !== undefined)
      throw new UsageError(
        shell === undefined ? "no shell given" : `'${more ?? shell}' is no shell that is known`,
        "bash, zsh or fish",
      );
    print(scripts[shell]!);
    return 0;
  },
});

/** `files`, then `word<TAB>description` lines. */
const candidates = async (words: readonly string[], host: Host): Promise<string> => {
  const { complete } = await import("./complete.ts");
  const found = await complete(words, host, await imageNames(host));
  const lines = found.candidates.map(({ word, description = "" }) => `${word}\t${firstLine(description)}\n`);
  return `${found.besides}\n${lines.join("")}`;
};

/** As they are typed. A store that cannot be read has none: there is nobody to tell. */
const imageNames = async (host: Host): Promise<() => string[]> => {
  const { readIndex } = await import("../images/store.ts");
  const { storePath } = await import("../host/store-path.ts");
  const { familiarName, parseReference } = await import("../images/reference.ts");
  return () => {
    try {
      return readIndex(storePath(host)).flatMap(({ name }) =>
        name === undefined ? [] : [familiarName(parseReference(name))],
      );
    } catch (error) {
      if (error instanceof StepError || error instanceof HostError) return [];
      throw error;
    }
  };
};

/** What a menu has room for. */
const firstLine = (text: string): string => text.split(/\n|\. /)[0]!.slice(0, 70);
