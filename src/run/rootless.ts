// What is different about `run` for a plain user, and for root of a user namespace: a user namespace, limits where groups are hers, and a line for what
// cannot be.

import { HostError } from "../abi/errors.ts";
import { perform } from "../backends/perform.ts";
import { startScope } from "../backends/systemd.ts";
import { delegatedGroup, notHandedOn } from "../cgroups/delegation.ts";
import { groupDirectory } from "../cgroups/groups.ts";
import { type Hierarchy, locate, readHierarchies } from "../cgroups/hierarchies.ts";
import { controllersOf, type Limits, type LimitsPlan, planLimits } from "../cgroups/limits.ts";
import type { Config, IdMapping } from "../containers/config.ts";
import type { Container } from "../containers/container.ts";
import { DEVICES } from "../containers/defaults.ts";
import { parseUserns } from "../containers/docker.ts";
import { rootInPieces } from "../containers/pieces.ts";
import { checkStatePath } from "../containers/state-path.ts";
import { isMapped, planUserNamespace, withoutPrivilege } from "../containers/user-namespace.ts";
import type { UserNetwork } from "../containers/user-network.ts";
import { userName } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { storePath } from "../host/store-path.ts";
import { hasMapPrograms } from "../namespaces/helper.ts";
import { available, type IdRange, rangesAround, rootAndRanges } from "../namespaces/id-maps.ts";
import { mkdir, writeFile } from "../plan/steps.ts";
import { writeAll } from "../sys/linux.ts";

/** What of the command line counts here. */
export interface Choices {
  readonly explain?: string | true | undefined;
  readonly privileged: boolean;
  readonly device: readonly string[];
  readonly groupAdd: readonly string[];
  readonly userns?: string | undefined;
}

/** A container as a plain user may have it. Throws {@link HostError} for what she asked for and cannot have. */
export const asPlainUser = async (
  container: Omit<Container, "limits" | "users" | "details">,
  choices: Choices,
  network: UserNetwork | undefined,
  host: Host,
  name: string,
): Promise<Omit<Container, "details">> => {
  const { id, state, lower } = container;
  if (container.joins)
    throw new HostError(
      "namespaces of another container belong to its user namespace, and a plain user's containers have one each",
      "as root they are to be had",
    );
  const isExplained = choices.explain !== undefined;
  checkStatePath(state, host);
  const tell = (text: string): void => void writeAll(2, `${name}: ${text}\n`);
  if (choices.privileged)
    tell(
      "--privileged: all capabilities, over what is its user namespace's own; the host's devices stay out",
    );
  for (const device of choices.device)
    if (/:[rwm]{1,3}$/.test(device))
      tell(`--device ${device}: a plain user's container has the rights of its file, and no others`);
  const kept = parseUserns(choices.userns, host);
  if (kept && lower.some((path) => path.startsWith(`${storePath(host)}/`)))
    throw new HostError(
      `--userns ${choices.userns}: the files of an image belong to the user as root of its containers`,
      "it goes with this machine's root, and with --rootfs",
    );
  const users = mapping("user", kept?.uid, host);
  const groups = mapping("group", kept?.gid, host);
  const asked = choices.device.flatMap((text) => text.split(":"));
  const mapped = withMappings(withoutHosts(container.config, asked), users, groups, choices.groupAdd.length);
  const config = withoutPrivilege(mapped, host);
  const limits = await limitsOf(config.linux.resources, id, isExplained, host, tell);
  const ownPaths = container.files.map(({ path }) => path);
  return {
    ...container,
    config,
    limits,
    users: planUserNamespace(config, state, host, {
      hint: users.length > 1 ? undefined : fewIds(host),
      network,
    }),
    ...(lower.length === 1 && lower[0] === "/" && { pieces: rootInPieces(state, ownPaths, host) }),
  };
};

/** Both sorts of ids or neither: a user with one of them could not make sense of files. `kept`: what the own id is. */
const mapping = (sort: "user" | "group", kept: number | undefined, host: Host): IdMapping[] => {
  // Root of a user namespace hands on all that there is.
  if (host.euid === 0) return available(sort, host).map(asMapping);
  const other = rootAndRanges(sort === "user" ? "group" : "user", host);
  const all = kept === undefined ? rootAndRanges(sort, host) : rangesAround(kept, sort, host);
  const ranges = other.length > 1 && hasMapPrograms(host) ? all : all.slice(0, 1);
  return ranges.map(asMapping);
};

const asMapping = ({ inner, outer, count }: IdRange): IdMapping => ({
  containerID: inner,
  hostID: outer,
  size: count,
});

/** Why there is but one id inside, and what to do about it. */
const fewIds = (host: Host): string =>
  host.euid === 0
    ? "this is root of a user namespace, which has no others"
    : hasMapPrograms(host)
      ? `there is one user inside, root, without ranges in /etc/subuid and /etc/subgid: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${userName(host, host.euid)}`
      : "there is one user inside, root, without newuidmap and newgidmap: apt install uidmap (shadow-utils on Fedora)";

