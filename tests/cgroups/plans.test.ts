import { describe, expect, test } from "bun:test";
import { errno } from "../../src/abi/errno.ts";
import { planCreate } from "../../src/cgroups/create.ts";
import { allPlaces, parseGroupSpec, placesOf } from "../../src/cgroups/groups.ts";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { planJoin } from "../../src/cgroups/join.ts";
import { asksForNothing, planOwnership } from "../../src/cgroups/ownership.ts";
import { planRemove } from "../../src/cgroups/remove.ts";
import type { Host } from "../../src/host/host.ts";
import type { CallStep } from "../../src/plan/call.ts";
import { difference } from "../differences.ts";
import { hintOf, outline } from "../support/steps.ts";
import { hybrid, limitedOnV2, v1, v2 } from "./hosts.ts";

const placesFor = (host: Host, specs: readonly string[]) =>
  allPlaces(host, readHierarchies(host), specs.map(parseGroupSpec));

describe("a path that leaves its hierarchy", () => {
  const host = hybrid({
    files: {
      "/proc/self/mountinfo":
        "32 30 0:28 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n50 32 8:1 /home /sys/fs/cgroup/cpu/a/home rw - ext4 /dev/sda1 rw\n",
      "/sys/fs/cgroup/cpu/a/tasks": "",
      "/sys/fs/cgroup/cpu/a/home/x/file": "",
    },
  });
  const places = (spec: string) => placesOf(host, readHierarchies(host), parseGroupSpec(spec));
  test("through a mount is refused", () => {
    expect(() => planCreate(host, places("cpu:a/home/new"))).toThrow("leads out of its hierarchy");
    expect(() => planRemove(host, [places("cpu:a/home/x")], false)).toThrow("leads out of its hierarchy");
  });
  test("is not removed with what is above it", () => {
    expect(() => planRemove(host, [places("cpu:a")], true)).toThrow("leads out of its hierarchy");
  });
  test("beside a mount is nothing to refuse", () => {
    expect(planCreate(host, places("cpu:a/homes"))).toHaveLength(1);
  });
});

