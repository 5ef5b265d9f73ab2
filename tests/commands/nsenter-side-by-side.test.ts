// The same command line through util-linux's nsenter and through nsk's: stdout, and how it ends.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import type { Arch } from "../../src/abi/syscalls.ts";
import { explain } from "../../src/backends/explain.ts";
import { parse } from "../../src/cli/getopt.ts";
import { nsenter, nsenterRequest } from "../../src/commands/nsenter.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { planNsenter } from "../../src/namespaces/nsenter.ts";
import { difference } from "../differences.ts";
import { cleanUp, launcher, scratch as launchers } from "../launcher/launch.ts";
import { runCommand } from "../support/nsk.ts";
import { AT } from "../../src/abi/flags.ts";
import { address, syscall } from "../../src/sys/linux.ts";
import { holdOpen, type Target } from "./targets.ts";
import { PLAIN, utilLinux } from "./util-linux.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-nsenter-"));
chmodSync(scratch, 0o755);

let all: Target;
let own: Target;
let unmapped: Target;
let roots: Target;
const { both, same, live, reason } = utilLinux("nsenter", {
  DIR: scratch,
  /** Every namespace, made by root with a user namespace whose root is root. */
  ALL: () => String(all.pid),
  /** A user and a network namespace of the plain user's. */
  OWN: () => String(own.pid),
  /** A user namespace without ids. */
  UNMAPPED: () => String(unmapped.pid),
  /** All but a user namespace, and a working directory and a root directory of its own. */
  ROOTS: () => String(roots.pid),
});

beforeAll(async () => {
  if (reason) return;
  chmodSync(launchers, 0o755);
  mkdirSync(join(scratch, "work"));
  writeFileSync(join(scratch, "file"), "");
  all = await holdOpen(["-muinpUCT", "-r", "-f", "--mount-proc"]);
  own = await holdOpen(["-U", "-n", "-r"], "plain");
  unmapped = await holdOpen(["-U"]);
  roots = await holdOpen(["-muinpCT", "-f", "--mount-proc", `-w${scratch}/work`], undefined, {
    MARK: "there",
    PATH: "/usr/bin",
  });
});
afterAll(async () => {
  for (const target of [all, own, unmapped, roots]) await target?.end();
  rmSync(scratch, { recursive: true });
  cleanUp();
});

const KINDS = "user mnt uts ipc net pid pid_for_children cgroup time time_for_children";
const LINKS = `for k in ${KINDS}; do readlink /proc/self/ns/$k; done`;
const IDS = "id -u; id -g; id -G";

describe("namespaces", () => {
  for (const kind of ["m", "u", "i", "n", "C", "T"]) {
    // In a mount namespace whose /proc is of another PID namespace there is no /proc/self.
    same(`-t ROOTS -${kind}`, { script: LINKS }, kind === "m" ? {} : { status: 0 });
    same(`-t ROOTS -${kind} true`, { as: "plain" }, { status: 1 });
  }
  same("-t ROOTS -p", { script: "readlink /proc/self/ns/pid; echo $$ | wc -l" });
  same("-t ROOTS -a", { script: LINKS });
  same("-t ROOTS -a", { script: "set -- /proc/[0-9]*; echo $#" }, { stdout: "2\n" });
  same("-t ROOTS -m -p", { script: "readlink /proc/self/ns/mnt" });
  same("-t ALL -a", { script: LINKS });
  same("-t ALL -a", { script: IDS }, { stdout: "0\n0\n0\n" });
  same("-t ALL -U -u", { script: LINKS });
  same("-t ALL -m -u -i -n -p -C -T", { script: LINKS }, {});
  same("-t ALL -n -a", { script: LINKS });
  same("--target ALL --mount --uts --ipc --net --cgroup --time --user", { script: LINKS }, {});
  same("--target=ROOTS --all --no-fork", { script: "readlink /proc/self/ns/mnt" }, {});
  same("-aF -t ROOTS true", {}, {});
  same("-t ROOTS true", {}, { status: 0 });
  same("true");
  same("", { stdin: "echo $0\n" }, { stdout: "-sh\n" });
  same("-t ROOTS -u", { stdin: "echo $0; exit 4\n" }, { status: 4, stdout: "-sh\n" });
  same("-u/proc/ROOTS/ns/uts", { script: LINKS });
  same("--uts=/proc/ROOTS/ns/uts --net=/proc/ROOTS/ns/net -i/proc/ROOTS/ns/ipc", { script: LINKS });
  same("-t ROOTS -u -n/proc/ALL/ns/net", { script: LINKS });
  same("-t ROOTS -a -n/proc/ALL/ns/net", { script: LINKS });
  same("-n/proc/ALL/ns/net -U/proc/ALL/ns/user", { script: LINKS });
  same("-u/proc/ALL/ns/uts -u/proc/ROOTS/ns/uts", { script: LINKS });
  same("-t ROOTS -u/proc/ALL/ns/uts -u", { script: LINKS });
  live(`a kind twice (${difference("nsenter-kind-twice")})`, () => {
    const { theirs, ours } = both("-t ROOTS -u -u/proc/ALL/ns/uts readlink /proc/self/ns/uts");
    expect(theirs.stdout).not.toBe(ours.stdout);
    expect(ours.stdout).toBe(both("-t ALL -u readlink /proc/self/ns/uts").ours.stdout);
  });
  same("-t ALL -n/proc/ALL/ns/net -U", { script: LINKS });
  same("-t ROOTS -U true", {}, { status: 1 });
  same("-u/proc/ROOTS/ns/net true", {}, { status: 1 });
  same("-u/etc/passwd true", {}, { status: 1 });
  same("-u/no/such true", {}, { status: 1 });
  same("-u./no-such true", {}, { status: 1 });
});

