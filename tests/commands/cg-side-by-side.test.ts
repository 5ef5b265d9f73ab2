// The control-group commands beside libcgroup's: what they print on stdout, how they end, and what is there afterwards.

import { afterAll, describe, expect } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { difference } from "../differences.ts";
import { nsk as nskBinary } from "../support/nsk.ts";
import {
  type Case,
  directoryOf,
  expectFailure,
  live,
  removeGroups,
  removeLeftovers,
  runBoth,
  runIn,
  same,
  uniqueName,
} from "./libcgroup.ts";

afterAll(removeLeftovers);

const NOBODY = 65534;
const group: Case = { groups: ["cpu:%"] };
const two: Case = { groups: ["cpu:%", "memory:%"] };

describe("the tutorial", () => {
  same("", ["cgcreate", "-g", "cpu:/%limited"]);
  same("no limit", ["cgset", "-r", "cpu.cfs_quota_us=-1", "%"], group);
  same("", ["cgget", "-r", "cpu.cfs_quota_us", "%"], group);
  same("two processors", ["cgset", "-r", "cpu.cfs_quota_us=200000", "%"], group);
  same("", ["cgget", "-r", "cpu.cfs_quota_us", "%"], {
    ...group,
    values: { "cpu:%/cpu.cfs_quota_us": "200000" },
  });
  same("", ["cgexec", "-g", "cpu:%", "cat", "/proc/self/cgroup"], group);
  same("", ["cgdelete", "cpu,cpuacct:/%"], group);
});

