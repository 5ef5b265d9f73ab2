// What a user of `nsk run` sees inside, and what a container cannot do. How it ends, and what stays, is in
// lifecycle.test.ts.

import { afterAll, describe, expect } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inside, output } from "./containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand, runNsk } from "../support/nsk.ts";

const live = testNeeding("root");
const withBusybox = testNeeding("root", "busybox");

const scratch = mkdtempSync(join(tmpdir(), "nsk-run-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** A root with nothing but busybox. */
const busyboxRoot = (name: string): string => {
  const root = join(scratch, name);
  mkdirSync(join(root, "bin"), { recursive: true });
  copyFileSync(Bun.which("busybox")!, join(root, "bin/busybox"));
  for (const applet of ["sh", "ls", "cat", "true", "mkdir", "pwd"])
    symlinkSync("busybox", join(root, "bin", applet));
  return root;
};

describe("what a container has of its own", () => {
  live("namespaces", () => {
    const kinds = ["mnt", "pid", "uts", "ipc", "net", "cgroup"];
    const script = `for k in ${kinds.join(" ")}; do readlink /proc/self/ns/$k; done`;
    const here = Bun.spawnSync(["sh", "-c", script]).stdout.toString().split("\n");
    const there = output(script).split("\n");
    for (const [i, kind] of kinds.entries()) {
      expect(there[i]).toStartWith(`${kind}:[`);
      expect(there[i]).not.toBe(here[i]!);
    }
  });
  live("process ids: the program is the first", () => {
    expect(output("echo $$; ls -d /proc/[0-9]* | wc -l")).toMatch(/^1\n[1-4]\n$/);
  });
  live("a host name: its id, or the one given", () => {
    expect(output("cat /proc/sys/kernel/hostname")).toMatch(/^[0-9a-f]{12}\n$/);
    expect(output("cat /proc/sys/kernel/hostname; echo $HOSTNAME", "--hostname", "box")).toBe("box\nbox\n");
  });
  live("a network with loopback, up, and nothing else", () => {
    expect(output("ls /sys/class/net; cat /sys/class/net/lo/flags")).toBe("lo\n0x9\n");
    expect(output("ls /sys/class/net", "--network", "host")).toBe(
      Bun.spawnSync(["ls", "/sys/class/net"]).stdout.toString(),
    );
  });
  live("devices that work", () => {
    const devices = output("ls /dev").trim().split("\n");
    expect(devices).toEqual(
      // prettier-ignore
      ["fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"],
    );
    expect(output("head -c 3 /dev/zero | wc -c; echo x >/dev/null")).toBe("3\n");
    expect(output("(echo x >/dev/full) 2>/dev/null || echo full")).toBe("full\n");
    expect(output("echo x >/dev/shm/x && cat /dev/shm/x; echo seen >/dev/stdout | cat")).toBe("x\nseen\n");
  });
  live("/sys and parts of /proc are read-only, others hidden", () => {
    for (const path of ["/sys/kernel/x", "/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger"])
      expect(inside(`echo x >${path}`).stderr).toMatch(
        /Read-only|Permission denied|nonexistent|cannot create/,
      );
    expect(output("cat /proc/kcore /proc/keys 2>/dev/null | wc -c")).toBe("0\n");
  });
});

describe("its root", () => {
  live("is this machine's, and what is written is gone afterwards", () => {
    const name = `/nsk-test-${process.pid}`;
    expect(output(`echo kept >${name} && cat ${name}; rm -rf /etc/passwd; ls /etc/passwd 2>&1 | wc -l`)).toBe(
      "kept\n1\n",
    );
    expect(existsSync(name)).toBe(false);
    expect(existsSync("/etc/passwd")).toBe(true);
  });
  withBusybox("is a directory with --rootfs, and what is written stays there", () => {
    const root = busyboxRoot("kept");
    const { status, stdout } = runNsk(
      "run",
      "--rootfs",
      root,
      "--",
      "/bin/sh",
      "-c",
      "echo written >/file; ls /",
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "bin\ndev\nfile\nproc\nsys\n" });
    expect(readFileSync(join(root, "file"), "utf8")).toBe("written\n");
    expect(readdirSync(join(root, "dev"))).toEqual([]);
  });
  withBusybox("with :O has a throwaway layer over it", () => {
    const root = busyboxRoot("thrown");
    const { stdout } = runNsk(
      "run",
      "--rootfs",
      `${root}:O`,
      "--",
      "/bin/sh",
      "-c",
      "echo written >/file; ls /",
    );
    expect(stdout).toBe("bin\ndev\netc\nfile\nproc\nsys\n");
    expect(readdirSync(root)).toEqual(["bin"]);
  });
  withBusybox("may have a comma and a colon in its name", () => {
    const root = busyboxRoot("a,b:c");
    expect(runNsk("run", "--rootfs", `${root}:O`, "--", "/bin/pwd").stdout).toBe("/\n");
  });
  live("is read-only with --read-only", () => {
    const { status, stderr } = runNsk("run", "--read-only", "touch", "/x");
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: "touch: cannot touch '/x': Read-only file system\n",
    });
    expect(output("echo x >/dev/shm/x && echo fine", "--read-only")).toBe("fine\n");
  });
});

