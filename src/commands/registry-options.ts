// What commands that speak with a registry have in common.

import type { OptionTable } from "./command.ts";

export const registryOptions = {
  platform: {
    type: "string",
    valueHint: "OS/ARCH[/VARIANT]",
    description: "of an image for several platforms the one for this (this machine's unless given)",
  },
  tlsVerify: {
    type: "string",
    optional: true,
    valueHint: "false",
    description: "false: take any certificate, and plain HTTP (which localhost may speak anyway)",
  },
} as const satisfies OptionTable;
