// unshare(1): run a program in new namespaces.

import { UsageError } from "../abi/errors.ts";
import { parseSignal, SIG } from "../abi/flags.ts";
import { groupByName, parseId, userByName } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { type IdRange, parseRanges, type Sort } from "../namespaces/id-maps.ts";
import type { Kind } from "../namespaces/kinds.ts";
import { planUnshare, type Propagation, type UnshareRequest } from "../namespaces/unshare.ts";
import { carryOut, planOptions } from "./carry-out.ts";
import { command, type Values } from "./command.ts";
import { programOrShell } from "./shell.ts";

/** `--mount[=FILE]`; the short name takes no file, so that several can be written together. */
const kind = (alias: string, description: string) =>
  ({
    type: "string",
    optional: true,
    multiple: true,
    short: "never",
    valueHint: "file",
    alias,
    description,
  }) as const;

const options = {
  mount: kind("m", "unshare the mount namespace; with a file it is mounted there, and stays"),
  uts: kind("u", "unshare the UTS namespace (host name)"),
  ipc: kind("i", "unshare the System V IPC namespace"),
  net: kind("n", "unshare the network namespace"),
  pid: kind("p", "unshare the PID namespace"),
  user: kind("U", "unshare the user namespace"),
  cgroup: kind("C", "unshare the cgroup namespace"),
  time: kind("T", "unshare the time namespace"),
  fork: { type: "boolean", alias: "f", description: "fork before launching the program" },
  mapUser: {
    type: "string",
    valueHint: "uid|name",
    description: "map the current user to this one (implies --user)",
  },
  mapGroup: {
    type: "string",
    valueHint: "gid|name",
    description: "map the current group to this one (implies --user)",
  },
  mapRootUser: { type: "boolean", alias: "r", description: "map the current user to root (implies --user)" },
  mapCurrentUser: {
    type: "boolean",
    alias: "c",
    description: "map the current user to itself (implies --user)",
  },
  mapAuto: {
    type: "boolean",
    description: "map the first ranges of /etc/subuid and /etc/subgid to 0 and up (implies --user)",
  },
  mapSubids: {
    type: "boolean",
    description: "map the first ranges of /etc/subuid and /etc/subgid to themselves (implies --user)",
  },
  mapUsers: {
    type: "string",
    multiple: true,
    valueHint: "inner:outer:count|auto|subids|all",
    description: "map a range of users; may be repeated (implies --user)",
  },
  mapGroups: {
    type: "string",
    multiple: true,
    valueHint: "inner:outer:count|auto|subids|all",
    description: "map a range of groups; may be repeated (implies --user)",
  },
  owner: {
    type: "string",
    valueHint: "uid:gid",
    description: "set the owner of the user namespace (implies --user)",
  },
  killChild: {
    type: "string",
    optional: true,
    valueHint: "signal",
    description: "kill the child when dying, with SIGKILL unless given (implies --fork)",
  },
  forwardSignals: {
    type: "boolean",
    description: "pass SIGINT and SIGTERM on to the child (implies --fork)",
  },
  mountProc: {
    type: "string",
    optional: true,
    valueHint: "dir",
    description: "mount a proc filesystem, on /proc unless given (implies --mount)",
  },
  mountBinfmt: {
    type: "string",
    optional: true,
    valueHint: "dir",
    description: "mount a binfmt_misc filesystem (implies --user and --mount)",
  },
  propagation: {
    type: "string",
    valueHint: "slave|shared|private|unchanged",
    description: "mount propagation in the new mount namespace",
  },
  setgroups: {
    type: "string",
    valueHint: "allow|deny",
    description: "control setgroups(2) in the new user namespace",
  },
  keepCaps: { type: "boolean", description: "keep the capabilities granted in the user namespace" },
  root: {
    type: "string",
    alias: "R",
    valueHint: "dir",
    description: "run the program with this root directory",
  },
  wd: { type: "string", alias: "w", valueHint: "dir", description: "change the working directory" },
  setuid: {
    type: "string",
    alias: "S",
    valueHint: "uid",
    description: "set the user id in the new namespaces",
  },
  setgid: {
    type: "string",
    alias: "G",
    valueHint: "gid",
    description: "set the group id in the new namespaces",
  },
  loadInterp: {
    type: "string",
    alias: "l",
    valueHint: "string",
    description: "load a binfmt_misc definition (implies --mount-binfmt)",
  },
  monotonic: {
    type: "string",
    valueHint: "offset",
    description: "set the monotonic clock ahead by seconds, in a new time namespace",
  },
  boottime: {
    type: "string",
    valueHint: "offset",
    description: "set the boottime clock ahead by seconds, in a new time namespace",
  },
  clearEnv: { type: "boolean", description: "give the program none of the environment" },
  whitelistEnv: {
    type: "string",
    valueHint: "name,...",
    description: "give the program only these variables of the environment",
  },
  ...planOptions,
} as const;

