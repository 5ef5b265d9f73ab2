// nsk run: a container over this machine's own root, or over a directory, with docker's flags.

import { HostError, UsageError } from "../abi/errors.ts";
import { assemblePrepared } from "../backends/launcher/prepared.ts" with { type: "macro" };
import { removeLeftovers } from "../backends/leftovers.ts";
import { findKeptPath } from "../containers/kept-files.ts";
import { planContainer } from "../containers/plan.ts";
import { mayAdminister } from "../containers/privileges.ts";
import { ownStatePath } from "../containers/state-path.ts";
import type { Host } from "../host/host.ts";
import { containerFromFlags, containerFromWords, mayNameImage, newId } from "../run/container.ts";
import { carryOut, explainOption } from "./carry-out.ts";
import { environmentOptions } from "./environment-options.ts";
import { wantsTerminal } from "./terminal.ts";
import { command, type OptionTable, type Values } from "./command.ts";

const NO_PORTS = "the container has no network of its own but loopback, so there is no port to publish";

/** What docker has and nsk has not: refused by name, and never ignored. */
const refused = {
  publish: ["--publish", NO_PORTS],
  publishAll: ["--publish-all", NO_PORTS],
  ip: ["--ip", "the container has no network of its own but loopback, so there is no address to have"],
  restart: ["--restart", "nobody watches over a container but the nsk that waits for it"],
  healthCmd: ["--health-cmd", "there are no health checks"],
} as const;

const refusedOptions = {
  publish: {
    type: "string",
    alias: "p",
    multiple: true,
    valueHint: "ports",
    description: "refused: no ports",
  },
  publishAll: { type: "boolean", alias: "P", description: "refused: no ports" },
  // By itself: it begins the name of --ipc.
  ip: { type: "string", valueHint: "address", description: "refused: no addresses" },
  restart: { type: "string", valueHint: "policy", description: "refused: nothing is started again" },
  healthCmd: { type: "string", valueHint: "command", description: "refused: no health checks" },
} as const satisfies OptionTable;

const refuse = (values: Values<typeof options>): void => {
  for (const key of Object.keys(refused) as (keyof typeof refused)[]) {
    const value = values[key];
    const isHarmless = value === undefined || value === false || value === "no" || value === "private";
    if (!isHarmless && !(Array.isArray(value) && value.length === 0))
      throw new UsageError(`${refused[key][0]}: ${refused[key][1]}`);
  }
};

