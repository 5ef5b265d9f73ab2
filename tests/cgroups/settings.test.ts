import { describe, expect, test } from "bun:test";
import { type Files, parseBytes, readTranslated, translate } from "../../src/cgroups/settings.ts";

const files = (texts: Record<string, string> = {}): Files => ({
  read: (name) => texts[name],
  has: (name) => name in texts,
});

type Row = [setting: string, there: Record<string, string>, written: string[] | undefined];

const run = (version: 1 | 2, rows: readonly Row[]): void => {
  for (const [setting, there, written] of rows) {
    const [name, value] = [
      setting.slice(0, setting.indexOf("=")),
      setting.slice(setting.indexOf("=") + 1),
    ] as const;
    const now = Object.entries(there).map(([file, text]) => ` where ${file} is ${text}`);
    test(`${setting}${now.join("")} is ${written?.join(" and ") ?? "nothing there"}`, () => {
      expect(translate(name, value, version, files(there))?.map((it) => `${it.name}=${it.value}`)).toEqual(
        written,
      );
    });
  }
};

describe("a setting of version 1, written on version 2", () => {
  run(2, [
    ["cpu.shares=1024", {}, ["cpu.weight=100"]],
    ["cpu.shares=abc", {}, ["cpu.weight=abc"]],
    ["cpu.cfs_quota_us=200000", { "cpu.max": "max 100000" }, ["cpu.max=200000 100000"]],
    ["cpu.cfs_quota_us=200000", { "cpu.max": "max 1000000" }, ["cpu.max=200000 1000000"]],
    ["cpu.cfs_quota_us=200000", {}, ["cpu.max=200000 100000"]],
    ["cpu.cfs_quota_us=-1", { "cpu.max": "5000 50000" }, ["cpu.max=max 50000"]],
    ["cpu.cfs_period_us=50000", { "cpu.max": "5000 100000" }, ["cpu.max=5000 50000"]],
    ["cpu.cfs_period_us=50000", { "cpu.max": "max 100000" }, ["cpu.max=max 50000"]],
    ["cpu.cfs_burst_us=1000", {}, ["cpu.max.burst=1000"]],
    ["cpu.rt_runtime_us=1", {}, undefined],
    ["cpuacct.usage=0", {}, undefined],
    ["memory.limit_in_bytes=64M", {}, ["memory.max=64M"]],
    ["memory.limit_in_bytes=-1", {}, ["memory.max=max"]],
    ["memory.limit_in_bytes=9223372036854771712", {}, ["memory.max=max"]],
    ["memory.soft_limit_in_bytes=1G", {}, ["memory.low=1G"]],
    ["memory.soft_limit_in_bytes=-1", {}, ["memory.low=0"]],
    ["memory.memsw.limit_in_bytes=3M", { "memory.max": "1048576" }, ["memory.swap.max=2097152"]],
    ["memory.memsw.limit_in_bytes=1048576", { "memory.max": "1048576" }, ["memory.swap.max=0"]],
    ["memory.memsw.limit_in_bytes=-1", { "memory.max": "1048576" }, ["memory.swap.max=max"]],
    ["memory.memsw.limit_in_bytes=3M", { "memory.max": "max" }, []],
    ["memory.memsw.limit_in_bytes=1K", { "memory.max": "1048576" }, []],
    ["memory.swappiness=10", {}, undefined],
    ["memory.kmem.limit_in_bytes=1", {}, undefined],
    ["blkio.weight=500", {}, ["io.weight=4950"]],
    ["blkio.weight=500", { "io.bfq.weight": "default 100" }, ["io.bfq.weight=500"]],
    ["blkio.bfq.weight=500", { "io.bfq.weight": "default 100" }, ["io.bfq.weight=500"]],
    ["blkio.weight_device=8:0 1000", {}, ["io.weight=8:0 10000"]],
    [
      "blkio.throttle.read_bps_device=8:0 1048576",
      { "io.max": "8:0 rbps=max wbps=5" },
      ["io.max=8:0 rbps=1048576"],
    ],
    ["blkio.throttle.write_bps_device=8:0 0", {}, ["io.max=8:0 wbps=max"]],
    ["blkio.throttle.read_iops_device=8:16 100", {}, ["io.max=8:16 riops=100"]],
    ["blkio.throttle.write_iops_device=8:16 100", {}, ["io.max=8:16 wiops=100"]],
    ["blkio.throttle.write_iops_device=nonsense", {}, []],
    ["freezer.state=FROZEN", {}, ["cgroup.freeze=1"]],
    ["freezer.state=THAWED", {}, ["cgroup.freeze=0"]],
    ["cpuset.cpu_exclusive=1", {}, ["cpuset.cpus.partition=root"]],
    ["cpuset.cpu_exclusive=0", {}, ["cpuset.cpus.partition=member"]],
    ["hugetlb.2MB.limit_in_bytes=4M", {}, ["hugetlb.2MB.max=4M"]],
    ["hugetlb.1GB.rsvd.limit_in_bytes=-1", {}, ["hugetlb.1GB.rsvd.max=max"]],
    ["devices.allow=a", {}, undefined],
  ]);
});

