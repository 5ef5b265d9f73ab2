// Reads a bundle's config.json into a Config: checks what the OCI runtime spec says of it, refuses by name what nsk
// cannot do, and passes over properties that it does not know, as the spec says. Pure.
// @see https://github.com/opencontainers/runtime-spec/blob/main/config.md

import { CAP, RLIMIT } from "../abi/flags.ts";
import type { DeviceRule } from "../cgroups/devices.ts";
import type {
  BlockIO,
  CpuResources,
  MemoryResources,
  Resources,
  ThrottleDevice,
} from "../cgroups/resources.ts";
import type { Host } from "../host/host.ts";
import type {
  Capabilities,
  Config,
  Device,
  Hook,
  HookName,
  Hooks,
  IdMapping,
  Linux,
  Mount,
  Namespace,
  NamespaceType,
  Process,
  Rlimit,
  RootPropagation,
  User,
} from "./config.ts";
import {
  choice,
  fail,
  isMissing,
  list,
  member,
  members,
  number,
  optional,
  parseJson,
  type Part,
  strings,
  text,
  truth,
} from "./json.ts";
import { checkMountOptions } from "./mount-options.ts";
import { PROC_COUNTS } from "./docker-mounts.ts";
import { readSeccomp } from "./seccomp/profile.ts";
import { namespaceOfSysctl } from "./sysctls.ts";

/** Throws {@link UsageError} with the place of the first mistake. */
export const parseConfig = (json: string, host: Host): Config => {
  const whole = parseJson(json, "config.json");
  checkVersion(member(whole, "ociVersion"));
  for (const platform of ["solaris", "windows", "vm", "zos", "freebsd"])
    if (!isMissing(member(whole, platform)) && isMissing(member(whole, "linux")))
      fail(member(whole, platform), "is for another system");
  const process = readProcess(required(member(whole, "process")));
  const linux = readLinux(member(whole, "linux"), process, host);
  const hostname = optional(member(whole, "hostname"), text) || undefined;
  const domainname = optional(member(whole, "domainname"), text) || undefined;
  const own = (type: NamespaceType): boolean => linux.namespaces.some((it) => it.type === type);
  if (hostname !== undefined && !own("uts"))
    fail(member(whole, "hostname"), "is given without a uts namespace, and would be the host's");
  if (domainname !== undefined && !own("uts"))
    fail(member(whole, "domainname"), "is given without a uts namespace, and would be the host's");
  const mounts = list(member(whole, "mounts")).map(readMount);
  return {
    process,
    root: readRoot(required(member(whole, "root"))),
    hostname,
    domainname,
    mounts,
    hooks: readHooks(member(whole, "hooks")),
    annotations: Object.fromEntries(
      members(member(whole, "annotations")).map(([name, part]) => [
        name || fail(part, "has no name"),
        text(part),
      ]),
    ),
    linux,
  };
};

const required = (part: Part): Part => (isMissing(part) ? fail(part, "is missing") : part);

const checkVersion = (part: Part): void => {
  const version = text(required(part));
  if (!/^1\.\d+\.\d+(?:[-+].*)?$/.test(version)) fail(part, `is '${version}', and nsk knows 1.x.y`);
};

const UINT32 = 0xffffffffn;
const INT64 = 0x7fffffffffffffffn;

const uint32 = (part: Part): number => Number(number(part, UINT32));

/** A number as the kernel's files take it, where -1 is no limit. */
const amount = (part: Part): number => Number(number(part, INT64, -1n));

const integer = (part: Part): number => Number(number(part, INT64, -INT64));

const absolute = (part: Part): string => {
  const path = text(required(part));
  return path.startsWith("/") ? path : fail(part, `is '${path}', and no absolute path`);
};

const readRoot = (part: Part): Config["root"] => ({
  path: text(required(member(part, "path"))) || fail(member(part, "path"), "is empty"),
  readonly: optional(member(part, "readonly"), truth) ?? false,
});

