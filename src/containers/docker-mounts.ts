// docker's flags for what a container sees of files and devices, into mounts and devices.

import { HostError, UsageError } from "../abi/errors.ts";
import type { DeviceRule } from "../cgroups/devices.ts";
import type { Host } from "../host/host.ts";
import type { Device, Mount } from "./config.ts";
import { parseBytes } from "./docker-limits.ts";

/** @see docker-run(1) */
export interface MountFlags {
  readonly volume: readonly string[];
  readonly mount: readonly string[];
  readonly tmpfs: readonly string[];
}

/** What the user mounts, those that others lie in first, as docker sorts them. */
export const parseMounts = (flags: MountFlags): Mount[] => {
  const mounts = [
    ...flags.tmpfs.map(parseTmpfs),
    ...flags.mount.map(parseMount),
    ...flags.volume.map(parseVolume),
  ];
  const seen = new Set<string>();
  for (const { destination } of mounts) {
    const path = destination.split("/").filter(Boolean).join("/");
    if (seen.has(path)) throw new UsageError(`duplicate mount point: ${destination}`);
    seen.add(path);
  }
  const depth = ({ destination }: Mount): number => destination.split("/").filter(Boolean).length;
  return mounts.toSorted((one, other) => depth(one) - depth(other));
};

/** An absolute path that is no way out, and not the root itself. */
const checkDestination = (destination: string, option: string, text: string): void => {
  const parts = destination.split("/");
  if (!destination.startsWith("/") || parts.every((part) => part === "" || part === "."))
    throw new UsageError(`invalid ${option} '${text}': the place inside is an absolute path, and not /`);
  if (parts.includes("..")) throw new UsageError(`invalid ${option} '${text}': '..' in the place inside`);
  const [first, ...rest] = parts.filter((part) => part !== "" && part !== ".");
  if (first === "proc" && !PROC_COUNTS.includes(rest.join("/")))
    throw new UsageError(
      `invalid ${option} '${text}': nothing is mounted inside /proc, which protects the container`,
    );
};

/** Files of /proc that only tell of counts, and may tell of others: runc's list, for lxcfs and the like. */
export const PROC_COUNTS: readonly string[] = [
  "cpuinfo",
  "diskstats",
  "loadavg",
  "meminfo",
  "slabinfo",
  "stat",
  "swaps",
  "uptime",
];

const bind = (source: string, destination: string, isReadonly: boolean): Mount => ({
  destination,
  source,
  type: "bind",
  options: isReadonly ? ["rbind", "ro"] : ["rbind"],
});

const parseVolume = (text: string): Mount => {
  const [source = "", destination, mode, ...more] = text.split(":");
  if (destination === undefined || more.length)
    throw new UsageError(`invalid volume '${text}': SRC:DST[:ro]`);
  if (!source.includes("/"))
    throw new UsageError(
      `invalid volume '${text}': nsk has no named volumes`,
      "write a path: ./NAME or /some/where",
    );
  checkDestination(destination, "volume", text);
  if (mode !== undefined && mode !== "ro" && mode !== "rw")
    throw new UsageError(`invalid volume '${text}': ro or rw, not '${mode}'`);
  return bind(source, destination, mode === "ro");
};

/** docker's for every tmpfs that says nothing else. */
const TMPFS = ["nosuid", "nodev", "noexec"];

/** `/run[:rw,size=64m,mode=1777,exec]` */
const parseTmpfs = (text: string): Mount => {
  const colon = text.indexOf(":");
  const destination = colon < 0 ? text : text.slice(0, colon);
  checkDestination(destination, "--tmpfs", text);
  const options =
    colon < 0
      ? []
      : text
          .slice(colon + 1)
          .split(",")
          .filter(Boolean);
  const known = /^(r[ow]|(no)?(exec|suid|dev)|(size|mode|uid|gid|nr_inodes|nr_blocks)=[\w%]+)$/;
  const bad = options.find((option) => !known.test(option));
  if (bad !== undefined) throw new UsageError(`invalid --tmpfs '${text}': '${bad}'`);
  return { destination, source: "tmpfs", type: "tmpfs", options: [...TMPFS, ...options] };
};

