// The plan of nsenter(1): into namespaces that are there, and become the program. What belongs to the target is opened
// before, and attached to after, as util-linux does.

import { errno } from "../abi/errno.ts";
import { O, SIG } from "../abi/flags.ts";
import { kernelIs } from "../host/kernel.ts";
import type { Host } from "../host/host.ts";
import { type Slot, slot } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { ExecStep, Plan, Step } from "../plan/plan.ts";
import * as calls from "../plan/steps.ts";
import { lastCapability } from "./capabilities.ts";
import { type Kind, kindFlags, kinds, namespaceFile } from "./kinds.ts";
import { enterHints, fileHints, processHints, setgroupsHint } from "./refusals.ts";

/** Where a namespace is from: the target's, a file that is it, or its id (since Linux 6.19). */
export type NamespaceSource = "target" | { readonly file: string } | { readonly id: bigint };

/** What nsenter(1)'s options ask for. Ids are numbers by now. */
export interface NsenterRequest {
  readonly target?: number | undefined;
  /** The inode of the target's pidfd, which no other process ever has. @see getino(1) */
  readonly inode?: bigint | undefined;
  readonly namespaces: Readonly<Partial<Record<Kind, NamespaceSource>>>;
  /** A socket of the target's, by the target's number for it, whose network namespace is entered. */
  readonly netSocket?: number | undefined;
  /** The user namespace above, or that owns the others. */
  readonly userParent?: boolean | undefined;
  /** `true`: the target's. */
  readonly root?: string | true | undefined;
  readonly wd?: string | true | undefined;
  /** A path that is looked up inside. */
  readonly wdns?: string | undefined;
  readonly setuid?: number | "follow" | undefined;
  readonly setgid?: number | "follow" | undefined;
  readonly preserveCredentials?: boolean | undefined;
  readonly keepCaps?: boolean | undefined;
  /** Run the program in the process itself, although that stays outside of the PID namespace. */
  readonly noFork?: boolean | undefined;
  /** The SELinux context that the program gets. */
  readonly context?: string | undefined;
  /** What enters the target's control groups. */
  readonly join?: readonly Step[] | undefined;
  readonly program: Pick<ExecStep, "program" | "argv" | "candidates" | "env">;
}

/** The order of util-linux: a mount namespace late, because the files of the others are opened by path. */
const ORDER: readonly Kind[] = ["user", "cgroup", "ipc", "uts", "net", "pid", "mount", "time"];

/** One setns(2): a namespace's descriptor, or the target's pidfd for several at once. */
interface Entry {
  readonly fd: Slot;
  readonly flags: number;
  readonly title: string;
  readonly reason: string;
  readonly hints: Readonly<Record<number, string>>;
  readonly isUser: boolean;
}

/**
 * The plan of `nsenter`: the namespaces of a process, or files, and a program in them. `name` is what its errors begin
 * with.
 *
 * @example
 * ```ts
 * import { liveHost, planNsenter, run, spawn } from "nsk";
 *
 * await using child = spawn(["sh", "-c", "hostname; exec sleep 60"], { hostname: "box", stdout: "pipe" });
 * await child.stdout?.getReader().read();
 * const program = { program: "hostname", argv: ["hostname"], candidates: ["/bin/hostname"] };
 * const plan = planNsenter("example", { target: child.pid, namespaces: { uts: "target" }, program }, liveHost());
 * console.log((await run(plan)).stdout.trim()); // → box
 * ```
 * @see nsenter(1)
 */