describe("the plain user's own", () => {
  same("-t OWN -U -n --preserve-credentials", { script: LINKS, as: "plain" });
  same("-t OWN -U --preserve-credentials", { script: IDS, as: "plain" });
  same("-t OWN -U -S 0 -G 0 --preserve-credentials", { script: IDS, as: "plain" }, {});
  same("-t OWN -U true", { as: "plain" }, { status: 1 });
  same("-t OWN -n true", { as: "plain" }, { status: 1 });
  same("-t OWN -n/proc/OWN/ns/net -U --preserve-credentials", { script: LINKS, as: "plain" });
  same("-t OWN -a --preserve-credentials", { script: IDS, as: "plain" }, {});
  same("-t OWN -U -n", { script: IDS });
  same("-t OWN -U --preserve-credentials", { script: IDS });
  same("-t ALL -U true", { as: "plain" }, { status: 1 });
  same("-t ALL -a true", { as: "plain" }, { status: 1 });
});

describe("ids", () => {
  same("-t ALL -U", { script: IDS });
  same("-t ALL -U --preserve-credentials", { script: IDS });
  same("-t ALL -U -S 0", { script: IDS });
  same("-t ALL -U -G 0", { script: IDS });
  same("-t ALL -U -S 1 true", {}, { status: 1 });
  same("-t ALL -U -G 1 true", {}, { status: 1 });
  same("-t UNMAPPED -U true", {}, { status: 1 });
  same("-t UNMAPPED -U --preserve-credentials", { script: IDS });
  same("-S 1", { script: IDS });
  same("-G 1", { script: IDS });
  same("-S 1 -G 2 --preserve-credentials", { script: IDS });
  same("-t ROOTS -n -S 3 -G 4", { script: IDS });
  same("-S 65534", { script: IDS, as: "plain" });
  same("-S 0 true", { as: "plain" }, { status: 1 });
  same("-G 65534", { as: "plain", script: IDS });
  same("-S x true", {}, { status: 1 });
  same("-G 0x1 true", {}, { status: 1 });
  same("-S root true", {}, { status: 1 });
  same("-S -1 true", {}, { status: 1 });
  live(`an id that is too large (${difference("nsenter-large-id")})`, () => {
    const { theirs, ours } = both("-S 4294967296 id -u");
    expect([theirs.stdout, ours.status]).toEqual(["0\n", 1]);
  });
});

describe("directories", () => {
  same("-t ROOTS -m -w pwd", {}, { stdout: `${scratch}/work\n` });
  same("-t ROOTS -m pwd", {}, { stdout: "/\n" });
  same("-t ROOTS -w pwd", {}, {});
  same("-t ROOTS -r -w pwd", {}, {});
  same("-t ROOTS -m -r pwd", {}, {});
  same("-w/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-w/ pwd", {}, { stdout: "/\n" });
  same("-wlib pwd", {}, { stdout: "/usr/lib\n" });
  same("--wd=/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-W /tmp pwd", {}, { stdout: "/tmp\n" });
  same("-W/tmp pwd", {}, { stdout: "/tmp\n" });
  same("--wdns=/tmp pwd", {}, { stdout: "/tmp\n" });
  same("--wdns pwd", {}, { stdout: "/usr\n" });
  same("-r/ pwd", {}, { stdout: "/usr\n" });
  same("-r/ -w/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-r/usr -W/lib /bin/pwd", {}, { stdout: "/lib\n" });
  same("-r/usr -w/usr/lib /bin/pwd", {}, { stdout: "/lib\n" });
  same("-r/usr -Wlib /bin/pwd", {}, { stdout: "/lib\n" });
  same("-t ROOTS -m -w/proc cat version", {}, {});
  same("-w/tmp -w/usr/lib pwd", {}, { stdout: "/usr/lib\n" });
  same("-w/usr -w/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-r/no/such true", {}, { status: 1 });
  same("-w/no/such true", {}, { status: 1 });
  same("-W/no/such true", {}, { status: 1 });
  same("-rDIR/file true", {}, { status: 1 });
  same("-wDIR/file true", {}, { status: 1 });
  same("-w/tmp -W/tmp true", {}, { status: 1 });
  same("-rDIR/work true", {}, { status: 127 });
  same("-r/ true", { as: "plain" }, { status: 1 });
});

