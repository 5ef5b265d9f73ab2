// Containers in the background: run -d, what is known of them while they run and once they have ended, and what stays
// when those who look after them are killed.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lineCutter, parseFrames } from "../../src/containers/log.ts";
import { namesIn, STATE } from "../../src/containers/record.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand, runNsk } from "../support/nsk.ts";
import { nothing, remainsOf, stateOf, until } from "./containers.ts";

const live = testNeeding("root");
const scratch = mkdtempSync(join(tmpdir(), "nsk-background-"));
const NAMES = namesIn(STATE);
const KEPT = "/var/lib/nsk/containers";
let count = 0;
const uniqueName = (): string => `nsk-bg-${process.pid}-${count++}`;

/** Every container that a test has started. */
const started = new Set<string>();
afterAll(() => {
  for (const id of started) runNsk("rm", "-f", id);
  rmSync(scratch, { recursive: true, force: true });
});

/** The id of a container that has really been started. */
const start = (...words: readonly string[]): string => {
  const { status, stdout, stderr } = runNsk("run", "-d", ...words);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(stdout).toMatch(/^[0-9a-f]{12}\n$/);
  const id = stdout.trim();
  started.add(id);
  return id;
};
const sh = (script: string, ...options: string[]): string => start(...options, "--", "sh", "-c", script);
const said = ({ status, stdout, stderr }: Ran) => ({ status, stdout, stderr });
const ended = (id: string): string => runNsk("wait", id).stdout.trim();
const inspected = (id: string): any => JSON.parse(runNsk("inspect", id).stdout)[0];
const listed = (id: string): any =>
  JSON.parse(runNsk("ps", "-a", "--json").stdout).containers.find((it: { id: string }) => it.id === id);

const expectNothing = (id: string): void => {
  expect(remainsOf(id)).toEqual(nothing);
  expect(existsSync(`${KEPT}/${id}`)).toBe(false);
};

describe("a log", () => {
  const frame = (stream: number, text: string): Uint8Array => {
    const bytes = new Uint8Array(24 + text.length);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, stream, true);
    view.setUint32(4, text.length, true);
    view.setBigUint64(8, 1700000000n, true);
    view.setBigUint64(16, 5n, true);
    bytes.set(new TextEncoder().encode(text), 24);
    return bytes;
  };
  test("is read as far as its frames are whole", () => {
    const bytes = Buffer.concat([frame(1, "a\n"), frame(2, "b")]);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const { frames, used } = parseFrames(bytes.subarray(0, cut));
      expect(frames.length).toBe(cut < 26 ? 0 : cut < bytes.length ? 1 : 2);
      expect(used).toBe([0, 26, bytes.length][frames.length]!);
    }
  });
  test("is cut into lines of each stream, whatever the frames", () => {
    const cut = lineCutter();
    const pieces = [frame(1, "a\nb"), frame(2, "x"), frame(1, "c\n\n"), frame(2, "\n")]
      .flatMap((it) => parseFrames(it).frames)
      .flatMap(cut)
      .map(({ stream, bytes, begins }) => [stream, new TextDecoder().decode(bytes), begins]);
    expect(pieces).toEqual([
      [1, "a\n", true],
      [1, "b", true],
      [2, "x", true],
      [1, "c\n", false],
      [1, "\n", true],
      [2, "\n", false],
    ]);
  });
});

