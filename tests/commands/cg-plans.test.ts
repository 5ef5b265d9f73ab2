// The control-group commands up to their plans, on hosts that exist only here.

import { describe, expect, test } from "bun:test";
import { HostError, UsageError } from "../../src/abi/errors.ts";
import { planCgdelete } from "../../src/commands/cgdelete.ts";
import { planByRules } from "../../src/commands/cgexec-rules.ts";
import { planCgexec } from "../../src/commands/cgexec.ts";
import { format, readGroups } from "../../src/commands/cgget.ts";
import { planCgset } from "../../src/commands/cgset.ts";
import type { Host } from "../../src/host/host.ts";
import { limitedOnV2, hybrid, v2 } from "../cgroups/hosts.ts";
import { difference } from "../differences.ts";
import { outline } from "../support/steps.ts";

const onV2 = v2({ files: limitedOnV2 });
const onHybrid = hybrid({
  files: {
    "/sys/fs/cgroup/cpu/a/cpu.shares": "1024\n",
    "/sys/fs/cgroup/cpu/a/cpu.stat": "nr_periods 0\nnr_throttled 0\n",
    "/sys/fs/cgroup/cpu/a/cgroup.procs": "",
    "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "4096\n",
  },
});

const failure = (run: () => unknown): { status: number | undefined; message: string } => {
  try {
    run();
  } catch (error) {
    if (error instanceof UsageError || error instanceof HostError)
      return { status: error.status, message: error.message };
    throw error;
  }
  throw new Error("it did not fail");
};

describe("cgexec", () => {
  const plan = (groups: string[], words: string[], host: Host = onHybrid): string[] =>
    outline(planCgexec("nsk cgexec", groups, words, host).steps);

  test("joins, and becomes the program with its arguments", () => {
    expect(plan(["cpu,memory:a"], ["echo", "-g", "--", "x"])).toEqual([
      "/sys/fs/cgroup/cpu/a/tasks < 0",
      "/sys/fs/cgroup/memory/a/tasks < 0",
      "exec echo -g -- x",
    ]);
  });
  test(`* is what cgcreate takes it for (${difference("cgexec-star")})`, () => {
    expect(plan(["*:a"], ["true"])).toEqual([
      "/sys/fs/cgroup/cpu/a/tasks < 0",
      "/sys/fs/cgroup/cpuacct/a/tasks < 0",
      "/sys/fs/cgroup/memory/a/tasks < 0",
      "exec true",
    ]);
  });
  test("reads nothing but the mount table on a host with version 1", () => {
    const read: string[] = [];
    planCgexec("nsk cgexec", ["cpu:a"], ["true"], {
      ...onHybrid,
      read: (path) => (read.push(path), onHybrid.read(path)),
    });
    expect(read).toEqual(["/proc/self/mountinfo"]);
  });
  const bad: [groups: string[], words: string[], status: number | undefined][] = [
    [["cpu:a"], [], undefined],
    [["cpu"], ["true"], 255],
    [["nope:a"], ["true"], 84],
    [["cpu:.."], ["true"], 255],
  ];
  for (const [groups, words, status] of bad)
    test(`${["-g", ...groups, ...words].join(" ")} ends with ${status ?? "the status of bad usage"}`, () => {
      expect(failure(() => plan(groups, words)).status).toBe(status);
    });
  test("without a group, and without rules that choose one, ends with 99", () => {
    expect(failure(() => planByRules("nsk cgexec", ["true"], onHybrid)).status).toBe(99);
  });
});

describe("cgset", () => {
  const plan = (words: string[], groups: string[], copyFrom?: string, host: Host = onHybrid) =>
    planCgset("nsk cgset", words, copyFrom, groups, host);
  test("tells what it wrote in place of a name of version 1", () => {
    const { plan: planned, notes } = plan(["cpu.shares=512"], ["limited"], undefined, onV2);
    expect(outline(planned.steps)).toEqual(["/sys/fs/cgroup/limited/cpu.weight < 59"]);
    expect(notes).toEqual(['cpu.shares=512 is cpu.weight "59" on cgroup v2']);
  });
  const bad: [words: string[], groups: string[], copyFrom: string | undefined, message: string][] = [
    [[], ["a"], undefined, "no setting is given"],
    [["cpu.shares=1"], [], undefined, "no group is given"],
    [["cpu.shares=1"], ["a"], "b", "exclude each other"],
  ];
  for (const [words, groups, copyFrom, message] of bad)
    test(`says: ${message}`, () => {
      expect(failure(() => plan(words, groups, copyFrom)).message).toContain(message);
    });
});