/** Also what `exec --process` reads. */
export const readProcess = (part: Part): Process => {
  const args = strings(member(part, "args"));
  if (args.length === 0 || args[0] === "") fail(member(part, "args"), "names no program");
  for (const name of ["scheduler", "execCPUAffinity"])
    if (!isMissing(member(part, name))) fail(member(part, name), "is given, and nsk has it not");
  const size = member(part, "consoleSize");
  const cwd = text(required(member(part, "cwd")));
  if (!cwd.startsWith("/")) fail(member(part, "cwd"), `is '${cwd}', and no absolute path`);
  return {
    terminal: optional(member(part, "terminal"), truth) ?? false,
    consoleSize: optional(size, () => ({
      height: Number(number(required(member(size, "height")), 0xffffn)),
      width: Number(number(required(member(size, "width")), 0xffffn)),
    })),
    user: readUser(member(part, "user")),
    args,
    env: strings(member(part, "env")),
    cwd,
    capabilities: readCapabilities(member(part, "capabilities")),
    noNewPrivileges: optional(member(part, "noNewPrivileges"), truth) ?? false,
    rlimits: readRlimits(member(part, "rlimits")),
    oomScoreAdj: optional(member(part, "oomScoreAdj"), (it) => Number(number(it, 1000n, -1000n))),
    apparmorProfile: optional(member(part, "apparmorProfile"), text) || undefined,
    selinuxLabel: optional(member(part, "selinuxLabel"), text) || undefined,
    ioPriority: optional(member(part, "ioPriority"), (it) => ({
      class: choice(member(it, "class"), ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"]),
      priority: optional(member(it, "priority"), (value) => Number(number(value, 7n))) ?? 0,
    })),
  };
};

const readUser = (part: Part): User => {
  if (isMissing(part)) return { uid: 0, gid: 0, additionalGids: [] };
  return {
    uid: optional(member(part, "uid"), uint32) ?? 0,
    gid: optional(member(part, "gid"), uint32) ?? 0,
    additionalGids: list(member(part, "additionalGids")).map(uint32),
    umask: optional(member(part, "umask"), (it) => Number(number(it, 0o777n))),
  };
};

/** A name that the kernel does not know cannot be given; runc passes over it with a warning, and so does nsk silently. */
const readCapabilities = (part: Part): Capabilities => {
  const set = (name: keyof Capabilities): readonly string[] =>
    isMissing(part)
      ? []
      : strings(member(part, name)).map((it) =>
          /^CAP_\w+$/.test(it) ? it : fail(member(part, name), `has '${it}'`),
        );
  const sets = {
    bounding: set("bounding"),
    effective: set("effective"),
    inheritable: set("inheritable"),
    permitted: set("permitted"),
    ambient: set("ambient"),
  };
  const known = (names: readonly string[]): readonly string[] => names.filter((name) => name in CAP);
  for (const name of known(sets.effective))
    if (!sets.permitted.includes(name))
      fail(member(part, "effective"), `has ${name}, which is not in permitted`);
  // Ambient is only what is permitted and inheritable: the rest the kernel refuses, and runc passes over.
  const ambient = sets.ambient.filter(
    (name) => sets.permitted.includes(name) && sets.inheritable.includes(name),
  );
  return { ...sets, ambient };
};

const readRlimits = (part: Part): Rlimit[] => {
  const seen = new Set<string>();
  return list(part).map((it) => {
    const type = choice(member(it, "type"), Object.keys(RLIMIT) as (keyof typeof RLIMIT)[]);
    if (seen.has(type)) fail(member(it, "type"), `is ${type} for the second time`);
    seen.add(type);
    const value = (name: string): number => {
      const found = number(required(member(it, name)), 0xffffffffffffffffn);
      // RLIM_INFINITY, and what a number of JavaScript's could not hold exactly
      return found > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(found);
    };
    const [soft, hard] = [value("soft"), value("hard")];
    if (hard !== -1 && (soft === -1 || soft > hard)) fail(member(it, "soft"), "is above the hard limit");
    return { type, soft, hard };
  });
};

const readMount = (part: Part): Mount => {
  const destination = text(required(member(part, "destination")));
  if (destination === "") fail(member(part, "destination"), "is empty");
  const options = strings(member(part, "options"));
  const given = optional(member(part, "type"), text) ?? "";
  const isBind = given === "bind" || options.includes("bind") || options.includes("rbind");
  const type = isBind ? "bind" : given;
  if (type === "") fail(member(part, "type"), "is missing");
  const source = optional(member(part, "source"), text) ?? "";
  if (isBind && source === "") fail(member(part, "source"), "is missing");
  const mistake = checkMountOptions(options, type);
  if (mistake !== undefined) fail(member(part, "options"), mistake);
  const place = `/${destination
    .split("/")
    .filter((it) => it !== "" && it !== ".")
    .join("/")}`;
  if (place.split("/").includes(".."))
    fail(member(part, "destination"), `is '${destination}', with '..' in it`);
  if (place === "/") fail(member(part, "destination"), "is the root itself");
  checkProc(member(part, "destination"), place, type, source);
  const uidMappings = readMappings(member(part, "uidMappings"));
  const gidMappings = readMappings(member(part, "gidMappings"));
  if ((uidMappings === undefined) !== (gidMappings === undefined))
    fail(part, "has one of uidMappings and gidMappings without the other");
  if (uidMappings && !isBind) fail(member(part, "uidMappings"), "is given, and the mount is no bind");
  if (!uidMappings && options.some((it) => it === "idmap" || it === "ridmap"))
    fail(member(part, "options"), "has 'idmap' without uidMappings and gidMappings");
  return {
    destination: place,
    source: source || type,
    type,
    options,
    ...(uidMappings && { uidMappings, gidMappings }),
  };
};

/** What lies in /proc protects the container, and only its counts may be others'. On /proc itself there is a proc. */
const checkProc = (part: Part, place: string, type: string, source: string): void => {
  if (place === "/proc") {
    if (type === "proc" || (type === "bind" && source === "/proc")) return;
    fail(part, `is /proc, for a ${type} that is none`);
  }
  if (!place.startsWith("/proc/")) return;
  const isCount = type === "bind" && PROC_COUNTS.includes(place.slice("/proc/".length));
  if (!isCount) fail(part, `is '${place}', and nothing is mounted inside /proc`);
};

const readMappings = (part: Part): IdMapping[] | undefined => {
  const found = list(part).map((it) => ({
    containerID: uint32(required(member(it, "containerID"))),
    hostID: uint32(required(member(it, "hostID"))),
    size: uint32(required(member(it, "size"))),
  }));
  return found.length ? found : undefined;
};

const HOOKS: readonly HookName[] = [
  "prestart",
  "createRuntime",
  "createContainer",
  "startContainer",
  "poststart",
  "poststop",
];

const readHooks = (part: Part): Hooks => {
  if (isMissing(part)) return {};
  const hooks: Partial<Record<HookName, readonly Hook[]>> = {};
  for (const name of HOOKS) {
    const found = list(member(part, name)).map(readHook);
    if (found.length) hooks[name] = found;
  }
  return hooks;
};

const readHook = (part: Part): Hook => {
  const path = absolute(member(part, "path"));
  const args = strings(member(part, "args"));
  const timeout = optional(member(part, "timeout"), (it) => Number(number(it, INT64, -INT64)));
  if (timeout !== undefined && timeout <= 0) fail(member(part, "timeout"), "is not greater than 0");
  return { path, args: args.length ? args : [path], env: strings(member(part, "env")), timeout };
};

const NAMESPACES: readonly NamespaceType[] = [
  "mount",
  "pid",
  "uts",
  "ipc",
  "network",
  "cgroup",
  "user",
  "time",
];

const readNamespaces = (part: Part): Namespace[] => {
  const seen = new Set<string>();
  return list(part).map((it) => {
    const type = choice(member(it, "type"), NAMESPACES);
    if (seen.has(type)) fail(member(it, "type"), `is ${type} for the second time`);
    seen.add(type);
    const path = optional(member(it, "path"), text) || undefined;
    if (path !== undefined && !path.startsWith("/"))
      fail(member(it, "path"), `is '${path}', and no absolute path`);
    return path === undefined ? { type } : { type, path };
  });
};

const readLinux = (part: Part, process: Process, host: Host): Linux => {
  if (isMissing(part)) fail(part, "is missing, and with it the container's namespaces");
  for (const name of ["intelRdt", "memoryPolicy", "netDevices"])
    if (!isMissing(member(part, name)) && members(member(part, name)).length)
      fail(member(part, name), "is given, and nsk has it not");
  const namespaces = readNamespaces(member(part, "namespaces"));
  const own = (type: NamespaceType): boolean => namespaces.some((it) => it.type === type);
  const linux: Linux = {
    namespaces,
    uidMappings: readMappings(member(part, "uidMappings")),
    gidMappings: readMappings(member(part, "gidMappings")),
    timeOffsets: readOffsets(member(part, "timeOffsets")),
    cgroupsPath: optional(member(part, "cgroupsPath"), text) || undefined,
    resources: readResources(member(part, "resources")),
    seccomp: optional(member(part, "seccomp"), (it) => readSeccomp(it, host, process.capabilities.bounding)),
    rootfsPropagation: optional(member(part, "rootfsPropagation"), (it) =>
      it.value === "" ? undefined : choice(it, PROPAGATIONS),
    ),
    mountLabel: optional(member(part, "mountLabel"), text) || undefined,
    personality: optional(member(part, "personality"), (it) => {
      if (list(member(it, "flags")).length)
        fail(member(it, "flags"), "is given, and the spec has no flags yet");
      return { domain: choice(member(it, "domain"), ["LINUX", "LINUX32"]) };
    }),
    maskedPaths: list(member(part, "maskedPaths")).map(absolute),
    readonlyPaths: list(member(part, "readonlyPaths")).map(absolute),
    devices: list(member(part, "devices")).map(readDevice),
    sysctl: Object.fromEntries(
      members(member(part, "sysctl")).map(([name, value]) => [checkSysctl(value, name, own), text(value)]),
    ),
  };
  const needs = (list: readonly unknown[], name: string, type: NamespaceType): void => {
    if (list.length && !own(type)) fail(member(part, name), `is given without a ${type} namespace`);
  };
  if (!own("mount"))
    fail(
      member(part, "namespaces"),
      "has no mount namespace, and the container's mounts would be the host's",
    );
  needs(linux.uidMappings ?? [], "uidMappings", "user");
  needs(linux.gidMappings ?? [], "gidMappings", "user");
  if (linux.timeOffsets && !own("time"))
    fail(member(part, "timeOffsets"), "is given without a time namespace");
  return linux;
};

const PROPAGATIONS: readonly RootPropagation[] = (
  ["shared", "slave", "private", "unbindable"] as const
).flatMap((name) => [name, `r${name}` as const]);

const readOffsets = (part: Part): Linux["timeOffsets"] =>
  optional(part, () => {
    const offset = (it: Part) => ({
      secs: optional(member(it, "secs"), integer) ?? 0,
      nanosecs: optional(member(it, "nanosecs"), (value) => Number(number(value, 999_999_999n))) ?? 0,
    });
    const [boottime, monotonic] = [
      optional(member(part, "boottime"), offset),
      optional(member(part, "monotonic"), offset),
    ];
    return { ...(boottime && { boottime }), ...(monotonic && { monotonic }) };
  });

/** A name with dots or slashes, of a namespace that the container has of its own: any other would be the host's. */
const checkSysctl = (part: Part, name: string, own: (type: NamespaceType) => boolean): string => {
  const dotted =
    name.includes("/") && name.indexOf("/") < (name.indexOf(".") + 1 || Infinity) ? slashed(name) : name;
  if (!/^[\w-]+(?:[./][\w-]+)+$/.test(dotted)) return fail(part, "is no name of a setting of the kernel's");
  const kind = namespaceOfSysctl(dotted);
  if (kind === undefined) return fail(part, "belongs to no namespace, and would be the host's");
  if (!own(kind)) return fail(part, `is given without a ${kind} namespace, and would be the host's`);
  return dotted;
};

/** `net/ipv4/conf/eth0.1/forwarding` is `net.ipv4.conf.eth0/1.forwarding`. @see sysctl(8) */
const slashed = (name: string): string =>
  name.replace(/[./]/g, (character) => (character === "/" ? "." : "/"));

const readDevice = (part: Part): Device => {
  const type = choice(member(part, "type"), ["b", "c", "u", "p"]);
  const isPipe = type === "p";
  const numbered = (name: string): number =>
    isPipe ? 0 : Number(number(required(member(part, name)), name === "major" ? 0xfffn : 0xfffffn));
  const path = absolute(member(part, "path"));
  if (path.split("/").includes("..")) fail(member(part, "path"), `is '${path}', with '..' in it`);
  return {
    path,
    type: type === "u" ? "c" : type,
    major: numbered("major"),
    minor: numbered("minor"),
    fileMode: optional(member(part, "fileMode"), (it) => Number(number(it, UINT32)) & 0o7777) ?? 0o666,
    uid: optional(member(part, "uid"), uint32),
    gid: optional(member(part, "gid"), uint32),
  };
};

/** Also what `update --resources` reads. */
export const readResources = (part: Part): Resources => {
  if (isMissing(part)) return {};
  const { unified, rdma } = { unified: member(part, "unified"), rdma: member(part, "rdma") };
  return {
    devices: isMissing(member(part, "devices")) ? undefined : list(member(part, "devices")).map(readRule),
    memory: optional(member(part, "memory"), readMemory),
    cpu: optional(member(part, "cpu"), readCpu),
    pids: optional(member(part, "pids"), (it) => ({ limit: optional(member(it, "limit"), amount) })),
    blockIO: optional(member(part, "blockIO"), readBlockIO),
    hugepageLimits: list(member(part, "hugepageLimits")).map((it) => {
      const pageSize = text(required(member(it, "pageSize")));
      if (!/^\d+[KMG]B$/.test(pageSize))
        fail(member(it, "pageSize"), `is '${pageSize}', and no size such as 2MB`);
      return { pageSize, limit: amount(required(member(it, "limit"))) };
    }),
    network: optional(member(part, "network"), (it) => ({
      classID: optional(member(it, "classID"), uint32),
      priorities: list(member(it, "priorities")).map((priority) => ({
        name: text(required(member(priority, "name"))),
        priority: uint32(required(member(priority, "priority"))),
      })),
    })),
    rdma: isMissing(rdma)
      ? undefined
      : Object.fromEntries(
          members(rdma).map(([name, it]) => [
            name,
            {
              hcaHandles: optional(member(it, "hcaHandles"), uint32),
              hcaObjects: optional(member(it, "hcaObjects"), uint32),
            },
          ]),
        ),
    unified: isMissing(unified)
      ? undefined
      : Object.fromEntries(members(unified).map(([name, it]) => [name, text(it)])),
  };
};

const readRule = (part: Part): DeviceRule => {
  const type = optional(member(part, "type"), (it): "a" | "b" | "c" | "u" =>
    it.value === "" ? "a" : choice(it, ["a", "b", "c", "u"]),
  );
  const access = optional(member(part, "access"), text) || "rwm";
  if (!/^[rwm]{1,3}$/.test(access)) fail(member(part, "access"), `is '${access}', and not letters of rwm`);
  const numbered = (name: string): number | undefined => {
    const value = optional(member(part, name), amount);
    return value === -1 ? undefined : value;
  };
  return {
    allow: truth(required(member(part, "allow"))),
    type: type === "u" ? "c" : type || "a",
    major: numbered("major"),
    minor: numbered("minor"),
    access,
  };
};

const readMemory = (part: Part): MemoryResources => ({
  limit: optional(member(part, "limit"), amount),
  reservation: optional(member(part, "reservation"), amount),
  swap: optional(member(part, "swap"), amount),
  kernel: optional(member(part, "kernel"), amount),
  kernelTCP: optional(member(part, "kernelTCP"), amount),
  swappiness: optional(member(part, "swappiness"), (it) => {
    // podman writes the largest number for "as it is"
    const value = number(it, 0xffffffffffffffffn, -1n);
    if (value === 0xffffffffffffffffn || value === -1n) return undefined;
    return value <= 100n ? Number(value) : fail(it, "is no number from 0 to 100");
  }),
  disableOOMKiller: optional(member(part, "disableOOMKiller"), truth),
  useHierarchy: optional(member(part, "useHierarchy"), truth),
  checkBeforeUpdate: optional(member(part, "checkBeforeUpdate"), truth),
});

const readCpu = (part: Part): CpuResources => ({
  shares: optional(member(part, "shares"), amount),
  quota: optional(member(part, "quota"), amount),
  burst: optional(member(part, "burst"), amount),
  period: optional(member(part, "period"), amount),
  realtimeRuntime: optional(member(part, "realtimeRuntime"), amount),
  realtimePeriod: optional(member(part, "realtimePeriod"), amount),
  cpus: optional(member(part, "cpus"), text),
  mems: optional(member(part, "mems"), text),
  idle: optional(member(part, "idle"), (it) => Number(number(it, 1n))),
});

const readBlockIO = (part: Part): BlockIO => {
  const node = (it: Part) => ({
    major: uint32(required(member(it, "major"))),
    minor: uint32(required(member(it, "minor"))),
  });
  const throttle = (name: string): ThrottleDevice[] =>
    list(member(part, name)).map((it) => ({ ...node(it), rate: amount(required(member(it, "rate"))) }));
  const weight = (it: Part): number => Number(number(it, 1000n));
  return {
    weight: optional(member(part, "weight"), weight),
    leafWeight: optional(member(part, "leafWeight"), weight),
    weightDevice: list(member(part, "weightDevice")).map((it) => ({
      ...node(it),
      weight: optional(member(it, "weight"), weight),
      leafWeight: optional(member(it, "leafWeight"), weight),
    })),
    throttleReadBpsDevice: throttle("throttleReadBpsDevice"),
    throttleWriteBpsDevice: throttle("throttleWriteBpsDevice"),
    throttleReadIOPSDevice: throttle("throttleReadIOPSDevice"),
    throttleWriteIOPSDevice: throttle("throttleWriteIOPSDevice"),
  };
};
