import { expect, test } from "bun:test";
import {
  blkioOfIoWeight,
  ioWeightOfBlkio,
  sharesOfWeight,
  weightOfShares,
} from "../../src/cgroups/weights.ts";

const rows: [shares: number, weight: number][] = [
  [2, 1],
  [256, 35],
  [512, 59],
  [768, 80],
  [1024, 100],
  [2048, 174],
  [262144, 10000],
];
for (const [shares, weight] of rows)
  test(`${shares} shares are a weight of ${weight}`, () => {
    expect(weightOfShares(shares)).toBe(weight);
  });

test("shares out of range count as the nearest in range", () => {
  expect([0, 1, 1e9].map(weightOfShares)).toEqual([1, 1, 10000]);
});

test("more shares never weigh less", () => {
  let last = 0;
  for (let shares = 2; shares <= 262144; shares++) {
    const weight = weightOfShares(shares);
    if (weight < last) throw new Error(`${shares} shares weigh ${weight} < ${last}`);
    last = weight;
  }
});

test("every weight comes back as itself", () => {
  for (let weight = 1; weight <= 10000; weight++)
    if (weightOfShares(sharesOfWeight(weight)) !== weight) throw new Error(`${weight} does not`);
  expect([1, 100, 10000].map(sharesOfWeight)).toEqual([2, 1024, 262144]);
});

test("blkio.weight 10 to 1000 is io.weight 1 to 10000, and back", () => {
  expect([10, 500, 1000].map(ioWeightOfBlkio)).toEqual([1, 4950, 10000]);
  for (let weight = 10; weight <= 1000; weight++)
    expect(blkioOfIoWeight(ioWeightOfBlkio(weight))).toBe(weight);
});
