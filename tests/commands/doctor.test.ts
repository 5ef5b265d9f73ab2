// nsk doctor: what each fact of a host makes of a check, and what it says of this machine.

import { describe, expect, test } from "bun:test";
import { diagnose, type Finding, type Trials } from "../../src/commands/doctor-checks.ts";
import { type Fixture, fixtureHost } from "../../src/host/fixture.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";

const wellFiles = {
  "/proc/self/mountinfo":
    "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n22 1 0:20 / /proc rw - proc proc rw\n",
  "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu memory pids\n",
  "/proc/self/status": "Seccomp:\t0\nCapPrm:\t000001ffffffffff\n",
  "/proc/filesystems": "nodev\toverlay\n",
  "/proc/sys/vm/memfd_noexec": "0\n",
  "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n",
  "/etc/subuid": "ann:100000:65536\n",
  "/etc/subgid": "ann:100000:65536\n",
  "/usr/bin/newuidmap": "",
  "/usr/bin/newgidmap": "",
  "/usr/bin/pasta": "",
};
const wellTrials: Trials = {
  namespaces: {
    user: undefined,
    mount: undefined,
    uts: undefined,
    ipc: undefined,
    net: undefined,
    pid: undefined,
    cgroup: undefined,
    time: undefined,
  },
  overlay: undefined,
  memory: undefined,
  group: undefined,
  calls: { pidfd_open: true },
};

/** Findings that are not well, on a host that is but for these facts. */
const found = (
  files: Record<string, string | undefined>,
  trials: Partial<Trials> = {},
  fixture: Fixture = {},
): Finding[] => {
  const all: Record<string, string> = {};
  for (const [path, text] of Object.entries({ ...wellFiles, ...files }))
    if (text !== undefined) all[path] = text;
  const host = fixtureHost({ files: all, ...fixture });
  // newuidmap and newgidmap are what they should be, which no fixture knows.
  return diagnose(
    { ...host, mode: (path) => (path.startsWith("/usr/bin/new") ? 0o4755 : host.mode(path)) },
    { ...wellTrials, ...trials },
  ).filter(({ severity }) => severity !== "ok");
};

test("a machine on which all is well has nothing but that", () => {
  expect(found({})).toEqual([]);
});

