// docker's flags, as a person writes them, into a config. Names, units and messages are docker's.

import { HostError, UsageError } from "../abi/errors.ts";
import { parseGroup, parseId, parsePasswd } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { Config, Device, Mount, NamespaceType, Process } from "./config.ts";
import { CGROUP_MOUNT, DEVICES, MASKED_PATHS, MOUNTS, READONLY_PATHS } from "./defaults.ts";
import { type LimitFlags, parseBytes, parseResources, parseUlimits, wholeNumber } from "./docker-limits.ts";
import { allDevices, type MountFlags, parseDevice, parseMounts } from "./docker-mounts.ts";
import type { Security } from "./security.ts";

/** `nsk run`'s options. @see docker-run(1) */
export interface Flags extends LimitFlags, MountFlags {
  readonly rootfs?: string | undefined;
  readonly hostname?: string | undefined;
  readonly env: readonly string[];
  readonly workdir?: string | undefined;
  readonly user?: string | undefined;
  readonly readOnly: boolean;
  readonly device: readonly string[];
  readonly groupAdd: readonly string[];
  readonly ulimit: readonly string[];
  readonly sysctl: readonly string[];
  readonly shmSize?: string | undefined;
  readonly oomScoreAdj?: string | undefined;
  readonly envFile: readonly string[];
  readonly ipc?: string | undefined;
  readonly uts?: string | undefined;
  readonly userns?: string | undefined;
  readonly tty: boolean;
  readonly network?: string | undefined;
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
  if (!/^(?:none|host|pasta(?::.*)?|slirp4netns(?::.*)?)$/s.test(network))
    throw new UsageError(
      `--network ${network}: nsk run has none (loopback only), host, pasta and slirp4netns`,
    );
  const own = parseNamespaces(flags, network);
  const { path } = parseRootfs(flags.rootfs);
  const kept = parseUserns(flags.userns, host);
  const user = parseUser(flags.user ?? (kept && `${kept.uid}:${kept.gid}`), path, host);
  const extra = parseGroups(flags.groupAdd, path, host);
  const hostname = parseHostname(flags, id, own, host);
  const devices = flags.device.map((text) => parseDevice(text, host));
  const { privileged } = flags;
  const oomScoreAdj = wholeNumber("--oom-score-adj", flags.oomScoreAdj, -1000);
  if (oomScoreAdj !== undefined && oomScoreAdj > 1000)
    throw new UsageError(`invalid argument '${oomScoreAdj}' for --oom-score-adj: from -1000 to 1000`);
  return {
    process: {
      terminal: flags.tty,
      user: extra.length ? { ...user, additionalGids: [...user.additionalGids, ...extra] } : user,
      args,
      env: environment(flags, hostname, user.home, host),
      cwd: parseWorkdir(flags.workdir),
      capabilities: security.capabilities,
      noNewPrivileges: security.noNewPrivileges,
      rlimits: parseUlimits(flags.ulimit),
      oomScoreAdj,
    },
    root: { path, readonly: flags.readOnly },
    hostname,
    mounts: [...ownMounts(flags, own), ...parseMounts(flags)],
    linux: {
      namespaces: own.map((type) => ({ type })),
      resources: parseResources(
        flags,
        devices.map(({ rule }) => rule),
      ),
      maskedPaths: security.protectsPaths ? MASKED_PATHS : [],
      readonlyPaths: security.protectsPaths ? READONLY_PATHS : [],
      devices: devicesOf(
        devices.map(({ device }) => device),
        privileged && host.euid === 0 ? allDevices(host) : [],
      ),
      sysctl: parseSysctls(flags.sysctl, own),
    },
  };
};

/** docker's, those asked for, and for a privileged container the host's; each place once. */
const devicesOf = (...more: readonly (readonly Device[])[]): readonly Device[] => {
  if (more.every((list) => list.length === 0)) return DEVICES;
  const devices = [...DEVICES];
  for (const list of more)
    for (const device of list) if (!devices.some(({ path }) => path === device.path)) devices.push(device);
  return devices;
};

/** The file systems that a container has of its own; those of the host's IPC namespace are the host's. */
const ownMounts = ({ privileged, shmSize, ipc }: Flags, own: readonly NamespaceType[]): Mount[] => {
  const size = shmSize === undefined ? undefined : parseBytes("--shm-size", shmSize);
  const isOwn = own.includes("ipc");
  const mounts: Mount[] = [];
  for (const mount of MOUNTS) {
    const { destination } = mount;
    if (destination === "/dev/shm" && (ipc === "none" || !isOwn)) continue;
    if (destination === "/dev/shm" && size !== undefined) {
      const options = mount.options.filter((option) => !option.startsWith("size="));
      mounts.push({ ...mount, options: size ? [...options, `size=${size}`] : options });
    } else mounts.push(privileged ? writable(mount) : mount);
  }
  mounts.push(privileged ? writable(CGROUP_MOUNT) : CGROUP_MOUNT);
  // A message queue's file system shows the namespace that it is mounted in, so that needs no more.
  if (!isOwn) mounts.push({ destination: "/dev/shm", source: "/dev/shm", type: "bind", options: ["rbind"] });
  return mounts;
};

