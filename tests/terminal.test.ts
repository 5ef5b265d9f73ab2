// At a terminal: shells inside nsk have job control, the outer shell has it over nsk, and the terminal is as it was
// afterwards, however it ended. tmux is the terminal and the person at it.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannotCompare, directoryOf, removeGroups, uniqueName } from "./commands/libcgroup.ts";
import { nothing, remainsOf, stateOf, until } from "./containers/containers.ts";
import { needs, testNeeding } from "./support/needs.ts";
import { nsk, runNsk } from "./support/nsk.ts";

const atTerminal = testNeeding("root", "tmux", "bash");

const scratch = mkdtempSync(join(tmpdir(), "nsk-terminal-"));
const group = uniqueName();
const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C.UTF-8", HOME: scratch, TMUX_TMPDIR: scratch };

const tmux = (...words: string[]): string => {
  const ran = Bun.spawnSync(["tmux", "-L", "nsk", ...words], { env, stderr: "pipe" });
  if (ran.exitCode !== 0) throw new Error(`tmux ${words.join(" ")}: ${ran.stderr}`);
  return ran.stdout.toString();
};
// The server goes with its last session, and another begun at that moment goes with it: this one stays.
beforeAll(() => void (needs("root", "tmux") ?? tmux("-f", "/dev/null", "new-session", "-d", "sleep 1000")));
afterAll(() => {
  Bun.spawnSync(["tmux", "-L", "nsk", "kill-server"], { env, stderr: "ignore" });
  removeGroups(group);
  rmSync(scratch, { recursive: true, force: true });
});

let count = 0;

/** A window with a shell in it, and hands on its keyboard. */
class Terminal {
  readonly name = `window${++count}`;
  readonly marker = `${group}-${count}`;
  constructor() {
    const shell = `exec env NSK_TEST=${this.marker} PS1='outer$ ' bash --norc --noprofile`;
    tmux("new-session", "-d", "-s", this.name, "-x", "100", "-y", "30", shell);
  }
  /** Everything that was shown, what has scrolled away included. */
  get text(): string {
    return tmux("capture-pane", "-p", "-J", "-S", "-", "-t", this.name);
  }
  press(...keys: string[]): void {
    tmux("send-keys", "-t", this.name, ...keys);
  }
  /** Types a line. */
  type(line: string): void {
    tmux("send-keys", "-t", this.name, "-l", line);
    this.press("Enter");
  }
  async see(what: string | RegExp): Promise<void> {
    const pattern = typeof what === "string" ? new RegExp(what.replace(/[$()[\].*+?^|\\]/g, "\\$&")) : what;
    try {
      await until(`there is ${pattern}`, () => pattern.test(this.text));
    } catch (error) {
      throw new Error(`${error}\n${this.text}`);
    }
  }
  /** Waits for a prompt at the end: `outer` or `inner`. */
  async prompt(whose: "outer" | "inner"): Promise<void> {
    await this.see(new RegExp(`${whose}\\$\\s*$`));
  }
  /** Types a command and waits for what it prints, less its own echo. */
  async run(line: string): Promise<string> {
    // Not to be mistaken for the typed line: the number is computed. Where the output begins is marked as well: an echo
    // that ends at the last column cannot be told from a line that goes on. `line` finds $? as it was.
    const mark = ++count;
    const number = `$((${mark} + 1000000))`;
    this.type(`s=$?; echo "begin-${number}"; (exit $s); ${line}; echo "end-${number}-$?"`);
    const between = new RegExp(`begin-${mark + 1_000_000}\\n([^]*)end-${mark + 1_000_000}-(\\d+)`);
    await this.see(between);
    const [, output, status] = between.exec(this.text)!;
    return `${output}${status}`;
  }
  /** The one process of this window's with this command line. */
  async process(command: string): Promise<number> {
    let found: number[] = [];
    await until(`${command} runs`, () => {
      found = readdirSync("/proc")
        .map(Number)
        .filter((pid) => pid && this.#is(pid, command));
      return found.length === 1;
    });
    return found[0]!;
  }
  #is(pid: number, command: string): boolean {
    try {
      return (
        readFileSync(`/proc/${pid}/cmdline`, "utf8") === `${command.split(" ").join("\0")}\0` &&
        readFileSync(`/proc/${pid}/environ`, "utf8").includes(this.marker)
      );
    } catch {
      return false;
    }
  }
  close(): void {
    tmux("kill-session", "-t", this.name);
  }
}

