// The run of every command line shows the calls that `--explain` of the same line printed, in that order, and nothing
// else. What is taken for equal is listed in support/strace.ts.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cannotCompare, directoryOf, removeGroups, uniqueName } from "./commands/libcgroup.ts";
import { needs } from "./support/needs.ts";
import { nsk, runCommand } from "./support/nsk.ts";
import {
  beforeLauncher,
  parseCall,
  parseTrace,
  type SideBySide,
  sideBySide,
  type Trace,
} from "./support/strace.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-strace-"));
const here = join(scratch, "a directory");
const busybox = join(scratch, "rootfs");
const group = uniqueName();

/** As little as a program needs, and the first two entries of PATH lead nowhere. */
const env = { PATH: "/nowhere:/usr/bin:/bin:/usr/sbin", LC_ALL: "C", SHELL: "/bin/true", LAST: 'a "b"\\ \t' };

beforeAll(() => {
  mkdirSync(here);
  mkdirSync(join(scratch, "kept"));
  chmodSync(scratch, 0o755);
  writeFileSync(join(scratch, "subordinate"), "nobody:100000:65536\n");
  for (const directory of ["bin", "proc", "dev", "sys", "tmp"])
    mkdirSync(join(busybox, directory), { recursive: true });
  writeFileSync(join(scratch, "file"), "");
  if (needs("busybox") === undefined) runCommand(["cp", Bun.which("busybox")!, join(busybox, "bin/true")]);
});
afterAll(() => {
  rmSync(scratch, { recursive: true });
  if (!cannotCompare()) removeGroups(group);
});

const plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

interface Run {
  readonly explained: string;
  readonly trace: Trace;
}

let traces = 0;

