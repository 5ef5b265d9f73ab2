// The user namespace of a container: who writes which ids are which, how its first process becomes root inside, and what
// stands for what the kernel does not make in one. Loaded for such containers alone.

import { errno } from "../abi/errno.ts";
import { HostError } from "../abi/errors.ts";
import { MNT, RLIMIT } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { isRootOfAll } from "../host/kernel.ts";
import { mapSteps } from "../namespaces/helper.ts";
import type { IdRange, Sort } from "../namespaces/id-maps.ts";
import { procHints, unshareHints, userNamespacesForbidden } from "../namespaces/refusals.ts";
import { type CallStep, type Slot, slot } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import {
  type Config,
  type Device,
  hasNamespace,
  type IdMapping,
  isEarly,
  isVolume,
  type Mount,
  type Process,
} from "./config.ts";
import { record } from "./container.ts";
import { parseMountOptions } from "./mount-options.ts";
import type { UserNetwork } from "./user-network.ts";
import { volumeSlot } from "./volumes.ts";

/** The steps of a container's life that have to do with its user namespace. */
export interface UserNamespacePlan {
  /** The supervisor's, once there is a directory for its record: nobody else may have made it. */
  readonly checkState: readonly Step[];
  /** Gives the record a name, where that is not done as root does it. */
  readonly link: ((path: string, about: steps.About) => CallStep) | undefined;
  /** The supervisor's before there is a child. */
  readonly prepare: readonly CallStep[];
  /** Why there may be no child. */
  readonly hints: CallStep["hints"];
  /** Why a child may have no privileges in a namespace of its own. */
  readonly refusals: CallStep["hints"];
  /** The child's first: it waits until its ids are mapped. */
  readonly wait: readonly CallStep[];
  /** The supervisor's once there is a child. */
  admit(child: Slot): readonly Step[];
  /** The child becomes root inside. */
  readonly enter: readonly CallStep[];
  /** What it mounts while it sees the host's tree. */
  readonly early: readonly CallStep[];
  /** Whether setgroups(2) works inside. */
  readonly setsGroups: boolean;
  /**
   * Whether the supervisor is root: then it takes hold of what is bound in from the host, since who is root inside may
   * be nobody out there.
   */
  readonly isRoots: boolean;
}

const ranges = (mappings: readonly IdMapping[] = []): IdRange[] =>
  mappings.map(({ containerID, hostID, size }) => ({ inner: containerID, outer: hostID, count: size }));

/** Whether an id is one inside. */
export const isMapped = (mappings: readonly IdMapping[] | undefined, id: number): boolean =>
  mappings?.some(({ containerID, size }) => id >= containerID && id < containerID + size) ?? false;

/** A user's own group alone, which the kernel lets be mapped where setgroups(2) is denied. @see user_namespaces(7) */
const isOwnAlone = (map: readonly IdRange[], own: number): boolean =>
  map.length === 1 && map[0]!.count === 1 && map[0]!.outer === own;

/**
 * `state`: where its record is. `network`: who connects it. Throws {@link HostError} for ids that the program is to
 * have and that are not mapped, with `hint`.
 */
export const planUserNamespace = (
  config: Config,
  state: string,
  host: Host,
  { hint, network }: { readonly hint?: string | undefined; readonly network?: UserNetwork | undefined } = {},
): UserNamespacePlan => {
  checkIds(config, hint);
  const { uidMappings, gidMappings } = config.linux;
  const [users, groups] = [ranges(uidMappings), ranges(gidMappings)];
  const isRoot = isRootOfAll(host);
  const mayMap = host.euid === 0;
  const deniesGroups = !mayMap && isOwnAlone(groups, host.egid);
  const map = (sort: Sort, child: Slot): Step[] => {
    const [ids, own] = sort === "user" ? [users, host.euid] : [groups, host.egid];
    return mapSteps(ids, host, child, sort, mayMap || isOwnAlone(ids, own));
  };
  const go = slot("go");
  const forbidden = isRoot ? undefined : userNamespacesForbidden(host);
  return {
    checkState: isRoot ? [] : checkOwner(state, host),
    // Only root gives an open file a name without a path to it (before Linux 6.10).
    link: isRoot ? undefined : (path, about) => enter.linkDescriptor(record, path, about),
    prepare: [enter.pipe(go, { reason: "on which the child is told that its ids are mapped" })],
    hints: unshareHints(host, ["user"]),
    refusals:
      forbidden === undefined ? undefined : { [errno("EPERM")]: forbidden, [errno("EACCES")]: forbidden },
    wait: enter.awaitWord(go, "until its ids are mapped; when that failed, end here"),
    admit: (child) => [
      ...(deniesGroups
        ? enter.writeComposed(["/proc/", child, "/setgroups"], "deny", "write setgroups", slot("fd"), {
            reason: "the kernel takes a plain user's gid_map only when setgroups(2) is denied",
          })
        : []),
      ...map("user", child),
      ...map("group", child),
      ...(isRoot ? raise(config.process, child, host) : []),
      ...(network?.connect(child) ?? []),
      enter.giveWord(go, "everything outside of it is done"),
    ],
    enter: [
      steps.setgid(0, { reason: "root of the new user namespace, whoever that is outside" }),
      steps.setuid(0),
      enter.ownFilesOfProc({ reason: "the change has given this process's files in /proc to root outside" }),
    ],
    early: openFileSystems(config, state),
    // A user namespace hands on that it is denied.
    setsGroups: !deniesGroups && host.read("/proc/self/setgroups")?.trim() !== "deny",
    isRoots: isRoot,
  };
};

