// The eight kinds of namespaces. @see namespaces(7)

import { CLONE } from "../abi/flags.ts";

export const kinds = {
  user: { flag: CLONE.CLONE_NEWUSER, isolates: "users, groups and capabilities" },
  mount: { flag: CLONE.CLONE_NEWNS, isolates: "mount points" },
  uts: { flag: CLONE.CLONE_NEWUTS, isolates: "host name" },
  ipc: { flag: CLONE.CLONE_NEWIPC, isolates: "System V IPC and message queues" },
  net: { flag: CLONE.CLONE_NEWNET, isolates: "network devices, addresses and ports" },
  pid: { flag: CLONE.CLONE_NEWPID, isolates: "process ids, from the first child on" },
  cgroup: { flag: CLONE.CLONE_NEWCGROUP, isolates: "view of the control groups" },
  time: { flag: CLONE.CLONE_NEWTIME, isolates: "boot and monotonic clocks" },
} as const;

export type Kind = keyof typeof kinds;

/**
 * The name of a kind in /proc/PID/ns. `children`: of the namespace that the process's children are made in, which for
 * two kinds need not be its own. @see namespaces(7)
 */
export const namespaceFile = (kind: Kind, of: "own" | "children" = "own"): string => {
  if (kind === "mount") return "mnt";
  return of === "children" && (kind === "pid" || kind === "time") ? `${kind}_for_children` : kind;
};

/** The CLONE_NEW… bits of some kinds. */
export const kindFlags = (of: readonly Kind[]): number => {
  let flags = 0;
  for (const kind of of) flags |= kinds[kind].flag;
  return flags;
};

/** What some kinds are for, as the reason of a step. */
export const kindReason = (of: readonly Kind[]): string => {
  const [only] = of;
  if (of.length === 1 && only) return `a new ${only} namespace: its own ${kinds[only].isolates}`;
  return of.length ? `new namespaces: ${of.join(", ")}` : "";
};