/** `type=bind,source=SRC,target=DST[,readonly]`, `type=tmpfs,target=DST[,tmpfs-size=64m][,tmpfs-mode=1777]` */
const parseMount = (text: string): Mount => {
  const fail = (what: string): never => {
    throw new UsageError(`invalid --mount '${text}': ${what}`);
  };
  let [type, source, target, isReadonly] = ["volume", "", "", false];
  const options: string[] = [...TMPFS];
  for (const field of text.split(",")) {
    const equals = field.indexOf("=");
    const [name, value] = equals < 0 ? [field, "true"] : [field.slice(0, equals), field.slice(equals + 1)];
    if (name === "type") type = value;
    else if (name === "source" || name === "src") source = value;
    else if (name === "target" || name === "destination" || name === "dst") target = value;
    else if (name === "readonly" || name === "ro") isReadonly = value === "true" || value === "1";
    else if (name === "tmpfs-size") options.push(`size=${parseBytes("tmpfs-size", value)}`);
    else if (name === "tmpfs-mode" && /^[0-7]+$/.test(value)) options.push(`mode=${value}`);
    else fail(`unexpected '${field}'`);
  }
  if (type !== "bind" && type !== "tmpfs") fail(`nsk has bind and tmpfs, not '${type}'`);
  checkDestination(target, "--mount", text);
  if (type === "tmpfs") {
    if (source) fail("a tmpfs has no source");
    return { destination: target, source: "tmpfs", type, options: isReadonly ? [...options, "ro"] : options };
  }
  if (options.length > TMPFS.length) fail("tmpfs-… goes with type=tmpfs");
  if (!source.startsWith("/")) fail("the source is an absolute path");
  return bind(source, target, isReadonly);
};

/** A device of the host's for the container, and the rule that lets it be opened. */
export interface HostDevice {
  readonly device: Device;
  readonly rule: DeviceRule;
}

/** `/dev/fuse[:/dev/fuse][:rwm]` */
export const parseDevice = (text: string, host: Host): HostDevice => {
  const words = text.split(":");
  const isAccess = (word: string | undefined): boolean =>
    word !== undefined && /^(?!.*(.).*\1)[rwm]{1,3}$/.test(word);
  const access = words.length > 1 && isAccess(words.at(-1)) ? words.pop()! : "rwm";
  const [source = "", path = source, ...more] = words;
  if (more.length || source === "")
    throw new UsageError(`invalid --device '${text}': /dev/NAME[:/dev/NAME][:rwm]`);
  checkDestination(path, "--device", text);
  const found = host.device(source);
  if (!found) {
    const kind = host.kind(source);
    throw new HostError(`--device ${source}: ${kind === undefined ? "no such file" : "not a device node"}`);
  }
  const { type, major, minor, mode } = found;
  return {
    device: { path, type, major, minor, fileMode: mode, ...(path !== source && { source }) },
    rule: { allow: true, type, major, minor, access },
  };
};

/** What docker leaves out of /dev for a privileged container: it has its own, or nothing but links. */
const NOT_DEVICES = ["pts", "ptmx", "shm", "fd", "mqueue", "console", ".udev"];

/** Every device of the host's. */
export const allDevices = (host: Host, directory = "/dev"): Device[] =>
  (host.list(directory) ?? []).toSorted().flatMap((name): Device[] => {
    const path = `${directory}/${name}`;
    if (NOT_DEVICES.includes(name) || host.link(path) !== undefined) return [];
    const found = host.device(path);
    if (found)
      return [{ path, type: found.type, major: found.major, minor: found.minor, fileMode: found.mode }];
    return host.kind(path) === "directory" ? allDevices(host, path) : [];
  });
