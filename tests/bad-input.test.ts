// What goes wrong with unshare and run: one line that names the thing, at most one hint, the exit status of the tool
// that is mirrored, and nothing left behind. The control-group commands have tables of their own in commands/.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannotCompare, directoryOf, removeGroups, uniqueName } from "./commands/libcgroup.ts";
import { needs } from "./support/needs.ts";
import { nsk, type Ran, runCommand } from "./support/nsk.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-bad-"));
const apart = join(scratch, "apart");
const group = uniqueName();
const groups =
  cannotCompare() === undefined ? ["cpu", "cpuset", "memory"].map((it) => directoryOf(`${it}:`)) : [];

beforeAll(() => {
  chmodSync(scratch, 0o755);
  mkdirSync(join(scratch, "root"));
  mkdirSync(join(scratch, "empty"));
  writeFileSync(join(scratch, "file"), "no program\n");
  symlinkSync("loop", join(scratch, "loop"));
  for (const directory of groups) mkdirSync(directory + group);
  // A /run and control groups of its own, so that what a command leaves there is its own too.
  const own = groups.map((directory) => `mount --bind '${directory}${group}' '${directory}'\n`).join("");
  const left = `find /run/nsk ${groups.map((it) => `'${it}'`).join(" ")} -mindepth 1`;
  const what = groups.length ? "\\( -type d -o -path '/run/*' \\)" : "";
  writeFileSync(
    apart,
    `mount -t tmpfs tmpfs /run && mkdir -m 700 /run/nsk\n${own}"$@"\nstatus=$?\n${left} ${what}\nexit $status\n`,
  );
});
afterAll(() => {
  rmSync(scratch, { recursive: true });
  if (groups.length) removeGroups(group);
});

const PLAIN = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
const root = needs("root", "unshare", "setpriv");

const live = (title: string, run: () => void, reason = root): void =>
  reason ? test.skip(`${title} (${reason})`, run) : test(title, run);

/** One line that begins with `name` and holds `text`, and a hint that holds `hint` or none. */
const expectLines = (ran: Ran, status: number, line: string, hint?: string): void => {
  const [first, second, ...rest] = ran.stderr.split("\n");
  expect(first).toBe(line);
  if (hint === undefined) expect(ran.stderr).toBe(`${line}\n`);
  else {
    expect(second).toStartWith("hint: ");
    expect(second).toContain(hint);
    expect(rest).toEqual([""]);
  }
  expect({ status: ran.status, signal: ran.signal, stdout: ran.stdout }).toEqual({
    status,
    signal: undefined,
    stdout: "",
  });
};

type Row = readonly [line: string, status: number, error: string, hint?: string];

const inScratch = (text: string): string => text.replaceAll("DIR", scratch);
const wordsOf = (line: string): string[] =>
  line.split(" ").map((word) => (word === "''" ? "" : inScratch(word)));

const table = (command: string, rows: readonly Row[], before: readonly string[] = []): void => {
  for (const [line, status, error, hint] of rows)
    live(`${before === PLAIN ? "$" : "#"} nsk ${command} ${line}`, () => {
      const ran = runCommand([...before, nsk, command, ...wordsOf(line)], {
        PATH: "/usr/bin:/bin:/usr/sbin",
      });
      expectLines(ran, status, `nsk ${command}: ${inScratch(error)}`, hint);
    });
};

const ENOENT = "No such file or directory";
const EACCES = "Permission denied";
const EPERM = "Operation not permitted";
const HELP = "try 'nsk unshare --help'";

