// What a program in a container may do, from docker's flags: capabilities, the filter on system calls, and whether it
// may gain privileges. Pure, but for the part that is loaded when a filter has to be compiled.

import { UsageError, HostError } from "../abi/errors.ts";
import { CAP } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import type { Capabilities, Config } from "./config.ts";
import { CAPABILITIES } from "./defaults.ts";
// At build time, so that a start of `run` finds it ready.
import { defaultSeccomp } from "./seccomp/default.ts" with { type: "macro" };

const programs = defaultSeccomp();

export interface SecurityFlags {
  readonly privileged: boolean;
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly securityOpt: readonly string[];
}

export interface Security {
  /** By name, e.g. `CAP_CHOWN`. */
  readonly capabilities: readonly string[];
  readonly noNewPrivileges: boolean;
  /** Where the filter comes from: docker's own, none, or a profile's file. */
  readonly seccomp: "builtin" | "unconfined" | { readonly file: string };
  /** Whether parts of /proc and /sys are masked and read-only. */
  readonly protectsPaths: boolean;
}

/** What the flags say. Throws {@link UsageError} for what docker would not take, and for what nsk has not. */
export const parseSecurity = (flags: SecurityFlags): Security => {
  let noNewPrivileges = false;
  let protectsPaths = !flags.privileged;
  let seccomp: Security["seccomp"] = flags.privileged ? "unconfined" : "builtin";
  for (const text of flags.securityOpt) {
    const [, name = "", value] = /^([^=:]*)(?:[=:](.*))?$/s.exec(text)!;
    switch (name) {
      case "no-new-privileges":
        if (value !== undefined && value !== "true" && value !== "false")
          throw new UsageError(`invalid --security-opt '${text}': true or false`);
        noNewPrivileges = value !== "false";
        break;
      case "seccomp":
        if (!value)
          throw new UsageError(`invalid --security-opt '${text}': seccomp=FILE or seccomp=unconfined`);
        seccomp = value === "builtin" || value === "unconfined" ? value : { file: value };
        break;
      case "systempaths":
        if (value !== "unconfined")
          throw new UsageError(`invalid --security-opt '${text}': systempaths=unconfined`);
        protectsPaths = false;
        break;
      case "apparmor":
      case "label":
        // Without a profile and a label there is nothing to be switched off.
        if (value !== "unconfined" && value !== "disable")
          throw new UsageError(
            `--security-opt ${text}: nsk has neither AppArmor's profiles nor SELinux's labels`,
          );
        break;
      default:
        throw new UsageError(
          `invalid --security-opt '${text}': no-new-privileges, seccomp=FILE, seccomp=unconfined or systempaths=unconfined`,
        );
    }
  }
  return { capabilities: parseCapabilities(flags), noNewPrivileges, seccomp, protectsPaths };
};

/** docker's rule: what is added counts more than what is dropped, unless everything is added. */
const parseCapabilities = ({ privileged, capAdd, capDrop }: SecurityFlags): readonly string[] => {
  if (!privileged && capAdd.length === 0 && capDrop.length === 0) return CAPABILITIES;
  const [added, dropped] = [capAdd.map(capabilityName), capDrop.map(capabilityName)];
  const all = Object.keys(CAP);
  if (privileged) return all;
  if (added.includes(ALL)) return all.filter((name) => !dropped.includes(name));
  const base = dropped.includes(ALL) ? [] : CAPABILITIES.filter((name) => !dropped.includes(name));
  return [...new Set([...base, ...added])];
};

/** docker's way: the same in three sets, and nothing that a program could hand on unseen (CVE-2022-29162). */
export const capabilitySets = (names: readonly string[]): Capabilities => ({
  bounding: names,
  effective: names,
  permitted: names,
  inheritable: [],
  ambient: [],
});

const ALL = "ALL";

/** With and without `CAP_`, in any case. */
const capabilityName = (text: string): string => {
  const upper = text.toUpperCase();
  if (upper === ALL || upper === "CAP_ALL") return ALL;
  const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
  if (!(name in CAP)) throw new UsageError(`invalid capability: '${text}'`);
  return name;
};

/**
 * Where no filter decides over devices, a container makes no nodes: it could open every device of the machine. Throws
 * {@link HostError} when that was asked for.
 */
export const withoutNodes = (config: Config, { capAdd }: SecurityFlags): Config => {
  if (capAdd.map(capabilityName).includes("CAP_MKNOD"))
    throw new HostError(
      "--cap-add MKNOD: nothing here holds which devices could be opened then",
      "that takes the devices controller of cgroup v1 or a writable cgroup v2; --privileged goes without",
    );
  const capabilities = capabilitySets(
    config.process.capabilities.bounding.filter((name) => name !== "CAP_MKNOD"),
  );
  return { ...config, process: { ...config.process, capabilities } };
};

/** The program that {@link filterCalls} takes for these; undefined for no filter. */
export const seccompProgram = async (
  { seccomp, capabilities }: Security,
  host: Host,
): Promise<Uint8Array | undefined> => {
  if (seccomp === "unconfined") return undefined;
  if (seccomp === "builtin" && capabilities === CAPABILITIES)
    return Uint8Array.fromBase64(programs[host.arch]);
  const { compileSeccomp } = await import("./seccomp/compile.ts");
  if (seccomp === "builtin") {
    const { dockerSeccomp } = await import("./seccomp/docker.ts");
    return compileSeccomp(dockerSeccomp(host.arch, capabilities));
  }
  const { parseSeccompProfile } = await import("./seccomp/profile.ts");
  const json = host.read(seccomp.file);
  if (json === undefined)
    throw new HostError(`seccomp profile ${seccomp.file}: it is not there or cannot be read`);
  return compileSeccomp(parseSeccompProfile(json, host, capabilities));
};
