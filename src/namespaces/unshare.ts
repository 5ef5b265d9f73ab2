// The plan of unshare(1): new namespaces, what makes them usable, and the program. The order is util-linux's.

import { errno } from "../abi/errno.ts";
import { MS, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { slot } from "../plan/call.ts";
import type { ExecStep, Plan, Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { type Kind, kindFlags, kindReason } from "./kinds.ts";
import { mapHints, unshareHints } from "./refusals.ts";

export type Propagation = "private" | "shared" | "slave" | "unchanged";

/** What unshare(1)'s options ask for. Ids are numbers by now. */
export interface UnshareRequest {
  readonly kinds: readonly Kind[];
  readonly fork: boolean;
  /** The id inside that the caller's effective id becomes. */
  readonly mapUser?: number | undefined;
  readonly mapGroup?: number | undefined;
  readonly setgroups?: "allow" | "deny" | undefined;
  readonly propagation: Propagation;
  /** Where to mount a proc of the new PID namespace. */
  readonly mountProc?: string | undefined;
  /** The signal that the child gets when its parent dies. */
  readonly killChild?: number | undefined;
  readonly root?: string | undefined;
  readonly wd?: string | undefined;
  readonly setuid?: number | undefined;
  readonly setgid?: number | undefined;
  readonly program: Pick<ExecStep, "program" | "argv" | "candidates">;
}

/** @see unshare(1) */
export const planUnshare = (name: string, request: UnshareRequest, host: Host): Plan => {
  const { kinds } = request;
  const enter = steps.unshare(kindFlags(kinds), {
    reason: kindReason(kinds),
    hints: unshareHints(host, kinds),
  });
  const before = kinds.length ? [enter] : [];
  const inside = [...idMaps(request, host), ...mounts(request), ...credentials(request), exec(request)];
  return { name, failure: 1, steps: [...before, ...(request.fork ? forked(request, inside) : inside)] };
};

const exec = ({ program }: UnshareRequest): ExecStep => ({
  kind: "exec",
  reason: "become the program",
  ...program,
});

const forked = (request: UnshareRequest, inside: readonly Step[]): Step[] => {
  const pid = slot("pid");
  const mask = slot("mask");
  const parent = slot("parent");
  const { killChild } = request;
  return [
    steps.setName("nsk", { reason: "what ps shows of the process that waits" }),
    steps.defaultSignal(SIG.SIGCHLD, { reason: "a caller that ignores it would leave nothing to wait for" }),
    steps.blockSignals([SIG.SIGINT, SIG.SIGTERM], mask, {
      reason: "while it waits these are for the child alone",
    }),
    ...(killChild === undefined ? [] : steps.openSelf(parent)),
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: request.kinds.includes("pid")
        ? "a new PID namespace begins with the first child, as its process 1"
        : "run the program as a child",
      hints: { [errno("ENOMEM")]: "the PID namespace has lost its process 1, and takes no new processes" },
      child: [
        ...(killChild === undefined ? [] : steps.dieWithParent(killChild, parent)),
        steps.restoreSignals(mask, { reason: "the program gets the signals as the caller had them" }),
        ...inside,
      ],
    },
    {
      kind: "wait",
      pid,
      signaled: "signal",
      cleanup: [],
      reason: "wait for the child, and end as it ended",
    },
  ];
};

/** @see user_namespaces(7), "User and group ID mappings" */
const idMaps = (request: UnshareRequest, host: Host): Step[] => {
  const { mapUser, mapGroup } = request;
  const hints = mapHints(host);
  const out: Step[] = [];
  if (mapUser !== undefined)
    out.push(
      ...steps.writeFile("/proc/self/uid_map", `${mapUser} ${host.euid} 1`, {
        reason: `user ${host.euid} outside is ${mapUser} inside`,
        hints,
      }),
    );
  const setgroups = mapGroup !== undefined ? "deny" : request.setgroups;
  if (setgroups)
    out.push(
      ...steps.writeFile("/proc/self/setgroups", setgroups, {
        reason:
          mapGroup !== undefined
            ? "the kernel takes a plain user's gid_map only when setgroups(2) is denied"
            : `setgroups(2) inside: ${setgroups}`,
      }),
    );
  if (mapGroup !== undefined)
    out.push(
      ...steps.writeFile("/proc/self/gid_map", `${mapGroup} ${host.egid} 1`, {
        reason: `group ${host.egid} outside is ${mapGroup} inside`,
        hints,
      }),
    );
  return out;
};

const PROPAGATION = {
  private: [MS.MS_PRIVATE, "mounts made inside stay inside, and those made outside stay outside"],
  slave: [MS.MS_SLAVE, "mounts made outside show inside, not the other way"],
  shared: [MS.MS_SHARED, "mounts show on both sides"],
} as const;

const mounts = (request: UnshareRequest): Step[] => {
  const { propagation, root, wd, mountProc } = request;
  const out: Step[] = [];
  if (request.kinds.includes("mount") && propagation !== "unchanged") {
    const [flag, reason] = PROPAGATION[propagation];
    out.push(
      steps.mount(
        { source: "none", target: "/", fstype: null, flags: MS.MS_REC | flag, data: null },
        { title: "change the propagation of /", reason },
      ),
    );
  }
  if (root !== undefined) out.push(steps.chroot(root, { reason: "paths begin there from now on" }));
  if (root !== undefined || wd !== undefined)
    out.push(steps.chdir(wd ?? "/", { reason: "where the program starts" }));
  if (mountProc !== undefined) {
    const flags = MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC;
    out.push(
      steps.mount(
        { source: "proc", target: mountProc, fstype: "proc", flags, data: null },
        {
          reason: "a proc that shows the new PID namespace, for ps and the like",
          hints: {
            [errno("EPERM")]:
              "the kernel wants a /proc without anything mounted over parts of it (containers have that), and a PID namespace that is its own: add --pid --fork",
          },
        },
      ),
    );
  }
  return out;
};

const credentials = ({ setuid, setgid }: UnshareRequest): Step[] => {
  const out: Step[] = [];
  if (setgid !== undefined)
    out.push(
      steps.setgroups([], {
        reason: "drop the caller's supplementary groups",
        hints: {
          [errno("EPERM")]:
            "setgroups is denied in this user namespace: --setgid needs one without -r, -c or --map-group",
        },
      }),
      steps.setgid(setgid),
    );
  if (setuid !== undefined)
    out.push(steps.setuid(setuid, { hints: { [errno("EINVAL")]: "this id is not mapped inside" } }));
  return out;
};
