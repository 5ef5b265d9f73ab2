// unshare's plans: a line of options and a host that exists only here, and the calls that come of it.

import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import { errno } from "../../src/abi/errno.ts";
import { explain, explainJson, explainLines } from "../../src/backends/explain.ts";
import { parse } from "../../src/cli/getopt.ts";
import { unshare, unshareRequest } from "../../src/commands/unshare.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import type { Host } from "../../src/host/host.ts";
import { planUnshare } from "../../src/namespaces/unshare.ts";
import { checkPlan } from "../../src/plan/check.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { hintOf } from "../support/steps.ts";
import { refuses } from "./refusals.ts";

const accounts = {
  "/etc/passwd":
    "root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/usr/sbin/nologin\nann:x:1000:1000::/home/ann:/bin/zsh\n",
  "/etc/group": "root:x:0:\ndaemon:x:1:\nstaff:x:50:ann\n",
};
const files = {
  ...accounts,
  "/etc/subuid": "# ids\nbob:1:1\nroot:100000:65536\nroot:1:1\nann:300000:10\n",
  "/etc/subgid": "0:200000:1000\n1000:400000:10\n",
  "/proc/self/uid_map": "         0     100000          5\n         7     200000          3\n",
  "/proc/self/gid_map": "         0          0 4294967295\n",
  "/proc/sys/kernel/cap_last_cap": "1\n",
};
const root = fixtureHost({ files });
const ann = fixtureHost({ euid: 1000, egid: 1001, files });

const planOf = (line: string, host: Host): Plan => {
  const words = line === "" ? [] : line.split(" ");
  const { options, operands } = parse(unshare.definition.args, words, { name: "nsk unshare" });
  return planUnshare("nsk unshare", unshareRequest(options, operands, host), host);
};

/**
 * Explained calls in short: `FILE < VALUE` for open, write and close, and `exec WORDS` for all candidates. Lines of a
 * child are indented.
 */
const short = (plan: Plan): string[] => {
  const out: string[] = [];
  let file = "";
  for (const { depth, text, heading } of explainLines(plan.steps)) {
    if (heading || text === "close(fd)") continue;
    const indent = "  ".repeat(depth);
    const opened = /^openat\(AT_FDCWD, "(.*)", O_WRONLY\|O_CLOEXEC\) = fd$/.exec(text);
    const written = /^write\(fd, "(.*)", (\d+)\)$/.exec(text);
    const executed = /^execve\("(?!.*new[ug]idmap").*?", \[(.*)\], environ\)$/.exec(text);
    if (opened) file = opened[1]!;
    else if (written) out.push(`${indent}${file} < ${written[1]}`);
    else if (executed) {
      const line = `${indent}exec ${executed[1]!.replaceAll('"', "").replaceAll(",", "")}`;
      if (out.at(-1) !== line) out.push(line);
    } else out.push(indent + text);
  }
  return out;
};

const PRIVATE = 'mount("none", "/", NULL, MS_REC|MS_PRIVATE, NULL)';
const PROC = 'mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)';
const USER = "unshare(CLONE_NEWUSER)";
const mapped = (uid: string, gid: string): string[] => [
  `/proc/self/uid_map < ${uid}`,
  "/proc/self/setgroups < deny",
  `/proc/self/gid_map < ${gid}`,
];
const indented = (lines: readonly string[]): string[] => lines.map((line) => `  ${line}`);
const DEFAULT_SIGCHLD = "rt_sigaction(SIGCHLD, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, NULL, 8)";
const forked = (...inside: string[]): string[] => [
  'prctl(PR_SET_NAME, "nsk")',
  DEFAULT_SIGCHLD,
  "rt_sigprocmask(SIG_BLOCK, [INT TERM], mask, 8)",
  "clone(child_stack=NULL, flags=SIGCHLD) = pid",
  ...indented(["rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)", ...inside]),
  "wait4(pid, status, WUNTRACED, NULL) = pid",
];
const killed = (signal: string, ...inside: string[]): string[] => [
  'prctl(PR_SET_NAME, "nsk")',
  DEFAULT_SIGCHLD,
  "rt_sigprocmask(SIG_BLOCK, [INT TERM], mask, 8)",
  "getpid() = self",
  "pidfd_open(self, 0) = parent",
  "clone(child_stack=NULL, flags=SIGCHLD) = pid",
  ...indented([
    `prctl(PR_SET_PDEATHSIG, ${signal})`,
    "ppoll([{fd=parent, events=POLLIN}], 1, {tv_sec=0, tv_nsec=0}, NULL, 0)",
    "rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)",
    ...inside,
  ]),
  "wait4(pid, status, WUNTRACED, NULL) = pid",
];

