// nsk run: a container over this machine's own root, or over a directory, with docker's flags.

import { HostError, UsageError } from "../abi/errors.ts";
import { parseSignal } from "../abi/flags.ts";
import { assemblePrepared } from "../backends/launcher/prepared.ts" with { type: "macro" };
import { removeLeftovers } from "../backends/leftovers.ts";
import { planLimits } from "../cgroups/limits.ts";
import { type Config, hasNamespace, hasNewNamespace, type OwnFile } from "../containers/config.ts";
import { wholeNumber } from "../containers/docker-limits.ts";
import { ownFiles } from "../containers/docker-files.ts";
import { configFromFlags, type Joined, parseRootfs } from "../containers/docker.ts";
import type { Container } from "../containers/container.ts";
import { keptPath } from "../containers/kept-files.ts";
import { planContainer } from "../containers/plan.ts";
import { mayAdminister } from "../containers/privileges.ts";
import { checkName, type Details } from "../containers/record.ts";
import { ownStatePath, statePath } from "../containers/state-path.ts";
import { parseSecurity, type Security, seccompProgram, withoutNodes } from "../containers/security.ts";
import type { UserNetwork } from "../containers/user-network.ts";
import type { Host } from "../host/host.ts";
import { isRootOfAll } from "../host/kernel.ts";
import { randomBytes } from "../sys/random.ts";
import { storePath } from "../host/store-path.ts";
import type { Step } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import { carryOut, explainOption } from "./carry-out.ts";
import { wantsTerminal } from "./terminal.ts";
import { command, type OptionTable, type Values } from "./command.ts";

const NO_PORTS = "the container has no network of its own but loopback, so there is no port to publish";

