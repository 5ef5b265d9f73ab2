import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import { type Limits, planLimits } from "../../src/cgroups/limits.ts";
import type { Resources } from "../../src/cgroups/resources.ts";
import type { Host } from "../../src/host/host.ts";
import { outline } from "../support/steps.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

const quarter: Resources = { cpu: { quota: 25000, period: 100000 } };

const rows: [what: string, host: Host, limits: Limits, groups: string[], create: string[]][] = [
  ["no limit needs no group", v2(), {}, [], []],
  [
    "what is counted on version 1",
    v1(),
    { counted: true },
    ["/sys/fs/cgroup/cpu,cpuacct/nsk-c1", "/sys/fs/cgroup/memory/nsk-c1", "/sys/fs/cgroup/pids/nsk-c1"],
    [
      "mkdir /sys/fs/cgroup/cpu,cpuacct/nsk-c1",
      "mkdir /sys/fs/cgroup/memory/nsk-c1",
      "mkdir /sys/fs/cgroup/pids/nsk-c1",
    ],
  ],
  [
    "what is counted on version 2, where all is handed on",
    v2(),
    { counted: true },
    ["/sys/fs/cgroup/nsk-c1"],
    ["mkdir /sys/fs/cgroup/nsk-c1"],
  ],
  [
    "what is counted on version 2 below a group that holds processes",
    v2({
      files: { "/sys/fs/cgroup/cgroup.type": "domain\n", "/sys/fs/cgroup/cgroup.subtree_control": "\n" },
    }),
    { counted: true },
    ["/sys/fs/cgroup/nsk-c1"],
    ["mkdir /sys/fs/cgroup/nsk-c1"],
  ],
  [
    "nothing is counted where nothing may be made",
    v2({
      files: {
        "/proc/self/mountinfo":
          "30 22 0:26 / /sys/fs/cgroup ro,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
      },
    }),
    { counted: true },
    [],
    [],
  ],
  [
    "a quarter of a processor on version 1",
    hybrid(),
    quarter,
    ["/sys/fs/cgroup/cpu/nsk-c1"],
    [
      "mkdir /sys/fs/cgroup/cpu/nsk-c1",
      "/sys/fs/cgroup/cpu/nsk-c1/cpu.cfs_period_us < 100000",
      "/sys/fs/cgroup/cpu/nsk-c1/cpu.cfs_quota_us < 25000",
    ],
  ],
  [
    "all limits on version 1",
    v1(),
    { cpu: { ...quarter.cpu, shares: 512, cpus: "0-1" }, memory: { limit: 1048576 }, pids: { limit: 10 } },
    [
      "/sys/fs/cgroup/cpuset/nsk-c1",
      "/sys/fs/cgroup/cpu,cpuacct/nsk-c1",
      "/sys/fs/cgroup/memory/nsk-c1",
      "/sys/fs/cgroup/pids/nsk-c1",
    ],
    [
      "mkdir /sys/fs/cgroup/cpuset/nsk-c1",
      "/sys/fs/cgroup/cpuset/nsk-c1/cpuset.cpus < 0-3",
      "/sys/fs/cgroup/cpuset/nsk-c1/cpuset.mems < 0",
      "mkdir /sys/fs/cgroup/cpu,cpuacct/nsk-c1",
      "mkdir /sys/fs/cgroup/memory/nsk-c1",
      "mkdir /sys/fs/cgroup/pids/nsk-c1",
      "/sys/fs/cgroup/cpuset/nsk-c1/cpuset.cpus < 0-1",
      "/sys/fs/cgroup/cpu,cpuacct/nsk-c1/cpu.cfs_period_us < 100000",
      "/sys/fs/cgroup/cpu,cpuacct/nsk-c1/cpu.cfs_quota_us < 25000",
      "/sys/fs/cgroup/cpu,cpuacct/nsk-c1/cpu.shares < 512",
      "/sys/fs/cgroup/memory/nsk-c1/memory.limit_in_bytes < 1048576",
      "/sys/fs/cgroup/memory/nsk-c1/memory.memsw.limit_in_bytes < 2097152",
      "/sys/fs/cgroup/pids/nsk-c1/pids.max < 10",
    ],
  ],
  [
    "memory where swap is not accounted for",
    hybrid(),
    { memory: { limit: 4096 } },
    ["/sys/fs/cgroup/memory/nsk-c1"],
    ["mkdir /sys/fs/cgroup/memory/nsk-c1", "/sys/fs/cgroup/memory/nsk-c1/memory.limit_in_bytes < 4096"],
  ],
  [
    "all limits on version 2, in one group",
    v2(),
    { cpu: { ...quarter.cpu, shares: 512, cpus: "0-1" }, memory: { limit: 1048576 }, pids: { limit: 0 } },
    ["/sys/fs/cgroup/nsk-c1"],
    [
      "/sys/fs/cgroup/cgroup.subtree_control < +cpuset +cpu",
      "mkdir /sys/fs/cgroup/nsk-c1",
      "/sys/fs/cgroup/nsk-c1/cpuset.cpus < 0-1",
      "/sys/fs/cgroup/nsk-c1/cpu.max < 25000 100000",
      "/sys/fs/cgroup/nsk-c1/cpu.weight < 59",
      "/sys/fs/cgroup/nsk-c1/memory.max < 1048576",
      "/sys/fs/cgroup/nsk-c1/memory.swap.max < 1048576",
      "/sys/fs/cgroup/nsk-c1/pids.max < max",
    ],
  ],
];
for (const [what, host, limits, groups, create] of rows)
  test(what, () => {
    const plan = planLimits(host, "c1", limits);
    expect(plan.groups).toEqual(groups);
    expect(outline(plan.create)).toEqual(create);
    const entrance = host.list("/sys/fs/cgroup/memory") ? "tasks" : "cgroup.procs";
    expect(outline(plan.join)).toEqual(groups.map((directory) => `${directory}/${entrance} < 0`));
    expect(outline(plan.remove)).toEqual(groups.map((directory) => `rmdir ${directory}`));
  });

