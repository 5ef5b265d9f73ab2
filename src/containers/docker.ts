// docker's flags, as a person writes them, into a config. Names, units and messages are docker's.

import { UsageError } from "../abi/errors.ts";
import type { Limits } from "../cgroups/limits.ts";
import { parseGroup, parseId, parsePasswd } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { Config, Linux, Mount, Process } from "./config.ts";
import { CGROUP_MOUNT, DEVICE_RULES, DEVICES, MASKED_PATHS, MOUNTS, READONLY_PATHS } from "./defaults.ts";
import type { Security } from "./security.ts";

/** `nsk run`'s options. @see docker-run(1) */
export interface Flags {
  readonly rootfs?: string | undefined;
  readonly cpus?: string | undefined;
  readonly cpuShares?: string | undefined;
  readonly cpusetCpus?: string | undefined;
  readonly memory?: string | undefined;
  readonly pidsLimit?: string | undefined;
  readonly hostname?: string | undefined;
  readonly env: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly readOnly: boolean;
  readonly volume: readonly string[];
  readonly tty: boolean;
  readonly network?: string | undefined;
  readonly privileged: boolean;
}

/** A config for `args`. Throws {@link UsageError} for a value that makes no sense. */
export const configFromFlags = (
  flags: Flags,
  security: Security,
  args: readonly string[],
  id: string,
  host: Host,
): Config => {
  const network = flags.network ?? "none";
  if (network !== "none" && network !== "host")
    throw new UsageError(`--network ${network}: nsk run has none (loopback only) and host`);
  const { path } = parseRootfs(flags.rootfs);
  const user = parseUser(flags.user, path, host);
  const hostname = flags.hostname ?? id;
  if (hostname.length === 0 || hostname.length > 64)
    throw new UsageError(`invalid --hostname '${hostname}': 1 to 64 bytes`);
  return {
    process: {
      terminal: flags.tty,
      user,
      args,
      env: environment(flags, hostname, user.home, host),
      cwd: parseWorkdir(flags.workdir),
      capabilities: security.capabilities,
      noNewPrivileges: security.noNewPrivileges,
    },
    root: { path, readonly: flags.readOnly },
    hostname,
    mounts: [
      ...(flags.privileged ? MOUNTS.map(writable) : MOUNTS),
      flags.privileged ? writable(CGROUP_MOUNT) : CGROUP_MOUNT,
      ...flags.volume.map(parseVolume),
    ],
    linux: {
      namespaces: namespaces(network),
      resources: parseResources(flags),
      maskedPaths: security.protectsPaths ? MASKED_PATHS : [],
      readonlyPaths: security.protectsPaths ? READONLY_PATHS : [],
      devices: DEVICES,
    },
  };
};

const writable = (mount: Mount): Mount => ({
  ...mount,
  options: mount.options.filter((option) => option !== "ro"),
});

const namespaces = (network: "none" | "host"): Linux["namespaces"] =>
  network === "host"
    ? ["mount", "pid", "uts", "ipc", "cgroup"]
    : ["mount", "pid", "uts", "ipc", "network", "cgroup"];

/** `DIR` is used as it is, `DIR:O` below a throwaway layer (podman's notation), and no rootfs is `/:O`. */
export const parseRootfs = (rootfs: string | undefined): { path: string; overlay: boolean } => {
  if (rootfs === undefined) return { path: "/", overlay: true };
  const overlay = rootfs.endsWith(":O");
  const path = overlay ? rootfs.slice(0, -2) : rootfs;
  if (path === "") throw new UsageError("--rootfs needs a directory");
  if (path === "/" && !overlay)
    throw new UsageError("--rootfs / would be this machine itself", "leave --rootfs out, or write /:O");
  return { path, overlay };
};

const parseWorkdir = (workdir = "/"): string => {
  if (!workdir.startsWith("/"))
    throw new UsageError(`the working directory '${workdir}' is invalid, it needs to be an absolute path`);
  return workdir;
};

const parseVolume = (text: string): Mount => {
  const [source = "", destination, mode, ...more] = text.split(":");
  if (destination === undefined || more.length)
    throw new UsageError(`invalid volume '${text}': SRC:DST[:ro]`);
  if (!source.includes("/"))
    throw new UsageError(
      `invalid volume '${text}': nsk has no named volumes`,
      "write a path: ./NAME or /some/where",
    );
  if (!destination.startsWith("/") || destination.split("/").every((part) => part === "" || part === "."))
    throw new UsageError(`invalid volume '${text}': the place inside is an absolute path, and not /`);
  if (destination.split("/").includes(".."))
    throw new UsageError(`invalid volume '${text}': '..' in the place inside`);
  if (mode !== undefined && mode !== "ro" && mode !== "rw")
    throw new UsageError(`invalid volume '${text}': ro or rw, not '${mode}'`);
  return { destination, source, type: "bind", options: mode === "ro" ? ["rbind", "ro"] : ["rbind"] };
};

