// nsenter's plans: a line of options and a host that exists only here, and the calls that come of it.

import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import { errno } from "../../src/abi/errno.ts";
import { explain, explainLines } from "../../src/backends/explain.ts";
import { planJoinLike } from "../../src/cgroups/join.ts";
import { parse } from "../../src/cli/getopt.ts";
import { nsenter, nsenterRequest } from "../../src/commands/nsenter.ts";
import { fixtureHost, type Fixture } from "../../src/host/fixture.ts";
import type { Host } from "../../src/host/host.ts";
import { planNsenter } from "../../src/namespaces/nsenter.ts";
import { checkPlan } from "../../src/plan/check.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { hintOf } from "../support/steps.ts";
import { refuses } from "./refusals.ts";

const KINDS = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
const base: Fixture = {
  files: {
    ...Object.fromEntries(KINDS.map((kind) => [`/proc/self/ns/${kind}`, ""])),
    "/proc/sys/kernel/osrelease": "6.1.0-13-amd64\n",
    "/proc/sys/kernel/cap_last_cap": "0\n",
    "/proc/7/environ": "A=1\0PATH=/opt\0B=\0",
    "/proc/7/cgroup": "3:cpu,cpuacct:/a\n2:name=systemd:/b\n1:net_cls:/c\n0::/d\n",
    "/proc/9/cgroup": "0::/../outside\n",
    "/proc/self/mountinfo": [
      "31 23 0:28 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct",
      "32 23 0:29 / /cg/systemd rw - cgroup cgroup rw,name=systemd",
      "33 23 0:30 / /cg/unified rw - cgroup2 cgroup2 rw",
      "",
    ].join("\n"),
  },
  links: {
    "/proc/self/ns/user": "user:[1]",
    "/proc/7/ns/user": "user:[2]",
    "/proc/8/ns/user": "user:[1]",
  },
};
const root = fixtureHost(base);
const ann = fixtureHost({ ...base, euid: 1000 });
const old = fixtureHost({ ...base, files: { ...base.files, "/proc/sys/kernel/osrelease": "5.4.0\n" } });
const noTime = fixtureHost({
  ...base,
  files: Object.fromEntries(Object.entries(base.files!).filter(([path]) => path !== "/proc/self/ns/time")),
});

const planOf = (line: string, host: Host): Plan => {
  const words = line === "" ? [] : line.split(" ");
  const { options, operands } = parse(nsenter.definition.args, words, { name: "nsk nsenter" });
  const request = nsenterRequest(options, operands, host);
  const join = options.joinCgroup ? planJoinLike(host, request.target!) : undefined;
  return planNsenter("nsk nsenter", { ...request, join }, host);
};

/** Explained calls; of the program's candidates the first. */
const short = (plan: Plan): string[] => {
  const out: string[] = [];
  for (const { depth, text, heading } of explainLines(plan.steps)) {
    if (heading && !text.startsWith("unless")) continue;
    const program = /^execve\("(.*?)", \[(.*)\], (.*)\)$/.exec(text);
    const line = program ? `exec ${program[2]!.replaceAll('"', "").replaceAll(",", "")}` : text;
    if (out.at(-1)?.trim() !== line) out.push("  ".repeat(depth) + line);
  }
  return out;
};

const hold = "pidfd_open(7, 0) = process";
const openFile = (path: string, name: string): string =>
  `openat(AT_FDCWD, "${path}", O_RDONLY|O_CLOEXEC) = ${name}`;
const drop = "setgroups(0, NULL) = dropped";
const becomeRoot = ["setgroups(0, NULL)", "setgid(0)", "setuid(0)"];
const forked = (...inside: string[]): string[] => [
  'prctl(PR_SET_NAME, "nsk")',
  "rt_sigaction(SIGCHLD, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, NULL, 8)",
  "clone(child_stack=NULL, flags=SIGCHLD) = pid",
  ...inside.map((line) => `  ${line}`),
  "wait4(pid, status, WUNTRACED, NULL) = pid",
];
const ALL_BUT_USER =
  "CLONE_NEWTIME|CLONE_NEWNS|CLONE_NEWCGROUP|CLONE_NEWUTS|CLONE_NEWIPC|CLONE_NEWPID|CLONE_NEWNET";
