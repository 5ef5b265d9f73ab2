// cgconfigparser(8): mount and make what cgconfig.conf files say.

import { HostError, UsageError } from "../abi/errors.ts";
import { type Config, parseConfig } from "../cgroups/config.ts";
import { planConfig } from "../cgroups/configure.ts";
import { planOwnership } from "../cgroups/ownership.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import { writeAll } from "../sys/linux.ts";
import { carryOutInTwo, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";
import { ownershipOf, ownershipOptions } from "./ownership.ts";

const options = {
  load: { type: "string", alias: "l", multiple: true, valueHint: "file", description: "a file to load" },
  loadDirectory: {
    type: "string",
    alias: "L",
    multiple: true,
    valueHint: "dir",
    description: "a directory whose files are loaded, in the order of their names",
  },
  ...ownershipOptions,
  ...explainOption,
} as const;

export const cgconfigparser = command({
  definition: {
    meta: { name: "cgconfigparser", description: "Mount and make what a cgconfig.conf says." },
    args: options,
  },
  usage: "[options] -l <file> ... -L <dir> ...",
  permute: true,
  failure: STATUS.usage,
  run: async ({ options, operands, host, name }) => {
    if (operands.length)
      throw new UsageError(`unexpected argument '${operands[0]}'`, "a file is given with -l");
    const files = [
      ...options.load,
      ...options.loadDirectory.flatMap((directory) => filesIn(host, directory)),
    ];
    if (options.load.length + options.loadDirectory.length === 0)
      throw new UsageError("no file is given", "e.g. -l /etc/cgconfig.conf");
    const config = files.map((file) => readConfig(host, file)).reduce(together, none);
    const { steps, owners, notes } = planConfig(host, config, ownershipOf(options, host));
    const status = await carryOutInTwo(
      { name, failure: STATUS.other, steps },
      () => owners.flatMap(({ places, ownership }) => planOwnership(host, places, ownership)),
      options,
    );
    if (options.explain === undefined) for (const note of notes) writeAll(2, `${name}: ${note}\n`);
    return status;
  },
});

const none: Config = { mounts: [], groups: [], templates: [], defaults: undefined };

/** Several files are as one; of several defaults the last counts. */
const together = (a: Config, b: Config): Config => ({
  mounts: [...a.mounts, ...b.mounts],
  groups: [...a.groups, ...b.groups],
  templates: [...a.templates, ...b.templates],
  defaults: b.defaults ?? a.defaults,
});

const readConfig = (host: Host, file: string): Config => {
  const text = host.read(file);
  if (text === undefined) throw new HostError(`${file} cannot be read`, undefined, STATUS.other);
  return parseConfig(text, file);
};

const filesIn = (host: Host, directory: string): string[] => {
  const names = host.list(directory);
  if (!names) throw new HostError(`${directory} is no directory`, undefined, 1);
  return names
    .toSorted()
    .map((name) => `${directory}/${name}`)
    .filter((path) => host.kind(path) !== "directory");
};
