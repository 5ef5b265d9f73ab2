// `-b`, which libcgroup's tools have where they are built for systemd.

import type { OptionTable } from "./command.ts";

export const defaultScopeOption = {
  b: {
    type: "boolean",
    description: "accepted for libcgroup's sake: names of groups never begin at a default scope of systemd's",
  },
} as const satisfies OptionTable;