/** On a terminal of its own, which what it prints on stdout does not go to. @see script(1) */
const onTerminal = (words: readonly string[]): readonly string[] => {
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`);
  return ["sh", "-c", `exec 3>&1; SHELL=/bin/sh exec script -qec "$0 >&3" /dev/null >&2`, quoted.join(" ")];
};

/** The same words explained and traced. `before`: what starts nsk, `around`: how all of it is started. */
const both = (
  words: readonly string[],
  before: readonly string[] = [],
  around = (all: readonly string[]) => all,
): Run => {
  const [command, ...rest] = words as [string, ...string[]];
  const explain = runCommand(around([...before, nsk, command, "--explain", ...rest]), env, "alone");
  expect(explain.stderr).toBe("");
  expect(explain.status).toBe(0);
  const file = join(scratch, `trace-${traces++}`);
  // strace opens its file before it is somebody else: as root, and the program is started by the same words.
  const strace = ["strace", "-f", "-v", "--pidns-translation", "-s", "65536", "-o", file];
  const ran = runCommand(around([...strace, ...before, nsk, ...words]), env, "alone");
  expect(ran.stderr).toBe("");
  expect(ran.status).toBe(0);
  return { explained: explain.stdout, trace: parseTrace(readFileSync(file, "utf8")) };
};

const compare = ({ explained, trace }: Run): SideBySide => sideBySide(explained, trace, env);

const traced = (list: readonly string[], title: string, run: () => void): void => {
  const reason = needs("root", "strace", ...list);
  if (reason) test.skip(`${title} (${reason})`, run);
  else test(title, run);
};

const same = (words: readonly string[], before: readonly string[] = [], list: readonly string[] = []): void =>
  traced(
    list,
    `${before.length ? "$ " : "# "}${words.map((word) => word.replace(scratch, "DIR")).join(" ")}`,
    () => {
      const { explained, traced } = compare(both(words, before));
      expect(traced).toEqual(explained);
      expect(traced.length).toBeGreaterThan(0);
    },
  );

/** The same in surroundings that both have. */
const sameAround = (
  words: readonly string[],
  around: typeof onTerminal,
  before: readonly string[],
  list: readonly string[],
): void =>
  traced(
    list,
    `${before.length ? "$ " : "# "}${words.map((word) => word.replace(scratch, "DIR")).join(" ")}`,
    () => {
      const { explained, traced } = compare(both(words, before, around));
      expect(traced).toEqual(explained);
    },
  );

/** The environment as the test gave it: a shell hands it on in another order, and adds to it. */
const asGiven = ["env", "-i", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];

/**
 * With a directory for namespaces that are to stay, in a mount namespace that does not. On one processor: Linux 6.18
 * tells the older of two mount namespaces by numbers that each processor gives out for itself, and refuses the younger.
 */
const onPrivateMount = (words: readonly string[]): readonly string[] => {
  const script = 'mount -t tmpfs tmpfs "$0" && touch "$0"/u "$0"/i "$0"/n "$0"/C "$0"/T && exec "$@"';
  return ["taskset", "-c", "0", "unshare", "-m", "sh", "-c", script, `${scratch}/kept`, ...asGiven, ...words];
};

/** On a machine whose files give `nobody` some ids. */
const withSubordinateIds = (words: readonly string[]): readonly string[] => {
  const script = 'mount --bind "$0" /etc/subuid && mount --bind "$0" /etc/subgid && exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, `${scratch}/subordinate`, ...asGiven, ...words];
};

describe("unshare", () => {
  const lines = [
    "true",
    "-- true",
    "-m true",
    "-u true",
    "-i true",
    "-n true",
    "-p true",
    "-U true",
    "-C true",
    "-T true",
    "-muinpUCT true",
    "-f true",
    "-pf true",
    "-mpf --mount-proc true",
    "-muinpUCTf --mount-proc true",
    "-r true",
    "-c true",
    "--map-user=1000 true",
    "--map-group=1000 true",
    "--map-user=daemon --map-group=daemon true",
    "-Urm true",
    "-Urpf --mount-proc true",
    "-U --setgroups=deny true",
    "-U --setgroups=allow true",
    "-r --setgroups=deny true",
    "--mount-proc=/proc true",
    "-m --propagation=private true",
    "-m --propagation=slave true",
    "-m --propagation=shared true",
    "-m --propagation=unchanged true",
    "--propagation=slave true",
    "--kill-child true",
    "-p --kill-child=TERM true",
    "--kill-child=34 true",
    "-R / true",
    "-w / true",
    "-R / -w /tmp true",
    "-S 1 true",
    "-G 1 true",
    "-S 65534 -G 65534 true",
    "-mpfR / --mount-proc -w /tmp -S 1 -G 1 true",
    "-m", // the shell
    "/bin/true",
    "-U /usr/bin/true -la --x",
    "-r --map-users=1:100000:10 --map-groups=1:100000:10 true",
    "-r --map-users=0:100000:10 true",
    "--map-users=all --map-groups=all true",
    "--map-groups=5:6:7 --map-group=9 --setgroups=deny true",
    "-r --owner=65534:65534 true",
    "--owner=1:1 --map-users=all -fp true",
    "-U --keep-caps true",
    "-rc --keep-caps -S 0 true",
    "-T --boottime=1000 --monotonic=-1 true",
    "-Tf --boottime=+1000 true",
    "-rT --monotonic=7 true",
    "-f --forward-signals true",
    "-p --forward-signals --kill-child -S 1 true",
    "-r --mount-binfmt true",
    "-rm -l :nsk:E::nsk::/bin/true: true",
    "-r -l :nsk:E::nsk::/bin/true:F -R / true",
    "--mount-proc --propagation=unchanged true",
    "--mount-proc --propagation=shared true",
  ];
  for (const line of lines) same(["unshare", ...line.split(" ")]);
  same([
    "unshare",
    "-w",
    here,
    "true",
    "an argument",
    "",
    'a "quote"',
    "\\n",
    "\n",
    "\x01",
    "\u{e4}\u{20ac}",
  ]);
  same(["unshare", "-fpR", busybox, "/bin/true"], [], ["busybox"]);
  const files = ["u", "i", "n", "C", "T"].map((letter) => `${scratch}/kept/${letter}`);
  for (const line of [
    `--uts=${files[0]} true`,
    `--uts=${files[0]} --ipc=${files[1]} --net=${files[2]} --cgroup=${files[3]} --time=${files[4]} true`,
    `--mount=${files[0]} true`,
    `--user=${files[0]} --mount=${files[1]} --net=${files[2]} -r true`,
    `--pid=${files[0]} -f true`,
    `--pid=${files[0]} --mount=${files[1]} --kill-child true`,
    `-r --map-users=1:100000:9 --pid=${files[0]} --user=${files[1]} -f --time=${files[2]} --boottime=9 true`,
  ])
    sameAround(["unshare", ...line.split(" ")], onPrivateMount, [], ["taskset"]);
  for (const line of [
    "--map-auto true",
    "-r --map-auto true",
    "--map-subids true",
    "-c --map-users=subids true",
  ])
    sameAround(["unshare", ...line.split(" ")], withSubordinateIds, plain, ["setpriv", "newuidmap"]);
  for (const line of [
    "-U true",
    "-Ur true",
    "-c true",
    "-Urmpf --mount-proc true",
    "--map-user=7 true",
    "-Un --kill-child true",
  ])
    same(["unshare", ...line.split(" ")], plain, ["setpriv"]);
});

describe("nsenter", () => {
  /** Its namespaces are to be entered. */
  let target: Bun.Subprocess<"ignore", "pipe", "ignore">;
  let first: number;
  beforeAll(async () => {
    if (needs("root", "strace") !== undefined) return;
    target = Bun.spawn(["/usr/bin/unshare", "-muinpUCTf", "-r", "sh", "-c", "echo; exec sleep 1000"], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
      env: { ...env, ONE: "1", TWO: 'a "b"' },
    });
    await target.stdout.getReader().read();
    first = Number(readFileSync(`/proc/${target.pid}/task/${target.pid}/children`, "utf8"));
  });
  afterAll(async () => {
    if (!target) return;
    process.kill(first, "SIGKILL");
    await target.exited;
  });
  const lines = [
    "true",
    "-t PID -u true",
    "-t PID -m true",
    "-t PID -a true",
    "-t PID -aF true",
    "-t PID -m -u -i -n -p -C true",
    "-t PID -n/proc/PID/ns/net -u true",
    "-n/proc/PID/ns/net -u/proc/PID/ns/uts true",
    "-t PID -U true",
    "-t PID -U --preserve-credentials true",
    "-t PID -U -u/proc/PID/ns/uts -n true",
    "-U/proc/PID/ns/user -t PID -n true",
    "-t PID -S follow -G follow true",
    "-t PID -a -S follow -G 0 true",
    "-t PID -U --keep-caps -S 0 true",
    "-t PID -n --user-parent true",
    "-S 1 -G 2 true",
    "-r/ true",
    "-r/ -w/tmp true",
    "-r/ -W/tmp true",
    "-w/tmp true",
    "-t PID -m -r -w true",
    "-t PID -m -W/tmp true",
    "-t PID -p true",
    "-t PID -e true",
    "-t PID -c true",
  ];
  for (const line of lines)
    traced([], `# nsk nsenter ${line}`, () => {
      const words = line.replaceAll("PID", String(first)).split(" ");
      const run = both(["nsenter", ...words]);
      // With --env the program gets what the target was started with, and the plan says each word.
      const { explained, traced } = compare(run);
      expect(traced).toEqual(explained);
      expect(traced.length).toBeGreaterThan(0);
    });
});