describe("cgset -R, cgxset", () => {
  const plan = (
    how: Parameters<typeof planCgset>[5],
    host: Host,
    group: string,
    ...words: string[]
  ): string[] => outline(planCgset("nsk cgxset", words, undefined, [group], host, how).plan.steps);
  const deep = hybrid({
    files: {
      "/sys/fs/cgroup/cpu/a/cpu.shares": "1024\n",
      "/sys/fs/cgroup/cpu/a/b/cpu.shares": "1024\n",
      "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "4096\n",
    },
  });
  test("-R sets the groups below too", () => {
    expect(plan({ recursive: true }, deep, "a", "cpu.shares=5", "memory.limit_in_bytes=8192")).toEqual([
      "/sys/fs/cgroup/cpu/a/cpu.shares < 5",
      "/sys/fs/cgroup/cpu/a/b/cpu.shares < 5",
      "/sys/fs/cgroup/memory/a/memory.limit_in_bytes < 8192",
    ]);
  });
  const rows: [
    how: Parameters<typeof planCgset>[5],
    host: Host,
    group: string,
    setting: string,
    steps: string[],
  ][] = [
    [{ version: 1 }, onV2, "limited", "cpu.shares=512", ["/sys/fs/cgroup/limited/cpu.weight < 59"]],
    [{ version: 2 }, onV2, "limited", "cpu.weight=59", ["/sys/fs/cgroup/limited/cpu.weight < 59"]],
    [{ version: 1 }, onV2, "limited", "pids.max=3", ["/sys/fs/cgroup/limited/pids.max < 3"]],
    [{ version: 2 }, onHybrid, "a", "cpu.weight=59", ["/sys/fs/cgroup/cpu/a/cpu.shares < 521"]],
    [{ version: 1, ignoreUnmappable: true }, onV2, "limited", "memory.swappiness=3", []],
  ];
  for (const [how, host, group, setting, steps] of rows)
    test(`${JSON.stringify(how)} ${setting}`, () => {
      expect(plan(how, host, group, setting)).toEqual(steps);
    });
  test("names of the other version than was said are refused", () => {
    expect(failure(() => plan({ version: 1 }, onV2, "limited", "cpu.weight=5"))).toEqual({
      status: 95,
      message: "cpu.weight is no setting of cgroup v1",
    });
  });
  test("what cannot be translated names what comes nearest", () => {
    expect(failure(() => plan({}, onV2, "limited", "memory.swappiness=5")).message).toBe(
      "cgroup v2 has no memory.swappiness",
    );
  });
  test("units are told on the way", () => {
    const { notes, plan: planned } = planCgset("nsk cgset", ["cpu.max=50%"], undefined, ["limited"], onV2);
    expect(outline(planned.steps)).toEqual(["/sys/fs/cgroup/limited/cpu.max < 50000"]);
    expect(notes).toEqual(['cpu.max=50% is cpu.max "50000"']);
  });
});

describe("cgxget", () => {
  const show = (
    version: 1 | 2,
    asked: Partial<{ variable: string[]; g: string[]; all: boolean }>,
    host: Host,
    group: string,
  ): Record<string, string> => {
    const groups = readGroups({ variable: [], g: [], all: false, ...asked }, [group], host, { version });
    return Object.fromEntries(groups[0]!.settings.map(({ name, value }) => [name, value]));
  };
  test("all of a controller of version 2 in the names of version 1", () => {
    expect(show(1, { g: ["cpu"] }, onV2, "limited")).toEqual({
      "cpu.shares": "1024",
      "cpu.cfs_quota_us": "-1",
      "cpu.cfs_period_us": "100000",
    });
    expect(show(1, { g: ["cpuacct"] }, onV2, "limited")).toEqual({
      "cpuacct.usage": "1500000000",
      "cpuacct.stat": "user 100\nsystem 50",
    });
  });
  test("and of version 1 in those of version 2", () => {
    expect(show(2, { all: true }, onHybrid, "a")).toMatchObject({
      "cpu.weight": "100",
      "memory.max": "4096",
    });
  });
  test("its own version as it is", () => {
    expect(show(1, { variable: ["cpu.shares"] }, onHybrid, "a")).toEqual({ "cpu.shares": "1024" });
  });
  test("names of the other version than was said are refused", () => {
    expect(failure(() => show(1, { variable: ["cpu.weight"] }, onV2, "limited")).status).toBe(96);
  });
});

