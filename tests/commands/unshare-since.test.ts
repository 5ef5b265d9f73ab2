// Options of unshare that are younger than util-linux 2.38: what the manual of 2.42 says of each.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";
import { holdOpen } from "./targets.ts";
import { PLAIN } from "./util-linux.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-since-"));
const kept = join(scratch, "kept");
const subordinate = join(scratch, "subordinate");
beforeAll(() => {
  chmodSync(scratch, 0o755);
  mkdirSync(kept);
  mkdirSync(join(scratch, "root"));
  writeFileSync(subordinate, "nobody:100000:1000\n65534:5:5\n");
});
afterAll(() => rmSync(scratch, { recursive: true }));

const live = testNeeding("root", "setpriv", "taskset", "newuidmap", "/usr/bin/unshare", "/usr/bin/nsenter");
const env = { PATH: "/usr/bin:/bin:/usr/sbin", SHELL: "/bin/sh" };
const run = (...words: readonly string[]): Ran => runCommand(words, env, "alone");
const ours = (line: string, script?: string): Ran =>
  run(
    nsk,
    "unshare",
    ...line.split(" ").filter(Boolean),
    ...(script === undefined ? [] : ["sh", "-c", script]),
  );
/** In a mount namespace where the plain user has ids of its own. */
const withIds = (...words: readonly string[]): Ran =>
  run(
    ...[
      "unshare",
      "-m",
      "sh",
      "-c",
      'mount --bind "$0" /etc/subuid; mount --bind "$0" /etc/subgid; exec "$@"',
    ],
    subordinate,
    ...words,
  );
/** In a mount namespace with a directory for files of namespaces. On one processor: see tests/strace.test.ts. */
const withFiles = (...words: readonly string[]): Ran =>
  run(
    ...["taskset", "-c", "0", "unshare", "-m", "sh", "-c"],
    'mount -t tmpfs tmpfs "$0" && touch "$0"/a "$0"/b "$0"/c && exec "$@"',
    kept,
    ...words,
  );
const map = (ran: Ran): string[] => [
  ran.stderr,
  ...ran.stdout
    .trim()
    .split("\n")
    .map((line) => line.trim().replace(/ +/g, " ")),
];
const MAP = "cat /proc/self/uid_map";

