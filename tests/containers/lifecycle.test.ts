// How a container ends, in all the ways there are, and that nothing of it stays: no process, no group, no mount, no
// file.

import { afterAll, describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";
import { containerIds, nothing, remainsOf, startContainer, stateOf, until } from "./containers.ts";

const live = testNeeding("root");

const scratch = mkdtempSync(join(tmpdir(), "nsk-lifecycle-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const sh = (script: string): string[] => ["sh", "-c", `echo $HOSTNAME; ${script}`];
const LIMITS = [
  "--cpus",
  "0.5",
  "--memory",
  "64m",
  "--pids-limit",
  "50",
  "--cpuset-cpus",
  "0",
  "--cpu-shares",
  "512",
];

/** Once its supervisor has ended, all is gone: nothing is waited for. */
const expectNothing = (id: string): void => expect(remainsOf(id)).toEqual(nothing);

const newSince = (before: ReadonlySet<string>): string[] =>
  [...containerIds()].filter((id) => !before.has(id));

/** Those of other tests that run beside this one end some time; what is half-made would stay. */
const expectGone = (ids: readonly string[]): Promise<void> =>
  until(`${ids.join(", ")} are gone`, () => ids.every((id) => !containerIds().has(id)));

const REST = "sleep 1000";
/** Answers each line, so that a test sees it live. */
const ECHO = "while read line; do echo $line; done";

describe("by itself", () => {
  const rows: readonly [title: string, script: string, status: number][] = [
    ["well", "true", 0],
    ["with a status", "exit 3", 3],
    ["killed from inside", "exec 2>/dev/null; sh -c 'kill -KILL $$'", 137],
    ["with a program still running", `${REST} & exit 0`, 0],
    [
      "with a daemon that has left its session and ignores all",
      "(trap '' HUP TERM INT; setsid sleep 1000 &); exit 4",
      4,
    ],
    ["with daemons of other users", "setpriv --reuid 65534 --clear-groups setsid sleep 1000 & exit 5", 5],
    ["with orphans and zombies", "for i in 1 2 3; do (sleep 1000 & (exit 1) &) ; done; exit 6", 6],
  ];
  for (const [title, script, status] of rows)
    for (const options of [[], LIMITS])
      live(`${title}${options.length ? ", with limits" : ""}`, async () => {
        const { id, exited } = await startContainer(sh(script), options);
        expect(await exited).toBe(status);
        expectNothing(id);
      });
  live("the statuses are docker's", () => {
    const statusOf = (...words: string[]) => runNsk("run", ...words).status;
    expect(statusOf("--", "nsk-no-such-program")).toBe(127);
    expect(statusOf("--", "/nsk/no/such/program")).toBe(127);
    expect(statusOf("--", "/etc/passwd")).toBe(126);
    expect(statusOf("--", "/etc")).toBe(126);
    expect(statusOf("-v", "/nsk-no-such:/x", "--", "true")).toBe(125);
    expect(statusOf("--", "sh", "-c", "exit 125")).toBe(125);
  });
});

describe("by a signal to its first process, from outside", () => {
  for (const options of [[], LIMITS])
    live(`SIGKILL${options.length ? ", with limits" : ""}`, async () => {
      const it = await startContainer(sh(`${REST} & ${REST}`), options);
      process.kill(it.first, "SIGKILL");
      expect(await it.exited).toBe(137);
      expectNothing(it.id);
    });
  live("one that it has a handler for", async () => {
    const it = await startContainer(sh(`trap 'exit 8' TERM; echo ready; ${ECHO}`));
    expect(await it.line()).toBe("ready");
    process.kill(it.first, "SIGTERM");
    it.say("a line, for a shell runs its trap between two commands");
    expect(await it.exited).toBe(8);
    expectNothing(it.id);
  });
});

describe("signals to its supervisor", () => {
  for (const signal of ["INT", "TERM", "QUIT", "USR1", "USR2", "ALRM", "WINCH"] as const)
    live(`SIG${signal} is the program's${signal === "WINCH" ? " only with a terminal" : ""}`, async () => {
      const it = await startContainer(sh(`trap 'echo got; exit 9' ${signal}; echo ready; ${ECHO}; exit 1`));
      expect(await it.line()).toBe("ready");
      process.kill(it.supervisor, `SIG${signal}`);
      if (signal === "WINCH") {
        it.say("still here");
        expect(await it.line()).toBe("still here");
        process.kill(it.supervisor, "SIGHUP");
        expect(await it.exited).toBe(137);
      } else {
        it.say("a line, for a shell runs its trap between two commands");
        expect(["got", "a line, for a shell runs its trap between two commands"]).toContain(await it.line());
        expect(await it.exited).toBe(9);
      }
      expectNothing(it.id);
    });
  for (const signal of ["INT", "TERM", "QUIT"] as const)
    live(`SIG${signal} to a program that takes no notice: the third one kills it`, async () => {
      const it = await startContainer(
        sh(`trap '' HUP INT TERM QUIT; (${REST} &); echo ready; ${ECHO}`),
        LIMITS,
      );
      expect(await it.line()).toBe("ready");
      for (const answer of ["one", "two"]) {
        process.kill(it.supervisor, `SIG${signal}`);
        // Two of the same that come together are one: each is taken before the next is sent.
        await until("the signal is taken", () => pending(it.supervisor) === 0n);
        it.say(answer);
        expect(await it.line()).toBe(answer);
      }
      process.kill(it.supervisor, `SIG${signal}`);
      expect(await it.exited).toBe(137);
      expectNothing(it.id);
    });
  live("SIGHUP ends a program that ignores it", async () => {
    const it = await startContainer(sh(`trap '' HUP; ${REST} & ${ECHO}`), LIMITS);
    process.kill(it.supervisor, "SIGHUP");
    expect(await it.exited).toBe(137);
    expectNothing(it.id);
  });
  const ignored: readonly [title: string, signal: NodeJS.Signals, before: readonly string[]][] = [
    ["nohup: SIGHUP is nothing", "SIGHUP", ["sh", "-c", `trap '' HUP; exec "$@"`, "sh"]],
    [
      "a background job of a script: SIGINT is nothing",
      "SIGINT",
      ["sh", "-c", `trap '' INT QUIT; exec "$@"`, "sh"],
    ],
  ];
  for (const [title, signal, before] of ignored)
    live(title, async () => {
      const it = await startContainer(sh(ECHO), [], before);
      for (let i = 0; i < 4; i++) {
        process.kill(it.supervisor, signal);
        await until("the signal is taken", () => pending(it.supervisor) === 0n);
        it.say(`${i}`);
        expect(await it.line()).toBe(`${i}`);
      }
      process.kill(it.first, "SIGKILL");
      expect(await it.exited).toBe(137);
      expectNothing(it.id);
    });
  testNeeding("root", "perl")("a caller that ignores SIGCHLD gets the status", async () => {
    const it = await startContainer(sh("exit 7"), [], ["perl", "-e", '$SIG{CHLD} = "IGNORE"; exec @ARGV']);
    expect(await it.exited).toBe(7);
    expectNothing(it.id);
  });
  live("SIGTSTP stops it and its first process, SIGCONT lets both go on", async () => {
    const it = await startContainer(sh(ECHO));
    process.kill(it.supervisor, "SIGTSTP");
    await until("both are stopped", () => [it.supervisor, it.first].every((pid) => stateOf(pid) === "T"));
    process.kill(it.supervisor, "SIGCONT");
    it.say("on");
    expect(await it.line()).toBe("on");
    process.kill(it.supervisor, "SIGHUP");
    expect(await it.exited).toBe(137);
    expectNothing(it.id);
  });
});

/** Signals that wait to be read. @see proc_pid_status(5) */
const pending = (pid: number): bigint => {
  const status = runCommand(["grep", "-h", "Pnd", `/proc/${pid}/status`]).stdout;
  return [...status.matchAll(/\t([0-9a-f]+)/g)].reduce((all, [, mask]) => all | BigInt(`0x${mask}`), 0n);
};

describe("a supervisor that is killed", () => {
  /** Changes its user as the container's first process, and so loses the signal for its supervisor's death. */
  const changed = (script: string): string[] => [
    "setpriv",
    "--reuid",
    "65534",
    "--clear-groups",
    ...sh(script),
  ];

  for (const [title, options] of [
    ["", []],
    [", with limits", LIMITS],
  ] as const) {
    live(`takes the container with it; the next run removes the rest${title}`, async () => {
      const it = await startContainer(sh(`(trap '' TERM; ${REST}) & ${REST}`), options);
      expect(remainsOf(it.id).record).toBe(true);
      process.kill(it.supervisor, "SIGKILL");
      await it.exited;
      await until("its processes have ended", () => remainsOf(it.id).processes.length === 0);
      expect(runNsk("run", "true").status).toBe(0);
      expectNothing(it.id);
    });
    testNeeding("root", "setpriv")(
      `leaves one that has changed its user; the next run ends it${title}`,
      async () => {
        const it = await startContainer(changed(`trap '' HUP TERM INT; ${REST} & ${REST}`), options);
        process.kill(it.supervisor, "SIGKILL");
        await it.exited;
        // Unless another test's run has found it already.
        await until("it sleeps on", () => ["S", undefined].includes(stateOf(it.first)));
        expect(runNsk("run", "true").status).toBe(0);
        expectNothing(it.id);
      },
    );
  }
  live("and others that live are left alone by the next run", async () => {
    const dead = await startContainer(sh(REST), LIMITS);
    const alive = await startContainer(sh(ECHO), LIMITS);
    process.kill(dead.supervisor, "SIGKILL");
    await dead.exited;
    expect(runNsk("run", "true").status).toBe(0);
    expectNothing(dead.id);
    alive.say("still here");
    expect(await alive.line()).toBe("still here");
    expect(remainsOf(alive.id)).toMatchObject({ record: true, mounts: [] });
    expect(remainsOf(alive.id).groups.length).toBeGreaterThan(0);
    process.kill(alive.supervisor, "SIGHUP");
    await alive.exited;
    expectNothing(alive.id);
  });
  live("a record whose process id is somebody else's by now ends nobody", async () => {
    const other = Bun.spawn(["sleep", "1000"]);
    const id = "0123456789ab";
    try {
      const line = await Bun.file(`/proc/${other.pid}/stat`).text();
      // The same process id, started at another time.
      const fields = line.split(" ");
      fields[21] = String(Number(fields[21]) - 1);
      writeFileSync(`/run/nsk/${id}`, fields.join(" "));
      expect(runNsk("run", "true").status).toBe(0);
      expect(stateOf(other.pid)).toBe("S");
      expectNothing(id);
    } finally {
      other.kill();
      await other.exited;
    }
  });
  live("files that are no records stay", () => {
    const path = join("/run/nsk", `note-${process.pid}`);
    writeFileSync(path, "/sys/fs/cgroup/nowhere\n");
    try {
      expect(runNsk("run", "true").status).toBe(0);
      expect(readdirSync("/run/nsk")).toContain(`note-${process.pid}`);
    } finally {
      rmSync(path);
    }
  });
});

describe("nothing half-made stays", () => {
  const root = join(scratch, "rootfs");
  mkdirSync(root);
  const readonly = join(scratch, "readonly");
  mkdirSync(readonly);
  const rows: readonly [title: string, words: readonly string[], status: number, line: RegExp][] = [
    [
      "a volume that is not there",
      ["-v", "/nsk-no-such:/x", "--", "true"],
      125,
      /^nsk run: bind \/nsk-no-such failed/,
    ],
    ["a program that is not there", ["--", "nsk-no-such"], 127, /^nsk run: execute nsk-no-such failed/],
    ["a file that is no program", ["--", "/etc/passwd"], 126, /^nsk run: execute \/etc\/passwd failed/],
    ["an empty root", ["--rootfs", root, "--", "/bin/true"], 127, /^nsk run: execute \/bin\/true failed/],
    ["a working directory that is a file", ["-w", "/etc/passwd", "--", "true"], 125, /^nsk run: /],
    ["a volume on something in a file", ["-v", "/etc:/etc/passwd/x", "--", "true"], 125, /^nsk run: /],
    ["processors that are not there", ["--cpuset-cpus", "4000", "--", "true"], 125, /^nsk run: /],
    [
      "a working directory to be made in a read-only root",
      ["--read-only", "-w", "/nsk/no/such", "--", "true"],
      125,
      /^nsk run: /,
    ],
  ];
  for (const [title, words, status, line] of rows)
    live(title, async () => {
      const before = containerIds();
      const ran = runNsk("run", ...LIMITS.filter((_, i) => i < 6), ...words);
      const left = newSince(before);
      expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status, stdout: "" });
      expect(ran.stderr).toMatch(line);
      expect(ran.stderr.trimEnd().split("\n").length).toBeLessThanOrEqual(2);
      await expectGone(left);
    });
  live("a root on a full disk", async () => {
    const script = `mount -t tmpfs -o size=4k,nr_inodes=3 tmpfs "$2" && mkdir "$2/root" && (cat /dev/zero >"$2/full" 2>/dev/null; true)
      "$1" run --cpus 1 --rootfs "$2/root" -- /bin/true; echo $?; ls "$2/root"; ls "$2"`;
    const target = join(scratch, "full");
    mkdirSync(target);
    const before = containerIds();
    const ran = runCommand(["unshare", "-m", "sh", "-c", script, "sh", nsk, target]);
    expect(ran.stdout).toBe("125\nfull\nroot\n");
    expect(ran.stderr).toMatch(/^nsk run: make the directory \/\w+ failed: No space left on device\n$/);
    await expectGone(newSince(before));
  });
  live("a root that has all it needs is left as it was", () => {
    for (const name of ["proc", "dev", "sys", "bin", "lib", "lib64", "usr", "tmp"])
      mkdirSync(join(readonly, name));
    const list = () => runCommand(["ls", "-laR", "--time-style=full-iso", readonly]).stdout;
    const before = list();
    const volumes = ["/bin:/bin:ro", "/lib:/lib:ro", "/lib64:/lib64:ro", "/usr:/usr:ro"].flatMap((it) => [
      "-v",
      it,
    ]);
    const ran = runNsk(
      "run",
      "--rootfs",
      readonly,
      ...volumes,
      "-w",
      "/tmp",
      "--",
      "/bin/sh",
      "-c",
      "echo $PWD; touch /dev/x /dev/shm/y",
    );
    expect(ran).toMatchObject({ status: 0, stdout: "/tmp\n", stderr: "" });
    expect(list()).toBe(before);
  });
});

describe("at any moment of its start", () => {
  // Not a measurement: whichever moment is hit, nothing may stay.
  const moments = Array.from({ length: 24 }, (_, i) => i * 1.5);
  const interrupt = async (signal: NodeJS.Signals): Promise<string[]> => {
    const before = containerIds();
    for (const moment of moments) {
      const child = Bun.spawn([nsk, "run", ...LIMITS, "--", "sleep", "1000"], {
        stdio: ["ignore", "ignore", "inherit"],
      });
      await Bun.sleep(moment);
      child.kill(signal);
      await child.exited;
    }
    return newSince(before);
  };
  live("SIGHUP leaves nothing", async () => expectGone(await interrupt("SIGHUP")));
  live("SIGKILL leaves what the next run removes", async () => {
    const left = await interrupt("SIGKILL");
    expect(runNsk("run", "true").status).toBe(0);
    await expectGone(left);
  });
});

describe("many at once", () => {
  live("ten with limits: each has its own, and none disturbs another", async () => {
    const started = await Promise.all(
      Array.from({ length: 10 }, () => startContainer(sh(`(${REST} &); ${ECHO}`), LIMITS)),
    );
    expect(new Set(started.map(({ id }) => id)).size).toBe(10);
    const groups = started.map(({ id }) => remainsOf(id).groups);
    expect(new Set(groups.flat()).size).toBe(groups.flat().length);
    expect(groups[0]!.length).toBeGreaterThan(0);
    for (const it of started) it.say(it.id);
    for (const it of started) expect(await it.line()).toBe(it.id);
    started.forEach((it, i) => process.kill(i % 2 ? it.first : it.supervisor, i % 2 ? "SIGKILL" : "SIGHUP"));
    expect(await Promise.all(started.map(({ exited }) => exited))).toEqual(Array(10).fill(137));
    for (const { id } of started) expectNothing(id);
  });
  live("ten that end at once, while others begin", async () => {
    const statuses = await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        const it = await startContainer(sh(`exit ${i}`), LIMITS);
        const status = await it.exited;
        expectNothing(it.id);
        return status;
      }),
    );
    expect(statuses).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });
  live("supervisors that are killed while other runs clean up", async () => {
    const started = await Promise.all(Array.from({ length: 4 }, () => startContainer(sh(REST), LIMITS)));
    for (const { supervisor } of started) process.kill(supervisor, "SIGKILL");
    await Promise.all(started.map(({ exited }) => exited));
    const runs = Array.from({ length: 4 }, () => Bun.spawn([nsk, "run", "true"], { stdin: "ignore" }).exited);
    expect(await Promise.all(runs)).toEqual([0, 0, 0, 0]);
    for (const { id } of started) expectNothing(id);
  });
});