describe("how it ends", () => {
  for (const status of [0, 1, 126, 127, 255]) {
    same("-t ROOTS -p", { script: `exit ${status}` }, { status });
    same("-t ROOTS -u", { script: `exit ${status}` }, { status });
  }
  for (const signal of ["TERM", "INT", "HUP", "USR1", "PIPE", "KILL"])
    same("-t ROOTS -p", { script: `kill -${signal} $$` }, {});
  same("-t ROOTS -u", { script: "kill -TERM $$" }, { signal: "SIGTERM" });
  same("-t ROOTS -p", { script: "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status" });
  same("-t ROOTS -u no-such-program", {}, { status: 127 });
  same("-t ROOTS -p no-such-program", {}, { status: 127 });
  same("-t ROOTS -m DIR/file", {}, { status: 126 });
});

describe("the command line", () => {
  for (const line of [
    ...[
      "-m true",
      "-r true",
      "-w true",
      "-a true",
      "-t",
      "-t x true",
      "-t 1x true",
      "-t 0 -m true",
      "-t -1 -m true",
    ],
    ...[
      "-x true",
      "--nope",
      "--mount",
      "-N true",
      "-W",
      "-S",
      "--no-fork=1 true",
      "-t 4194304 -m true",
      "--all=1 -t ROOTS true",
    ],
  ])
    same(line, {}, { status: 1 });
  same("-t ROOTS -m -- ls -d /proc/self", {}, { status: 0 });
  same("-- echo -t 1 --", {}, { stdout: "-t 1 --\n" });
  same("--tar=ROOTS --ut true");
  same("--pre true");
  same("-F true");
  live(`-Z without SELinux says so (${difference("nsenter-selinux")})`, () => {
    const { theirs, ours } = both("-t ROOTS -Z echo on");
    expect([theirs.stdout, theirs.stderr]).toEqual(["on\n", ""]);
    expect([ours.stdout, ours.stderr]).toEqual([
      "on\n",
      "nsk nsenter: there is no SELinux here: going on without --follow-context\n",
    ]);
  });
  live(`words of errors are nsk's own (${difference("nsenter-messages")})`, () => {
    const { theirs, ours } = both("-t OWN -n true", { as: "plain" });
    expect(theirs.stderr).toBe(
      "nsenter: reassociate to namespace 'ns/net' failed: Operation not permitted\n",
    );
    expect(ours.stderr).toBe(
      "nsk nsenter: enter the net namespace failed: Operation not permitted\nhint: only root may do this; who made the user namespace that it belongs to enters that, too: add --user --preserve-credentials\n",
    );
  });
  live("several kinds behind one dash are a file, as util-linux has it, and nsk says so", () => {
    const { theirs, ours } = both("-t ROOTS -mu true");
    expect([theirs.status, ours.status]).toEqual([1, 1]);
    expect(ours.stderr).toContain(
      "hint: what stands right behind the letter of a kind is a file: -m -u, not -mu",
    );
  });
  live("a process that is not there", () => {
    const { pid } = Bun.spawnSync(["true"]);
    const { ours } = both(`-t ${pid} -m true`);
    expect([ours.status, ours.stderr]).toEqual([
      1,
      `nsk nsenter: find process ${pid} failed: No such process\nhint: there is no process with this number here: see ps -e\n`,
    ]);
  });
});