describe("volumes", () => {
  const volume = join(scratch, "volume");
  mkdirSync(volume);
  writeFileSync(join(volume, "file"), "from outside\n");

  live("a directory, for both sides", () => {
    expect(
      output("cat /mnt/deep/er/file; echo back >/mnt/deep/er/answer", "-v", `${volume}:/mnt/deep/er`),
    ).toBe("from outside\n");
    expect(readFileSync(join(volume, "answer"), "utf8")).toBe("back\n");
  });
  live("a file, and a path relative to here", () => {
    expect(output("cat /some/file", "-v", `${volume}/file:/some/file`)).toBe("from outside\n");
    const ran = Bun.spawnSync([nsk, "run", "-v", "./file:/f", "cat", "/f"], { cwd: volume });
    expect(ran.stdout.toString()).toBe("from outside\n");
  });
  live("read-only", () => {
    const { stderr } = inside("echo x >/mnt/file", "-v", `${volume}:/mnt:ro`);
    expect(stderr).toContain("Read-only file system");
    expect(readFileSync(join(volume, "file"), "utf8")).toBe("from outside\n");
  });
});

describe("the program", () => {
  live("has docker's environment and what -e says", () => {
    const env = output(
      "env",
      "-e",
      "A=1",
      "-e",
      "B=2=3",
      "-e",
      "FROM_OUTSIDE",
      "-e",
      "HOME",
      "--hostname",
      "h",
    );
    expect(env.trim().split("\n").sort()).toEqual([
      "A=1",
      "B=2=3",
      `HOME=${process.env.HOME}`,
      "HOSTNAME=h",
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "PWD=/",
    ]);
  });
  live("has the user, the groups and the directory asked for", () => {
    expect(output("id -u; id -g; id -G; pwd; echo $HOME", "-u", "1234:5678", "-w", "/tmp/new/one")).toBe(
      "1234\n5678\n5678\n/tmp/new/one\n/\n",
    );
    expect(output("id -un; id -gn; echo $HOME", "-u", "nobody")).toBe("nobody\nnogroup\n/nonexistent\n");
    expect(output("id -u; id -g", "-u", "nobody:root")).toBe("65534\n0\n");
  });
  live("reads nothing, or what comes in with -i", () => {
    const run = (...options: string[]): string =>
      Bun.spawnSync([nsk, "run", ...options, "cat"], { stdin: Buffer.from("typed\n") }).stdout.toString();
    expect(run()).toBe("");
    expect(run("-i")).toBe("typed\n");
  });
  live("has docker's capabilities, and none to hand on", () => {
    const capabilities = (script: string, ...options: string[]): Record<string, string> =>
      Object.fromEntries(
        output(script, ...options)
          .trim()
          .split("\n")
          .map((line) => line.split(/:\s*/) as [string, string]),
      );
    const root = capabilities("grep ^Cap /proc/self/status");
    expect(root).toEqual({
      CapInh: "0000000000000000",
      CapPrm: "00000000a80425fb",
      CapEff: "00000000a80425fb",
      CapBnd: "00000000a80425fb",
      CapAmb: "0000000000000000",
    });
    const user = capabilities("grep ^Cap /proc/self/status", "-u", "1000");
    expect(user).toEqual({ ...root, CapPrm: "0000000000000000", CapEff: "0000000000000000" });
  });
  describe("has the capabilities that --cap-add and --cap-drop say, by docker's rule", () => {
    const DOCKER = 0xa80425fbn;
    const bit = (n: number): bigint => 1n << BigInt(n);
    const all = BigInt(`0x${/CapPrm:\t(\w+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]!}`);
    const rows: readonly (readonly [options: string, expected: bigint])[] = [
      ["--cap-drop all", 0n],
      ["--cap-drop ALL --cap-add net_raw", bit(13)],
      ["--cap-add SYS_ADMIN", DOCKER | bit(21)],
      ["--cap-add CAP_SYS_ADMIN --cap-drop chown", (DOCKER | bit(21)) & ~bit(0)],
      ["--cap-drop chown --cap-add chown", DOCKER],
      ["--cap-add all", all],
      ["--cap-add all --cap-drop sys_admin --cap-drop chown", all & ~bit(21) & ~bit(0)],
      ["--privileged", all],
    ];
    for (const [options, expected] of rows)
      live(options, () => {
        const status = output("grep -E 'Cap(Eff|Bnd|Inh)' /proc/self/status", ...options.split(" "));
        const hex = expected.toString(16).padStart(16, "0");
        expect(status).toMatch(new RegExp(`^CapInh:\\t0{16}\nCapEff:\\t${hex}\nCapBnd:\\t`));
      });
  });
  testNeeding("root", "setpriv")(
    "has none of the caller's inheritable and ambient ones (CVE-2022-29162)",
    () => {
      const with_ = ["setpriv", "--inh-caps", "+net_raw,+chown", "--ambient-caps", "+net_raw,+chown"];
      for (const user of ["0", "1000"]) {
        const words = [
          ...with_,
          nsk,
          "run",
          "-u",
          user,
          "--",
          "grep",
          "-E",
          "Cap(Inh|Amb)",
          "/proc/self/status",
        ];
        expect(runCommand(words)).toMatchObject({
          status: 0,
          stdout: "CapInh:\t0000000000000000\nCapAmb:\t0000000000000000\n",
        });
      }
    },
  );
  testNeeding("root", "setpriv")("gains nothing by a setuid bit with no-new-privileges", () => {
    const root = mkdtempSync(join(scratch, "suid-"));
    chmodSync(root, 0o755);
    copyFileSync("/usr/bin/id", join(root, "id"));
    chmodSync(join(root, "id"), 0o4755);
    const user = (...options: string[]): string =>
      output("/suid/id -u", "-u", "1000", "-v", `${root}:/suid`, ...options);
    expect(user()).toBe("0\n");
    expect(user("--security-opt", "no-new-privileges")).toBe("1000\n");
    expect(user("--security-opt", "no-new-privileges:false")).toBe("0\n");
  });
  live("has all of /proc and /sys with --privileged, and with systempaths=unconfined all of /proc", () => {
    const mounts = (...options: string[]): string => output("cut -d' ' -f2,4 /proc/self/mounts", ...options);
    expect(mounts()).toMatch(/^\/sys ro,.*\n[^]*^\/proc\/sys ro,/m);
    for (const options of [["--privileged"], ["--security-opt", "systempaths=unconfined"]])
      expect(mounts(...options)).not.toContain("/proc/");
    expect(mounts("--privileged")).toMatch(/^\/sys rw,/m);
  });
  live("has descriptors 0, 1 and 2 and no other", () => {
    const ran = Bun.spawnSync([
      "sh",
      "-c",
      'exec 7</etc/hostname 9<&7; "$1" run ls /proc/self/fd',
      "sh",
      nsk,
    ]);
    expect(ran.stdout.toString()).toBe("0\n1\n2\n3\n"); // 3 is the directory that ls reads
  });
  live("keeps bytes that are not UTF-8", () => {
    const ran = Bun.spawnSync([
      "sh",
      "-c",
      '"$1" run -e "V=$(printf "\\377")" printf "%s|" "$(printf "a\\376b")"',
      "sh",
      nsk,
    ]);
    expect([...ran.stdout]).toEqual([0x61, 0xfe, 0x62, 0x7c]);
  });
});