/** With a helper that works from outside. */
const helped = (
  unshared: string,
  work: readonly string[],
  inside: readonly string[],
  before: readonly string[] = [],
): string[] => [
  DEFAULT_SIGCHLD,
  "getpid() = self",
  "pipe2(ready, O_CLOEXEC)",
  "clone(child_stack=NULL, flags=SIGCHLD) = helper",
  ...indented(["close(ready[1])", "read(ready[0], word, 1)", ...work, "exit_group(0)"]),
  ...before,
  unshared,
  'write(ready[1], ".", 1)',
  "wait4(helper, status, 0, NULL) = helper",
  ...inside,
];
/** A plain user's helper has a helper of its own for each map. */
const newidmap = (program: string, words: string): string[] => [
  `clone(child_stack=NULL, flags=SIGCHLD) = ${program}`,
  ...indented([
    `execve("/usr/bin/${program}", ["${program}", "<self>", ${words}], environ)`,
    "exit_group(0)",
  ]),
  `wait4(${program}, status, 0, NULL) = ${program}`,
];
const BINFMT_DIR = "/proc/sys/fs/binfmt_misc";
const BINFMT = `mount("binfmt_misc", "${BINFMT_DIR}", "binfmt_misc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)`;
const AMBIENT = [
  "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, caps)",
  "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=permitted, permitted=permitted, inheritable=permitted})",
  "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)",
  "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)",
];

