// What the table of settings promises as a whole: there and back again, in order, and within what the kernel takes.

import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import type { Setting } from "../../src/cgroups/settings.ts";
import { settingNames, translateAlone } from "../../src/cgroups/translation.ts";
import { nearestOn } from "../../src/cgroups/unmappable.ts";
import { type Random, random } from "../support/random.ts";

const translate = (settings: readonly Setting[], version: 1 | 2): Setting[] =>
  translateAlone(settings, version, () => 1n << 33n).flatMap(({ to }) => to);

/** The last value of each name, as a group would have it. */
const state = (settings: readonly Setting[]): Record<string, string> =>
  Object.fromEntries(settings.map(({ name, value }) => [name, value]));

const page = 4096;
/** Any number up to `limit`, small ones as often as large ones. */
const scaled = (chance: Random, limit: number): number => {
  const bits = chance.below(Math.ceil(Math.log2(limit)));
  return Math.min(limit, 2 ** bits + chance.below(2 ** Math.min(bits, 30) || 1));
};

/** Settings of version 1 that can be said in version 2 without loss, as a group may have them together. */
const representable: Readonly<Record<string, (chance: Random) => Setting[]>> = {
  quota: (chance) => {
    const period = 1000 + chance.below(999_001);
    const quota = chance.below(5) === 0 ? -1 : 1000 + scaled(chance, 10_000_000);
    return [
      { name: "cpu.cfs_period_us", value: String(period) },
      { name: "cpu.cfs_quota_us", value: String(quota) },
    ];
  },
  burst: (chance) => [{ name: "cpu.cfs_burst_us", value: String(scaled(chance, 1_000_000)) }],
  "memory and swap": (chance) => {
    const memory = scaled(chance, 2 ** 35) * page;
    const both = memory + scaled(chance, 2 ** 35) * page;
    return [
      { name: "memory.limit_in_bytes", value: String(memory) },
      { name: "memory.memsw.limit_in_bytes", value: chance.below(5) === 0 ? "-1" : String(both) },
    ];
  },
  "soft limit": (chance) => [
    {
      name: "memory.soft_limit_in_bytes",
      value: chance.below(5) === 0 ? "-1" : String(scaled(chance, 2 ** 40)),
    },
  ],
  "weight of disks": (chance) => [{ name: "blkio.weight", value: String(10 + chance.below(991)) }],
  throttles: (chance) =>
    ["read_bps", "write_bps", "read_iops", "write_iops"].map((what) => ({
      name: `blkio.throttle.${what}_device`,
      value: `${chance.below(256)}:${chance.below(256)} ${chance.below(5) === 0 ? 0 : scaled(chance, 2 ** 32 - 1)}`,
    })),
  freezer: (chance) => [{ name: "freezer.state", value: chance.pick(["FROZEN", "THAWED"]) }],
  "exclusive processors": (chance) => [{ name: "cpuset.cpu_exclusive", value: chance.pick(["0", "1"]) }],
  "huge pages": (chance) => [
    { name: `hugetlb.${chance.pick(["2MB", "1GB"])}.limit_in_bytes`, value: String(scaled(chance, 2 ** 40)) },
  ],
  "same in both": (chance) => [
    { name: "pids.max", value: String(chance.below(4_194_304)) },
    { name: "cpuset.cpus", value: `0-${chance.below(64)}` },
  ],
};

describe("version 1 to version 2 and back is what it was", () => {
  for (const [what, settings] of Object.entries(representable))
    test(`${what}, 500 times`, () => {
      const chance = random(20250101);
      for (let i = 0; i < 500; i++) {
        const before = settings(chance);
        const there = translate(before, 1);
        const back = translate(there, 2);
        // Several throttles of one device are one line of io.max, and come back one by one.
        expect(state(back)).toMatchObject(state(before));
      }
    });

  test("shares: the weight that they come to comes back as itself", () => {
    for (let shares = 2; shares <= 262144; shares += 61) {
      const weight = translate([{ name: "cpu.shares", value: String(shares) }], 1);
      const again = translate(translate(weight, 2), 1);
      expect(again).toEqual(weight);
    }
  });
});

describe("more of one is never less of the other, and never out of the kernel's range", () => {
  const rows: [
    from: string,
    version: 1 | 2,
    low: number,
    high: number,
    step: number,
    min: number,
    max: number,
  ][] = [
    ["cpu.shares", 1, 2, 262144, 13, 1, 10000],
    ["cpu.weight", 2, 1, 10000, 1, 2, 262144],
    ["blkio.weight", 1, 10, 1000, 1, 1, 10000],
    ["io.weight", 2, 1, 10000, 1, 10, 1000],
  ];
  for (const [name, version, low, high, step, min, max] of rows)
    test(`${name} from ${low} to ${high}`, () => {
      let last = 0;
      for (let value = low; value <= high; value += step) {
        const [to] = translate([{ name, value: String(value) }], version);
        const number = Number(to!.value);
        if (!(number >= Math.max(last, min) && number <= max))
          throw new Error(`${name}=${value} is ${to!.name}=${number} after ${last}`);
        last = number;
      }
    });
});

describe("what one version does not have", () => {
  const rows: [setting: string, version: 1 | 2 | undefined, message: string, hint: string][] = [
    ["memory.swappiness=10", undefined, "cgroup v2 has no memory.swappiness", "memory.swap.max"],
    ["devices.allow=a", undefined, "cgroup v2 has no devices.allow", "BPF"],
    ["memory.high=1M", undefined, "cgroup v1 has no memory.high", "memory.limit_in_bytes"],
    ["io.latency=8:0 target=1", undefined, "cgroup v1 has no io.latency", "blkio.weight"],
    ["cgroup.kill=1", undefined, "cgroup v1 has no cgroup.kill", "freezer.state"],
    ["memory.memsw.limit_in_bytes=1M", undefined, "cannot be said on cgroup v2", "memory and swap together"],
    ["cpu.weight=5", 1, "cpu.weight is no setting of cgroup v1", ""],
    ["cpuacct.usage=0", undefined, "cpuacct.usage can only be read", "cgget"],
    ["cpu.nonsense=1", undefined, "no setting cpu.nonsense is known", ""],
  ];
  for (const [text, version, message, hint] of rows)
    test(`${text}: ${message}`, () => {
      const [name, ...value] = text.split("=") as [string, ...string[]];
      const run = (): unknown => translateAlone([{ name, value: value.join("=") }], version, () => undefined);
      expect(run).toThrow(HostError);
      expect(run).toThrow(message);
      try {
        run();
      } catch (error) {
        expect((error as HostError).hint ?? "").toContain(hint);
      }
    });

  test("nothing is both in the table and said to be missing", () => {
    const both = settingNames().filter(
      ({ v1, v2 }) =>
        nearestOn(2, v1) !== undefined &&
        !/^(?:blkio|freezer|cpuset)\./.test(v1) &&
        nearestOn(1, v2) !== undefined,
    );
    expect(both).toEqual([]);
  });
});
