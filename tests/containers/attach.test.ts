// The terminal of a container in the background: attached to, left, and attached to again.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parseKeys } from "../../src/commands/detach-keys.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runNsk } from "../support/nsk.ts";
import { nothing, remainsOf, until } from "./containers.ts";

const live = testNeeding("root");
const started = new Set<string>();
afterAll(() => {
  for (const id of started) runNsk("rm", "-f", id);
});
const KEPT = "/var/lib/nsk/containers";

/** Answers each line with `got`, and ends with 5 behind `end`. */
const ECHO = 'echo ready; while read l; do echo got $l; [ "$l" = end ] && exit 5; done';
const start = (...options: string[]): string => {
  const { status, stdout, stderr } = runNsk("run", "-dit", ...options, "--", "sh", "-c", ECHO);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  started.add(stdout.trim());
  return stdout.trim();
};

/** On a terminal of its own, whose modes it prints before and after. */
const onTerminal = (...words: string[]) => ontoTerminal(nsk, ...words);
const ontoTerminal = (...words: string[]) => {
  let seen = "";
  const script = 'stty -g; "$@"; echo "status $?"; stty -g';
  const child = Bun.spawn(["sh", "-c", script, "sh", ...words], {
    terminal: {
      cols: 100,
      rows: 30,
      data: (_, bytes) => void (seen += new TextDecoder().decode(bytes)),
    },
  });
  const sees = (text: string): Promise<void> =>
    until(`${JSON.stringify(text)} is in ${JSON.stringify(seen)}`, () => seen.includes(text));
  return {
    child,
    sees,
    type: (text: string): void => void child.terminal!.write(text),
    /** What was seen, once it has ended, and the terminal's modes are what they were. */
    ends: async (status: number): Promise<string> => {
      await sees("status ");
      await child.exited;
      child.terminal!.close();
      const modes = [...seen.matchAll(/^[0-9a-f]+(:[0-9a-f]+){5,}\r$/gm)].map(([mode]) => mode);
      expect(modes.length).toBe(2);
      expect(modes[0]).toBe(modes[1]!);
      expect(/status (\d+)/.exec(seen)![1]).toBe(String(status));
      return seen;
    },
  };
};