describe("limits", () => {
  const controllers = readFileSync("/proc/self/mountinfo", "utf8");
  const version1 = / - cgroup \S+ \S*\bmemory\b/.test(controllers);
  const read = (v1: string, v2: string): string =>
    version1 ? `/sys/fs/cgroup/${v1}` : `/sys/fs/cgroup/${v2}`;
  const rows: [string[], string, string][] = [
    [["--cpus", "0.25"], read("cpu/cpu.cfs_quota_us", "cpu.max"), version1 ? "25000" : "25000 100000"],
    [["--cpu-shares", "512"], read("cpu/cpu.shares", "cpu.weight"), version1 ? "512" : "59"],
    [["--memory", "64m"], read("memory/memory.limit_in_bytes", "memory.max"), "67108864"],
    [["--pids-limit", "20"], read("pids/pids.max", "pids.max"), "20"],
    [["--cpuset-cpus", "0"], read("cpuset/cpuset.cpus", "cpuset.cpus"), "0"],
  ];
  for (const [options, file, value] of rows)
    live(`${options.join(" ")} can be read inside`, () => {
      expect(output(`cat ${file}`, ...options)).toBe(`${value}\n`);
    });
  live("only the container's own groups can be seen", () => {
    if (version1) expect(output("ls /sys/fs/cgroup")).toBe("devices\n");
    const groups = output(
      "cut -d: -f3 /proc/self/cgroup | sort -u; find /sys/fs/cgroup -name 'nsk-*'",
      "--cpus",
      "1",
    );
    expect(groups).toBe("/\n");
    if (version1) expect(output("ls /sys/fs/cgroup", "--pids-limit", "9")).toBe("devices\npids\n");
  });
  live("a fork bomb stays within --pids-limit", () => {
    const { stderr } = inside("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 5 & done", "--pids-limit", "4");
    expect(stderr.toLowerCase()).toContain("fork");
  });
  live("memory beyond --memory ends the program, and it is said which limit that was", () => {
    const { status, stderr } = inside("exec tail /dev/zero", "--memory", "16m");
    expect(status).toBe(137);
    expect(stderr).toMatch(
      /^nsk run: out of memory: the kernel killed a program of the container, whose memory\.(max|limit_in_bytes) is 16777216\nhint: .*\n$/,
    );
  });
  live("a program that is killed by somebody else has not run out of memory", () => {
    const { status, stderr } = inside("sh -c 'kill -9 $$'; exit $?", "--memory", "16m");
    expect(status).toBe(137);
    expect(stderr).not.toContain("out of memory"); // the shell may tell of the signal in its own words
  });
});