const rows: readonly [line: string, host: Host, calls: readonly string[]][] = [
  ["true", root, ["exec true"]],
  ["-- -x", root, ["exec -x"]],
  ["-m ls -la", root, ["unshare(CLONE_NEWNS)", PRIVATE, "exec ls -la"]],
  ["--mount ls --user", root, ["unshare(CLONE_NEWNS)", PRIVATE, "exec ls --user"]],
  ["-u true", root, ["unshare(CLONE_NEWUTS)", "exec true"]],
  ["-i true", root, ["unshare(CLONE_NEWIPC)", "exec true"]],
  ["-n true", root, ["unshare(CLONE_NEWNET)", "exec true"]],
  ["-p true", root, ["unshare(CLONE_NEWPID)", "exec true"]],
  ["-U true", root, [USER, "exec true"]],
  ["-C true", root, ["unshare(CLONE_NEWCGROUP)", "exec true"]],
  ["-T true", root, ["unshare(CLONE_NEWTIME)", "exec true"]],
  [
    "-TCUpniu true",
    root,
    [
      "unshare(CLONE_NEWTIME|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWUSER|CLONE_NEWPID|CLONE_NEWNET)",
      "exec true",
    ],
  ],
  ["-f true", root, forked("exec true")],
  ["-pf true", root, ["unshare(CLONE_NEWPID)", ...forked("exec true")]],
  ["-r true", root, [USER, ...mapped("0 0 1", "0 0 1"), "exec true"]],
  ["-r true", ann, [USER, ...mapped("0 1000 1", "0 1001 1"), "exec true"]],
  ["-c true", ann, [USER, ...mapped("1000 1000 1", "1001 1001 1"), "exec true"]],
  ["-rc true", ann, [USER, ...mapped("1000 1000 1", "1001 1001 1"), "exec true"]],
  ["-cr true", ann, [USER, ...mapped("0 1000 1", "0 1001 1"), "exec true"]],
  ["-r --map-user=5 true", ann, [USER, ...mapped("5 1000 1", "0 1001 1"), "exec true"]],
  ["--map-group=5 --map-user=6 -c true", ann, [USER, ...mapped("1000 1000 1", "1001 1001 1"), "exec true"]],
  ["--map-user=7 true", ann, [USER, "/proc/self/uid_map < 7 1000 1", "exec true"]],
  ["--map-user daemon true", ann, [USER, "/proc/self/uid_map < 1 1000 1", "exec true"]],
  ["--map-user=4294967294 true", ann, [USER, "/proc/self/uid_map < 4294967294 1000 1", "exec true"]],
  [
    "--map-group=staff true",
    ann,
    [USER, "/proc/self/setgroups < deny", "/proc/self/gid_map < 50 1001 1", "exec true"],
  ],
  ["--map-user=1 --map-group=2 true", ann, [USER, ...mapped("1 1000 1", "2 1001 1"), "exec true"]],
  ["-U --setgroups=deny true", ann, [USER, "/proc/self/setgroups < deny", "exec true"]],
  ["-U --setgroups allow true", ann, [USER, "/proc/self/setgroups < allow", "exec true"]],
  ["-r --setgroups=deny true", ann, [USER, ...mapped("0 1000 1", "0 1001 1"), "exec true"]],
  ["--mount-proc true", root, ["unshare(CLONE_NEWNS)", PRIVATE, PROC, "exec true"]],
  [
    "--mount-proc=/mnt true",
    root,
    ["unshare(CLONE_NEWNS)", PRIVATE, PROC.replace('"/proc"', '"/mnt"'), "exec true"],
  ],
  [
    "-Ur --mount-proc true",
    root,
    ["unshare(CLONE_NEWNS|CLONE_NEWUSER)", ...mapped("0 0 1", "0 0 1"), PRIVATE, PROC, "exec true"],
  ],
  [
    "-Urpf --mount-proc true",
    ann,
    [
      "unshare(CLONE_NEWNS|CLONE_NEWUSER|CLONE_NEWPID)",
      ...forked(...mapped("0 1000 1", "0 1001 1"), PRIVATE, PROC, "exec true"),
    ],
  ],
  ["-m --propagation=private true", root, ["unshare(CLONE_NEWNS)", PRIVATE, "exec true"]],
  [
    "-m --propagation=slave true",
    root,
    ["unshare(CLONE_NEWNS)", PRIVATE.replace("PRIVATE", "SLAVE"), "exec true"],
  ],
  [
    "-m --propagation=shared true",
    root,
    ["unshare(CLONE_NEWNS)", PRIVATE.replace("PRIVATE", "SHARED"), "exec true"],
  ],
  ["-m --propagation unchanged true", root, ["unshare(CLONE_NEWNS)", "exec true"]],
  ["--propagation=shared true", root, ["exec true"]],
  ["--kill-child true", root, killed("SIGKILL", "exec true")],
  ["--kill-child=TERM true", root, killed("SIGTERM", "exec true")],
  ["--kill-child=sigint true", root, killed("SIGINT", "exec true")],
  ["--kill-child=1 true", root, killed("SIGHUP", "exec true")],
  ["--kill-child=34 true", root, killed("SIGRT_2", "exec true")],
  ["-fp --kill-child true", root, ["unshare(CLONE_NEWPID)", ...killed("SIGKILL", "exec true")]],
  ["-R /r true", root, ['chroot("/r")', 'chdir("/")', "exec true"]],
  ["-w /w true", root, ['chdir("/w")', "exec true"]],
  ["-R /r -w /w true", root, ['chroot("/r")', 'chdir("/w")', "exec true"]],
  ["-S 5 true", root, ["setuid(5)", "exec true"]],
  ["-G 6 true", root, ["setgroups(0, NULL)", "setgid(6)", "exec true"]],
  ["-S 5 -G 6 true", root, ["setgroups(0, NULL)", "setgid(6)", "setuid(5)", "exec true"]],
  [
    "-mR /r -w /w --mount-proc -S 5 -G 6 true",
    root,
    [
      "unshare(CLONE_NEWNS)",
      PRIVATE,
      'chroot("/r")',
      'chdir("/w")',
      PROC,
      "setgroups(0, NULL)",
      "setgid(6)",
      "setuid(5)",
      "exec true",
    ],
  ],
  // Namespaces that stay.
  [
    "--uts=/u --ipc=/i true",
    root,
    helped(
      "unshare(CLONE_NEWUTS|CLONE_NEWIPC)",
      [
        'mount("/proc/<self>/ns/ipc", "/i", NULL, MS_BIND, NULL)',
        'mount("/proc/<self>/ns/uts", "/u", NULL, MS_BIND, NULL)',
      ],
      ["exec true"],
    ),
  ],
  ...["--uts=/u -u true", "-u --uts=/u true", "--uts=/a --uts=/u true"].map(
    (line) =>
      [
        line,
        root,
        helped(
          "unshare(CLONE_NEWUTS)",
          ['mount("/proc/<self>/ns/uts", "/u", NULL, MS_BIND, NULL)'],
          ["exec true"],
        ),
      ] as [string, Host, string[]],
  ),
  [
    "--time=/t true",
    root,
    helped(
      "unshare(CLONE_NEWTIME)",
      ['mount("/proc/<self>/ns/time_for_children", "/t", NULL, MS_BIND, NULL)'],
      ["exec true"],
    ),
  ],
  [
    "--mount=/m --net=/n true",
    root,
    helped(
      "unshare(CLONE_NEWNS|CLONE_NEWNET)",
      [
        'mount("/proc/<self>/ns/net", "/n", NULL, MS_BIND, NULL)',
        'mount("/proc/<self>/ns/mnt", "/m", NULL, MS_BIND, NULL)',
      ],
      [PRIVATE, "exec true"],
    ),
  ],
  [
    "-f --pid=/p true",
    root,
    [
      DEFAULT_SIGCHLD,
      "getpid() = self",
      "pipe2(ready, O_CLOEXEC)",
      "clone(child_stack=NULL, flags=SIGCHLD) = helper",
      ...indented([
        "close(ready[1])",
        "read(ready[0], word, 1)",
        'mount("/proc/<self>/ns/pid_for_children", "/p", NULL, MS_BIND, NULL)',
        "exit_group(0)",
      ]),
      "unshare(CLONE_NEWPID)",
      'prctl(PR_SET_NAME, "nsk")',
      "rt_sigprocmask(SIG_BLOCK, [INT TERM], mask, 8)",
      "pipe2(go, O_CLOEXEC)",
      "clone(child_stack=NULL, flags=SIGCHLD) = pid",
      ...indented([
        "rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)",
        "close(go[1])",
        "read(go[0], word, 1)",
        "exec true",
      ]),
      'write(ready[1], ".", 1)',
      "wait4(helper, status, 0, NULL) = helper",
      'write(go[1], ".", 1)',
      "wait4(pid, status, WUNTRACED, NULL) = pid",
    ],
  ],
  // Ranges of ids.
  [
    "--map-users=0:100000:65536 true",
    root,
    helped(USER, ["/proc/<self>/uid_map < 0 100000 65536\\n"], ["exec true"]),
  ],
  [
    "--map-users=100000,0,65536 true",
    root,
    helped(USER, ["/proc/<self>/uid_map < 0 100000 65536\\n"], ["exec true"]),
  ],
  [
    "--map-users=0:1:2 --map-users=2:4:8 --map-groups=3:4:5 true",
    root,
    helped(
      USER,
      ["/proc/<self>/uid_map < 0 1 2\\n2 4 8\\n", "/proc/<self>/gid_map < 3 4 5\\n"],
      ["exec true"],
    ),
  ],
  [
    "-r --map-auto true",
    root,
    helped(
      USER,
      ["/proc/<self>/uid_map < 0 0 1\\n1 100000 65535\\n", "/proc/<self>/gid_map < 0 0 1\\n1 200000 999\\n"],
      ["exec true"],
    ),
  ],
  [
    "-r --map-auto true",
    ann,
    helped(
      USER,
      [
        ...newidmap("newuidmap", '"0", "1000", "1", "1", "300000", "9"'),
        ...newidmap("newgidmap", '"0", "1001", "1", "1", "400000", "9"'),
      ],
      ["exec true"],
    ),
  ],
  [
    "-r --map-users=subids true",
    ann,
    helped(USER, newidmap("newuidmap", '"0", "1000", "1", "300000", "300000", "10"'), [
      "/proc/self/setgroups < deny",
      "/proc/self/gid_map < 0 1001 1",
      "exec true",
    ]),
  ],
  [
    "--map-subids true",
    ann,
    helped(
      USER,
      [
        ...newidmap("newuidmap", '"300000", "300000", "10"'),
        ...newidmap("newgidmap", '"400000", "400000", "10"'),
      ],
      ["exec true"],
    ),
  ],
  [
    "--map-users=all --map-groups=all --setgroups=deny true",
    root,
    helped(
      USER,
      [
        "/proc/<self>/uid_map < 0 0 5\\n7 7 3\\n",
        "/proc/<self>/setgroups < deny",
        "/proc/<self>/gid_map < 0 0 4294967295\\n",
      ],
      ["exec true"],
    ),
  ],
  // An owner.
  ["--owner=5:6 true", root, ["setresgid(-1, 6, -1)", "setresuid(-1, 5, -1)", USER, "exec true"]],
  [
    "--owner=ann:staff -r true",
    root,
    helped(
      USER,
      ["/proc/<self>/uid_map < 0 0 1\\n", "/proc/<self>/setgroups < deny", "/proc/<self>/gid_map < 0 0 1\\n"],
      ["setresgid(-1, 0, -1)", "setresuid(-1, 0, -1)", "exec true"],
      ["setresgid(-1, 50, -1)", "setresuid(-1, 1000, -1)"],
    ),
  ],
  // Clocks, binfmt_misc, signals.
  [
    "-T --boottime=100 --monotonic=-5 true",
    root,
    [
      "unshare(CLONE_NEWTIME)",
      "/proc/self/timens_offsets < 7 100 0",
      "/proc/self/timens_offsets < 1 -5 0",
      "exec true",
    ],
  ],
  [
    "-Tf --boottime +9 true",
    root,
    ["unshare(CLONE_NEWTIME)", "/proc/self/timens_offsets < 7 9 0", ...forked("exec true")],
  ],
  ["--mount-binfmt true", root, ["unshare(CLONE_NEWNS|CLONE_NEWUSER)", PRIVATE, BINFMT, "exec true"]],
  [
    "--mount-binfmt=/b true",
    root,
    ["unshare(CLONE_NEWNS|CLONE_NEWUSER)", PRIVATE, BINFMT.replace(BINFMT_DIR, "/b"), "exec true"],
  ],
  [
    "-l :a:E::b::/c: true",
    root,
    [
      "unshare(CLONE_NEWNS|CLONE_NEWUSER)",
      PRIVATE,
      BINFMT,
      `${BINFMT_DIR}/register < :a:E::b::/c:`,
      "exec true",
    ],
  ],
  [
    "-l :a:E::b::/c:F -R /r --mount-proc true",
    root,
    [
      "unshare(CLONE_NEWNS|CLONE_NEWUSER)",
      PRIVATE,
      BINFMT,
      `${BINFMT_DIR}/register < :a:E::b::/c:F`,
      'chroot("/r")',
      'chdir("/")',
      PROC,
      BINFMT,
      "exec true",
    ],
  ],
  [
    "--mount-proc --propagation=shared true",
    root,
    [
      "unshare(CLONE_NEWNS)",
      PRIVATE.replace("PRIVATE", "SHARED"),
      PRIVATE.replace('"/"', '"/proc"'),
      PROC,
      "exec true",
    ],
  ],
  [
    "--mount-proc --propagation=unchanged true",
    root,
    ["unshare(CLONE_NEWNS)", PRIVATE.replace('"/"', '"/proc"'), PROC, "exec true"],
  ],
  [
    "--forward-signals true",
    root,
    [
      'prctl(PR_SET_NAME, "nsk")',
      DEFAULT_SIGCHLD,
      "rt_sigprocmask(SIG_BLOCK, [INT TERM CHLD], mask, 8)",
      "clone(child_stack=NULL, flags=SIGCHLD) = pid",
      ...indented(["rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)", "exec true"]),
      "rt_sigtimedwait([INT TERM CHLD], NULL, NULL, 8)",
      "wait4(pid, status, WNOHANG|WUNTRACED, NULL) = pid",
    ],
  ],
  // The kernel forgets the signal when the ids change.
  [
    "--kill-child -S 5 true",
    root,
    killed(
      "SIGKILL",
      "setuid(5)",
      "prctl(PR_SET_PDEATHSIG, SIGKILL)",
      "ppoll([{fd=parent, events=POLLIN}], 1, {tv_sec=0, tv_nsec=0}, NULL, 0)",
      "exec true",
    ),
  ],
  // Capabilities; this kernel has two.
  ["-c --keep-caps true", ann, [USER, ...mapped("1000 1000 1", "1001 1001 1"), ...AMBIENT, "exec true"]],
  [
    "-U --keep-caps -S 0 true",
    ann,
    [USER, "prctl(PR_SET_KEEPCAPS, 1)", "setuid(0)", ...AMBIENT, "exec true"],
  ],
  ["--keep-caps true", root, ["exec true"]],
  // The shell of the environment, else passwd's, else sh, as a login shell.
  ["", root, ["exec -bash"]],
  ["-u", root, ["unshare(CLONE_NEWUTS)", "exec -bash"]],
  ["", fixtureHost({ euid: 1000, env: {}, files: accounts }), ["exec -zsh"]],
  [
    "-r",
    fixtureHost({ euid: 1000, env: {}, files: accounts }),
    [USER, ...mapped("0 1000 1", "0 1000 1"), "exec -bash"],
  ],
  ["", fixtureHost({ euid: 7, env: {}, files: accounts }), ["exec -sh"]],
  ["", fixtureHost({ env: { SHELL: "fish" } }), ["exec -fish"]],
];