/** A window that is closed behind the test. `settings` are the terminal's, before anything happened. */
const inWindow = async (use: (terminal: Terminal, settings: string) => Promise<void>): Promise<void> => {
  const terminal = new Terminal();
  try {
    await terminal.prompt("outer");
    const settings = await terminal.run("stty -g");
    expect(settings).toMatch(/^[0-9a-f:]+\n0$/);
    await use(terminal, settings);
  } finally {
    terminal.close();
  }
};

const sane = async (terminal: Terminal, settings: string): Promise<void> => {
  await terminal.prompt("outer");
  expect(await terminal.run("stty -g")).toBe(settings);
};

const inner = "env PS1='inner$ ' bash --norc --noprofile";
/** Shells, each by the command line that starts it. */
const shells: readonly [title: string, line: (terminal: Terminal) => string][] = [
  ["unshare -fp --mount-proc bash", () => `${nsk} unshare -fp --mount-proc ${inner}`],
  ["unshare -U bash", () => `${nsk} unshare -U ${inner}`],
  ...(cannotCompare()
    ? []
    : [
        ["cgexec -g cpu:GROUP bash", () => `${nsk} cgexec -g cpu:${group} ${inner}`] as [
          string,
          () => string,
        ],
      ]),
  ["run -it bash", ({ marker }) => `${nsk} run -it -e NSK_TEST=${marker} -- ${inner}`],
];
if (!cannotCompare()) mkdirSync(directoryOf(`cpu:${group}`));

describe("an interactive shell inside", () => {
  for (const [title, line] of shells)
    atTerminal(title, () =>
      inWindow(async (terminal, settings) => {
        terminal.type(line(terminal));
        await terminal.prompt("inner");
        expect(terminal.text).not.toContain("job control");
        expect(await terminal.run("tty >/dev/null && [ -t 0 ] && [ -t 1 ] && [ -t 2 ]; echo $-")).toMatch(
          /m.*\n0$/,
        );

        // Ctrl-C ends the program and not the shell.
        terminal.type("sleep 1001");
        await terminal.process("sleep 1001");
        terminal.press("C-c");
        await terminal.prompt("inner");
        expect(await terminal.run("echo status $?")).toBe("status 130\n0");

        // Ctrl-Z stops it, jobs shows it, fg lets it go on.
        terminal.type("sleep 1002");
        const sleep = await terminal.process("sleep 1002");
        terminal.press("C-z");
        await terminal.see(/Stopped +sleep 1002/);
        await terminal.prompt("inner");
        expect(stateOf(sleep)).toBe("T");
        expect(await terminal.run("jobs")).toMatch(/^\[1\]\+ +Stopped +sleep 1002\n0$/);
        terminal.type("fg");
        await until("it sleeps on", () => stateOf(sleep) === "S");
        terminal.press("C-c");
        await terminal.prompt("inner");
        expect(await terminal.run("jobs; echo none")).toBe("none\n0");

        // The window's size gets through, also when it changes.
        expect(await terminal.run("stty size")).toBe("30 100\n0");
        tmux("resize-window", "-t", terminal.name, "-x", "120", "-y", "40");
        await until("the size has changed", async () => (await terminal.run("stty size")) === "40 120\n0");

        // End of input ends it, with its status.
        terminal.type("(exit 3)");
        await terminal.prompt("inner");
        terminal.press("C-d");
        await terminal.prompt("outer");
        expect(await terminal.run("echo status $?")).toBe("status 3\n0");
        await sane(terminal, settings);
      }),
    );
  atTerminal("an editor's keys reach a program that reads them one by one", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(`${nsk} run -it -- ${inner}`);
      await terminal.prompt("inner");
      const read = "stty raw -echo; head -c 6 | od -An -tx1; stty sane";
      terminal.type(read);
      await until("it reads", () => terminal.text.trimEnd().endsWith("stty sane"));
      // The program must be in raw mode before these are more than what they mean to a terminal.
      await Bun.sleep(200);
      terminal.press("C-c", "C-z", "C-d", "C-\\", "C-s", "Enter");
      await terminal.see("03 1a 04 1c 13 0d");
      await terminal.prompt("inner");
      terminal.type("exit");
      await sane(terminal, settings);
    }),
  );
});

