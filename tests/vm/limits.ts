// Limits and groups on a machine whose control groups are of one version or both: held, told, and translated.

import { expect } from "bun:test";
import type { Cgroups, Ran } from "../../scripts/vm/guest.ts";
import { type GuestTest, printed } from "./in-guest.ts";

/** Status and standard error, where standard output is of no interest. */
const failed =
  (status: number, ...words: readonly string[]) =>
  (ran: Ran): void => {
    expect(ran.status).toBe(status);
    for (const text of words) expect(ran.stderr).toContain(text);
  };

/** Lines behind which nothing of a container may be left. */
const NOTHING_LEFT = `
[ "$(ls -A /run/nsk | grep -v names)" = "" ]
[ "$(ls -A /run/nsk/names 2>/dev/null)" = "" ]
[ "$(find /sys/fs/cgroup -type d -name 'nsk-*')" = "" ]
[ "$(grep -c nsk /proc/mounts)" = 0 ]
`;

/** For a guest with two processors, of which the second sleeps until a test wakes it. */
export const SECOND = "/sys/devices/system/cpu/cpu1/online";

export const limits = (it: GuestTest, cgroups: Cgroups): void => {
  const unified = cgroups === "v2";
  const [memory, bytes] = unified ? ["memory.max", "max"] : ["memory.limit_in_bytes", "limit_in_bytes"];

  it(
    "run -m: a program that runs out of memory is killed, and it is told which limit that was",
    `s=0; nsk run -m 32m -- tail /dev/zero || s=$?; ${NOTHING_LEFT} exit $s`,
    (ran) =>
      expect(ran).toEqual({
        status: 137,
        stdout: "",
        stderr: `nsk run: out of memory: the kernel killed a program of the container, whose memory.${bytes} is 33554432\nhint: -m SIZE gives it more\n`,
      }),
  );
  it(
    "run -m: it is told too when the first program goes on",
    "nsk run -m 32m -- sh -c 'tail /dev/zero; echo $?'",
    (ran) => {
      expect(ran.stdout).toBe("137\n");
      failed(
        0,
        `nsk run: out of memory: the kernel killed a program of the container, whose ${memory} is`,
      )(ran);
    },
  );
  it("run -m: what fits runs, and nothing is told", "nsk run -m 32m -- sh -c 'echo fits'", printed("fits\n"));
  it(
    "cgexec: the limit on memory is held, and the group counts who was killed",
    `nsk cgcreate -g memory:oom
     nsk cgset -r ${memory}=16777216 oom
     nsk cgexec -g memory:oom tail /dev/zero || echo $?
     nsk cgget -nv -r ${unified ? "memory.events" : "memory.oom_control"} oom | grep -w oom_kill
     nsk cgdelete memory:oom`,
    ({ status, stdout }) => expect([status, stdout]).toEqual([0, "137\n\toom_kill 1\n"]),
  );
  it(
    "run --pids-limit: a fork bomb stays inside",
    "nsk run --pids-limit 5 -- sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 9 & done' || echo $?",
    (ran) => {
      expect(ran.stdout).toBe("2\n");
      failed(0, "can't fork: Resource temporarily unavailable")(ran);
    },
  );
  it(
    "cgexec: the limit on processes is held",
    `nsk cgcreate -g pids:few
     nsk cgset -r pids.max=3 few
     nsk cgexec -g pids:few sh -c 'for i in 1 2 3 4; do sleep 9 & done' || echo $?
     nsk cgdelete pids:few`,
    ({ stdout, stderr }) => {
      expect(stdout).toBe("2\n");
      expect(stderr).toContain("can't fork");
    },
  );
  it(
    "run --cpuset-cpus: runs on that processor alone",
    `echo 1 >${SECOND}; nsk run --cpuset-cpus 1 -- grep Cpus_allowed_list /proc/self/status; echo 0 >${SECOND}`,
    printed("Cpus_allowed_list:\t1\n"),
  );
  it(
    "run with all limits at once leaves nothing",
    `nsk run --cpus 1 -c 512 --cpuset-cpus 0 -m 64m --pids-limit 20 -- true; ${NOTHING_LEFT}`,
  );
  it(
    "run: a container sees its own control groups as the root of all, and cannot change them",
    "nsk run -m 64m -- sh -c 'grep -E \"^0:|memory\" /proc/self/cgroup; mkdir $(dirname $(find /sys/fs/cgroup -name memory.stat))/x' || echo $?",
    ({ stdout, stderr }) => {
      expect(stdout).toBe(
        unified ? "0::/\n1\n" : cgroups === "v1" ? "4:memory:/\n1\n" : "4:memory:/\n0::/\n1\n",
      );
      expect(stderr).toContain("Read-only file system");
    },
  );
  it(
    "run in run: a container's root may make none, and is told so",
    "nsk run -- nsk run -- true",
    failed(125, "nsk run: needs CAP_SYS_ADMIN, which root does not have here", "hint: "),
  );
  it(
    "run in run: with --privileged there is one, and nothing is left of either",
    `nsk run --privileged --tmpfs /run -- nsk run -- sh -c 'echo $$'; ${NOTHING_LEFT}`,
    printed("1\n"),
  );
  it(
    "unshare in run: a container's root makes user namespaces, and has all power inside",
    "nsk run --security-opt seccomp=unconfined -- nsk unshare -Urmpf --mount-proc sh -c 'mount -t tmpfs tmpfs /mnt && echo $$'",
    // The kernel mounts a new proc only where it could be seen whole before (mount too revealing).
    failed(1, "nsk unshare: mount /proc failed: Operation not permitted", "hint: "),
  );
  it(
    "run in unshare: a container in namespaces of one's own",
    "nsk unshare --mount --pid --fork --mount-proc --uts nsk run -m 64m -- sh -c 'echo $$'",
    printed("1\n"),
  );
  it(
    "run: what a killed supervisor left is removed by the next",
    `nsk run -m 64m --pids-limit 9 -- sleep 1000 &
     n=0; until ls /run/nsk 2>/dev/null | grep -qv names; do n=$((n + 1)); [ $n -lt 300 ]; sleep 0.1; done
     kill -9 $!
     nsk run true
     ${NOTHING_LEFT}`,
  );

  if (unified)
    it(
      "exec: a container that is frozen is not waited for",
      `id=$(nsk run -d --name frozen sleep 1000)
       nsk cgset -r cgroup.freeze=1 nsk-$id
       until grep -q 'frozen 1' /sys/fs/cgroup/nsk-$id/cgroup.events; do sleep 0.1; done
       nsk exec frozen true || echo $?
       nsk cgset -r cgroup.freeze=0 nsk-$id
       nsk exec frozen echo on
       nsk cgset -r cgroup.freeze=1 nsk-$id
       nsk rm -f frozen
       ${NOTHING_LEFT}`,
      ({ status, stdout, stderr }) => {
        expect([status, stdout]).toEqual([0, "1\non\nfrozen\n"]);
        expect(stderr).toMatch(
          /^nsk exec: container frozen is frozen\nhint: echo 0 >\/sys\/fs\/cgroup\/nsk-[0-9a-f]{12}\/cgroup\.freeze\n$/,
        );
      },
    );

  translation(it, cgroups);
  if (unified) version2(it);
};