describe("unshare", () => {
  for (const [line, host, calls] of rows)
    test(`${host.euid === 0 ? "#" : "$"} unshare ${line}`, () => {
      const plan = planOf(line, host);
      expect(short(plan)).toEqual([...calls]);
      expect(() => checkPlan(plan)).not.toThrow();
    });

  test("the program is searched along the caller's PATH", () => {
    const candidates = (line: string, host: Host): readonly string[] => {
      const last = planOf(line, host).steps.at(-1)!;
      return last.kind === "exec" ? last.candidates : [];
    };
    expect(candidates("true", root)).toEqual(["/usr/bin/true", "/bin/true"]);
    expect(candidates("./true", root)).toEqual(["./true"]);
    expect(candidates("", root)).toEqual(["/bin/bash"]);
  });
  test("a plan reads accounts only for a name", () => {
    const read: string[] = [];
    const host: Host = { ...root, read: (path) => (read.push(path), root.read(path)) };
    planOf("-Urmpf --mount-proc true", host);
    expect(read).toEqual([]);
  });
});

describe("bad values", () => {
  const bad: readonly [line: string, message: string][] = [
    ["--map-user=nobody-here true", "failed to parse uid: 'nobody-here'"],
    ["--map-user= true", "failed to parse uid: ''"],
    ["--map-user=-1 true", "failed to parse uid: '-1'"],
    ["--map-user=4294967295 true", "failed to parse uid: '4294967295'"],
    ["--map-group=1x true", "failed to parse gid: '1x'"],
    ["-S daemon true", "failed to parse uid: 'daemon'"],
    ["-G 0x1 true", "failed to parse gid: '0x1'"],
    ["-S 99999999999 true", "failed to parse uid: '99999999999'"],
    ["--propagation=none true", "unsupported propagation mode: none"],
    ["--propagation=pri true", "unsupported propagation mode: pri"],
    ["--setgroups=maybe true", "unsupported --setgroups argument 'maybe'"],
    ["--kill-child=NOPE true", "unknown signal: NOPE"],
    ["--kill-child=0 true", "unknown signal: 0"],
    ["--kill-child=65 true", "unknown signal: 65"],
    ["--map-users=1:2 true", "'1:2' is no range of users"],
    ["--map-users=1:2:0 true", "'1:2:0' is no range of users"],
    ["--map-users=1:2:3:4 true", "'1:2:3:4' is no range of users"],
    ["--map-users=1:2,3 true", "'1:2,3' is no range of users"],
    ["--map-users=x:2:3 true", "'x:2:3' is no range of users"],
    ["--map-groups= true", "'' is no range of groups"],
    ["--map-groups=1:-2:3 true", "'1:-2:3' is no range of groups"],
    ["--owner=5 true", "'5' is no owner"],
    ["--owner=5:6:7 true", "'5:6:7' is no owner"],
    ["--owner=5:nobody-here true", "failed to parse gid: 'nobody-here'"],
    ["--pid=/p true", "--pid=FILE needs --fork"],
    ["--boottime=5 true", "--boottime needs --time"],
    ["-T --monotonic=5s true", "failed to parse monotonic offset: '5s'"],
    ["-T --monotonic= true", "failed to parse monotonic offset: ''"],
    ["-r --setgroups=allow true", "options --setgroups=allow and --map-root-user are mutually exclusive"],
    ["-c --setgroups=allow true", "options --setgroups=allow and --map-current-user are mutually exclusive"],
    [
      "--map-group=0 --setgroups=allow true",
      "options --setgroups=allow and --map-group are mutually exclusive",
    ],
  ];
  refuses(bad, (line) => planOf(line, root));
});

