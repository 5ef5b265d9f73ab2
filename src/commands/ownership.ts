// The options that say to whom groups belong: cgcreate's, and cgconfigparser's for groups whose file does not say.

import { UsageError } from "../abi/errors.ts";
import { findOwner, type Owner, type Ownership, parseMode } from "../cgroups/ownership.ts";
import type { Host } from "../host/host.ts";
import type { OptionTable, Values } from "./command.ts";

export const ownershipOptions = {
  a: { type: "string", valueHint: "user:group", description: "owner of the groups and their files" },
  t: {
    type: "string",
    valueHint: "user:group",
    description: "owner of the tasks file: who may move processes in",
  },
  dperm: {
    type: "string",
    alias: "d",
    valueHint: "mode",
    description: "permissions of the groups' directories, octal",
  },
  fperm: { type: "string", alias: "f", valueHint: "mode", description: "permissions of their files, octal" },
  tperm: {
    type: "string",
    alias: "s",
    valueHint: "mode",
    description: "permissions of the tasks file, octal",
  },
} as const satisfies OptionTable;

/** Names looked up, modes read. */
export const ownershipOf = (options: Values<typeof ownershipOptions>, host: Host): Ownership => ({
  all: owner(options.a, host),
  tasks: owner(options.t, host),
  directoryMode: mode(options.dperm),
  fileMode: mode(options.fperm),
  tasksMode: mode(options.tperm),
});

/** `user:group`, either part by name or number; a missing part leaves that one as it is. */
const owner = (text: string | undefined, host: Host): Owner | undefined => {
  if (text === undefined) return undefined;
  const [user, group] = text.split(":");
  return findOwner(host, user, group, (message) => new UsageError(message));
};

const mode = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseMode(text, (message, hint) => new UsageError(message, hint));
