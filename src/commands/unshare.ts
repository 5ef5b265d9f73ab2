// unshare(1): run a program in new namespaces.

import { UsageError } from "../abi/errors.ts";
import { parseSignal, SIG } from "../abi/flags.ts";
import { groups, parseId, users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { Kind } from "../namespaces/kinds.ts";
import { planUnshare, type Propagation, type UnshareRequest } from "../namespaces/unshare.ts";
import type { ExecStep } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import { carryOut, planOptions } from "./carry-out.ts";
import { command, type Values } from "./command.ts";

const options = {
  mount: { type: "boolean", alias: "m", description: "unshare the mount namespace" },
  uts: { type: "boolean", alias: "u", description: "unshare the UTS namespace (host name)" },
  ipc: { type: "boolean", alias: "i", description: "unshare the System V IPC namespace" },
  net: { type: "boolean", alias: "n", description: "unshare the network namespace" },
  pid: { type: "boolean", alias: "p", description: "unshare the PID namespace" },
  user: { type: "boolean", alias: "U", description: "unshare the user namespace" },
  cgroup: { type: "boolean", alias: "C", description: "unshare the cgroup namespace" },
  time: { type: "boolean", alias: "T", description: "unshare the time namespace" },
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
  killChild: {
    type: "string",
    optional: true,
    valueHint: "signal",
    description: "kill the child when dying, with SIGKILL unless given (implies --fork)",
  },
  mountProc: {
    type: "string",
    optional: true,
    valueHint: "dir",
    description: "mount a proc filesystem, on /proc unless given (implies --mount)",
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
  const implied: Partial<Record<Kind, boolean>> = {
    user: mapUser !== undefined || mapGroup !== undefined,
    mount: options.mountProc !== undefined,
  };
  const { propagation = "private", setgroups } = options;
  if (!propagations.includes(propagation))
    throw new UsageError(`unsupported propagation mode: ${propagation}`);
  if (setgroups !== undefined && setgroups !== "allow" && setgroups !== "deny")
    throw new UsageError(`unsupported --setgroups argument '${setgroups}'`);
  if (setgroups === "allow" && mapGroup !== undefined)
    throw new UsageError(
      `options --setgroups=allow and ${options.mapRootUser ? "--map-root-user" : options.mapCurrentUser ? "--map-current-user" : "--map-group"} are mutually exclusive`,
      "the kernel lets an unprivileged user map a group only once setgroups is denied",
    );
  // No filter: a method of arrays is compiled when a process first calls it, and this one would be the first.
  const kinds: Kind[] = [];
  for (const kind of kindOptions) if (options[kind] || implied[kind]) kinds.push(kind);
  return {
    kinds,
    fork: options.fork || options.killChild !== undefined,
    mapUser,
    mapGroup,
    setgroups,
    propagation: propagation as Propagation,
    mountProc: options.mountProc === true ? "/proc" : options.mountProc,
    killChild: options.killChild === undefined ? undefined : signalOption(options.killChild),
    root: options.root,
    wd: options.wd,
    setuid: idOption("uid", options.setuid),
    setgid: idOption("gid", options.setgid),
    program: programOrShell(operands, host),
  };
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
      mapUser = idOption(
        "uid",
        options.mapUser,
        (name) => users(host).find((user) => user.name === name)?.uid,
      );
    else if (key === "mapGroup" && options.mapGroup !== undefined)
      mapGroup = idOption(
        "gid",
        options.mapGroup,
        (name) => groups(host).find((group) => group.name === name)?.gid,
      );
  }
  return { mapUser, mapGroup };
};

const idOption = (
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

/** The program that the operands name, or the shell of the environment as a login shell. @see unshare(1) */
export const programOrShell = (
  operands: readonly string[],
  host: Host,
): Pick<ExecStep, "program" | "argv" | "candidates"> => {
  const [program] = operands;
  if (program !== undefined)
    return { program, argv: operands, candidates: programCandidates(program, host.env("PATH")) };
  const shell = host.env("SHELL") ?? "/bin/sh";
  return { program: shell, argv: [`-${shell.slice(shell.lastIndexOf("/") + 1)}`], candidates: [shell] };
};
