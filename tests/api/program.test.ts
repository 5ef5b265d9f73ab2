// Options of the API become plans; and what programs find that are run with them.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseCounts } from "../../src/api/cgroup.ts";
import { planProgram, type ProgramOptions } from "../../src/api/program.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { cgroup, emit, explain, program, run, spawn, StepError, UsageError } from "../../src/index.ts";
import { testNeeding } from "../support/needs.ts";
import { outline } from "../support/steps.ts";

const rooted = testNeeding("root");
let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "nsk-api-"))));
afterAll(() => rmSync(directory, { recursive: true }));

const v2 = fixtureHost({
  files: {
    "/proc/self/mountinfo": "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    "/sys/fs/cgroup/cgroup.controllers": "cpu memory pids\n",
    "/sys/fs/cgroup/cgroup.subtree_control": "cpu memory pids\n",
    "/sys/fs/cgroup/here/cgroup.procs": "",
  },
});

describe("options", () => {
  const planned = (options: ProgramOptions) =>
    planProgram(["prog", "word"], options, v2, { id: "id", isBound: false });
  for (const [what, options, lines] of [
    ["nothing", {}, ["exec prog word"]],
    ["a host name", { hostname: "box" }, ["unshare", "sethostname 3", "exec prog word"]],
    ["an environment", { env: { A: "1" } }, ["exec prog word"]],
    ["a group", { cgroups: ["pids:here"] }, ["/sys/fs/cgroup/here/cgroup.procs < 0", "exec prog word"]],
    [
      "a handle",
      { cgroups: [{ name: "here", controllers: ["pids"] }] },
      ["/sys/fs/cgroup/here/cgroup.procs < 0", "exec prog word"],
    ],
  ] as const satisfies [string, ProgramOptions, string[]][])
    test(what, () => {
      const found = outline(planned(options).steps).map((line) =>
        line.replace(/^unshare .*|^unshare$/, "unshare"),
      );
      expect(found).toEqual([...lines]);
    });
  test("an environment is the exec's, and its PATH is searched", () => {
    expect(planned({ env: { PATH: "/a:/b", X: "" } }).steps.at(-1)).toMatchObject({
      env: ["PATH=/a:/b", "X="],
      candidates: ["/a/prog", "/b/prog"],
    });
  });
  test("a limit is a group: made before, entered by the child, removed by who waits", () => {
    const { steps, groups } = planned({ limits: { cpus: 0.5, memory: 2 ** 20, pids: 7 } });
    expect(groups).toEqual(["/sys/fs/cgroup/nsk-id"]);
    expect(outline(steps)).toContain("/sys/fs/cgroup/nsk-id/cpu.max < 50000 100000");
    const fork = steps.find((step) => step.kind === "fork")!;
    expect(outline(fork.child)).toContain("/sys/fs/cgroup/nsk-id/cgroup.procs < 0");
    const wait = steps.at(-1)!;
    expect(wait.kind === "wait" && outline(wait.cleanup)).toEqual(["rmdir /sys/fs/cgroup/nsk-id"]);
  });
  test("bind mounts get their options by a second call", () => {
    const text = explain(
      planned({
        mounts: [
          { source: "/usr", target: "/mnt", options: ["ro"] },
          { source: "none", target: "/tmp", type: "tmpfs", options: ["size=1m", "nosuid"] },
        ],
      }),
    );
    const mounts = text.split("\n").filter((line) => line.startsWith("mount("));
    expect(mounts.map((line) => line.split(")")[0])).toEqual([
      'mount("none", "/", NULL, MS_REC|MS_PRIVATE, NULL',
      'mount("/usr", "/mnt", NULL, MS_BIND, NULL',
      'mount(NULL, "/mnt", NULL, MS_RDONLY|MS_REMOUNT|MS_BIND, NULL',
      'mount("none", "/tmp", "tmpfs", MS_NOSUID, "size=1m"',
    ]);
  });
  for (const [what, argv, options] of [
    ["no program", [], {}],
    ["limits without somebody who waits", ["x"], { limits: { pids: 1 }, fork: false }],
    ["a group that is none", ["x"], { cgroups: ["nonsense"] }],
  ] as const satisfies [string, string[], ProgramOptions][])
    test(`${what}: a UsageError`, () => {
      expect(() => planProgram(argv, options, v2, { id: "id", isBound: true })).toThrow(UsageError);
    });
});