describe("cgexec", () => {
  const grouped = (words: string[]): void => {
    const reason = cannotCompare();
    if (reason) test.skip(`${words.join(" ")} (${reason})`, () => {});
    else {
      beforeAll(() => {
        for (const controller of ["cpu", "memory"])
          mkdirSync(directoryOf(`${controller}:${group}`), { recursive: true });
      });
      same(words);
    }
  };
  grouped(["cgexec", "-g", `cpu:${group}`, "true"]);
  grouped(["cgexec", "-g", `cpu,memory:${group}`, "true"]);
  grouped(["cgexec", "-g", `cpu:${group}`, "-g", `memory:/${group}`, "--sticky", "true", "-g"]);
});

describe("run", () => {
  const lines: string[][] = [
    ["true"],
    ["--", "true", "-x", "--", ""],
    ["-h", "box", "true"],
    ["-e", "A=1", "-e", "PATH=/bin", "-e", "SHELL", "true"],
    ["-w", "/tmp/nsk-made", "true"],
    ["-u", "1", "true"],
    ["-u", "daemon:65534", "true"],
    ["--read-only", "true"],
    ["--network", "host", "true"],
    ["-i", "true"],
    ["-v", `${here}:/mnt`, "true"],
    ["-v", `${here}:/a/b/c:ro`, "-v", `${scratch}/file:/a/file`, "true"],
    ["--rootfs", "/:O", "true"],
    ["--init", "true"],
    ["--init", "-u", "1:1", "--security-opt", "no-new-privileges", "true"],
    [
      "--tmpfs",
      "/a/b:size=1m,ro",
      "--mount",
      `type=bind,source=${here},target=/a`,
      "--shm-size",
      "3m",
      "true",
    ],
    [
      "--ulimit",
      "nofile=100:8192",
      "--ulimit",
      "core=-1:-1",
      "--oom-score-adj",
      "5",
      "--group-add",
      "9",
      "true",
    ],
    ["--sysctl", "net.ipv4.ip_forward=1", "--dns", "1.1.1.1", "--add-host", "a:1.2.3.4", "true"],
    ["--device", "/dev/null:/dev/more/nothing:r", "true"],
    ["--ipc", "host", "--uts", "host", "true"],
    ["--ipc", "none", "true"],
    ["--name", `nsk-strace-${process.pid}`, "--label", "a=b", "--stop-signal", "INT", "true"],
    ["--security-opt", "no-new-privileges", "true"],
    ["--security-opt", "no-new-privileges", "-u", "1:1", "--cap-add", "SYS_PTRACE", "true"],
    ["--privileged", "true"],
    ["--privileged", "-u", "1:1", "true"],
    ["--security-opt", "seccomp=unconfined", "--cap-drop", "ALL", "true"],
  ];
  for (const words of lines) same(["run", ...words]);
  if (existsSync("/sys/fs/cgroup/devices") && existsSync("/sys/fs/cgroup/unified"))
    sameAround(["run", "true"], withoutDevicesController, [], []);
  const terminal = (words: string[], around: typeof onTerminal | undefined): void =>
    traced(["script"], `${words.join(" ")} ${around ? "on a terminal" : "without a terminal"}`, () => {
      const { explained, traced } = compare(both(words, [], around));
      expect(traced).toEqual(explained);
    });
  terminal(["run", "-t", "true"], undefined);
  terminal(["run", "-i", "-t", "--detach-keys", "", "true"], onTerminal);
  same(["run", "--rootfs", busybox, "/bin/true"], [], ["busybox"]);
  same(["run", "--rootfs", `${busybox}:O`, "--read-only", "-u", "7:8", "true"], [], ["busybox"]);
  const limits = [
    ["--cpus", "0.5", "true"],
    ["-m", "64m", "true"],
    ["--pids-limit", "20", "true"],
    ["-c", "512", "--cpuset-cpus", "0", "true"],
    [
      "--cpus",
      "1",
      "-c",
      "2",
      "-m",
      "32m",
      "--pids-limit",
      "9",
      "-u",
      "1:1",
      "--read-only",
      "-v",
      `${here}:/mnt:ro`,
      "true",
    ],
  ];
  for (const words of limits) {
    const reason = cannotCompare();
    if (reason) test.skip(`run ${words.join(" ")} (${reason})`, () => {});
    else same(["run", ...words]);
  }
});