describe("unshare", () => {
  table("unshare", [
    ["-x", 1, "invalid option -- 'x'", HELP],
    ["-mqx", 1, "invalid option -- 'q'", HELP],
    ["--nope", 1, "unrecognized option '--nope'", HELP],
    ["--nope=1 true", 1, "unrecognized option '--nope=1'", HELP],
    ["--forc true", 1, "unrecognized option '--forc'", "did you mean '--fork'?"],
    [
      "--mo true",
      1,
      "option '--mo' is ambiguous; possibilities: '--mount' '--mount-proc' '--mount-binfmt' '--monotonic'",
      HELP,
    ],
    ["-w", 1, "option requires an argument -- 'w'", HELP],
    ["--wd", 1, "option '--wd' requires an argument", HELP],
    ["--fork=yes true", 1, "option '--fork' doesn't allow an argument", HELP],
    ["--propagation=nope true", 1, "unsupported propagation mode: nope"],
    ["--setgroups=nope true", 1, "unsupported --setgroups argument 'nope'"],
    [
      "-r --setgroups=allow true",
      1,
      "options --setgroups=allow and --map-root-user are mutually exclusive",
      "denied",
    ],
    ["--kill-child=NOPE true", 1, "unknown signal: NOPE"],
    ["--map-user=nobody-here true", 1, "failed to parse uid: 'nobody-here'"],
    ["--map-group=nobody-here true", 1, "failed to parse gid: 'nobody-here'"],
    ["-S x true", 1, "failed to parse uid: 'x'"],
    ["-G -1 true", 1, "failed to parse gid: '-1'"],
    ["--explain=xml true", 1, "--explain knows json, not 'xml'"],
    ["--emit-arch=x64 true", 1, "--emit-arch goes with --emit"],
    ["--emit DIR/no/file true", 1, `write DIR/no/file failed: ${ENOENT}`],
    ["no-such-program", 127, `execute no-such-program failed: ${ENOENT}`],
    ["-f no-such-program", 127, `execute no-such-program failed: ${ENOENT}`],
    ["''", 127, `execute  failed: ${ENOENT}`],
    ["DIR/no/program", 127, `execute DIR/no/program failed: ${ENOENT}`],
    ["DIR/file", 126, `execute DIR/file failed: ${EACCES}`],
    ["-Urpf DIR/file", 126, `execute DIR/file failed: ${EACCES}`],
    ["DIR/empty", 126, `execute DIR/empty failed: ${EACCES}`],
    ["DIR/file/x", 126, "execute DIR/file/x failed: Not a directory"],
    ["DIR/loop", 126, "execute DIR/loop failed: Too many levels of symbolic links"],
    ["-w DIR/no true", 1, `change the working directory to DIR/no failed: ${ENOENT}`],
    ["-R DIR/no true", 1, `change the root directory to DIR/no failed: ${ENOENT}`],
    ["-R DIR/file true", 1, "change the root directory to DIR/file failed: Not a directory"],
    ["-R DIR/empty true", 127, `execute true failed: ${ENOENT}`],
    ["-pf --mount-proc=DIR/no true", 1, `mount DIR/no failed: ${ENOENT}`],
    ["-U -S 5 true", 1, "setuid failed: Invalid argument", "not mapped"],
    ["-r -G 0 true", 1, `setgroups failed: ${EPERM}`, "--setgid needs one without -r"],
  ]);
  table(
    "unshare",
    [
      ["-m true", 1, `unshare failed: ${EPERM}`, "--map-root-user (-Ur)"],
      ["-n true", 1, `unshare failed: ${EPERM}`, "only root"],
      ["-pf true", 1, `unshare failed: ${EPERM}`, "only root"],
      ["--mount-proc true", 1, `unshare failed: ${EPERM}`, "only root"],
      ["-R / true", 1, `change the root directory to / failed: ${EPERM}`],
      ["-S 0 true", 1, `setuid failed: ${EPERM}`],
      ["-G 0 true", 1, `setgroups failed: ${EPERM}`, "--setgid"],
    ],
    PLAIN,
  );

  live("a proc of a PID namespace that is not one's own", () => {
    const ran = runCommand([...PLAIN, nsk, "unshare", "-r", "--mount-proc", "true"]);
    expectLines(ran, 1, `nsk unshare: mount /proc failed: ${EPERM}`, "--pid --fork");
  });
  live("in a chroot, where the kernel forbids user namespaces", () => {
    const script = `mount --rbind / '${scratch}/root' && exec chroot '${scratch}/root' "$@"`;
    const ran = runCommand(["unshare", "-m", "sh", "-c", script, "sh", nsk, "unshare", "-U", "true"]);
    expectLines(ran, 1, `nsk unshare: unshare failed: ${EPERM}`, "a process in a chroot");
  });
  for (const [kind, file] of [
    ["-U", "user"],
    ["-m", "mnt"],
    ["-Un", "net"],
  ] as const)
    live(`${kind} where sysctl user.max_${file}_namespaces is 0`, () => {
      // The limits of a user namespace of the test's own; the machine's are as they were.
      const script = `echo 0 >/proc/sys/user/max_${file}_namespaces && exec "$@"`;
      const ran = runCommand(["unshare", "-Ur", "sh", "-c", script, "sh", nsk, "unshare", kind, "true"]);
      expectLines(ran, 1, "nsk unshare: unshare failed: No space left on device", "/proc/sys/user");
    });
  live("a PID namespace whose process 1 is gone", () => {
    const file = join(scratch, "forking");
    expect(runCommand([nsk, "unshare", "-f", "--emit", file, "true"]).status).toBe(0);
    const ran = runCommand(["unshare", "-p", "sh", "-c", 'true & wait; exec "$0"', file]);
    expectLines(ran, 1, "nsk unshare: fork failed: Cannot allocate memory", "has lost its process 1");
  });
  // A process whose children go to another PID namespace may have no threads (clone(2), EINVAL), and Bun needs some. An
  // emitted launcher runs there.
  live("right behind unshare -p without -f nsk says that it cannot start", () => {
    const message =
      "nsk: this process can start no threads, because its children go to another PID namespace";
    const behind = (...words: string[]) =>
      expectLines(runCommand(["unshare", "-p", ...words]), 1, message, "--fork");
    behind(nsk, "unshare", "echo", "on");
    behind("sh", "-c", 'true & wait; exec "$0" unshare echo on', nsk);
    const file = join(scratch, "behind");
    expect(runCommand([nsk, "unshare", "--emit", file, "echo", "on"]).status).toBe(0);
    expect(runCommand(["unshare", "-p", file])).toMatchObject({ status: 0, stdout: "on\n" });
  });
  test("a mistake leaves no file of --emit", () => {
    const directory = join(scratch, "emitted");
    mkdirSync(directory);
    for (const line of ["--propagation=nope", "-S x", "--emit-arch=nope"])
      expect(
        runCommand([nsk, "unshare", ...line.split(" "), "--emit", join(directory, "file"), "true"]).status,
      ).toBe(1);
    mkdirSync(join(directory, "taken"));
    const ran = runCommand([nsk, "unshare", "--emit", join(directory, "taken"), "true"]);
    expectLines(ran, 1, `nsk unshare: write ${directory}/taken failed: Is a directory`);
    expect(readdirSync(directory)).toEqual(["taken"]);
  });
  test("--emit writes to what is no file of its own, and leaves it what it is", () => {
    const directory = join(scratch, "emit-through");
    mkdirSync(directory);
    const path = (name: string): string => join(directory, name);
    for (const [name, target] of [
      ["full", "/dev/full"],
      ["link", "file"],
      ["stdout", "/dev/stdout"],
    ] as const)
      symlinkSync(target, path(name));
    const message = `nsk unshare: write ${path("full")} failed: No space left on device`;
    expectLines(runCommand([nsk, "unshare", "--emit", path("full"), "true"]), 1, message);
    for (const words of ["echo a-long-word-to-be-cut-off", "echo on"])
      expect(runCommand([nsk, "unshare", "--emit", path("link"), ...words.split(" ")]).status).toBe(0);
    expect(runCommand([path("file")]).stdout).toBe("on\n");
    const shell = '"$0" unshare --emit "$1" echo on | cat >"$2" && chmod +x "$2" && "$2"';
    expect(runCommand(["sh", "-c", shell, nsk, path("stdout"), path("piped")]).stdout).toBe("on\n");
    expect(["full", "link", "stdout"].map((name) => readlinkSync(path(name)))).toEqual([
      ...["/dev/full", "file", "/dev/stdout"],
    ]);
  });
});

