// cgxset(1): change settings of control groups by the names of one version.

import { STATUS } from "../cgroups/status.ts";
import { carryOutSettings, planCgset, setOptions } from "./cgset.ts";
import { command } from "./command.ts";
import { versionOf, versionOptions } from "./version-options.ts";

const options = { ...versionOptions, ...setOptions } as const;

export const cgxset = command({
  definition: {
    meta: { name: "cgxset", description: "Change settings of control groups by the names of one version." },
    args: options,
  },
  usage: "[-1 | -2] [-i] [-r <name=value>] ... | --copy-from <group>  <group> ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host, name }) => {
    const { variable, copyFrom, recursive, ignoreUnmappable } = options;
    const how = { recursive, ignoreUnmappable, version: versionOf(options) };
    return carryOutSettings(planCgset(name, variable, copyFrom, operands, host, how), options);
  },
});