describe("nsk run -d", () => {
  live("prints the id once the program runs, and its log, status and name stay until nsk rm", () => {
    const name = uniqueName();
    const id = sh("echo out; echo err >&2; read x; exit 3", "--name", name, "-l", "a=b");
    expect(ended(name)).toBe("3");
    expect(said(runNsk("logs", name))).toEqual({ status: 0, stdout: "out\n", stderr: "err\n" });
    expect(remainsOf(id)).toEqual(nothing);
    expect(listed(id)).toMatchObject({ name, state: "exited", exitStatus: 3, pid: null, labels: { a: "b" } });
    expect(runNsk("ps", "-a").stdout).toMatch(
      new RegExp(`^${id} +sh -c .* Exited \\(3\\) .* ago +${name}$`, "m"),
    );
    expect(inspected(id)).toMatchObject({
      Id: id,
      Name: `/${name}`,
      State: { Status: "exited", Running: false, ExitCode: 3, OOMKilled: false, Pid: 0 },
      Config: { Labels: { a: "b" } },
    });
    expect(runNsk("run", "--name", name, "true")).toMatchObject({
      status: 125,
      stderr: `nsk run: the name ${name} is that of the container ${id}\nhint: nsk rm ${name} removes that\n`,
    });
    expect(said(runNsk("stop", name))).toEqual({ status: 0, stdout: `${name}\n`, stderr: "" });
    expect(runNsk("kill", name)).toMatchObject({
      status: 1,
      stderr: `nsk kill: cannot kill container ${id}: it is not running\n`,
    });
    expect(said(runNsk("rm", name))).toEqual({ status: 0, stdout: `${name}\n`, stderr: "" });
    expectNothing(id);
    expect(existsSync(`${NAMES}/${name}`)).toBe(false);
    expect(runNsk("logs", id).stderr).toBe(
      `nsk logs: no such container: ${id}\nhint: nsk ps -a lists them\n`,
    );
  });
  live("holds nothing of the caller's, and is no child of its", async () => {
    const id = sh("readlink /proc/self/fd/* | sort -u; ls /proc/self/fd | wc -l; read x; sleep 1000");
    await until("it has printed", () => runNsk("logs", id).stdout.includes("\n4\n"));
    const lines = runNsk("logs", id)
      .stdout.split("\n")
      .filter((line) => !/^(\/proc|socket|\d)/.test(line));
    expect(lines.every((line) => /^(pipe:\[\d+\]|\/dev\/null|)$/.test(line))).toBe(true);
    const { Pid } = inspected(id).State;
    const supervisor = Number(/\) . (\d+)/.exec(readFileSync(`/proc/${Pid}/stat`, "latin1"))![1]);
    expect(readdirSync(`/proc/${supervisor}/fd`).length).toBeGreaterThan(3);
    expect(readFileSync(`/proc/${supervisor}/environ`, "latin1")).not.toContain("NOTHING");
    expect(said(runNsk("rm", "-f", id))).toEqual({ status: 0, stdout: `${id}\n`, stderr: "" });
    expectNothing(id);
    expect(stateOf(supervisor) ?? "Z").toBe("Z");
  });
  const failures: readonly [words: string[], status: number, line: string][] = [
    [["--", "nsk-no-such"], 127, "nsk run: execute nsk-no-such failed: No such file or directory"],
    [["--init", "--", "nsk-no-such"], 127, "nsk run: execute nsk-no-such failed: No such file or directory"],
    [["-t", "--", "nsk-no-such"], 127, "nsk run: execute nsk-no-such failed: No such file or directory"],
    [["--", "/etc/passwd"], 126, "nsk run: execute /etc/passwd failed: Permission denied"],
    [["-v", "/nsk-none:/x", "--", "true"], 125, "nsk run: bind /nsk-none failed: No such file or directory"],
    [
      ["-u", "65534", "-w", "/root", "--", "true"],
      125,
      "nsk run: change the working directory to /root failed",
    ],
  ];
  for (const [words, status, line] of failures)
    live(`tells why it cannot start, and nothing is kept: ${words.join(" ")}`, () => {
      const file = join(scratch, `id-${count++}`);
      const ran = runNsk("run", "-d", "--cidfile", file, ...words);
      expect({ status: ran.status, stdout: ran.stdout }).toEqual({ status, stdout: "" });
      expect(ran.stderr.split("\n")[0]).toStartWith(line);
      if (existsSync(file)) expectNothing(readFileSync(file, "utf8"));
    });
  live("--rm keeps nothing of it", async () => {
    const name = uniqueName();
    const id = sh("echo here; sleep 1000", "--rm", "--name", name);
    await until("it has printed", () => runNsk("logs", id).stdout === "here\n");
    const waiting = Bun.spawn([nsk, "wait", id], { stdout: "pipe" });
    await until("it is waited for", () => /^S/.test(stateOf(waiting.pid) ?? ""));
    expect(runNsk("stop", "-t", "0", id).status).toBe(0);
    expect((await new Response(waiting.stdout).text()).trim()).toMatch(/^137$|^$/);
    await until("it is gone", () => !existsSync(`${STATE}/${id}`));
    expectNothing(id);
    expect(existsSync(`${NAMES}/${name}`)).toBe(false);
  });
  live("-t gives it a terminal whose output goes to the log, -i an input that does not end", async () => {
    const terminal = start("-t", "--", "sh", "-c", "test -t 0 && test -t 1 && echo terminal");
    expect(ended(terminal)).toBe("0");
    expect(runNsk("logs", terminal).stdout).toBe("terminal\r\n");
    const input = start("-i", "--", "cat");
    const closed = start("--", "cat");
    expect(ended(closed)).toBe("0");
    expect(listed(input).state).toBe("running");
    expect(runNsk("rm", "-f", terminal, input, closed).status).toBe(0);
  });
  live("a program of another user may open /dev/stdout and /dev/stderr anew", () => {
    const id = sh("echo a >/dev/stdout; echo b >/dev/stderr", "-u", "65534");
    expect(ended(id)).toBe("0");
    expect(said(runNsk("logs", id))).toEqual({ status: 0, stdout: "a\n", stderr: "b\n" });
    runNsk("rm", id);
  });
  live("--init and --timeout, and a kill for want of memory is told", () => {
    const late = sh("sleep 1000", "--init", "--timeout", "1");
    const large = sh("tail /dev/zero; exit 9", "-m", "20m");
    expect(ended(late)).toBe("137");
    const told = /^nsk wait: \w+: out of memory: .*, whose limit is 20971520 bytes\n$/;
    expect(runNsk("wait", large)).toMatchObject({ stdout: "9\n", stderr: expect.stringMatching(told) });
    expect(runNsk("logs", large).stderr).toEndWith(
      "nsk logs: out of memory: the kernel killed a program of the container, whose limit is 20971520 bytes\n",
    );
    expect(inspected(large).State).toMatchObject({ OOMKilled: true, ExitCode: 9 });
    expect(inspected(late).State).toMatchObject({ OOMKilled: false, ExitCode: 137 });
    runNsk("rm", late, large);
  });
  live("a full disk stops nothing, and the log says what it lacks", () => {
    const store = join(scratch, "small");
    mkdirSync(store);
    expect(runCommand(["mount", "-t", "tmpfs", "-o", "size=64k", "nsk-test", store]).status).toBe(0);
    try {
      const env = { NSK_STORE: store };
      const script = "head -c 300000 /dev/zero; rm -f /none; exit 4";
      const { stdout } = runCommand([nsk, "run", "-d", "--", "sh", "-c", script], env);
      const id = stdout.trim();
      expect(runCommand([nsk, "wait", id], env).stdout).toBe("4\n");
      const log = runCommand([nsk, "logs", id], env);
      const missing = Number(
        /^nsk logs: (\d+) bytes are missing here: the disk was full\n$/.exec(log.stderr)?.[1],
      );
      expect(log.stdout.length + missing).toBe(300000);
      expect(runCommand([nsk, "rm", id], env).status).toBe(0);
      expect(readdirSync(`${store}/containers`)).toEqual([]);
    } finally {
      runCommand(["umount", store]);
    }
  });
});

