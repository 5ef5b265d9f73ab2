// The same command line through util-linux's unshare and through nsk's: stdout, and how it ends.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { difference } from "../differences.ts";
import { utilLinux } from "./util-linux.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-unshare-"));
const rootfs = join(scratch, "rootfs");
chmodSync(scratch, 0o755);
beforeAll(() => {
  for (const directory of ["bin", "proc", "work"]) mkdirSync(join(rootfs, directory), { recursive: true });
  const busybox = Bun.which("busybox");
  if (busybox) cpSync(busybox, join(rootfs, "bin/busybox"));
  for (const name of ["sh", "pwd", "ls", "cat"]) symlinkSync("busybox", join(rootfs, "bin", name));
  mkdirSync(join(scratch, "kept"));
  writeFileSync(join(scratch, "subordinate"), "nobody:100000:1000\nroot:200000:1000\n");
  writeFileSync(join(scratch, "not-executable"), "#!/bin/sh\n");
  writeFileSync(join(scratch, "script"), 'echo "$0 $# $1"\n');
  chmodSync(join(scratch, "script"), 0o755);
  symlinkSync("loop", join(scratch, "loop"));
});
afterAll(() => rmSync(scratch, { recursive: true }));

const UNSHARE = "/usr/bin/unshare";
const rootShell = readFileSync("/etc/passwd", "utf8").split("\n")[0]!.split(":")[6]!;

/** One kind a line, and whether it is the host's. */
const KINDS = "user mnt uts ipc net pid pid_for_children cgroup time time_for_children";
const links = (): string => {
  const script = `for k in ${KINDS}; do readlink /proc/self/ns/$k; done`;
  return Bun.spawnSync(["sh", "-c", script]).stdout.toString().trim().replaceAll("\n", " ");
};
const { both, same, live } = utilLinux("unshare", { DIR: scratch }, { HOST: links() });
const NEW = `set -- $HOST; for k in ${KINDS}; do [ "$(readlink /proc/self/ns/$k)" = "$1" ] || echo "new $k"; shift; done`;
const MAPS = "id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups";
const SIGNALS = "grep -E 'Sig(Blk|Ign|Cgt)' /proc/self/status";

describe("namespaces", () => {
  const kinds = { m: "mnt", u: "uts", i: "ipc", n: "net", U: "user", C: "cgroup" };
  for (const [letter, kind] of Object.entries(kinds))
    same(`-${letter}`, { script: NEW }, { status: 0, stdout: `new ${kind}\n` });
  same("-p", { script: "exec readlink /proc/self/ns/pid" });
  same("-pf", { script: NEW }, { stdout: "new pid\nnew pid_for_children\n" });
  same("-T", { script: NEW }, { stdout: "new time\nnew time_for_children\n" });
  same("-muinUCTpf", { script: NEW }, {});
  same("-muin", { script: NEW });
  same("-m --uts", { script: NEW });
  same("", { script: NEW }, { stdout: "" });
  same("-f", { script: NEW }, { stdout: "" });
  same("-n", { script: "cat /proc/net/dev | wc -l" }, { stdout: "3\n" });
  same("-u", { script: "hostname changed && hostname" }, { stdout: "changed\n" });
  same("-pf", { script: "echo $$" }, { stdout: "1\n" });
  same("-C cat /proc/self/cgroup");
  same("-i", { script: "ipcs | grep -c 0x" }, { status: 1 });
});