const ALL = ALL_BUT_USER.replace("CLONE_NEWPID", "CLONE_NEWUSER|CLONE_NEWPID");

const rows: readonly [line: string, host: Host, calls: readonly string[]][] = [
  ["true", root, ["exec true"]],
  ["", root, ["exec -bash"]],
  ["-t 7 true", root, ["exec true"]],
  // By the target's pidfd.
  ["-t 7 -u true", root, [hold, "setns(process, CLONE_NEWUTS)", "exec true"]],
  ["-t 7 -n -u -m true", root, [hold, "setns(process, CLONE_NEWNS|CLONE_NEWUTS|CLONE_NEWNET)", "exec true"]],
  ["-t 7 -p true", root, [hold, "setns(process, CLONE_NEWPID)", ...forked("exec true")]],
  ["-t 7 -p -F true", root, [hold, "setns(process, CLONE_NEWPID)", "exec true"]],
  ["-t 7 -a true", root, [hold, drop, `setns(process, ${ALL})`, ...forked(...becomeRoot, "exec true")]],
  ["-t 8 -a true", root, [hold.replace("7", "8"), `setns(process, ${ALL_BUT_USER})`, ...forked("exec true")]],
  [
    "-t 8 -aF true",
    noTime,
    [hold.replace("7", "8"), `setns(process, ${ALL_BUT_USER.replace("CLONE_NEWTIME|", "")})`, "exec true"],
  ],
  ["-t 7 -U true", root, [hold, drop, "setns(process, CLONE_NEWUSER)", ...becomeRoot, "exec true"]],
  // By its files where the kernel has no such pidfd: two passes around the user namespace.
  ["-t 7 -u true", old, [openFile("/proc/7/ns/uts", "utsns"), "setns(utsns, CLONE_NEWUTS)", "exec true"]],
  [
    "-t 7 -U -u -n true",
    old,
    [
      openFile("/proc/7/ns/user", "userns"),
      openFile("/proc/7/ns/uts", "utsns"),
      openFile("/proc/7/ns/net", "netns"),
      drop,
      "setns(utsns, CLONE_NEWUTS) = inutsns",
      "setns(netns, CLONE_NEWNET) = innetns",
      "setns(userns, CLONE_NEWUSER)",
      "setns(utsns, CLONE_NEWUTS)",
      "setns(netns, CLONE_NEWNET)",
      ...becomeRoot,
      "exec true",
    ],
  ],
  // Files, ids and sockets.
  [
    "-u/u --net=/n true",
    root,
    [
      openFile("/u", "utsns"),
      openFile("/n", "netns"),
      "setns(utsns, CLONE_NEWUTS)",
      "setns(netns, CLONE_NEWNET)",
      "exec true",
    ],
  ],
  [
    "-t 7 -u/u -a true",
    fixtureHost({ ...base, links: {} }),
    [
      hold,
      openFile("/u", "utsns"),
      `setns(process, ${ALL_BUT_USER.replace("|CLONE_NEWUTS", "")})`,
      "setns(utsns, CLONE_NEWUTS)",
      ...forked("exec true"),
    ],
  ],
  [
    "-t 7 -u/u -U true",
    root,
    [
      hold,
      openFile("/u", "utsns"),
      drop,
      "setns(utsns, CLONE_NEWUTS) = inutsns",
      "setns(process, CLONE_NEWUSER)",
      "setns(utsns, CLONE_NEWUTS)",
      ...becomeRoot,
      "exec true",
    ],
  ],
  [
    "-n:4026531840 true",
    root,
    [
      "open_by_handle_at(FD_NSFS_ROOT, {handle_bytes=16, handle_type=FILEID_NSFS, ns_id=4026531840}, O_RDONLY|O_CLOEXEC) = netns",
      "setns(netns, CLONE_NEWNET)",
      "exec true",
    ],
  ],
  ["-n./:1 true", root, [openFile("./:1", "netns"), "setns(netns, CLONE_NEWNET)", "exec true"]],
  [
    "-t 7 -N 5 true",
    root,
    [
      hold,
      "pidfd_getfd(process, 5, 0) = socket",
      "ioctl(socket, SIOCGSKNS) = netns",
      "close(socket)",
      "setns(netns, CLONE_NEWNET)",
      "exec true",
    ],
  ],
  [
    "-t 7:18446744073709551615 -u true",
    root,
    [
      hold,
      'newfstatat(process, "", found, AT_EMPTY_PATH)',
      "unless found.st_ino is 18446744073709551615: fail",
      "setns(process, CLONE_NEWUTS)",
      "exec true",
    ],
  ],
  // The user namespace above.
  [
    "-t 7 -U --user-parent true",
    root,
    [
      openFile("/proc/7/ns/user", "userns"),
      "ioctl(userns, NS_GET_PARENT) = above",
      drop,
      "setns(above, CLONE_NEWUSER)",
      ...becomeRoot,
      "exec true",
    ],
  ],
  [
    "-n/n --user-parent --preserve-credentials true",
    root,
    [
      openFile("/n", "netns"),
      "ioctl(netns, NS_GET_USERNS) = above",
      "setns(netns, CLONE_NEWNET) = innetns",
      "setns(above, CLONE_NEWUSER)",
      "setns(netns, CLONE_NEWNET)",
      "exec true",
    ],
  ],
  // Ids.
  ["-S 5 true", root, ["setuid(5)", "exec true"]],
  ["-G 6 true", root, ["setgroups(0, NULL)", "setgid(6)", "exec true"]],
  [
    "-t 7 -U -S 5 true",
    root,
    [
      hold,
      drop,
      "setns(process, CLONE_NEWUSER)",
      "setgroups(0, NULL)",
      "setgid(0)",
      "setuid(5)",
      "exec true",
    ],
  ],
  ["-t 7 -U --preserve-credentials true", root, [hold, "setns(process, CLONE_NEWUSER)", "exec true"]],
  [
    "-t 7 -S follow -G follow true",
    root,
    [
      'openat(AT_FDCWD, "/proc/7", O_RDONLY|O_CLOEXEC|O_PATH) = owner',
      'newfstatat(owner, "", whose, AT_EMPTY_PATH)',
      "setgroups(0, NULL)",
      "setgid(whose.st_gid)",
      "setuid(whose.st_uid)",
      "exec true",
    ],
  ],
  [
    "-t 7 -U --keep-caps true",
    root,
    [
      hold,
      drop,
      "setns(process, CLONE_NEWUSER)",
      "setgroups(0, NULL)",
      "setgid(0)",
      "prctl(PR_SET_KEEPCAPS, 1)",
      "setuid(0)",
      "capget({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, caps)",
      "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, {effective=permitted, permitted=permitted, inheritable=permitted})",
      "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)",
      "exec true",
    ],
  ],
  ["--keep-caps true", root, ["exec true"]],
  // Directories.
  [
    "-r/r true",
    root,
    [
      openFile("/r", "root"),
      openFile(".", "here"),
      "fchdir(root)",
      'chroot(".")',
      "fchdir(here)",
      "exec true",
    ],
  ],
  [
    "-r/r -w/w true",
    root,
    [openFile("/r", "root"), openFile("/w", "wd"), "fchdir(root)", 'chroot(".")', "fchdir(wd)", "exec true"],
  ],
  [
    "-r/r -W w true",
    root,
    [openFile("/r", "root"), "fchdir(root)", 'chroot(".")', 'chdir("w")', "exec true"],
  ],
  [
    "-t 7 -m -r -w true",
    root,
    [
      hold,
      openFile("/proc/7/root", "root"),
      openFile("/proc/7/cwd", "wd"),
      "setns(process, CLONE_NEWNS)",
      "fchdir(root)",
      'chroot(".")',
      "fchdir(wd)",
      "exec true",
    ],
  ],
  ["--wdns=/w true", root, ['chdir("/w")', "exec true"]],
  ["--wdns true", root, ["exec true"]],
  // Control groups: of the trees that are mounted here.
  [
    "-t 7 -c true",
    root,
    ["/cg/cpu/a/tasks", "/cg/systemd/b/tasks", "/cg/unified/d/cgroup.procs"]
      .flatMap((path) => [
        `openat(AT_FDCWD, "${path}", O_WRONLY|O_CLOEXEC) = fd`,
        'write(fd, "0", 1)',
        "close(fd)",
      ])
      .concat("exec true"),
  ],
];