describe("run", () => {
  const bad = (rows: readonly Row[], reason = root ?? cannotCompare()): void => {
    for (const [line, status, error, hint] of rows)
      live(
        `nsk run ${line}`,
        () => {
          const words = ["unshare", "-m", "sh", apart, nsk, "run", ...wordsOf(line)];
          const ran = runCommand(words, { PATH: "/usr/bin:/bin:/usr/sbin" });
          // A container's id is in the names of its groups.
          const stderr = ran.stderr.replace(/nsk-[0-9a-f]{12}/g, "nsk-ID");
          // On stdout `apart` lists what is left.
          expectLines({ ...ran, stderr }, status, `nsk run: ${inScratch(error)}`, hint);
        },
        reason,
      );
  };
  bad([
    ["--nope true", 125, "unrecognized option '--nope'", "try 'nsk run --help'"],
    ["-v", 125, "option requires an argument -- 'v'", "try 'nsk run --help'"],
    ["--cpus=0.5", 125, "no program given", "nsk run [options]"],
    ["--cpus x true", 125, "invalid argument 'x' for --cpus: a number such as 0.5"],
    ["--cpus 0.001 true", 125, "invalid argument '0.001' for --cpus: the smallest is 0.01"],
    ["--memory 1k true", 125, "invalid argument '1k' for --memory: the least is 6m"],
    ["--memory much true", 125, "invalid argument 'much' for --memory: a size such as 64m"],
    ["--pids-limit many true", 125, "invalid argument 'many' for --pids-limit: a whole number"],
    ["--cpuset-cpus a true", 125, "invalid argument 'a' for --cpuset-cpus: a list such as 0-2,4"],
    [
      "--network bridge true",
      125,
      "--network bridge: nsk run has none, pasta, slirp4netns, host, container:NAME",
    ],
    ["-h '' true", 125, "invalid --hostname '': 1 to 64 bytes"],
    ["-w relative true", 125, "the working directory 'relative' is invalid, it needs to be an absolute path"],
    [
      "-u nobody-here true",
      125,
      "unable to find user nobody-here: no matching entries in the container's /etc/passwd",
    ],
    [
      "-u 0:nobody-here true",
      125,
      "unable to find group nobody-here: no matching entries in the container's /etc/group",
    ],
    ["-v name:/x true", 125, "invalid volume 'name:/x': nsk has no named volumes", "write a path"],
    ["-v /a true", 125, "invalid volume '/a': SRC:DST[:ro]"],
    ["-e =x true", 125, "invalid environment variable: =x"],
    ["--rootfs DIR/no true", 125, "--rootfs DIR/no: no such directory"],
    ["--rootfs DIR/file true", 125, "--rootfs DIR/file: not a directory"],
    ["--rootfs / true", 125, "--rootfs / would be this machine itself", "/:O"],
    ["-v DIR/no:/x true", 125, `bind DIR/no failed: ${ENOENT}`, "the source of -v must be there"],
    ["-w /etc/passwd true", 125, "change the working directory to /etc/passwd failed: Not a directory"],
    ["-- no-such-program", 127, `execute no-such-program failed: ${ENOENT}`],
    ["/etc/passwd", 126, `execute /etc/passwd failed: ${EACCES}`],
    ["/etc", 126, `execute /etc failed: ${EACCES}`],
    ["--cpus 0.5 -m 64m -- no-such-program", 127, `execute no-such-program failed: ${ENOENT}`],
    [
      "--cpus 0.5 -m 64m -w /etc/passwd true",
      125,
      "change the working directory to /etc/passwd failed: Not a directory",
    ],
  ]);
  live(
    "a processor that is not there takes the groups back",
    () => {
      const words = [
        "unshare",
        "-m",
        "sh",
        apart,
        nsk,
        "run",
        "--cpus",
        "0.5",
        "--cpuset-cpus",
        "4095",
        "true",
      ];
      const ran = runCommand(words, { PATH: "/usr/bin:/bin:/usr/sbin" });
      expect(ran.stderr).toMatch(
        /^nsk run: write "4095" to \S*\/cpuset\.cpus failed: (Numerical result out of range|Invalid argument)\nhint: .*\n$/,
      );
      expect([ran.status, ran.stdout]).toEqual([125, ""]);
    },
    root ?? cannotCompare(),
  );
  table(
    "run",
    [["-u 65533 true", 125, "user 65533 is not among the ids of the container's user namespace", "usermod"]],
    PLAIN,
  );
  live("no more namespaces", () => {
    const script = `echo 0 >/proc/sys/user/max_mnt_namespaces && mount -t tmpfs tmpfs /run && exec "$@"`;
    const ran = runCommand(["unshare", "-Urm", "sh", "-c", script, "sh", nsk, "run", "true"]);
    expectLines(ran, 125, "nsk run: fork failed: No space left on device", "/proc/sys/user");
  });
});

