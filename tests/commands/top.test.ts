// top and why as they run: over a pipe, in a terminal of 80 columns, and with the terminal as it was afterwards.

import { afterAll, describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runNsk } from "../support/nsk.ts";
import { directoryOf, live, removeGroups, removeLeftovers, uniqueName } from "./libcgroup.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-top-"));
const env = { PATH: "/usr/bin:/bin", LC_ALL: "C.UTF-8", HOME: scratch, TMUX_TMPDIR: scratch };
/** A server for each window: one goes with its last session, and would take one with it that begins at that moment. */
const tmux = (window: string, ...words: string[]): string => {
  const argv = ["tmux", "-L", window, "-f", "/dev/null", ...words];
  const ran = Bun.spawnSync(argv, { env, stderr: "pipe" });
  if (ran.exitCode !== 0) throw new Error(`tmux ${words.join(" ")}: ${ran.stderr}`);
  return ran.stdout.toString();
};
afterAll(() => {
  rmSync(scratch, { recursive: true, force: true });
  removeLeftovers();
});

const withGroup = async (use: (name: string) => void | Promise<void>): Promise<void> => {
  const name = uniqueName();
  try {
    mkdirSync(directoryOf(`cpu:${name}/in`), { recursive: true });
    mkdirSync(directoryOf(`pids:${name}`));
    writeFileSync(directoryOf(`pids:${name}/pids.max`), "7");
    await use(name);
  } finally {
    removeGroups(name);
  }
};

describe("over a pipe", () => {
  live("--once shows one table of 80 columns", () =>
    withGroup((name) => {
      const { stdout, status } = runNsk("top", "--once", "-d", "0.05", `/${name}/`);
      const lines = stdout.split("\n");
      expect([status, lines.length]).toEqual([0, 4]);
      expect(lines[0]).toBe(
        "GROUP                    CPU% LIMIT  THR%  MEMORY  LIMIT  PSI%  PIDS  LIMIT  OOM",
      );
      expect(lines[1]).toMatch(new RegExp(`^/${name} .* 0 +7 +-$`));
      expect(lines[2]).toStartWith(" in ");
    }),
  );
  live("--json is for programs", () =>
    withGroup((name) => {
      const rows = JSON.parse(runNsk("top", "--once", "--json", "-d", "0.05", name).stdout);
      expect(
        rows.map(({ path, pids, pidsLimit }: Record<string, unknown>) => [path, pids, pidsLimit]),
      ).toEqual([
        [`/${name}`, 0, 7],
        [`/${name}/in`, undefined, undefined],
      ]);
      const many = runNsk("top", "--json", "-n", "3", "-d", "0.05", name).stdout.trim().split("\n");
      expect(many.map((line) => JSON.parse(line)[0].path)).toEqual(Array(3).fill(`/${name}`));
    }),
  );
  live("a reader that goes away ends it", async () => {
    const { exited } = Bun.spawn(["sh", "-c", `"${nsk}" top -d 0.05 | head -n 1 >/dev/null`]);
    expect(await exited).toBe(0);
  });
  live("mistakes are named", () => {
    for (const [words, message] of [
      [["-d", "x"], "'x' is no delay"],
      [["-n", "0"], "'0' is no number of tables"],
      [["-s", "size"], "invalid argument 'size' for '-s'"],
      [["no-such-group"], "there is no group /no-such-group"],
    ] as const) {
      const { status, stderr } = runNsk("top", ...words);
      expect([status, stderr.split("\n")[0]]).toEqual([1, `nsk top: ${message}`]);
    }
  });
});

const atTerminal = testNeeding("root", "tmux", "bash", "/sys/fs/cgroup/cpu/cpu.stat");

