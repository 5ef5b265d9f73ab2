// The same command line through util-linux's unshare and through nsk's: stdout, and how it ends.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
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
import { needs } from "../support/needs.ts";
import { nsk, type Ran } from "../support/nsk.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-unshare-"));
const rootfs = join(scratch, "rootfs");
chmodSync(scratch, 0o755);
beforeAll(() => {
  for (const directory of ["bin", "proc", "work"]) mkdirSync(join(rootfs, directory), { recursive: true });
  const busybox = Bun.which("busybox");
  if (busybox) cpSync(busybox, join(rootfs, "bin/busybox"));
  for (const name of ["sh", "pwd", "ls", "cat"]) symlinkSync("busybox", join(rootfs, "bin", name));
  writeFileSync(join(scratch, "not-executable"), "#!/bin/sh\n");
  writeFileSync(join(scratch, "script"), 'echo "$0 $# $1"\n');
  chmodSync(join(scratch, "script"), 0o755);
  symlinkSync("loop", join(scratch, "loop"));
});
afterAll(() => rmSync(scratch, { recursive: true }));

const UNSHARE = "/usr/bin/unshare";
const rootShell = readFileSync("/etc/passwd", "utf8").split("\n")[0]!.split(":")[6]!;
const reason = needs("root", "busybox", "setpriv", UNSHARE);

interface Case {
  /** A shell script that is the program: `sh -c SCRIPT` behind the options. */
  readonly script?: string;
  /** Who starts it, root unless given. */
  readonly as?: "plain";
  /** What stands before the tool, e.g. another namespace. */
  readonly inside?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
}

const PLAIN = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

const run = (tool: readonly string[], line: string, it: Case): Ran => {
  const options = line
    .split(" ")
    .filter(Boolean)
    .map((word) => word.replace("DIR", scratch));
  const words = [
    ...(it.inside ?? []),
    ...(it.as ? PLAIN : []),
    ...tool,
    ...options,
    ...(it.script === undefined ? [] : ["sh", "-c", it.script]),
  ];
  const env = { PATH: "/usr/bin:/bin:/usr/sbin", LC_ALL: "C", SHELL: "/bin/sh", HOST: hostLinks, ...it.env };
  const ran = Bun.spawnSync(words, {
    stdin: Buffer.from(it.stdin ?? ""),
    stdout: "pipe",
    stderr: "pipe",
    env: env as Record<string, string>,
    cwd: "/usr",
  });
  return {
    status: ran.exitCode,
    signal: ran.signalCode as string | undefined,
    stdout: ran.stdout.toString(),
    stderr: ran.stderr.toString(),
  };
};

const both = (line: string, it: Case): { theirs: Ran; ours: Ran } => ({
  theirs: run([UNSHARE], line, it),
  ours: run([nsk, "unshare"], line, it),
});

const live = (title: string, check: () => void): void =>
  reason ? test.skip(`${title} (${reason})`, check) : test(title, check);

const titleOf = (line: string, it: Case): string =>
  [
    it.as ? "$" : "#",
    ...(it.inside ? ["…"] : []),
    `unshare ${line}`,
    it.script ? `sh -c '${it.script.replace(/\s+/g, " ").slice(0, 70)}'` : "",
    it.env ? JSON.stringify(it.env) : "",
  ]
    .filter(Boolean)
    .join(" ");

/** The same on both sides; `expected` is a part of it that must be so, lest both fail for one reason. */
const same = (line: string, it: Case = {}, expected: Partial<Ran> = { status: 0 }): void =>
  live(titleOf(line, it), () => {
    const { theirs, ours } = both(line, it);
    expect({ ...ours, stderr: "" }).toEqual({ ...theirs, stderr: "" });
    expect(ours).toMatchObject(expected);
    expect(ours.stderr === "").toBe(theirs.stderr === "");
    if (ours.stderr === "" || (ours.status !== 1 && ours.status !== 126 && ours.status !== 127)) return;
    const [first, second, ...rest] = ours.stderr.split("\n");
    expect(first).toStartWith("nsk unshare: ");
    if (second) expect(second).toMatch(/^hint: /);
    expect(rest.filter(Boolean)).toEqual([]);
  });

/** One kind a line, and whether it is the host's. */
const KINDS = "user mnt uts ipc net pid pid_for_children cgroup time time_for_children";
const links = (): string => {
  const script = `for k in ${KINDS}; do readlink /proc/self/ns/$k; done`;
  return Bun.spawnSync(["sh", "-c", script]).stdout.toString().trim().replaceAll("\n", " ");
};
const hostLinks = links();
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
  same("-S 1", { script: MAPS });
  same("-G 1", { script: "id -u; id -g; id -G" });
  same("-S 65534 -G 65534", { script: "id -u; id -g; id -G" });
  same("-U -S 5", {}, { status: 1 });
  same("-r -G 0", {}, { status: 1 });
  same("-S 0", { as: "plain" }, {});
  same("-S 5", { as: "plain" }, { status: 1 });
  same("-r -S 0", { script: MAPS, as: "plain" });
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
  same("-pf --mount-proc", { script: "ps -e -o pid= | wc -l" }, {});
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