describe("--map-users and --map-groups", () => {
  live("inner:outer:count, as in uid_map", () => {
    expect(map(ours("--map-users=0:100000:65536", MAP))).toEqual(["", "0 100000 65536"]);
    // All ids that there are, as the first user namespace has them.
    expect(map(ours("--map-users=0:0:4294967295", MAP))).toEqual(["", "0 0 4294967295"]);
    expect(map(ours("--map-groups=7:100000:3", "cat /proc/self/gid_map"))).toEqual(["", "7 100000 3"]);
  });
  live("outer,inner,count, as it was before 2.39", () => {
    expect(map(ours("--map-users=100000,0,65536", MAP))).toEqual(["", "0 100000 65536"]);
  });
  live("multiple times, to map more than one block", () => {
    const ran = ours("--map-users=0:100000:10 --map-users=10:200000:5 --map-users=20:0:1", MAP);
    expect(map(ran)).toEqual(["", "0 100000 10", "10 200000 5", "20 0 1"]);
  });
  live("with -r a hole in every block", () => {
    expect(map(ours("-r --map-users=0:100000:10 --map-users=20:0:5", MAP))).toEqual([
      "",
      "0 0 1",
      "1 100000 9",
      "20 1 4",
    ]);
  });
  live("all: every id available in the parent namespace, passed through", () => {
    expect(map(ours("--map-users=all --map-groups=all", `${MAP}; id -u; id -g`))).toEqual([
      "",
      "0 0 4294967295",
      "0",
      "0",
    ]);
    const nested = run(
      ...[nsk, "unshare", "-r", "--map-users=1:100000:5", "--map-users=9:200000:2", "--map-groups=all"],
      ...[nsk, "unshare", "--map-users=all", "sh", "-c", MAP],
    );
    expect(map(nested)).toEqual(["", "0 0 1", "1 1 5", "9 9 2"]);
  });
  live("subids: the user's block of /etc/subuid, mapped to itself", () => {
    const ran = withIds(...PLAIN, nsk, "unshare", "--map-users=subids", "sh", "-c", MAP);
    expect(map(ran)).toEqual(["", "100000 100000 1000"]);
    const both = withIds(...PLAIN, nsk, "unshare", "-c", "--map-subids", "sh", "-c", `${MAP}; id -u`);
    expect(map(both)).toEqual(["", "65534 65534 1", "100000 100000 1000", "65534"]);
  });
  live("a plain user without a block is told how to get one", () => {
    const ran = run(...PLAIN, nsk, "unshare", "--map-auto", "true");
    expect([ran.status, ran.stderr]).toEqual([
      1,
      "nsk unshare: /etc/subuid has no range for nobody\nhint: give one: usermod --add-subuids 100000-165535 nobody\n",
    ]);
  });
  live("a machine without newuidmap, or with one that has no privilege", () => {
    const line = [...PLAIN, nsk, "unshare", "--map-auto", "true"];
    const without = withIds(
      "sh",
      "-c",
      'mount --bind /dev/null /usr/bin/newuidmap; exec "$@"',
      "sh",
      ...line,
    );
    expect(without.stderr).toBe(
      "nsk unshare: execute newuidmap failed: Permission denied\nhint: newuidmap may not be executed by this user\n",
    );
    const copy =
      'cp /usr/bin/newuidmap "$0"/newuidmap; mount --bind "$0"/newuidmap /usr/bin/newuidmap; exec "$@"';
    const powerless = withIds("sh", "-c", copy, scratch, ...line);
    expect(powerless.status).toBe(1);
    expect(powerless.stderr).toEndWith(
      "hint: /usr/bin/newuidmap is not set-user-ID root, and needs that or file capabilities: reinstall the package uidmap\n",
    );
    const elsewhere = withIds(
      "sh",
      "-c",
      'mount -t tmpfs tmpfs /usr/local; PATH=/usr/local exec /usr/bin/"$@"',
      "sh",
      ...line.slice(0, -1),
      "/bin/true",
    );
    expect(elsewhere.status).toBe(0); // PATH does not lead to it, and it is where distributions have it
  });
});

describe("--owner", () => {
  live("who may enter the namespace, and has mapped what only root may", () => {
    const script = `"$0" unshare --user=${kept}/a --mount=${kept}/b --owner=65534:65534 -r --map-users=1:100000:9 true || exit
      setpriv --reuid=65534 --regid=65534 --clear-groups nsenter --user=${kept}/a --preserve-credentials cat /proc/self/uid_map
      setpriv --reuid=1 --regid=1 --clear-groups nsenter --user=${kept}/a true 2>/dev/null || echo not for others`;
    expect(map(withFiles("sh", "-c", script, nsk))).toEqual(["", "0 0 1", "1 100000 9", "not for others"]);
  });
  live("the program is who called, where it is mapped", () => {
    expect(ours("--owner=65534:65534 -r", "id -u; id -g").stdout).toBe("0\n0\n");
    // Not through a shell, which may take its real ids for the effective ones.
    const line = "--owner=65534:65534 --map-users=all --map-groups=all grep -E ^(Uid|Gid) /proc/self/status";
    expect(ours(line).stdout).toBe("Uid:\t0\t65534\t65534\t65534\nGid:\t0\t65534\t65534\t65534\n");
  });
  live("with clocks and setgroups, which the process itself could not write any more", () => {
    const clocks = "tr -s ' ' </proc/self/timens_offsets";
    expect(map(ours("--owner=65534:65534 -T --boottime=5", clocks))).toEqual([
      "",
      "monotonic 0 0",
      "boottime 5 0",
    ]);
    expect(map(ours("--owner=65534:65534 --setgroups=deny", "cat /proc/self/setgroups"))).toEqual([
      "",
      "deny",
    ]);
    expect(map(ours("--owner=65534:65534 -rpf --mount-proc --kill-child", "id -u; echo $$"))).toEqual([
      "",
      "0",
      "1",
    ]);
  });
  live("it is for root", () => {
    const ran = run(...PLAIN, nsk, "unshare", "--owner=1:1", "true");
    expect([ran.status, ran.stderr]).toEqual([
      1,
      "nsk unshare: setresgid failed: Operation not permitted\nhint: --owner is for root\n",
    ]);
  });
});

