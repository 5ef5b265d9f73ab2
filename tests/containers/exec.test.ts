// nsk exec: another program in a container, confined as the container's own, and no way out through it.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { spawn } from "../../src/backends/spawn.ts";
import { parseStat } from "../../src/containers/recognise.ts";
import { identify } from "../../src/plan/steps.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand, runNsk } from "../support/nsk.ts";
import { stateOf, until } from "./containers.ts";

const live = testNeeding("root");
const started: string[] = [];
const start = (script: string, ...options: string[]): string => {
  const { status, stdout, stderr } = runNsk("run", "-d", ...options, "--", "sh", "-c", script);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  started.push(stdout.trim());
  return stdout.trim();
};
afterAll(() => {
  for (const id of started) runNsk("rm", "-f", id);
});
const firstOf = (id: string): number => JSON.parse(runNsk("inspect", id).stdout)[0].State.Pid;
const output = ({ status, stdout, stderr }: Ran): string => {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};

const OPTIONS = ["-e", "FOO=bar", "-m", "64m", "--ulimit", "nofile=77:88", "--oom-score-adj", "7"];

describe("a container", () => {
  let id = "";
  beforeAll(() => {
    if (process.getuid!() === 0) id = start("sleep 1000", "-w", "/tmp", ...OPTIONS);
  });
  const exec = (...words: string[]): Ran => runNsk("exec", ...words);
  const inside = (script: string, ...options: string[]): string =>
    output(exec(...options, id, "sh", "-c", script));

  live("has a program more that is what its own is", () => {
    const facts =
      "grep -E '^(Cap|Seccomp|NoNewPrivs|Groups|[UG]id)' /proc/$1/status; cat /proc/$1/cgroup /proc/$1/limits /proc/$1/oom_score_adj; for i in mnt pid net ipc uts cgroup user; do readlink /proc/$1/ns/$i; done; readlink /proc/$1/cwd /proc/$1/root";
    const [first, self] = ["1", "$$"].map((pid) => inside(`set -- ${pid}; ${facts}`));
    expect(self).toBe(first!);
    expect(first).toContain("Seccomp:\t2\n");
    const groups = (pid: number | string): string => readFileSync(`/proc/${pid}/cgroup`, "utf8");
    expect(groups(firstOf(id))).toContain(`nsk-${id}`);
  });
  live("of the container's environment, user and directory, unless told otherwise", () => {
    expect(inside("echo $FOO $HOME $PWD; id -u; id -G")).toBe("bar /root /tmp\n0\n0\n");
    expect(inside("echo $FOO-$A-$B", "-e", "FOO=x", "-e", "A=1", "-e", "B")).toBe("x-1-\n");
    expect(
      inside("echo $HOME; id -u; id -g; grep CapEff /proc/self/status; pwd", "-u", "nobody", "-w", "/"),
    ).toBe("/nonexistent\n65534\n65534\nCapEff:\t0000000000000000\n/\n");
    expect(inside("id -u; id -g", "-u", "7:8")).toBe("7\n8\n");
    expect(inside("grep CapEff /proc/self/status", "--privileged")).not.toContain("a80425fb");
  });
  live("with the caller's input only with -i, and no descriptor of its", () => {
    const withInput = (...options: string[]) =>
      runCommand([
        "sh",
        "-c",
        `echo in | "$@" 9</etc/passwd`,
        "sh",
        nsk,
        "exec",
        ...options,
        id,
        "sh",
        "-c",
        "cat; ls /proc/self/fd | wc -l",
      ]);
    expect(output(withInput("-i"))).toBe("in\n4\n");
    expect(output(withInput())).toBe("4\n");
  });
  live("whose statuses are docker's", () => {
    const rows: readonly [words: string[], status: number, line: string][] = [
      [["sh", "-c", "exit 7"], 7, ""],
      [["sh", "-c", "kill -KILL $$"], 137, ""],
      [["nsk-no-such"], 127, "nsk exec: execute nsk-no-such failed: No such file or directory\n"],
      [["/etc/passwd"], 126, "nsk exec: execute /etc/passwd failed: Permission denied\n"],
    ];
    for (const options of [[], ["-d"]])
      for (const [words, status, line] of rows) {
        const ran = exec(...options, id, ...words);
        const expected = options.length && !line ? { status: 0, stderr: "" } : { status, stderr: line };
        expect({ status: ran.status, stderr: ran.stderr }).toEqual(expected);
      }
    expect(exec("-w", "/nsk-none", id, "true")).toMatchObject({
      status: 126,
      stderr: "nsk exec: change the working directory to /nsk-none failed: No such file or directory\n",
    });
    expect(exec("-u", "nsk-none", id, "true").stderr).toStartWith("nsk exec: unable to find user nsk-none");
  });
  live("-d leaves it running, and nothing waits for it", async () => {
    expect(output(exec("-d", id, "sh", "-c", "echo lost; exec sleep 4321"))).toBe("");
    await until("it runs", () => inside("ps ax").includes("sleep 4321"));
    expect(inside("pkill -f 'sleep 432[1]'; readlink /proc/1/fd/0")).toContain("null");
  });
  live("a killed nsk takes its program along, a signal to it goes to the program", async () => {
    const run = () =>
      Bun.spawn(
        [nsk, "exec", id, "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"],
        {
          stdout: "pipe",
        },
      );
    const asked = run();
    await asked.stdout.getReader().read();
    asked.kill("SIGTERM");
    expect(await asked.exited).toBe(9);
    const killed = run();
    await killed.stdout.getReader().read();
    const program = Number(readFileSync(`/proc/${killed.pid}/task/${killed.pid}/children`, "utf8").trim());
    expect(stateOf(program)).toBeDefined();
    killed.kill("SIGKILL");
    await killed.exited;
    await until("its program is gone", () => (stateOf(program) ?? "Z") === "Z");
  });
  live(
    "-it has a terminal of the container's, of the caller's size, and gives the caller's back",
    async () => {
      let seen = "";
      const child = Bun.spawn(
        [
          "sh",
          "-c",
          `stty -echo; stty -g; "$@"; echo "status $?"; stty -g`,
          "sh",
          nsk,
          "exec",
          "-it",
          id,
          "sh",
          "-c",
          "tty; stty size; trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.05; done",
        ],
        {
          terminal: {
            cols: 100,
            rows: 30,
            data: (_, bytes) => void (seen += new TextDecoder().decode(bytes)),
          },
        },
      );
      await until("it is ready", () => seen.includes("ready"));
      expect(seen).toContain("/dev/pts/0\r\n30 100\r\n");
      child.terminal!.resize(80, 25);
      await until("it has ended", () => seen.includes("status "));
      await child.exited;
      expect(seen).toContain("25 80\r\nstatus 5\r\n");
      const modes = [...seen.matchAll(/^[0-9a-f]+(:[0-9a-f]+){5,}\r$/gm)].map(([mode]) => mode);
      expect(modes.length).toBe(2);
      expect(modes[0]).toBe(modes[1]!);
      child.terminal!.close();
    },
  );
  live("-it without a terminal, from cron or CI, says so and goes on", () => {
    const ran = exec("-it", id, "echo", "here");
    expect(ran).toMatchObject({
      status: 0,
      stdout: "here\n",
      stderr: "nsk exec: standard input is no terminal: going on without -t\n",
    });
  });
});

