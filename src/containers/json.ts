// Reads JSON that people and engines write, part by part; a mistake is named by its place in the file. Pure.

import { UsageError } from "../abi/errors.ts";

/** A part of the JSON, with the path that a message names it by. */
export interface Part {
  /** What errors begin with: `config.json`. */
  readonly file: string;
  /** `""` for the whole. */
  readonly path: string;
  readonly value: unknown;
}

/** JSON whose whole numbers are bigints, without loss. Throws {@link UsageError}. */
export const parseJson = (json: string, file: string): Part => {
  try {
    const value: unknown = JSON.parse(json, (_, value: unknown, context?: { source?: string }) =>
      typeof value === "number" && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context!.source!) : value,
    );
    return { file, path: "", value };
  } catch {
    throw new UsageError(`${file}: it is no JSON`);
  }
};

export const fail = ({ file, path }: Part, what: string): never => {
  throw new UsageError(`${file}: ${path || "it"} ${what}`);
};

const object = (part: Part): Record<string, unknown> => {
  const { value } = part;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return fail(part, "is no object");
  return value as Record<string, unknown>;
};

export const member = (part: Part, name: string): Part => ({
  file: part.file,
  path: part.path ? `${part.path}.${name}` : name,
  value: object(part)[name],
});

/** Its members in their order; none where it is left out. */
export const members = (part: Part): [name: string, part: Part][] =>
  isMissing(part) ? [] : Object.keys(object(part)).map((name) => [name, member(part, name)]);

/** Left out, or null, as Go writes what is empty. */
export const isMissing = ({ value }: Part): boolean => value === undefined || value === null;

/** Its elements; none where it is left out. */
export const list = (part: Part): Part[] => {
  if (isMissing(part)) return [];
  if (!Array.isArray(part.value)) return fail(part, "is no list");
  return part.value.map((value, i) => ({ file: part.file, path: `${part.path}[${i}]`, value }));
};

/** A string that the kernel can be given. */
export const text = (part: Part): string => {
  const { value } = part;
  if (typeof value !== "string") return fail(part, "is no string");
  return value.includes("\0") ? fail(part, "has a NUL byte in it") : value;
};

export const strings = (part: Part): string[] => list(part).map(text);

/** Numbers come as bigints: an argument of a system call has 64 bits. */
export const number = (part: Part, most: bigint, least = 0n): bigint => {
  const { value } = part;
  if (typeof value !== "bigint" || value < least || value > most)
    return fail(part, `is no whole number from ${least} to ${most}`);
  return value;
};

export const truth = (part: Part): boolean =>
  typeof part.value === "boolean" ? part.value : fail(part, "is neither true nor false");

export const optional = <T>(part: Part, read: (part: Part) => T): T | undefined =>
  isMissing(part) ? undefined : read(part);

/** One of some words. */
export const choice = <T extends string>(part: Part, words: readonly T[]): T => {
  const word = text(part);
  const found = words.find((it) => it === word);
  return found ?? fail(part, `is '${word}', and not one of ${words.join(", ")}`);
};
