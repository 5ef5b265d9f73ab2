// From docker's flags, as a person writes them, to a container that can be planned: its image, what it shares, its
// limits, as root and as a plain user.

import { HostError, UsageError } from "../abi/errors.ts";
import { parseSignal } from "../abi/flags.ts";
import { planLimits } from "../cgroups/limits.ts";
import { type Config, hasNamespace, hasNewNamespace, type OwnFile } from "../containers/config.ts";
import type { Container } from "../containers/container.ts";
import { configFromFlags, type Flags, type Joined, parseRootfs } from "../containers/docker.ts";
import { type FileFlags, ownFiles } from "../containers/docker-files.ts";
import { wholeNumber } from "../containers/docker-limits.ts";
import { keptPath } from "../containers/kept-files.ts";
import { checkName, type Details } from "../containers/record.ts";
import {
  parseSecurity,
  type Security,
  type SecurityFlags,
  seccompProgram,
  withoutNodes,
} from "../containers/security.ts";
import { statePath } from "../containers/state-path.ts";
import type { UserNetwork } from "../containers/user-network.ts";
import type { Host } from "../host/host.ts";
import { isRootOfAll } from "../host/kernel.ts";
import { findStorePath } from "../host/store-path.ts";
import type { Step } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import { randomBytes } from "../sys/random.ts";
import type { ImageOptions } from "./image.ts";

/** `nsk run`'s options. @see docker-run(1) */
export interface RunFlags extends Flags, SecurityFlags, FileFlags, Omit<ImageOptions, "explain"> {
  readonly explain?: string | true | undefined;
  readonly entrypoint?: string | undefined;
  readonly interactive: boolean;
  readonly detach: boolean;
  /** Whether the terminal of one in the background is carried here from its start. */
  readonly isAttached?: boolean;
  readonly rm: boolean;
  readonly init: boolean;
  readonly name?: string | undefined;
  readonly label: readonly string[];
  readonly stopSignal?: string | undefined;
  readonly stopTimeout?: string | undefined;
  readonly timeout?: string | undefined;
  readonly cidfile?: string | undefined;
}

/** Loaded only where something is to be shared with another container, which is not what most want. */
const sharedBy = async (values: RunFlags, host: Host): Promise<Shared> =>
  sharesWith(values) ? (await import("./shared.ts")).shareWith(values, host) : {};

interface Shared {
  readonly joined?: Joined | undefined;
  readonly joins?: readonly Step[] | undefined;
}

const sharesWith = ({ pid, uts, ipc, network }: RunFlags): boolean =>
  [pid, uts, ipc, network].some((value) => value?.startsWith("container:"));

/** 12 hexadecimal digits. */
export const newId = (): string => randomBytes(6).toHex();

/** What to run and in what, from the options. */
export const containerFromFlags = async (
  values: RunFlags,
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
  const security = parseSecurity(values);
  const shared = await sharedBy(values, host);
  const config = configFromFlags({ ...values, ...shared }, security, args, id, host);
  return containerOf({ ...values, ...shared }, config, security, overlay ? [path] : [], id, host, name);
};

/**
 * Whether what belongs to images has to be loaded at all: not for a plain name of a program, where there is no store.
 * `first` is the first operand, unless `--` says that it is a program.
 */
export const mayNameImage = (values: RunFlags, first: string | undefined, host: Host): boolean => {
  if ([values.image, values.pull, values.platform].some((value) => value !== undefined)) return true;
  if (values.rootfs !== undefined || first === undefined) return false;
  const store = findStorePath(host);
  const isStore = store !== undefined && host.kind(`${store}/index.json`) !== undefined;
  if (/[:@]/.test(first) || isStore) return true;
  return !programCandidates(first, host.env("PATH")).some((path) => host.kind(path) === "file");
};

/** A container over an image, where the words name one; image.ts has the rule. */
export const containerFromWords = async (
  values: RunFlags,
  operands: readonly string[],
  dashed: boolean,
  host: Host,
  name: string,
): Promise<Container> => {
  const { applyImage, chooseImage, imageHost } = await import("./image.ts");
  const asked = { ...values, explain: values.explain !== undefined };
  const choice = await chooseImage(asked, operands, dashed, host, name);
  const id = newId();
  if (!choice) return containerFromFlags(values, operands, host, id, name);
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
  const security = parseSecurity(values);
  const shared = await sharedBy(values, host);
  const config = configFromFlags({ ...flags, ...shared }, security, args, id, imageHost(host, image));
  const named = { ...values, ...shared, image: values.image ?? operands[0] };
  return containerOf(named, config, security, image.layers, id, host, name);
};

const containerOf = async (
  values: RunFlags & Shared,
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
        { fifo: `${statePath(host)}/${id}.pid`, background: values.detach },
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
          values.isAttached ?? false,
        )
      : undefined,
  };
  const held = isRootOfAll(host)
    ? asRoot(container, values, network, host)
    : await (await import("./rootless.ts")).asPlainUser(container, values, network, host, name);
  if (!hasNewNamespace(config.linux, "pid") && held.limits.groups.length === 0)
    throw new HostError(
      `--pid ${values.pid}: without control groups nobody could tell which processes are the container's`,
      "nsk doctor says what is in their way",
    );
  return { ...held, details: detailsFrom(values, held.config, filter) };
};

/** A privileged container has the machine's own terminals anyway. */
const typingOf = async ({ privileged }: RunFlags, { process }: Config): Promise<Uint8Array | undefined> => {
  const { bounding } = process.capabilities;
  if (privileged || !bounding.includes("CAP_SYS_ADMIN")) return undefined;
  const { typingFilter } = await import("../containers/seccomp/typing.ts");
  return typingFilter(bounding, process.terminal);
};

type Undecided = Omit<Container, "limits" | "users" | "details">;

const asRoot = (
  container: Undecided,
  values: RunFlags,
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
const detailsFrom = (values: RunFlags, config: Config, filter: Uint8Array | undefined): Details => {
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
  values: RunFlags,
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
