// lssubsys(1): list controllers and where they are.

import { UsageError } from "../abi/errors.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { missingController } from "../cgroups/missing.ts";
import { STATUS } from "../cgroups/status.ts";
import { readSubsystems, type Subsystem } from "../cgroups/subsystems.ts";
import type { Host } from "../host/host.ts";
import { command, type Values } from "./command.ts";
import { jsonOption, print, printJson } from "./output.ts";

const options = {
  all: { type: "boolean", alias: "a", description: "show controllers that are in no hierarchy too" },
  hierarchies: { type: "boolean", alias: "i", description: "show the numbers of hierarchies" },
  mountPoints: { type: "boolean", alias: "m", description: "show the first mount point of each" },
  allMountPoints: { type: "boolean", alias: "M", description: "show every mount point" },
  ...jsonOption,
} as const;

type Options = Values<typeof options>;

export const lssubsys = command({
  definition: {
    meta: { name: "lssubsys", description: "List controllers and where they are." },
    args: options,
  },
  usage: "[options] [<controller>] ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host }) => {
    const subsystems = planSubsystems(operands, options.all, host);
    if (options.json) printJson(subsystems);
    else print(formatSubsystems(subsystems, options));
    return 0;
  },
});

/** The hierarchies with these controllers; all without any. */
export const planSubsystems = (names: readonly string[], all: boolean, host: Host): Subsystem[] => {
  const found = readSubsystems(host);
  for (const name of names) {
    const known = found.find(({ controllers }) => controllers.includes(name));
    if (!known) throw missingController(host, readHierarchies(host), name, STATUS.notMounted);
    if (known.version === 0 && !all)
      throw new UsageError(
        `the controller ${name} is in no hierarchy`,
        "-a shows those too",
        STATUS.notMounted,
      );
  }
  return found.filter(({ version, controllers }) =>
    version === 0 ? all : all || names.length === 0 || names.some((name) => controllers.includes(name)),
  );
};

/** libcgroup's format: with mount points numbers are left out, and what is not mounted has no line. */
export const formatSubsystems = (
  subsystems: readonly Subsystem[],
  {
    hierarchies,
    mountPoints,
    allMountPoints,
  }: Pick<Options, "hierarchies" | "mountPoints" | "allMountPoints">,
): string =>
  subsystems
    .map((it) => {
      const names = it.controllers.join(",");
      if (it.version === 0) return `${names}\n`;
      if (!mountPoints && !allMountPoints) return `${names}${hierarchies ? ` ${it.hierarchy}` : ""}\n`;
      const shown = allMountPoints ? it.mountPoints : it.mountPoints.slice(0, 1);
      return shown.map((mountPoint) => `${names} ${mountPoint}\n`).join("");
    })
    .join("");
