// What is read of a config.json, and the one line that names what is wrong with it.

import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/abi/errors.ts";
import { specConfig } from "../../src/containers/oci/spec.ts";
import { parseConfig } from "../../src/containers/parse-config.ts";
import { fixtureHost } from "../../src/host/fixture.ts";

const host = fixtureHost();

/** `spec`'s config with a part of it replaced: `at` is a path with dots. */
const withPart = (at: string, value: unknown): string => {
  const config = structuredClone(specConfig(undefined)) as Record<string, unknown>;
  const names = at.split(".");
  let part: any = config;
  for (const name of names.slice(0, -1)) part = part[name] ??= {};
  if (value === undefined) delete part[names.at(-1)!];
  else part[names.at(-1)!] = value;
  // The largest number of 64 bits, which is none of JavaScript's.
  return JSON.stringify(config).replaceAll('"MOST"', "18446744073709551615");
};

test("what spec writes is read", () => {
  const config = parseConfig(JSON.stringify(specConfig(undefined)), host);
  expect(config.process.args).toEqual(["sh"]);
  expect(config.process.capabilities.ambient).toEqual([]);
  expect(config.linux.namespaces.map(({ type }) => type)).toEqual([
    "pid",
    "network",
    "ipc",
    "uts",
    "mount",
    "cgroup",
  ]);
  expect(config.linux.resources.devices).toEqual([
    { allow: false, type: "a", major: undefined, minor: undefined, access: "rwm" },
  ]);
  expect(config.mounts[0]).toEqual({ destination: "/proc", source: "proc", type: "proc", options: [] });
});

test("properties that nobody knows are passed over", () => {
  const { process } = parseConfig(withPart("process.surprise", { deep: [1] }), host);
  expect(process.cwd).toBe("/");
});

describe("is read", () => {
  const rows: readonly (readonly [
    at: string,
    given: unknown,
    read: (config: ReturnType<typeof parseConfig>) => unknown,
    expected: unknown,
  ])[] = [
    [
      "process.user",
      { uid: 5, gid: 6, umask: 0o27, additionalGids: [7] },
      (it) => it.process.user,
      { uid: 5, gid: 6, umask: 0o27, additionalGids: [7] },
    ],
    ["process.oomScoreAdj", -7, (it) => it.process.oomScoreAdj, -7],
    [
      "process.ioPriority",
      { class: "IOPRIO_CLASS_IDLE" },
      (it) => it.process.ioPriority,
      { class: "IOPRIO_CLASS_IDLE", priority: 0 },
    ],
    [
      "process.rlimits",
      [{ type: "RLIMIT_CORE", soft: "MOST", hard: "MOST" }],
      (it) => it.process.rlimits,
      [{ type: "RLIMIT_CORE", soft: -1, hard: -1 }],
    ],
    [
      "hooks",
      { poststop: [{ path: "/x", timeout: 3 }] },
      (it) => it.hooks,
      { poststop: [{ path: "/x", args: ["/x"], env: [], timeout: 3 }] },
    ],
    ["annotations", { a: "b" }, (it) => it.annotations, { a: "b" }],
    [
      "linux.namespaces",
      [{ type: "time" }, { type: "mount" }, { type: "network", path: "/run/netns/x" }, { type: "uts" }],
      (it) => it.linux.namespaces,
      [{ type: "time" }, { type: "mount" }, { type: "network", path: "/run/netns/x" }, { type: "uts" }],
    ],
    ["linux.rootfsPropagation", "rslave", (it) => it.linux.rootfsPropagation, "rslave"],
    ["linux.cgroupsPath", "/a/b", (it) => it.linux.cgroupsPath, "/a/b"],
    [
      "linux.sysctl",
      { "net.ipv4.ip_forward": "1", "net/ipv4/conf/a.b/forwarding": "1" },
      (it) => it.linux.sysctl,
      { "net.ipv4.ip_forward": "1", "net.ipv4.conf.a/b.forwarding": "1" },
    ],
    [
      "linux.resources",
      { memory: { limit: 1048576, swappiness: "MOST" }, pids: { limit: -1 } },
      ({ linux: { resources } }) => [
        resources.memory?.limit,
        resources.memory?.swappiness,
        resources.pids?.limit,
      ],
      [1048576, undefined, -1],
    ],
    [
      "linux.devices",
      [
        { path: "/dev/p", type: "p" },
        { path: "/dev/u", type: "u", major: 1, minor: 3, fileMode: 0o640, uid: 4 },
      ],
      (it) => it.linux.devices,
      [
        { path: "/dev/p", type: "p", major: 0, minor: 0, fileMode: 0o666, uid: undefined, gid: undefined },
        { path: "/dev/u", type: "c", major: 1, minor: 3, fileMode: 0o640, uid: 4, gid: undefined },
      ],
    ],
    [
      "mounts",
      [{ destination: "data/./x", source: "src", options: ["rbind"] }],
      (it) => it.mounts,
      [{ destination: "/data/x", source: "src", type: "bind", options: ["rbind"] }],
    ],
  ];
  for (const [at, given, read, expected] of rows)
    test(`${at}: ${JSON.stringify(given)}`, () => {
      expect(read(parseConfig(withPart(at, given), host))).toEqual(expected as never);
    });
});

