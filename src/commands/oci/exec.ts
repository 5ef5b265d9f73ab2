// nsk oci exec.

import { HostError, UsageError } from "../../abi/errors.ts";
import { CAP } from "../../abi/flags.ts";
import { execDetached } from "../../backends/oci/exec.ts";
import { directoryOf, loadForExec, needState, statusOf } from "../../backends/oci/store.ts";
import { NO_LIMITS } from "../../cgroups/limits.ts";
import type { Config, Process } from "../../containers/config.ts";
import type { Bundle } from "../../containers/oci/container.ts";
import { planExec } from "../../containers/oci/exec.ts";
import { parseJson } from "../../containers/json.ts";
import { readProcess } from "../../containers/parse-config.ts";
import type { Host } from "../../host/host.ts";
import { carryOut, explainOption } from "../carry-out.ts";
import { command, type OptionTable, type Values } from "../command.ts";
import { checkTerminal, withHome } from "./bundle.ts";
import { idFrom, logged } from "./global.ts";

const execOptions = {
  process: { type: "string", alias: "p", valueHint: "file", description: "the process, as in config.json" },
  tty: { type: "boolean", alias: "t", description: "give it a terminal of its own" },
  consoleSocket: {
    type: "string",
    valueHint: "path",
    description: "a Unix socket that the master of its terminal is sent to",
  },
  cwd: { type: "string", valueHint: "dir", description: "working directory inside" },
  env: { type: "string", alias: "e", multiple: true, valueHint: "NAME=value", description: "set a variable" },
  user: { type: "string", alias: "u", valueHint: "uid[:gid]", description: "the user inside, by numbers" },
  additionalGids: {
    type: "string",
    alias: "g",
    multiple: true,
    valueHint: "gid",
    description: "a group besides the user's",
  },
  detach: { type: "boolean", alias: "d", description: "go when it runs" },
  pidFile: { type: "string", valueHint: "file", description: "write its id to this file (with --detach)" },
  processLabel: { type: "string", valueHint: "label", description: "its context of SELinux" },
  apparmor: { type: "string", valueHint: "profile", description: "its profile of AppArmor" },
  noNewPrivs: { type: "boolean", description: "it gains no privileges" },
  cap: { type: "string", alias: "c", multiple: true, valueHint: "name", description: "a capability more" },
  preserveFds: {
    type: "string",
    valueHint: "number",
    description: "how many of the caller's descriptors from 3 on it gets",
  },
  cgroup: {
    type: "string",
    multiple: true,
    valueHint: "[controller:]path",
    description: "a group of the container's below its own",
  },
  ...explainOption,
  ignorePaused: { type: "boolean", description: "also where the container is paused" },
} as const satisfies OptionTable;

export const exec = command({
  definition: {
    meta: { name: "oci exec", description: "Run one more program in a running container." },
    args: execOptions,
  },
  usage: "[options] <container-id> <program> [<argument>...]",
  failure: 255,
  run: logged(async ({ options, operands, host, name, root }) => {
    const [id, ...args] = [idFrom(operands, Infinity), ...operands.slice(1)] as [string, ...string[]];
    const state = needState(root, id, host);
    const status = statusOf(root, state, host);
    if (status === "stopped" || status === "creating")
      throw new HostError("cannot exec in a stopped container");
    if (status === "paused" && !options.ignorePaused)
      throw new HostError("cannot exec in a paused container (use --ignore-paused to override)");
    const { config, filter } = loadForExec(directoryOf(root, id), host);
    const process = withHome(processFrom(options, args, config.process, host), config.root.path, host);
    const { detach, consoleSocket, pidFile } = options;
    checkTerminal({ config: { ...config, process } }, consoleSocket, detach);
    if (pidFile !== undefined && !detach) throw new UsageError("--pid-file goes with --detach");
    const bundle = await joining({ ...config, process }, filter, id, options.preserveFds, host);
    const request = {
      bundle,
      first: state.first!,
      groups: groupsFrom(options.cgroup, state.groups),
      isDetached: detach,
      input: true,
    };
    if (!detach || options.explain !== undefined)
      return carryOut(planExec(name, request, host), options, host);
    await execDetached(name, request, { consoleSocket, pidFile }, host);
    return 0;
  }),
});