describe("a program finds", () => {
  for (const [what, script, options, printed] of [
    ["namespaces", "echo $$; hostname", { namespaces: ["pid"], hostname: "box" }, "1\nbox\n"],
    ["ids mapped to root", "id -u; id -g", { mapUser: 0, mapGroup: 0 }, "0\n0\n"],
    [
      "ranges of ids",
      "cat /proc/self/uid_map",
      { mapUsers: [{ inner: 0, outer: 100000, count: 10 }] },
      /^\s+0\s+100000\s+10\n$/,
    ],
    ["its user and group", "id -u; id -g", { uid: 1234, gid: 4321 }, "1234\n4321\n"],
    ["its directory", "pwd", { cwd: "/usr" }, "/usr\n"],
    [
      "its environment and no other",
      "env | grep -v -e ^PWD= -e ^_= -e ^SHLVL=",
      { env: { PATH: "/usr/bin:/bin", ONLY: "this" } },
      "PATH=/usr/bin:/bin\nONLY=this\n",
    ],
    [
      "its mounts",
      "stat -f -c %T /mnt; touch /mnt/x",
      { mounts: [{ source: "tmpfs", target: "/mnt", type: "tmpfs" }] },
      "tmpfs\n",
    ],
    [
      "a proc of its namespace",
      "ls -d /proc/[0-9]* | head -1",
      { namespaces: ["pid"], mountProc: true },
      "/proc/1\n",
    ],
    ["a limit", "cat /proc/self/cgroup", { limits: { pids: 5 } }, /\/nsk-[0-9a-f]{12}$/m],
  ] as const satisfies [string, string, ProgramOptions, string | RegExp][])
    rooted(what, async () => {
      const { stdout, stderr, status } = await run(["sh", "-c", script], options);
      expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
      if (typeof printed === "string") expect(stdout).toBe(printed);
      else expect(stdout).toMatch(printed);
    });
  rooted("another root directory", async () => {
    const root = join(directory, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    const busybox = Bun.which("busybox")!;
    await Bun.write(join(root, "bin/busybox"), Bun.file(busybox));
    Bun.spawnSync(["chmod", "755", join(root, "bin/busybox")]);
    const { stdout } = await run(["/bin/busybox", "ls", "/"], { root });
    expect(stdout).toBe("bin\n");
  });
  rooted("its limit's group gone when it has ended", async () => {
    const { stdout } = await run(["cat", "/proc/self/cgroup"], { limits: { pids: 5 } });
    const name = /nsk-[0-9a-f]{12}/.exec(stdout)![0];
    const [made] = program(["x"], { limits: { pids: 1 } }).groups;
    expect(existsSync(join(made!, "..", name))).toBe(false);
  });
});

describe("a child", () => {
  rooted("reads what is written to a web stream, and prints to others", async () => {
    await using child = spawn(["sh", "-c", "cat; echo err >&2; exit 3"], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "pipe",
    });
    const writer = child.stdin!.getWriter();
    await writer.write("one ");
    await writer.write(new TextEncoder().encode("two"));
    await writer.close();
    expect(await new Response(child.stdout).text()).toBe("one two");
    expect(await new Response(child.stderr).text()).toBe("err\n");
    expect(await child.exited).toEqual({ status: 3 });
  });
  rooted("may have a terminal", async () => {
    await using child = spawn(["sh", "-c", "stty size; read line; echo got $line"], {
      terminal: { columns: 100, rows: 30 },
    });
    const { readable, writable } = child.terminal!;
    const writer = writable.getWriter();
    await writer.write("typed\n");
    const text = await new Response(readable).text();
    expect(text).toContain("30 100\r\n");
    expect(text).toContain("got typed\r\n");
    expect(await child.exited).toEqual({ status: 0 });
  });
  rooted("is ended by an AbortSignal, by the signal that is asked for", async () => {
    const control = new AbortController();
    const one = spawn(["sleep", "1000"], { signal: control.signal });
    const other = spawn(["sleep", "1000"], { signal: control.signal, killSignal: "TERM" });
    control.abort();
    expect(await Promise.all([one.exited, other.exited])).toEqual([{ signal: 9 }, { signal: 15 }]);
    expect(() => spawn(["true"], { signal: control.signal })).toThrow("abort");
    expect(run(["true"], { signal: control.signal })).rejects.toThrow("abort");
  });
  rooted("that is not there ends with 127, and says so", async () => {
    const { status, stderr } = await run(["/no/such/program"]);
    expect({ status, stderr }).toEqual({
      status: 127,
      stderr: "nsk: execute /no/such/program failed: No such file or directory\n",
    });
  });
  rooted("need not read what it is given", async () => {
    expect(await run(["true"], { input: "x".repeat(1_000_000) })).toMatchObject({ status: 0 });
  });
  test("takes no signal that is none", async () => {
    await using child = spawn(["sleep", "1000"]);
    expect(() => child.kill("NONSENSE")).toThrow(UsageError);
  });
  rooted("of process 1 goes with it", async () => {
    await using child = spawn(["sh", "-c", "sleep 1000 & echo $!; wait"], {
      namespaces: ["pid"],
      stdout: "pipe",
    });
    const reader = child.stdout!.getReader();
    await reader.read();
    child.kill("KILL");
    // The end of the stream: nobody is left who holds the other end.
    while (!(await reader.read()).done);
    expect(await child.exited).toEqual({ signal: 9 });
  });
});

