// The keys that are typed to leave a container's terminal alone, in docker's notation.

import { UsageError } from "../abi/errors.ts";
import type { OptionTable } from "./command.ts";

export const detachKeysOption = {
  detachKeys: {
    type: "string",
    valueHint: "keys",
    description: "the keys to detach: letters and ctrl-LETTER with commas between (ctrl-p,ctrl-q)",
  },
} as const satisfies OptionTable;

const MOST = 8;

/** As bytes; an empty word is no keys. */
export const parseKeys = (text = "ctrl-p,ctrl-q"): number[] => {
  if (text === "") return [];
  const keys = text.split(",").map((word) => {
    const control = /^ctrl-([a-zA-Z@[\\\]^_])$/.exec(word)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    return /^[\x21-\x7e]$/.test(word) ? word.charCodeAt(0) : -1;
  });
  if (keys.includes(-1) || keys.length > MOST)
    throw new UsageError(`invalid --detach-keys '${text}'`, "letters and ctrl-LETTER, with commas between");
  return keys;
};