describe("cgcreate", () => {
  same("several controllers", ["cgcreate", "-g", "cpu,memory,pids:%"]);
  same("several groups", ["cgcreate", "-g", "cpu:%", "-g", "memory:/%/b"]);
  same("with those above it", ["cgcreate", "-g", "cpu:%/a/b/c"]);
  same("that is there", ["cgcreate", "-g", "cpu:%"], group);
  same("with owners", ["cgcreate", "-a", "daemon:daemon", "-t", "nobody:nogroup", "-g", "cpu,memory:%"]);
  same("with a user alone", ["cgcreate", "-t", "daemon", "-g", "cpu:%"]);
  same("with modes", ["cgcreate", "-d", "750", "-f", "777", "-s", "660", "-g", "cpu:%"]);
  same("long names of options", ["cgcreate", "--dperm=700", "--fperm", "640", "--tperm=600", "-g", "cpu:%"]);
  same("owner of a group that is there", ["cgcreate", "-a", "daemon:daemon", "-g", "cpu:%"], group);
  same("no group", ["cgcreate"]);
  same("no value", ["cgcreate", "-g"]);
  same("no path", ["cgcreate", "-g", "cpu"]);
  same("empty path", ["cgcreate", "-g", "cpu:"]);
  same("no controller", ["cgcreate", "-g", ":%"]);
  same("unknown controller", ["cgcreate", "-g", "cpu,nope:%"]);
  same("controller that is not mounted", ["cgcreate", "-g", "net_cls:%"]);
  same("unknown option", ["cgcreate", "-x", "-g", "cpu:%"]);
  same("extra word", ["cgcreate", "-g", "cpu:%", "extra"]);
  same("no mode", ["cgcreate", "-d", "abc", "-g", "cpu:%"]);
  same("no privilege", ["cgcreate", "-g", "cpu:%"], { uid: NOBODY });

  live(`-g cpu:% -g nope:% leaves nothing (${difference("cgcreate-all-or-nothing")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgcreate", "-g", "cpu:%", "-g", "nope:%"]);
    expect([libcgroup.status, nsk.status]).toEqual([84, 84]);
    expect([Object.keys(libcgroup.groups).length, Object.keys(nsk.groups).length]).toEqual([1, 0]);
  });
  live("a group that the kernel refuses takes those made before it back", () => {
    const { nsk } = runBoth(["cgcreate", "-g", "cpu:%/a/b\nc"]);
    expect(nsk.status).toBe(96);
    expect(nsk.stderr).toContain("failed: Invalid argument");
    expect(nsk.groups).toEqual({});
  });
  same("the name of a file", ["cgcreate", "-g", "cpu:%/tasks"], group);
  live(`-g cpuset:% can be entered (${difference("cgcreate-cpuset")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgcreate", "-g", "cpuset:%"]);
    const cpus = (groups: typeof nsk.groups): unknown =>
      (Object.values(groups)[0] as Record<string, [string, string]>)["cpuset.cpus"]![1];
    expect(cpus(libcgroup.groups)).toBe("");
    expect(cpus(nsk.groups)).not.toBe("");
  });
  live(`-a of an unknown user (${difference("cgcreate-owner")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgcreate", "-a", "no-such-user:root", "-g", "cpu:%"]);
    expect([libcgroup.status, nsk.status]).toEqual([0, 255]);
    expect(nsk.stderr).toContain("there is no user 'no-such-user'");
  });
  live(`.. in a path (${difference("cg-dotdot")})`, () => {
    const name = uniqueName();
    const nsk = runIn("nsk", ["cgcreate", "-g", `cpu:%/../%b`], {}, name);
    expect(nsk.status).toBe(255);
    expect(nsk.groups).toEqual({});
  });
  live("a symbolic link cannot be in a hierarchy, and a mount in one is refused", () => {
    const name = uniqueName();
    const elsewhere = mkdtempSync(join(tmpdir(), "nsk-elsewhere-"));
    const run = (...words: string[]) => Bun.spawnSync(words, { stderr: "pipe" });
    try {
      const inside = directoryOf(`pids:${name}/in`);
      mkdirSync(inside, { recursive: true });
      // Were this to succeed, a path could leave the hierarchy unseen.
      expect(() => symlinkSync(elsewhere, `${inside}/link`)).toThrow("EPERM");
      for (const words of [
        ["cgcreate", "-g", `pids:${name}/in/evil`],
        ["cgdelete", "-r", `pids:${name}`],
      ]) {
        const script = 'mount --bind "$1" "$2"; shift 2; exec "$@"';
        const ran = run("unshare", "-m", "sh", "-c", script, "sh", elsewhere, inside, nskBinary, ...words);
        expect(ran.stderr.toString()).toContain(`something else is mounted on ${inside}`);
        expect(ran.exitCode).toBe(96);
      }
      expect(readdirSync(elsewhere)).toEqual([]);
    } finally {
      removeGroups(name);
      rmSync(elsewhere, { recursive: true });
    }
  });
  live("a hierarchy that is mounted through a symbolic link is found where it is", () => {
    const name = uniqueName();
    const scratch = mkdtempSync(join(tmpdir(), "nsk-link-"));
    try {
      mkdirSync(join(scratch, "real"));
      symlinkSync("real", join(scratch, "link"));
      const script = `mount -t cgroup -o pids none "$1/link" && "$2" cgcreate -g pids:${name}/a && ls "$1/real" && "$2" cgdelete -r pids:${name}`;
      const words = ["unshare", "-m", "sh", "-c", script, "sh", scratch, nskBinary];
      const { exitCode, stdout, stderr } = Bun.spawnSync(words, { stderr: "pipe" });
      expect([exitCode, stderr.toString()]).toEqual([0, ""]);
      expect(stdout.toString().split("\n")).toContain(name);
      expect(existsSync(directoryOf(`pids:${name}`))).toBe(false);
    } finally {
      removeGroups(name);
      rmSync(scratch, { recursive: true });
    }
  });
  live(`a named hierarchy (${difference("cg-named")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgcreate", "-g", "name=systemd:%"]);
    expect([libcgroup.status, nsk.status]).toEqual([84, 0]);
  });
});

describe("cgset", () => {
  same("several settings", ["cgset", "-r", "cpu.shares=512", "-r", "cpu.cfs_quota_us=50000", "%"], group);
  same("several controllers", ["cgset", "-r", "cpu.shares=512", "-r", "memory.limit_in_bytes=64M", "%"], two);
  same("several groups", ["cgset", "-r", "cpu.shares=512", "%", "/%b"], { groups: ["cpu:%", "cpu:%b"] });
  same("a value with blanks", ["cgset", "-r", "devices.deny=c 1:3 rwm", "%"], { groups: ["devices:%"] });
  same("group before options", ["cgset", "%", "-r", "cpu.shares=512"], group);
  live("-R takes processors away from below up, and gives them from the group down", () => {
    const name = uniqueName();
    const run = (...words: string[]) => Bun.spawnSync([nskBinary, ...words], { stderr: "pipe" });
    try {
      expect(run("cgcreate", "-g", `cpuset,cpu:${name}/a/b`).exitCode).toBe(0);
      for (const setting of [
        "cpuset.cpus=0",
        `cpuset.cpus=${readFileSync(directoryOf("cpuset:cpuset.cpus"), "utf8").trim()}`,
        "cpu.cfs_quota_us=50000",
        "cpu.max=10000 20000",
        "cpu.max=20000 50000",
        "cpu.max=50000 100000",
        "cpu.cfs_quota_us=20%",
        "cpu.cfs_quota_us=-1",
      ]) {
        const { exitCode, stderr } = run("cgset", "-R", "-r", setting, name);
        expect([setting, exitCode, exitCode === 0 ? "" : stderr.toString()]).toEqual([setting, 0, ""]);
      }
    } finally {
      removeGroups(name);
    }
  });
  const ways = [
    ["the limit of the group above allows", "50%", "50%", "/a"],
    ["what the group below has allows", "50%", "40%", ""],
  ] as const;
  for (const [title, above, below, changed] of ways)
    live(`quota and period go in the order that ${title}`, () => {
      const name = uniqueName();
      const run = (...words: string[]) => Bun.spawnSync([nskBinary, ...words], { stderr: "pipe" });
      try {
        expect(run("cgcreate", "-g", `cpu:${name}/a`).exitCode).toBe(0);
        expect(run("cgset", "-r", `cpu.cfs_quota_us=${above}`, name).exitCode).toBe(0);
        expect(run("cgset", "-r", `cpu.max=${below} 200000`, `${name}/a`).exitCode).toBe(0);
        for (const [quota, period] of [
          ["10000", "20000"],
          ["50000", "100000"],
          ["25000", "50000"],
        ]) {
          const words = ["-r", `cpu.cfs_period_us=${period}`, "-r", `cpu.cfs_quota_us=${quota}`];
          const { exitCode, stderr } = run("cgset", ...words, `${name}${changed}`);
          expect([quota, exitCode, stderr.toString()]).toEqual([quota, 0, ""]);
        }
      } finally {
        removeGroups(name);
      }
    });
  same("no settings", ["cgset", "%"], group);
  same("no groups", ["cgset", "-r", "cpu.shares=512"]);
  same("nothing", ["cgset"]);
  same("no value", ["cgset", "-r", "cpu.shares=", "%"], group);
  same("refused value", ["cgset", "-r", "cpu.shares=abc", "%"], group);
  same("refused number", ["cgset", "-r", "memory.limit_in_bytes=-5", "%"], two);
  same("out of range", ["cgset", "-r", "cpuset.cpus=0-9999", "%"], { groups: ["cpuset:%"] });
  same("more than there is below", ["cgset", "-r", "memory.memsw.limit_in_bytes=1M", "%"], two);
  same("read-only", ["cgset", "-r", "cpu.stat=1", "%"], group);
  same("unknown setting", ["cgset", "-r", "cpu.nope=1", "%"], group);
  same("unknown controller", ["cgset", "-r", "nope.x=1", "%"], group);
  same("not mounted", ["cgset", "-r", "net_cls.classid=1", "%"], group);
  same("no such group", ["cgset", "-r", "cpu.shares=512", "%"]);
  same("core files", ["cgset", "-r", "cgroup.procs=0", "%"], group);
  same("both ways", ["cgset", "--copy-from", "%", "-r", "cpu.shares=3", "%b"], group);
  same("no privilege", ["cgset", "-r", "cpu.shares=3", "%"], { ...group, uid: NOBODY });
  same("copy", ["cgset", "--copy-from", "%", "%b"], {
    groups: ["cpu:%", "cpu:%b", "pids:%", "pids:%b"],
    values: { "cpu:%/cpu.shares": "77", "cpu:%/cpu.cfs_quota_us": "20000", "pids:%/pids.max": "9" },
  });
  live(`copy from a group that is not there (${difference("cgset-copy")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "--copy-from", "%nope", "%"], group);
    expect([libcgroup.status, nsk.status]).toEqual([0, 82]);
  });
  live(`a setting without a controller (${difference("cgset-bad-setting")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "-r", "shares=1", "%"], group);
    expect([libcgroup.status, nsk.status]).toEqual([0, 255]);
  });
  live(`a group that is not there, after one that is (${difference("cgset-all-or-nothing")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "-r", "cpu.shares=512", "%", "%nope"], group);
    expect([libcgroup.status, nsk.status]).toEqual([95, 95]);
    const shares = (groups: typeof nsk.groups): unknown =>
      (Object.values(groups)[0] as Record<string, [string, string]>)["cpu.shares"]![1];
    expect([shares(libcgroup.groups), shares(nsk.groups)]).toEqual(["512", "1024"]);
  });
  live(`a refused value is named (${difference("cg-messages")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "-r", "cpu.shares=abc", "%"], group);
    expect(libcgroup.stderr).not.toContain("abc");
    expect(nsk.stderr).toContain('write "abc" to ');
    expect(nsk.stderr).toContain("/cpu.shares failed: Invalid argument\n");
  });
  live(`--variable (${difference("cgset-variable")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "--variable=cpu.shares=512", "%"], group);
    expect([libcgroup.status, nsk.status]).toEqual([255, 0]);
  });
  live(`a name of version 2 (${difference("cg-translation")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgset", "-r", "cpu.max=50000 200000", "%"], group);
    expect([libcgroup.status, nsk.status]).toEqual([95, 0]);
    expect(nsk.stderr).toBe(
      'nsk cgset: cpu.max=50000 200000 is cpu.cfs_quota_us "50000" and cpu.cfs_period_us "200000" on cgroup v1\n',
    );
  });
});

describe("cgget", () => {
  same("a setting", ["cgget", "-r", "cpu.shares", "%"], group);
  same(
    "settings of several controllers",
    ["cgget", "-r", "cpu.shares", "-r", "memory.limit_in_bytes", "%"],
    two,
  );
  same("several groups", ["cgget", "-r", "cpu.shares", "%", "/%/"], group);
  same("no header", ["cgget", "-n", "-r", "cpu.shares", "%"], group);
  same("values only", ["cgget", "-v", "-r", "cpu.shares", "-r", "cpu.stat", "%"], group);
  same("both", ["cgget", "-nv", "-r", "cpu.shares", "%", "%"], group);
  same("long names of options", ["cgget", "--variable=cpu.shares", "--values-only", "%"], group);
  same("abbreviations", ["cgget", "--var", "cpu.shares", "--val", "%"], group);
  same("a controller", ["cgget", "-g", "cpu", "%"], group);
  same("a controller and path", ["cgget", "-g", "cpu:%"], group);
  same("controllers and path", ["cgget", "-g", "cpu,memory:%"], two);
  same("controllers one by one", ["cgget", "-g", "cpu", "-g", "memory", "%"], two);
  same("a controller of which the group has none", ["cgget", "-g", "cpu", "-g", "memory", "%"], group);
  same("write-only files", ["cgget", "-g", "devices", "%"], { groups: ["devices:%"] });
  same("write-only files, as nobody", ["cgget", "-g", "devices", "%"], {
    groups: ["devices:%"],
    uid: NOBODY,
  });
  same("everything", ["cgget", "%"], { groups: ["cpu:%", "pids:%", "freezer:%"] });
  same("everything, said", ["cgget", "--all", "%"], { groups: ["cpu:%", "pids:%"] });
  same("a write-only file", ["cgget", "-r", "devices.deny", "%"], { groups: ["devices:%"] });
  same("a write-only file, as nobody", ["cgget", "-r", "devices.deny", "%"], {
    groups: ["devices:%"],
    uid: NOBODY,
  });
  same("nothing", ["cgget"]);
  same("no group", ["cgget", "-r", "cpu.shares"]);
  same("-r with -g", ["cgget", "-r", "cpu.shares", "-g", "cpu", "%"], group);
  same("-r with -a", ["cgget", "-a", "-r", "cpu.shares", "%"], group);
  same("groups both ways", ["cgget", "-g", "cpu:%", "%"], group);
  same("unknown setting", ["cgget", "-r", "cpu.nope", "%"], group);
  same("unknown setting behind others", ["cgget", "-r", "cpu.shares", "-r", "cpu.nope", "%"], group);
  same("unknown controller", ["cgget", "-r", "nope.x", "%"], group);
  same("no controller", ["cgget", "-r", "tasks", "%"], group);
  same("no such group", ["cgget", "-r", "cpu.shares", "%"]);
  same("unknown option", ["cgget", "-x", "%"], group);

  live(`a list of controllers without a path (${difference("cgget-lists")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgget", "-n", "-g", "cpu,memory", "%"], two);
    expect(libcgroup.stdout).toBe("");
    expect(nsk.stdout).toContain("cpu.shares: 1024\n");
    expect(nsk.stdout).toContain("memory.limit_in_bytes: ");
  });
  live(`a group that is not there, with -g (${difference("cgget-missing")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgget", "-g", "cpu", "%"]);
    expect([libcgroup.status, nsk.status]).toEqual([0, 96]);
    expect(nsk.stdout).toBe("");
  });
});

describe("cgexec", () => {
  same("several controllers", ["cgexec", "-g", "cpu,memory:%", "cat", "/proc/self/cgroup"], two);
  same("several groups", ["cgexec", "-g", "cpu:%", "-g", "memory:%", "cat", "/proc/self/cgroup"], two);
  same("the later of two", ["cgexec", "-g", "cpu:%", "-g", "cpu:/", "cat", "/proc/self/cgroup"], group);
  same("sticky", ["cgexec", "--sticky", "-g", "cpu:%", "true"], group);
  same("arguments of the program", ["cgexec", "-g", "cpu:%", "echo", "-g", "--", "x"], group);
  same("--", ["cgexec", "-g", "cpu:%", "--", "echo", "-x"], group);
  same("status", ["cgexec", "-g", "cpu:%", "sh", "-c", "exit 7"], group);
  same("no program", ["cgexec", "-g", "cpu:%"], group);
  same("nothing", ["cgexec"]);
  same("no group", ["cgexec", "true"]);
  same("no path", ["cgexec", "-g", "cpu", "true"]);
  same("no such group", ["cgexec", "-g", "cpu:%", "true"]);
  same("no such controller", ["cgexec", "-g", "nope:%", "true"]);
  same("no privilege", ["cgexec", "-g", "cpu:%", "true"], { ...group, uid: NOBODY });
  same("empty cpuset", ["cgexec", "-g", "cpuset:%", "true"], { groups: ["cpuset:%"] });

  live("failures are one line and a hint", () => {
    const name = uniqueName();
    for (const words of [
      ["cgexec", "-g", "cpu:%", "true"],
      ["cgexec", "-g", "nope:%", "true"],
      ["cgexec", "-g", "cpu:/", "no-such-program"],
    ])
      expectFailure(runIn("nsk", words, {}, name).stderr, "cgexec");
  });
  live("a group whose tasks file alone was given away (cgcreate -t)", () => {
    const name = uniqueName();
    const script = `
      nsk=$1 name=$2
      "$nsk" cgcreate -t nobody:nogroup -g cpu:"$name" || exit
      for cgexec in /usr/bin/cgexec "$nsk cgexec"; do
        setpriv --reuid nobody --regid nogroup --clear-groups $cgexec -g cpu:"$name" cat /proc/self/cgroup | grep ":cpu[:,]"
      done
      "$nsk" cgdelete cpu:"$name"`;
    expect(runShell(script, name).stdout).toMatch(new RegExp(`^(\\d+:cpu(,cpuacct)?:/${name}\n){2}$`));
  });
  live("a program that is not there, or no program", () => {
    for (const program of ["no-such-program", "/etc/passwd", "/"]) {
      const { libcgroup, nsk } = runBoth(["cgexec", "-g", "cpu:%", program], group);
      expect([program, nsk.status]).toEqual([program, libcgroup.status]);
    }
  });
  live(`what cgcreate '*:%' made (${difference("cgexec-star")})`, () => {
    const name = uniqueName();
    const script =
      'nsk=$1 name=$2; "$nsk" cgcreate -g "*:$name" && "$nsk" cgexec -g "*:$name" cat /proc/self/cgroup; s=$?; "$nsk" cgdelete -g "*:$name" && exit $s';
    const nsk = runShell(script, name);
    expect(nsk.status).toBe(0);
    expect(nsk.stdout).toMatch(new RegExp(`:cpu(,cpuacct)?:/${name}\n`));
    expect(nsk.stdout).toMatch(new RegExp(`:pids:/${name}\n`));
  });
  live("a busy program is held to its quota", () => {
    const name = uniqueName();
    const script = `
      nsk=$1 name=$2
      "$nsk" cgcreate -g cpu:"$name" && "$nsk" cgset -r cpu.cfs_quota_us=20000 "$name" &&
      "$nsk" cgexec -g cpu:"$name" timeout 1 sh -c 'while :; do :; done'
      "$nsk" cgget -nv -r cpu.stat "$name"; "$nsk" cgdelete cpu:"$name"`;
    const { stdout } = runShell(script, name);
    expect(Number(/nr_throttled (\d+)/.exec(stdout)?.[1])).toBeGreaterThan(2);
  });
});

describe("a subtree that was given away", () => {
  live("is its owner's to use with every tool, and nothing above it", () => {
    const name = uniqueName();
    const script = `
      set -e; nsk=$1 name=$2
      "$nsk" cgcreate -a nobody:nogroup -t nobody:nogroup -d 755 -g cpu,pids:"$name"
      cd /; as() { setpriv --reuid nobody --regid nogroup --clear-groups "$@"; }
      as "$nsk" cgcreate -g cpu,pids:"$name/own/deep"
      as "$nsk" cgset -R -r cpu.shares=77 "$name/own"
      as "$nsk" cgget -nv -r cpu.shares "$name/own/deep"
      as "$nsk" cgexec -g cpu:"$name/own/deep" sed -nE 's/.*:cpu(,cpuacct)?://p' /proc/self/cgroup
      if as "$nsk" cgcreate -g cpu:"$name-beside" 2>/dev/null; then echo made a group beside it; fi
      if as "$nsk" cgset -r cpu.shares=5 / 2>/dev/null; then echo changed the root; fi
      as "$nsk" cgdelete -r cpu,pids:"$name/own"
      "$nsk" lscgroup cpu:"$name"`;
    const { stdout } = runShell(script, name);
    expect(stdout).toMatch(new RegExp(`^77\n/${name}/own/deep\ncpu(,cpuacct)?:/${name}/\n$`));
  });
});

describe("cgdelete", () => {
  same("", ["cgdelete", "cpu:%"], group);
  same("with -g", ["cgdelete", "-g", "cpu:%"], group);
  same("group before options", ["cgdelete", "cpu:%", "-r"], { groups: ["cpu:%/a/b"] });
  same("recursive", ["cgdelete", "--recursive", "-g", "cpu:/%"], { groups: ["cpu:%/a/b", "cpu:%/c"] });
  same("nothing", ["cgdelete"]);
  same("with groups below", ["cgdelete", "cpu:%"], { groups: ["cpu:%/a"] });
  same("no such group", ["cgdelete", "cpu:%"]);
  same("no such controller", ["cgdelete", "nope:%"]);
  same("no controller", ["cgdelete", "%"], group);
  same("no path", ["cgdelete", "cpu:"]);
  same("unknown option", ["cgdelete", "-x", "cpu:%"], group);
  same("no privilege", ["cgdelete", "cpu:%"], { ...group, uid: NOBODY });

  live("processes move to the group above", () => {
    const name = uniqueName();
    const script = `
      nsk=$1 name=$2
      "$nsk" cgcreate -g cpu:"$name/a" && "$nsk" cgexec -g cpu:"$name/a" sleep 60 & 
      while ! grep -q "$name/a" /proc/$!/cgroup; do sleep 0.01; done
      "$nsk" cgdelete cpu:"$name/a"; s=$?
      grep ":cpu[:,]" /proc/$!/cgroup
      kill $!; wait $! 2>/dev/null
      "$nsk" cgdelete -r cpu:"$name"; exit $s`;
    const { status, stdout } = runShell(script, name);
    expect([status, stdout.trim().split(":").at(-1)]).toEqual([0, `/${name}`]);
  });
  live(`a list of controllers (${difference("cgdelete-lists")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgdelete", "cpu,memory:%"], two);
    expect([libcgroup.status, nsk.status]).toEqual([0, 0]);
    expect(Object.keys(nsk.groups)).toEqual([]);
    expect(Object.keys(libcgroup.groups)).not.toEqual([]);
  });
  live(`* (${difference("cgdelete-star")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgdelete", "-g", "*:%"], two);
    expect([libcgroup.status, nsk.status]).toEqual([84, 0]);
    expect(nsk.groups).toEqual({});
  });
  live(`the root (${difference("cgdelete-root")})`, () => {
    const { libcgroup, nsk } = runBoth(["cgdelete", "cpu:/"]);
    expect([libcgroup.status, nsk.status]).toEqual([0, 96]);
  });
});

/** A shell script that gets nsk and the test's name; what it leaves is removed. */
function runShell(script: string, name: string): { status: number | null; stdout: string } {
  try {
    const { exitCode, stdout } = Bun.spawnSync(["sh", "-c", script, "sh", nskBinary, name]);
    return { status: exitCode, stdout: stdout.toString() };
  } finally {
    removeGroups(name);
  }
}