describe("is refused by name", () => {
  const rows: readonly (readonly [at: string, given: unknown, message: string])[] = [
    ["ociVersion", "2.0.0", "ociVersion is '2.0.0', and nsk knows 1.x.y"],
    ["ociVersion", undefined, "ociVersion is missing"],
    ["process", undefined, "process is missing"],
    ["process.args", [], "process.args names no program"],
    ["process.args", ["a\0b"], "process.args[0] has a NUL byte in it"],
    ["process.cwd", "tmp", "process.cwd is 'tmp', and no absolute path"],
    ["process.user.uid", -1, "process.user.uid is no whole number from 0 to 4294967295"],
    ["process.scheduler", { policy: "SCHED_OTHER" }, "process.scheduler is given, and nsk has it not"],
    [
      "process.rlimits",
      [{ type: "RLIMIT_X", soft: 1, hard: 1 }],
      "process.rlimits[0].type is 'RLIMIT_X', and not one of ",
    ],
    [
      "process.rlimits",
      [{ type: "RLIMIT_CORE", soft: 2, hard: 1 }],
      "process.rlimits[0].soft is above the hard limit",
    ],
    [
      "process.capabilities.effective",
      ["CAP_SYS_ADMIN"],
      "process.capabilities.effective has CAP_SYS_ADMIN, which is not in permitted",
    ],
    ["root.path", 5, "root.path is no string"],
    [
      "mounts",
      [{ destination: "/a/../b", type: "tmpfs" }],
      "mounts[0].destination is '/a/../b', with '..' in it",
    ],
    ["mounts", [{ destination: "/", type: "tmpfs" }], "mounts[0].destination is the root itself"],
    [
      "mounts",
      [{ destination: "/proc/sys", type: "tmpfs" }],
      "mounts[0].destination is '/proc/sys', and nothing is mounted inside /proc",
    ],
    [
      "mounts",
      [{ destination: "/proc", type: "tmpfs" }],
      "mounts[0].destination is /proc, for a tmpfs that is none",
    ],
    [
      "mounts",
      [{ destination: "/a", type: "sysfs", options: ["tmpcopyup"] }],
      "mounts[0].options has 'tmpcopyup', and is no tmpfs",
    ],
    [
      "mounts",
      [{ destination: "/a", type: "bind", source: "/b", options: ["idmap"] }],
      "mounts[0].options has 'idmap' without uidMappings and gidMappings",
    ],
    ["mounts", [{ destination: "/a" }], "mounts[0].type is missing"],
    ["hooks.prestart", [{ path: "x" }], "hooks.prestart[0].path is 'x', and no absolute path"],
    ["hooks.prestart", [{ path: "/x", timeout: 0 }], "hooks.prestart[0].timeout is not greater than 0"],
    [
      "linux.namespaces",
      [{ type: "pid" }, { type: "uts" }, { type: "foo" }],
      "linux.namespaces[2].type is 'foo', and not one of ",
    ],
    [
      "linux.namespaces",
      [{ type: "uts" }, { type: "uts" }],
      "linux.namespaces[1].type is uts for the second time",
    ],
    [
      "linux.namespaces",
      [{ type: "mount" }],
      "hostname is given without a uts namespace, and would be the host's",
    ],
    [
      "linux.sysctl",
      { "kernel.panic": "1" },
      "linux.sysctl.kernel.panic belongs to no namespace, and would be the host's",
    ],
    [
      "linux.namespaces",
      [{ type: "uts" }],
      "linux.namespaces has no mount namespace, and the container's mounts would be the host's",
    ],
    ["linux.intelRdt", { closID: "x" }, "linux.intelRdt is given, and nsk has it not"],
    [
      "linux.seccomp",
      { defaultAction: "SCMP_ACT_NOTIFY" },
      "linux.seccomp.defaultAction is SCMP_ACT_NOTIFY, which nsk has not",
    ],
    [
      "linux.seccomp",
      { defaultAction: "SCMP_ACT_ALLOW", listenerPath: "/x" },
      "linux.seccomp.listenerPath is given, and nsk has no listeners",
    ],
    ["linux.devices", [{ path: "/dev/x", type: "c" }], "linux.devices[0].major is missing"],
    [
      "linux.resources.devices",
      [{ allow: true, access: "x" }],
      "linux.resources.devices[0].access is 'x', and not letters of rwm",
    ],
    [
      "linux.uidMappings",
      [{ containerID: 0, hostID: 0, size: 1 }],
      "linux.uidMappings is given without a user namespace",
    ],
    ["linux.timeOffsets", { monotonic: { secs: 1 } }, "linux.timeOffsets is given without a time namespace"],
    [
      "linux.personality",
      { domain: "OTHER" },
      "linux.personality.domain is 'OTHER', and not one of LINUX, LINUX32",
    ],
  ];
  for (const [at, given, message] of rows)
    test(message, () => {
      try {
        parseConfig(withPart(at, given), host);
        throw new Error("it was read");
      } catch (error) {
        expect(error).toBeInstanceOf(UsageError);
        expect((error as UsageError).message).toStartWith(`config.json: ${message}`);
      }
    });
  test("what is no JSON", () => {
    expect(() => parseConfig("{", host)).toThrow("config.json: it is no JSON");
  });
});