describe("nsenter", () => {
  for (const [line, host, calls] of rows)
    test(`${host.euid === 0 ? "#" : "$"} nsenter ${line}${host === old ? " (Linux 5.4)" : ""}`, () => {
      const plan = planOf(line, host);
      expect(short(plan)).toEqual([...calls]);
      expect(() => checkPlan(plan)).not.toThrow();
    });

  test("only --all looks whose user namespace it is, and nothing else is read of a target", () => {
    const asked: string[] = [];
    const host: Host = {
      ...root,
      read: (path) => (asked.push(path), root.read(path)),
      link: (path) => (asked.push(path), root.link(path)),
      list: (path) => (asked.push(path), root.list(path)),
    };
    planOf("-t 7 -u true", host);
    expect(asked.filter((path) => path !== "/proc/sys/kernel/osrelease")).toEqual([]);
    planOf("-t 7 -a true", host);
    expect(asked.filter((path) => path !== "/proc/sys/kernel/osrelease")).toEqual([
      "/proc/self/ns",
      "/proc/7/ns/user",
      "/proc/self/ns/user",
    ]);
  });
});

describe("the program", () => {
  const program = (line: string, host: Host) => {
    const last = planOf(line, host).steps.at(-1)!;
    if (last.kind !== "exec") throw new Error("no program");
    return last;
  };
  test("has the target's environment with --env, and is searched along its PATH", () => {
    const { env, candidates } = program("-t 7 -e true", root);
    expect([env, candidates]).toEqual([["A=1", "PATH=/opt", "B="], ["/opt/true"]]);
    expect(program("-t 7 true", root).env).toBeUndefined();
  });
  test("is passwd's shell where the target has no SHELL", () => {
    const host = fixtureHost({
      ...base,
      files: { ...base.files, "/etc/passwd": "root:x:0:0::/:/bin/ash\nann:x:1000:1::/:/bin/zsh\n" },
      euid: 1000,
    });
    expect(program("-t 7 -e", host).argv).toEqual(["-zsh"]);
    expect(program("-t 7 -e -U", host).argv).toEqual(["-ash"]);
    expect(program("-t 7 -e -S 0", host).argv).toEqual(["-ash"]);
  });
});

