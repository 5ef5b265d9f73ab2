// nsenter(1): run a program in namespaces that are there.

import { HostError, UsageError } from "../abi/errors.ts";
import { parseId } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { type Kind, namespaceFile } from "../namespaces/kinds.ts";
import { type NamespaceSource, type NsenterRequest, planNsenter } from "../namespaces/nsenter.ts";
import { writeAll } from "../sys/linux.ts";
import { carryOut, planOptions } from "./carry-out.ts";
import { command, type Values } from "./command.ts";
import { programOrShell } from "./shell.ts";

/** `-m[FILE]`, `--mount[=FILE]`, or with `:ID` */
const kind = (alias: string, description: string) =>
  ({
    type: "string",
    optional: true,
    valueHint: "file|:nsid",
    alias,
    description,
  }) as const;

const options = {
  all: { type: "boolean", alias: "a", description: "enter all namespaces of the target" },
  target: {
    type: "string",
    alias: "t",
    valueHint: "pid[:inode]",
    description: "the process to take namespaces and the like from",
  },
  mount: kind("m", "enter the mount namespace"),
  uts: kind("u", "enter the UTS namespace (host name)"),
  ipc: kind("i", "enter the System V IPC namespace"),
  net: kind("n", "enter the network namespace"),
  netSocket: {
    type: "string",
    alias: "N",
    valueHint: "fd",
    description: "enter the network namespace of this socket of the target's",
  },
  pid: kind("p", "enter the PID namespace"),
  cgroup: kind("C", "enter the cgroup namespace"),
  user: kind("U", "enter the user namespace"),
  userParent: { type: "boolean", description: "enter the user namespace above, or that owns the others" },
  time: kind("T", "enter the time namespace"),
  setuid: { type: "string", alias: "S", valueHint: "uid|follow", description: "set the user id inside" },
  setgid: { type: "string", alias: "G", valueHint: "gid|follow", description: "set the group id inside" },
  preserveCredentials: { type: "boolean", description: "leave the user and group ids alone" },
  keepCaps: { type: "boolean", description: "keep the capabilities granted in the user namespace" },
  root: {
    type: "string",
    optional: true,
    alias: "r",
    valueHint: "dir",
    description: "set the root directory, the target's unless given",
  },
  wd: {
    type: "string",
    optional: true,
    alias: "w",
    valueHint: "dir",
    description: "set the working directory, the target's unless given",
  },
  wdns: {
    type: "string",
    optional: true,
    short: "required",
    alias: "W",
    valueHint: "dir",
    description: "set the working directory, looked up inside",
  },
  env: { type: "boolean", alias: "e", description: "give the program the target's environment" },
  noFork: { type: "boolean", alias: "F", description: "do not fork before running the program" },
  joinCgroup: { type: "boolean", alias: "c", description: "join the target's control groups" },
  followContext: {
    type: "boolean",
    alias: "Z",
    description: "run the program in the target's SELinux context",
  },
  ...planOptions,
} as const;

type Options = Values<typeof options>;

export const nsenter = command({
  definition: {
    meta: { name: "nsenter", description: "Run a program in namespaces that are there." },
    args: options,
  },
  usage: "[options] [<program> [<argument>...]]",
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    if (options.followContext && !hasSelinux(host))
      writeAll(2, `${name}: there is no SELinux here: going on without --follow-context\n`);
    const request = nsenterRequest(options, operands, host);
    if (!options.joinCgroup) return carryOut(planNsenter(name, request, host), options, host);
    // What knows control groups is loaded for those who ask for them.
    const { planJoinLike } = await import("../cgroups/join.ts");
    const join = planJoinLike(host, request.target!);
    return carryOut(planNsenter(name, { ...request, join }, host), options, host);
  },
});

const kindOptions = [
  "user",
  "cgroup",
  "ipc",
  "uts",
  "net",
  "pid",
  "mount",
  "time",
] as const satisfies readonly Kind[];