describe("ids", () => {
  for (const as of [undefined, "plain"] as const) {
    const it = { script: MAPS, ...(as && { as }) };
    same("-U", it);
    same("-r", it, { status: 0, stdout: expect.stringMatching(/^0\n0\n/) as unknown as string });
    same("-Ur", it);
    same("-c", it);
    same("-rc", it);
    same("-cr", it);
    same("-r --map-user=5", it);
    same("--map-user=5 -r", it);
    same("--map-user=5 -c", it);
    same("--map-user=1000", it);
    same("--map-group=1000", it);
    same("--map-user=1000 --map-group=1001", it);
    same("--map-user=daemon --map-group=daemon", it);
    same("--map-user=1 --map-user=2", it);
    same("-U --setgroups=deny", it);
    same("-r --setgroups=allow", it, { status: 1 });
    same("-U --setgroups=allow", it, {});
    same("-rf", it);
  }
  live(`-r --setgroups=deny (${difference("unshare-setgroups")})`, () => {
    const { theirs, ours } = both("-r --setgroups=deny", { script: MAPS });
    expect([theirs.status, ours.status]).toEqual([1, 0]);
    expect(ours.stdout).toEndWith("deny\n");
  });
  live(`an id that is too large (${difference("unshare-large-id")})`, () => {
    for (const line of ["-S 4294967296 id -u", "--map-user=4294967295 true"]) {
      const { theirs, ours } = both(line, {});
      expect([theirs.status, ours.status]).toEqual([0, 1]);
      expect(ours.stderr).toContain("failed to parse uid: '429496729");
    }
  });
  live(`a wrong value and then a right one (${difference("unshare-last-counts")})`, () => {
    for (const line of ["-S x -S 0 true", "--kill-child=FOO --kill-child true"]) {
      const { theirs, ours } = both(line, {});
      expect([theirs.status, ours.status]).toEqual([1, 0]);
    }
  });
  same("-S 1", { script: MAPS });
  same("-G 1", { script: "id -u; id -g; id -G" });
  same("-S 65534 -G 65534", { script: "id -u; id -g; id -G" });
  same("-U -S 5", {}, { status: 1 });
  same("-r -G 0", {}, { status: 1 });
  same("-S 0", { as: "plain" }, {});
  same("-S 5", { as: "plain" }, { status: 1 });
  same("-r -S 0", { script: MAPS, as: "plain" });
});

/** With `KEEP`, a directory of a mount of its own for files of namespaces. On one processor: see tests/strace.test.ts. */
const KEEPING = [
  ...["taskset", "-c", "0", UNSHARE, "-m", "sh", "-c"],
  'mount -t tmpfs tmpfs "$0" && touch "$0"/a "$0"/b "$0"/c "$0"/d "$0"/e && exec "$@"',
  join(scratch, "kept"),
];
/** What runs the tool itself, then a script that looks at what it has left. */
const andThen = (script: string): string[] => [
  ...KEEPING,
  "sh",
  "-c",
  `"$@"; r=$?; ${script.replaceAll("KEEP", join(scratch, "kept"))}; exit $r`,
  "sh",
];

describe("namespaces that stay", () => {
  const inside = andThen("grep -c ' nsfs ' /proc/self/mountinfo");
  same("--uts=DIR/kept/a true", { inside }, { status: 0, stdout: "1\n" });
  same(
    "--uts=DIR/kept/a --ipc=DIR/kept/b --net=DIR/kept/c --cgroup=DIR/kept/d --time=DIR/kept/e true",
    { inside },
    { stdout: "5\n" },
  );
  same("--mount=DIR/kept/a true", { inside }, { stdout: "1\n" });
  same("--mount=DIR/kept/a --uts=DIR/kept/b -f true", { inside }, { stdout: "2\n" });
  same("--pid=DIR/kept/a -f true", { inside }, { stdout: "1\n" });
  same("--pid=DIR/kept/a --mount=DIR/kept/b --fork true", { inside }, { stdout: "2\n" });
  same("--pid=DIR/kept/a true", { inside }, { status: 1 });
  same("--uts=DIR/kept/none true", { inside }, { status: 1 });
  same("--uts=/dev/null/none true", { inside }, { status: 1 });
  same("--uts=DIR/kept/a -u --uts false", { inside }, { status: 1, stdout: "1\n" });
  same("--uts=DIR/kept/a no-such-program", { inside }, { status: 127, stdout: "1\n" });
  same("--uts=DIR/kept/a true", { as: "plain" }, { status: 1 });
  same(
    "--uts=DIR/kept/a hostname kept-name",
    { inside: andThen("nsenter --uts=KEEP/a hostname") },
    { stdout: "kept-name\n" },
  );
  same(
    "--mount=DIR/kept/a --propagation=slave sh -c true",
    { inside: andThen("nsenter --mount=KEEP/a findmnt -no PROPAGATION /") },
    {},
  );
  same(
    "--time=DIR/kept/a --boottime=100000 true",
    { inside: andThen("nsenter --time=KEEP/a cat /proc/self/timens_offsets | tr -s ' '") },
    { stdout: "monotonic 0 0\nboottime 100000 0\n" },
  );
  live(`--user=FILE (${difference("unshare-user-file")})`, () => {
    const { theirs, ours } = both("--user=DIR/kept/a -r true", {
      inside: andThen("nsenter --user=KEEP/a id -u"),
    });
    expect(theirs.status).toBe(1);
    expect([ours.status, ours.stdout]).toEqual([0, "0\n"]);
  });
});

