// How many capabilities this machine's kernel has.

import { CAP } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";

/** The number of the highest capability. @see capabilities(7), proc_sys_kernel(5) */
export const lastCapability = (host: Host): number => {
  const last = Number.parseInt(host.read("/proc/sys/kernel/cap_last_cap") ?? "", 10);
  return Number.isNaN(last) ? CAP.CAP_CHECKPOINT_RESTORE : last;
};
