import { describe, expect, test } from "bun:test";
import { errno } from "../../src/abi/errno.ts";
import { HostError, UsageError } from "../../src/abi/errors.ts";
import { planCopy } from "../../src/cgroups/copy.ts";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { parseSetting, planSettings, type SettingsPlan } from "../../src/cgroups/write.ts";
import type { Host } from "../../src/host/host.ts";
import { difference } from "../differences.ts";
import { hintOf, outline } from "../support/steps.ts";
import { hybrid, limitedOnV2, v1, v2 } from "./hosts.ts";

const set = (host: Host, groups: string[], ...settings: string[]): SettingsPlan =>
  planSettings(host, readHierarchies(host), { groups, settings: settings.map(parseSetting) });

const onHybrid = hybrid({
  files: {
    "/sys/fs/cgroup/cpu/a/cpu.shares": "1024\n",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "-1\n",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/cpu/b/cpu.shares": "1024\n",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "9223372036854771712\n",
  },
});
const onV2 = v2({ files: limitedOnV2 });

describe("a setting is NAME=VALUE", () => {
  test("the value may hold anything", () => {
    expect(parseSetting("devices.allow=c 1:3 rwm")).toEqual({ name: "devices.allow", value: "c 1:3 rwm" });
    expect(parseSetting("cpu.x=a=b")).toEqual({ name: "cpu.x", value: "a=b" });
  });
  for (const text of ["cpu.shares", "cpu.shares=", "=1", "tasks=0", ".x=1", "cpu.x/../y=1", ""])
    test(`'${text}' is refused (${difference("cgset-bad-setting")})`, () => {
      expect(() => parseSetting(text)).toThrow(UsageError);
    });
});

describe("writing", () => {
  test("every setting in every group, in order", () => {
    const { steps, notes } = set(onHybrid, ["a", "/b"], "cpu.shares=1", "cpu.shares=2");
    expect(outline(steps)).toEqual([
      "/sys/fs/cgroup/cpu/a/cpu.shares < 1",
      "/sys/fs/cgroup/cpu/a/cpu.shares < 2",
      "/sys/fs/cgroup/cpu/b/cpu.shares < 1",
      "/sys/fs/cgroup/cpu/b/cpu.shares < 2",
    ]);
    expect(notes).toEqual([]);
  });
  test("a failure names file and value, and has libcgroup's status", () => {
    const { steps } = set(onHybrid, ["a"], "cpu.shares=abc");
    expect(steps.map(({ title, status }) => [title, status])).toEqual([
      ['write "abc" to /sys/fs/cgroup/cpu/a/cpu.shares', 95],
      ['write "abc" to /sys/fs/cgroup/cpu/a/cpu.shares', 96],
      ['write "abc" to /sys/fs/cgroup/cpu/a/cpu.shares', undefined],
    ]);
    expect(hintOf(steps, "write", errno("EINVAL"))).toContain("does not take this value for cpu.shares");
  });
});

describe(`names of the other version (${difference("cg-translation")})`, () => {
  const rows: [
    what: string,
    host: Host,
    group: string,
    settings: string[],
    steps: string[],
    notes: string[],
  ][] = [
    [
      "the tutorial's quota on version 2",
      onV2,
      "limited",
      ["cpu.cfs_quota_us=200000"],
      ["/sys/fs/cgroup/limited/cpu.max < 200000 100000"],
      ['cpu.cfs_quota_us=200000 is cpu.max "200000 100000" on cgroup v2'],
    ],
    [
      "quota and period together, each seeing the other",
      onV2,
      "limited",
      ["cpu.cfs_period_us=50000", "cpu.cfs_quota_us=25000"],
      ["/sys/fs/cgroup/limited/cpu.max < max 50000", "/sys/fs/cgroup/limited/cpu.max < 25000 50000"],
      [
        'cpu.cfs_period_us=50000 is cpu.max "max 50000" on cgroup v2',
        'cpu.cfs_quota_us=25000 is cpu.max "25000 50000" on cgroup v2',
      ],
    ],
    [
      "memory and then memory with swap",
      onV2,
      "limited",
      ["memory.limit_in_bytes=64M", "memory.memsw.limit_in_bytes=96M"],
      ["/sys/fs/cgroup/limited/memory.max < 64M", "/sys/fs/cgroup/limited/memory.swap.max < 33554432"],
      [
        'memory.limit_in_bytes=64M is memory.max "64M" on cgroup v2',
        'memory.memsw.limit_in_bytes=96M is memory.swap.max "33554432" on cgroup v2',
      ],
    ],
    ["a name that both have", onV2, "limited", ["pids.max=5"], ["/sys/fs/cgroup/limited/pids.max < 5"], []],
    [
      "the freezer on version 2",
      onV2,
      "limited",
      ["freezer.state=FROZEN"],
      ["/sys/fs/cgroup/limited/cgroup.freeze < 1"],
      ['freezer.state=FROZEN is cgroup.freeze "1" on cgroup v2'],
    ],
    [
      "blkio on version 2",
      onV2,
      "limited",
      ["blkio.throttle.read_bps_device=8:0 1048576"],
      ["/sys/fs/cgroup/limited/io.max < 8:0 rbps=1048576"],
      ['blkio.throttle.read_bps_device=8:0 1048576 is io.max "8:0 rbps=1048576" on cgroup v2'],
    ],
    [
      "cpu.max on version 1",
      onHybrid,
      "a",
      ["cpu.max=50000 200000"],
      ["/sys/fs/cgroup/cpu/a/cpu.cfs_period_us < 200000", "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us < 50000"],
      ['cpu.max=50000 200000 is cpu.cfs_quota_us "50000" and cpu.cfs_period_us "200000" on cgroup v1'],
    ],
    [
      "cgroup.freeze on version 1",
      v1({ files: { "/sys/fs/cgroup/freezer/a/freezer.state": "THAWED\n" } }),
      "a",
      ["cgroup.freeze=1"],
      ["/sys/fs/cgroup/freezer/a/freezer.state < FROZEN"],
      ['cgroup.freeze=1 is freezer.state "FROZEN" on cgroup v1'],
    ],
  ];
  for (const [what, host, group, settings, steps, notes] of rows)
    test(what, () => {
      const planned = set(host, [group], ...settings);
      expect(outline(planned.steps)).toEqual(steps);
      expect(planned.notes).toEqual(notes);
    });
});