describe("SELinux", () => {
  const enforcing: Fixture = {
    ...base,
    files: {
      ...base.files,
      "/sys/fs/selinux/enforce": "1",
      "/proc/7/attr/current": "system_u:system_r:init_t:s0\0",
    },
  };
  test("--follow-context writes the target's context", () => {
    expect(short(planOf("-t 7 -Z true", fixtureHost(enforcing)))).toEqual([
      'openat(AT_FDCWD, "/proc/thread-self/attr/exec", O_WRONLY|O_CLOEXEC) = fd',
      'write(fd, "system_u:system_r:init_t:s0", 27)',
      "close(fd)",
      "exec true",
    ]);
  });
  test("without SELinux there is none", () =>
    expect(short(planOf("-t 7 -Z true", root))).toEqual(["exec true"]));
});

describe("bad values", () => {
  const bad: readonly [line: string, message: string][] = [
    ...["-m", "-r", "-w", "-a", "-e", "-c"].map((option): [string, string] => [
      `${option} true`,
      `no target for --${{ "-m": "mount", "-r": "root", "-w": "wd", "-a": "all", "-e": "env", "-c": "join-cgroup" }[option]}`,
    ]),
    ["-N 5 true", "no target for --net-socket"],
    ["-S follow true", "no target for follow"],
    ["--user-parent true", "no target for --user-parent"],
    ["-t x true", "failed to parse pid: 'x'"],
    ["-t 0 true", "failed to parse pid: '0'"],
    ["-t 2147483648 true", "failed to parse pid: '2147483648'"],
    ["-t 7: true", "failed to parse pid: '7:'"],
    ["-t 7 -N x true", "failed to parse descriptor: 'x'"],
    ["-n: true", "failed to parse namespace id: ''"],
    ["-n:18446744073709551616 true", "failed to parse namespace id: '18446744073709551616'"],
    ["-S daemon true", "failed to parse uid: 'daemon'"],
    ["-G 4294967295 true", "failed to parse gid: '4294967295'"],
    ["-w/ -W/ true", "options --wd and --wdns are mutually exclusive"],
  ];
  refuses(bad, (line) => planOf(line, root));
  test("what is not there to be read of a target", () => {
    expect(() => planOf("-t 6 -e true", root)).toThrow(
      new HostError("cannot read the environment of process 6"),
    );
    expect(() => planOf("-t 6 -c true", root)).toThrow(
      new HostError("cannot read the control groups of process 6"),
    );
    expect(() => planOf("-t 9 -c true", root)).toThrow(
      new HostError("the control groups of process 9 are not mounted here"),
    );
  });
});

