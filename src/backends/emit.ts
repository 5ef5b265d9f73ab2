// Writes the launcher of a plan to a file: a small static executable that needs neither nsk nor a libc.

import type { Arch } from "../abi/syscalls.ts";
import { checkPlan } from "../plan/check.ts";
import type { Plan } from "../plan/plan.ts";
import { writeWhole } from "./file.ts";
import { lower } from "./launcher/lower.ts";
import * as parts from "./launcher/parts.ts";

/**
 * Writes the launcher to `path` with mode 0755 less the umask. The file appears whole or not at all; a device, a pipe or
 * a symbolic link that is there is written to.
 */
export const emit = (plan: Plan, arch: Arch, path: string): void => {
  checkPlan(plan);
  writeWhole(path, lower(plan, arch, { parts }), 0o755);
};
