// lscgroup and lssubsys on hosts that exist only here.

import { describe, expect, test } from "bun:test";
import { formatGroups, planList } from "../../src/commands/lscgroup.ts";
import { formatSubsystems, planSubsystems } from "../../src/commands/lssubsys.ts";
import type { Host } from "../../src/host/host.ts";
import { difference } from "../differences.ts";
import { hybrid, limitedOnV2, v1, v2 } from "./hosts.ts";

describe("lscgroup", () => {
  const list = (host: Host, ...words: string[]): string => formatGroups(planList(words, host));
  test("all of version 2, by the controllers of its root", () => {
    const all = "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc";
    expect(list(v2({ files: limitedOnV2 }))).toBe(`${all}:/\n${all}:/limited\n`);
  });
  test("all of version 1, and not the tree that is for systemd alone", () => {
    const host = v1({ files: { "/sys/fs/cgroup/pids/a/b/tasks": "" } });
    expect(list(host)).toBe(
      "cpu,cpuacct:/\nmemory:/\ncpuset:/\nblkio:/\nfreezer:/\npids:/\npids:/a\npids:/a/b\n",
    );
    expect(list(v1({ files: { "/sys/fs/cgroup/systemd/a/tasks": "" } }), "name=systemd:/")).toBe(
      "name=systemd:/\nname=systemd:/a\n",
    );
  });
  test("a name of version 1 finds its place on version 2", () => {
    expect(list(v2({ files: limitedOnV2 }), "blkio:limited")).toEndWith(":/limited/\n");
  });
  test("one mounted together with others, by its own name", () => {
    expect(list(v1(), "cpuacct:/")).toBe("cpu,cpuacct:/\n");
  });
});

describe("lssubsys", () => {
  type Options = Parameters<typeof formatSubsystems>[1] & { all: boolean };
  const none: Options = { all: false, hierarchies: false, mountPoints: false, allMountPoints: false };
  const list = (host: Host, options: Partial<Options>, ...names: string[]): string[] => {
    const chosen = { ...none, ...options };
    return formatSubsystems(planSubsystems(names, chosen.all, host), chosen)
      .split("\n")
      .slice(0, -1);
  };
  const rows: [what: string, host: Host, options: Partial<Options>, names: string[], lines: string[]][] = [
    ["version 1", v1(), {}, [], ["cpuset", "cpu,cpuacct", "memory"]],
    ["-a", v1(), { all: true }, [], ["net_cls", "rdma", "cpuset", "cpu,cpuacct", "memory"]],
    ["-i", v1(), { hierarchies: true }, [], ["cpuset 3", "cpu,cpuacct 1", "memory 4"]],
    [
      "-m",
      v1(),
      { mountPoints: true },
      [],
      [
        "cpuset /sys/fs/cgroup/cpuset",
        "cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct",
        "memory /sys/fs/cgroup/memory",
      ],
    ],
    ["-m of one", v1(), { mountPoints: true }, ["cpuacct"], ["cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct"]],
    ["-M", v1(), { allMountPoints: true }, ["memory"], ["memory /sys/fs/cgroup/memory"]],
    ["-mi", v1(), { mountPoints: true, hierarchies: true }, ["memory"], ["memory /sys/fs/cgroup/memory"]],
    [`hybrid (${difference("lssubsys-hybrid")})`, hybrid(), {}, [], ["cpu", "cpuacct", "memory", "hugetlb"]],
    [
      "version 2",
      v2(),
      { mountPoints: true },
      [],
      ["cpuset,cpu,io,memory,hugetlb,pids,rdma,misc /sys/fs/cgroup"],
    ],
    [
      "-a on version 2: what it does not have under this name",
      v2(),
      { all: true },
      [],
      ["cpuacct", "blkio", "devices", "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc"],
    ],
  ];
  for (const [what, host, options, names, lines] of rows)
    test(what, () => {
      expect(list(host, options, ...names)).toEqual(lines);
    });
  test("one that is in no hierarchy is an error without -a", () => {
    expect(() => list(v1(), {}, "net_cls")).toThrow("the controller net_cls is in no hierarchy");
  });
});