describe("containers in the background", () => {
  const id = `nsk-strace-joined-${process.pid}`;
  const isRoot = needs("root") === undefined;
  beforeAll(() => {
    if (isRoot) runCommand([nsk, "run", "-d", "--name", id, "sleep", "1000"]);
  });
  afterAll(() => {
    if (isRoot) runCommand([nsk, "rm", "-f", id]);
  });
  same(["run", "-d", "--rm", "true"]);
  same(["run", "-d", "-i", "--init", "--rm", "-u", "1:1", "--timeout", "60", "true"]);
  same(["exec", id, "true"]);
  same(["exec", "-u", "1:1", "-w", "/tmp", "-e", "A=b", id, "true"]);
  same(["exec", "--privileged", id, "true"]);
  same(["exec", "-d", id, "true"]);
});

describe("run without root", () => {
  const directory = "/tmp/nsk-65534";
  afterAll(() => rmSync(directory, { recursive: true, force: true }));
  const lines: string[][] = [
    ["true"],
    ["-u", "1", "-v", `${here}:/mnt:ro`, "true"],
    ["--network", "host", "--ipc", "host", "--read-only", "true"],
    ["--userns", "keep-id", "--init", "true"],
    ["--name", `nsk-strace-plain-${process.pid}`, "--privileged", "--device", "/dev/null:/dev/x", "true"],
    ["--rootfs", `${busybox}:O`, "/bin/true"],
  ];
  for (const words of lines) {
    const isLess = words.some((word) => word.startsWith("--privileged"));
    if (!isLess) sameAround(["run", ...words], withSubordinateIds, plain, ["busybox", "newuidmap"]);
    // nobody is mapped to nobody: without ranges there is one id.
    if (!words.includes("-u") && !words.includes("keep-id") && !isLess)
      same(["run", ...words], plain, ["busybox"]);
  }
});