describe("a terminal of the container's own", () => {
  atTerminal("is /dev/pts/0, the session's own, and no other is there", () =>
    inWindow(async (terminal, settings) => {
      const answer = await terminal.run(
        `${nsk} run -t -- sh -c 'tty; ls -1 /dev/pts; echo x >/dev/tty; stty size; echo $TERM'`,
      );
      expect(answer).toBe("/dev/pts/0\n0\nptmx\nx\n30 100\nxterm\n0");
      await sane(terminal, settings);
    }),
  );
  atTerminal("is the container's console, too, for every user and below a read-only root", () =>
    inWindow(async (terminal, settings) => {
      for (const options of ["", "--read-only", "--init -u 65534", "-v /tmp:/dev/x"])
        expect(
          await terminal.run(
            `${nsk} run -t ${options} -- sh -c '[ "$(stat -c %t:%T /dev/console)" = "$(stat -c %t:%T "$(tty)")" ] && echo is'`,
          ),
        ).toBe("is\n0");
      await sane(terminal, settings);
    }),
  );
  atTerminal("its status is the program's, and a signal's is 128 + n", () =>
    inWindow(async (terminal, settings) => {
      expect(await terminal.run(`${nsk} run -it -- sh -c 'exit 9'`)).toBe("9");
      expect(
        await terminal.run(
          `${nsk} run -it -- sh -c 'exec >/dev/null 2>&1; kill -9 $$; sh -c "kill -9 \\$PPID"; kill -USR1 1; exit 8'`,
        ),
      ).toBe("8");
      expect(await terminal.run(`${nsk} run -it -- nsk-no-such`)).toMatch(
        /^nsk run: execute nsk-no-such failed: .*\n(hint: .*\n)?127$/,
      );
      expect(await terminal.run(`${nsk} run -it -v /nsk-no-such:/x -- true`)).toMatch(
        /^nsk run: bind \/nsk-no-such failed: .*\n(hint: .*\n)?125$/,
      );
      await sane(terminal, settings);
    }),
  );
  atTerminal("what is typed ahead is there when it comes up", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(`sleep 0.2; ${nsk} run -it -- ${inner}`);
      terminal.type("echo ahead-$((1 + 1))");
      terminal.type("exit 4");
      await terminal.see("ahead-2");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 4\n0");
      await sane(terminal, settings);
    }),
  );
  atTerminal("much that is pasted arrives whole", () =>
    inWindow(async (terminal, settings) => {
      const lines = Array.from({ length: 400 }, (_, i) => `${i} ${"x".repeat(90)}\n`).join("");
      const file = join(scratch, "pasted");
      writeFileSync(file, lines);
      const sum = new Bun.CryptoHasher("md5").update(lines).digest("hex");
      terminal.type(`${nsk} run -it -- sh -c 'stty -echo; echo ready; head -n 400 | md5sum'`);
      await terminal.see(/^ready$/m);
      tmux("load-buffer", file);
      tmux("paste-buffer", "-t", terminal.name);
      await terminal.see(sum);
      await sane(terminal, settings);
    }),
  );
  atTerminal("much that is printed arrives whole", () =>
    inWindow(async (terminal, settings) => {
      const expected = Bun.spawnSync(["sh", "-c", "seq 100000 | sed 's/$/\\r/' | md5sum"]).stdout.toString();
      expect(await terminal.run(`${nsk} run -t -- seq 100000 | md5sum`)).toBe(`${expected}0`);
      expect(await terminal.run(`${nsk} run -it -- sh -c 'seq 100000' | (sleep 0.2; md5sum)`)).toBe(
        `${expected}0`,
      );
      // More than the window remembers: only its end can be looked at.
      terminal.type(`${nsk} run -it -- seq 100000; echo shown-$((6 * 7))`);
      await terminal.see(/99999\n100000\nshown-42/);
      await sane(terminal, settings);
    }),
  );
});

const piped = testNeeding("root");