/** One after another: `[name=value, what cgget says of this version's name afterwards, what was written]` */
const SETTINGS: Readonly<Record<"v1" | "v2", readonly (readonly [string, string, string])[]>> = {
  // Names of version 1, on version 2.
  v2: [
    ["cpu.cfs_period_us=50000", "cpu.max: max 50000", 'cpu.max "max 50000"'],
    ["cpu.cfs_quota_us=40000", "cpu.max: 40000 50000", 'cpu.max "40000 50000"'],
    ["cpu.shares=512", "cpu.weight: 59", 'cpu.weight "59"'],
    ["memory.limit_in_bytes=64M", "memory.max: 67108864", 'memory.max "64M"'],
    ["memory.soft_limit_in_bytes=32M", "memory.low: 33554432", 'memory.low "32M"'],
    ["freezer.state=FROZEN", "cgroup.freeze: 1", 'cgroup.freeze "1"'],
  ],
  // Names of version 2, on version 1.
  v1: [
    [
      "cpu.max=50000 100000",
      "cpu.cfs_quota_us: 50000",
      'cpu.cfs_quota_us "50000" and cpu.cfs_period_us "100000"',
    ],
    ["cpu.max=max", "cpu.cfs_quota_us: -1", 'cpu.cfs_quota_us "-1"'],
    ["cpu.weight=100", "cpu.shares: 1024", 'cpu.shares "1024"'],
    ["memory.max=64M", "memory.limit_in_bytes: 67108864", 'memory.limit_in_bytes "64M"'],
    ["cgroup.freeze=1", "freezer.state: FROZEN", 'freezer.state "FROZEN"'],
  ],
};