describe("making a group", () => {
  const create = (host: Host, ...specs: string[]): CallStep[] => planCreate(host, placesFor(host, specs));

  for (const path of ["tasks", "tasks/x"])
    test(`${path} is refused where the name is a file's`, () => {
      expect(() => create(hybrid(), `cpu:${path}`)).toThrow("/sys/fs/cgroup/cpu/tasks is a file");
    });

  const rows: [what: string, host: Host, specs: string[], steps: string[]][] = [
    ["in one hierarchy", hybrid(), ["cpu:a"], ["mkdir /sys/fs/cgroup/cpu/a"]],
    [
      "with those above it, in each hierarchy",
      hybrid(),
      ["cpu,memory:a/b"],
      [
        "mkdir /sys/fs/cgroup/cpu/a",
        "mkdir /sys/fs/cgroup/cpu/a/b",
        "mkdir /sys/fs/cgroup/memory/a",
        "mkdir /sys/fs/cgroup/memory/a/b",
      ],
    ],
    [
      "and another below the same",
      hybrid(),
      ["cpu:a/b", "cpu:a/c"],
      ["mkdir /sys/fs/cgroup/cpu/a", "mkdir /sys/fs/cgroup/cpu/a/b", "mkdir /sys/fs/cgroup/cpu/a/c"],
    ],
    ["that is there already", hybrid({ files: { "/sys/fs/cgroup/cpu/a/tasks": "" } }), ["cpu:a"], []],
    ["that is the root", hybrid(), ["cpu:/"], []],
    [
      "once for controllers that are mounted together",
      v1(),
      ["cpu,cpuacct:a"],
      ["mkdir /sys/fs/cgroup/cpu,cpuacct/a"],
    ],
    [
      `of cpuset with what the group above has (${difference("cgcreate-cpuset")})`,
      v1(),
      ["cpuset:a/b"],
      [
        "mkdir /sys/fs/cgroup/cpuset/a",
        "/sys/fs/cgroup/cpuset/a/cpuset.cpus < 0-3",
        "/sys/fs/cgroup/cpuset/a/cpuset.mems < 0",
        "mkdir /sys/fs/cgroup/cpuset/a/b",
        "/sys/fs/cgroup/cpuset/a/b/cpuset.cpus < 0-3",
        "/sys/fs/cgroup/cpuset/a/b/cpuset.mems < 0",
      ],
    ],
    [
      "of version 2 with the controllers handed on from the root down",
      v2(),
      ["cpu,memory:a/b"],
      [
        "/sys/fs/cgroup/cgroup.subtree_control < +cpu",
        "mkdir /sys/fs/cgroup/a",
        "/sys/fs/cgroup/a/cgroup.subtree_control < +cpu +memory",
        "mkdir /sys/fs/cgroup/a/b",
      ],
    ],
    [
      "of version 2 whose controllers are handed on already",
      v2(),
      ["memory,pids:a"],
      ["mkdir /sys/fs/cgroup/a"],
    ],
    [
      "of version 2 that is there and lacks a controller",
      v2({ files: limitedOnV2 }),
      ["cpuset:limited"],
      ["/sys/fs/cgroup/cgroup.subtree_control < +cpuset"],
    ],
    [
      "of version 2 twice, without handing on twice",
      v2(),
      ["cpu:a", "cpu:b"],
      ["/sys/fs/cgroup/cgroup.subtree_control < +cpu", "mkdir /sys/fs/cgroup/a", "mkdir /sys/fs/cgroup/b"],
    ],
    ["of version 2 for what needs no controller", v2(), ["freezer,perf_event:a"], ["mkdir /sys/fs/cgroup/a"]],
    [
      "of version 2 for cpuacct, which is cpu there",
      v2(),
      ["cpuacct:a"],
      ["/sys/fs/cgroup/cgroup.subtree_control < +cpu", "mkdir /sys/fs/cgroup/a"],
    ],
  ];
  for (const [what, host, specs, steps] of rows)
    test(what, () => {
      expect(outline(create(host, ...specs))).toEqual(steps);
    });

  test("of cpuset below one that somebody left empty stays empty without a failure", () => {
    const host = v1({ files: { "/sys/fs/cgroup/cpuset/a/cpuset.cpus": "\n" } });
    const steps = create(host, "cpuset:a/b");
    expect(outline(steps)[1]).toBe("/sys/fs/cgroup/cpuset/a/b/cpuset.cpus < 0-3");
    expect(steps[2]!.tolerate).toEqual([errno("EACCES")]);
  });

  test("of version 2 below one that holds processes is refused, also where the kernel would make it threaded", () => {
    const held = {
      ...limitedOnV2,
      "/sys/fs/cgroup/limited/cgroup.procs": "12\n",
      "/proc/12/comm": "sleep\n",
    };
    const host = v2({ files: { ...held, "/sys/fs/cgroup/limited/cgroup.type": "domain\n" } });
    expect(() => create(host, "pids:limited/a")).toThrow("/sys/fs/cgroup/limited cannot hand on pids");
    // With others the kernel says so itself, and a threaded group is meant to be one.
    expect(create(host, "memory,pids:limited/a")).not.toEqual([]);
    const threaded = v2({ files: { ...held, "/sys/fs/cgroup/limited/cgroup.type": "domain threaded\n" } });
    expect(create(threaded, "pids:limited/a")).not.toEqual([]);
  });

  test("gives each reason once", () => {
    const reasons = create(v2(), "cpu:a/b", "cpu:c/d").flatMap(({ reason }) => reason ?? []);
    expect(reasons).toHaveLength(2);
    expect(new Set(reasons).size).toBe(2);
  });

  test(`takes all back when one fails (${difference("cgcreate-all-or-nothing")})`, () => {
    const undone = create(hybrid(), "cpu,memory:a").flatMap((step) => step.undo ?? []);
    expect(outline(undone)).toEqual(["rmdir /sys/fs/cgroup/cpu/a", "rmdir /sys/fs/cgroup/memory/a"]);
  });

  test("names the processes that keep a group of version 2 from handing controllers on", () => {
    const host = v2({
      files: {
        ...limitedOnV2,
        "/sys/fs/cgroup/limited/cgroup.procs": "12\n15\n",
        "/proc/12/comm": "bash\n",
        "/proc/15/comm": "sleep\n",
      },
    });
    const hint = hintOf(create(host, "pids:limited/a"), "write", errno("EBUSY"));
    expect(hint).toContain("no internal processes");
    expect(hint).toEndWith("it holds 12 (bash), 15 (sleep)");
  });

  test("says what privilege is missing, and ends with libcgroup's status for it", () => {
    const user = create(hybrid({ euid: 1000 }), "cpu:a");
    expect(hintOf(user, "mkdirat", errno("EACCES"))).toContain("run it as root");
    expect(user[0]!.status).toBe(87);
    const root = create(hybrid(), "cpu:a");
    expect(hintOf(root, "mkdirat", errno("EROFS"))).toContain("read-only");
    expect(root[0]!.status).toBe(96);
  });
});

