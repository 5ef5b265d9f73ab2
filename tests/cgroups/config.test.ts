import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import { parseConfig } from "../../src/cgroups/config.ts";
import { planConfig } from "../../src/cgroups/configure.ts";
import type { Host } from "../../src/host/host.ts";
import { difference } from "../differences.ts";
import { outline } from "../support/steps.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

describe("cgconfig.conf is read", () => {
  test("with mounts, groups, templates and defaults", () => {
    const text = `
      # two controllers
      mount { cpu = /cg/cpu; "cpuacct,nodev" = /cg/cpu; "name=x" = /cg/x; }
      group . { cpu { } }
      group "a b/c" {
        perm { task { uid = root; gid = 5; fperm = 770; } admin { uid = u; dperm = 775; } }
        cpu { cpu.shares = 77; "cpu.max" = "50000 100000"; }
        memory { }
      }
      template t/%u { pids { pids.max = 3; } }
      default { perm { task { uid = d; } } }`;
    expect(parseConfig(text, "f")).toEqual({
      mounts: [
        { words: ["cpu"], path: "/cg/cpu" },
        { words: ["cpuacct", "nodev"], path: "/cg/cpu" },
        { words: ["name=x"], path: "/cg/x" },
      ],
      groups: [
        { name: ".", permissions: undefined, controllers: [{ name: "cpu", settings: [] }] },
        {
          name: "a b/c",
          permissions: { task: { uid: "root", gid: "5", fperm: "770" }, admin: { uid: "u", dperm: "775" } },
          controllers: [
            {
              name: "cpu",
              settings: [
                { name: "cpu.shares", value: "77" },
                { name: "cpu.max", value: "50000 100000" },
              ],
            },
            { name: "memory", settings: [] },
          ],
        },
      ],
      templates: [
        {
          name: "t/%u",
          permissions: undefined,
          controllers: [{ name: "pids", settings: [{ name: "pids.max", value: "3" }] }],
        },
      ],
      defaults: { task: { uid: "d" }, admin: {} },
    });
  });

  const bad: [text: string, message: string][] = [
    ["group a {", "f:1: the end where a controller should be"],
    ["group a {\n cpu }", "f:2: '}' where '{' should be"],
    ["group a { cpu { x = 1 } }", "f:1: '}' where ';' should be"],
    ["group a { }", "where a controller of the group a should be"],
    ["group a { perm { boss { } } }", "f:1: 'boss' where 'task' or 'admin' should be"],
    ["group a { perm { task { dperm = 7; } } }", "f:1: 'dperm' where uid, gid, fperm or dperm should be"],
    ["\n\nfoo { }", "f:3: 'foo' where one of the sections"],
    ["toString { }", "f:1: 'toString' where one of the sections"],
    ['group "a', "f:1: '\"' where the name of a group should be"],
    ["= 3", "f:1: '=' where a section should be"],
    ["default { task { } }", "f:1: 'task' where 'perm' should be"],
  ];
  for (const [text, message] of bad)
    test(`${JSON.stringify(text)}: ${message}`, () => {
      expect(() => parseConfig(text, "f")).toThrow(HostError);
      expect(() => parseConfig(text, "f")).toThrow(message);
    });
});

const nothing = {
  all: undefined,
  tasks: undefined,
  directoryMode: undefined,
  fileMode: undefined,
  tasksMode: undefined,
};

describe("cgconfig.conf is planned", () => {
  const rows: [title: string, host: Host, text: string, steps: string[], notes: string[]][] = [
    [
      "a group with its settings",
      hybrid(),
      "group a/b { cpu { cpu.shares = 5; } }",
      ["mkdir /sys/fs/cgroup/cpu/a", "mkdir /sys/fs/cgroup/cpu/a/b", "/sys/fs/cgroup/cpu/a/b/cpu.shares < 5"],
      [],
    ],
    [
      "names of version 1 on version 2, for a group that is not there yet",
      v2(),
      "group a { cpu { cpu.shares = 512; } memory { memory.limit_in_bytes = 64M; memory.memsw.limit_in_bytes = 96M; } }",
      [
        "/sys/fs/cgroup/cgroup.subtree_control < +cpu",
        "mkdir /sys/fs/cgroup/a",
        "/sys/fs/cgroup/a/cpu.weight < 59",
        "/sys/fs/cgroup/a/memory.max < 64M",
        "/sys/fs/cgroup/a/memory.swap.max < 33554432",
      ],
      [
        'cpu.shares=512 is cpu.weight "59" on cgroup v2',
        'memory.limit_in_bytes=64M is memory.max "64M" on cgroup v2',
        'memory.memsw.limit_in_bytes=96M is memory.swap.max "33554432" on cgroup v2',
      ],
    ],
    [
      `a mount that is there (${difference("cgconfigparser-mounted")})`,
      v1(),
      "mount { cpu = /sys/fs/cgroup/cpu,cpuacct; memory = /mnt/memory; }",
      [],
      ["memory is mounted on /sys/fs/cgroup/memory (cgroup v1), and not on /mnt/memory as well"],
    ],
    [
      "a mount that is not",
      hybrid(),
      'mount { "net_cls,nodev" = /cg/net; net_prio = /cg/net; "name=x" = /cg/x; } group n { net_cls { } }',
      [
        "mkdir /cg/net",
        "mount /cg/net <string> 4 <string>",
        "mkdir /cg/x",
        "mount /cg/x <string> 0 <string>",
        "mkdir /cg/net/n",
      ],
      [],
    ],
  ];
  for (const [title, host, text, steps, notes] of rows)
    test(title, () => {
      const plan = planConfig(host, parseConfig(text, "f"), nothing);
      expect(
        outline(plan.steps).map((line) =>
          line.replace(/^mount (\S+) \S+ (\d+) \S+$/, "mount $1 <string> $2 <string>"),
        ),
      ).toEqual(steps);
      expect(plan.notes).toEqual(notes);
    });
});