type Options = Values<typeof options>;

export const unshare = command({
  definition: {
    meta: { name: "unshare", description: "Run a program in new namespaces, made as the options say." },
    args: options,
  },
  usage: "[options] [<program> [<argument>...]]",
  failure: 1,
  run: ({ options, operands, host, name }) =>
    carryOut(planUnshare(name, unshareRequest(options, operands, host), host), options, host),
});

const kindOptions = [
  "user",
  "mount",
  "uts",
  "ipc",
  "net",
  "pid",
  "cgroup",
  "time",
] as const satisfies readonly Kind[];
const propagations: readonly string[] = ["slave", "shared", "private", "unchanged"];

/** From words to a request: names become ids, and what an option implies is added. */
export const unshareRequest = (options: Options, operands: readonly string[], host: Host): UnshareRequest => {
  const { mapUser, mapGroup } = mapping(options, host);
  const mapUsers = ranges(options, "user", host);
  const mapGroups = ranges(options, "group", host);
  const owner = ownerOption(options.owner, host);
  const mountBinfmt =
    options.mountBinfmt === true || (options.mountBinfmt === undefined && options.loadInterp !== undefined)
      ? "/proc/sys/fs/binfmt_misc"
      : options.mountBinfmt;
  const binfmt = mountBinfmt !== undefined;
  const implied: Partial<Record<Kind, boolean>> = {
    user:
      mapUser !== undefined ||
      mapGroup !== undefined ||
      mapUsers.length > 0 ||
      mapGroups.length > 0 ||
      owner !== undefined ||
      binfmt,
    mount: options.mountProc !== undefined || binfmt,
  };
  const { propagation = "private", setgroups } = options;
  if (!propagations.includes(propagation))
    throw new UsageError(`unsupported propagation mode: ${propagation}`);
  if (setgroups !== undefined && setgroups !== "allow" && setgroups !== "deny")
    throw new UsageError(`unsupported --setgroups argument '${setgroups}'`);
  if (setgroups === "allow" && mapGroup !== undefined && mapGroups.length === 0)
    throw new UsageError(
      `options --setgroups=allow and ${options.mapRootUser ? "--map-root-user" : options.mapCurrentUser ? "--map-current-user" : "--map-group"} are mutually exclusive`,
      "the kernel lets an unprivileged user map a group only once setgroups is denied",
    );
  // No filter: a method of arrays is compiled when a process first calls it, and this one would be the first.
  const kinds: Kind[] = [];
  const keep: Partial<Record<Kind, string>> = {};
  for (const kind of kindOptions) {
    const value = options[kind];
    if (value !== undefined || implied[kind]) kinds.push(kind);
    if (typeof value === "string") keep[kind] = value;
  }
  const fork = options.fork || options.killChild !== undefined || options.forwardSignals;
  if (keep.pid !== undefined && !fork)
    throw new UsageError(
      "--pid=FILE needs --fork",
      "a PID namespace can be kept once it has its first process, and that is the first child",
    );
  const setuid = idOption("uid", options.setuid);
  const env = environment(options, host);
  return {
    kinds,
    fork,
    keep,
    mapUser,
    mapGroup,
    mapUsers,
    mapGroups,
    owner,
    setgroups,
    propagation: propagation as Propagation,
    mountProc: options.mountProc === true ? "/proc" : options.mountProc,
    mountBinfmt,
    loadInterp: options.loadInterp,
    monotonic: offsetOption("monotonic", options),
    boottime: offsetOption("boottime", options),
    killChild: options.killChild === undefined ? undefined : signalOption(options.killChild),
    forwardSignals: options.forwardSignals,
    root: options.root,
    wd: options.wd,
    setuid,
    setgid: idOption("gid", options.setgid),
    keepCaps: options.keepCaps,
    program: programOrShell(operands, host, { env, user: setuid ?? mapUser ?? host.euid }),
  };
};

