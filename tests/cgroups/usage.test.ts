// top and why on hosts that exist only here.

import { describe, expect, test } from "bun:test";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { bytes, topLines, topRows } from "../../src/cgroups/top.ts";
import { readUsage, readUsages, sourcesOf, type Usage } from "../../src/cgroups/usage.ts";
import { tell } from "../../src/commands/why.ts";
import { readStory } from "../../src/commands/why.ts";
import type { Host } from "../../src/host/host.ts";
import { hybrid, v2 } from "./hosts.ts";

const slowOnV2 = {
  "/sys/fs/cgroup/a/b/cgroup.events": "populated 1\nfrozen 0\n",
  "/sys/fs/cgroup/a/b/cpu.stat":
    "usage_usec 5000000\nuser_usec 1\nnr_periods 200\nnr_throttled 150\nthrottled_usec 7500000\n",
  "/sys/fs/cgroup/a/b/cpu.max": "50000 100000\n",
  "/sys/fs/cgroup/a/b/cpu.pressure": "some avg10=81.50 avg60=1.00 avg300=0.00 total=5\n",
  "/sys/fs/cgroup/a/b/memory.current": "62914560\n",
  "/sys/fs/cgroup/a/b/memory.max": "67108864\n",
  "/sys/fs/cgroup/a/b/memory.events": "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\n",
  "/sys/fs/cgroup/a/b/pids.current": "3\n",
  "/sys/fs/cgroup/a/b/pids.max": "max\n",
  "/sys/fs/cgroup/a/cpu.stat": "usage_usec 6000000\nnr_periods 0\nnr_throttled 0\nthrottled_usec 0\n",
  "/sys/fs/cgroup/a/cpu.max": "max 100000\n",
  "/sys/fs/cgroup/a/memory.current": "104857600\n",
  "/sys/fs/cgroup/a/memory.max": "105906176\n",
  "/sys/fs/cgroup/a/memory.events": "oom_kill 0\n",
  "/sys/fs/cgroup/a/pids.current": "3\n",
  "/sys/fs/cgroup/a/pids.max": "3\n",
  "/proc/42/cgroup": "0::/a/b\n",
  "/proc/42/status": "Name:\tworker\nUid:\t1000\t1000\t1000\t1000\n",
  "/proc/42/comm": "worker\n",
  "/etc/passwd": "peter:x:1000:1000::/:/bin/sh\n",
};
const onV2 = v2({
  files: slowOnV2,
  links: {
    "/proc/42/ns/pid": "pid:[2]",
    "/proc/self/ns/pid": "pid:[1]",
    "/proc/42/ns/net": "net:[3]",
    "/proc/self/ns/net": "net:[3]",
  },
});
const onHybrid = hybrid({
  files: {
    "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "25000\n",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "50000\n",
    "/sys/fs/cgroup/cpu/a/cpu.stat": "nr_periods 10\nnr_throttled 5\nthrottled_time 2000000000\n",
    "/sys/fs/cgroup/cpuacct/a/cpuacct.usage": "3000000000\n",
    "/sys/fs/cgroup/memory/a/memory.usage_in_bytes": "4096\n",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/a/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
    "/proc/7/cgroup": "3:memory:/a\n2:cpuacct:/\n1:cpu:/a\n0::/\n",
    "/proc/7/status": "Name:\tx\nUid:\t0\t0\t0\t0\n",
  },
});
const usageOf = (host: Host, path: string): Usage => readUsage(host, sourcesOf(readHierarchies(host)), path);

describe("what a group uses is the same on both versions", () => {
  test("version 2", () => {
    expect(usageOf(onV2, "/a/b")).toEqual({
      path: "/a/b",
      cpu: { usage: 5e6, limit: 0.5, throttledTime: 7.5e6, periods: 200, throttledPeriods: 150 },
      memory: { usage: 62914560, limit: 67108864 },
      pids: { current: 3, limit: undefined },
      pressure: { cpu: 81.5, memory: undefined, io: undefined },
      oomKills: 2,
    });
  });
  test("version 1", () => {
    expect(usageOf(onHybrid, "/a")).toEqual({
      path: "/a",
      cpu: { usage: 3e6, limit: 0.5, throttledTime: 2e6, periods: 10, throttledPeriods: 5 },
      memory: { usage: 4096, limit: undefined },
      pids: { current: undefined, limit: undefined },
      pressure: { cpu: undefined, memory: undefined, io: undefined },
      oomKills: 1,
    });
  });
  test("all groups of all hierarchies, each once", () => {
    const paths = (host: Host): string[] =>
      readUsages(host, sourcesOf(readHierarchies(host))).map(({ path }) => path);
    expect(paths(onV2)).toEqual(["/", "/a", "/a/b"]);
    expect(paths(onHybrid)).toEqual(["/", "/a"]);
  });
});

const nothing: Usage = {
  path: "/",
  cpu: {
    usage: undefined,
    limit: undefined,
    throttledTime: undefined,
    periods: undefined,
    throttledPeriods: undefined,
  },
  memory: { usage: undefined, limit: undefined },
  pids: { current: undefined, limit: undefined },
  pressure: { cpu: undefined, memory: undefined, io: undefined },
  oomKills: undefined,
};
const used = (path: string, usage: number, memory = 0, more: Partial<Usage["cpu"]> = {}): Usage => ({
  ...nothing,
  path,
  cpu: { ...nothing.cpu, usage, ...more },
  memory: { usage: memory, limit: undefined },
});