describe("--keep-caps", () => {
  live("outlives a change of the user", () => {
    const ran = ours(
      "-U --map-users=all --map-groups=all --keep-caps -S 1",
      "grep CapEff /proc/self/status; id -u",
    );
    expect([ran.stderr, ran.stdout]).toEqual([
      "",
      expect.stringMatching(/^CapEff:\t0*[1-9a-f][0-9a-f]*\n1\n$/),
    ]);
    expect(ours("-U --map-users=all --map-groups=all -S 1", "grep CapEff /proc/self/status").stdout).toBe(
      "CapEff:\t0000000000000000\n",
    );
  });
});

describe("--forward-signals", () => {
  const script = (signal: string): string =>
    `trap 'echo came; exit 7' ${signal}; kill -${signal} $PPID; while :; do sleep 0.01; done`;
  for (const signal of ["TERM", "INT"])
    live(`SIG${signal} reaches the child`, () => {
      const ran = ours("--forward-signals", script(signal));
      expect([ran.status, ran.stdout]).toEqual([7, "came\n"]);
    });
  live("it implies --fork, and ends as the child does", () => {
    expect(ours("--forward-signals", "kill -HUP $$").signal).toBe("SIGHUP");
    expect(ours("--forward-signals", "exit 5").status).toBe(5);
    expect(ours("-p --forward-signals", "echo $$").stdout).toBe("1\n");
  });
  live("the child has the caller's signal mask", () => {
    expect(ours("--forward-signals", "grep SigBlk /proc/self/status").stdout).toBe(
      runCommand(["sh", "-c", "grep SigBlk /proc/self/status"], env, "alone").stdout,
    );
  });
  live("a child that stops, stops it too", async () => {
    const child = Bun.spawn([nsk, "unshare", "--forward-signals", "sh", "-c", "kill -STOP $$; exit 3"], {
      env,
    });
    while (!/\) T/.test(readFileSync(`/proc/${child.pid}/stat`, "utf8"))) await Bun.sleep(2);
    process.kill(child.pid, "SIGCONT");
    expect(await child.exited).toBe(3);
  });
});

describe("--mount-binfmt and --load-interp", () => {
  const { binfmt } = {
    binfmt: Bun.spawnSync(["grep", "-c", "binfmt_misc", "/proc/filesystems"]).exitCode === 0,
  };
  const mounted = (title: string, check: () => void): void =>
    live(title, () => (binfmt ? check() : undefined));
  mounted("mounts binfmt_misc in a new user and mount namespace", () => {
    const ran = ours("--mount-binfmt", "ls /proc/sys/fs/binfmt_misc; readlink /proc/self/ns/user");
    expect(ran.stdout).toStartWith("register\nstatus\nuser:[");
    expect(ran.stdout).not.toContain(runCommand(["readlink", "/proc/self/ns/user"]).stdout);
  });
  mounted("on another directory", () => {
    expect(ours(`--mount-binfmt=${scratch}/root`, `ls ${scratch}/root`).stdout).toBe("register\nstatus\n");
    expect(runCommand(["ls", `${scratch}/root`]).stdout).toBe("");
  });
  mounted("loads a definition, which the kernel obeys inside alone", () => {
    writeFileSync(join(scratch, "program.nsk"), "what cat prints\n", { mode: 0o755 });
    const ran = ours(
      "-r -l :nsk-test:E::nsk::/bin/cat:",
      `ls /proc/sys/fs/binfmt_misc; ${scratch}/program.nsk`,
    );
    expect([ran.stderr, ran.stdout]).toEqual(["", "nsk-test\nregister\nstatus\nwhat cat prints\n"]);
    expect(runCommand(["cat", "/proc/sys/fs/binfmt_misc/nsk-test"]).status).not.toBe(0);
  });
  mounted("with a root directory the interpreter is the caller's", () => {
    const ran = ours("-r -l :nsk-test:E::nsk::/bin/cat:F -R /", "ls /proc/sys/fs/binfmt_misc");
    expect([ran.stderr, ran.stdout]).toEqual(["", "nsk-test\nregister\nstatus\n"]);
  });
  mounted("a definition that is none", () => {
    const ran = ours("-r -l nonsense true");
    expect([ran.status, ran.stderr]).toEqual([
      1,
      "nsk unshare: register the interpreter failed: Invalid argument\nhint: it is written :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS\n",
    ]);
  });
});