describe("giving a group away", () => {
  const none = {
    all: undefined,
    tasks: undefined,
    directoryMode: undefined,
    fileMode: undefined,
    tasksMode: undefined,
  };
  const host = hybrid({
    files: { "/sys/fs/cgroup/cpu/a/tasks": "", "/sys/fs/cgroup/cpu/a/cpu.shares": "1024\n" },
  });
  const own = (asked: Partial<Parameters<typeof planOwnership>[2]>, spec = "cpu:a"): string[] =>
    outline(planOwnership(host, placesFor(host, [spec]), { ...none, ...asked }));

  test("nothing asked is nothing done", () => {
    expect(asksForNothing(none)).toBe(true);
    expect(own({})).toEqual([]);
  });
  test("the directory and each file, and the entrance to somebody else", () => {
    expect(own({ all: { uid: 1, gid: 2 }, tasks: { uid: 3, gid: -1 } })).toEqual([
      "fchownat /sys/fs/cgroup/cpu/a 1 2 0",
      "fchownat /sys/fs/cgroup/cpu/a/cpu.shares 1 2 0",
      "fchownat /sys/fs/cgroup/cpu/a/tasks 3 -1 0",
    ]);
  });
  test("nobody may do with a file what its owner may not", () => {
    expect(own({ directoryMode: 0o750, fileMode: 0o777, tasksMode: 0o660 })).toEqual([
      "fchmodat /sys/fs/cgroup/cpu/a 0750",
      "fchmodat /sys/fs/cgroup/cpu/a/cpu.shares 0666",
      "fchmodat /sys/fs/cgroup/cpu/a/tasks 0660",
    ]);
  });
  test("a group that is not there yet has the files of its neighbour", () => {
    expect(own({ tasks: { uid: 1, gid: 1 } }, "cpu:b")).toEqual([
      "fchownat /sys/fs/cgroup/cpu/b/tasks 1 1 0",
    ]);
  });
});

describe("joining groups", () => {
  const join = (host: Host, ...specs: string[]): CallStep[] => planJoin(host, placesFor(host, specs));

  test("is one write for each hierarchy", () => {
    expect(outline(join(hybrid(), "cpu,memory:a", "cpu:b"))).toEqual([
      "/sys/fs/cgroup/cpu/a/tasks < 0",
      "/sys/fs/cgroup/memory/a/tasks < 0",
      "/sys/fs/cgroup/cpu/b/tasks < 0",
    ]);
    expect(outline(join(v2(), "cpu,memory:a"))).toEqual(["/sys/fs/cgroup/a/cgroup.procs < 0"]);
  });
  test("two groups of version 2 at once are refused", () => {
    expect(() => join(v2(), "cpu:a", "memory:b")).toThrow("two groups of one hierarchy");
  });
  test("failures are explained, with libcgroup's statuses", () => {
    const steps = join(v1(), "cpuset:a");
    expect(hintOf(steps, "openat", errno("ENOENT"))).toContain("nsk cgcreate -g cpuset:a");
    expect(hintOf(steps, "write", errno("ENOSPC"))).toContain("cpuset.cpus or cpuset.mems");
    expect(hintOf(join(v2(), "cpu:a"), "write", errno("EBUSY"))).toContain("no internal processes");
    expect(steps[0]!.status).toBe(82);
    expect(join(v1({ euid: 1000 }), "cpu:/")[0]!.status).toBe(87);
    expect(join(v1({ euid: 1000 }), "cpu:nope")[0]!.status).toBe(82);
  });
});