export const planNsenter = (name: string, request: NsenterRequest, host: Host): Plan => {
  const { target } = request;
  const steps: Step[] = [];
  const entries: Entry[] = [];
  if (target !== undefined && holdsProcess(request, host)) steps.push(...openTarget(target, request.inode));
  openNamespaces(request, host, steps, entries);
  const { root, wd } = openDirectories(request, steps);
  const follow = request.setuid === "follow" || request.setgid === "follow";
  if (follow)
    steps.push(
      calls.open(`/proc/${target}`, O.O_PATH | O.O_CLOEXEC, owner, {
        reason: "its owner is the target's user and group",
      }),
    );
  if (request.join) steps.push(...request.join);
  if (request.context !== undefined)
    steps.push(
      ...calls.writeFile("/proc/thread-self/attr/exec", request.context, {
        title: "set the SELinux context",
        reason: "the program runs in the target's security context",
      }),
    );
  // Plain loops: a method of arrays is compiled when a process first calls it, which a start of nsk would wait for.
  let intoUser = false;
  for (const { isUser } of entries) if (isUser) intoUser = true;
  const dropsGroups = intoUser && !request.preserveCredentials;
  if (dropsGroups)
    steps.push(
      calls.setgroups([], {
        reason: "drop the caller's supplementary groups, here or else inside",
        result: dropped,
        onError: "ignore",
      }),
    );
  steps.push(...enterAll(entries));
  steps.push(...changeDirectories(request, root, wd));
  const inside: Step[] = [];
  if (follow)
    inside.push(
      enter.status(owner, "whose", "find the target's user", { reason: "the ids as they are inside" }),
    );
  inside.push(...credentials(request, host, intoUser));
  inside.push({ kind: "exec", reason: "become the program", ...request.program });
  if (request.namespaces.pid !== undefined && !request.noFork) steps.push(...forked(inside));
  else steps.push(...inside);
  return { name, failure: 1, steps };
};

const held = slot("process");
const owner = slot("owner");
const dropped = slot("dropped");

/** A pidfd stands for all of the target's namespaces since Linux 5.8. */
const entersByProcess = (host: Host): boolean => kernelIs(host, 5, 8);

const holdsProcess = (request: NsenterRequest, host: Host): boolean => {
  if (request.inode !== undefined || request.netSocket !== undefined) return true;
  if (!entersByProcess(host)) return false;
  for (const kind of ORDER)
    if (request.namespaces[kind] === "target" && !(kind === "user" && request.userParent)) return true;
  return false;
};

const openTarget = (target: number, inode: bigint | undefined): Step[] => {
  const steps: Step[] = [
    enter.openProcess(target, held, {
      reason: "a hold on the target: its number may be another's by and by",
      hints: processHints,
    }),
  ];
  if (inode !== undefined)
    steps.push(
      enter.status(held, "found", `find process ${target}`, {
        reason: "whether it is the one that is meant",
      }),
      {
        kind: "expect",
        found: enter.statusField("found", "ino"),
        value: inode,
        errno: errno("ESRCH"),
        title: `find process ${target} with inode ${inode}`,
        hint: "the process that is meant has ended, and another has its number",
      },
    );
  return steps;
};

const fileOf = (kind: Kind): Slot => slot(`${namespaceFile(kind)}ns`);

/** Opens what is needed, and says what is to be entered by it, in order. */
const openNamespaces = (request: NsenterRequest, host: Host, steps: Step[], entries: Entry[]): void => {
  const { target, namespaces, netSocket, userParent } = request;
  const together: Kind[] = [];
  const opened: Kind[] = [];
  for (const kind of ORDER) {
    const source = kind === "net" && netSocket !== undefined ? undefined : namespaces[kind];
    if (source === undefined) continue;
    // The one above it is entered instead.
    if (kind === "user" && userParent) continue;
    if (source === "target" && entersByProcess(host)) together.push(kind);
    else {
      entries.push(entryOf(kind, openSource(kind, source, target, steps)));
      opened.push(kind);
    }
  }
  if (netSocket !== undefined) {
    entries.push(entryOf("net", openSocket(netSocket, target, steps)));
    opened.push("net");
  }
  if (together.length)
    entries.unshift({
      fd: held,
      flags: kindFlags(together),
      title:
        together.length === 1
          ? `enter the ${together[0]} namespace`
          : `enter the namespaces of process ${target}`,
      reason: `${together.length === 1 ? "the target's namespace" : "the target's namespaces, all or none"}: ${together.join(", ")}`,
      hints: enterHints(host, together),
      isUser: together.includes("user"),
    });
  if (userParent) entries.unshift(entryOf("user", openParent(request, opened, steps)));

  function entryOf(kind: Kind, fd: Slot): Entry {
    return {
      fd,
      flags: kinds[kind].flag,
      title: `enter the ${kind} namespace`,
      reason: kinds[kind].isolates,
      hints: enterHints(host, [kind]),
      isUser: kind === "user",
    };
  }
};

