import { describe, expect, test } from "bun:test";
import { inKernelUnits } from "../../src/cgroups/units.ts";

const whole = { memory: () => 8n << 30n, period: () => 200_000 };

const rows: [name: string, value: string, kernel: string][] = [
  ["cpu.cfs_quota_us", "50%", "100000"],
  ["cpu.cfs_quota_us", "1.5", "300000"],
  ["cpu.cfs_quota_us", ".25", "50000"],
  ["cpu.cfs_quota_us", "2cpus", "400000"],
  ["cpu.cfs_quota_us", "1cpu", "200000"],
  ["cpu.cfs_quota_us", "20ms", "20000"],
  ["cpu.cfs_quota_us", "-1", "-1"],
  ["cpu.cfs_quota_us", "50000", "50000"],
  ["cpu.max", "50%", "100000"],
  ["cpu.max", "150% 100ms", "150000 100000"],
  ["cpu.max", "0.5 50000", "25000 50000"],
  ["cpu.max", "max 50ms", "max 50000"],
  ["cpu.max", "max", "max"],
  ["cpu.max", "50000 100000", "50000 100000"],
  ["cpu.cfs_period_us", "0.1s", "100000"],
  ["cpu.max.burst", "5ms", "5000"],
  ["memory.max", "1.5G", "1610612736"],
  ["memory.max", "64MiB", "67108864"],
  ["memory.max", "64mb", "67108864"],
  ["memory.max", "64M", "64M"],
  ["memory.limit_in_bytes", "50%", "4294967296"],
  ["memory.memsw.limit_in_bytes", "12.5%", "1073741824"],
  ["memory.swap.max", "max", "max"],
  ["hugetlb.2MB.max", "0.5G", "536870912"],
  ["io.max", "8:0 rbps=10M wbps=max riops=7", "8:0 rbps=10485760 wbps=max riops=7"],
  ["blkio.throttle.read_bps_device", "8:0 1M", "8:0 1048576"],
  ["blkio.throttle.write_bps_device", "8:0 1.5M", "8:0 1572864"],
];
for (const [name, value, kernel] of rows)
  test(`${name}=${value} is ${kernel} for the kernel`, () => {
    expect(inKernelUnits(name, value, whole)).toBe(kernel);
  });

describe("what 64 bits do not hold is refused, because the kernel would begin again at 0", () => {
  for (const [name, value] of [
    ["memory.max", "16E"],
    ["memory.limit_in_bytes", "99999999999999999999"],
    ["memory.limit_in_bytes", "2000.5E"],
    ["memory.low", "16EiB"],
    ["io.max", "8:0 rbps=16E"],
  ] as const)
    test(`${name}=${value}`, () => {
      expect(() => inKernelUnits(name, value, whole)).toThrow("is more than 64 bits hold");
    });
  test("and the largest that they hold is not", () => {
    expect(inKernelUnits("memory.max", "18446744073709551615", whole)).toBe("18446744073709551615");
    expect(inKernelUnits("memory.max", "15E", whole)).toBe("15E");
  });
});

describe("what no person would write there is left for the kernel to refuse", () => {
  for (const [name, value] of [
    ["cpu.cfs_quota_us", "half"],
    ["cpu.cfs_quota_us", "50 %"],
    ["cpu.max", "1 2 3"],
    ["cpu.shares", "50%"],
    ["pids.max", "50%"],
    ["pids.max", "1K"],
    ["cpuset.cpus", "1.5"],
    ["memory.max", "64 M"],
    ["memory.max", "lots"],
    ["memory.swappiness", "50%"],
    ["io.max", "8:0 rbps=much"],
  ] as const)
    test(`${name}=${value}`, () => {
      expect(inKernelUnits(name, value, whole)).toBe(value);
    });
});

test("a part of the memory of a machine that does not tell stays as it is", () => {
  expect(inKernelUnits("memory.max", "50%", { memory: () => undefined, period: () => 1 })).toBe("50%");
});
