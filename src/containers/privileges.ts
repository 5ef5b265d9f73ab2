// Who the program is and what it may do: user, capabilities, no_new_privs and the filter on system calls.

import { errno } from "../abi/errno.ts";
import { CAP } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Process } from "./config.ts";

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

/** What is looked at here: of a container, or of another program that is started in one. */
export interface Confined {
  readonly config: { readonly process: Process };
  readonly filter: Uint8Array | undefined;
  /** Another one, which keeps it from typing into the caller's terminal. */
  readonly typing?: Uint8Array | undefined;
  readonly users?: { readonly setsGroups: boolean } | undefined;
}

/** Capabilities of a newer kernel, which have no names here, and the user. */
export const identity = (container: Confined, host: Host): CallStep[] => {
  const { process } = container.config;
  const { uid, gid, additionalGids } = process.user;
  const { ambient } = process.capabilities;
  const last = Number(host.read("/proc/sys/kernel/cap_last_cap") ?? CAP.CAP_CHECKPOINT_RESTORE);
  const out: CallStep[] = [];
  for (let bit = CAP.CAP_CHECKPOINT_RESTORE + 1; bit <= last; bit++)
    out.push(steps.dropFromBoundingSet(bit, `0x${bit.toString(16)}`));
  if (container.users?.setsGroups ?? true) out.push(steps.setgroups(additionalGids));
  out.push(steps.setgid(gid));
  const filters = needsPrivilegeToFilter(container) && uid !== 0;
  const keeps = uid !== 0 && ambient.length > 0;
  if (keeps) out.push(steps.keepCapabilities({ reason: "the program gets some of them" }));
  else if (filters) out.push(steps.keepCapabilities({ reason: "the filter below takes one of them" }));
  out.push(steps.setuid(uid));
  if (filters && !keeps) {
    const only = ["CAP_SYS_ADMIN"] as const;
    const sets = { effective: only, permitted: only, inheritable: [] };
    out.push(steps.setCapabilities(sets, { reason: "this one, and until then" }));
  }
  return out;
};

/** Who has not promised to gain nothing needs CAP_SYS_ADMIN for a filter. @see seccomp(2) */
const needsPrivilegeToFilter = ({ filter, typing, config }: Confined): boolean =>
  (filter ?? typing) !== undefined && !config.process.noNewPrivileges;

/**
 * The filter and the capabilities, as late as can be: a filter that knows nothing of nsk sees two calls of it at most,
 * capset(2) and execve(2).
 */
export const confinement = (container: Confined, host: Host): CallStep[] => {
  const { filter, typing, config } = container;
  const { user, capabilities, noNewPrivileges } = config.process;
  // Whoever is first in a user namespace has all of them there.
  const own = container.users ? ALL : permitted(host);
  const { ambient } = capabilities;
  // The kernel would take them from any other user at the execve(2), but for the ambient ones.
  const isKept = user.uid === 0 || ambient.length > 0;
  const kept = (set: readonly string[]): (keyof typeof CAP)[] => {
    const names: (keyof typeof CAP)[] = [];
    let name: keyof typeof CAP;
    if (isKept) for (name in CAP) if (set.includes(name) && inSet(own, CAP[name])) names.push(name);
    return names;
  };
  const sets = {
    effective: kept(capabilities.effective),
    permitted: kept(capabilities.permitted),
    inheritable: kept(capabilities.inheritable),
  };
  const reason = "the program has these, and none that it could hand on unseen";
  const out: CallStep[] = [];
  const raised = ambient.length ? kept(ambient) : [];
  if (raised.length) {
    const filters = needsPrivilegeToFilter(container);
    const until = filters ? withAdmin(sets) : sets;
    out.push(steps.setCapabilities(until, { reason: "the program has these" }));
    for (const name of raised) out.push(steps.raiseAmbient(name));
    if (filters) out.push(steps.setCapabilities(sets, { reason: "and what the filter took goes" }));
  } else out.push(steps.setCapabilities(sets, { reason }));
  if (noNewPrivileges)
    out.push(steps.noNewPrivileges({ reason: "no setuid bit and no file capability counts any more" }));
  const hints = {
    [errno("EINVAL")]: "this kernel has no filters: --security-opt seccomp=unconfined goes without",
  };
  const filtering: CallStep[] = [];
  if (typing !== undefined)
    filtering.push(
      steps.filterCalls(typing, {
        reason: "nothing is typed into the terminal that it is handed (TIOCSTI)",
        hints,
      }),
    );
  if (filter !== undefined)
    filtering.push(
      steps.filterCalls(filter, {
        reason: "from here on system calls that containers do not need fail",
        hints,
      }),
    );
  if (noNewPrivileges) out.push(...filtering);
  else out.splice(-1, 0, ...filtering);
  return out;
};

/** CAP_SYS_ADMIN besides, which takes effect only here: it is in no set that an execve(2) hands on. */
const withAdmin = ({ effective, permitted, inheritable }: steps.CapabilitySets): steps.CapabilitySets => ({
  effective: [...effective, "CAP_SYS_ADMIN"],
  permitted: [...permitted, "CAP_SYS_ADMIN"],
  inheritable,
});

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
