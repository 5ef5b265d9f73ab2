// cgxget(1): show settings of control groups by the names of one version.

import { getOptions, readGroups, showGroups } from "./cgget.ts";
import { command } from "./command.ts";
import { versionOf, versionOptions } from "./version-options.ts";

const options = { ...versionOptions, ...getOptions } as const;

export const cgxget = command({
  definition: {
    meta: { name: "cgxget", description: "Show settings of control groups by the names of one version." },
    args: options,
  },
  usage: "[-1 | -2] [-i] [options] [-r <name>] ... [-g <controllers>] [-a] <group> ...",
  permute: true,
  failure: 1,
  run: ({ options, operands, host }) => {
    const wording = { version: versionOf(options), ignoreUnmappable: options.ignoreUnmappable };
    return showGroups(readGroups(options, operands, host, wording), options);
  },
});