describe("nsk attach", () => {
  live(
    "carries the terminal until the keys are typed, and again until the end, whose status it has",
    async () => {
      const id = start();
      const first = onTerminal("attach", id);
      await until("it is heard", () => {
        first.type("one\n");
        return runNsk("logs", id).stdout.includes("got one");
      });
      first.type("\x10\x11");
      expect(await first.ends(0)).toContain("nsk attach: detached; the container goes on\r\n");
      expect(JSON.parse(runNsk("inspect", id).stdout)[0].State.Running).toBe(true);
      const second = onTerminal("attach", "--detach-keys", "ctrl-a,x", id);
      await until("the second is heard", () => {
        second.type("two\n");
        return runNsk("logs", id).stdout.includes("got two");
      });
      // The beginning of the keys that is no more than that is typed as it is.
      second.type("\x10p\x01y\n");
      await second.sees("got \x10p\x01y");
      second.type("end\n");
      expect(await second.ends(5)).toContain("got end\r\n");
      expect(runNsk("wait", id).stdout).toBe("5\n");
      const log = runNsk("logs", id).stdout;
      for (const text of ["ready", "got one", "got two", "got end"]) expect(log).toContain(`${text}\r\n`);
    },
  );
  live("by one at a time; when that is killed the log goes on, and the next may", async () => {
    const id = start();
    const one = Bun.spawn([nsk, "attach", id], { terminal: { cols: 80, rows: 25 } });
    await until("it is heard", () => {
      one.terminal!.write("one\n");
      return runNsk("logs", id).stdout.includes("got one");
    });
    expect(runNsk("attach", "--no-stdin", id)).toMatchObject({
      status: 1,
      stderr: `nsk attach: somebody else is attached to ${id}\nhint: its terminal is carried to one place at a time\n`,
    });
    one.kill("SIGKILL");
    await one.exited;
    one.terminal!.close();
    const next = Bun.spawn([nsk, "attach", "--no-stdin", id], { stdin: "ignore", stdout: "pipe" });
    const { Pid } = JSON.parse(runNsk("inspect", id).stdout)[0].State;
    const supervisor = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${Pid}/status`, "utf8"))![1];
    await until("the next has it", () =>
      readdirSync(`/proc/${supervisor}/fdinfo`).some((fd) =>
        readFileSync(`/proc/${supervisor}/fdinfo/${fd}`, "utf8").includes(`Pid:\t${next.pid}\n`),
      ),
    );
    expect(runNsk("stop", "-t", "0", id).status).toBe(0);
    expect(await next.exited).toBe(137);
    expect(runNsk("wait", id).stdout).toBe("137\n");
    expect(remainsOf(id)).toEqual(nothing);
  });
  live("the window's size is the container's, and a signal to it is the container's as well", async () => {
    const { stdout } = runNsk(
      "run",
      "-dit",
      "--",
      "sh",
      "-c",
      "trap 'stty size' WINCH; trap 'exit 7' TERM; while :; do sleep 0.05; done",
    );
    const id = stdout.trim();
    started.add(id);
    const child = onTerminal("attach", id);
    await child.sees("30 100");
    child.child.terminal!.resize(90, 20);
    await child.sees("20 90");
    const found = Bun.spawnSync(["pgrep", "-P", String(child.child.pid)])
      .stdout.toString()
      .trim();
    process.kill(Number(found), "SIGTERM");
    await child.ends(7);
  });
  live("refuses what it cannot carry", () => {
    const plain = runNsk("run", "-d", "sleep", "1000").stdout.trim();
    started.add(plain);
    expect(runNsk("attach", "--no-stdin", plain).stderr).toBe(
      `nsk attach: ${plain} has no terminal\nhint: nsk logs -f ${plain} shows what it prints\n`,
    );
    expect(runNsk("attach", start()).stderr).toStartWith("nsk attach: standard input is no terminal");
    expect(runNsk("attach", "--detach-keys", "ctrl-ü", plain).stderr).toStartWith(
      "nsk attach: invalid --detach-keys 'ctrl-ü'",
    );
  });
});

describe("nsk run -it", () => {
  live("is left by the keys and goes on; nsk attach comes back", async () => {
    const name = `nsk-attach-${process.pid}`;
    const run = onTerminal("run", "-it", "--name", name, "--", "sh", "-c", ECHO);
    await run.sees("ready");
    run.type("one\n");
    await run.sees("got one");
    run.type("\x10\x11");
    await run.ends(0);
    const [{ Id }] = JSON.parse(runNsk("inspect", name).stdout);
    started.add(Id);
    const back = onTerminal("attach", name);
    await until("it is heard", () => {
      back.type("two\n");
      return runNsk("logs", name).stdout.includes("got two");
    });
    back.type("end\n");
    await back.ends(5);
    await until("all of it is gone", () => Bun.deepEquals(remainsOf(Id), nothing));
    expect(existsSync(`${KEPT}/${Id}`)).toBe(false);
  });
  live("shows all that a short program prints, has its status, and leaves nothing", async () => {
    for (const options of [["--rm"], [], ["--detach-keys", "ctrl-x"], ["--detach-keys", ""]]) {
      const name = `nsk-attach-${process.pid}`;
      const words = [
        "-it",
        ...options,
        "--name",
        name,
        "--",
        "sh",
        "-c",
        "tty; stty size; echo done; exit 3",
      ];
      expect(await onTerminal("run", ...words).ends(3)).toContain("/dev/pts/0\r\n30 100\r\ndone\r\n");
      expect(runNsk("rm", name).status).toBe(1);
    }
  });
  live("the kernel's killing for want of memory is told, with the limit", async () => {
    const words = ["-it", "-m", "20m", "--", "sh", "-c", "tail /dev/zero; sleep 0.1; exit 6"];
    expect(await onTerminal("run", ...words).ends(6)).toContain(
      "nsk run: out of memory: the kernel killed a program of the container, whose limit is 20971520 bytes\r\n",
    );
  });
  live("where nothing can be kept it runs all the same, and cannot be left", async () => {
    const readOnly = [
      "unshare",
      "-m",
      "sh",
      "-c",
      'mount -t tmpfs -o ro none /var/lib && exec "$@"',
      "sh",
      nsk,
    ];
    expect(
      await ontoTerminal(...readOnly, "run", "-it", "--", "sh", "-c", "echo here; exit 4").ends(4),
    ).toContain("here\r\n");
  });
  live("without a terminal it is as without the keys", () => {
    const ran = runNsk("run", "-i", "--detach-keys", "a", "--", "sh", "-c", "echo here; exit 4");
    expect(ran).toMatchObject({ status: 4, stdout: "here\n" });
  });
  test.each([
    ["ctrl-p,ctrl-q", [16, 17]],
    ["a,ctrl-[", [97, 27]],
    ["ctrl-@", [0]],
    ["", []],
  ])("%j is %j", (text, keys) => expect(parseKeys(text)).toEqual(keys));
});