describe("hints", () => {
  const hint = (
    line: string,
    host: Host,
    call: Parameters<typeof hintOf>[1],
    error: Parameters<typeof errno>[0],
  ) => hintOf(planOf(line, host).steps, call, errno(error));
  test("setns refused", () => {
    expect(hint("-t 7 -n true", ann, "setns", "EPERM")).toContain("--user --preserve-credentials");
    expect(hint("-t 7 -n true", root, "setns", "EPERM")).toContain("CAP_SYS_ADMIN");
    expect(hint("-t 7 -U true", ann, "setns", "EPERM")).toContain("who made");
    expect(hint("-t 7 -a true", ann, "setns", "EPERM")).toContain("name these alone");
    expect(hint("-t 7 -U true", root, "setns", "EINVAL")).toContain("already");
    expect(hint("-u/u true", root, "setns", "EINVAL")).toContain("no namespace of that kind");
  });
  test("a process that is not there, or not to be seen", () => {
    expect(hint("-t 7 -n true", root, "pidfd_open", "ESRCH")).toContain("ps -e");
    expect(hint("-t 7 -n true", old, "openat", "EACCES")).toContain("may trace");
  });
  test("an id that is not mapped, a descriptor that is no socket, a kernel without ids of namespaces", () => {
    expect(hint("-t 7 -U -S 5 true", root, "setuid", "EINVAL")).toContain("not mapped");
    expect(hint("-t 7 -N 5 true", root, "ioctl", "ENOTTY")).toContain("no socket");
    expect(hint("-n:5 true", root, "open_by_handle_at", "EBADF")).toContain("6.19");
  });
  test("every call has a reason, or belongs to one that has", () => {
    for (const line of ["-t 7 -a -r -w -S follow -c true", "-t 7 -N 5 -U true", "-u/u -r/r true"])
      for (const { text, reason, heading } of explainLines(planOf(line, root).steps))
        if (!heading && !/^(write|close|setuid|setgid)\(|tasks|cgroup\.procs/.test(text))
          expect([text, reason]).toEqual([text, expect.any(String)]);
  });
  test("the second pass says when it is made", () => {
    expect(explain(planOf("-t 7 -u/u -U true", root))).toContain("; only if inutsns < 0");
  });
});