describe("run with -t and no terminal", () => {
  const run = (options: string, stdin: Uint8Array | "ignore") => {
    const ran = Bun.spawnSync([nsk, "run", ...options.split(" "), "--", "sh", "-c", "tty; cat; exit 5"], {
      stdin,
      stderr: "pipe",
    });
    return { status: ran.exitCode, stdout: ran.stdout.toString(), stderr: ran.stderr.toString() };
  };
  piped("-it says so, and goes on without one", () => {
    const stderr = "nsk run: standard input is no terminal: going on without -t\n";
    expect(run("-it", Buffer.from("typed\n"))).toEqual({ status: 5, stdout: "not a tty\ntyped\n", stderr });
    expect(run("-i -t", "ignore")).toEqual({ status: 5, stdout: "not a tty\n", stderr });
  });
  piped("all output comes through a pipe, and its reader may go away", () => {
    const expected = Bun.spawnSync(["sh", "-c", "seq 100000 | sed 's/$/\\r/' | md5sum"]).stdout.toString();
    const pipe = (script: string) =>
      Bun.spawnSync(["sh", "-c", script, nsk], { stdin: "ignore" }).stdout.toString();
    expect(pipe('"$0" run -t -- seq 100000 | md5sum')).toBe(expected);
    expect(pipe('"$0" run -t -- seq 100000 | head -n 1')).toBe("1\r\n");
  });
  for (const [title, script] of [
    ["while it prints", "exec yes"],
    ["when it has ended", "echo something; exit 9"],
  ] as const)
    piped(`output that nobody reads keeps nobody from ending it: ${title}`, async () => {
      const child = Bun.spawn(
        [
          "sh",
          "-c",
          // The pipe is full before anything is printed.
          'mkfifo "$1"; exec 3<>"$1"; head -c 65536 /dev/zero >&3; exec "$0" run -t -- sh -c "$2" >&3',
          nsk,
          join(scratch, title),
          script,
        ],
        { stdin: "ignore" },
      );
      try {
        // Everybody waits for room, and goes on waiting; what has ended has been waited for.
        const read = (file: string): string => readFileSync(`/proc/${child.pid}/${file}`, "utf8");
        let seen = 0;
        await until("nothing moves", () => {
          const isWaiting = stateOf(child.pid) === "S" && read("comm") === "nsk\n";
          const hasEnded = read(`task/${child.pid}/children`) === "";
          seen = isWaiting && hasEnded === (title === "when it has ended") ? seen + 1 : 0;
          return seen > 40;
        });
        process.kill(child.pid, "SIGHUP");
        expect(await child.exited).toBe(title === "while it prints" ? 137 : 9);
      } finally {
        child.kill("SIGKILL");
      }
    });
});