describe("two passes, as on a kernel before 5.8", () => {
  const old = fixtureHost({
    files: { "/proc/sys/kernel/osrelease": "5.4.0" },
    env: { PATH: "/usr/bin:/bin" },
  });
  const rows: readonly [line: string, as?: "plain"][] = [
    ["-t ROOTS -u -n -i"],
    ["-t ALL -U -u -n"],
    ["-t ALL -n -U -C -T"],
    ["-t OWN -U -n --preserve-credentials", "plain"],
    ["-t OWN -n -U --preserve-credentials"],
    ["-t OWN -n", "plain"],
  ];
  for (const [line, as] of rows)
    live(`${as ? "$" : "#"} nsenter ${line}`, () => {
      const pids = { ROOTS: roots.pid, ALL: all.pid, OWN: own.pid };
      const words = line
        .replace(/ROOTS|ALL|OWN/, (name) => String(pids[name as keyof typeof pids]))
        .split(" ");
      const script = `${LINKS}; ${IDS}`;
      const { options } = parse(nsenter.definition.args, words, { name: "nsk nsenter" });
      const plan = planNsenter("nsk nsenter", nsenterRequest(options, ["sh", "-c", script], old), old);
      expect(explain(plan)).not.toContain("pidfd_open");
      const ran = runCommand([...(as ? PLAIN : []), ...launcher(plan, process.arch as Arch)]);
      const { theirs } = both(line, { script, ...(as && { as }) });
      expect([ran.status, ran.stdout]).toEqual([theirs.status, theirs.stdout]);
    });
});