/** `run` removes what killed supervisors have left, and tests beside this one kill some: with a /run of its own it finds none. */
const inPrivateRun = (words: readonly string[]): readonly string[] => {
  const script = 'mount -t tmpfs tmpfs /run && exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, "sh", ...words];
};

/** As on a machine with version 2's tree alone: devices are held by a program there. */
const withoutDevicesController = (words: readonly string[]): readonly string[] => {
  const script = 'umount /sys/fs/cgroup/devices && exec "$@"';
  return ["unshare", "-m", "sh", "-c", script, "sh", ...asGiven, ...words];
};

describe("before the launcher", () => {
  /** Calls that change something outside of the process, or of what a program is given. */
  const acts =
    /^(unshare|setns|clone|fork|vfork|mount|umount2|move_mount|open_tree|mount_setattr|pivot_root|chroot|f?chdir|mkdir(at)?|rmdir|unlink(at)?|rename.*|link(at)?|symlink(at)?|f?chmod(at)?|f?chown(at)?|mknod(at)?|set.*id|setgroups|capset|sethostname|umask|kill|tgkill|setsid|setpgid|connect|bind|sendto|sendmsg)$/;
  const lines = [
    ["unshare", "-Urmpf", "--mount-proc", "true"],
    ["run", "-v", `${scratch}:/mnt`, "true"],
  ];
  for (const words of lines)
    traced([], `nsk ${words[0]} reads, and does nothing`, () => {
      const { calls } = beforeLauncher(both(words, [], inPrivateRun).trace);
      expect(calls.length).toBeGreaterThan(100);
      expect(calls.filter(({ name }) => acts.test(name))).toEqual([]);
      const opened = calls.filter(({ name }) => name === "open" || name === "openat");
      const how = opened.map(({ name, args }) => (name === "open" ? args[1]! : args[2]!));
      expect(
        how.filter((flags) => !flags.split("|").includes("O_RDONLY") || /O_CREAT|O_TRUNC/.test(flags)),
      ).toEqual([]);
      const made = calls.filter(({ name }) => name === "memfd_create").map(({ result }) => result);
      const written = calls.filter(({ name }) => name === "write").map(({ args }) => args[0]);
      expect(written.filter((fd) => !made.includes(fd))).toEqual([]);
    });
});

