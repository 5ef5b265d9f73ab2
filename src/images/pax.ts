// Extended headers of pax archives, byte for byte: values need be neither text nor free of newlines. Pure.
// @see pax(1p), "pax Extended Header"; tar(5)

import { decode } from "../abi/bytes.ts";

/** Keys are text; a value is what it is. A key without a value takes away what a global header said. */
export type Records = ReadonlyMap<string, Uint8Array>;

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;

/** `LENGTH KEY=VALUE\n` …, LENGTH counting all of it. Undefined for anything else. */
export const parsePax = (bytes: Uint8Array): [key: string, value: Uint8Array][] | undefined => {
  const records: [string, Uint8Array][] = [];
  for (let at = 0; at < bytes.length;) {
    let length = 0;
    let i = at;
    for (; bytes[i]! >= 0x30 && bytes[i]! <= 0x39 && i - at < 10; i++)
      length = length * 10 + bytes[i]! - 0x30;
    const end = at + length;
    if (bytes[i] !== SPACE || end > bytes.length || end <= i + 1 || bytes[end - 1] !== NEWLINE)
      return undefined;
    const equals = bytes.indexOf(EQUALS, i + 1);
    if (equals <= i + 1 || equals >= end) return undefined;
    records.push([decode(bytes.subarray(i + 1, equals)), bytes.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
};

/** The decimal number that a record holds, undefined for none. */
export const paxNumber = (records: Records, key: string): number | undefined => {
  const value = records.get(key);
  if (value === undefined || value.length === 0) return undefined;
  const text = decode(value);
  return /^-?\d+(\.\d*)?$/.test(text) ? Number(text) : NaN;
};

/** A time as `{ seconds, nanoseconds }`, which one JavaScript number cannot hold. */
export interface Time {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** `1700000000.123456789`; a negative one counts from its floor. */
export const parseTime = (text: string): Time | undefined => {
  const found = /^(-?\d{1,15})(?:\.(\d*))?$/.exec(text);
  if (!found) return undefined;
  const seconds = Number(found[1]);
  const nanoseconds = Number((found[2] ?? "").slice(0, 9).padEnd(9, "0"));
  return found[1]!.startsWith("-") && nanoseconds > 0
    ? { seconds: seconds - 1, nanoseconds: 1e9 - nanoseconds }
    : { seconds, nanoseconds };
};

/** A region of a sparse file that holds data. */
export type Region = readonly [offset: number, length: number];

/** Where the data of a sparse file goes, and how long the whole is. */
export interface Sparse {
  readonly regions: readonly Region[];
  readonly size: number;
}

/** Pairs of numbers to regions that lie in order within `size`; undefined for anything else. */
export const regionsOf = (numbers: readonly number[], size: number): Sparse | undefined => {
  if (numbers.length % 2 || !Number.isSafeInteger(size) || size < 0) return undefined;
  const regions: Region[] = [];
  let end = 0;
  for (let i = 0; i < numbers.length; i += 2) {
    const [offset, length] = [numbers[i]!, numbers[i + 1]!];
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || length < 0 || offset < end)
      return undefined;
    end = offset + length;
    if (end > size) return undefined;
    if (length) regions.push([offset, length]);
  }
  return { regions, size };
};