describe("the outer shell's job control", () => {
  const rows: readonly [title: string, line: string, asJob: string][] = [
    ["unshare -f", `${nsk} unshare -f sleep 1003`, "sleep 1003"],
    ["unshare -U", `${nsk} unshare -U sleep 1003`, "sleep 1003"],
  ];
  for (const [title, line, command] of rows)
    atTerminal(`Ctrl-Z, fg and Ctrl-C: ${title}`, () =>
      inWindow(async (terminal, settings) => {
        terminal.type(line);
        const sleep = await terminal.process(command);
        terminal.press("C-z");
        await terminal.see(/Stopped/);
        await terminal.prompt("outer");
        expect(stateOf(sleep)).toBe("T");
        expect(await terminal.run("echo status $?")).toBe("status 148\n0");
        expect(await terminal.run("jobs")).toMatch(/^\[1\]\+ +Stopped .*sleep 1003\n0$/);
        terminal.type("bg");
        await until("it sleeps on", () => stateOf(sleep) === "S");
        await terminal.prompt("outer");
        terminal.type("fg");
        await terminal.see(/sleep 1003\s*$/);
        terminal.press("C-z");
        await until("it is stopped again", () => stateOf(sleep) === "T");
        await terminal.prompt("outer");
        terminal.type("fg");
        await until("it sleeps on", () => stateOf(sleep) === "S");
        terminal.press("C-c");
        await terminal.prompt("outer");
        expect(await terminal.run("echo status $?")).toBe("status 130\n0");
        await until("it has ended", () => stateOf(sleep) === undefined);
        await sane(terminal, settings);
      }),
    );
  atTerminal("run without -t: Ctrl-Z, fg, and Ctrl-C thrice", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(`${nsk} run -e NSK_TEST=${terminal.marker} -- sleep 1004`);
      const sleep = await terminal.process("sleep 1004");
      terminal.press("C-z");
      await terminal.see(/Stopped/);
      await terminal.prompt("outer");
      expect(stateOf(sleep)).toBe("T");
      terminal.type("fg");
      await until("it sleeps on", () => stateOf(sleep) === "S");
      while (stateOf(sleep) === "S") {
        terminal.press("C-c");
        await Bun.sleep(20);
      }
      await terminal.see(/outer\$ /);
      await terminal.prompt("outer");
      terminal.press("C-c");
      await sane(terminal, settings);
    }),
  );
  atTerminal("run -it, stopped from outside: the shell has its terminal, and fg gives it back", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(shells.at(-1)![1](terminal));
      await terminal.prompt("inner");
      const supervisor = await waiting(terminal);
      process.kill(supervisor, "SIGTSTP");
      await sane(terminal, settings);
      terminal.type("bg");
      // It wants what is typed, so in the background it stops again, and changes nothing of the terminal.
      await terminal.see(/\[1\]\+ .*&/);
      await until("it is stopped again", () => stateOf(supervisor) === "T");
      expect(await terminal.run("stty -g")).toContain(settings.split("\n")[0]!);
      terminal.type("fg");
      terminal.type("echo in-$((3 + 4)) $-");
      await terminal.see(/in-7 \S*m/);
      terminal.type("sleep 1005");
      await terminal.process("sleep 1005");
      terminal.press("C-c");
      await terminal.prompt("inner");
      terminal.type("exit 6");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 6\n0");
      await sane(terminal, settings);
    }),
  );
  atTerminal("run -it begun in the background stops until fg", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(`${shells.at(-1)![1](terminal)} &`);
      const supervisor = await waiting(terminal);
      await until("it is stopped", () => stateOf(supervisor) === "T");
      expect(await terminal.run("stty -g")).toContain(settings.split("\n")[0]!);
      terminal.type("fg");
      terminal.type("echo in-$((3 + 4)) $-");
      await terminal.see(/in-7 \S*m/);
      terminal.type("exit 6");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 6\n0");
      await sane(terminal, settings);
    }),
  );
  atTerminal("run -t in the background goes on, for it reads nothing", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(`${nsk} run -t -- sh -c 'echo in-$((3 + 4)); sleep 0.1; exit 6' &`);
      await terminal.see("in-7");
      terminal.type("wait $!");
      expect(await terminal.run("echo status $?")).toMatch(/status 6\n0$/);
      await sane(terminal, settings);
    }),
  );
  atTerminal("run -t in the foreground: what is typed is not the program's, and Ctrl-C is a signal", () =>
    inWindow(async (terminal, settings) => {
      terminal.type(
        `${nsk} run -t -- sh -c 'trap "exit 6" INT; echo in-$((3 + 4)); while :; do sleep 0.05; done'`,
      );
      await terminal.see("in-7");
      terminal.press("C-c");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 6\n0");
      await sane(terminal, settings);
    }),
  );
});

/** The process that waits for the container in a window, by its name. */
const waiting = async (terminal: Terminal): Promise<number> => {
  let found: number | undefined;
  await until("the container is waited for", () => {
    const pane = tmux("display-message", "-p", "-t", terminal.name, "#{pane_pid}").trim();
    const children = readFileSync(`/proc/${pane}/task/${pane}/children`, "utf8")
      .trim()
      .split(" ")
      .map(Number);
    found = children.find((pid) => pid && readFileSync(`/proc/${pid}/comm`, "utf8") === "nsk\n");
    return found !== undefined;
  });
  return found!;
};

