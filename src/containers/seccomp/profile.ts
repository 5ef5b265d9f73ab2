// Reads a filter as people write it: the JSON of docker's `--security-opt seccomp=FILE`, whose rules may depend on
// capabilities, processor and kernel, and of the OCI runtime spec's `linux.seccomp`, which it contains. Pure.

import type { Arch } from "../../abi/syscalls.ts";
import type { Host } from "../../host/host.ts";
import { kernelIs } from "../../host/kernel.ts";
import type { Seccomp, SeccompArgument, SeccompOperator, SeccompRule } from "../config.ts";
import { type Architecture, callNumbers } from "./calls.ts";
import { fail, list, member, number, optional, type Part, parseJson, strings, text } from "../json.ts";
import { isAction, type SeccompAction } from "./compile.ts";
import { ARCHITECTURES } from "./docker.ts";

const errorNumber = (part: Part): number | undefined => optional(part, () => Number(number(part, 0xffffn)));

const action = (part: Part): SeccompAction => {
  const name = text(part);
  if (isAction(name)) return name;
  return fail(part, name === "SCMP_ACT_NOTIFY" ? "is SCMP_ACT_NOTIFY, which nsk has not" : `is '${name}'`);
};

export const SECCOMP_OPERATORS: readonly string[] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map(
  (name) => `SCMP_CMP_${name}`,
);

const argument = (part: Part): SeccompArgument => {
  const op = text(member(part, "op"));
  if (!SECCOMP_OPERATORS.includes(op)) return fail(member(part, "op"), `is '${op}'`);
  const most = 0xffffffffffffffffn;
  return {
    index: Number(number(member(part, "index"), 5n)),
    value: number(member(part, "value"), most),
    valueTwo: optional(member(part, "valueTwo"), (two) => number(two, most)) ?? 0n,
    op: op as SeccompOperator,
  };
};

/** What a rule of docker's may depend on. */
interface Facts {
  readonly host: Host;
  readonly capabilities: readonly string[];
}

/** Go's names, which docker's profiles use. */
const GO: Readonly<Record<Arch, string>> = { x64: "amd64", arm64: "arm64" };

/** `minKernel` of a condition: `4.8`. */
const isNewEnough = (part: Part, host: Host): boolean | undefined =>
  optional(part, () => {
    const found = /^(\d+)\.(\d+)$/.exec(text(part));
    if (!found) return fail(part, "is no kernel version such as 4.8");
    return kernelIs(host, Number(found[1]), Number(found[2]));
  });

/** Included when all conditions hold, excluded when one does. */
const applies = (rule: Part, { host, capabilities }: Facts): boolean => {
  const includes = optional(member(rule, "includes"), (part) => part);
  if (includes) {
    const arches = strings(member(includes, "arches"));
    if (arches.length && !arches.includes(GO[host.arch])) return false;
    if (!strings(member(includes, "caps")).every((name) => capabilities.includes(name))) return false;
    if (isNewEnough(member(includes, "minKernel"), host) === false) return false;
  }
  const excludes = optional(member(rule, "excludes"), (part) => part);
  if (!excludes) return true;
  if (strings(member(excludes, "arches")).includes(GO[host.arch])) return false;
  if (strings(member(excludes, "caps")).some((name) => capabilities.includes(name))) return false;
  return !isNewEnough(member(excludes, "minKernel"), host);
};

const rule = (part: Part): SeccompRule => {
  // Profiles of before 2016 have one name to a rule.
  const single = optional(member(part, "name"), text);
  return {
    names: single ? [single] : strings(member(part, "names")),
    action: action(member(part, "action")),
    errnoRet: errorNumber(member(part, "errnoRet")),
    args: list(member(part, "args")).map(argument),
  };
};

/** The processor's own kind of program always, and of the others those named that it can run. */
const architectures = (profile: Part, arch: Arch): readonly Architecture[] => {
  const [native, ...others] = ARCHITECTURES[arch] as [Architecture, ...Architecture[]];
  const named = strings(member(profile, "architectures"));
  const maps = list(member(profile, "archMap"));
  if (named.length && maps.length) return fail(profile, "has both 'architectures' and 'archMap'");
  for (const map of maps)
    if (text(member(map, "architecture")) === native) named.push(...strings(member(map, "subArchitectures")));
  return [native, ...others.filter((name) => named.includes(name))];
};

/** A name that no processor knows is a mistake, and a rule that is not there a hole. */
const refuseUnknownNames = (rules: readonly SeccompRule[], profile: Part): void => {
  const known = new Set<string>(KNOWN_ELSEWHERE);
  for (const architecture of [...ARCHITECTURES.x64, ...ARCHITECTURES.arm64])
    for (const name of callNumbers(architecture).keys()) known.add(name);
  const unknown = rules.filter(({ action }) => action !== "SCMP_ACT_ALLOW").flatMap(({ names }) => names);
  const first = unknown.find((name) => !known.has(name));
  if (first !== undefined) fail(profile, `forbids '${first}', a system call that nsk does not know`);
};

/** Names of calls of other processors only, and of such as were never made. */
const KNOWN_ELSEWHERE = [
  "getsid",
  "s390_pci_mmio_read",
  "s390_pci_mmio_write",
  "s390_runtime_instr",
  "swapcontext",
];

/**
 * The filter that a profile means on this machine for a container with these capabilities. Throws {@link UsageError}
 * with the place of the first mistake.
 */
export const parseSeccompProfile = (json: string, host: Host, capabilities: readonly string[]): Seccomp =>
  readSeccomp(parseJson(json, "seccomp profile"), host, capabilities);

/** The same for a profile that is a part of something else. */
export const readSeccomp = (profile: Part, host: Host, capabilities: readonly string[]): Seccomp => {
  const rules = list(member(profile, "syscalls"))
    .filter((part) => applies(part, { host, capabilities }))
    .map(rule);
  refuseUnknownNames(rules, profile);
  for (const flag of list(member(profile, "flags"))) fail(flag, "is a flag, and nsk takes none");
  const listener = member(profile, "listenerPath");
  if (listener.value) fail(listener, "is given, and nsk has no listeners");
  return {
    defaultAction: action(member(profile, "defaultAction")),
    defaultErrnoRet: errorNumber(member(profile, "defaultErrnoRet")),
    architectures: architectures(profile, host.arch),
    syscalls: rules,
  };
};
