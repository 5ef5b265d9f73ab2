// Who the program is and what it may do: user, capabilities, no_new_privs and the filter on system calls.

import { errno } from "../abi/errno.ts";
import { CAP } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Container } from "./container.ts";

/** What root may drop is dropped while it is still root; a kernel that does not know one says so, and that is fine. */
export const boundingSet = (capabilities: readonly string[]): CallStep[] => {
  const out: CallStep[] = [];
  let name: keyof typeof CAP;
  for (name in CAP) {
    const about = out.length ? {} : { reason: "no program inside can gain these again" };
    if (!capabilities.includes(name)) out.push(steps.dropFromBoundingSet(CAP[name], name, about));
  }
  return out;
};

/** Capabilities of a newer kernel, which have no names here, and the user. */
export const identity = (container: Container, host: Host): CallStep[] => {
  const { uid, gid, additionalGids } = container.config.process.user;
  const last = Number(host.read("/proc/sys/kernel/cap_last_cap") ?? CAP.CAP_CHECKPOINT_RESTORE);
  const out: CallStep[] = [];
  for (let bit = CAP.CAP_CHECKPOINT_RESTORE + 1; bit <= last; bit++)
    out.push(steps.dropFromBoundingSet(bit, `0x${bit.toString(16)}`));
  if (container.users?.setsGroups ?? true) out.push(steps.setgroups(additionalGids));
  out.push(steps.setgid(gid));
  const filters = needsPrivilegeToFilter(container) && uid !== 0;
  if (filters) out.push(steps.keepCapabilities({ reason: "the filter below takes one of them" }));
  out.push(steps.setuid(uid));
  if (filters) out.push(steps.setCapabilities(["CAP_SYS_ADMIN"], { reason: "this one, and until then" }));
  return out;
};

/** Who has not promised to gain nothing needs CAP_SYS_ADMIN for a filter. @see seccomp(2) */
const needsPrivilegeToFilter = ({ filter, config }: Container): boolean =>
  filter !== undefined && !config.process.noNewPrivileges;

/**
 * The filter and the capabilities, as late as can be: a filter that knows nothing of nsk sees two calls of it at most,
 * capset(2) and execve(2).
 */
export const confinement = (container: Container, host: Host): CallStep[] => {
  const { filter, config } = container;
  const { user, capabilities, noNewPrivileges } = config.process;
  // Whoever is first in a user namespace has all of them there.
  const own = container.users ? ALL : permitted(host);
  const kept: (keyof typeof CAP)[] = [];
  let name: keyof typeof CAP;
  if (user.uid === 0)
    for (name in CAP) if (capabilities.includes(name) && inSet(own, CAP[name])) kept.push(name);
  const reason = "the program has these, and none that it could hand on unseen";
  const out = [steps.setCapabilities(kept, { reason })];
  if (noNewPrivileges)
    out.push(steps.noNewPrivileges({ reason: "no setuid bit and no file capability counts any more" }));
  if (filter === undefined) return out;
  const filtering = steps.filterCalls(filter, {
    reason: "from here on system calls that containers do not need fail",
    hints: {
      [errno("EINVAL")]: "this kernel has no filters: --security-opt seccomp=unconfined goes without",
    },
  });
  if (noNewPrivileges) out.push(filtering);
  else out.unshift(filtering);
  return out;
};

/**
 * The caller's permitted set, as /proc writes it. A set may only shrink: in a container within a container some of those
 * to be kept are not there. @see proc_pid_status(5)
 */
const permitted = (host: Host): string => {
  const status = host.read("/proc/self/status") ?? "";
  const at = status.indexOf("CapPrm:");
  return at < 0 ? ALL : status.slice(at + 8, at + 24);
};

const ALL = "ffffffffffffffff";

/** Whether the caller has what makes namespaces and mounts. */
export const mayAdminister = (host: Host): boolean => inSet(permitted(host), CAP.CAP_SYS_ADMIN);

/** Whether a bit is in a set of 16 hexadecimal digits. */
const inSet = (digits: string, bit: number): boolean =>
  ((Number.parseInt(digits[15 - (bit >> 2)]!, 16) >> (bit & 3)) & 1) === 1;
