// Whether a program gets a terminal of its own: -t, as far as there is one to carry it to.

import type { Host } from "../host/host.ts";
import { writeAll } from "../sys/linux.ts";

/** `-it` where standard input is no terminal (cron, CI) is told, and goes on without. */
export const wantsTerminal = (
  { tty, interactive }: { readonly tty: boolean; readonly interactive: boolean },
  host: Host,
  name: string,
): boolean => {
  if (!tty || !interactive || host.isTerminal(0)) return tty;
  writeAll(2, `${name}: standard input is no terminal: going on without -t\n`);
  return false;
};