const options = {
  image: {
    type: "string",
    valueHint: "IMAGE",
    description: "the image to run, pulled where it is not here yet; or a file or directory that is one",
  },
  pull: {
    type: "string",
    valueHint: "always|missing|never",
    description: "when the image is pulled: where it is not here (missing) unless given",
  },
  platform: {
    type: "string",
    valueHint: "OS/ARCH[/VARIANT]",
    description: "the image for this platform, pulled where it is here for another one only",
  },
  rootfs: {
    type: "string",
    valueHint: "DIR[:O]",
    description:
      "the container's root; with :O under a throwaway layer (this machine's own root, /:O, unless given)",
  },
  cpus: { type: "string", valueHint: "number", description: "how many CPUs it may use, e.g. 0.5" },
  cpuShares: {
    type: "string",
    alias: "c",
    valueHint: "number",
    description: "CPU weight against others (1024 is usual)",
  },
  cpuPeriod: {
    type: "string",
    valueHint: "microseconds",
    description: "the length of a period, 100000 unless given",
  },
  cpuQuota: { type: "string", valueHint: "microseconds", description: "how long it may run in each period" },
  cpusetMems: { type: "string", valueHint: "list", description: "the memory nodes it may use, e.g. 0-1" },
  blkioWeight: { type: "string", valueHint: "10..1000", description: "disk weight against others" },
  cpusetCpus: { type: "string", valueHint: "list", description: "the CPUs it may run on, e.g. 0-2,4" },
  memory: { type: "string", alias: "m", valueHint: "size", description: "memory limit, e.g. 64m" },
  memorySwap: {
    type: "string",
    valueHint: "size",
    description: "memory and swap together (twice the memory unless given; -1: no limit on swap)",
  },
  shmSize: {
    type: "string",
    valueHint: "size",
    description: "size of /dev/shm, e.g. 128m (64m unless given)",
  },
  ulimit: {
    type: "string",
    multiple: true,
    valueHint: "name=soft[:hard]",
    description: "e.g. nofile=1024:2048",
  },
  oomScoreAdj: {
    type: "string",
    valueHint: "-1000..1000",
    description: "who goes first when memory runs out",
  },
  pidsLimit: {
    type: "string",
    valueHint: "number",
    description: "how many processes and threads (-1: no limit)",
  },
  hostname: {
    type: "string",
    alias: "h",
    valueHint: "name",
    description: "host name inside (the container's id unless given)",
  },
  ...environmentOptions,
  entrypoint: {
    type: "string",
    valueHint: "program",
    description: "the program, instead of the image's; operands are its arguments",
  },
  workdir: { type: "string", alias: "w", valueHint: "dir", description: "working directory inside" },
  user: { type: "string", alias: "u", valueHint: "name|uid[:group|gid]", description: "the user inside" },
  groupAdd: {
    type: "string",
    multiple: true,
    valueHint: "name|gid",
    description: "a group besides the user's own",
  },
  init: { type: "boolean", description: "a first process that passes signals on and waits for orphans" },
  readOnly: { type: "boolean", description: "make the root read-only" },
  volume: {
    type: "string",
    alias: "v",
    multiple: true,
    valueHint: "SRC:DST[:ro]",
    description: "bind a file or directory of the host into the container",
  },
  mount: {
    type: "string",
    multiple: true,
    valueHint: "type=bind|tmpfs,...",
    description: "type=bind,source=SRC,target=DST[,readonly], or type=tmpfs,target=DST[,tmpfs-size=64m]",
  },
  tmpfs: {
    type: "string",
    multiple: true,
    valueHint: "DST[:options]",
    description: "an empty directory in memory",
  },
  device: {
    type: "string",
    multiple: true,
    valueHint: "/dev/SRC[:/dev/DST][:rwm]",
    description: "a device of the host's",
  },
  detach: {
    type: "boolean",
    alias: "d",
    description: "start it in the background, print its id, and keep what it prints for nsk logs",
  },
  detachKeys: {
    type: "string",
    valueHint: "keys",
    description: 'with -it: leave it by these keys, and it goes on (ctrl-p,ctrl-q; "" for none)',
  },
  interactive: { type: "boolean", alias: "i", description: "keep standard input" },
  tty: { type: "boolean", alias: "t", description: "give it a terminal of its own" },
  network: {
    type: "string",
    alias: "net",
    valueHint: "none|host|container:NAME|pasta|slirp4netns",
    description:
      "loopback only (the default), the host's, another container's, or one that a program of that name provides",
  },
  ipc: {
    type: "string",
    valueHint: "private|shareable|none|host|container:NAME",
    description: "System V IPC, message queues and /dev/shm: its own, or those of one that is shareable",
  },
  pid: {
    type: "string",
    valueHint: "private|host|container:NAME",
    description: "process ids: its own, the host's, or another container's",
  },
  uts: { type: "string", valueHint: "private|host|container:NAME", description: "the host name" },
  userns: {
    type: "string",
    valueHint: "host|keep-id[:uid=N,gid=N]",
    description: "a plain user's: root inside is the user, or (keep-id) her id is hers inside, too",
  },
  addHost: {
    type: "string",
    multiple: true,
    valueHint: "name:address",
    description: "a line for /etc/hosts",
  },
  dns: {
    type: "string",
    multiple: true,
    valueHint: "address",
    description: "a name server, instead of the host's",
  },
  dnsSearch: {
    type: "string",
    multiple: true,
    valueHint: "domain",
    description: "a domain that names are looked for in",
  },
  dnsOption: {
    type: "string",
    alias: "dns-opt",
    multiple: true,
    valueHint: "option",
    description: "an option of resolv.conf(5)",
  },
  sysctl: {
    type: "string",
    multiple: true,
    valueHint: "name=value",
    description: "a setting of its own namespaces",
  },
  name: { type: "string", valueHint: "name", description: "a name that others can call it by" },
  label: {
    type: "string",
    alias: "l",
    multiple: true,
    valueHint: "name[=value]",
    description: "a word about it, for others",
  },
  stopSignal: {
    type: "string",
    valueHint: "signal",
    description: "what nsk stop asks it to end with (SIGTERM)",
  },
  stopTimeout: { type: "string", valueHint: "seconds", description: "how long it has then (10)" },
  timeout: { type: "string", valueHint: "seconds", description: "kill it after that time" },
  cidfile: { type: "string", valueHint: "file", description: "write the container's id to a new file" },
  capAdd: {
    type: "string",
    multiple: true,
    valueHint: "name",
    description: "a capability that it has besides docker's, or ALL",
  },
  capDrop: { type: "string", multiple: true, valueHint: "name", description: "one that it has not, or ALL" },
  privileged: {
    type: "boolean",
    description: "all capabilities, no filter on system calls, nothing masked or read-only: root, in short",
  },
  securityOpt: {
    type: "string",
    multiple: true,
    valueHint: "option",
    description: "no-new-privileges, seccomp=FILE, seccomp=unconfined, systempaths=unconfined",
  },
  rm: {
    type: "boolean",
    description: "with -d: keep nothing of it when it has ended (without -d nothing is ever left)",
  },
  ...refusedOptions,
  ...explainOption,
} as const;

