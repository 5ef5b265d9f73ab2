// docker's flags, as a person writes them, into a config. Names, units and messages are docker's.

import { HostError, UsageError } from "../abi/errors.ts";
import { parseGroup, parseId, parsePasswd } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { Config, Device, Mount, Namespace, NamespaceType, Process } from "./config.ts";
import { CGROUP_MOUNT, DEVICES, MASKED_PATHS, MOUNTS, READONLY_PATHS } from "./defaults.ts";
import { type LimitFlags, parseBytes, parseResources, parseUlimits, wholeNumber } from "./docker-limits.ts";
import { allDevices, type MountFlags, parseDevice, parseMounts } from "./docker-mounts.ts";
import { capabilitySets, type Security } from "./security.ts";
import { namespaceOfSysctl } from "./sysctls.ts";

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
  /** The size that its terminal has from the start, in rows and columns. */
  readonly window?: { readonly rows: number; readonly columns: number } | undefined;
  readonly network?: string | undefined;
  readonly pid?: string | undefined;
  /** The containers that the options above name with `container:`. */
  readonly joined?: Joined | undefined;
}

/** Of other containers: the files of namespaces to be shared, and what comes with them. */
export type Joined = Readonly<
  Partial<
    Record<
      NamespaceType,
      {
        readonly pid: number;
        /** The name of the slot that holds its first process. */
        readonly held: string;
        readonly hostname: string;
      }
    >
  >
>;

/** A config for `args`. Throws {@link UsageError} for a value that makes no sense. */
export const configFromFlags = (
  flags: Flags,
  security: Security,
  args: readonly string[],
  id: string,
  host: Host,
): Config => {
  const namespaces = parseNamespaces(flags);
  const own = namespaces.filter(({ path }) => path === undefined).map(({ type }) => type);
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
      consoleSize: flags.window && { height: flags.window.rows, width: flags.window.columns },
      user: extra.length ? { ...user, additionalGids: [...user.additionalGids, ...extra] } : user,
      args,
      env: environment(flags, hostname, user.home, host),
      cwd: parseWorkdir(flags.workdir),
      capabilities: capabilitySets(security.capabilities),
      noNewPrivileges: security.noNewPrivileges,
      rlimits: parseUlimits(flags.ulimit),
      oomScoreAdj,
    },
    root: { path, readonly: flags.readOnly },
    hostname,
    mounts: [...ownMounts(flags, own), ...parseMounts(flags)],
    linux: {
      namespaces,
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
const ownMounts = ({ privileged, shmSize, ipc, joined }: Flags, own: readonly NamespaceType[]): Mount[] => {
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
  const of = joined?.ipc?.held;
  if (!isOwn)
    mounts.push({ destination: "/dev/shm", source: "/dev/shm", type: "bind", options: ["rbind"], of });
  return mounts;
};

const parseHostname = (flags: Flags, id: string, own: readonly NamespaceType[], host: Host): string => {
  if (!own.includes("uts")) {
    if (flags.hostname !== undefined)
      throw new UsageError(`--hostname and --uts ${flags.uts}: another's name would be changed`);
    if (flags.joined?.uts) return flags.joined.uts.hostname;
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
    const kind = namespaceOfSysctl(name);
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

const writable = (mount: Mount): Mount => ({
  ...mount,
  options: mount.options.filter((option) => option !== "ro"),
});

/** A namespace that is shared with the host is none of its own, one of another container has a path. */
const parseNamespaces = (flags: Flags): Namespace[] => {
  const { joined = {} } = flags;
  const namespaces: Namespace[] = [{ type: "mount" }];
  for (const { option, type, file, words } of SHARED) {
    const value = flags[option];
    const other = joined[type];
    if (other) namespaces.push({ type, path: `/proc/${other.pid}/ns/${file}` });
    else if (value !== undefined && value !== "host" && !isNew(value, words, option))
      throw new UsageError(
        `--${option} ${value}: nsk run has ${[...words, "host", "container:NAME"].filter(Boolean).join(", ")}`,
      );
    else if (value !== "host") namespaces.push({ type });
  }
  namespaces.push({ type: "cgroup" });
  return namespaces;
};

const isNew = (value: string, words: readonly string[], option: string): boolean =>
  words.includes(value) || (option === "network" && words.includes(value.replace(/:.*/s, "")));

/** Namespaces that may be another's, by their options and files, and the words for new ones. */
export const SHARED = [
  { option: "pid", type: "pid", file: "pid", words: ["", "private"] },
  { option: "uts", type: "uts", file: "uts", words: ["", "private"] },
  { option: "ipc", type: "ipc", file: "ipc", words: ["", "private", "shareable", "none"] },
  { option: "network", type: "network", file: "net", words: ["none", "pasta", "slirp4netns"] },
] as const;

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
export const parseUser = (
  text: string | undefined,
  root: string,
  host: Host,
): Process["user"] & { home: string } => {
  const passwd = parsePasswd(readIn(root, "/etc/passwd", host));
  const [name = "", groupName] = (text ?? "0").split(":");
  const uid = parseId(name);
  const user = passwd.find((row) => (uid === undefined ? row.name === name : row.uid === uid));
  if (uid === undefined && !user)
    throw new UsageError(`unable to find user ${name}: no matching entries in the container's /etc/passwd`);
  const known = parseGroup(readIn(root, "/etc/group", host));
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

const readIn = (root: string, path: string, host: Host): string | undefined =>
  root === "/" ? host.read(path) : host.readIn(root, path);

/** Groups besides the user's, by number or the root's own names. */
const parseGroups = (texts: readonly string[], root: string, host: Host): number[] => {
  if (texts.length === 0) return [];
  const known = parseGroup(readIn(root, "/etc/group", host));
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
export const fromFiles = (paths: readonly string[], host: Host): string[] =>
  paths.flatMap((path) => {
    const text = host.read(path);
    if (text === undefined) throw new HostError(`--env-file ${path}: it is not there or cannot be read`);
    const lines = text.split(/\r?\n/).map((line) => line.trimStart());
    return lines.filter((line) => line !== "" && !line.startsWith("#"));
  });