describe("/proc not mounted", () => {
  /** In a mount namespace without it, and without a core file of what dies there. */
  const without = (words: readonly string[]): Ran =>
    runCommand(["unshare", "-m", "sh", "-c", 'ulimit -c 0; umount -l /proc; "$@"', "sh", ...words]);

  live("nsk says so, and does nothing", () => {
    const made = join(scratch, "made");
    const message = "nsk: /proc is not mounted, and nsk cannot work without it";
    expectLines(without([nsk, "unshare", "--emit", made, "true"]), 1, message, "mount -t proc proc /proc");
    expectLines(without([nsk, "run", "true"]), 125, message, "mount -t proc proc /proc");
    expectLines(without([nsk]), 1, message, "mount -t proc proc /proc");
    expect(readdirSync(scratch)).not.toContain("made");
  });
  live("what --emit wrote needs none", () => {
    const file = join(scratch, "launcher");
    expect(
      runCommand([nsk, "unshare", "-um", "--emit", file, "sh", "-c", "hostname inside; hostname"]).status,
    ).toBe(0);
    expect(without([file])).toMatchObject({ status: 0, stdout: "inside\n", stderr: "" });
  });
  live("a step that needs it says so", () => {
    const file = join(scratch, "mapping");
    expect(runCommand([nsk, "unshare", "-r", "--emit", file, "true"]).status).toBe(0);
    expectLines(without([file]), 1, `nsk unshare: write /proc/self/uid_map failed: ${ENOENT}`);
  });
});
