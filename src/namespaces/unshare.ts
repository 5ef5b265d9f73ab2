// The plan of unshare(1): new namespaces, what makes them usable, and the program. The order is util-linux's.

import { errno } from "../abi/errno.ts";
import { MS, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { type CallStep, slot } from "../plan/call.ts";
import type { ExecStep, Plan, Step } from "../plan/plan.ts";
import * as enter from "../plan/namespace-steps.ts";
import * as calls from "../plan/steps.ts";
import { lastCapability } from "./capabilities.ts";
import { type ClockOffsets, clockLines } from "./clocks.ts";
import { helperSteps, isMappedOutside, needsHelper, writesOutside } from "./helper.ts";
import type { IdRange } from "./id-maps.ts";
import { type Kind, kindFlags, kindReason } from "./kinds.ts";
import { binfmtHints, mapHints, procHints, unshareHints } from "./refusals.ts";

export type Propagation = "private" | "shared" | "slave" | "unchanged";

/** What unshare(1)'s options ask for. Ids are numbers by now. */
export interface UnshareRequest extends ClockOffsets {
  readonly kinds: readonly Kind[];
  readonly fork: boolean;
  /** Files that namespaces are mounted on, so that they stay. */
  readonly keep?: Readonly<Partial<Record<Kind, string>>> | undefined;
  /** The id inside that the caller's effective id becomes. */
  readonly mapUser?: number | undefined;
  readonly mapGroup?: number | undefined;
  /** More ids, which the caller must have been given (subuid(5)) unless it is root. */
  readonly mapUsers?: readonly IdRange[] | undefined;
  readonly mapGroups?: readonly IdRange[] | undefined;
  /** Whose the user namespace is, other than the caller's. */
  readonly owner?: { readonly user: number; readonly group: number } | undefined;
  readonly setgroups?: "allow" | "deny" | undefined;
  readonly propagation: Propagation;
  /** Where to mount a proc of the new PID namespace. */
  readonly mountProc?: string | undefined;
  /** Where to mount a binfmt_misc of the new user namespace. */
  readonly mountBinfmt?: string | undefined;
  /** A line for its `register`. @see Documentation/admin-guide/binfmt-misc.rst */
  readonly loadInterp?: string | undefined;
  /** The signal that the child gets when its parent dies. */
  readonly killChild?: number | undefined;
  /** SIGINT and SIGTERM go to the child, too. */
  readonly forwardSignals?: boolean | undefined;
  /** With `forwardSignals`: a signal that ends the program by SIGKILL, so that what is behind the wait is still done. */
  readonly killOn?: number | undefined;
  readonly root?: string | undefined;
  readonly wd?: string | undefined;
  readonly setuid?: number | undefined;
  readonly setgid?: number | undefined;
  /** What the user namespace permits is kept across the execve. */
  readonly keepCaps?: boolean | undefined;
  readonly program: Pick<ExecStep, "program" | "argv" | "candidates" | "env">;
  /** The name of a new UTS namespace. */
  readonly hostname?: string | undefined;
  /** Made in the new mount namespace, before the root directory changes. */
  readonly mounts?: readonly CallStep[] | undefined;
  /** What surrounds the program besides its namespaces: made before them, entered by it, removed after it. */
  readonly groups?: Groups | undefined;
}

/** Control groups, for a request. What `remove` does needs somebody who waits (`fork`). */
export interface Groups {
  readonly create: readonly CallStep[];
  readonly join: readonly CallStep[];
  readonly remove: readonly CallStep[];
}

/**
 * The plan of `unshare`: new namespaces, and a program in them. `name` is what its errors begin with.
 *
 * @example
 * ```ts
 * import { liveHost, planUnshare, run } from "nsk";
 *
 * const program = { program: "readlink", argv: ["readlink", "/proc/self/ns/uts"], candidates: ["/bin/readlink"] };
 * const plan = planUnshare("example", { kinds: ["uts"], fork: false, propagation: "private", program }, liveHost());
 * const [inside, outside] = [await run(plan), await run(program.argv)];
 * console.log(inside.stdout === outside.stdout); // → false
 * ```
 * @see unshare(1)
 */
export const planUnshare = (name: string, request: UnshareRequest, host: Host): Plan => {
  const { kinds, fork, owner, groups } = request;
  if (groups && groups.remove.length > 0 && kinds.includes("user"))
    return { name, failure: 1, steps: [...groups.create, ...kept(name, request, groups, host)] };
  const steps: Step[] = [...(groups?.create ?? [])];
  const helped = needsHelper(request);
  if (helped) steps.push(defaultSigchld, ...forkHelper(request, host));
  if (owner) steps.push(...becomeOwner(owner));
  if (kinds.length)
    steps.push(
      calls.unshare(kindFlags(kinds), { reason: unshareReason(request), hints: unshareHints(host, kinds) }),
    );

  const finish: Step[] = helped
    ? [enter.giveWord(ready, "the namespaces are there"), { kind: "join", pid: helper }]
    : [];
  const inside = [
    ...(groups?.join ?? []),
    ...comeBack(request),
    ...idMaps(request, host),
    ...(request.hostname === undefined ? [] : [calls.setHostname(request.hostname)]),
    ...mounts(request),
    ...credentials(request, host),
  ];
  const program: Step = { kind: "exec", reason: "become the program", ...request.program };
  const clocks = clockOffsets(request);
  if (!fork) steps.push(...finish, ...clocks, ...inside, program);
  // A PID namespace can be bound to a file once it has its first process, which then waits for that.
  else if (request.keep?.pid !== undefined)
    steps.push(...clocks, ...forked(request, [...inside, program], finish));
  else steps.push(...finish, ...clocks, ...forked(request, [...inside, program]));
  return { name, failure: 1, steps };
};

/**
 * In its user namespace a process may remove none of the groups outside: somebody stays behind who does. Behind it is the
 * plan without that; where a process waits there as well, the signals for it are passed on to that one.
 */
const kept = (name: string, request: UnshareRequest, groups: Groups, host: Host): Step[] => {
  const { fork, killOn } = request;
  const inner = planUnshare(name, { ...request, groups: { ...groups, create: [], remove: [] } }, host);
  const outer: UnshareRequest = { ...request, kinds: [], mapUsers: [], mapGroups: [], forwardSignals: true };
  return forked(
    fork ? { ...outer, killOn: undefined } : outer,
    inner.steps,
    [],
    fork && killOn !== undefined ? [killOn] : [],
  );
};

const unshareReason = ({ kinds, fork }: UnshareRequest): string =>
  kinds.includes("pid") && !fork
    ? `${kindReason(kinds)}; without --fork the program's first child is process 1, and when that has ended no more can be started (ENOMEM)`
    : kindReason(kinds);

const defaultSigchld = calls.defaultSignal(SIG.SIGCHLD, {
  reason: "a caller that ignores it would leave nothing to wait for",
});

const helper = slot("helper");
const self = slot("self");
const ready = slot("ready");

/** The helper stays outside: it is forked before the namespaces are made, and works when it is told that they are there. */
const forkHelper = (request: UnshareRequest, host: Host): Step[] => [
  enter.ownId(self, { reason: "the helper finds this process by its id" }),
  enter.pipe(ready, { reason: "on which the helper is told when to begin" }),
  {
    kind: "fork",
    flags: 0,
    pid: helper,
    reason: "a helper that stays outside of the new namespaces, and has the privileges there",
    child: [
      ...enter.awaitWord(ready, "until the namespaces are there; when that failed, end here"),
      ...helperSteps(request, host, self),
      { kind: "exit", reason: "the helper has done its work" },
    ],
  },
];

/** The kernel takes the effective ids of whoever makes a user namespace for its owner. @see user_namespaces(7) */
const becomeOwner = ({ user, group }: { user: number; group: number }): Step[] => [
  enter.setEffective("setresgid", group, {
    reason: "the user namespace belongs to whoever makes it",
    hints: { [errno("EPERM")]: "--owner is for root" },
  }),
  enter.setEffective("setresuid", user, { hints: { [errno("EPERM")]: "--owner is for root" } }),
];

/** Back from the owner's ids to what the caller's are inside, where they have been mapped. */
const comeBack = ({ owner, mapUser, mapGroup }: UnshareRequest): Step[] => {
  const out: Step[] = [];
  if (owner && mapGroup !== undefined)
    out.push(
      enter.setEffective("setresgid", mapGroup, { reason: "from the owner's ids to the mapped ones" }),
    );
  if (owner && mapUser !== undefined)
    out.push(enter.setEffective("setresuid", mapUser, { reason: "from the owner's ids to the mapped ones" }));
  return out;
};

/** They can be set for as long as no process is in the namespace. */
const clockOffsets = (request: UnshareRequest): Step[] => {
  const out: Step[] = [];
  if (!writesOutside(request))
    for (const { line, about } of clockLines(request))
      out.push(...calls.writeFile("/proc/self/timens_offsets", line, about));
  return out;
};

const pid = slot("pid");
const mask = slot("mask");
const parent = slot("parent");
const go = slot("go");

/**
 * `before`: what the parent has to do while the child waits. `alike`: signals that are passed on besides the usual ones.
 */
const forked = (
  request: UnshareRequest,
  inside: readonly Step[],
  before: readonly Step[] = [],
  alike: readonly number[] = [],
): Step[] => {
  const { killChild, forwardSignals, killOn } = request;
  const waits = before.length > 0;
  return [
    calls.setName("nsk", { reason: "what ps shows of the process that waits" }),
    ...(needsHelper(request) ? [] : [defaultSigchld]),
    calls.blockSignals(
      forwardSignals
        ? [SIG.SIGINT, SIG.SIGTERM, ...alike, SIG.SIGCHLD, ...(killOn === undefined ? [] : [killOn])]
        : [SIG.SIGINT, SIG.SIGTERM],
      mask,
      {
        reason: forwardSignals
          ? "while it waits it takes these one by one"
          : "while it waits these are for the child alone",
      },
    ),
    ...(killChild === undefined ? [] : calls.openSelf(parent)),
    ...(waits ? [enter.pipe(go, { reason: "on which the child is told when to go on" })] : []),
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: request.kinds.includes("pid")
        ? "a new PID namespace begins with the first child, as its process 1"
        : "run the program as a child",
      hints: { [errno("ENOMEM")]: "the PID namespace has lost its process 1, and takes no new processes" },
      child: [
        ...(killChild === undefined ? [] : calls.dieWithParent(killChild, parent)),
        calls.restoreSignals(mask, { reason: "the program gets the signals as the caller had them" }),
        ...(waits ? enter.awaitWord(go, "until the namespaces are kept; when that failed, end here") : []),
        ...inside,
      ],
    },
    ...(waits ? [...before, enter.giveWord(go, "everything is in place")] : []),
    {
      kind: "wait",
      pid,
      signaled: "signal",
      ...(forwardSignals && { forward: [SIG.SIGINT, SIG.SIGTERM, ...alike] }),
      ...(forwardSignals && killOn !== undefined && { killOn }),
      cleanup: request.groups?.remove ?? [],
      reason: "wait for the child, and end as it ended",
    },
  ];
};

