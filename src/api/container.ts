// A container of an image, as options of a script: from them a plan.

import { HostError, UsageError } from "../abi/errors.ts";
import { removeLeftovers } from "../backends/leftovers.ts";
import { findKeptPath } from "../containers/kept-files.ts";
import { planContainer } from "../containers/plan.ts";
import { mayAdminister } from "../containers/privileges.ts";
import { liveHost } from "../host/live.ts";
import { containerFromWords, type RunFlags } from "../run/container.ts";
import { ABANDONED, type Program, type ResourceLimits } from "./program.ts";

/** A file or directory of the machine's in a container. */
export interface Volume {
  /** Absolute, and there. */
  readonly source: string;
  /** Where it is inside; made where the image has nothing there. */
  readonly target: string;
  readonly readOnly?: boolean;
}

/** What is not as the image says, and not as docker's defaults. The names are those of `nsk run`'s options. @see docker-run(1) */
export interface ContainerOptions {
  /** A name that others can call it by: `nsk ps -a`, `nsk exec`. */
  readonly name?: string;
  /** The program, instead of the image's; `argv` are its arguments. */
  readonly entrypoint?: string;
  /** Besides the image's. */
  readonly env?: Readonly<Record<string, string>>;
  /** The working directory inside. */
  readonly cwd?: string;
  /** `name|uid[:group|gid]`, looked up inside. */
  readonly user?: string;
  /** Its id unless given. */
  readonly hostname?: string;
  readonly limits?: ResourceLimits;
  readonly volumes?: readonly Volume[];
  /** Empty directories in memory, by their paths inside. */
  readonly tmpfs?: readonly string[];
  /** Nothing can be written but what is mounted. */
  readonly readOnly?: boolean;
  /** `none` (loopback only) unless given, `host`, or for a plain user `pasta` and `slirp4netns`. */
  readonly network?: string;
  /** Capabilities besides docker's, or `ALL`. @see capabilities(7) */
  readonly capAdd?: readonly string[];
  readonly capDrop?: readonly string[];
  readonly privileged?: boolean;
  /** `no-new-privileges`, `seccomp=FILE`, `seccomp=unconfined`, … */
  readonly securityOpt?: readonly string[];
  /** Devices of the machine's: `/dev/fuse[:/dev/fuse][:rwm]`. */
  readonly devices?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  /** A first process that passes signals on and waits for orphans. */
  readonly init?: boolean;
  /** `missing` unless given. */
  readonly pull?: "always" | "missing" | "never";
  /** `OS/ARCH[/VARIANT]` of an image for several platforms. */
  readonly platform?: string;
  /** Seconds until it is killed. */
  readonly timeout?: number;
}

const text = (number: number | undefined): string | undefined =>
  number === undefined ? undefined : String(number);

const mountWord = ({ source, target, readOnly }: Volume): string => {
  for (const path of [source, target])
    if (path.includes(",")) throw new UsageError(`a volume's path cannot have a comma: ${path}`);
  return `type=bind,source=${source},target=${target}${readOnly ? ",readonly" : ""}`;
};

const flagsOf = (options: ContainerOptions): RunFlags => {
  const { env = {}, labels = {}, limits = {}, volumes = [] } = options;
  const words = (of: Readonly<Record<string, string>>): string[] =>
    Object.entries(of).map(([name, value]) => `${name}=${value}`);
  return {
    name: options.name,
    entrypoint: options.entrypoint,
    env: words(env),
    envFile: [],
    workdir: options.cwd,
    user: options.user,
    hostname: options.hostname,
    cpus: text(limits.cpus),
    cpuShares: text(limits.cpuShares),
    cpusetCpus: limits.cpuset,
    memory: text(limits.memory),
    pidsLimit: text(limits.pids),
    mount: volumes.map(mountWord),
    volume: [],
    tmpfs: options.tmpfs ?? [],
    readOnly: options.readOnly ?? false,
    network: options.network,
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    privileged: options.privileged ?? false,
    securityOpt: options.securityOpt ?? [],
    device: options.devices ?? [],
    label: words(labels),
    init: options.init ?? false,
    pull: options.pull,
    platform: options.platform,
    timeout: text(options.timeout),
    // What the program reads is for whoever starts the plan to say.
    interactive: true,
    tty: false,
    detach: false,
    rm: true,
    groupAdd: [],
    ulimit: [],
    sysctl: [],
    addHost: [],
    dns: [],
    dnsSearch: [],
    dnsOption: [],
  };
};

/**
 * The plan of a container, for {@link run}, {@link spawn} and {@link explain}: one container, so it can be started once.
 * `root` is an image, by all that `nsk run` takes for one (a file or directory among them), pulled where the store has
 * it not; or a directory that is the root as it is, with `:O` under a throwaway layer, the machine's own (`/:O`) among
 * them. To `kill` the process that it is started as is to kill the container, and when the script ends so does the
 * container.
 *
 * @example
 * ```ts
 * import { container, run } from "nsk";
 *
 * const plan = await container({ rootfs: "/:O" }, ["sh", "-c", "echo $GREETING from $(hostname)"], {
 *   env: { GREETING: "hello" },
 *   hostname: "inside",
 *   limits: { pids: 20 },
 * });
 * const { stdout, status } = await run(plan);
 * console.log(status, stdout.trim()); // → 0 hello from inside
 * ```
 * @throws UsageError for options that make no sense, HostError for what this machine or user cannot do, and where the
 * image cannot be had
 * @see docker-run(1)
 */
export const container = (
  root: string | { readonly rootfs: string },
  argv: readonly string[] = [],
  options: ContainerOptions = {},
): Promise<Program> => {
  // Later the runtime does not know any more who called from a module's top level.
  const { stack = "" } = new Error();
  return planOf(root, argv, options).catch((error: unknown) => {
    if (error instanceof Error)
      error.stack = `${error.name}: ${error.message}${stack.slice(stack.indexOf("\n"))}`;
    throw error;
  });
};

const planOf = async (
  root: string | { readonly rootfs: string },
  argv: readonly string[],
  options: ContainerOptions,
): Promise<Program> => {
  const host = liveHost();
  const flags = { ...flagsOf(options), ...(typeof root === "string" ? { image: root } : root) };
  const made = await containerFromWords(flags, argv, false, host, "nsk");
  if (made.users === undefined && !mayAdminister(host))
    throw new HostError("needs CAP_SYS_ADMIN, which root does not have here");
  removeLeftovers(made.state, findKeptPath(host));
  const plan = planContainer("nsk", { ...made, killOn: ABANDONED }, host);
  return {
    ...plan,
    title: `container ${made.id} (${made.config.process.args.join(" ")})`,
    groups: made.limits.groups,
    deathSignal: ABANDONED,
  };
};
