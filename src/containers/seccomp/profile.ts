// Reads a filter as people write it: the JSON of docker's `--security-opt seccomp=FILE`, whose rules may depend on
// capabilities, processor and kernel, and of the OCI runtime spec's `linux.seccomp`, which it contains. Pure.

import { UsageError } from "../../abi/errors.ts";
import type { Arch } from "../../abi/syscalls.ts";
import type { Host } from "../../host/host.ts";
import { kernelIs } from "../../host/kernel.ts";
import type { Seccomp, SeccompArgument, SeccompOperator, SeccompRule } from "../config.ts";
import { type Architecture, callNumbers } from "./calls.ts";
import { isAction, type SeccompAction } from "./compile.ts";
import { ARCHITECTURES } from "./docker.ts";

/** A part of the JSON, with the path that a message names it by. */
interface Part {
  readonly path: string;
  readonly value: unknown;
}

const fail = ({ path }: Part, what: string): never => {
  throw new UsageError(`seccomp profile: ${path || "it"} ${what}`);
};

const member = (part: Part, name: string): Part => ({
  path: part.path ? `${part.path}.${name}` : name,
  value: object(part)[name],
});

const object = (part: Part): Record<string, unknown> => {
  const { value } = part;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(part, "is no object");
  return value as Record<string, unknown>;
};

/** Its elements; none where it is left out, or null as Go writes an empty list. */
const list = (part: Part): Part[] => {
  if (part.value === undefined || part.value === null) return [];
  if (!Array.isArray(part.value)) return fail(part, "is no list");
  return part.value.map((value, i) => ({ path: `${part.path}[${i}]`, value }));
};

const text = (part: Part): string =>
  typeof part.value === "string" ? part.value : fail(part, "is no string");

/** Numbers come as bigints: an argument has 64 bits. */
const number = (part: Part, most: bigint): bigint => {
  const { value } = part;
  if (typeof value !== "bigint" || value < 0n || value > most)
    return fail(part, `is no whole number from 0 to ${most}`);
  return value;
};

const optional = <T>(part: Part, read: (part: Part) => T): T | undefined =>
  part.value === undefined || part.value === null ? undefined : read(part);

const errorNumber = (part: Part): number | undefined => optional(part, () => Number(number(part, 0xffffn)));

const action = (part: Part): SeccompAction => {
  const name = text(part);
  if (isAction(name)) return name;
  return fail(part, name === "SCMP_ACT_NOTIFY" ? "is SCMP_ACT_NOTIFY, which nsk has not" : `is '${name}'`);
};

const OPERATORS: readonly string[] = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map(
  (name) => `SCMP_CMP_${name}`,
);

const argument = (part: Part): SeccompArgument => {
  const op = text(member(part, "op"));
  if (!OPERATORS.includes(op)) return fail(member(part, "op"), `is '${op}'`);
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

const strings = (part: Part): string[] => list(part).map(text);

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
export const parseSeccompProfile = (json: string, host: Host, capabilities: readonly string[]): Seccomp => {
  const profile: Part = { path: "", value: parseJson(json) };
  const rules = list(member(profile, "syscalls"))
    .filter((part) => applies(part, { host, capabilities }))
    .map(rule);
  refuseUnknownNames(rules, profile);
  for (const flag of list(member(profile, "flags"))) fail(flag, "is a flag, and nsk takes none");
  return {
    defaultAction: action(member(profile, "defaultAction")),
    defaultErrnoRet: errorNumber(member(profile, "defaultErrnoRet")),
    architectures: architectures(profile, host.arch),
    syscalls: rules,
  };
};

/** JSON whose whole numbers are bigints, without loss. */
const parseJson = (json: string): unknown => {
  try {
    return JSON.parse(json, (_, value: unknown, context?: { source?: string }) =>
      typeof value === "number" && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context!.source!) : value,
    );
  } catch {
    throw new UsageError("seccomp profile: it is no JSON");
  }
};
