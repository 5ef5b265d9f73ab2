// A launcher stops, as job control wants it.

import { SIG } from "../../abi/flags.ts";
import type { Builder } from "./builder.ts";

/** Stops this process, as a shell's job control expects of a job. */
export const stopSelf = (b: Builder): void => {
  const self = b.variable("self");
  b.syscall("getpid", [], self);
  b.syscall("kill", [self, SIG.SIGSTOP]);
};