describe("the environment", () => {
  const given = (
    line: string,
    env: Record<string, string>,
  ): readonly [readonly string[] | undefined, readonly string[]] => {
    const last = planOf(line, fixtureHost({ env, files })).steps.at(-1)!;
    if (last.kind !== "exec") throw new Error("no program");
    return [last.env, last.candidates];
  };
  const env = { PATH: "/opt", A: "1", B: "", SHELL: "/bin/fish" };
  test("is the caller's", () => expect(given("true", env)).toEqual([undefined, ["/opt/true"]]));
  test("--clear-env: none of it, also for finding the program", () =>
    expect(given("--clear-env true", env)).toEqual([[], ["/bin/true", "/usr/bin/true"]]));
  test("--clear-env: the shell is passwd's", () =>
    expect(given("--clear-env", env)).toEqual([[], ["/bin/bash"]]));
  test("--whitelist-env: what is named and there", () =>
    expect(given("--whitelist-env=B,,C,A true", env)).toEqual([
      ["B=", "A=1"],
      ["/bin/true", "/usr/bin/true"],
    ]));
  test("--whitelist-env with PATH and SHELL", () => {
    expect(given("--clear-env --whitelist-env=PATH true", env)).toEqual([["PATH=/opt"], ["/opt/true"]]);
    expect(given("--whitelist-env=SHELL", env)).toEqual([["SHELL=/bin/fish"], ["/bin/fish"]]);
  });
});