/** What docker has and nsk has not: refused by name, and never ignored. */
const refused = {
  publish: ["--publish", NO_PORTS],
  publishAll: ["--publish-all", NO_PORTS],
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
  env: {
    type: "string",
    alias: "e",
    multiple: true,
    valueHint: "NAME[=value]",
    description: "set a variable, or hand on the caller's",
  },
  envFile: { type: "string", multiple: true, valueHint: "file", description: "variables, a line each" },
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
    description:
      "with -it: run it in the background, and be free to leave it by these keys, e.g. ctrl-p,ctrl-q",
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

const prepared = { plan: "nsk run", runtimes: assemblePrepared("nsk run", 125) };

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
  run: async ({ options, operands, dashed, host, name }) => {
    refuse(options);
    const keys = options.detachKeys === undefined ? undefined : await keysToDetach(options, host);
    const values = keys ? { ...options, detach: true } : options;
    const container = mayNameImage(values, dashed ? undefined : operands[0], host)
      ? await containerFromWords(values, operands, dashed, host, name)
      : await containerFromOptions(values, operands, host, newId(), name);
    const plan = planContainer(name, container, host);
    if (options.explain === undefined) {
      if (container.users === undefined) refuseWithoutPrivilege(host);
      const state = ownStatePath(host);
      if (state !== undefined) removeLeftovers(state, keptPath(host));
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

/** Undefined where nobody types: then it is as without. */
const keysToDetach = async (
  { detach, detachKeys, interactive, tty }: Values<typeof options>,
  host: Host,
): Promise<number[] | undefined> => {
  const keys = (await import("./detach-keys.ts")).parseKeys(detachKeys);
  return interactive && tty && !detach && host.isTerminal(0) ? keys : undefined;
};

/** A container's root lacks it, which the first of many calls would tell in a word. @see capabilities(7) */
const refuseWithoutPrivilege = (host: Host): void => {
  if (mayAdminister(host)) return;
  throw new HostError(
    "needs CAP_SYS_ADMIN, which root does not have here: this is a container, or a service without it",
    "run it outside; containers of docker's and podman's get it by --privileged",
  );
};

/** Loaded only where something is to be shared with another container, which is not what most want. */
const sharedBy = async (values: Values<typeof options>, host: Host): Promise<Shared> =>
  sharesWith(values) ? (await import("./run-shared.ts")).shareWith(values, host) : {};

interface Shared {
  readonly joined?: Joined;
  readonly joins?: readonly Step[];
}

const sharesWith = ({ pid, uts, ipc, network }: Values<typeof options>): boolean =>
  [pid, uts, ipc, network].some((value) => value?.startsWith("container:"));

const newId = (): string => randomBytes(6).toHex();

/** What to run and in what, from the options. */
export const containerFromOptions = async (
  values: Values<typeof options>,
  operands: readonly string[],
  host: Host,
  id: string,
  name: string,
): Promise<Container> => {
  const args = values.entrypoint ? [values.entrypoint, ...operands] : operands;
  if (args.length === 0)
    throw new UsageError("no program given", `${name} [options] [--] program [arguments]`);
  const { path, overlay } = parseRootfs(values.rootfs);
  const kind = host.kind(path);
  if (kind !== "directory")
    throw new HostError(`--rootfs ${path}: ${kind === undefined ? "no such directory" : "not a directory"}`);
  const tty = wantsTerminal({ ...values, interactive: values.interactive && !values.detach }, host, name);
  const security = parseSecurity(values);
  const shared = await sharedBy(values, host);
  const config = configFromFlags({ ...values, ...shared, tty }, security, args, id, host);
  return containerOf({ ...values, ...shared }, config, security, overlay ? [path] : [], id, host, name);
};

/**
 * Whether what belongs to images has to be loaded at all: not for a plain name of a program, where there is no store.
 * `first` is the first operand, unless `--` says that it is a program.
 */
const mayNameImage = (values: Values<typeof options>, first: string | undefined, host: Host): boolean => {
  if ([values.image, values.pull, values.platform].some((value) => value !== undefined)) return true;
  if (values.rootfs !== undefined || first === undefined) return false;
  if (/[:@]/.test(first) || host.kind(`${storePath(host)}/index.json`) !== undefined) return true;
  return !programCandidates(first, host.env("PATH")).some((path) => host.kind(path) === "file");
};

/** A container over an image, where the words name one; `run-image.ts` has the rule. */
const containerFromWords = async (
  values: Values<typeof options>,
  operands: readonly string[],
  dashed: boolean,
  host: Host,
  name: string,
): Promise<Container> => {
  const { applyImage, chooseImage, imageHost } = await import("./run-image.ts");
  const asked = { ...values, explain: values.explain !== undefined };
  const choice = await chooseImage(asked, operands, dashed, host, name);
  const id = newId();
  if (!choice) return containerFromOptions(values, operands, host, id, name);
  const { image } = choice;
  // docker: another entrypoint has arguments of its own, so the image's are not meant for it
  const run =
    values.entrypoint === undefined
      ? image.run
      : { ...image.run, entrypoint: [values.entrypoint].filter(Boolean), cmd: [] };
  const { flags, args } = applyImage(
    { ...values, rootfs: `${image.layers[0]}:O` },
    { ...image, run },
    choice.operands,
  );
  const tty = wantsTerminal({ ...values, interactive: values.interactive && !values.detach }, host, name);
  const security = parseSecurity(values);
  const shared = await sharedBy(values, host);
  const config = configFromFlags({ ...flags, ...shared, tty }, security, args, id, imageHost(host, image));
  const named = { ...values, ...shared, image: values.image ?? operands[0] };
  return containerOf(named, config, security, image.layers, id, host, name);
};

const containerOf = async (
  values: Values<typeof options> & Shared,
  config: Config,
  security: Security,
  lower: readonly string[],
  id: string,
  host: Host,
  name: string,
): Promise<Container> => {
  const network = /^(?:pasta|slirp4netns)/.test(values.network ?? "")
    ? (await import("../containers/user-network.ts")).planUserNetwork(
        values.network!,
        `${statePath(host)}/${id}.pid`,
        host,
      )
    : undefined;
  const filter = await seccompProgram(security, host);
  const container = {
    id,
    state: statePath(host),
    config,
    lower,
    input: values.interactive,
    files: filesFor(values, config, lower.length > 0, host, network?.resolver),
    init: values.init,
    cidfile: values.cidfile,
    filter,
    typing: await typingOf(values, config),
    joins: values.joins,
    timeout: wholeNumber("--timeout", values.timeout, 0) || undefined,
    background: values.detach
      ? (await import("../containers/background.ts")).inBackground(
          `${keptPath(host)}/${id}`,
          values.detachKeys !== undefined,
        )
      : undefined,
  };
  const held = isRootOfAll(host)
    ? asRoot(container, values, network, host)
    : await (await import("./run-rootless.ts")).asPlainUser(container, values, network, host, name);
  if (!hasNewNamespace(config.linux, "pid") && held.limits.groups.length === 0)
    throw new HostError(
      `--pid ${values.pid}: without control groups nobody could tell which processes are the container's`,
      "nsk doctor says what is in their way",
    );
  return { ...held, details: detailsFrom(values, held.config, filter) };
};

/** A privileged container has the machine's own terminals anyway. */
const typingOf = async (
  { privileged }: Values<typeof options>,
  { process }: Config,
): Promise<Uint8Array | undefined> => {
  const { bounding } = process.capabilities;
  if (privileged || !bounding.includes("CAP_SYS_ADMIN")) return undefined;
  const { typingFilter } = await import("../containers/seccomp/typing.ts");
  return typingFilter(bounding, process.terminal);
};

type Undecided = Omit<Container, "limits" | "users" | "details">;

const asRoot = (
  container: Undecided,
  values: Values<typeof options>,
  network: UserNetwork | undefined,
  host: Host,
): Undecided & Pick<Container, "limits"> => {
  if (network)
    throw new HostError(
      `--network ${values.network}: that is for containers in a user namespace, which root's are not`,
      "--network host shares the machine's",
    );
  const { id, config } = container;
  const { resources } = config.linux;
  const limits = planLimits(host, id, values.detach ? { ...resources, counted: true } : resources);
  const mayMakeNodes = limits.filtersDevices || values.privileged;
  return { ...container, config: mayMakeNodes ? config : withoutNodes(config, values), limits };
};

/** What others are told of it. The name stands first: removeLeftovers looks for it there. */
const detailsFrom = (
  values: Values<typeof options>,
  config: Config,
  filter: Uint8Array | undefined,
): Details => {
  const { name, label, stopSignal, stopTimeout, image, detach, rm, interactive, ipc, privileged } = values;
  const signal = stopSignal === undefined ? undefined : parseSignal(stopSignal);
  if (stopSignal !== undefined && signal === undefined) throw new UsageError(`invalid signal: ${stopSignal}`);
  return {
    name: name === undefined ? undefined : checkName(name),
    image,
    command: config.process.args,
    labels: label.length ? Object.fromEntries(label.map(parseLabel)) : undefined,
    stopSignal: signal,
    stopTimeout: wholeNumber("--stop-timeout", stopTimeout, -1),
    created: new Date().toISOString(),
    detached: detach,
    autoRemove: rm,
    ipc,
    privileged,
    interactive,
    config,
    filter: filter?.toBase64(),
  };
};

const parseLabel = (text: string): [name: string, value: string] => {
  const equals = text.indexOf("=");
  return equals < 0 ? [text, ""] : [text.slice(0, equals), text.slice(equals + 1)];
};

/** A root that is used as it is stays as it is. */
const filesFor = (
  values: Values<typeof options>,
  { hostname, linux }: Config,
  isThrownAway: boolean,
  host: Host,
  resolver: string | undefined,
): readonly OwnFile[] => {
  if (isThrownAway) return ownFiles(values, hostname ?? "", !hasNamespace(linux, "network"), host, resolver);
  const { addHost, dns, dnsSearch, dnsOption } = values;
  if (addHost.length || dns.length || dnsSearch.length || dnsOption.length)
    throw new UsageError(
      "--add-host and --dns… would change the root's own files",
      "--rootfs DIR:O leaves them alone",
    );
  return [];
};