describe("each fact has its check, its severity, and its mend", () => {
  const trial = { reason: "it failed: Operation not permitted", hint: "do this" };
  for (const [what, files, trials, expected] of [
    [
      "user namespaces switched off",
      { "/proc/sys/user/max_user_namespaces": "0\n" },
      {},
      {
        id: "userns.unprivileged",
        severity: "warning",
        mend: /sysctl -w user\.max_user_namespaces/,
        fix: { sysctl: "/proc/sys/user/max_user_namespaces", value: "10000" },
      },
    ],
    [
      "Debian's switch",
      { "/proc/sys/kernel/unprivileged_userns_clone": "0\n" },
      {},
      {
        id: "userns.unprivileged",
        severity: "warning",
        mend: /unprivileged_userns_clone=1/,
        fix: { sysctl: "/proc/sys/kernel/unprivileged_userns_clone", value: "1" },
      },
    ],
    [
      "Ubuntu's switch",
      { "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1\n" },
      {},
      {
        id: "userns.unprivileged",
        severity: "warning",
        mend: /apparmor_restrict/,
        fix: { sysctl: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns", value: "0" },
      },
    ],
    [
      "no ranges of ids",
      { "/etc/subuid": "" },
      {},
      { id: "subid.ranges", severity: "note", mend: /usermod --add-subuids/ },
    ],
    [
      "no newuidmap",
      { "/usr/bin/newuidmap": undefined },
      {},
      { id: "subid.newuidmap", severity: "note", mend: /apt install uidmap/ },
    ],
    [
      "no program for a network",
      { "/usr/bin/pasta": undefined },
      {},
      { id: "network.programs", severity: "note", mend: /apt install passt/ },
    ],
    [
      "no control groups",
      { "/proc/self/mountinfo": "22 1 0:20 / /proc rw - proc proc rw\n" },
      {},
      { id: "cgroup.mounted", severity: "error", mend: /^mount -t cgroup2/ },
    ],
    [
      "no memory controller",
      { "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu pids\n" },
      {},
      { id: "cgroup.controllers", severity: "warning", mend: /cgroup_disable/ },
    ],
    [
      "groups that cannot be made",
      {},
      { group: trial },
      { id: "cgroup.delegation", severity: "error", mend: /do this/ },
    ],
    [
      "no overlay in the kernel",
      { "/proc/filesystems": "nodev\tproc\n" },
      { overlay: trial },
      { id: "overlay", severity: "warning", mend: /modprobe overlay/, fix: { module: "overlay" } },
    ],
    [
      "an overlay that is refused",
      {},
      { overlay: trial },
      { id: "overlay", severity: "warning", mend: /do this/ },
    ],
    [
      "a seccomp filter",
      { "/proc/self/status": "Seccomp:\t2\nCapPrm:\t000001ffffffffff\n" },
      {},
      { id: "seccomp", severity: "note", mend: /seccomp=unconfined/ },
    ],
    [
      "no CAP_SYS_ADMIN",
      { "/proc/self/status": "Seccomp:\t0\nCapPrm:\t00000000a80425fb\n" },
      {},
      { id: "privileges", severity: "error", mend: /--privileged/ },
    ],
    [
      "vm.memfd_noexec=2",
      { "/proc/sys/vm/memfd_noexec": "2\n" },
      {},
      {
        id: "memfd.exec",
        severity: "note",
        mend: /memfd_noexec=1/,
        fix: { sysctl: "/proc/sys/vm/memfd_noexec", value: "1" },
      },
    ],
    [
      "hidepid",
      {
        "/proc/self/mountinfo": wellFiles["/proc/self/mountinfo"].replace(
          "proc rw\n",
          "proc rw,hidepid=invisible\n",
        ),
      },
      {},
      { id: "proc.hidden", severity: "note", mend: /hidepid=0/ },
    ],
    [
      "a /proc with mounts over it",
      {
        "/proc/self/mountinfo": `${wellFiles["/proc/self/mountinfo"]}23 22 0:21 / /proc/kcore rw - tmpfs tmpfs rw\n`,
      },
      {},
      { id: "proc.covered", severity: "warning", mend: /systempaths/ },
    ],
    [
      "an AppArmor profile",
      {
        "/sys/module/apparmor/parameters/enabled": "Y\n",
        "/proc/self/attr/current": "docker-default (enforce)\n",
      },
      {},
      { id: "lsm.apparmor", severity: "warning", mend: /apparmor=unconfined/ },
    ],
    [
      "SELinux",
      { "/sys/fs/selinux/enforce": "1" },
      {},
      { id: "lsm.selinux", severity: "note", mend: /ausearch/ },
    ],
    [
      "a call that is missing",
      {},
      { calls: { open_tree: false } },
      { id: "kernel.open_tree", severity: "warning", mend: /Linux 5\.2/ },
    ],
    [
      "no PID namespaces",
      {},
      { namespaces: { ...wellTrials.namespaces, pid: trial } },
      { id: "namespace.pid", severity: "error", mend: /do this/ },
    ],
    [
      "no time namespaces",
      {},
      { namespaces: { ...wellTrials.namespaces, time: trial } },
      { id: "namespace.time", severity: "warning", mend: /do this/ },
    ],
  ] as const)
    test(what, () => {
      const findings = found(files, trials);
      expect(findings.length).toBe(1);
      const { mend, ...rest } = expected;
      expect(findings[0]).toMatchObject(rest);
      expect(findings[0]!.mend).toMatch(mend);
    });
  test("a plain user is told what needs root, and of ranges of one's own", () => {
    const findings = found({ "/etc/subuid": "bob:100000:65536\n" }, {}, { euid: 1000, egid: 1000 });
    expect(findings.map(({ id, severity }) => [id, severity])).toEqual([
      ["privileges", "note"],
      ["subid.ranges", "warning"],
    ]);
    expect(findings[1]!.mend).toEndWith(" ann");
  });
});

describe("on this machine", () => {
  testNeeding(nsk, "root")("it tries, tells, and leaves nothing behind", () => {
    const before = runCommand([
      "sh",
      "-c",
      "cat /proc/self/mountinfo; ls -d /sys/fs/cgroup/*/nsk-doctor* /sys/fs/cgroup/nsk-doctor* 2>/dev/null",
    ]).stdout;
    const ran = runNsk("doctor", "--json");
    const { fixed, findings } = JSON.parse(ran.stdout);
    expect(fixed).toEqual([]);
    const ids = findings.map(({ id }: Finding) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids).toContain("namespace.user");
    expect(ids).toContain("cgroup.delegation");
    const isWell = (id: string): boolean => findings.find((it: Finding) => it.id === id).severity === "ok";
    // What it says is so: unshare(1) says the same.
    for (const [id, option] of [
      ["namespace.pid", "-p"],
      ["namespace.user", "-U"],
      ["namespace.time", "-T"],
    ] as const)
      expect([id, isWell(id)]).toEqual([id, runCommand(["unshare", option, "true"]).status === 0]);
    expect(ran.status).toBe(findings.some(({ severity }: Finding) => severity === "error") ? 1 : 0);
    const after = runCommand([
      "sh",
      "-c",
      "cat /proc/self/mountinfo; ls -d /sys/fs/cgroup/*/nsk-doctor* /sys/fs/cgroup/nsk-doctor* 2>/dev/null",
    ]).stdout;
    expect(after.split("\n").filter((line) => line.includes("doctor") || line.includes("merged"))).toEqual(
      before.split("\n").filter((line) => line.includes("doctor") || line.includes("merged")),
    );
  });
  testNeeding(nsk, "root")("text has a line for each finding, and a sum", () => {
    const { stdout, stderr } = runNsk("doctor", "--all");
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^ok {5}namespace\.uts: can be made/m);
    expect(stdout).toMatch(/\d+ well, \d+ to know, \d+ to look at, \d+ that do not work\n$/);
  });
  testNeeding(
    nsk,
    "root",
    "setpriv",
  )("a plain user gets no stack trace, and no --fix", () => {
    const ran = runCommand([
      "setpriv",
      "--reuid=12345",
      "--regid=12345",
      "--clear-groups",
      nsk,
      "doctor",
      "--json",
    ]);
    expect(ran.stderr).toBe("");
    expect(JSON.parse(ran.stdout).findings[0]).toMatchObject({ id: "privileges", severity: "note" });
    const fix = runCommand([
      "setpriv",
      "--reuid=12345",
      "--regid=12345",
      "--clear-groups",
      nsk,
      "doctor",
      "--fix",
    ]);
    // Where there is nothing to be done, nothing is asked for.
    expect(fix.stderr).toMatch(/^(?:nsk doctor: --fix needs root\nhint: sudo nsk doctor --fix.*\n)?$/);
  });
});
