// What a container's user namespace makes of its config and its plan: pure, on hosts that exist only here. What users see
// of it is in rootless.test.ts.

import { describe, expect, test } from "bun:test";
import type { Config, IdMapping, Mount } from "../../src/containers/config.ts";
import { MOUNTS } from "../../src/containers/defaults.ts";
import { configFromFlags, type Flags } from "../../src/containers/docker.ts";
import { parseSecurity } from "../../src/containers/security.ts";
import { planUserNamespace, withoutPrivilege } from "../../src/containers/user-namespace.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { slot } from "../../src/plan/call.ts";
import type { Step } from "../../src/plan/plan.ts";
import { outline } from "../support/steps.ts";

const files = {
  "/usr/bin/newuidmap": "",
  "/usr/bin/newgidmap": "",
  "/dev/mqueue/": "",
  "/sys/": "",
  "/proc/": "",
};
const root = fixtureHost({ files });
const ann = fixtureHost({ euid: 1000, egid: 1001, files });

const flags: Flags = {
  env: [],
  envFile: [],
  readOnly: false,
  device: [],
  groupAdd: [],
  ulimit: [],
  sysctl: [],
  volume: [],
  mount: [],
  tmpfs: [],
  tty: false,
  privileged: false,
};

const all: IdMapping = { containerID: 0, hostID: 100000, size: 65536 };
const own = (hostID: number): IdMapping => ({ containerID: 0, hostID, size: 1 });

const config = (
  more: Partial<Flags> = {},
  uidMappings: readonly IdMapping[] = [all],
  gidMappings = uidMappings,
): Config => {
  const security = parseSecurity({ privileged: false, capAdd: [], capDrop: [], securityOpt: [] });
  const plain = configFromFlags({ ...flags, ...more }, security, ["true"], "abcdef123456", root);
  const namespaces = [{ type: "user" as const }, ...plain.linux.namespaces];
  return { ...plain, linux: { ...plain.linux, namespaces, uidMappings, gidMappings } };
};

const pid = slot("pid");

/** Without the word to the child, which comes last. */
const maps = (steps: readonly Step[]): string[] => outline(steps).slice(0, -1);

describe("who writes the maps", () => {
  test("root itself, and setgroups works inside", () => {
    const { admit, setsGroups, isRoots } = planUserNamespace(config(), "/run/nsk", root);
    expect(maps(admit(pid))).toEqual(["<text> < 0 100000 65536\n", "<text> < 0 100000 65536\n"]);
    expect({ setsGroups, isRoots }).toEqual({ setsGroups: true, isRoots: true });
  });
  test("for a plain user's ranges the helpers, which are privileged", () => {
    const ranges = [own(1000), { containerID: 1, hostID: 100000, size: 65535 }];
    const { admit, setsGroups } = planUserNamespace(config({}, ranges), "/run/nsk", ann);
    expect(maps(admit(pid))).toEqual(["fork", "join", "fork", "join"]);
    expect(setsGroups).toBe(true);
  });
  test("a plain user the own ids alone: setgroups is denied before the group is mapped, and not called inside", () => {
    const { admit, setsGroups } = planUserNamespace(config({}, [own(1000)], [own(1001)]), "/run/nsk", ann);
    expect(maps(admit(pid))).toEqual(["<text> < deny", "<text> < 0 1000 1\n", "<text> < 0 1001 1\n"]);
    expect(setsGroups).toBe(false);
  });
  test("another's id alone is none that the kernel would take: it is for the helpers, and their files say no", () => {
    const { admit, setsGroups } = planUserNamespace(config({}, [own(1000)], [own(0)]), "/run/nsk", ann);
    expect(maps(admit(pid))).toEqual(["<text> < 0 1000 1\n", "fork", "join"]);
    expect(setsGroups).toBe(true);
  });
});

test("ids that are not mapped are told before anything is done", () => {
  const message = (it: Config): string => {
    try {
      planUserNamespace(it, "/run/nsk", root);
      return "";
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(message(config({ user: "1:1" }, [own(0)]))).toBe(
    "user 1 is not among the ids of the container's user namespace",
  );
  expect(message(config({ groupAdd: ["7"] }, [own(0)]))).toBe(
    "group 7 is not among the ids of the container's user namespace",
  );
  expect(message(config({}, [{ containerID: 5, hostID: 0, size: 9 }]))).toBe(
    "user 0 is not among the ids of the container's user namespace",
  );
});

test("limits that are above root's own are raised from outside, others are the child's to set", () => {
  const limits = `Limit                     Soft Limit           Hard Limit           Units
Max cpu time              unlimited            unlimited            seconds
Max file size             unlimited            unlimited            bytes
Max data size             unlimited            unlimited            bytes
Max stack size            8388608              unlimited            bytes
Max core file size        0                    100                  bytes
Max resident set          unlimited            unlimited            bytes
Max processes             10                   20                   processes
Max open files            1024                 4096                 files
`;
  const host = fixtureHost({ files: { ...files, "/proc/self/limits": limits } });
  const ulimit = ["nofile=10:5000", "nproc=20", "core=-1", "stack=-1"];
  const { admit } = planUserNamespace(config({ ulimit }), "/run/nsk", host);
  expect(outline(admit(pid)).filter((line) => line.startsWith("prlimit64"))).toEqual(
    ["prlimit64 RLIMIT_NOFILE <bytes> NULL", "prlimit64 RLIMIT_CORE <bytes> NULL"].map((line) =>
      line.replace("<bytes>", line.includes("CORE") ? core : nofile),
    ),
  );
});
const bytes = (soft: bigint, hard: bigint): string =>
  new TextDecoder().decode(new Uint8Array(BigInt64Array.of(soft, hard).buffer));
const [nofile, core] = [bytes(1024n, 5000n), bytes(0n, -1n)];

describe("what cannot be made there", () => {
  const mounts = (it: Config, host = root): readonly Mount[] => withoutPrivilege(it, host).mounts;
  test("device nodes are the host's, bound in before anything that a user mounts", () => {
    const found = withoutPrivilege(config({ volume: ["/x:/y"] }), root);
    expect(found.linux.devices).toEqual([]);
    expect(found.mounts.map(({ destination }) => destination)).toEqual([
      ...MOUNTS.map(({ destination }) => destination),
      "/sys/fs/cgroup",
      "/dev/null",
      "/dev/zero",
      "/dev/full",
      "/dev/random",
      "/dev/urandom",
      "/dev/tty",
      "/y",
    ]);
  });
  test("with the host's network its /sys is the host's, with its IPC the queues, unless there are none", () => {
    const shown = (it: readonly Mount[]): string[] =>
      it
        .filter(({ standsIn, source }) => standsIn && !source.startsWith("/dev/n"))
        .map(({ source }) => source);
    expect(shown(mounts(config({ network: "host", ipc: "host" })))).toEqual(
      expect.arrayContaining(["/sys", "/dev/mqueue"]),
    );
    expect(mounts(config({ network: "host" })).find(({ source }) => source === "/sys")?.options).toEqual([
      "rbind",
      "ro",
    ]);
    expect(shown(mounts(config({ ipc: "host" }), fixtureHost()))).not.toContain("/dev/mqueue");
  });
  test("options that name an id which is not there are left out: the group of terminals", () => {
    const options = (it: Config): readonly string[] =>
      mounts(it).find(({ type }) => type === "devpts")!.options;
    expect(options(config())).toContain("gid=5");
    expect(options(config({}, [own(1000)]))).not.toContain("gid=5");
  });
});