/** What the kernel lets the process itself map: its own ids. @see user_namespaces(7), "User and group ID mappings" */
const idMaps = (request: UnshareRequest, host: Host): Step[] => {
  const mapUser = isMappedOutside(request, "user") ? undefined : request.mapUser;
  const areGroupsMapped = isMappedOutside(request, "group");
  const mapGroup = areGroupsMapped ? undefined : request.mapGroup;
  const hints = mapHints(host);
  const out: Step[] = [];
  if (mapUser !== undefined)
    out.push(
      ...calls.writeFile("/proc/self/uid_map", `${mapUser} ${host.euid} 1`, {
        reason: `user ${host.euid} outside is ${mapUser} inside`,
        hints,
      }),
    );
  const setgroups = mapGroup !== undefined ? "deny" : request.setgroups;
  if (setgroups && !(areGroupsMapped && setgroups === "deny") && !writesOutside(request))
    out.push(
      ...calls.writeFile("/proc/self/setgroups", setgroups, {
        reason:
          mapGroup !== undefined
            ? "the kernel takes a plain user's gid_map only when setgroups(2) is denied"
            : `setgroups(2) inside: ${setgroups}`,
      }),
    );
  if (mapGroup !== undefined)
    out.push(
      ...calls.writeFile("/proc/self/gid_map", `${mapGroup} ${host.egid} 1`, {
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

const NO_DEVICES = MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC;
const BINFMT = "/proc/sys/fs/binfmt_misc";

const mounts = (request: UnshareRequest): Step[] => {
  const { propagation, root, wd, mountProc, mountBinfmt, loadInterp } = request;
  const out: Step[] = [];
  if (request.kinds.includes("mount") && propagation !== "unchanged") {
    const [flag, reason] = PROPAGATION[propagation];
    out.push(
      calls.mount(
        { source: "none", target: "/", fstype: null, flags: MS.MS_REC | flag, data: null },
        { title: "change the propagation of /", reason },
      ),
    );
  }
  out.push(...(request.mounts ?? []));
  if (root !== undefined) {
    // The interpreter is opened when it is registered (flag F), and lies outside of the new root.
    if (loadInterp !== undefined) out.push(...binfmt(BINFMT, loadInterp));
    out.push(calls.chroot(root, { reason: "paths begin there from now on" }));
  }
  if (root !== undefined || wd !== undefined)
    out.push(calls.chdir(wd ?? "/", { reason: "where the program starts" }));
  if (mountProc !== undefined) {
    if (propagation === "shared" || propagation === "unchanged") out.push(stayInside(mountProc));
    out.push(
      calls.mount(
        { source: "proc", target: mountProc, fstype: "proc", flags: NO_DEVICES, data: null },
        { reason: "a proc that shows the new PID namespace, for ps and the like", hints: procHints },
      ),
    );
  }
  if (mountBinfmt !== undefined) {
    if (propagation === "shared" || propagation === "unchanged") out.push(stayInside(mountBinfmt));
    // With the root directory `/` it is there already.
    const tolerate = root === undefined ? [] : [errno("EBUSY")];
    out.push(...binfmt(mountBinfmt, root === undefined ? loadInterp : undefined, tolerate));
  }
  return out;
};

/** What is mounted there next is not to show outside, where the rest of the tree may. EINVAL: nothing is mounted there yet. */
const stayInside = (target: string): Step =>
  calls.mount(
    { source: "none", target, fstype: null, flags: MS.MS_REC | MS.MS_PRIVATE, data: null },
    {
      title: `change the propagation of ${target}`,
      reason: "what is mounted there shows inside alone",
      tolerate: [errno("EINVAL")],
    },
  );

const binfmt = (target: string, interpreter: string | undefined, tolerate: number[] = []): Step[] => {
  const mounted = calls.mount(
    { source: "binfmt_misc", target, fstype: "binfmt_misc", flags: NO_DEVICES, data: null },
    { reason: "which interpreters run which programs inside", hints: binfmtHints, tolerate },
  );
  if (interpreter === undefined) return [mounted];
  return [
    mounted,
    ...calls.writeFile(`${target}/register`, interpreter, {
      title: "register the interpreter",
      reason: "the kernel runs such programs with it",
      hints: {
        [errno("EINVAL")]: "it is written :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS",
        [errno("ENOENT")]: "with the flag F the interpreter must be there",
        [errno("EACCES")]: "the user must be mapped: add --map-root-user",
      },
    }),
  ];
};

const credentials = (request: UnshareRequest, host: Host): Step[] => {
  const { setuid, setgid, killChild, owner } = request;
  const keepCaps = request.keepCaps && request.kinds.includes("user");
  const out: Step[] = [];
  if (setgid !== undefined)
    out.push(
      calls.setgroups([], {
        reason: "drop the caller's supplementary groups",
        hints: {
          [errno("EPERM")]:
            "setgroups is denied in this user namespace: --setgid needs one without -r, -c or --map-group",
        },
      }),
      calls.setgid(setgid),
    );
  if (setuid !== undefined) {
    if (keepCaps) out.push(enter.keepCapabilities({ reason: "a user that is not 0 would lose them" }));
    out.push(calls.setuid(setuid, { hints: { [errno("EINVAL")]: "this id is not mapped inside" } }));
  }
  const changed = setuid !== undefined || setgid !== undefined || owner !== undefined;
  // commit_creds() of the kernel forgets the signal when the ids change.
  if (changed && killChild !== undefined) out.push(...calls.dieWithParent(killChild, parent));
  if (keepCaps) out.push(...enter.makeCapabilitiesAmbient(lastCapability(host)));
  return out;
};