describe("removing groups", () => {
  const remove = (host: Host, recursive: boolean, ...specs: string[]): CallStep[] => {
    const hierarchies = readHierarchies(host);
    return planRemove(
      host,
      specs.map((spec) => placesOf(host, hierarchies, parseGroupSpec(spec))),
      recursive,
    );
  };
  const host = hybrid({
    files: {
      "/sys/fs/cgroup/cpu/a/tasks": "12\n13\n",
      "/sys/fs/cgroup/cpu/a/b/tasks": "14\n",
      "/sys/fs/cgroup/cpu/a/b/c/tasks": "",
      "/sys/fs/cgroup/cpu/x/tasks": "",
      "/sys/fs/cgroup/memory/x/tasks": "",
    },
  });

  const rows: [what: string, host: Host, recursive: boolean, specs: string[], steps: string[]][] = [
    [
      `from each hierarchy (${difference("cgdelete-lists")})`,
      host,
      false,
      ["memory,cpu:x"],
      ["rmdir /sys/fs/cgroup/memory/x", "rmdir /sys/fs/cgroup/cpu/x"],
    ],
    ["that only some of them have", host, false, ["cpu,cpuacct:/x"], ["rmdir /sys/fs/cgroup/cpu/x"]],
    ["twice", host, false, ["cpu:x", "cpu:/x"], ["rmdir /sys/fs/cgroup/cpu/x"]],
    [
      `by * (${difference("cgdelete-star")})`,
      host,
      false,
      ["*:x"],
      ["rmdir /sys/fs/cgroup/cpu/x", "rmdir /sys/fs/cgroup/memory/x"],
    ],
    ["with groups below moves nobody for nothing", host, false, ["cpu:a"], ["rmdir /sys/fs/cgroup/cpu/a"]],
    [
      "with all below, after moving who is in them",
      host,
      true,
      ["cpu:a"],
      [
        "/sys/fs/cgroup/cpu/tasks < 14",
        "/sys/fs/cgroup/cpu/tasks < 12",
        "/sys/fs/cgroup/cpu/tasks < 13",
        "rmdir /sys/fs/cgroup/cpu/a/b/c",
        "rmdir /sys/fs/cgroup/cpu/a/b",
        "rmdir /sys/fs/cgroup/cpu/a",
      ],
    ],
    [
      "of version 2 moves whole processes to the nearest group that may hold them",
      v2({
        files: {
          "/sys/fs/cgroup/a/cgroup.subtree_control": "cpu\n",
          "/sys/fs/cgroup/a/b/cgroup.procs": "12\n",
        },
      }),
      false,
      ["cpu:a/b"],
      ["/sys/fs/cgroup/cgroup.procs < 12", "rmdir /sys/fs/cgroup/a/b"],
    ],
  ];
  for (const [what, on, recursive, specs, steps] of rows)
    test(what, () => {
      expect(outline(remove(on, recursive, ...specs))).toEqual(steps);
    });

  test("a group that is nowhere is an error", () => {
    expect(() => remove(host, false, "cpu,memory:nope")).toThrow("there is no group cpu:nope");
  });
  test(`the root is refused (${difference("cgdelete-root")})`, () => {
    expect(() => remove(host, true, "cpu:/")).toThrow("is the root of its hierarchy");
  });
  test("groups below are named as the cause", () => {
    expect(hintOf(remove(host, false, "cpu:a"), "unlinkat", errno("EBUSY"))).toBe(
      "there are groups below it (b): -r removes them too",
    );
  });
  test("a process that ended in the meantime is no failure", () => {
    expect(remove(host, true, "cpu:a")[1]!.tolerate).toEqual([errno("ESRCH")]);
  });
});