describe("a machine that gives no ids", () => {
  const nobody = fixtureHost({ euid: 7, files });
  const failure = (line: string, host: Host): { message: string; hint: string | undefined } => {
    try {
      planOf(line, host);
    } catch (error) {
      if (error instanceof HostError) return { message: error.message, hint: error.hint };
    }
    throw new Error("no HostError");
  };
  test("to a user", () => {
    expect(failure("--map-users=auto true", nobody)).toEqual({
      message: "/etc/subuid has no range for user 7",
      hint: "give one: usermod --add-subuids 100000-165535 7",
    });
    expect(failure("--map-groups=subids true", fixtureHost({ euid: 1, files })).message).toBe(
      "/etc/subgid has no range for daemon",
    );
    expect(failure("--map-auto true", fixtureHost({ files: accounts })).message).toBe(
      "/etc/subuid has no range for root",
    );
  });
  const helperHints = (host: Host) => {
    const [, , , helper] = planOf("--map-users=auto true", host).steps;
    if (helper?.kind !== "fork") throw new Error("no helper");
    const join = helper.child.find(({ kind }) => kind === "join");
    const inner = helper.child.find(({ kind }) => kind === "fork");
    return {
      join: join?.kind === "join" ? join.hint : undefined,
      missing: inner?.kind === "fork" ? hintOf(inner.child, "execve", errno("ENOENT")) : undefined,
    };
  };
  test("newuidmap is not there, or has no privilege", () => {
    expect(helperHints(ann).missing).toContain("apt install uidmap");
    const installed = { ...files, "/usr/bin/newuidmap": "" };
    expect(helperHints(fixtureHost({ euid: 1000, files: installed })).join).toContain("set-user-ID");
    const setuid: Host = { ...fixtureHost({ euid: 1000, files: installed }), mode: () => 0o4755 };
    expect(helperHints(setuid).join).toContain("usermod --add-subuids");
  });
});