live("the end of a container is that of all in it", async () => {
  const id = start("sleep 1000");
  const child = Bun.spawn([nsk, "exec", id, "sh", "-c", "echo ready; sleep 1000"], { stdout: "pipe" });
  await child.stdout.getReader().read();
  runNsk("kill", id);
  expect(await child.exited).toBe(137);
  runNsk("wait", id);
  expect(runNsk("exec", id, "true")).toMatchObject({
    status: 1,
    stderr: `nsk exec: container ${id} is not running\n`,
  });
});

live("what runs in a container in the foreground can be joined as well", async () => {
  const name = `nsk-exec-${process.pid}`;
  const child = Bun.spawn(
    [nsk, "run", "-i", "--name", name, "--", "sh", "-c", "echo ready; read x; exit 0"],
    {
      stdin: "pipe",
      stdout: "pipe",
    },
  );
  await child.stdout.getReader().read();
  expect(output(runNsk("exec", name, "cat", "/proc/1/comm"))).toBe("sh\n");
  await child.stdin.end();
  expect(await child.exited).toBe(0);
});

test("a process that has another's number is not joined", async () => {
  const stat = readFileSync("/proc/self/stat", "latin1");
  const { pid, started: since } = parseStat(stat)!;
  const trial = async (time: string) => {
    const plan = {
      name: "trial",
      failure: 3,
      steps: [...identify(pid, time, "gone"), { kind: "exit" } as const],
    };
    const child = spawn(plan, { stderr: "pipe" });
    const said = await new Response(child.stderr).text();
    return [(await child.exited).status, said];
  };
  expect(await trial(since)).toEqual([0, ""]);
  for (const other of [`${since}0`, since.slice(0, -1), `1${since}`, ""])
    expect(await trial(other)).toEqual([
      3,
      `trial: find process ${pid} failed: No such process\nhint: gone\n`,
    ]);
});