describe("what a container cannot do", () => {
  live("leave by a descriptor of the caller's (CVE-2024-21626)", () => {
    for (let fd = 3; fd < 10; fd++) {
      const script = `exec ${fd}</etc; "$1" run -w /proc/self/fd/${fd} -- ls passwd`;
      const ran = Bun.spawnSync(["sh", "-c", script, "sh", nsk], { stderr: "pipe" });
      expect(ran.stdout.toString()).toBe("");
      expect(ran.exitCode).toBe(125);
    }
  });
  withBusybox("have its mounts land outside by links in its root", () => {
    const root = busyboxRoot("links");
    const outside = join(scratch, "outside");
    mkdirSync(outside);
    for (const name of ["proc", "dev", "sys"]) symlinkSync(`../../../../../../${outside}`, join(root, name));
    symlinkSync(`../../../../../../${outside}`, join(root, "volume"));
    const { status } = runNsk("run", "--rootfs", root, "-v", `${scratch}:/volume/deep`, "--", "/bin/true");
    expect(status).not.toBe(0);
    expect(readdirSync(outside)).toEqual([]);
  });
  describe("open devices but docker's, whatever nodes it makes", () => {
    const script = `mknod /tmp/disk b 8 0 && mknod /tmp/log c 1 11 && mknod /tmp/null c 1 3 || exit 1
      for node in /tmp/disk /tmp/log; do head -c 1 $node 2>&1; done; echo written >/tmp/null && echo fine`;
    const answer =
      "head: cannot open '/tmp/disk' for reading: Operation not permitted\n" +
      "head: cannot open '/tmp/log' for reading: Operation not permitted\nfine\n";
    live("by the devices controller of cgroup v1, or by a program", () => {
      expect(output(script)).toBe(answer);
      expect(output(script, "--cap-add", "SYS_ADMIN", "--pids-limit", "20")).toBe(answer);
    });
    /** As on a machine whose /sys/fs/cgroup has no devices controller of v1, or none that can be written. */
    const around = (change: string, options: readonly string[], script: string): Ran =>
      runCommand([
        "unshare",
        "-m",
        "sh",
        "-c",
        `${change}; exec "$@"`,
        "sh",
        nsk,
        "run",
        ...options,
        "--",
        "sh",
        "-c",
        script,
      ]);
    live("by a program on cgroup v2", () => {
      if (!existsSync("/sys/fs/cgroup/unified/cgroup.procs")) return; // v2 alone: that was the test above
      expect(around("umount /sys/fs/cgroup/devices", [], script)).toMatchObject({
        status: 0,
        stdout: answer,
      });
      expect(around("umount /sys/fs/cgroup/devices", ["--pids-limit", "20"], script).stdout).toBe(answer);
    });
    live("and makes none where nothing could hold that", () => {
      const readonly =
        "for d in $(cut -d' ' -f2,3 /proc/mounts | sed -n 's/ cgroup2*$//p'); do mount -o remount,bind,ro $d; done";
      const ran = around(readonly, [], "mknod /tmp/disk b 8 0 2>&1; grep ' / ' /proc/mounts");
      expect(ran).toMatchObject({ status: 0, stderr: "" });
      expect(ran.stdout).toMatch(/^mknod: \/tmp\/disk: Operation not permitted\n.*\bnodev\b/);
      const { stderr, status } = around(readonly, ["--cap-add", "mknod"], "true");
      expect(status).toBe(125);
      expect(stderr).toMatch(
        /^nsk run: --cap-add MKNOD: nothing here holds which devices could be opened then\nhint: /,
      );
    });
    live("unless it is --privileged", () => {
      expect(output("mknod /tmp/log c 1 11; head -c 0 /tmp/log && echo open", "--privileged")).toBe("open\n");
    });
  });
  live("see the host's processes or mounts", () => {
    expect(output("cat /proc/self/mountinfo")).not.toContain("/run/nsk/root");
    expect(inside(`kill -0 ${process.pid}`).status).not.toBe(0);
  });
  live("write to the control groups", () => {
    const { status } = inside(
      "for f in /sys/fs/cgroup/cgroup.procs /sys/fs/cgroup/*/cgroup.procs; do [ -e $f ] && echo 1 >$f && exit 1; done; exit 0",
      "--cpus",
      "0.5",
    );
    expect(status).toBe(0);
  });
});