const translation = (it: GuestTest, cgroups: Cgroups): void => {
  const here = cgroups === "v2" ? "v2" : "v1";
  const settings = SETTINGS[here];
  it(
    `cgset and cgget on cgroup ${here}: names of the other version, and it is told what was written`,
    `nsk cgcreate -g cpu,memory,freezer:named
     ${settings.map(([setting, kept]) => `nsk cgset -r '${setting}' named; nsk cgget -n -r ${kept.split(":")[0]} -r ${setting.split("=")[0]} named`).join("\n")}
     nsk cgdelete cpu,memory,freezer:named`,
    ({ status, stdout, stderr }) => {
      expect(status).toBe(0);
      expect(stderr).toBe(
        settings
          .map(([setting, , written]) => `nsk cgset: ${setting} is ${written} on cgroup ${here}\n`)
          .join(""),
      );
      const lines = stdout.trim().split("\n");
      expect(lines.filter((_, i) => i % 2 === 0)).toEqual(settings.map(([, kept]) => kept));
      expect(lines.filter((_, i) => i % 2 === 1).map((line) => line.split(":")[0]!)).toEqual(
        settings.map(([setting]) => setting.split("=")[0]!),
      );
    },
  );
};

/** What only version 2 has: one tree, handed on from group to group. */
const version2 = (it: GuestTest): void => {
  it(
    "cgcreate hands controllers on down the path, and only these",
    `nsk cgcreate -g memory,pids:a/b/c
     cd /sys/fs/cgroup
     for group in a a/b; do cat $group/cgroup.subtree_control; done
     cat a/b/c/cgroup.controllers
     ls a/b/c/memory.max a/b/c/pids.max
     nsk cgset -r memory.max=64M -r pids.max=5 a/b/c
     nsk cgdelete -r -g memory,pids:a
     [ ! -e a ]`,
    printed("memory pids\nmemory pids\nmemory pids\na/b/c/memory.max\na/b/c/pids.max\n"),
  );
  it(
    "cgcreate below a group with processes: the kernel's EBUSY is explained, with their names, and nothing is left",
    `nsk cgcreate -g memory:busy
     nsk cgexec -g memory:busy sleep 1000 &
     n=0; until grep -q . /sys/fs/cgroup/busy/cgroup.procs; do n=$((n + 1)); [ $n -lt 300 ]; sleep 0.1; done
     nsk cgcreate -g memory:busy/below || echo $? "$! (sleep)"
     ls -d /sys/fs/cgroup/busy/*/ 2>/dev/null || true
     nsk cgdelete memory:busy`,
    ({ status, stdout, stderr }) => {
      expect(status).toBe(0);
      expect(stdout).toStartWith("96 ");
      expect(stdout.split("\\n").length).toBe(1);
      expect(stderr).toContain("cgroup.subtree_control failed: Device or resource busy\nhint: ");
      expect(stderr).toContain(`it holds ${stdout.trim().slice("96 ".length)}`);
    },
  );
  it(
    "cgexec into a group that hands controllers on: the kernel's EBUSY is explained",
    "nsk cgcreate -g memory:inner/leaf; nsk cgexec -g memory:inner true || echo $?; nsk cgdelete -r memory:inner",
    (ran) => {
      expect(ran.stdout).toBe("96\n");
      failed(0, "failed: Device or resource busy\nhint: it hands controllers on to groups below it")(ran);
    },
  );
};