/** Every range of one sort that the options name. */
const ranges = (options: Options, sort: Sort, host: Host): IdRange[] => {
  const out: IdRange[] = [];
  for (const text of sort === "user" ? options.mapUsers : options.mapGroups)
    out.push(...parseRanges(text, sort, host));
  if (options.mapAuto) out.push(...parseRanges("auto", sort, host));
  if (options.mapSubids) out.push(...parseRanges("subids", sort, host));
  return out;
};

const ownerOption = (text: string | undefined, host: Host): UnshareRequest["owner"] => {
  if (text === undefined) return undefined;
  const [user, group, ...rest] = text.split(":");
  if (user === undefined || group === undefined || rest.length)
    throw new UsageError(`'${text}' is no owner`, "an owner is UID:GID, e.g. 1000:1000");
  return {
    user: idOption("uid", user, userByName(host))!,
    group: idOption("gid", group, groupByName(host))!,
  };
};

/** Seconds, as the kernel takes them: a signed number of 64 bits. */
const offsetOption = (clock: "monotonic" | "boottime", options: Options): string | undefined => {
  const text = options[clock];
  if (text === undefined) return undefined;
  if (options.time === undefined)
    throw new UsageError(`--${clock} needs --time`, "only a new time namespace has clocks of its own");
  if (!/^[+-]?\d{1,18}$/.test(text)) throw new UsageError(`failed to parse ${clock} offset: '${text}'`);
  return String(BigInt(text));
};

/** The words of the environment that are left; undefined for all of it, untouched. */
const environment = (options: Options, host: Host): string[] | undefined => {
  if (options.whitelistEnv === undefined) return options.clearEnv ? [] : undefined;
  const words: string[] = [];
  for (const name of options.whitelistEnv.split(",")) {
    const value = name === "" ? undefined : host.env(name);
    if (value !== undefined) words.push(`${name}=${value}`);
  }
  return words;
};

/** The ids inside. Of several options that say something about one, the last counts. */
const mapping = (options: Options, host: Host): Pick<UnshareRequest, "mapUser" | "mapGroup"> => {
  let mapUser: number | undefined;
  let mapGroup: number | undefined;
  for (const key in options) {
    if (key === "mapRootUser" && options.mapRootUser) mapUser = mapGroup = 0;
    else if (key === "mapCurrentUser" && options.mapCurrentUser) {
      mapUser = host.euid;
      mapGroup = host.egid;
    } else if (key === "mapUser" && options.mapUser !== undefined)
      mapUser = idOption("uid", options.mapUser, userByName(host));
    else if (key === "mapGroup" && options.mapGroup !== undefined)
      mapGroup = idOption("gid", options.mapGroup, groupByName(host));
  }
  return { mapUser, mapGroup };
};

export const idOption = (
  what: "uid" | "gid",
  text: string | undefined,
  byName?: (name: string) => number | undefined,
): number | undefined => {
  if (text === undefined) return undefined;
  const id = parseId(text) ?? byName?.(text);
  if (id === undefined) throw new UsageError(`failed to parse ${what}: '${text}'`);
  return id;
};

const signalOption = (value: string | true): number => {
  if (value === true) return SIG.SIGKILL;
  const number = parseSignal(value);
  if (number === undefined) throw new UsageError(`unknown signal: ${value}`);
  return number;
};