describe("the environment", () => {
  const given = { ...env, A: "1", B: "two words" };
  const printed = (...words: readonly string[]): string[] =>
    runCommand([nsk, "unshare", ...words, "env"], given, "alone")
      .stdout.split("\n")
      .filter(Boolean);
  live("--clear-env: none of it is passed", () => expect(printed("--clear-env")).toEqual([]));
  live("--whitelist-env: what the list names", () => {
    expect(printed("--whitelist-env=B,NO,A")).toEqual(["B=two words", "A=1"]);
    expect(printed("--clear-env", "--whitelist-env", "PATH")).toEqual([`PATH=${env.PATH}`]);
  });
});

describe("mounts stay inside", () => {
  live("--mount-proc with a propagation that would show them outside", () => {
    const script = `"$0" unshare -pf --mount-proc --propagation=$1 true; grep -c ' /proc ' /proc/self/mountinfo`;
    const count = (propagation: string): string =>
      run("unshare", "-m", "--propagation=shared", "sh", "-c", script, nsk, propagation).stdout;
    const before = run("sh", "-c", "grep -c ' /proc ' /proc/self/mountinfo").stdout;
    for (const propagation of ["unchanged", "shared", "slave", "private"])
      expect(count(propagation)).toBe(before);
  });
});

describe("emitted", () => {
  const emitted = (line: string, ...words: readonly string[]): string => {
    const file = join(scratch, `emitted-${files++}`);
    const ran = run(nsk, "unshare", "--emit", file, ...line.split(" ").filter(Boolean), ...words);
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    return file;
  };
  let files = 0;
  live("what it cannot know ahead: its own id, for the helper", () => {
    const file = emitted("-r --map-users=1:100000:9 --map-groups=1:100000:9", "sh", "-c", MAP);
    for (let i = 0; i < 3; i++) expect(map(run(file))).toEqual(["", "0 0 1", "1 100000 9"]);
  });
  live("namespaces that stay", () => {
    const file = emitted(`--mount=${kept}/a --uts=${kept}/b --pid=${kept}/c -f`, "hostname", "emitted");
    const ran = withFiles(
      "sh",
      "-c",
      `"$0" && nsenter --uts=${kept}/b hostname; grep -c ' nsfs ' /proc/self/mountinfo`,
      file,
    );
    expect([ran.stderr, ran.stdout]).toEqual(["", "emitted\n3\n"]);
  });
  live("a plain user's ranges", () => {
    const file = join(scratch, "emitted-plain");
    const words = ["unshare", "-r", "--map-auto", "--emit", file, "sh", "-c", MAP];
    chmodSync(scratch, 0o777);
    const made = withIds(...PLAIN, nsk, ...words);
    expect([made.status, made.stderr]).toEqual([0, ""]);
    expect(map(withIds(...PLAIN, file))).toEqual(["", "0 65534 1", "1 100000 999"]);
  });
  live("nsenter", async () => {
    const target = await holdOpen(["-muinpUCT", "-r", "-f"]);
    try {
      const file = join(scratch, "emitted-nsenter");
      const words = [
        "nsenter",
        "-t",
        String(target.pid),
        "-a",
        "-S",
        "follow",
        "--emit",
        file,
        "sh",
        "-c",
        "id -u; readlink /proc/self/ns/uts",
      ];
      expect(run(nsk, ...words).status).toBe(0);
      expect(run(file).stdout).toBe(`0\n${runCommand(["readlink", `/proc/${target.pid}/ns/uts`]).stdout}`);
    } finally {
      await target.end();
    }
    // And where it has ended:
    expect(run(join(scratch, "emitted-nsenter")).stderr).toContain("failed: No such process");
  });
});