describe("at a terminal of 80 columns", () => {
  const ways: [title: string, end: (window: string, pid: () => string) => void, status: number][] = [
    ["q", (window) => void tmux(window, "send-keys", "q"), 0],
    ["Ctrl-C", (window) => void tmux(window, "send-keys", "C-c"), 0],
    ["SIGTERM", (_, pid) => process.kill(Number(pid()), "SIGTERM"), 143],
  ];
  for (const [title, end, status] of ways)
    atTerminal(`${title} ends it, and the terminal is as it was`, () =>
      withGroup(async (name) => {
        const window = `w${name}`;
        const file = join(scratch, `${name}.txt`);
        // The shell's own process id names its one child.
        const script = `PS1='$ '; stty -g >${file}; echo before; echo $$ >${file}.pid; '${nsk}' top -d 0.2 ${name}; echo "after $?"; stty -g >>${file}; echo done`;
        tmux(
          window,
          "new-session",
          "-d",
          "-x",
          "80",
          "-y",
          "24",
          "bash",
          "--norc",
          "-c",
          `${script}; sleep 60`,
        );
        try {
          const shown = (): string => tmux(window, "capture-pane", "-p");
          await until("the table is there", () => shown().includes("GROUP") && shown().includes(` in `));
          expect(shown()).not.toContain("before");
          tmux(window, "send-keys", "m");
          const pid = (): string => {
            const shell = Number(readFileSync(`${file}.pid`, "utf8"));
            return readFileSync(`/proc/${shell}/task/${shell}/children`, "utf8").trim();
          };
          end(window, pid);
          await until("the shell is back", () => shown().includes("done"));
          expect(shown()).toContain("before");
          expect(shown()).toContain(`after ${status}`);
          const [before, after] = readFileSync(file, "utf8").trim().split("\n");
          expect(after).toBe(before);
        } finally {
          tmux(window, "kill-server");
        }
      }),
    );
});

describe("why", () => {
  live("names the limit that binds a process here", () =>
    withGroup(async (name) => {
      const child = Bun.spawn(["sleep", "60"]);
      try {
        writeFileSync(directoryOf(`pids:${name}/tasks`), String(child.pid));
        const { stdout, status } = runNsk("why", String(child.pid));
        expect(status).toBe(0);
        expect(stdout).toStartWith(`process ${child.pid} (sleep) of root\n`);
        expect(stdout).toContain(`  processes       /${name}: 7, 1 used  <- binds\n`);
        const story = JSON.parse(runNsk("why", "--json", String(child.pid)).stdout);
        expect(story.limits).toContainEqual({
          what: "pids",
          group: `/${name}`,
          limit: 7,
          usage: 1,
          binds: true,
        });
        expect(story.namespaces.net.shared).toBe(true);
      } finally {
        child.kill();
        await child.exited;
      }
    }),
  );
  live("a process that is stopped, and one that nobody has waited for", async () => {
    // The shell becomes what does not wait for its child.
    const shell = Bun.spawn(["sh", "-c", "true & exec sleep 60"]);
    try {
      const children = (): string =>
        readFileSync(`/proc/${shell.pid}/task/${shell.pid}/children`, "utf8").trim();
      const isZombie = (): boolean => /^State:\tZ/m.test(readFileSync(`/proc/${children()}/status`, "utf8"));
      await until("the child has ended", () => children() !== "" && isZombie());
      await until("the shell is sleep", () => readFileSync(`/proc/${shell.pid}/comm`, "utf8") === "sleep\n");
      expect(runNsk("why", children()).stdout).toContain(
        `  ended: a zombie until its parent, process ${shell.pid}, waits for it\n`,
      );
      shell.kill("SIGSTOP");
      await until("it is stopped", () =>
        /^State:\tT/m.test(readFileSync(`/proc/${shell.pid}/status`, "utf8")),
      );
      expect(runNsk("why", String(shell.pid)).stdout).toContain(
        `  stopped: by a signal; kill -CONT ${shell.pid} lets it go on\n`,
      );
    } finally {
      shell.kill("SIGKILL");
      await shell.exited;
    }
  });
  live("a process that is not there", () => {
    const { status, stderr } = runNsk("why", "4194305");
    expect([status, stderr.split("\n")[0]]).toEqual([1, "nsk why: there is no process 4194305"]);
  });
});
