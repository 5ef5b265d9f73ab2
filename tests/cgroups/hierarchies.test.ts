import { describe, expect, test } from "bun:test";
import { allControllers, locate, readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { missingController } from "../../src/cgroups/missing.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

const found = (host: ReturnType<typeof v1>): unknown[] =>
  readHierarchies(host).map(({ version, mountPoint, controllers, name }) => [
    version,
    mountPoint,
    name ?? controllers.join(","),
  ]);

test("version 1: controllers that are mounted together, and a named tree", () => {
  expect(found(v1())).toEqual([
    [1, "/sys/fs/cgroup/systemd", "systemd"],
    [1, "/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"],
    [1, "/sys/fs/cgroup/memory", "memory"],
    [1, "/sys/fs/cgroup/cpuset", "cpuset"],
    [1, "/sys/fs/cgroup/blkio", "blkio"],
    [1, "/sys/fs/cgroup/freezer", "freezer"],
    [1, "/sys/fs/cgroup/pids", "pids"],
  ]);
});

test("hybrid: version 2 has what version 1 left", () => {
  expect(found(hybrid())).toEqual([
    [1, "/sys/fs/cgroup/cpu", "cpu"],
    [1, "/sys/fs/cgroup/cpuacct", "cpuacct"],
    [1, "/sys/fs/cgroup/memory", "memory"],
    [2, "/sys/fs/cgroup/unified", "hugetlb"],
  ]);
});

test("version 2: one tree with all", () => {
  expect(found(v2())).toEqual([[2, "/sys/fs/cgroup", "cpuset,cpu,io,memory,hugetlb,pids,rdma,misc"]]);
});

test("a tree that is mounted twice is known by its first mount, and a covered mount does not count", () => {
  const host = fixtureHost({
    files: {
      "/proc/self/mountinfo": [
        "30 22 0:28 / /covered rw - cgroup cgroup rw,cpu",
        "31 22 0:29 / /covered rw - tmpfs none rw",
        "32 22 0:28 / /a\\040b rw - cgroup cgroup rw,cpu",
        "33 22 0:28 / /again rw - cgroup cgroup rw,cpu",
        "34 22 0:30 / /c rw - cgroup cgroup rw,memory",
        "35 22 0:31 / /c rw - cgroup cgroup rw,pids",
      ].join("\n"),
    },
  });
  expect(found(host)).toEqual([
    [1, "/covered", "cpu"],
    [1, "/c", "pids"],
  ]);
});

test("the controllers of version 2 are not read before they are asked for", () => {
  const read: string[] = [];
  const host = hybrid();
  const hierarchies = readHierarchies({ ...host, read: (path) => (read.push(path), host.read(path)) });
  expect(locate(hierarchies, "cpu")?.hierarchy.mountPoint).toBe("/sys/fs/cgroup/cpu");
  expect(read).toEqual(["/proc/self/mountinfo"]);
});

describe("a controller is found by its name in either version", () => {
  const rows: [
    host: typeof v1,
    controller: string,
    mountPoint: string | undefined,
    there: string | undefined,
  ][] = [
    [v1, "cpu", "/sys/fs/cgroup/cpu,cpuacct", "cpu"],
    [v1, "io", "/sys/fs/cgroup/blkio", "blkio"],
    [v1, "freezer", "/sys/fs/cgroup/freezer", "freezer"],
    [v1, "name=systemd", "/sys/fs/cgroup/systemd", "name=systemd"],
    [v1, "name=other", undefined, undefined],
    [v1, "net_cls", undefined, undefined],
    [v2, "cpu", "/sys/fs/cgroup", "cpu"],
    [v2, "cpuacct", "/sys/fs/cgroup", "cpu"],
    [v2, "blkio", "/sys/fs/cgroup", "io"],
    [v2, "freezer", "/sys/fs/cgroup", ""],
    [v2, "perf_event", "/sys/fs/cgroup", ""],
    [v2, "devices", undefined, undefined],
    [v2, "name=systemd", undefined, undefined],
    [hybrid, "hugetlb", "/sys/fs/cgroup/unified", "hugetlb"],
    [hybrid, "pids", undefined, undefined],
  ];
  for (const [host, controller, mountPoint, there] of rows)
    test(`${host.name}: ${controller} is at ${mountPoint ?? "no place"}`, () => {
      const location = locate(readHierarchies(host()), controller);
      expect([location?.hierarchy.mountPoint, location?.controller]).toEqual([mountPoint, there]);
    });
});

test("* is what version 1 has, and what version 2 has where version 1 has nothing", () => {
  expect(allControllers(readHierarchies(hybrid()))).toEqual(["cpu", "cpuacct", "memory"]);
  expect(allControllers(readHierarchies(v2()))).toContain("cpuset");
});

describe("a controller that is not to be had is explained", () => {
  const nothing = fixtureHost({ files: { "/proc/self/mountinfo": "" } });
  const rows: [
    what: string,
    host: ReturnType<typeof v1>,
    controller: string,
    message: string,
    hint: string,
  ][] = [
    ["unknown", v1(), "nope", "there is no controller nope", "mounted are cpu, cpuacct, memory"],
    ["known and not mounted", v1(), "net_cls", "net_cls is not mounted", "mount -t cgroup -o net_cls"],
    ["switched off", v1(), "rdma", "rdma is switched off", "cgroup_disable=rdma"],
    ["not of version 2", v2(), "devices", "cgroup v2 has no controller devices", "BPF"],
    ["no named tree", v1(), "name=x", "no hierarchy name=x is mounted", "mounted are"],
    ["no control groups", nothing, "cpu", "no control groups are mounted", "mount -t cgroup2"],
    ["no /proc", fixtureHost(), "cpu", "/proc is not mounted", "mount -t proc"],
  ];
  for (const [what, host, controller, message, hint] of rows)
    test(what, () => {
      const error = missingController(host, readHierarchies(host), controller);
      expect(error.message).toContain(message);
      expect(error.hint).toContain(hint);
      expect(error.status).toBe(84);
    });
});