describe("who watches from inside", () => {
  // Whatever links to programs, directories and descriptors of other processes can be read from inside.
  const watch =
    "while :; do for p in /proc/[0-9]*; do readlink $p/exe $p/cwd $p/root $p/fd/* 2>/dev/null; done; done | sort -u >/tmp/seen";
  for (const options of [[], ["--cap-add", "SYS_PTRACE"]])
    live(
      `sees nothing of the host's in what is on its way to be a program ${options.join(" ")}`,
      async () => {
        const id = start(
          `(${watch.replace(" | sort -u >/tmp/seen", "")}) >/tmp/seen & echo ready; wait`,
          ...options,
        );
        await until("it watches", () => runNsk("logs", id).stdout === "ready\n");
        for (let i = 0; i < 30; i++) runNsk("exec", id, "true");
        const seen = output(runNsk("exec", id, "sort", "-u", "/tmp/seen")).split("\n");
        const strange = seen.filter((it) => /memfd|pidfd|cgroup|\/run\/nsk|nsk$/.test(it));
        if (options.length === 0) expect(strange).toEqual([]);
        // Who may trace sees the launcher, which is sealed, and nothing else.
        else expect(strange.filter((it) => !/^\/memfd:/.test(it))).toEqual([]);
      },
    );
  live("finds no way to overwrite nsk (CVE-2019-5736)", () => {
    const before = Bun.hash(readFileSync(nsk));
    const id = start("printf '#!/proc/self/exe\\n' >/tmp/trap; chmod +x /tmp/trap; echo ready; sleep 1000");
    const ran = runNsk("exec", id, "/tmp/trap");
    expect(ran.status).not.toBe(0);
    const self = "exec 3>/proc/self/exe || echo refused";
    expect(runNsk("exec", id, "sh", "-c", self).stdout).not.toContain("nsk");
    expect(Bun.hash(readFileSync(nsk))).toBe(before);
  });
  live("and its own passwd leads nobody to a file of the host's", async () => {
    const script =
      "rm /etc/passwd; ln -s /proc/1/root/../../../etc/shadow /etc/passwd; echo ready; sleep 1000";
    const id = start(script);
    await until("it is ready", () => runNsk("logs", id).stdout === "ready\n");
    expect(runNsk("exec", "-u", "root", id, "true").stderr).toStartWith("nsk exec: unable to find user root");
    const pipe = start("rm /etc/passwd; mkfifo /etc/passwd; echo ready; sleep 1000");
    await until("the other is ready", () => runNsk("logs", pipe).stdout === "ready\n");
    expect(runNsk("exec", "-u", "root", pipe, "true").stderr).toStartWith(
      "nsk exec: unable to find user root",
    );
    expect(firstOf(pipe)).toBeGreaterThan(0);
  });
});