live("a foreground container is killed by --timeout as well, and that is told", () => {
  expect(said(runNsk("run", "--timeout", "1", "sleep", "1000"))).toEqual({
    status: 137,
    stdout: "",
    stderr: "nsk run: --timeout 1 is over: the container is killed\n",
  });
});

describe("nsk logs", () => {
  live("-f goes on until the end, --tail, -t, --since and --until choose", async () => {
    const id = sh("printf 'one\\ntwo\\nthr'; read x; sleep 0.3; printf 'ee\\nfour'");
    const followed = runNsk("logs", "-f", id);
    expect(followed.stdout).toBe("one\ntwo\nthree\nfour");
    expect(runNsk("logs", "-n", "2", id).stdout).toBe("three\nfour");
    expect(runNsk("logs", "--tail", "0", id).stdout).toBe("");
    expect(runNsk("logs", "--tail=all", id).stdout).toBe("one\ntwo\nthree\nfour");
    const times = runNsk("logs", "-t", id).stdout;
    expect(times.replace(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z /gm, "")).toBe("one\ntwo\nthree\nfour");
    const last = /^(\S+) four$/m.exec(times)![1]!;
    expect(runNsk("logs", "--since", last.replace(/\d{6}Z$/, "Z"), id).stdout).toBe("ee\nfour");
    expect(runNsk("logs", "--until", "10h", id).stdout).toBe("");
    expect(runNsk("logs", "--since", "10m", id).stdout).toBe("one\ntwo\nthree\nfour");
    runNsk("rm", id);
  });
  live("the file is for root alone", () => {
    const id = sh("echo secret");
    ended(id);
    const modes = runCommand(["stat", "-c", "%a %n", KEPT, `${KEPT}/${id}`, `${KEPT}/${id}/log`]).stdout;
    expect(modes).toBe(`700 ${KEPT}\n700 ${KEPT}/${id}\n600 ${KEPT}/${id}/log\n`);
    runNsk("rm", id);
  });
  test.each([
    [["logs", "--tail", "x", "y"], "nsk logs: invalid argument 'x' for --tail: a number of lines, or all"],
    [["logs", "--since", "soon", "y"], "nsk logs: invalid value for --since: soon"],
    [["logs"], "nsk logs: no container given"],
    [["rm", "nsk-none"], "nsk rm: no such container: nsk-none"],
    [["wait"], "nsk wait: no container given"],
    [["inspect", "../x"], "nsk inspect: no such container: ../x"],
    [["stats", "nsk-none", "--no-stream"], "nsk stats: no such container: nsk-none"],
  ])("%p is one line", (words, message) => {
    const { status, stderr } = runNsk(...words);
    expect(stderr.split("\n")[0]).toBe(message);
    expect(status).toBe(1);
  });
});

