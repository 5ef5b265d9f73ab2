// What the OCI runtime spec's resources come down to, as settings by the names of version 1.

import { describe, expect, test } from "bun:test";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { type Resources, settingsOf } from "../../src/cgroups/resources.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

const written = (resources: Resources, host = v1()): string[] =>
  settingsOf(resources, readHierarchies(host)).map(({ name, value }) => `${name}=${value}`);

describe("resources are settings", () => {
  const rows: readonly (readonly [Resources, readonly string[]])[] = [
    [{}, []],
    [
      { memory: { limit: 1024, swap: 2048 } },
      ["memory.limit_in_bytes=1024", "memory.memsw.limit_in_bytes=2048"],
    ],
    [
      { memory: { limit: -1, reservation: 7, swappiness: 0, disableOOMKiller: true } },
      [
        "memory.limit_in_bytes=-1",
        "memory.soft_limit_in_bytes=7",
        "memory.swappiness=0",
        "memory.oom_control=1",
      ],
    ],
    [{ memory: { limit: 0 }, cpu: { shares: 0, quota: 0 }, pids: { limit: 0 } }, []],
    [
      { cpu: { shares: 2, quota: -1, period: 5, burst: 3, cpus: "0", mems: "0", idle: 1 } },
      [
        "cpu.shares=2",
        "cpu.cfs_period_us=5",
        "cpu.cfs_quota_us=-1",
        "cpu.cfs_burst_us=3",
        "cpuset.cpus=0",
        "cpuset.mems=0",
        "cpu.idle=1",
      ],
    ],
    [{ cpu: { realtimePeriod: 9, realtimeRuntime: 8 } }, ["cpu.rt_period_us=9", "cpu.rt_runtime_us=8"]],
    [{ pids: { limit: 5 } }, ["pids.max=5"]],
    [{ pids: { limit: -1 } }, ["pids.max=max"]],
    [
      {
        blockIO: {
          weight: 100,
          leafWeight: 50,
          weightDevice: [{ major: 8, minor: 0, weight: 10, leafWeight: 20 }],
          throttleReadBpsDevice: [{ major: 8, minor: 0, rate: 1 }],
          throttleWriteIOPSDevice: [{ major: 8, minor: 1, rate: 2 }],
        },
      },
      [
        "blkio.weight=100",
        "blkio.leaf_weight=50",
        "blkio.weight_device=8:0 10",
        "blkio.leaf_weight_device=8:0 20",
        "blkio.throttle.read_bps_device=8:0 1",
        "blkio.throttle.write_iops_device=8:1 2",
      ],
    ],
    [{ hugepageLimits: [{ pageSize: "2MB", limit: 9 }] }, ["hugetlb.2MB.limit_in_bytes=9"]],
    [
      { network: { classID: 3, priorities: [{ name: "lo", priority: 4 }] } },
      ["net_cls.classid=3", "net_prio.ifpriomap=lo 4"],
    ],
    [{ rdma: { mlx: { hcaHandles: 1, hcaObjects: 2 } } }, ["rdma.max=mlx hca_handle=1 hca_object=2"]],
  ];
  for (const [resources, expected] of rows)
    test(JSON.stringify(resources), () => {
      expect(written(resources)).toEqual([...expected]);
    });
  test("version 2's own files are written as they are, where there is a version 2", () => {
    expect(written({ unified: { "memory.high": "5" } }, v2())).toEqual(["memory.high=5"]);
    expect(written({ unified: { "memory.high": "5" } }, hybrid())).toEqual(["memory.high=5"]);
    expect(() => written({ unified: { "memory.high": "5" } })).toThrow("no cgroup v2 is mounted here");
    expect(() => written({ unified: { "../x": "5" } }, v2())).toThrow("'../x' is no file of a control group");
  });
  test("what version 2 has no leaves for is passed over there", () => {
    expect(
      written({ blockIO: { leafWeight: 50 } }, v2({ files: { "/sys/fs/cgroup/cgroup.controllers": "io" } })),
    ).toEqual([]);
  });
});