// Younger than util-linux 2.38: the words of the manual of 2.42.
describe("since util-linux 2.38", () => {
  const ours = (line: string, script?: string, as?: "plain") =>
    both(line, { ...(script !== undefined && { script }), ...(as && { as }) }).ours;
  const link = (pid: number, kind: string): string =>
    Bun.spawnSync(["readlink", `/proc/${pid}/ns/${kind}`]).stdout.toString();

  live("--env: the environment variables of the target process", () => {
    expect(
      ours("-t ROOTS -e env")
        .stdout.split("\n")
        .filter((word) => /^(MARK|SHELL)=/.test(word)),
    ).toEqual(["MARK=there"]);
    expect(ours("-t ROOTS env").stdout).not.toContain("MARK");
    expect(ours("-e true").stderr).toContain("no target for --env");
  });
  live("--setuid and --setgid follow: the ids of the target process", () => {
    expect(ours("-t OWN -S follow -G follow", IDS).stdout).toBe("65534\n65534\n65534\n");
    // As they are inside.
    expect(ours("-t OWN -U -S follow -G follow", IDS).stdout).toBe("0\n0\n0\n");
    expect(ours("-S follow true").stderr).toContain("no target for follow");
  });
  live("--user-parent: the user namespace that another belongs to", () => {
    expect(ours("-t OWN -n --user-parent readlink /proc/self/ns/user").stdout).toBe(link(own.pid, "user"));
    expect(ours("-n/proc/OWN/ns/net --user-parent readlink /proc/self/ns/user").stdout).toBe(
      link(own.pid, "user"),
    );
  });
  live("--user-parent with --user, or alone: the one above the target's", () => {
    // That is the caller's own, which cannot be entered.
    for (const line of ["-t OWN -U --user-parent true", "-t OWN --user-parent true"])
      expect(ours(line).stderr).toContain("enter the user namespace failed: Invalid argument");
  });
  live("--user-parent of a namespace in a namespace", async () => {
    const inner = await holdOpen(["-U", "-r", "unshare", "-U", "-r"]);
    try {
      const [parent] = readFileSync(`/proc/${inner.pid}/status`, "utf8").match(/(?<=PPid:\t)\d+/)!;
      expect(Number(parent)).toBeGreaterThan(0);
      const above = ours(`-t ${inner.pid} -U --user-parent --preserve-credentials cat /proc/self/uid_map`);
      expect([above.status, above.stdout.trim().split(/ +/)]).toEqual([0, ["0", "0", "1"]]);
      expect(link(inner.pid, "user")).not.toBe(
        ours(`-t ${inner.pid} -U --user-parent --preserve-credentials readlink /proc/self/ns/user`).stdout,
      );
    } finally {
      await inner.end();
    }
  });
  live("--keep-caps: capabilities granted in the user namespace are preserved", () => {
    const caps = ours(
      "-t OWN -U --keep-caps --preserve-credentials grep CapEff /proc/self/status",
      undefined,
      "plain",
    );
    expect(caps.stdout).toMatch(/^CapEff:\t0*[1-9a-f][0-9a-f]*\n$/);
    const none = ours("-t UNMAPPED -U --preserve-credentials grep CapEff /proc/self/status");
    expect(none.stdout).toBe("CapEff:\t0000000000000000\n");
    expect(
      ours("-t UNMAPPED -U --keep-caps --preserve-credentials grep CapEff /proc/self/status").stdout,
    ).not.toBe(none.stdout);
  });
  live("--target PID:inode: the process with this inode, and no other", () => {
    const found = ours(`-t ROOTS:${inodeOf(roots.pid)} -u readlink /proc/self/ns/uts`);
    expect([found.stderr, found.stdout]).toEqual(["", link(roots.pid, "uts")]);
    if (inodeOf(all.pid) === inodeOf(roots.pid)) return; // before Linux 6.9 pidfds have one inode in common
    const other = ours(`-t ROOTS:${inodeOf(all.pid)} -u true`);
    expect([other.status, other.stderr]).toEqual([
      1,
      `nsk nsenter: find process ${roots.pid} with inode ${inodeOf(all.pid)} failed: No such process\nhint: the process that is meant has ended, and another has its number\n`,
    ]);
    for (const bad of ["ROOTS:", "ROOTS:x", ":5", "ROOTS:5:6"])
      expect(ours(`-t ${bad} -u true`).stderr).toContain("failed to parse pid");
  });
  live("--net-socket: the network namespace of the target's socket", async () => {
    // A socket that was made in another network namespace than its holder's.
    const script = `busybox ifconfig lo up; exec 7<>/dev/udp/127.0.0.1/9
      readlink /proc/self/ns/net; exec nsenter --net=/proc/${process.pid}/ns/net sleep 1000`;
    const holder = Bun.spawn(["unshare", "-n", "bash", "-c", script], { stdin: "ignore", stdout: "pipe" });
    try {
      const { value } = await holder.stdout.getReader().read();
      const net = new TextDecoder().decode(value);
      const host = link(process.pid, "net");
      expect(net).not.toBe(host);
      while (link(holder.pid, "net") !== host) await Bun.sleep(2);
      const ran = ours(`-t ${holder.pid} -N 7 readlink /proc/self/ns/net`);
      expect([ran.stderr, ran.stdout]).toEqual(["", net]);
      expect(ours(`-t ${holder.pid} -N 99 true`).stderr).toContain("Bad file descriptor\nhint: process");
      expect(ours(`-t ${holder.pid} -N 0 true`).stderr).toContain("hint: this descriptor is no socket");
      expect(ours("-N 3 true").stderr).toContain("no target for --net-socket");
    } finally {
      holder.kill("SIGKILL");
      await holder.exited;
    }
  });
  live("a namespace's id: found by this kernel, or said why not", () => {
    const id = namespaceId(roots.pid, "net");
    if (id !== undefined) {
      const ran = ours(`-n:${id} readlink /proc/self/ns/net`);
      if (isNew) expect([ran.stderr, ran.stdout]).toEqual(["", link(roots.pid, "net")]);
      else expect(ran.stderr).toContain("hint: ");
    }
    const ran = ours("-n:1 true");
    if (ran.status !== 0)
      expect(ran.stderr).toMatch(/^nsk nsenter: find the net namespace 1 failed: .*\nhint: .*Linux 6\.19/);
    for (const bad of ["-n:", "-n:x", "-n:1x", "-n:99999999999999999999"])
      expect(ours(`${bad} true`).stderr).toContain("failed to parse namespace id");
    // A file of such a name.
    expect(ours("-n./:1 true").stderr).toContain("open ./:1 failed: No such file");
  });
  live("the manual's -W: a directory that is looked up inside", () => {
    expect(ours("-t ROOTS -m -r -Wproc cat uptime").status).toBe(0);
  });
});

const [major, minor] = release().split(".").map(Number) as [number, number];
const isNew = major > 6 || (major === 6 && minor >= 19);

/** NS_GET_ID, since Linux 6.18. @see ioctl_nsfs(2) */
const namespaceId = (pid: number, kind: string): bigint | undefined => {
  const fd = openSync(`/proc/${pid}/ns/${kind}`, "r");
  const id = new BigUint64Array(1);
  const result = syscall("ioctl", fd, 0x8008b70d, address(id));
  closeSync(fd);
  return result < 0 ? undefined : id[0];
};

/** Of a process's pidfd, as getino(1) of util-linux prints it. */
const inodeOf = (pid: number): bigint => {
  const pidfd = syscall("pidfd_open", pid, 0);
  const stat = new BigUint64Array(32);
  const empty = new Uint8Array(1);
  syscall("newfstatat", pidfd, address(empty), address(stat), AT.AT_EMPTY_PATH);
  syscall("close", pidfd);
  return stat[1]!;
};
