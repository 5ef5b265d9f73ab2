// nsk exec: another program in a container that runs, with docker's flags.

import { HostError, UsageError } from "../abi/errors.ts";
import { CAP } from "../abi/flags.ts";
import { insideOf } from "../backends/containers.ts";
import { isFrozen } from "../cgroups/groups.ts";
import { planJoinBelow } from "../cgroups/join.ts";
import { type Config, hasNamespace, type Process } from "../containers/config.ts";
import { fromFiles, parseUser } from "../containers/docker.ts";
import { planExec } from "../containers/exec.ts";
import type { Running } from "../containers/record.ts";
import { typingFilter } from "../containers/seccomp/typing.ts";
import type { Host } from "../host/host.ts";
import { writeAll } from "../sys/linux.ts";
import { carryOut, explainOption } from "./carry-out.ts";
import { environmentOptions } from "./environment-options.ts";
import { command, type OptionTable, type Values } from "./command.ts";
import { theOne } from "./containers.ts";
import { wantsTerminal } from "./terminal.ts";

const options = {
  detach: { type: "boolean", alias: "d", description: "do not wait for it; what it prints goes nowhere" },
  ...environmentOptions,
  interactive: { type: "boolean", alias: "i", description: "keep standard input" },
  privileged: { type: "boolean", description: "all capabilities; the container's filter stays" },
  tty: { type: "boolean", alias: "t", description: "give it a terminal of its own" },
  user: { type: "string", alias: "u", valueHint: "name|uid[:group|gid]", description: "the user inside" },
  workdir: { type: "string", alias: "w", valueHint: "dir", description: "working directory inside" },
  ...explainOption,
} as const satisfies OptionTable;

export const exec = command({
  definition: {
    meta: {
      name: "exec",
      description: "Run another program in a container that runs, confined as the container's own is.",
    },
    args: options,
  },
  usage: "[options] <container> <program> [<argument>...]",
  failure: 1,
  truths: true,
  run: ({ options, operands, host, name }) => {
    const [word, ...args] = operands;
    if (word === undefined || args.length === 0)
      throw new UsageError(
        word === undefined ? "no container given" : "no program given",
        `${name} [options] <container> <program> [<argument>...]`,
      );
    const it = theOne([word], host);
    if (it.state !== "running") throw new HostError(`container ${word} is not running`);
    // It would stand still as soon as it has entered the group, and be waited for.
    const frozen = it.groups.find((group) => isFrozen(host, group));
    if (frozen !== undefined)
      throw new HostError(`container ${word} is frozen`, `echo 0 >${frozen}/cgroup.freeze`);
    const { detach } = options;
    const terminal = detach ? withoutTerminal(options, name) : wantsTerminal(options, host, name);
    const { config } = it;
    const process = processOf(options, args, it, terminal, host);
    const plan = planExec(
      name,
      {
        process,
        typing: it.privileged ? undefined : typingFilter(process.capabilities.bounding, terminal || detach),
        target: it.first,
        namespaces: config.linux.namespaces.map(({ type }) => type),
        join: planJoinBelow(host, it.first.pid, it.groups),
        filter: it.filter === undefined ? undefined : Uint8Array.fromBase64(it.filter),
        keyring: `_ses.${it.id}`,
        users: hasNamespace(config.linux, "user") ? { setsGroups: setsGroups(it, host) } : undefined,
        input: options.interactive,
        background: detach,
      },
      host,
    );
    return carryOut(plan, options, host);
  },
});

const withoutTerminal = ({ tty }: Values<typeof options>, name: string): boolean => {
  if (tty) writeAll(2, `${name}: nobody holds the terminal of what is not waited for: going on without -t\n`);
  return false;
};

/** @see user_namespaces(7), "/proc/PID/setgroups" */
const setsGroups = ({ first }: Running, host: Host): boolean =>
  host.read(`/proc/${first.pid}/setgroups`)?.trim() !== "deny";

/** The container's own process, with the program and what the options say of it. */
const processOf = (
  values: Values<typeof options>,
  args: readonly string[],
  it: Running,
  terminal: boolean,
  host: Host,
): Process => {
  const { process } = it.config;
  const { workdir, user: asked, privileged } = values;
  if (workdir !== undefined && !workdir.startsWith("/"))
    throw new UsageError(`the working directory '${workdir}' is invalid, it needs to be an absolute path`);
  const user = asked === undefined ? undefined : userInside(asked, it, host);
  const own = process.capabilities;
  const all = Object.keys(CAP);
  return {
    ...process,
    terminal,
    args,
    cwd: workdir ?? process.cwd,
    user: user ?? process.user,
    env: environment(values, process.env, terminal, user?.home, host),
    capabilities: privileged ? { ...own, bounding: all, permitted: all, effective: all } : own,
  };
};

/** Looked up in the container's files as they are now. */
const userInside = (asked: string, it: Running, host: Host): ReturnType<typeof parseUser> => {
  const inside = insideOf(it, host);
  try {
    return parseUser(asked, "/", { ...host, read: inside.read });
  } finally {
    inside.close();
  }
};

const environment = (
  { env, envFile }: Values<typeof options>,
  own: Config["process"]["env"],
  terminal: boolean,
  home: string | undefined,
  host: Host,
): string[] => {
  const variables = new Map<string, string>();
  const set = (word: string, from?: Host): void => {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (name === "") throw new UsageError(`invalid environment variable: ${word}`);
    const value = equals < 0 ? from?.env(name) : word.slice(equals + 1);
    if (value !== undefined) variables.set(name, value);
    else variables.delete(name);
  };
  for (const word of own) set(word);
  if (home !== undefined) variables.set("HOME", home);
  if (terminal && !variables.has("TERM")) variables.set("TERM", "xterm");
  for (const word of [...fromFiles(envFile, host), ...env]) set(word, host);
  return [...variables].map(([name, value]) => `${name}=${value}`);
};