/** Not all devices of the host's, which --privileged has for root. */
const withoutHosts = (config: Config, asked: readonly string[]): Config => {
  const own = DEVICES.map(({ path }) => path);
  const devices = config.linux.devices.filter(({ path }) => own.includes(path) || asked.includes(path));
  return { ...config, linux: { ...config.linux, devices } };
};

/** Groups that the user inside is said to be in by the root's own files are left out where they are not mapped. */
const withMappings = (
  config: Config,
  uidMappings: readonly IdMapping[],
  gidMappings: readonly IdMapping[],
  asked: number,
): Config => {
  const { process, linux } = config;
  const { additionalGids } = process.user;
  const implied = additionalGids.length - asked;
  const kept = additionalGids.filter((gid, i) => i >= implied || isMapped(gidMappings, gid));
  return {
    ...config,
    process: { ...process, user: { ...process.user, additionalGids: kept } },
    linux: {
      ...linux,
      namespaces: [{ type: "user" }, ...linux.namespaces],
      uidMappings,
      gidMappings,
      // Whoever makes no device nodes, and may do with those of the host what their files say, needs no filter.
      resources: { ...linux.resources, devices: undefined },
    },
  };
};

/**
 * Limits in groups that are the user's own: in a scope of her systemd's, or below a group that root has given her. On
 * version 1, where the first is not to be had, they are told and not held to, as podman does it.
 */
const limitsOf = async (
  limits: Limits,
  id: string,
  isExplained: boolean,
  host: Host,
  tell: (text: string) => void,
): Promise<LimitsPlan> => {
  const controllers = controllersOf(limits);
  const hierarchies = readHierarchies(host);
  const places = controllers.flatMap((controller) => locate(hierarchies, controller) ?? []);
  const needed = [...new Set(places.map(({ hierarchy }) => hierarchy))];
  const [only] = needed;
  if (only === undefined || places.length < controllers.length) return planLimits(host, id, limits);
  const wanted = places.map(({ controller }) => controller).filter(Boolean);
  const isUnified = needed.length === 1 && only.version === 2;
  const scope =
    isUnified && isSystemds(host) ? await ownScope(id, only, wanted, isExplained, host) : undefined;
  const base = (hierarchy: Hierarchy): string | undefined => scope ?? delegatedGroup(host, hierarchy);
  if (needed.every((hierarchy) => base(hierarchy) !== undefined)) {
    const missing = isUnified ? notHandedOn(host, only, base(only)!, wanted) : [];
    if (missing.length)
      throw new HostError(
        `no limit for ${missing.join(", ")} here: user ${host.euid} has not been handed ${missing.length > 1 ? "these controllers" : "this controller"}`,
        "systemctl edit user@.service, and there: [Service] Delegate=cpu cpuset io memory pids",
      );
    return planLimits(host, id, limits, (hierarchy) => base(hierarchy)!);
  }
  if (!isUnified) {
    tell("limits are not held to: on cgroup v1 that takes root, or a group that root has given to this user");
    return planLimits(host, id, {});
  }
  throw new HostError(
    `no limits here: no control group is user ${host.euid}'s own`,
    isSystemds(host)
      ? "log in as this user (su does not), or: loginctl enable-linger USER"
      : "root gives one: nsk cgcreate -a USER -t USER -g memory:USER -g memory:USER/shell, and moves the shell there: nsk cgclassify -g memory:USER/shell PID",
  );
};

const isSystemds = (host: Host): boolean => host.kind("/run/systemd/system") === "directory";

/**
 * A scope of the user's systemd, with this process, which is to be the supervisor, in a group of its own there: the one
 * above can hand controllers on then. Undefined where no systemd of this user's answers.
 */
const ownScope = async (
  id: string,
  unified: Hierarchy,
  controllers: readonly string[],
  isExplained: boolean,
  host: Host,
): Promise<string | undefined> => {
  if (isExplained)
    throw new HostError("--explain and limits: systemd has to be asked for a control group first");
  const [pid = ""] = (host.read("/proc/self/stat") ?? "").split(" ");
  let path: string;
  try {
    path = await startScope(host, { name: `nsk-${id}.scope`, pids: [Number(pid)] });
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
  if (notHandedOn(host, unified, path, controllers).length) return path;
  const directory = groupDirectory(unified, `${path}/supervisor`);
  perform({
    name: "nsk run",
    failure: 125,
    steps: [
      mkdir(directory, 0o755, { title: `make the group ${directory}` }),
      ...writeFile(`${directory}/cgroup.procs`, "0", { title: `join ${directory}` }),
    ],
  });
  return path;
};