describe("clocks", () => {
  const script = "tr -s ' ' </proc/self/timens_offsets";
  same("-T --boottime 100 --monotonic -5", { script }, { stdout: "monotonic -5 0\nboottime 100 0\n" });
  same("-T --boottime=100", { script }, { stdout: "monotonic 0 0\nboottime 100 0\n" });
  same("-rT --monotonic=3", { script, as: "plain" }, { stdout: "monotonic 3 0\nboottime 0 0\n" });
  same("-Tf --boottime 7", { script }, { stdout: "monotonic 0 0\nboottime 7 0\n" });
  same("--boottime 7 true", {}, { status: 1 });
  same("--monotonic 7 true", {}, { status: 1 });
  same("-T --monotonic x true", {}, { status: 1 });
  same("-T --monotonic -99999999999 true", {}, { status: 1 });
});

describe("capabilities", () => {
  const script = "grep ^Cap /proc/self/status";
  for (const as of [undefined, "plain"] as const) {
    const it = { script, ...(as && { as }) };
    same("-U --keep-caps", it);
    same("-c --keep-caps", it);
    same("-r --keep-caps", it);
    same("--keep-caps", it);
    same("-c", it);
  }
  same("-c --keep-caps -f", { script, as: "plain" });
});

describe("ranges of ids", () => {
  /** A machine whose files give `nobody` and root some ids. */
  const inside = [
    UNSHARE,
    "-m",
    "sh",
    "-c",
    'mount --bind "$0" /etc/subuid; mount --bind "$0" /etc/subgid; exec "$@"',
    join(scratch, "subordinate"),
  ];
  const it = { script: MAPS, inside };
  const plain = { ...it, as: "plain" } as const;
  same("--map-auto", plain);
  same("-r --map-auto", plain, {
    status: 0,
    stdout: expect.stringContaining(" 1     100000        999\n") as unknown as string,
  });
  same("-c --map-auto", plain);
  same("--map-users=auto", plain);
  same("--map-groups=auto", plain);
  same("--map-users=100000,0,10", plain);
  same("--map-users=100000,5,10 --map-groups=100010,7,3", plain);
  same("-r --map-users=100000,1,10 --map-groups=100000,1,10", plain);
  same("--map-user=5 --map-users=100000,0,10 --map-group=3 --map-groups=100000,0,10", plain);
  same("--map-users=x", plain, { status: 1 });
  same("--map-users=1,2", plain, { status: 1 });
  same("--map-auto true", { as: "plain" }, { status: 1 });
  live("what newuidmap refuses, it says itself, and nsk what may be done", () => {
    const { theirs, ours } = both("--map-users=5,0,10 true", plain);
    expect([ours.status, theirs.status]).toEqual([1, 1]);
    expect(ours.stderr).toBe(
      `${theirs.stderr}hint: the ranges must be in /etc/subuid for this user: usermod --add-subuids FIRST-LAST USER\n`,
    );
  });
  live(`root needs no newuidmap (${difference("unshare-ranges-of-root")})`, () => {
    const { theirs, ours } = both("--map-users=7,0,10 --map-groups=7,0,10", { script: MAPS });
    expect(theirs.status).toBe(1);
    expect([ours.status, ours.stdout]).toEqual([0, expect.stringContaining(" 0          7         10\n")]);
    const auto = both("-r --map-auto", it).ours;
    expect([auto.status, auto.stdout]).toEqual([0, expect.stringContaining(" 1     200000        999\n")]);
  });
  live(`a range's end is no part of it (${difference("unshare-hole-behind")})`, () => {
    const { theirs, ours } = both("--map-user=10 --map-users=100000,0,10", plain);
    expect(theirs.stdout).toContain(" 0     100000          9\n");
    expect(ours.stdout).toContain(" 0     100000         10\n");
  });
  live(`several ranges (${difference("unshare-several-ranges")})`, () => {
    const { theirs, ours } = both("--map-users=100000,0,5 --map-users=100010,10,5", plain);
    expect(theirs.stdout).not.toContain(" 0     100000          5\n");
    expect(ours.stdout).toContain(" 0     100000          5\n        10     100010          5\n");
  });
});