const parseHostname = (flags: Flags, id: string, own: readonly NamespaceType[], host: Host): string => {
  if (!own.includes("uts")) {
    if (flags.hostname !== undefined)
      throw new UsageError("--hostname and --uts host: the host's name would be changed");
    return host.read("/proc/sys/kernel/hostname")?.trim() || id;
  }
  const hostname = flags.hostname ?? id;
  if (hostname.length === 0 || hostname.length > 64)
    throw new UsageError(`invalid --hostname '${hostname}': 1 to 64 bytes`);
  return hostname;
};

/** `NAME=value`, of its own namespaces only: others are the host's. */
const parseSysctls = (texts: readonly string[], own: readonly NamespaceType[]): Record<string, string> => {
  const found: Record<string, string> = {};
  for (const text of texts) {
    const [, name = "", value = ""] = /^([\w-]+(?:\.[\w-]+)+)=(.*)$/s.exec(text) ?? [];
    const kind = SYSCTLS.find(([, pattern]) => pattern.test(name))?.[0];
    if (kind === undefined)
      throw new UsageError(
        `invalid --sysctl '${text}': NAME=value, and a name that a namespace has of its own`,
      );
    if (!own.includes(kind))
      throw new UsageError(
        `--sysctl ${name}: it would be the host's, as the container has no ${kind} namespace`,
      );
    found[name] = value;
  }
  return found;
};

const SYSCTLS: readonly (readonly [kind: NamespaceType, pattern: RegExp])[] = [
  ["network", /^net\./],
  ["ipc", /^fs\.mqueue\.|^kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$/],
  ["uts", /^kernel\.domainname$/],
];

const writable = (mount: Mount): Mount => ({
  ...mount,
  options: mount.options.filter((option) => option !== "ro"),
});

/** A namespace that is shared with the host is none of its own. */
const parseNamespaces = ({ ipc, uts }: Flags, network: string): readonly NamespaceType[] => {
  const own: NamespaceType[] = ["mount", "pid"];
  const check = (option: string, value: string | undefined, known: readonly string[]): void => {
    if (value !== undefined && !known.includes(value))
      throw new UsageError(`--${option} ${value}: nsk run has ${known.filter(Boolean).join(" and ")}`);
  };
  check("uts", uts, ["", "private", "host"]);
  check("ipc", ipc, ["", "private", "shareable", "none", "host"]);
  if (uts !== "host") own.push("uts");
  if (ipc !== "host") own.push("ipc");
  if (network !== "host") own.push("network");
  own.push("cgroup");
  return own;
};

/**
 * Which ids a plain user's own are inside: root's (`host`, as podman has it), for which this is undefined, or podman's
 * `keep-id[:uid=N,gid=N]`. Root's containers have no user namespace.
 */
export const parseUserns = (text: string = "", host: Host): { uid: number; gid: number } | undefined => {
  if (text === "" || text === "host") return undefined;
  const [, words] = /^keep-id(?::(.*))?$/s.exec(text) ?? [text];
  if (host.euid === 0 || !text.startsWith("keep-id"))
    throw new UsageError(
      host.euid === 0
        ? `--userns ${text}: root's containers have the host's ids (host)`
        : `--userns ${text}: a plain user's containers have host (root inside is the user) and keep-id`,
    );
  let [uid, gid] = [host.euid, host.egid];
  for (const word of words?.split(",") ?? []) {
    const [, name, value = ""] = /^(uid|gid)=(\d+)$/.exec(word) ?? [];
    const id = parseId(value);
    if (id === undefined) throw new UsageError(`invalid --userns '${text}': keep-id[:uid=N,gid=N]`);
    if (name === "uid") uid = id;
    else gid = id;
  }
  return { uid, gid };
};

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

/** Groups besides the user's, by number or the root's own names. */
const parseGroups = (texts: readonly string[], root: string, host: Host): number[] => {
  if (texts.length === 0) return [];
  const known = parseGroup(host.read(`${root === "/" ? "" : root}/etc/group`));
  return texts.map((text) => {
    const gid = parseId(text) ?? known.find(({ name }) => name === text)?.gid;
    if (gid !== undefined) return gid;
    throw new UsageError(`unable to find group ${text}: no matching entries in the container's /etc/group`);
  });
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
  for (const word of flags.envFile.length ? [...fromFiles(flags.envFile, host), ...flags.env] : flags.env) {
    const equals = word.indexOf("=");
    const name = equals < 0 ? word : word.slice(0, equals);
    if (name === "") throw new UsageError(`invalid environment variable: ${word}`);
    const value = equals < 0 ? host.env(name) : word.slice(equals + 1);
    if (value !== undefined) variables.set(name, value);
    else variables.delete(name);
  }
  return [...variables].map(([name, value]) => `${name}=${value}`);
};

/** `NAME=value` or `NAME` on each line, as they stand there; lines that begin with # are none. @see docker-run(1) */
const fromFiles = (paths: readonly string[], host: Host): string[] =>
  paths.flatMap((path) => {
    const text = host.read(path);
    if (text === undefined) throw new HostError(`--env-file ${path}: it is not there or cannot be read`);
    const lines = text.split(/\r?\n/).map((line) => line.trimStart());
    return lines.filter((line) => line !== "" && !line.startsWith("#"));
  });
