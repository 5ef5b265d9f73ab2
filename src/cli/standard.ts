// The options that every command has: help and version, under the names that the command leaves free.

import type { OptionTable } from "../commands/command.ts";
import { findShort } from "./getopt.ts";

/** The keys of the standard options; each ends the parsing (see `endAt` of getopt). */
export const standardKeys = ["help", "version"] as const;

type Standard = Record<
  (typeof standardKeys)[number],
  { type: "boolean"; description: string; alias: string[] }
>;

/** `-h, --help` and `-V, --version`; the short name only where `table` has no other use for it (`run -h` is a host's name). */
export const standardOptions = (table: OptionTable): Standard => {
  const free = (letter: string): string[] => (findShort(table, letter) ? [] : [letter]);
  return {
    help: { type: "boolean", alias: free("h"), description: "display this help" },
    version: { type: "boolean", alias: free("V"), description: "display version" },
  };
};

/** What nsk itself has besides. */
export const ownOptions = {
  licenses: { type: "boolean", description: "display the licences of what this file contains" },
} as const satisfies OptionTable;