/** From words to a request: what the options leave open is looked up. */
export const nsenterRequest = (options: Options, operands: readonly string[], host: Host): NsenterRequest => {
  const { target, inode } = targetOption(options.target);
  const needTarget = (what: string): void => {
    if (target === undefined)
      throw new UsageError(`no target for ${what}`, "name a process with --target PID, or a file");
  };
  if (options.all) needTarget("--all");
  const namespaces: Partial<Record<Kind, NamespaceSource>> = {};
  const own = options.all ? (host.list("/proc/self/ns") ?? []) : [];
  for (const kind of kindOptions) {
    const value = options[kind];
    if (value === undefined) {
      if (options.all && own.includes(namespaceFile(kind)) && !(kind === "user" && isOwnUser(target!, host)))
        namespaces[kind] = "target";
      continue;
    }
    if (value === true) needTarget(`--${kind}`);
    namespaces[kind] = value === true ? "target" : sourceOf(value);
  }
  const netSocket = numberOption("descriptor", options.netSocket);
  if (netSocket !== undefined) needTarget("--net-socket");
  if (options.root === true) needTarget("--root");
  if (options.wd === true) needTarget("--wd");
  if (options.env) needTarget("--env");
  if (options.joinCgroup) needTarget("--join-cgroup");
  if (options.setuid === "follow" || options.setgid === "follow") needTarget("follow");
  if (options.userParent && options.user === undefined && netSocket === undefined) {
    let isAny = false;
    for (const _ in namespaces) isAny = true;
    if (!isAny) needTarget("--user-parent");
  }
  const wdns = typeof options.wdns === "string" ? options.wdns : undefined;
  if (wdns !== undefined && options.wd !== undefined)
    throw new UsageError("options --wd and --wdns are mutually exclusive");
  const setuid = idOrFollow("uid", options.setuid);
  const setgid = idOrFollow("gid", options.setgid);
  const env = options.env ? environmentOf(target!, host) : undefined;
  const intoUser = namespaces.user !== undefined || options.userParent;
  const user = typeof setuid === "number" ? setuid : intoUser && !options.preserveCredentials ? 0 : host.euid;
  return {
    target,
    inode,
    namespaces,
    netSocket,
    userParent: options.userParent,
    root: options.root,
    wd: options.wd,
    wdns,
    setuid,
    setgid,
    preserveCredentials: options.preserveCredentials,
    keepCaps: options.keepCaps,
    noFork: options.noFork,
    context:
      options.followContext && hasSelinux(host) && target !== undefined ? contextOf(target, host) : undefined,
    program: programOrShell(operands, host, { env, user }),
  };
};

const targetOption = (text: string | undefined): { target?: number; inode?: bigint } => {
  if (text === undefined) return {};
  const match = /^(\d{1,10})(?::(\d{1,20}))?$/.exec(text);
  const target = Number(match?.[1]);
  if (!match || target < 1 || target > 0x7fffffff) throw new UsageError(`failed to parse pid: '${text}'`);
  return match[2] === undefined ? { target } : { target, inode: BigInt(match[2]) };
};

/** A file, or `:ID`. A file's name that begins with a colon is written `./:name`. */
const sourceOf = (text: string): NamespaceSource => {
  if (!text.startsWith(":")) return { file: text };
  if (!/^:\d{1,20}$/.test(text) || BigInt(text.slice(1)) > 0xffffffffffffffffn)
    throw new UsageError(
      `failed to parse namespace id: '${text.slice(1)}'`,
      "a file's name that begins with a colon is written ./:NAME",
    );
  return { id: BigInt(text.slice(1)) };
};

const numberOption = (what: string, text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const number = parseId(text);
  if (number === undefined || number > 0x7fffffff) throw new UsageError(`failed to parse ${what}: '${text}'`);
  return number;
};

const idOrFollow = (what: "uid" | "gid", text: string | undefined): number | "follow" | undefined => {
  if (text === undefined || text === "follow") return text;
  const id = parseId(text);
  if (id === undefined) throw new UsageError(`failed to parse ${what}: '${text}'`);
  return id;
};

/** A process cannot enter the user namespace that it is in, and --all passes it over. @see setns(2) */
const isOwnUser = (target: number, host: Host): boolean =>
  host.link(`/proc/${target}/ns/user`) === host.link("/proc/self/ns/user");

/** The environment that the target was started with. @see proc_pid_environ(5) */
const environmentOf = (target: number, host: Host): string[] => {
  const text = host.read(`/proc/${target}/environ`);
  if (text === undefined)
    throw new HostError(
      `cannot read the environment of process ${target}`,
      host.kind(`/proc/${target}`)
        ? "only root, or who may trace the process, sees it"
        : "there is no such process",
    );
  const words = text.split("\0");
  if (words.at(-1) === "") words.pop();
  return words;
};

const hasSelinux = (host: Host): boolean => host.kind("/sys/fs/selinux/enforce") !== undefined;

const contextOf = (target: number, host: Host): string => {
  const text = host.read(`/proc/${target}/attr/current`);
  if (text === undefined) throw new HostError(`cannot read the SELinux context of process ${target}`);
  return text.replace(/[\0\n]+$/, "");
};