describe("a program that was killed for want of memory is told with the limit, by the counts of", () => {
  const rows: [string, Host, file: string, limit: string][] = [
    ["version 1", v1(), "/sys/fs/cgroup/memory/nsk-c1/memory.oom_control", "memory.limit_in_bytes"],
    ["version 2", v2(), "/sys/fs/cgroup/nsk-c1/memory.events", "memory.max"],
  ];
  for (const [version, host, file, limit] of rows)
    test(version, () => {
      const [notice, ...others] = planLimits(host, "c1", {
        memory: { limit: 4096 },
        pids: { limit: 5 },
      }).notices;
      expect(others).toEqual([]);
      expect(notice!.read[0]!.args[1]).toEqual({ type: "string", value: file });
      expect(notice!.text).toEndWith(`whose ${limit} is 4096`);
    });
  test("nothing, where memory is not limited", () => {
    expect(planLimits(v2(), "c1", quarter).notices).toEqual([]);
  });
});

describe("a container's failures", () => {
  const { create, join } = planLimits(v1(), "c1", { ...quarter, memory: { limit: 1 } });
  test("have the plan's status, not libcgroup's", () => {
    expect([...create, ...join].filter(({ status }) => status !== undefined)).toEqual([]);
  });
  test("take back the groups that were made", () => {
    expect(outline(create.flatMap((step) => step.undo ?? []))).toEqual([
      "rmdir /sys/fs/cgroup/cpu,cpuacct/nsk-c1",
      "rmdir /sys/fs/cgroup/memory/nsk-c1",
    ]);
  });
  test("begin with a controller that is not mounted, with docker's status", () => {
    try {
      planLimits(hybrid(), "c1", { cpu: { cpus: "0" } });
      throw new Error("it was planned");
    } catch (error) {
      expect(error).toBeInstanceOf(HostError);
      expect((error as HostError).status).toBe(125);
    }
  });
});
