// The options of libcgroup's cgxset and cgxget that say in which version's words settings are.

import type { OptionTable, Values } from "./command.ts";

export const versionOptions = {
  v1: { type: "boolean", alias: "1", description: "names and values are those of cgroup v1" },
  v2: { type: "boolean", alias: "2", description: "names and values are those of cgroup v2" },
  ignoreUnmappable: {
    type: "boolean",
    alias: "i",
    description: "pass over what the other version does not have",
  },
} as const satisfies OptionTable;

/** The later of both counts; undefined for neither, which is "as the name says". */
export const versionOf = (options: Pick<Values<typeof versionOptions>, "v1" | "v2">): 1 | 2 | undefined => {
  // Keys stand in the order in which options were given last.
  const last = Object.keys(options).findLast(
    (key) => (key === "v1" || key === "v2") && options[key as "v1" | "v2"],
  );
  return last === undefined ? undefined : last === "v1" ? 1 : 2;
};