/**
 * New file systems of the kernel's for a container in a user namespace, not attached anywhere yet. The kernel makes a
 * proc and a sysfs there only while others can be seen as a whole: before the host's tree is left.
 */
const openFileSystems = ({ mounts }: Config, state: string): CallStep[] =>
  mounts.flatMap((mount, i) => (isEarly(mount) ? openFileSystem(mount, i, state) : []));

const openFileSystem = (mount: Mount, n: number, state: string): CallStep[] => {
  const { source, type, destination } = mount;
  const { flags, data } = parseMountOptions(mount.options);
  const title = `mount ${destination}`;
  return [
    steps.mount(
      { source, target: state, fstype: type, flags, data },
      { title, reason: "made while the host's can be seen, or the kernel would not", hints: procHints },
    ),
    steps.openTree(state, volumeSlot(n), { title }),
    steps.umount(state, MNT.MNT_DETACH, { title }),
  ];
};

/** In /tmp anybody could have been first. No link is followed. */
const checkOwner = (state: string, host: Host): Step[] => {
  const [directory, title] = [slot("state"), `use ${state}`];
  return [
    steps.openDirectory(state, directory, { title, reason: "a directory, no link, and this user's own" }),
    enter.status(directory, "whose", title),
    {
      kind: "expect",
      found: enter.statusField("whose", "uid"),
      value: BigInt(host.euid),
      errno: errno("EACCES"),
      title,
      hint: `it is somebody else's: ls -ld ${state}`,
    },
    steps.close(directory, { title }),
  ];
};

const checkIds = ({ process: { user }, linux }: Config, hint: string | undefined): void => {
  const { uidMappings, gidMappings } = linux;
  const check = (what: string, mappings: readonly IdMapping[] | undefined, id: number): void => {
    if (!isMapped(mappings, id))
      throw new HostError(`${what} ${id} is not among the ids of the container's user namespace`, hint);
  };
  check("user", uidMappings, 0);
  check("group", gidMappings, 0);
  check("user", uidMappings, user.uid);
  for (const id of [user.gid, ...user.additionalGids]) check("group", gidMappings, id);
};

/** What takes a capability of the outermost namespace, by whoever has it. @see proc_pid_oom_score_adj(5), setrlimit(2) */
const raise = ({ rlimits, oomScoreAdj }: Process, child: Slot, host: Host): Step[] => {
  const out: Step[] = [];
  for (const { type, hard } of rlimits) {
    const now = presentLimit(host, type);
    if (now && now.hard >= 0 && (hard < 0 || hard > now.hard))
      out.push(
        steps.limitResource(type, now.soft, hard, {
          of: child,
          reason: "who is root outside may raise it, and who is so inside may not",
        }),
      );
  }
  if (oomScoreAdj !== undefined)
    out.push(
      ...enter.writeComposed(
        ["/proc/", child, "/oom_score_adj"],
        String(oomScoreAdj),
        "write oom_score_adj",
        slot("fd"),
        { reason: "who is root outside may lower it, and who is so inside may not" },
      ),
    );
  return out;
};

/** This process's own, -1 for none. The file has the kernel's order. @see proc_pid_limits(5) */
const presentLimit = (host: Host, type: keyof typeof RLIMIT): { soft: number; hard: number } | undefined => {
  const line = host.read("/proc/self/limits")?.split("\n")[1 + RLIMIT[type]];
  const [soft, hard] = (line?.slice(26).trim().split(/ +/) ?? []).map((word) =>
    word === "unlimited" ? -1 : Number(word),
  );
  return soft === undefined || hard === undefined ? undefined : { soft, hard };
};

/**
 * A config that can be made in its user namespace: devices are the host's nodes, since nobody makes any there; so are
 * file systems of namespaces that are not its own; and the group of terminals is left out where it is not mapped.
 */
export const withoutPrivilege = (config: Config, host: Host): Config => {
  const { linux } = config;
  const mounts = config.mounts.flatMap((mount) => replace(mount, config, host));
  const volume = mounts.findIndex(isVolume);
  const first = volume < 0 ? mounts.length : volume;
  return {
    ...config,
    mounts: [...mounts.slice(0, first), ...linux.devices.map(hostNode), ...mounts.slice(first)],
    linux: { ...linux, devices: [] },
  };
};

const hostNode = ({ path, source = path }: Device): Mount => ({
  destination: path,
  source,
  type: "bind",
  options: ["bind"],
  standsIn: true,
});

/** @see user_namespaces(7): a file system of a namespace is mounted by who has privileges over that namespace. */
const OWNERS = {
  proc: { namespace: "pid", source: "/proc" },
  sysfs: { namespace: "network", source: "/sys" },
  mqueue: { namespace: "ipc", source: "/dev/mqueue" },
} as const;

const replace = (mount: Mount, { linux }: Config, host: Host): Mount | [] => {
  const { type, options, destination } = mount;
  const owner = OWNERS[type as keyof typeof OWNERS] as (typeof OWNERS)[keyof typeof OWNERS] | undefined;
  if (owner && !hasNamespace(linux, owner.namespace)) {
    const { source } = owner;
    // Where the host has not mounted it either, there is nothing to see.
    if (host.kind(source) === undefined) return [];
    const how = options.includes("ro") ? ["rbind", "ro"] : ["rbind"];
    return { destination, source, type: "bind", options: how, standsIn: true };
  }
  if (type !== "devpts") return mount;
  // The group of terminals, which most containers have never heard of.
  const known = options.filter(
    (option) => !option.startsWith("gid=") || isMapped(linux.gidMappings, Number(option.slice(4))),
  );
  return known.length === options.length ? mount : { ...mount, options: known };
};