describe(`what cannot be written is found out first (${difference("cgset-all-or-nothing")})`, () => {
  const rows: [settings: string[], groups: string[], host: Host, status: number, message: string][] = [
    [["cpu.shares=1", "cpu.nope=1"], ["a"], onHybrid, 95, "the group cpu:a has no cpu.nope"],
    [["cpu.shares=1", "nope.x=1"], ["a"], onHybrid, 84, "there is no controller nope"],
    [["cpu.shares=1"], ["a", "nope"], onHybrid, 95, "there is no group cpu:nope"],
    [["cpu.rt_runtime_us=1"], ["limited"], onV2, 95, "has no cpu.rt_runtime_us"],
    [["hugetlb.2MB.limit_in_bytes=1"], ["limited"], onV2, 95, "has no hugetlb.2MB.max"],
    [["memory.memsw.limit_in_bytes=1G"], ["limited"], onV2, 96, "cannot be had"],
    [["memory.high=1G"], ["a"], onHybrid, 95, "has no memory.high"],
    [["cgroup.procs=0"], ["a"], onHybrid, 95, "there is no group cgroup:a"],
  ];
  for (const [settings, groups, host, status, message] of rows)
    test(`${settings.join(" and ")} in ${groups.join(" and ")}`, () => {
      try {
        set(host, groups, ...settings);
        throw new Error("it was planned");
      } catch (error) {
        if (!(error instanceof HostError)) throw error;
        expect(error.message).toContain(message);
        expect(error.status).toBe(status);
      }
    });
});

describe("a number that the other version does not know is refused, not bent to the nearest", () => {
  const rows: [setting: string, group: string, host: Host][] = [
    ["cpu.weight=0", "a", onHybrid],
    ["cpu.weight=10001", "a", onHybrid],
    ["blkio.weight=9", "limited", onV2],
    ["blkio.weight=1001", "limited", onV2],
  ];
  for (const [setting, group, host] of rows)
    test(setting, () => {
      expect(() => set(host, [group], setting)).toThrow("cannot be had on this version");
    });
});

test("a file of no controller is in no group that cgcreate could make by that name", () => {
  try {
    set(onHybrid, ["a"], "cgroup.procs=0");
    throw new Error("it was planned");
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    expect(error.hint).toBe(
      "it would be one of cgroup v2: nsk cgcreate makes it for a controller that is there",
    );
  }
});

test("a part of a processor is of the period that is set with it, whichever comes first", () => {
  const steps = (...settings: string[]) => outline(set(onHybrid, ["a"], ...settings).steps);
  const written = [
    "/sys/fs/cgroup/cpu/a/cpu.cfs_period_us < 50000",
    "/sys/fs/cgroup/cpu/a/cpu.cfs_quota_us < 25000",
  ];
  expect(steps("cpu.cfs_quota_us=50%", "cpu.cfs_period_us=50000")).toEqual(written);
  expect(steps("cpu.cfs_period_us=50000", "cpu.cfs_quota_us=50%")).toEqual(written);
});

describe(`copying (${difference("cgset-copy")})`, () => {
  const host = hybrid({
    files: {
      "/sys/fs/cgroup/cpu/a/cpu.shares": "77\n",
      "/sys/fs/cgroup/cpu/a/cpu.idle": "0\n",
      "/sys/fs/cgroup/cpu/a/cpu.stat": "nr_periods 5\n",
      "/sys/fs/cgroup/cpu/a/cgroup.procs": "12\n",
      "/sys/fs/cgroup/cpu/b/cpu.shares": "1024\n",
      "/sys/fs/cgroup/cpu/b/cpu.idle": "0\n",
      "/sys/fs/cgroup/cpu/b/cpu.stat": "nr_periods 0\n",
      "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1048576\n",
    },
  });
  test("writes settings that differ, where both groups are", () => {
    expect(outline(planCopy(host, readHierarchies(host), "a", ["b"]))).toEqual([
      "/sys/fs/cgroup/cpu/b/cpu.shares < 77",
    ]);
  });
  for (const [from, to] of [
    ["nope", "b"],
    ["a", "nope"],
  ] as const)
    test(`from ${from} to ${to} is an error`, () => {
      expect(() => planCopy(host, readHierarchies(host), from, [to])).toThrow("there is no group nope");
    });
});