const openSource = (kind: Kind, source: NamespaceSource, target: number | undefined, steps: Step[]): Slot => {
  const fd = fileOf(kind);
  const reason = `the ${kind} namespace`;
  if (typeof source === "object" && "id" in source)
    steps.push(
      enter.openNamespaceById(source.id, fd, `find the ${kind} namespace ${source.id}`, {
        reason,
        hints: {
          [errno("ESTALE")]:
            "there is none with this id, or this kernel wants more than an id: Linux 6.19 is the first that does not",
          [errno("EBADF")]: "namespaces are found by their id since Linux 6.19",
          [errno("EINVAL")]: "namespaces are found by their id since Linux 6.19",
          [errno("EPERM")]: "only root finds namespaces by their id",
        },
      }),
    );
  else
    steps.push(
      calls.open(
        source === "target" ? `/proc/${target}/ns/${namespaceFile(kind)}` : source.file,
        O.O_RDONLY | O.O_CLOEXEC,
        fd,
        { reason, hints: source === "target" ? processHints : fileHints },
      ),
    );
  return fd;
};

const openSocket = (number: number, target: number | undefined, steps: Step[]): Slot => {
  const [socket, fd] = [slot("socket"), fileOf("net")];
  const title = `find the network namespace of descriptor ${number}`;
  steps.push(
    enter.copyDescriptor(held, number, socket, title, {
      reason: "the target's socket",
      hints: {
        [errno("EBADF")]: `process ${target} has no such descriptor: ls -l /proc/${target}/fd`,
        [errno("EPERM")]: "only root, or who may trace the process, takes its descriptors",
      },
    }),
    enter.relatedNamespace(socket, "SIOCGSKNS", fd, title, {
      reason: "the network namespace that it was made in",
      hints: { [errno("ENOTTY")]: "this descriptor is no socket" },
    }),
    calls.close(socket, { title }),
  );
  return fd;
};

/** From the user namespace when that is asked for, else from the first of the others, else from the target's own. */
const openParent = ({ namespaces, target }: NsenterRequest, opened: readonly Kind[], steps: Step[]): Slot => {
  let from: Kind = "user";
  if (namespaces.user === undefined)
    for (const kind of ORDER.toReversed())
      if (namespaces[kind] !== undefined || opened.includes(kind)) from = kind;
  const above = slot("above");
  const title = "find the user namespace above";
  const of = opened.includes(from)
    ? fileOf(from)
    : openSource(from, namespaces[from] ?? "target", target, steps);
  steps.push(
    enter.relatedNamespace(of, from === "user" ? "NS_GET_PARENT" : "NS_GET_USERNS", above, title, {
      reason:
        from === "user"
          ? "the user namespace that it was made in"
          : `the user namespace that the ${from} namespace belongs to`,
      hints: { [errno("EPERM")]: "it is above the caller's own user namespace, or there is none" },
    }),
  );
  return above;
};

const openDirectories = (
  { root, wd, wdns, target }: NsenterRequest,
  steps: Step[],
): { root: Slot | undefined; wd: Slot | undefined } => {
  const found: { root: Slot | undefined; wd: Slot | undefined } = { root: undefined, wd: undefined };
  const open = (which: "root" | "wd", value: string | true, file: string, reason: string): void => {
    const fd = slot(which);
    steps.push(
      calls.open(value === true ? `/proc/${target}/${file}` : value, O.O_RDONLY | O.O_CLOEXEC, fd, {
        reason: `${reason}, as it is seen from here`,
        hints: processHints,
      }),
    );
    found[which] = fd;
  };
  if (root !== undefined) open("root", root, "root", "the root directory");
  if (wd !== undefined && wdns === undefined) open("wd", wd, "cwd", "the working directory");
  return found;
};