describe("a group", () => {
  const name = (what: string) => `nsk-api-${what}-${process.pid}`;
  rooted("is made, set, read and removed", async () => {
    const group = cgroup(name("life"), ["pids"]);
    expect(() => group.processes()).toThrow("there is no group");
    await using made = group.create({ settings: { "pids.max": 20 } });
    expect(made.get("pids.max")).toBe("20");
    made.set({ "pids.max": "max" });
    expect(made.get("pids.max")).toBe("max");
    expect(made.stat()["pids.current"]).toBe(0);
    expect(made.events()).toMatchObject({ populated: false, frozen: false });
    expect(() => made.set({ "pids.max": "nonsense" })).toThrow(StepError);
    await made.delete();
    for (const path of made.directories) expect(existsSync(path)).toBe(false);
  });
  rooted("below another goes with that", async () => {
    const above = name("above");
    {
      await using group = cgroup(`${above}/below`, ["pids"]).create();
      expect(group.directories.every(existsSync)).toBe(true);
    }
    expect(cgroup(above, ["pids"]).directories.filter(existsSync)).toEqual([]);
  });
  rooted("is emitted: a small program that makes it", async () => {
    const group = cgroup(name("emitted"), ["pids"]);
    const file = join(directory, "make-group");
    emit(group.plans.create({ "pids.max": 3 }), file);
    try {
      expect(await run([file])).toEqual({ stdout: "", stderr: "", status: 0 });
      expect(group.get("pids.max")).toBe("3");
    } finally {
      await group.delete();
    }
  });
  for (const [text, counts] of [
    ["17\n", 17],
    ["oom 0\noom_kill 2\n", { oom: 0, oom_kill: 2 }],
    ["8:0 rbytes=1 wbytes=2\n", { "8:0 rbytes": 1, "8:0 wbytes": 2 }],
    ["max\n", {}],
    ["some avg10=0.00 total=9\n", { "some avg10": 0, "some total": 9 }],
  ] as const)
    test(`${JSON.stringify(text)} is counted`, () => expect(parseCounts(text)).toEqual(counts as never));
});