live("nsk wait waits for several, also for one that somebody waits for already", async () => {
  const foreground = Bun.spawn([nsk, "run", "--name", uniqueName(), "--", "sh", "-c", "read x; exit 6"], {
    stdin: "ignore",
    stdout: "ignore",
  });
  expect(await foreground.exited).toBe(6);
  const name = uniqueName();
  const attached = Bun.spawn([nsk, "run", "-i", "--name", name, "--", "sh", "-c", "read x; exit 7"], {
    stdin: "pipe",
  });
  const id = sh("sleep 0.3; exit 8");
  await until("it runs", () => existsSync(`${NAMES}/${name}`) && runNsk("inspect", name).status === 0);
  const waiting = Bun.spawn([nsk, "wait", id, name], { stdout: "pipe" });
  const text = new Response(waiting.stdout).text();
  await until("the first has ended", () => listed(id).state === "exited");
  await attached.stdin.end();
  expect(await text).toBe("8\n7\n");
  expect(await attached.exited).toBe(7);
  runNsk("rm", id);
});

live("nsk stats shows what one uses that has no limit", () => {
  const id = sh("while :; do :; done");
  const [row] = JSON.parse(runNsk("stats", "--no-stream", "--json", id).stdout);
  expect(row).toMatchObject({ id, pids: 1, memoryLimit: null });
  expect(row.cpu).toBeGreaterThan(0);
  expect(row.memory).toBeGreaterThan(0);
  expect(runNsk("stats", "--no-stream", id).stdout).toMatch(
    /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +PIDS\n[0-9a-f]{12} +-- +[\d.]+% +[\d.]+\w+ \/ -- +-- +1\n$/,
  );
  runNsk("kill", id);
  runNsk("wait", id);
  expect(runNsk("stats", "--no-stream", id).stderr).toBe(`nsk stats: container ${id} is not running\n`);
  runNsk("rm", "-f", id);
});

