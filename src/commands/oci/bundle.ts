// From a bundle's directory to what the planner takes.

import { HostError, UsageError } from "../../abi/errors.ts";
import { planBundleGroups } from "../../cgroups/bundle.ts";
import { type LimitsPlan, NO_LIMITS } from "../../cgroups/limits.ts";
import { parsePasswd } from "../../host/accounts.ts";
import type { Config, Device, Process } from "../../containers/config.ts";
import { DEVICE_RULES, DEVICES } from "../../containers/defaults.ts";
import type { Bundle } from "../../containers/oci/container.ts";
import { directoryOf } from "../../backends/oci/store.ts";
import { parseConfig } from "../../containers/parse-config.ts";
import { compileSeccomp } from "../../containers/seccomp/compile.ts";
import type { Host } from "../../host/host.ts";
import type { OptionTable, Values } from "../command.ts";

/** Options of `create` and `run`. */
export const createOptions = {
  bundle: { type: "string", alias: "b", valueHint: "dir", description: "the bundle's directory (.)" },
  consoleSocket: {
    type: "string",
    valueHint: "path",
    description: "a Unix socket that the master of the container's terminal is sent to",
  },
  pidFile: { type: "string", valueHint: "file", description: "write the first process's id to this file" },
  noPivot: { type: "boolean", description: "change the root by chroot instead of pivot_root" },
  noNewKeyring: { type: "boolean", description: "leave it the caller's session keyring" },
  preserveFds: {
    type: "string",
    valueHint: "number",
    description: "how many of the caller's descriptors from 3 on the program gets",
  },
} as const satisfies OptionTable;

/** Throws for a bundle that is none, and for what nsk cannot do of it. */
export const readBundle = async (
  id: string,
  options: Values<typeof createOptions>,
  root: string,
  host: Host,
): Promise<Bundle> => {
  const bundle = absolute(options.bundle ?? ".");
  const text = host.read(`${bundle}/config.json`);
  if (text === undefined)
    throw new HostError(
      `JSON specification file ${bundle}/config.json not found`,
      "--bundle names a directory with config.json in it; nsk oci spec makes one",
    );
  const parsed = parseConfig(text, host);
  const path = parsed.root.path.startsWith("/") ? parsed.root.path : `${bundle}/${parsed.root.path}`;
  if (host.kind(path) !== "directory") throw new HostError(`config.json: root.path ${path} is no directory`);
  const listening = Number(host.env("LISTEN_FDS") ?? 0) || 0;
  const preserved = wholeNumber(options.preserveFds) + listening;
  const own = withDevices({ ...parsed, root: { ...parsed.root, path } });
  const config = withListening({ ...own, process: withHome(own.process, path, host) }, listening);
  const hasUsers = config.linux.namespaces.some(
    ({ type, path: file }) => type === "user" && file === undefined,
  );
  const filter = config.linux.seccomp && compileSeccomp(config.linux.seccomp);
  const limits = groupsOf(id, config, host);
  const about = {
    id,
    filter,
    limits,
    bundle,
    directory: directoryOf(root, id),
    preserved,
    keepsKeyring: options.noNewKeyring,
    noPivot: options.noPivot,
  };
  if (!hasUsers) return { ...about, config };
  const { planUserNamespace, withoutPrivilege } = await import("../../containers/user-namespace.ts");
  const inside = withoutPrivilege(config, host);
  // Who is root inside may look at nothing of root's outside but the container's own root.
  return { ...about, config: inside, users: planUserNamespace(inside, path, host) };
};

const absolute = (path: string): string => {
  const whole = path.startsWith("/") ? path : `${process.cwd()}/${path}`;
  return whole.replace(/\/(?:\.?\/)+/g, "/").replace(/(?<=.)\/\.?$/, "") || "/";
};

const wholeNumber = (text: string | undefined): number => {
  if (text === undefined) return 0;
  if (!/^\d{1,3}$/.test(text)) throw new HostError(`--preserve-fds ${text}: a number of descriptors`);
  return Number(text);
};

/** As runc does: of the user's row in the root's own passwd(5), unless the bundle says. */
export const withHome = (process: Process, root: string, host: Host): Process => {
  if (process.env.some((word) => word.startsWith("HOME="))) return process;
  const row = parsePasswd(host.readIn(root, "/etc/passwd")).find(({ uid }) => uid === process.user.uid);
  return { ...process, env: [...process.env, `HOME=${row?.home || "/"}`] };
};

/** Sockets that systemd or another hands on. @see sd_listen_fds(3) */
const withListening = (config: Config, count: number): Config =>
  count === 0
    ? config
    : {
        ...config,
        process: { ...config.process, env: [...config.process.env, `LISTEN_FDS=${count}`, "LISTEN_PID=1"] },
      };

/** Those that every container has, and its own. */
const withDevices = (config: Config): Config => {
  const own = config.linux.devices;
  const paths = new Set(own.map(({ path }) => path));
  const devices: Device[] = [...DEVICES.filter(({ path }) => !paths.has(path)), ...own];
  return { ...config, linux: { ...config.linux, devices } };
};

/** A plain user has no groups to be limited in, and hears of it when limits are asked for. */
const groupsOf = (id: string, { linux }: Config, host: Host): LimitsPlan => {
  const { resources, cgroupsPath } = linux;
  if (host.euid !== 0) {
    const { devices: _, ...limits } = resources;
    const isLimited = Object.values(limits).some(
      (it) => it !== undefined && Object.values(it).some((value) => value !== undefined),
    );
    if (isLimited)
      throw new HostError("linux.resources: a plain user has no control groups to be limited in");
    return NO_LIMITS;
  }
  const [denyAll, ...usual] = DEVICE_RULES;
  return planBundleGroups(host, cgroupsPath ?? `/${id}`, resources, [
    denyAll!,
    ...(resources.devices ?? []),
    ...usual,
  ]);
};

/** Whether there is somebody for the terminal, in runc's words. */
export const checkTerminal = (
  { config: { process } }: Pick<Bundle, "config">,
  consoleSocket: string | undefined,
  isDetached: boolean,
): void => {
  if (process.terminal && isDetached && consoleSocket === undefined)
    throw new UsageError("cannot allocate tty if nsk will detach without setting console socket");
  if (consoleSocket !== undefined && !(process.terminal && isDetached))
    throw new UsageError("cannot use console socket if nsk will not detach or allocate tty");
};