describe("mounts", () => {
  const FIND = "findmnt -no PROPAGATION /";
  // It waits, so that its namespace stays.
  const SHARED = [UNSHARE, "-mf", "--propagation=shared"];
  same(`-m ${FIND}`, {}, { stdout: "private\n" });
  same(`-m ${FIND}`, { inside: SHARED }, { stdout: "private\n" });
  same(`-m --propagation=private ${FIND}`, { inside: SHARED }, { stdout: "private\n" });
  same(`-m --propagation=slave ${FIND}`, { inside: SHARED }, { stdout: "private,slave\n" });
  same(`-m --propagation=shared ${FIND}`, {}, { stdout: "shared\n" });
  same(`-m --propagation=unchanged ${FIND}`, { inside: SHARED }, { stdout: "shared\n" });
  same(`--propagation=private ${FIND}`, { inside: SHARED }, { stdout: "shared\n" });
  same("-pf --mount-proc", { script: "echo /proc/[0-9]*" }, { stdout: "/proc/1\n" });
  same("-Urpf --mount-proc", { script: "echo /proc/[0-9]*", as: "plain" }, { stdout: "/proc/1\n" });
  same("-pf --mount-proc=DIR/rootfs/proc", { script: `echo ${scratch}/rootfs/proc/[0-9]*` });
  same("-pf --mount-proc=/no/such", {}, { status: 1 });
  same("--mount-proc", { as: "plain" }, { status: 1 });
  same("-R DIR/rootfs /bin/ls /", {}, { stdout: "bin\nproc\nwork\n" });
  same("-R DIR/rootfs /bin/pwd", {}, { stdout: "/\n" });
  same("-R DIR/rootfs -w /work /bin/pwd", {}, { stdout: "/work\n" });
  same("-mpfR DIR/rootfs --mount-proc /bin/ls -d /proc/1 /proc/self", {}, { status: 0 });
  same("-w /tmp pwd", {}, { stdout: "/tmp\n" });
  same("-w lib pwd", {}, { stdout: "/usr/lib\n" });
  same("pwd", {}, { stdout: "/usr\n" });
  same("-w /no/such pwd", {}, { status: 1 });
  same("-R /no/such pwd", {}, { status: 1 });
  same("-R DIR/script pwd", {}, { status: 1 });
  same("-R DIR/rootfs pwd", { as: "plain" }, { status: 1 });
});

describe("the program", () => {
  const SHOW = "tr '\\0' ' ' </proc/$$/cmdline; echo";
  same("", { stdin: SHOW }, { stdout: "-sh \n" });
  same("-u", { stdin: SHOW }, { stdout: "-sh \n" });
  same("", { stdin: SHOW, env: { SHELL: "/bin/bash" } }, { stdout: "-bash \n" });
  live(`without $SHELL, passwd's (${difference("unshare-passwd-shell")})`, () => {
    const { theirs, ours } = both("", { stdin: "echo $0; exit 3\n", env: { SHELL: undefined } });
    expect([theirs.stdout, theirs.status]).toEqual(["-sh\n", 3]);
    expect([ours.stdout, ours.status]).toEqual([`-${basename(rootShell)}\n`, 3]);
  });
  same("", { stdin: "echo $0\n", env: { SHELL: "" } }, {});
  same("", { env: { SHELL: "/no/such/shell" } }, { status: 127 });
  same("", { env: { SHELL: "sh" } }, { status: 127 });
  same("-- ", { stdin: SHOW }, { stdout: "-sh \n" });
  same("-m ls -la /dev/null", {}, { status: 0 });
  same("-m -- ls -la /dev/null", {}, { status: 0 });
  same("echo -m -- --user", {}, { stdout: "-m -- --user\n" });
  same("-- echo -- -f", {}, { stdout: "-- -f\n" });
  same("--mount --fork echo --fork", {}, { stdout: "--fork\n" });
  same("DIR/script one two", {}, { status: 0 });
  same("-f DIR/script one two", {}, { status: 0 });
  same("no-such-program", {}, { status: 127 });
  same("/no/such/program", {}, { status: 127 });
  same("DIR/not-executable", {}, { status: 126 });
  same("DIR/rootfs", {}, { status: 126 });
  same("DIR/script/x", {}, { status: 126 });
  same("DIR/loop", {}, { status: 126 });
  same("-f no-such-program", {}, { status: 127 });
  same("-f DIR/not-executable", {}, { status: 126 });
  same("true", { env: { PATH: undefined } }, { status: 0 });
  same("true", { env: { PATH: "/no/such" } }, { status: 127 });
  same("true", { env: { PATH: "/etc/passwd:/usr/bin" } }, { status: 0 });
});