/** The container's own process with what the options change, or the one in a file. */
const processFrom = (
  options: Values<typeof execOptions>,
  args: readonly string[],
  own: Process,
  host: Host,
): Process => {
  if (options.process !== undefined) {
    const text = host.read(options.process);
    if (text === undefined)
      throw new HostError(`--process ${options.process}: it is not there or cannot be read`);
    const read = readProcess(parseJson(text, options.process));
    return options.tty ? { ...read, terminal: true } : read;
  }
  if (args.length === 0) throw new UsageError("process args cannot be empty", "or --process names a file");
  const caps = options.cap.map((name) => {
    if (name in CAP) return name;
    throw new UsageError(`--cap ${name}: there is no such capability`);
  });
  const { capabilities, user } = own;
  const with_ = (set: readonly string[]): readonly string[] => [...new Set([...set, ...caps])];
  return {
    ...own,
    args,
    terminal: options.tty,
    consoleSize: undefined,
    cwd: options.cwd ?? own.cwd,
    env: [
      ...own.env.filter((word) => !options.env.some((it) => nameOf(it) === nameOf(word))),
      ...options.env,
    ],
    user: userFrom(options.user, options.additionalGids, user),
    noNewPrivileges: options.noNewPrivs || own.noNewPrivileges,
    apparmorProfile: options.apparmor ?? own.apparmorProfile,
    selinuxLabel: options.processLabel ?? own.selinuxLabel,
    // What is added is no capability that a program could hand on unseen (CVE-2022-29162).
    capabilities: caps.length
      ? {
          ...capabilities,
          bounding: with_(capabilities.bounding),
          effective: with_(capabilities.effective),
          permitted: with_(capabilities.permitted),
        }
      : capabilities,
  };
};

const nameOf = (word: string): string => word.slice(0, word.indexOf("=") < 0 ? undefined : word.indexOf("="));

const userFrom = (
  text: string | undefined,
  more: readonly string[],
  own: Process["user"],
): Process["user"] => {
  const id = (word: string): number => {
    if (!/^\d+$/.test(word) || Number(word) > 0xfffffffe)
      throw new UsageError(`'${word}' is no id: a number`);
    return Number(word);
  };
  const additionalGids = [...own.additionalGids, ...more.map(id)];
  if (text === undefined) return { ...own, additionalGids };
  const [uid = "", gid] = text.split(":");
  return { ...own, uid: id(uid), gid: gid === undefined ? own.gid : id(gid), additionalGids };
};

const joining = async (
  config: Config,
  filter: Uint8Array | undefined,
  id: string,
  preserve: string | undefined,
  host: Host,
): Promise<Bundle> => {
  if (preserve !== undefined && !/^\d{1,3}$/.test(preserve))
    throw new UsageError(`--preserve-fds ${preserve}: a number of descriptors`);
  const about = {
    id,
    config,
    filter,
    limits: NO_LIMITS,
    bundle: "/",
    directory: "/",
    preserved: Number(preserve ?? 0),
    keepsKeyring: false,
    noPivot: false,
  };
  if (!config.linux.namespaces.some(({ type, path }) => type === "user" && path === undefined)) return about;
  const { planUserNamespace } = await import("../../containers/user-namespace.ts");
  return { ...about, users: planUserNamespace(config, config.root.path, host) };
};

/** `path` is below the container's own groups; with a controller in front, only there. */
const groupsFrom = (texts: readonly string[], groups: readonly string[]): readonly string[] => {
  let found = groups;
  for (const text of texts) {
    const [, controller, path = ""] = /^(?:([^:]*):)?(.*)$/s.exec(text)!;
    if (path.split("/").includes("..")) throw new UsageError(`--cgroup ${text}: '..' in the path`);
    const below = path
      .split("/")
      .filter(Boolean)
      .map((it) => `/${it}`)
      .join("");
    found = found.map((group, i) =>
      controller === undefined || groups[i]!.split("/").some((it) => it.split(",").includes(controller))
        ? `${groups[i]!}${below}`
        : group,
    );
  }
  return found;
};