const prepared = assemblePrepared("nsk run", 125);

export const run = command({
  definition: {
    meta: {
      name: "run",
      description:
        "Run a program in a container: namespaces, a root, limits and least privilege, gone when it ends.",
    },
    args: options,
  },
  usage: "[options] [<image>|--] [<program> [<argument>...]]",
  failure: 125,
  truths: true,
  lacks: async (option) => (await import("./run-lacks.ts")).whyNot(option),
  run: async ({ options, operands, dashed, host, name }) => {
    refuse(options);
    const keys = await keysToDetach(options, host);
    const isAttached = keys !== undefined;
    const detach = options.detach || isAttached;
    const tty = wantsTerminal({ ...options, interactive: options.interactive && !detach }, host, name);
    const progress = async () => (await import("./progress.ts")).openProgress(host, false);
    const values = {
      ...options,
      detach,
      isAttached,
      // Of what is not asked for with -d nothing stays.
      rm: options.rm || isAttached,
      tty,
      window: isAttached ? (await import("../sys/terminal.ts")).ownWindowSize(0) : undefined,
      progress,
    };
    const container = mayNameImage(values, dashed ? undefined : operands[0], host)
      ? await containerFromWords(values, operands, dashed, host, name)
      : await containerFromFlags(values, operands, host, newId(), name);
    const plan = planContainer(name, container, host);
    if (options.explain === undefined) {
      if (container.users === undefined) refuseWithoutPrivilege(host);
      const state = ownStatePath(host);
      if (state !== undefined) removeLeftovers(state, findKeptPath(host));
      if (options.name !== undefined) {
        const { refuseKeptName } = await import("../backends/containers.ts");
        refuseKeptName(options.name, host);
      }
    }
    if (keys && options.explain === undefined)
      return (await import("./run-attached.ts")).runAttached(plan, keys, host, name);
    return carryOut(plan, options, host, prepared);
  },
});

/** Undefined where nobody types, or wants none: then this process waits for the container itself. */
const keysToDetach = async (
  { detach, detachKeys, interactive, tty }: Values<typeof options>,
  host: Host,
): Promise<number[] | undefined> => {
  const isTyped = interactive && tty && !detach && host.isTerminal(0);
  if (!isTyped && detachKeys === undefined) return undefined;
  const keys = (await import("./detach-keys.ts")).parseKeys(detachKeys);
  if (!isTyped || keys.length === 0) return undefined;
  // A machine that runs from a read-only disk has no place for the log.
  if (detachKeys === undefined && !(await import("./run-attached.ts")).mayKeep(host)) return undefined;
  return keys;
};

/** A container's root lacks it, which the first of many calls would tell in a word. @see capabilities(7) */
const refuseWithoutPrivilege = (host: Host): void => {
  if (mayAdminister(host)) return;
  throw new HostError(
    "needs CAP_SYS_ADMIN, which root does not have here: this is a container, or a service without it",
    "run it outside; containers of docker's and podman's get it by --privileged",
  );
};