/**
 * With a user namespace among them two passes: who is privileged here enters the others first, while it still is; who
 * is not can enter them only from inside the user namespace.
 */
const enterAll = (entries: readonly Entry[]): Step[] => {
  let user: Entry | undefined;
  for (const entry of entries) if (entry.isUser) user = entry;
  const steps: Step[] = [];
  const one = ({ fd, flags, title, reason, hints }: Entry, about: calls.About = {}): Step =>
    enter.setns(fd, flags, title, { reason, hints, ...about });
  if (!user) {
    for (const entry of entries) steps.push(one(entry));
    return steps;
  }
  for (const entry of entries)
    if (entry !== user) steps.push(one(entry, { result: slot(`in${entry.fd.slot}`), onError: "ignore" }));
  steps.push(one(user));
  for (const entry of entries)
    if (entry !== user) steps.push(one(entry, { unless: slot(`in${entry.fd.slot}`) }));
  return steps;
};

const changeDirectories = (
  { wdns }: NsenterRequest,
  root: Slot | undefined,
  wd: Slot | undefined,
): Step[] => {
  const steps: Step[] = [];
  let back = wd;
  if (root) {
    if (!wd && wdns === undefined) {
      back = slot("here");
      steps.push(
        calls.open(".", O.O_RDONLY | O.O_CLOEXEC, back, { reason: "the working directory stays what it is" }),
      );
    }
    steps.push(
      enter.changeToOpen(root, "change to the root directory", {
        reason: "chroot takes a path: this makes it .",
      }),
      calls.chroot(".", { title: "change the root directory", reason: "paths begin there from now on" }),
    );
  }
  if (wdns !== undefined)
    steps.push(calls.chdir(wdns, { reason: "where the program starts, looked up inside" }));
  else if (back)
    steps.push(
      enter.changeToOpen(back, "change the working directory", { reason: "where the program starts" }),
    );
  return steps;
};

const forked = (inside: readonly Step[]): Step[] => {
  const pid = slot("pid");
  return [
    calls.setName("nsk", { reason: "what ps shows of the process that waits" }),
    calls.defaultSignal(SIG.SIGCHLD, { reason: "a caller that ignores it would leave nothing to wait for" }),
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: "only children are in the PID namespace",
      hints: { [errno("ENOMEM")]: "the PID namespace has lost its process 1, and takes no new processes" },
      child: inside,
    },
    { kind: "wait", pid, signaled: "signal", cleanup: [], reason: "wait for the child, and end as it ended" },
  ];
};

/** In a user namespace the ids are 0 unless something else is asked for. */
const credentials = (request: NsenterRequest, host: Host, intoUser: boolean): Step[] => {
  const { preserveCredentials, keepCaps } = request;
  const implied = intoUser && !preserveCredentials ? 0 : undefined;
  const setuid = request.setuid ?? implied;
  const setgid = request.setgid ?? implied;
  const steps: Step[] = [];
  const unmapped = {
    hints: { [errno("EINVAL")]: "this id is not mapped inside: try --preserve-credentials" },
  };
  if (setgid !== undefined) {
    steps.push(
      calls.setgroups([], {
        reason: "drop the caller's supplementary groups",
        hints: setgroupsHint,
        // A plain user's cannot be dropped, and need not be: util-linux insists only on the way into a user namespace.
        ...(implied === 0 ? { unless: dropped } : { onError: "ignore" }),
      }),
    );
    steps.push(
      setgid === "follow"
        ? enter.setLoadedId("setgid", enter.statusField("whose", "gid"), unmapped)
        : calls.setgid(setgid, unmapped),
    );
  }
  if (setuid !== undefined) {
    if (keepCaps && intoUser)
      steps.push(enter.keepCapabilities({ reason: "a user that is not 0 would lose them" }));
    steps.push(
      setuid === "follow"
        ? enter.setLoadedId("setuid", enter.statusField("whose", "uid"), unmapped)
        : calls.setuid(setuid, unmapped),
    );
  }
  if (keepCaps && intoUser) steps.push(...enter.makeCapabilitiesAmbient(lastCapability(host)));
  return steps;
};
