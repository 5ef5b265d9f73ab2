// Ranges of ids: how they are written, and what becomes of one around an id that is mapped by itself.

import { describe, expect, test } from "bun:test";
import { extents, type IdRange, withoutHole } from "../../src/namespaces/id-maps.ts";
import { random } from "../support/random.ts";

/** `0:1000:1 1:100000:65535`, in uid_map's order. */
const written = (ranges: readonly IdRange[]): string =>
  ranges.map(({ inner, outer, count }) => `${inner}:${outer}:${count}`).join(" ");
const range = (text: string): IdRange => {
  const [inner, outer, count] = text.split(":").map(Number);
  return { inner: inner!, outer: outer!, count: count! };
};

// Beside what util-linux 2.38 hands newuidmap for the same, which was looked at with a newuidmap that prints.
const rows: [what: string, own: string, ranges: string[], map: string][] = [
  ["the manual's example", "0:1000:1", ["0:100000:65536"], "0:1000:1 1:100000:65535"],
  ["a hole inside", "5:0:1", ["0:100000:10"], "5:0:1 0:100000:5 6:100005:4"],
  ["a hole inside and one outside", "5:0:1", ["0:0:10"], "5:0:1 0:1:5 6:6:4"],
  ["a hole outside", "5:0:1", ["20:0:10"], "5:0:1 20:1:9"],
  ["a hole at the end", "9:0:1", ["0:100:10"], "9:0:1 0:100:9"],
  ["one id that is taken already", "0:0:1", ["0:0:1"], "0:0:1"],
  ["no hole, since they do not meet", "0:0:1", ["1:100000:10"], "0:0:1 1:100000:10"],
  ["nor right behind the end", "10:0:1", ["0:100:10"], "10:0:1 0:100:10"],
  ["nor right before the beginning", "0:7:1", ["1:8:10"], "0:7:1 1:8:10"],
  ["several ranges, each with its hole", "5:3:1", ["0:0:4", "4:100:4"], "5:3:1 0:0:3 4:100:1 6:101:2"],
];
for (const [what, own, ranges, map] of rows)
  test(what, () => {
    const { inner, outer } = range(own);
    expect(written(extents(inner, outer, ranges.map(range)))).toBe(map);
  });

test("without an id of its own a map is its ranges", () => {
  expect(written(extents(undefined, 0, [range("0:5:6"), range("9:8:7")]))).toBe("0:5:6 9:8:7");
});

describe("any range around any hole", () => {
  const { below } = random(4);
  test("keeps the order, leaves both ids out, and loses one id at most", () => {
    for (let i = 0; i < 2000; i++) {
      const whole = { inner: below(12), outer: below(12), count: 1 + below(12) };
      const hole = { inner: below(26), outer: below(26) };
      const pairs = withoutHole(whole, hole).flatMap(({ inner, outer, count }) =>
        Array.from({ length: count }, (_, n) => [inner + n, outer + n] as const),
      );
      const without = (start: number, left: number): number[] =>
        Array.from({ length: whole.count }, (_, n) => start + n).filter((id) => id !== left);
      const [inner, outer] = [without(whole.inner, hole.inner), without(whole.outer, hole.outer)];
      const length = Math.min(inner.length, outer.length);
      expect(pairs.map(([id]) => id)).toEqual(inner.slice(0, length));
      expect(pairs.map(([, id]) => id)).toEqual(outer.slice(0, length));
    }
  });
});
