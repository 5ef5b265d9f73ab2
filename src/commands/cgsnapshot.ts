// cgsnapshot(1): write down the groups that are there, as a cgconfig.conf.

import { HostError, StepError } from "../abi/errors.ts";
import { O } from "../abi/flags.ts";
import { locate, readHierarchies } from "../cgroups/hierarchies.ts";
import { missingController } from "../cgroups/missing.ts";
import { formatSnapshot, readSnapshot, type Snapshot } from "../cgroups/snapshot.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import { close, open, writeAll } from "../sys/linux.ts";
import { command, type Values } from "./command.ts";
import { jsonOption, print, printJson } from "./output.ts";

const options = {
  blacklist: {
    type: "string",
    alias: "b",
    valueHint: "file",
    description: "leave out the settings named in this file, and no others",
  },
  whitelist: {
    type: "string",
    alias: "w",
    valueHint: "file",
    description: "warn of settings that are not named in this file",
  },
  strict: { type: "boolean", alias: "t", description: "leave out settings that are not on the whitelist" },
  silent: { type: "boolean", alias: "s", description: "do not warn" },
  file: { type: "string", alias: "f", valueHint: "file", description: "write to this file" },
  ...jsonOption,
} as const;

type Options = Values<typeof options>;

export const cgsnapshot = command({
  definition: {
    meta: { name: "cgsnapshot", description: "Write down the groups that are there, as a cgconfig.conf." },
    args: options,
  },
  usage: "[options] [<controller>] ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host, name }) => {
    const snapshot = planSnapshot(options, operands, host);
    if (!options.silent)
      for (const setting of snapshot.unlisted) writeAll(2, `${name}: ${setting} is on no list\n`);
    if (options.json) {
      printJson(snapshot);
      return 0;
    }
    // A string of cgconfig.conf(5) ends with its next quote, and a file with half a name could not be loaded at all.
    const groups = snapshot.groups.filter(({ controller, path }) => {
      if (!path.includes('"')) return true;
      writeAll(
        2,
        `${name}: the group ${controller}:${path} is left out: cgconfig.conf cannot say its name\n`,
      );
      return false;
    });
    const text = formatSnapshot({ ...snapshot, groups });
    if (options.file === undefined) print(text);
    else writeFile(options.file, text);
    return 0;
  },
});

/** `-b` makes the lists of the caller count, and what nsk itself would leave out is in. */
export const planSnapshot = (
  { blacklist, whitelist, strict }: Pick<Options, "blacklist" | "whitelist" | "strict">,
  controllers: readonly string[],
  host: Host,
): Snapshot => {
  const hierarchies = readHierarchies(host);
  for (const name of controllers)
    if (!locate(hierarchies, name)) throw missingController(host, hierarchies, name, STATUS.notMounted);
  const lists = {
    blacklist: blacklist === undefined ? undefined : readList(host, blacklist),
    whitelist: whitelist === undefined ? undefined : readList(host, whitelist),
    strict,
  };
  return readSnapshot(host, hierarchies, controllers, lists);
};

const readList = (host: Host, file: string): Set<string> => {
  const text = host.read(file);
  if (text === undefined) throw new HostError(`${file} cannot be read`, undefined, 1);
  return new Set(
    text
      .split("\n")
      .map((line) => line.trim())
      .filter((line) => line && !line.startsWith("#")),
  );
};

const writeFile = (path: string, text: string): void => {
  const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_TRUNC | O.O_CLOEXEC, 0o666);
  if (fd < 0) throw new StepError(`open ${path}`, -fd);
  const result = writeAll(fd, text);
  close(fd);
  if (result < 0) throw new StepError(`write ${path}`, -result);
};