describe("what was killed", () => {
  const supervisorOf = (id: string): number => {
    const { Pid } = inspected(id).State;
    return Number(/\) . (\d+)/.exec(readFileSync(`/proc/${Pid}/stat`, "latin1"))![1]);
  };
  live("a supervisor takes its container along, and nobody knows how that ended", async () => {
    const name = uniqueName();
    const id = sh("echo said; sleep 1000", "--name", name);
    await until("it has printed", () => runNsk("logs", id).stdout === "said\n");
    process.kill(supervisorOf(id), "SIGKILL");
    await until("it is dead", () => listed(id).state === "dead");
    expect(remainsOf(id)).toEqual(nothing);
    expect(runNsk("ps", "-a").stdout).toMatch(new RegExp(`^${id} .* Dead +${name}$`, "m"));
    expect(runNsk("logs", "-f", id).stdout).toBe("said\n");
    expect(runNsk("wait", id)).toMatchObject({
      status: 1,
      stderr: `nsk wait: nobody knows how ${id} ended\nhint: the nsk that waited for it was killed as well\n`,
    });
    expect(runNsk("run", "--name", name, "true").status).toBe(125);
    expect(runNsk("rm", name).status).toBe(0);
    expectNothing(id);
    expect(runNsk("run", "--name", name, "true").status).toBe(0);
  });
  live(
    "at any moment of its start: what is left is one container that can be removed, or nothing",
    async () => {
      const before = new Set(readdirSync(KEPT));
      const names: string[] = [];
      for (let i = 0; i < 40; i++) {
        const name = uniqueName();
        names.push(name);
        const child = Bun.spawn([nsk, "run", "-d", "--name", name, "-m", "32m", "--", "sleep", "1000"], {
          stdout: "ignore",
          stderr: "ignore",
        });
        const kinds = readFileSync("/proc/self/cgroup", "utf8"); // some work, so that moments differ
        await Bun.sleep(((i * 7) % 40) + (kinds.length % 2));
        // The first process, or the supervisor where it has one by now.
        const children = (pid: number): number[] => {
          try {
            return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8")
              .trim()
              .split(" ")
              .filter(Boolean)
              .map(Number);
          } catch {
            return [];
          }
        };
        const victim = i % 2 ? child.pid : (children(child.pid)[0] ?? child.pid);
        try {
          process.kill(victim, "SIGKILL");
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
        }
        await child.exited;
      }
      const mine = (): { id: string; name: string; state: string }[] =>
        JSON.parse(runNsk("ps", "-a", "--json").stdout).containers.filter((it: { name: string }) =>
          names.includes(it.name),
        );
      await until("none is between two states", () => mine().every(({ state }) => state !== "created"));
      const left = mine();
      for (const { id } of left) started.add(id);
      if (left.length > 0) expect(runNsk("rm", "-f", ...left.map(({ id }) => id)).status).toBe(0);
      expect(mine()).toEqual([]);
      for (const { id } of left) expectNothing(id);
      for (const name of names) expect(existsSync(`${NAMES}/${name}`)).toBe(false);
      // Directories of other tests may come and go, but none of these is without a record of what it is.
      const fresh = readdirSync(KEPT).filter((id) => !before.has(id));
      await until("all new directories are whole or gone", () =>
        fresh.every((id) => !existsSync(`${KEPT}/${id}`) || existsSync(`${KEPT}/${id}/container.json`)),
      );
    },
    60_000,
  );
});

describe("a hundred", () => {
  const COUNT = 100;
  const check = (ids: readonly string[]): void => {
    expect(new Set(ids).size).toBe(COUNT);
    for (const id of ids) started.add(id);
    const statuses = runNsk("wait", ...ids)
      .stdout.trim()
      .split("\n");
    expect(statuses).toEqual(ids.map((_, i) => String(i % 100)));
    for (const [i, id] of [...ids.entries()].filter(([i]) => i % 10 === 0))
      expect(runNsk("logs", id).stdout).toBe(`${i % 100}\n`);
    expect(runNsk("rm", ...ids).status).toBe(0);
    for (const id of ids) expectNothing(id);
  };
  live(
    "containers in one loop of a shell: none is lost, nothing is left",
    () => {
      const loop = `i=0; while [ $i -lt ${COUNT} ]; do ${nsk} run -d -- sh -c "echo $i; exit $i" || exit; i=$((i+1)); done`;
      const { status, stdout } = runCommand(["sh", "-c", loop]);
      expect(status).toBe(0);
      check(stdout.trim().split("\n"));
    },
    60_000,
  );
  live(
    "containers at once: none is lost, nothing is left",
    async () => {
      const ids = await Promise.all(
        Array.from({ length: COUNT }, async (_, i) => {
          const child = Bun.spawn([nsk, "run", "-d", "--", "sh", "-c", `echo ${i}; exit ${i}`], {
            stdout: "pipe",
            stderr: "inherit",
          });
          const text = await new Response(child.stdout).text();
          expect(await child.exited).toBe(0);
          return text.trim();
        }),
      );
      check(ids);
    },
    60_000,
  );
});

live("what looks after a container is small", async () => {
  const id = sh("sleep 1000");
  const { Pid } = inspected(id).State;
  const supervisor = Number(/\) . (\d+)/.exec(readFileSync(`/proc/${Pid}/stat`, "latin1"))![1]);
  const kilobytes = Number(
    /^Pss: +(\d+) kB/m.exec(readFileSync(`/proc/${supervisor}/smaps_rollup`, "utf8"))![1],
  );
  expect(kilobytes).toBeLessThanOrEqual(200);
  runNsk("rm", "-f", id);
});