describe("hints", () => {
  const forbidden = {
    "/proc/sys/user/max_user_namespaces": ["0", "sysctl -w user.max_user_namespaces=10000"],
    "/proc/sys/kernel/unprivileged_userns_clone": ["0", "sysctl -w kernel.unprivileged_userns_clone=1"],
    // Ubuntu 24.04: unshare(2) succeeds, and the new namespace's root may do nothing, not even write its maps.
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": [
      "1",
      "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ],
  } as const;
  const withFile = (euid: number, path: string, text: string): Host =>
    fixtureHost({ euid, files: { [path]: text } });
  const hint = (
    line: string,
    host: Host,
    call: "unshare" | "openat" | "write" | "mount" | "clone" | "setresuid",
    error: "EPERM" | "ENOSPC" | "EINVAL" | "ENOMEM" | "ENOENT" | "ENODEV",
  ) =>
    hintOf(
      planOf(line, host).steps.flatMap((step) => (step.kind === "fork" ? step.child : [step])),
      call,
      errno(error),
    );

  for (const [path, [value, words]] of Object.entries(forbidden)) {
    test(`${path} forbids user namespaces, and root's way to allow them is told`, () => {
      const host = withFile(1000, path, `${value}\n`);
      expect(hint("-U true", host, "unshare", "EPERM")).toContain(words);
      expect(hint("-U true", host, "unshare", "ENOSPC")).toContain(words);
      expect(hint("-Ur true", host, "openat", "EPERM")).toContain(words);
      expect(hint("-Ur true", host, "write", "EPERM")).toContain(words);
    });
    test(`${path} is not to blame when it allows them, or for root`, () => {
      const other = withFile(1000, path, value === "0" ? "1000\n" : "0\n");
      expect(hint("-U true", other, "unshare", "EPERM")).toContain("chroot");
      expect(hint("-U true", withFile(0, path, `${value}\n`), "unshare", "EPERM")).toContain("chroot");
    });
  }
  test("a kind that needs privilege", () => {
    expect(hint("-m true", ann, "unshare", "EPERM")).toContain("--map-root-user (-Ur)");
    expect(hint("-m true", root, "unshare", "EPERM")).toContain("CAP_SYS_ADMIN");
  });
  test("a limit, a kernel without the kind, a proc that may not be mounted", () => {
    expect(hint("-n true", ann, "unshare", "ENOSPC")).toContain("/proc/sys/user");
    expect(hint("-T true", root, "unshare", "EINVAL")).toContain("does not know");
    expect(hint("--mount-proc true", root, "mount", "EPERM")).toContain("--pid --fork");
    expect(hint("--mount-proc true", root, "mount", "EPERM")).toContain("mount too revealing");
  });
  test("a namespace that is to stay", () => {
    expect(hint("--uts=/u true", root, "mount", "ENOENT")).toContain("touch /u");
    expect(hint("--mount=/m true", root, "mount", "EINVAL")).toContain("shared");
    expect(hint("--uts=/u true", ann, "mount", "EPERM")).toContain("only root");
  });
  test("an owner, a kernel without binfmt_misc", () => {
    expect(hint("--owner=1:1 true", ann, "setresuid", "EPERM")).toContain("for root");
    expect(hint("--mount-binfmt true", root, "mount", "ENODEV")).toContain("modprobe");
  });
  test("a PID namespace without --fork says what becomes of it", () => {
    expect(explain(planOf("-p true", root))).toContain("ENOMEM");
    expect(explain(planOf("-pf true", root))).not.toContain("ENOMEM");
  });
});