describe("a container at a terminal that is ended from outside", () => {
  const start = async (terminal: Terminal) => {
    terminal.type(`${nsk} run -it --cpus 1 --memory 64m -- ${inner}`);
    await terminal.prompt("inner");
    const [id] = (await terminal.run("echo $HOSTNAME")).split("\n") as [string];
    expect(id).toMatch(/^[0-9a-f]{12}$/);
    terminal.type("(trap '' HUP TERM; sleep 1006) & sleep 1007");
    const front = await waiting(terminal);
    const [{ State }] = JSON.parse(runNsk("inspect", id).stdout);
    const supervisor = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${State.Pid}/status`, "utf8"))![1]);
    await until("its programs run", () => remainsOf(id).processes.length >= 3);
    return { id, front, supervisor, first: State.Pid as number };
  };
  type Running = Awaited<ReturnType<typeof start>>;
  const pending = (pid: number): boolean =>
    /Pnd:\t0*[1-9a-f]/.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  const ends: readonly [title: string, end: (it: Running) => void | Promise<void>][] = [
    ["its first process is killed", ({ first }) => void process.kill(first, "SIGKILL")],
    ["the process that was started gets SIGHUP", ({ front }) => void process.kill(front, "SIGHUP")],
    [
      "the process that was started gets SIGTERM three times",
      async ({ front }) => {
        for (let i = 0; i < 3; i++) {
          process.kill(front, "SIGTERM");
          await until("it is taken", () => stateOf(front) === undefined || !pending(front));
        }
      },
    ],
  ];
  for (const [title, end] of ends)
    atTerminal(`${title}: the terminal is as it was, and nothing stays`, () =>
      inWindow(async (terminal, settings) => {
        const it = await start(terminal);
        await end(it);
        await terminal.prompt("outer");
        expect(await terminal.run("echo status $?")).toBe("status 137\n0");
        await sane(terminal, settings);
        expect(remainsOf(it.id)).toEqual(nothing);
      }),
    );
  atTerminal(
    "its supervisor is killed: the terminal is as it was, it is told, and the next run removes the rest",
    () =>
      inWindow(async (terminal, settings) => {
        const { id, supervisor } = await start(terminal);
        process.kill(supervisor, "SIGKILL");
        await terminal.see("nsk run: nobody knows how the container ended: its supervisor was killed");
        await terminal.prompt("outer");
        expect(await terminal.run("echo status $?")).toBe("status 1\n0");
        await sane(terminal, settings);
        expect(Bun.spawnSync([nsk, "run", "true"]).exitCode).toBe(0);
        expect(remainsOf(id)).toEqual(nothing);
      }),
  );
  atTerminal("the process that was started is killed: it goes on, and nsk attach comes back", () =>
    inWindow(async (terminal, settings) => {
      const { id, front, supervisor, first } = await start(terminal);
      process.kill(front, "SIGKILL");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 137\n0");
      await sane(terminal, settings);
      terminal.type(`${nsk} attach ${id}`);
      const next = await waiting(terminal);
      await until("that has the terminal", () =>
        readdirSync(`/proc/${supervisor}/fdinfo`).some((fd) =>
          readFileSync(`/proc/${supervisor}/fdinfo/${fd}`, "utf8").includes(`Pid:\t${next}\n`),
        ),
      );
      process.kill(first, "SIGKILL");
      await terminal.prompt("outer");
      await sane(terminal, settings);
      await until("all of it is gone", () => Bun.deepEquals(remainsOf(id), nothing));
    }),
  );
  atTerminal("the keys leave it, and it goes on", () =>
    inWindow(async (terminal, settings) => {
      const { id } = await start(terminal);
      terminal.press("C-c", "C-p", "C-q");
      await terminal.see("nsk run: detached; the container goes on");
      await terminal.prompt("outer");
      expect(await terminal.run("echo status $?")).toBe("status 0\n0");
      await sane(terminal, settings);
      expect(remainsOf(id)).not.toEqual(nothing);
      expect(runNsk("rm", "-f", id).status).toBe(0);
      await until("all of it is gone", () => Bun.deepEquals(remainsOf(id), nothing));
    }),
  );
  for (const [title, close] of [
    ["the window is closed", (name: string) => tmux("kill-window", "-t", name)],
    ["the session is ended", (name: string) => tmux("kill-session", "-t", name)],
  ] as const)
    atTerminal(`${title}: nothing stays`, async () => {
      const terminal = new Terminal();
      await terminal.prompt("outer");
      const { id } = await start(terminal);
      close(terminal.name);
      await until("all is gone", () => Bun.deepEquals(remainsOf(id), nothing));
    });
  atTerminal("the window of a run without -t is closed: nothing stays", async () => {
    const terminal = new Terminal();
    await terminal.prompt("outer");
    terminal.type(
      `${nsk} run --cpus 1 -- sh -c 'trap "" HUP TERM INT; echo id-$HOSTNAME-; sleep 1008 & sleep 1009'`,
    );
    await terminal.see(/^id-[0-9a-f]{12}-$/m);
    const id = /^id-([0-9a-f]{12})-$/m.exec(terminal.text)![1]!;
    terminal.close();
    await until("all is gone", () => Bun.deepEquals(remainsOf(id), nothing));
  });
});
