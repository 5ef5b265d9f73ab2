// The variables of a program in a container, as `run` and `exec` are told them.

import type { OptionTable } from "./command.ts";

export const environmentOptions = {
  env: {
    type: "string",
    alias: "e",
    multiple: true,
    valueHint: "NAME[=value]",
    description: "set a variable, or hand on the caller's",
  },
  envFile: { type: "string", multiple: true, valueHint: "file", description: "variables, a line each" },
} as const satisfies OptionTable;