describe("how it ends", () => {
  for (const status of [0, 1, 2, 126, 127, 128, 255]) {
    same("", { script: `exit ${status}` }, { status });
    same("-f", { script: `exit ${status}` }, { status });
  }
  for (const signal of ["TERM", "INT", "HUP", "USR1", "PIPE", "SEGV"]) {
    same("-f", { script: `kill -${signal} $$` }, { signal: `SIG${signal}` });
    same("-pf", { script: `ulimit -c 0; sh -c 'kill -${signal} $$'; kill -${signal} $$; exit 9` }, {});
  }
  live(`-f and SIGKILL (${difference("unshare-sigkill")})`, () => {
    const { theirs, ours } = both("-f", { script: "kill -KILL $$" });
    expect([theirs.status, ours.signal]).toEqual([1, "SIGKILL"]);
  });
  same("", { script: "kill -TERM $$" }, { signal: "SIGTERM" });
  same("-f", { script: "kill -TERM $PPID; kill -INT $PPID; exit 3" }, { status: 3 });
  same("-f", { script: "grep SigBlk /proc/$PPID/status" }, { stdout: "SigBlk:\t0000000000004002\n" });
  same("-f", { script: SIGNALS });
  same("-pf --kill-child", { script: SIGNALS });
  same("", { script: SIGNALS });
  same("-f --kill-child", { script: "kill -KILL $PPID; exec sleep 20" }, { signal: "SIGKILL" });
  same(
    "--kill-child=TERM",
    { script: "trap 'echo TERM; exit' TERM; kill -KILL $PPID; while :; do :; done" },
    {},
  );
  same("--kill-child", { script: "exit 6" }, { status: 6 });
  live(`--kill-child=9 (${difference("unshare-signal-number")})`, () => {
    const { theirs, ours } = both("--kill-child=9 true", {});
    expect([theirs.status, ours.status]).toEqual([1, 0]);
  });
  same("--kill-child=SIGINT true");
  same("--kill-child=SIGRTMIN+1 true");
  same("--kill-child=CLD true");
});

describe("the command line", () => {
  same("--moun true", {}, { status: 1 });
  same("--mount-p true", {}, {});
  same("--ut", { script: NEW }, { stdout: "new uts\n" });
  same("--map-r", { script: "id -u" }, { stdout: "0\n" });
  same("--prop=slave true", {});
  same("--kill=TERM true", {});
  same("--se allow true", {}, { status: 1 });
  same("--setg=deny -U true", {}, { status: 1 });
  same("--setgr=deny -U true");
  same("--wd=/tmp pwd", {}, { stdout: "/tmp\n" });
  same("--wd /tmp pwd", {}, { stdout: "/tmp\n" });
  same("-w/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-uw/tmp pwd", {}, { stdout: "/tmp\n" });
  same("-w /tmp -w /usr/lib pwd", {}, { stdout: "/usr/lib\n" });
  same("-x", {}, { status: 1 });
  same("-mx", {}, { status: 1 });
  same("--nope", {}, { status: 1 });
  same("-w", {}, { status: 1 });
  same("--wd", {}, { status: 1 });
  same("--fork=yes", {}, { status: 1 });
  same("--propagation=nope true", {}, { status: 1 });
  same("--setgroups=nope true", {}, { status: 1 });
  same("--kill-child=NOPE true", {}, { status: 1 });
  same("--map-user=no-such-user true", {}, { status: 1 });
  same("--map-group=no-such-group true", {}, { status: 1 });
  same("-S x true", {}, { status: 1 });
  same("-G -1 true", {}, { status: 1 });
  for (const kind of ["m", "u", "i", "n", "p", "C", "T"])
    same(`-${kind} true`, { as: "plain" }, { status: 1 });
});

live(`words of errors are nsk's own (${difference("unshare-messages")})`, () => {
  const { theirs, ours } = both("-m true", { as: "plain" });
  expect(theirs.stderr).toBe("unshare: unshare failed: Operation not permitted\n");
  expect(ours.stderr).toBe(
    "nsk unshare: unshare failed: Operation not permitted\nhint: only root may do this; a plain user adds --user --map-root-user (-Ur)\n",
  );
});