describe("cgdelete", () => {
  test("without a group does nothing", () => {
    expect(planCgdelete("nsk cgdelete", [], false, onHybrid).steps).toEqual([]);
  });
  test("needs to know where", () => {
    expect(failure(() => planCgdelete("nsk cgdelete", ["a"], false, onHybrid)).status).toBe(255);
  });
});

describe("cgget", () => {
  const none = {
    variable: [] as string[],
    g: [] as string[],
    all: false,
    n: false,
    valuesOnly: false,
    json: false,
  };
  type Asked = Partial<typeof none>;
  const show = (asked: Asked, operands: string[], host: Host = onHybrid): string => {
    const options = { ...none, ...asked };
    return format(readGroups(options, operands, host), options);
  };
  const all = "cpu.shares: 1024\ncpu.stat: nr_periods 0\n\tnr_throttled 0\n";
  const memory = "memory.limit_in_bytes: 4096\n";

  const rows: [what: string, asked: Asked, operands: string[], text: string][] = [
    ["-r cpu.shares a", { variable: ["cpu.shares"] }, ["a"], "a:\ncpu.shares: 1024\n\n"],
    ["-r cpu.shares /a/", { variable: ["cpu.shares"] }, ["/a/"], "/a/:\ncpu.shares: 1024\n\n"],
    [
      "-n -r cpu.stat a",
      { variable: ["cpu.stat"], n: true },
      ["a"],
      "cpu.stat: nr_periods 0\n\tnr_throttled 0\n",
    ],
    ["-nv -r cpu.shares a", { variable: ["cpu.shares"], n: true, valuesOnly: true }, ["a"], "1024\n"],
    ["-v -r cpu.shares a", { variable: ["cpu.shares"], valuesOnly: true }, ["a"], "a:\n1024\n\n"],
    ["-g cpu a", { g: ["cpu"] }, ["a"], `a:\n${all}\n`],
    ["-g cpu:a", { g: ["cpu:a"] }, [], `a:\n${all}\n`],
    ["-g cpu -g memory a", { g: ["cpu", "memory"] }, ["a"], `a:\n${all}${memory}\n`],
    ["-g cpu:a -g memory:a", { g: ["cpu:a", "memory:a"] }, [], `a:\n${all}${memory}\n`],
    [`-g cpu,memory a (${difference("cgget-lists")})`, { g: ["cpu,memory"] }, ["a"], `a:\n${all}${memory}\n`],
    ["a", {}, ["a"], `a:\n${all}${memory}\n`],
    ["-a a", { all: true }, ["a"], `a:\n${all}${memory}\n`],
  ];
  for (const [what, asked, operands, text] of rows)
    test(what, () => {
      expect(show(asked, operands)).toBe(text);
    });

  test("names of version 1 on version 2", () => {
    expect(
      show({ variable: ["cpu.cfs_quota_us", "cpu.shares", "memory.limit_in_bytes"] }, ["limited"], onV2),
    ).toBe(
      "limited:\ncpu.cfs_quota_us: -1\ncpu.shares: 1024\nmemory.limit_in_bytes: 9223372036854771712\n\n",
    );
  });

  const bad: [asked: Asked, operands: string[], status: number | undefined, message: string][] = [
    [{}, [], undefined, "no group is given"],
    [{ variable: ["cpu.shares"] }, [], 255, "no group is given"],
    [{ variable: ["cpu.shares"], all: true }, ["a"], undefined, "-r cannot be given"],
    [{ variable: ["cpu.shares"], g: ["cpu"] }, ["a"], undefined, "-r cannot be given"],
    [{ g: ["cpu:a"] }, ["a"], 255, "not both"],
    [{ variable: ["shares"] }, ["a"], 91, "'shares' is no setting"],
    [{ variable: ["nope.x"] }, ["a"], 96, "there is no controller nope"],
    [{ variable: ["cpu.nope"] }, ["a"], 96, "has no cpu.nope"],
    [{ variable: ["cpu.shares"] }, ["nope"], 96, "there is no group cpu:nope"],
    [{ g: ["cpu"] }, ["nope"], 96, "there is no group cpu:nope"],
    [{}, ["nope"], 96, "there is no group nope"],
    [{ g: ["nope"] }, ["a"], 96, "there is no controller nope"],
  ];
  for (const [asked, operands, status, message] of bad)
    test(`${JSON.stringify(asked)} ${operands}: ${message}`, () => {
      const failed = failure(() => show(asked, operands));
      expect(failed.message).toContain(message);
      expect(failed.status).toBe(status);
    });
});