/** `name|uid[:group|gid]`, looked up in the root's own files. */
const parseUser = (
  text: string | undefined,
  root: string,
  host: Host,
): Process["user"] & { home: string } => {
  const inRoot = (path: string): string | undefined => host.read(`${root === "/" ? "" : root}${path}`);
  const passwd = parsePasswd(inRoot("/etc/passwd"));
  const [name = "", groupName] = (text ?? "0").split(":");
  const uid = parseId(name);
  const user = passwd.find((row) => (uid === undefined ? row.name === name : row.uid === uid));
  if (uid === undefined && !user)
    throw new UsageError(`unable to find user ${name}: no matching entries in the container's /etc/passwd`);
  const known = parseGroup(inRoot("/etc/group"));
  let gid = user?.gid ?? 0;
  if (groupName !== undefined) {
    const found = parseId(groupName) ?? known.find((row) => row.name === groupName)?.gid;
    if (found === undefined)
      throw new UsageError(
        `unable to find group ${groupName}: no matching entries in the container's /etc/group`,
      );
    gid = found;
  }
  const additionalGids =
    user && groupName === undefined
      ? known.filter((row) => row.members.includes(user.name)).map((row) => row.gid)
      : [];
  return { uid: uid ?? user!.uid, gid, additionalGids, home: user?.home || "/" };
};

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** As docker's: a few variables of its own, then `-e`, where a name without a value takes the caller's. */
const environment = (flags: Flags, hostname: string, home: string, host: Host): string[] => {
  const variables = new Map<string, string>([
    ["PATH", PATH],
    ["HOSTNAME", hostname],
    ...(flags.tty ? ([["TERM", "xterm"]] as const) : []),
    ["HOME", home],
  ]);
  for (const word of flags.env) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (name === "") throw new UsageError(`invalid environment variable: ${word}`);
    const value = equals < 0 ? host.env(name) : word.slice(equals + 1);
    if (value !== undefined) variables.set(name, value);
    else variables.delete(name);
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
};

/** Microseconds; the kernel's default and docker's. */
const PERIOD = 100_000;
/** The kernel's smallest quota. @see sched-bwc in the kernel's documentation */
const SMALLEST_QUOTA = 1_000;

const parseResources = (flags: Flags): Limits => {
  const quota =
    flags.cpus === undefined ? undefined : Math.round(parseDecimal("--cpus", flags.cpus) * PERIOD);
  // docker: --cpus 0 is no limit
  if (quota && quota < SMALLEST_QUOTA)
    throw new UsageError(
      `invalid argument '${flags.cpus}' for --cpus: the smallest is ${SMALLEST_QUOTA / PERIOD}`,
    );
  return {
    ...(quota && { cpuQuota: quota, cpuPeriod: PERIOD }),
    cpuShares: wholeNumber("--cpu-shares", flags.cpuShares, 0) || undefined,
    cpus: flags.cpusetCpus === undefined ? undefined : parseCpuList(flags.cpusetCpus),
    memory: flags.memory === undefined ? undefined : parseMemory(flags.memory) || undefined,
    pids: unlimitedAsUndefined(wholeNumber("--pids-limit", flags.pidsLimit, -1)),
    devices: flags.privileged ? undefined : DEVICE_RULES,
  };
};

const unlimitedAsUndefined = (count: number | undefined): number | undefined =>
  count === undefined || count <= 0 ? undefined : count;

const parseDecimal = (option: string, text: string): number => {
  if (!/^\d+(\.\d*)?$|^\.\d+$/.test(text))
    throw new UsageError(`invalid argument '${text}' for ${option}: a number such as 0.5`);
  return Number(text);
};

const wholeNumber = (option: string, text: string | undefined, least: number): number | undefined => {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^-?\d+$/.test(text) || value < least || !Number.isSafeInteger(value))
    throw new UsageError(`invalid argument '${text}' for ${option}: a whole number`);
  return value;
};

const UNITS = { b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 } as const;
/** docker refuses less: no program starts in it. */
const LEAST_MEMORY = 6 * UNITS.m;

/** Bytes from `64m`, `1.5g`, `65536`, as docker takes them. */
export const parseMemory = (text: string): number => {
  const found = /^(\d+(?:\.\d+)?)([bkmgt])?(?:i?b)?$/i.exec(text);
  if (!found) throw new UsageError(`invalid argument '${text}' for --memory: a size such as 64m`);
  const bytes = Math.floor(Number(found[1]) * UNITS[(found[2]?.toLowerCase() ?? "b") as keyof typeof UNITS]);
  if (bytes !== 0 && bytes < LEAST_MEMORY)
    throw new UsageError(`invalid argument '${text}' for --memory: the least is 6m`);
  return bytes;
};

/** `0-2,4`. @see cpuset(7), "List format" */
const parseCpuList = (text: string): string => {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text))
    throw new UsageError(`invalid argument '${text}' for --cpuset-cpus: a list such as 0-2,4`);
  return text;
};