describe("the table", () => {
  const before = [used("/", 0), used("/a", 0), used("/a/x", 0), used("/a/y", 0), used("/b", 0)];
  const now = [
    used("/", 4e6, 900),
    used("/a", 1e6, 500),
    used("/a/x", 1e5, 400),
    used("/a/y", 9e5, 100),
    used("/b", 3e6, 300),
    used("/c", 5e6, 1),
  ];
  test("is a tree whose siblings are sorted", () => {
    const paths = (sort: Parameters<typeof topRows>[3]): string[] =>
      topRows(before, now, 2, sort).map(({ path }) => path);
    expect(paths("cpu")).toEqual(["/", "/b", "/a", "/a/y", "/a/x", "/c"]);
    expect(paths("memory")).toEqual(["/", "/a", "/a/x", "/a/y", "/b", "/c"]);
    expect(paths("path")).toEqual(["/", "/a", "/a/x", "/a/y", "/b", "/c"]);
  });
  test("begins with the group that was asked for", () => {
    expect(topRows(before, now, 2, "cpu", "/a").map(({ path }) => path)).toEqual(["/a", "/a/y", "/a/x"]);
  });
  test("has rates between two readings, and none for a group that is new or began anew", () => {
    const rows = topRows([...before, used("/c", 9e6)], now, 2, "path");
    expect(rows.map(({ cpu }) => cpu)).toEqual([200, 50, 5, 45, 150, undefined]);
  });
  test("says in how many of its periods a group was throttled", () => {
    const limits = { limit: 0.5, periods: 100, throttledPeriods: 10 };
    const rows = topRows(
      [used("/", 0, 0, limits)],
      [used("/", 1e6, 0, { ...limits, periods: 120, throttledPeriods: 25 })],
      1,
      "cpu",
    );
    expect([rows[0]!.throttled, rows[0]!.cpuLimit]).toEqual([75, 50]);
  });
  test("fits into 80 columns, whatever the groups are called", () => {
    const odd = [
      used("/", 0),
      used(`/${"long".repeat(40)}`, 0, 2 ** 40, { limit: 12, periods: 5, throttledPeriods: 5 }),
      used("/\x1b[31mred", 0),
    ];
    const lines = topLines(topRows(odd, odd, 1, "path"), 80);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(lines.join("\n")).not.toContain("\x1b");
    expect(lines).toMatchInlineSnapshot(`
      [
        "GROUP                    CPU% LIMIT  THR%  MEMORY  LIMIT  PSI%  PIDS  LIMIT  OOM",
        "/                         0.0     -     -      0B      -     -     -      -    -",
        " ?[31mred                 0.0     -     -      0B      -     -     -      -    -",
        " longlongl…nglonglong     0.0  1200     0    1.0T      -     -     -      -    -",
      ]
    `);
  });
  test("sizes take five characters at most", () => {
    expect([0, 999, 1000, 10240, 1024 ** 2 * 64, 1.5 * 1024 ** 3, 2 ** 50, undefined].map(bytes)).toEqual([
      "0B",
      "999B",
      "1.0K",
      "10.0K",
      "64.0M",
      "1.5G",
      "1.0P",
      "-",
    ]);
  });
});

describe("why", () => {
  test("a process on version 2", () => {
    expect(tell(readStory(onV2, "42"))).toMatchInlineSnapshot(`
      "process 42 (worker) of peter

      namespaces
        of its own: pid:[2]
        shared with nsk: net

      control groups
        v2  cpuset,cpu,io,memory,hugetlb,pids,rdma,misc:/a/b

      limits in force, from its own group up
        processor time  /a/b: 0.5 of a processor  <- binds
        memory          /a/b: 64.0M, 60.0M used
        memory          /a: 101M, 100M used  <- binds
        processes       /a: 3, 3 used  <- binds

      what holds it back
        killed: 2 processes of /a/b were killed for want of memory (its limit is 64.0M)
        slow: /a/b, which may use 0.5 of a processor, was throttled in 75 % of its periods, 7.5 s in all
        short of memory: /a/b uses 60.0M of 64.0M
        short of memory: /a uses 100M of 101M
        short of processes: /a has 3 of 3; fork(2) fails at the limit
        waiting: 81.5 % of the last ten seconds for cpu in /a/b
      "
    `);
  });
  test("and on a hybrid host, where every controller has a group of its own", () => {
    expect(tell(readStory(onHybrid, "7"))).toMatchInlineSnapshot(`
      "process 7 (x) of 0

      namespaces
        may not be looked at (it is another user's process, or protected)

      control groups
        v1  memory:/a
        v1  cpuacct:/
        v1  cpu:/a
        v2  hugetlb:/

      limits in force, from its own group up
        processor time  /a: 0.5 of a processor  <- binds

      what holds it back
        killed: 1 process of /a was killed for want of memory
        slow: /a, which may use 0.5 of a processor, was throttled in 50 % of its periods, 2.0 s in all
      "
    `);
  });
  test("a group that is frozen", () => {
    const frozen = v2({
      files: { ...slowOnV2, "/sys/fs/cgroup/a/b/cgroup.events": "populated 1\nfrozen 1\n" },
    });
    expect(readStory(frozen, "42").findings[0]).toBe("stopped: the group /a/b is frozen");
  });
  test("a process that is not there", () => {
    expect(() => readStory(onV2, "43")).toThrow("there is no process 43");
  });
});