describe("bad input is one line, 125, and nothing is made", () => {
  const rows: [string[], string][] = [
    [["run"], "nsk run: no program given"],
    [["run", "--cpus", "abc", "true"], "nsk run: invalid argument 'abc' for --cpus: a number such as 0.5"],
    [
      ["run", "--cpus", "0.001", "true"],
      "nsk run: invalid argument '0.001' for --cpus: the smallest is 0.01",
    ],
    [["run", "--memory", "5x", "true"], "nsk run: invalid argument '5x' for --memory: a size such as 64m"],
    [["run", "--memory", "1m", "true"], "nsk run: invalid argument '1m' for --memory: the least is 6m"],
    [
      ["run", "--pids-limit", "many", "true"],
      "nsk run: invalid argument 'many' for --pids-limit: a whole number",
    ],
    [
      ["run", "--cpuset-cpus", "a", "true"],
      "nsk run: invalid argument 'a' for --cpuset-cpus: a list such as 0-2,4",
    ],
    [
      ["run", "--network", "bridge", "true"],
      "nsk run: --network bridge: nsk run has none, pasta, slirp4netns, host, container:NAME",
    ],
    [["run", "-v", "name:/x", "true"], "nsk run: invalid volume 'name:/x': nsk has no named volumes"],
    [
      ["run", "-v", "/a:b", "true"],
      "nsk run: invalid volume '/a:b': the place inside is an absolute path, and not /",
    ],
    [["run", "-v", "/a:/../b", "true"], "nsk run: invalid volume '/a:/../b': '..' in the place inside"],
    [["run", "-v", "/nsk-nope:/x", "true"], "nsk run: bind /nsk-nope failed: No such file or directory"],
    [
      ["run", "-w", "rel", "true"],
      "nsk run: the working directory 'rel' is invalid, it needs to be an absolute path",
    ],
    [
      ["run", "-u", "nsk-nobody", "true"],
      "nsk run: unable to find user nsk-nobody: no matching entries in the container's /etc/passwd",
    ],
    [["run", "--cap-add", "sys_nothing", "true"], "nsk run: invalid capability: 'sys_nothing'"],
    [
      ["run", "--security-opt", "seccomp=/nsk-nope", "true"],
      "nsk run: seccomp profile /nsk-nope: it is not there or cannot be read",
    ],
    [["run", "--security-opt", "seccomp=/etc/passwd", "true"], "nsk run: seccomp profile: it is no JSON"],
    [
      ["run", "--security-opt", "apparmor=mine", "true"],
      "nsk run: --security-opt apparmor=mine: nsk has neither AppArmor's profiles nor SELinux's labels",
    ],
    [
      ["run", "--security-opt", "no-new-privileges=maybe", "true"],
      "nsk run: invalid --security-opt 'no-new-privileges=maybe': true or false",
    ],
    [["run", "--rootfs", "/nsk-nope", "true"], "nsk run: --rootfs /nsk-nope: no such directory"],
    [["run", "--rootfs", "/etc/passwd", "true"], "nsk run: --rootfs /etc/passwd: not a directory"],
    [["run", "--rootfs", "/", "true"], "nsk run: --rootfs / would be this machine itself"],
    [["run", "--no-such", "true"], "nsk run: unrecognized option '--no-such'"],
    [["run", "--memory"], "nsk run: option '--memory' requires an argument"],
  ];
  for (const [words, line] of rows)
    live(words.join(" "), () => {
      const { status, stdout, stderr } = runNsk(...words);
      const [first, hint, ...more] = stderr.trimEnd().split("\n");
      expect({ status, stdout, first, more }).toEqual({ status: 125, stdout: "", first: line, more: [] });
      if (hint !== undefined) expect(hint).toStartWith("hint: ");
    });
  live("a processor that is not there: the group is taken back", () => {
    const { status, stderr } = runNsk("run", "--cpus", "1", "--cpuset-cpus", "4000", "true");
    expect(status).toBe(125);
    const group = /\/nsk-[0-9a-f]{12}/.exec(stderr)?.[0];
    expect(group).toBeDefined();
    const left = Bun.spawnSync(["find", "/sys/fs/cgroup", "-name", group!.slice(1)]).stdout.toString();
    expect(left).toBe("");
  });
});