describe("explain", () => {
  const lines = [
    "true",
    "-Urmpf --mount-proc true",
    "--kill-child -w /tmp -S 1 -G 2 sh -c exit",
    "-r --map-auto --mount=/m --pid=/p -fT --boottime=1 --keep-caps --forward-signals true",
  ];

  test("calls in columns, with a reason each, the child's indented", () => {
    expect(`\n${explain(planOf("-Upf --map-user=0 true", ann))}`).toMatchInlineSnapshot(`
      "
      unshare(CLONE_NEWUSER|CLONE_NEWPID)                               # new namespaces: user, pid
      prctl(PR_SET_NAME, "nsk")                                         # what ps shows of the process that waits
      rt_sigaction(SIGCHLD, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, NULL, 8)  # a caller that ignores it would leave nothing to wait for
      rt_sigprocmask(SIG_BLOCK, [INT TERM], mask, 8)                    # while it waits these are for the child alone
      clone(child_stack=NULL, flags=SIGCHLD) = pid                      # a new PID namespace begins with the first child, as its process 1
        # the child:
        rt_sigprocmask(SIG_SETMASK, mask, NULL, 8)                      # the program gets the signals as the caller had them
        openat(AT_FDCWD, "/proc/self/uid_map", O_WRONLY|O_CLOEXEC) = fd  # user 1000 outside is 0 inside
        write(fd, "0 1000 1", 8)
        close(fd)
        execve("/usr/bin/true", ["true"], environ)                      # become the program
        execve("/bin/true", ["true"], environ)                          # or this, when it is not there
      # the parent:
      wait4(pid, status, WUNTRACED, NULL) = pid                         # wait for the child, and end as it ended
      "
    `);
  });
  test("the JSON says the same calls as the text", () => {
    interface Json {
      readonly text?: string;
      readonly call: string;
      readonly flags?: string;
      readonly child?: readonly Json[];
      readonly candidates?: readonly string[];
    }
    const flat = (steps: readonly Json[]): string[] =>
      steps.flatMap((step) => {
        if (step.text !== undefined) return [step.text];
        if (step.candidates) return step.candidates.map((file) => `execve ${file}`);
        return [step.call, ...flat(step.child ?? [])];
      });
    for (const line of lines) {
      const plan = planOf(line, root);
      const { steps } = JSON.parse(JSON.stringify(explainJson(plan))) as { steps: Json[] };
      const text = explainLines(plan.steps)
        // A wait that passes signals on is two lines and one step.
        .filter(({ heading, text }) => !heading && !text.startsWith("rt_sigtimedwait("))
        .map(({ text }) =>
          text.replace(/^(clone|wait4)\(.*$/, "$1").replace(/^execve\("(.*?)".*$/, "execve $1"),
        );
      expect(flat(steps)).toEqual(text);
    }
  });
  test("the first call of every group has a reason", () => {
    for (const line of lines) {
      const all = explainLines(planOf(line, root).steps).filter(({ heading }) => !heading);
      const silent = all.filter(
        ({ text, reason }) =>
          !reason && !/^(write|close|pidfd_open|setgid|setuid|getpid)\(|PR_CAP_AMBIENT/.test(text),
      );
      expect(silent.map(({ text }) => text)).toEqual([]);
    }
  });
  test("bytes and letters of all scripts can be told apart", () => {
    const plan: Plan = {
      name: "test",
      failure: 1,
      steps: [
        {
          kind: "exec",
          program: "p",
          argv: ['"', "\\", "\\x41", "A", "\x01", "\n\t\r", "ä€😀", "\x85", "\udcff"],
          candidates: ["/p"],
        },
      ],
    };
    expect(explain(plan).trim()).toBe(
      'execve("/p", ["\\"", "\\\\", "\\\\x41", "A", "\\x01", "\\n\\t\\r", "ä€😀", "\\xc2\\x85", "\\xff"], environ)',
    );
  });
});