describe("a setting of version 2, written on version 1", () => {
  run(1, [
    ["cpu.weight=100", {}, ["cpu.shares=1024"]],
    ["cpu.max=50000 100000", {}, ["cpu.cfs_quota_us=50000", "cpu.cfs_period_us=100000"]],
    ["cpu.max=50000", {}, ["cpu.cfs_quota_us=50000"]],
    ["cpu.max=max 50000", {}, ["cpu.cfs_quota_us=-1", "cpu.cfs_period_us=50000"]],
    ["cpu.max.burst=1000", {}, ["cpu.cfs_burst_us=1000"]],
    ["memory.max=max", {}, ["memory.limit_in_bytes=-1"]],
    ["memory.max=64M", {}, ["memory.limit_in_bytes=64M"]],
    ["memory.low=64M", {}, ["memory.soft_limit_in_bytes=64M"]],
    ["memory.low=0", {}, ["memory.soft_limit_in_bytes=-1"]],
    ["memory.swap.max=1M", { "memory.limit_in_bytes": "1048576" }, ["memory.memsw.limit_in_bytes=2097152"]],
    ["memory.swap.max=max", { "memory.limit_in_bytes": "1048576" }, ["memory.memsw.limit_in_bytes=-1"]],
    ["memory.high=1M", {}, undefined],
    ["io.weight=4950", { "blkio.weight": "500" }, ["blkio.weight=500"]],
    ["io.weight=default 4950", { "blkio.bfq.weight": "100" }, ["blkio.bfq.weight=500"]],
    ["io.weight=8:0 10000", {}, ["blkio.weight_device=8:0 1000"]],
    [
      "io.max=8:0 rbps=1 wiops=max",
      {},
      ["blkio.throttle.read_bps_device=8:0 1", "blkio.throttle.write_iops_device=8:0 0"],
    ],
    ["cgroup.freeze=1", {}, ["freezer.state=FROZEN"]],
    ["cpuset.cpus.partition=root", {}, ["cpuset.cpu_exclusive=1"]],
    ["hugetlb.2MB.max=max", {}, ["hugetlb.2MB.limit_in_bytes=-1"]],
    ["cpu.stat=1", {}, undefined],
  ]);
});

describe("a setting of version 1, read on version 2", () => {
  const there = {
    "cpu.weight": "100",
    "cpu.max": "max 100000",
    "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000",
    "memory.max": "max",
    "memory.low": "0",
    "memory.current": "4096",
    "memory.swap.max": "4096",
    "memory.swap.current": "1000",
    "memory.events": "low 0\nhigh 0\nmax 7\noom 1",
    "io.max": "8:0 rbps=1048576 wbps=max riops=max wiops=max\n8:16 rbps=max wbps=5 riops=max wiops=max",
    "io.weight": "default 100\n8:0 10000",
    "cgroup.freeze": "1",
    "cpuset.cpus.effective": "0-3",
    "cpuset.cpus.partition": "member",
    "hugetlb.2MB.max": "max",
  };
  const rows: [name: string, value: string | undefined][] = [
    ["cpu.shares", "1024"],
    ["cpu.cfs_quota_us", "-1"],
    ["cpu.cfs_period_us", "100000"],
    ["cpuacct.usage", "1500000000"],
    ["cpuacct.stat", "user 100\nsystem 50"],
    ["memory.limit_in_bytes", "9223372036854771712"],
    ["memory.soft_limit_in_bytes", "9223372036854771712"],
    ["memory.usage_in_bytes", "4096"],
    ["memory.memsw.limit_in_bytes", "9223372036854771712"],
    ["memory.memsw.usage_in_bytes", "5096"],
    ["memory.failcnt", "7"],
    ["blkio.throttle.read_bps_device", "8:0 1048576"],
    ["blkio.throttle.write_bps_device", "8:16 5"],
    ["blkio.throttle.read_iops_device", ""],
    ["blkio.weight", "20"],
    ["blkio.weight_device", "8:0 1000"],
    ["freezer.state", "FROZEN"],
    ["cpuset.effective_cpus", "0-3"],
    ["cpuset.cpu_exclusive", "0"],
    ["hugetlb.2MB.limit_in_bytes", "9223372036854771712"],
    ["cpu.rt_runtime_us", undefined],
    ["nonsense.x", undefined],
  ];
  for (const [name, value] of rows)
    test(`${name} is ${JSON.stringify(value)}`, () => {
      expect(readTranslated(name, 2, files(there))).toBe(value);
    });
});

describe("a setting of version 2, read on version 1", () => {
  const there = {
    "cpu.shares": "512",
    "cpu.cfs_quota_us": "-1",
    "cpu.cfs_period_us": "50000",
    "memory.limit_in_bytes": "1048576",
    "memory.memsw.limit_in_bytes": "3145728",
    "freezer.state": "THAWED",
    "blkio.throttle.read_bps_device": "8:0 1\n8:16 2",
    "blkio.throttle.write_iops_device": "8:0 3",
  };
  const rows: [name: string, value: string | undefined][] = [
    ["cpu.weight", "59"],
    ["cpu.max", "max 50000"],
    ["memory.max", "1048576"],
    ["memory.swap.max", "2097152"],
    ["cgroup.freeze", "0"],
    ["io.max", "8:0 rbps=1 wiops=3\n8:16 rbps=2"],
    ["memory.high", undefined],
  ];
  for (const [name, value] of rows)
    test(`${name} is ${JSON.stringify(value)}`, () => {
      expect(readTranslated(name, 1, files(there))).toBe(value);
    });
});

test("bytes have the kernel's suffixes", () => {
  expect(["1", "2k", "2K", "3M", "1g", "1T"].map(parseBytes)).toEqual([
    1n,
    2048n,
    2048n,
    3145728n,
    1073741824n,
    1099511627776n,
  ]);
  expect(["", "x", "1.5M", "-1", "1KB"].map(parseBytes)).toEqual(Array(5).fill(undefined));
});