describe("the comparison sees", () => {
  let run: Run;
  let lines: string[] = [];
  /** Lines that the run shows; the candidates behind the program that was found are all that it cannot show. */
  let shown: number[] = [];
  const differs = (changed: readonly string[]): boolean => {
    const { explained, traced } = compare({ ...run, explained: changed.join("\n") });
    return !Bun.deepEquals(explained, traced);
  };
  const straced = (title: string, check: () => void): void =>
    traced([], title, () => {
      run ??= both(["run", "-v", `${here}:/mnt:ro`, "-u", "1:1", "true"]);
      lines = run.explained.split("\n").filter(Boolean);
      const isUntried = (line: string): boolean => /execve\("\/(usr\/)?s?bin\/true/.test(line);
      const found = lines.findIndex((line) => line.includes('execve("/usr/bin/true"'));
      shown = lines.flatMap((line, i) =>
        parseCall(line.trim()) && !(i > found && isUntried(line)) ? [i] : [],
      );
      expect(differs(lines)).toBe(false);
      check();
    });

  straced("a call that was not made", () => {
    for (const i of shown) {
      const more = lines.toSpliced(i, 0, `${/^ */.exec(lines[i]!)![0]}sync()`);
      expect([lines[i], differs(more)]).toEqual([lines[i], true]);
    }
  });
  straced("a call that was made and is not explained", () => {
    // Without its clone a child would have no place in the text.
    for (const i of shown.filter((i) => !lines[i]!.startsWith("clone(")))
      expect([lines[i], differs(lines.toSpliced(i, 1))]).toEqual([lines[i], true]);
  });
  straced("two calls in another order", () => {
    const cut = (line: string): string => line.replace(/ +# .*/, "");
    for (const i of shown) {
      const [one, other] = [lines[i]!, lines[i + 1] ?? ""];
      const depth = (line: string): number => /^ */.exec(line)![0].length;
      if (!shown.includes(i + 1) || cut(one) === cut(other) || depth(one) !== depth(other)) continue;
      expect([one, differs(lines.toSpliced(i, 2, other, one))]).toEqual([one, true]);
    }
  });
  straced("another argument", () => {
    for (const i of shown) {
      const line = lines[i]!;
      const [call] = line.split(/ +# /) as [string];
      const changes = [
        call.replace(/"([^"]*)"/, '"$1x"'),
        call.replace(/\b(\d+)\b(?=[,)])/, "1$1"),
        call.replace(/\b(?:MS|O|CLONE|CAP|S|AT|MNT|LOCK|PR)_[A-Z_]+/, "$&X"),
        call.replace(/\|[A-Z_]+/, ""),
        call.replace(/, [^,(){}[\]]*\)(?= = \w+$|$)/, ")"),
      ];
      for (const changed of changes)
        if (changed !== call) expect([changed, differs(lines.with(i, changed))]).toEqual([changed, true]);
    }
  });
  straced("another descriptor, process or mask", () => {
    for (const i of shown) {
      const line = lines[i]!;
      const changed = line.replace(
        /(?<=[(=, ])(fd|record|signals|pid|mask|umask|supervisor|socket|null|volume\d)(?=[,)])/,
        "self",
      );
      if (changed !== line && !/^rt_sigprocmask\(SIG_BLOCK/.test(line))
        expect([changed, differs(lines.with(i, changed))]).toEqual([changed, true]);
    }
  });
  straced("a child's call at its parent", () => {
    const last = lines.findLastIndex((line) => line.startsWith("  "));
    expect(differs(lines.with(last, lines[last]!.trim()))).toBe(true);
  });
  straced("another environment", () => {
    const { explained, trace } = both(["unshare", "true"]);
    const lines = sideBySide(explained, trace, { ...env, LAST: "" });
    expect(lines.traced).not.toEqual(lines.explained);
  });
});
