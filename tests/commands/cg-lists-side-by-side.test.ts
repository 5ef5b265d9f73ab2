// lscgroup, lssubsys, cgsnapshot, cgconfigparser, cgclassify and the rules of cgexec beside libcgroup's.

import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { difference } from "../differences.ts";
import { nsk as nskBinary, runNsk } from "../support/nsk.ts";
import {
  type Case,
  directoryOf,
  live,
  removeGroups,
  removeLeftovers,
  runAlike,
  runBoth,
  runIn,
  same,
  uniqueName,
} from "./libcgroup.ts";

afterAll(removeLeftovers);

const NOBODY = 65534;
const tree: Case = { groups: ["cpu:%/a/b", "cpu:%/c", "pids:%"] };

describe("lscgroup", () => {
  same("a tree", ["lscgroup", "cpu:%"], tree);
  same("with -g", ["lscgroup", "-g", "cpu:/%/"], tree);
  same("below", ["lscgroup", "-g", "cpu:%/a"], tree);
  same("several", ["lscgroup", "-g", "cpu:%", "-g", "pids:%"], tree);
  same("several, mixed", ["lscgroup", "-g", "pids:%", "cpu:%/c"], tree);
  same("twice", ["lscgroup", "cpu:%", "cpu:%"], tree);
  same("as nobody", ["lscgroup", "cpu:%"], { ...tree, uid: NOBODY });
  same("no path", ["lscgroup", "cpu"]);
  same("empty path", ["lscgroup", "cpu:"]);
  same("unknown controller", ["lscgroup", "nope:/"]);
  same("unknown option", ["lscgroup", "-x"]);

  live("without a group lists all of every hierarchy", () => {
    const name = uniqueName();
    // Other tests make and remove groups meanwhile.
    const own = (which: "nsk" | "libcgroup"): string[] =>
      runIn(which, ["lscgroup"], tree, name)
        .stdout.split("\n")
        .filter((line) => line.endsWith(":/") || line.includes(name));
    expect(own("nsk")).toEqual(own("libcgroup"));
    expect(own("nsk")).toContain(`cpu:/${name}/a/b`);
  });
  live(`a list of controllers (${difference("lscgroup-lists")})`, () => {
    const name = uniqueName();
    const { stdout } = runIn("nsk", ["lscgroup", "cpu,pids:%/"], tree, name);
    expect(stdout.split("\n").filter((line) => line.endsWith("/"))).toEqual([
      `cpu:/${name}/`,
      `pids:/${name}/`,
    ]);
    expect(runIn("libcgroup", ["lscgroup", "cpu,pids:%/"], tree, name).stdout).not.toContain("pids");
  });
  live(`a group that is not there (${difference("lscgroup-missing")})`, () => {
    const { libcgroup, nsk } = runBoth(["lscgroup", "cpu:%"]);
    expect([libcgroup.status, nsk.status]).toEqual([0, 82]);
  });
  live("--json has the directory and the version of each", () => {
    const name = uniqueName();
    const { stdout } = runIn("nsk", ["lscgroup", "--json", "cpu:%"], { groups: ["cpu:%/a"] }, name);
    expect(JSON.parse(stdout)).toEqual([
      { version: 1, controllers: ["cpu"], path: `/${name}/`, directory: directoryOf(`cpu:${name}`) },
      { version: 1, controllers: ["cpu"], path: `/${name}/a`, directory: directoryOf(`cpu:${name}/a`) },
    ]);
  });
});

describe("lssubsys", () => {
  same("unknown option", ["lssubsys", "-x"]);
  live(`a controller that does not exist (${difference("lssubsys-unknown")})`, () => {
    const { libcgroup, nsk } = runBoth(["lssubsys", "nope"]);
    expect([libcgroup.status, nsk.status]).toEqual([0, 84]);
  });
  live(`a hybrid host (${difference("lssubsys-hybrid")})`, () => {
    expect(runNsk("lssubsys", "-m", "cpu").stdout).toBe(`cpu ${directoryOf("cpu:").slice(0, -1)}\n`);
    const numbered = Object.fromEntries(
      readFileSync("/proc/cgroups", "utf8")
        .split("\n")
        .slice(1, -1)
        .map((line) => line.split("\t").slice(0, 2)),
    );
    expect(runNsk("lssubsys", "-i", "cpu", "pids").stdout.split("\n").sort()).toEqual(
      ["", `cpu ${numbered.cpu}`, `pids ${numbered.pids}`].sort(),
    );
  });
});

describe("cgsnapshot", () => {
  const list = (text: string): Record<string, string> => ({ [`${tmpdir()}/%.list`]: text });
  const file = `${tmpdir()}/%.list`;
  /** The part of a snapshot that is about one test's groups; others come and go. */
  const own = (text: string, name: string): string =>
    text
      .split("\n\n")
      .filter((part) => part.startsWith(`group ${name}`) || part.startsWith(`group "${name}`))
      .join("\n\n");
  const sameSnapshot = (title: string, words: string[], it: Case): void =>
    live(`cgsnapshot ${words.join(" ")}: ${title}`, () => {
      const name = uniqueName();
      const { libcgroup, nsk } = runAlike(
        ["cgsnapshot", ...words],
        it,
        name,
        (theirs, ours) => own(theirs.stdout, name) === own(ours.stdout, name),
      );
      expect(nsk.status).toBe(libcgroup.status);
      expect(own(nsk.stdout, name)).toBe(own(libcgroup.stdout, name));
      expect(own(nsk.stdout, name)).not.toBe("");
    });
  const shares: Case = { groups: ["cpu:%/a"], values: { "cpu:%/cpu.shares": "77" } };
  sameSnapshot("all of a controller", ["-s", "-b", file, "cpu"], { ...shares, files: list("") });
  sameSnapshot("without some", ["-s", "-b", file, "cpu"], {
    ...shares,
    files: list("cpu.shares\ncpu.idle\n"),
  });
  sameSnapshot("a whitelist alone", ["-t", "-b", "/dev/null", "-w", file, "cpu"], {
    ...shares,
    files: list("cpu.shares\n"),
  });
  sameSnapshot("both lists", ["-s", "-b", "/dev/null", "-w", file, "cpu"], {
    ...shares,
    files: list("cpu.shares\n"),
  });
  same("unknown option", ["cgsnapshot", "-x"]);
  same("a list that is not there", ["cgsnapshot", "-b", "/nonexistent/%", "cpu"]);

  live("names of every kind can be loaded again, and one that cannot is left out and told", () => {
    const name = uniqueName();
    const directory = directoryOf(`pids:${name}`);
    const names = ["a b;c=d", "h#h", "{x}", "100%u", "*", "-x", "b\\s", "t\tt"];
    const conf = join(mkdtempSync(join(tmpdir(), "nsk-snapshot-")), "conf");
    try {
      for (const it of [...names, 'q"q']) mkdirSync(join(directory, it), { recursive: true });
      const { status, stdout, stderr } = runNsk("cgsnapshot", "pids");
      expect(status).toBe(0);
      expect(stderr).toContain(`the group pids:${name}/q"q is left out`);
      removeGroups(name);
      writeFileSync(conf, own(stdout, name));
      expect(runNsk("cgconfigparser", "-l", conf)).toMatchObject({ status: 0, stderr: "" });
      const made = readdirSync(directory, { withFileTypes: true }).filter((it) => it.isDirectory());
      expect(made.map((it) => it.name).toSorted()).toEqual(names.toSorted());
    } finally {
      removeGroups(name);
      rmSync(dirname(conf), { recursive: true });
    }
  });
  live(`what it writes can be loaded again (${difference("cgsnapshot-settings")})`, () => {
    const name = uniqueName();
    const snapshot = runIn(
      "nsk",
      ["cgsnapshot", "cpu", "memory", "pids", "cpuset", "devices"],
      {
        groups: ["cpu:%", "memory:%", "pids:%", "devices:%"],
        values: { "cpu:%/cpu.shares": "77", "pids:%/pids.max": "9", "memory:%/memory.limit_in_bytes": "64M" },
      },
      name,
    );
    const directory = mkdtempSync(join(tmpdir(), "nsk-snapshot-"));
    try {
      const conf = join(directory, "groups.conf");
      writeFileSync(conf, own(snapshot.stdout, name));
      const load = runIn("nsk", ["cgconfigparser", "-l", conf], {}, name);
      expect(load).toMatchObject({ status: 0, stderr: "" });
      const value = (group: string, setting: string): unknown =>
        (load.groups[directoryOf(group)] as Record<string, string[]>)[setting]![1];
      expect([
        value(`cpu:${name}`, "cpu.shares"),
        value(`pids:${name}`, "pids.max"),
        value(`memory:${name}`, "memory.limit_in_bytes"),
      ]).toEqual(["77", "9", "67108864"]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});

describe("cgconfigparser", () => {
  const conf = `${tmpdir()}/%.conf`;
  const load = (title: string, text: string, options: string[] = [], it: Case = {}): void =>
    same(title, ["cgconfigparser", "-l", conf, ...options], { ...it, files: { [conf]: text } });
  const perm =
    "perm { task { uid = daemon; gid = nogroup; fperm = 660; } admin { uid = nobody; gid = daemon; dperm = 750; fperm = 640; } }";

  load("a group", "group % { cpu { } }");
  load("settings", 'group % { cpu { cpu.shares = 77; cpu.cfs_quota_us = "50000"; } pids { pids.max = 5; } }');
  load("several groups", '# comment\ngroup % { cpu { } }\ngroup %/b/c { cpu { cpu.shares="3"; } }');
  load("owners and modes", `group % { ${perm} cpu { cpu.shares = 9; } }`);
  load(
    "a default for owners",
    "default { perm { task { uid = daemon; gid = daemon; } admin { uid = daemon; gid = daemon; } } }\ngroup % { cpu { } }",
  );
  load(
    "a default and its exception",
    `default { perm { task { uid = daemon; gid = daemon; } admin { uid = daemon; gid = daemon; } } }\ngroup % { ${perm} cpu { } }`,
  );
  load("owners by options", "group % { cpu { } }", ["-a", "daemon:daemon", "-t", "nobody:nogroup"]);
  load("modes by options", "group % { cpu { } }", ["-d", "750", "-f", "640", "-s", "660"]);
  load("a group that is there", "group % { cpu { cpu.shares = 5; } }", [], { groups: ["cpu:%"] });
  load("quotes", 'group "%" { "cpu" { "cpu.shares" = "5"; } }');
  load("nothing", "");
  load("a template alone", "template %/%%u { cpu { } }");
  load("no controller", "group % { }");
  load("no semicolon", "group % { cpu { cpu.shares=5 } }");
  load("no end", "group % { cpu {");
  load("unknown section", "foo { }");
  load("unknown controller", "group % { nope { } }");
  load("unknown user", "group % { perm { task { uid = no-such-user; } } cpu { } }");
  same("no file", ["cgconfigparser"]);
  same("a file that is not there", ["cgconfigparser", "-l", "/nonexistent/%"]);
  same("a directory", ["cgconfigparser", "-L", `${tmpdir()}/%.d`]);
  live("-L takes the files of a directory, and not those below", () => {
    const name = uniqueName();
    const directory = mkdtempSync(join(tmpdir(), "nsk-conf-"));
    try {
      mkdirSync(join(directory, "below"));
      writeFileSync(join(directory, "below/x.conf"), `group ${name}/not { cpu { } }`);
      for (const file of ["a.conf", "b"])
        writeFileSync(join(directory, file), `group ${name}/${file} { cpu { } }`);
      for (const which of ["libcgroup", "nsk"] as const) {
        const { status, groups } = runIn(which, ["cgconfigparser", "-L", directory], {}, name);
        const made = Object.keys(groups).map((path) => path.slice(path.indexOf(name) + name.length));
        expect([which, status, made.toSorted()]).toEqual([which, 0, ["", "/a.conf", "/b"]]);
      }
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  for (const [title, text, status] of [
    ["a refused value", "group % { cpu { cpu.shares = x; } }", 96],
    ["an unknown setting", "group % { cpu { cpu.nope = 1; } }", 95],
  ] as const)
    live(`${title} leaves nothing (${difference("cgconfigparser-all-or-nothing")})`, () => {
      const { libcgroup, nsk } = runBoth(["cgconfigparser", "-l", conf], { files: { [conf]: text } });
      expect([libcgroup.status, nsk.status]).toEqual([status, status]);
      expect(nsk.groups).toEqual({});
    });
  live(`a mount that is there (${difference("cgconfigparser-mounted")})`, () => {
    const mountPoint = directoryOf("cpu:").slice(0, -1);
    const { libcgroup, nsk } = runBoth(["cgconfigparser", "-l", conf], {
      files: { [conf]: `mount { cpu = ${mountPoint}; } group % { cpu { } }` },
    });
    expect([libcgroup.status, nsk.status]).toEqual([101, 0]);
  });
  live("a mistake is named with its line", () => {
    const name = uniqueName();
    const { stderr } = runIn(
      "nsk",
      ["cgconfigparser", "-l", conf],
      { files: { [conf]: "group % {\n  cpu }\n" } },
      name,
    );
    expect(stderr).toStartWith(`nsk cgconfigparser: ${tmpdir()}/${name}.conf:2: '}' where '{' should be\n`);
  });
});

/** Moves a process of its own, and says how that ended and where the process was then. */
const moved = async (
  which: "nsk" | "libcgroup",
  words: (pid: string) => string[],
  groups: readonly string[],
): Promise<{ status: number | null; stderr: string; where: string }> => {
  const name = uniqueName();
  const child = Bun.spawn(["sleep", "60"]);
  try {
    for (const group of groups) mkdirSync(directoryOf(group.replaceAll("%", name)));
    const [tool, ...args] = words(String(child.pid)).map((word) => word.replaceAll("%", name));
    const argv = which === "nsk" ? [nskBinary, tool!, ...args] : [`/usr/bin/${tool}`, ...args];
    const ran = Bun.spawnSync(argv, { stderr: "pipe" });
    const where = readFileSync(`/proc/${child.pid}/cgroup`, "utf8").replaceAll(name, "NAME");
    return { status: ran.exitCode, stderr: ran.stderr.toString().replaceAll(name, "NAME"), where };
  } finally {
    child.kill();
    await child.exited;
    removeGroups(name);
  }
};

describe("cgclassify", () => {
  const group: Case = { groups: ["cpu:%"] };
  const sameMove = (title: string, words: (pid: string) => string[], groups = ["cpu:%"]): void =>
    live(`${words("PID").join(" ")}: ${title}`, async () => {
      const [nsk, libcgroup] = [await moved("nsk", words, groups), await moved("libcgroup", words, groups)];
      expect([nsk.status, nsk.where]).toEqual([libcgroup.status, libcgroup.where]);
    });
  sameMove("a process", (pid) => ["cgclassify", "-g", "cpu:%", pid]);
  sameMove("several groups", (pid) => ["cgclassify", "-g", "cpu:%", "-g", "cpu:/", pid]);
  sameMove("several controllers", (pid) => ["cgclassify", "-g", "cpu,pids:%", pid], ["cpu:%", "pids:%"]);
  sameMove("not sticky", (pid) => ["cgclassify", "--cancel-sticky", "-g", "cpu:%", pid]);
  sameMove("one is gone", (pid) => ["cgclassify", "-g", "cpu:%", "99999999", pid]);
  sameMove("no such group", (pid) => ["cgclassify", "-g", "cpu:%nope", pid]);
  sameMove("no such controller", (pid) => ["cgclassify", "-g", "nope:%", pid]);
  sameMove("no rules", (pid) => ["cgclassify", pid]);
  same("no privilege", ["cgclassify", "-g", "cpu:%", "1"], { ...group, uid: NOBODY });
  live("what helps is said once for all processes that could not be moved", () => {
    const { nsk } = runBoth(["cgclassify", "-g", "cpu:%", "1", "2"], { ...group, uid: NOBODY });
    const [first, hint, second, ...rest] = nsk.stderr.split("\n");
    expect(first).toStartWith("nsk cgclassify: move 1 to cpu:");
    expect(hint).toStartWith("hint: run it as root, or let root give you a group");
    expect(second).toStartWith("nsk cgclassify: move 2 to cpu:");
    expect(rest).toEqual([""]);
  });
  same("no process", ["cgclassify", "-g", "cpu:%"], group);
  same("nothing", ["cgclassify"]);
  same("no number", ["cgclassify", "-g", "cpu:%", "abc"], group);

  live("one that cannot be moved is told, and the others are moved", async () => {
    const { stderr, status, where } = await moved(
      "nsk",
      (pid) => ["cgclassify", "-g", "cpu:%", "99999999", pid],
      ["cpu:%"],
    );
    expect([stderr, status]).toEqual([
      `nsk cgclassify: move 99999999 to cpu:NAME (${directoryOf("cpu:NAME")}) failed: No such process\n`,
      1,
    ]);
    expect(where).toContain(":cpu:/NAME\n");
  });
  live(`a process with several threads moves as a whole (${difference("cgclassify-threads")})`, async () => {
    const name = uniqueName();
    // Bun has threads; the reading of its standard input keeps it there.
    const child = Bun.spawn([process.execPath, "-e", "await Bun.stdin.text()"], { stdin: "pipe" });
    try {
      const tasks = (): string[] => readdirSync(`/proc/${child.pid}/task`);
      while (tasks().length < 2) await Bun.sleep(5);
      mkdirSync(directoryOf(`cpu:${name}`));
      expect(runNsk("cgclassify", "-g", `cpu:${name}`, String(child.pid)).status).toBe(0);
      for (const task of tasks())
        expect(readFileSync(`/proc/${child.pid}/task/${task}/cgroup`, "utf8")).toContain(`:cpu:/${name}\n`);
    } finally {
      child.kill("SIGKILL");
      await child.exited;
      removeGroups(name);
    }
  });
});

describe("cgrules.conf", () => {
  /** Runs a command line with an /etc of its own, in which the rules are. */
  const withRules = (
    which: "nsk" | "libcgroup",
    files: Readonly<Record<string, string>>,
    words: readonly string[],
    it: Case,
  ): { status: number | null; stdout: string } => {
    const name = uniqueName();
    const named = (text: string): string => text.replaceAll("@NAME@", name);
    const etc = mkdtempSync(join(tmpdir(), "nsk-etc-"));
    try {
      for (const file of ["passwd", "group", "nsswitch.conf", "ld.so.cache"])
        writeFileSync(join(etc, file), readFileSync(`/etc/${file}`));
      for (const [file, text] of Object.entries(files)) writeFileSync(join(etc, file), named(text));
      for (const group of it.groups ?? [])
        mkdirSync(directoryOf(group.replaceAll("%", name)), { recursive: true });
      const tool = which === "nsk" ? [nskBinary, ...words] : [`/usr/bin/${words[0]}`, ...words.slice(1)];
      const script = 'mount --bind "$1" /etc; shift; exec "$@"';
      const { status, stdout } = spawnSync("unshare", ["-m", "sh", "-c", script, "sh", etc, ...tool], {
        encoding: "utf8",
      });
      // libcgroup's messages go there too.
      return { status, stdout: status === 0 ? stdout.replaceAll(name, "NAME") : "" };
    } finally {
      removeGroups(name);
      rmSync(etc, { recursive: true });
    }
  };
  const cat = ["cgexec", "cat", "/proc/self/cgroup"];
  const rows: [title: string, rules: string, words?: string[], groups?: string[]][] = [
    ["a user", "root cpu @NAME@\n"],
    ["anybody", "* cpu @NAME@/\n"],
    ["a group of users", "@root cpu @NAME@\n"],
    ["a program", "root:cat cpu @NAME@\n"],
    ["a program by its path, called by its name", "root:/bin/cat cpu @NAME@\n"],
    ["a program by its path", "root:/bin/cat cpu @NAME@\n", ["cgexec", "/bin/cat", "/proc/self/cgroup"]],
    ["a program called by its path", "root:cat cpu @NAME@\n", ["cgexec", "/bin/cat", "/proc/self/cgroup"]],
    ["another program", "root:dog cpu @NAME@\n"],
    ["the first that fits", "daemon cpu @NAME@/d\nroot cpu @NAME@\n* cpu /\n"],
    ["ditto", "root cpu @NAME@\n% pids @NAME@\n", cat, ["cpu:%", "pids:%"]],
    ["a comment", "# root cpu /\nroot cpu @NAME@ # this\n"],
    ["several controllers", "root cpu,pids @NAME@\n", cat, ["cpu:%", "pids:%"]],
    ["none", "daemon cpu @NAME@\n"],
    ["an empty file", ""],
    ["two words", "root cpu\n"],
    ["the option ignore", "root cpu @NAME@ ignore\n* cpu /\n"],
    ["four words", "root cpu @NAME@ x\n"],
    ["an unknown controller", "root nope @NAME@\n"],
    ["a group that is not there", "root cpu @NAME@/nope\n"],
    ["the user's name", "root cpu @NAME@/%u\n", cat, ["cpu:%/root"]],
    ["the user's number", "root cpu @NAME@/%U\n", cat, ["cpu:%/0"]],
    ["the program's name", "root cpu @NAME@/%p\n", cat, ["cpu:%/cat"]],
  ];
  for (const [title, rules, words = cat, groups = ["cpu:%"]] of rows)
    live(`cgexec without -g, rules with ${title}`, () => {
      const files = { "cgrules.conf": rules };
      expect(withRules("nsk", files, words, { groups })).toEqual(
        withRules("libcgroup", files, words, { groups }),
      );
    });

  live(`a template makes the group (${difference("cgrules-template")})`, () => {
    const files = {
      "cgrules.conf": "root cpu @NAME@/%u-%P\n",
      "cgconfig.conf": "template @NAME@/%u-%P { cpu { cpu.shares = 33; } }\n",
    };
    const show =
      'grep :cpu: /proc/self/cgroup | cut -d: -f3; cat "$0$(grep :cpu: /proc/self/cgroup | cut -d: -f3)/cpu.shares"';
    const { stdout } = withRules(
      "nsk",
      files,
      ["cgexec", "sh", "-c", show, directoryOf("cpu:").slice(0, -1)],
      {},
    );
    expect(stdout).toMatch(/^\/NAME\/root-\d+\n33\n$/);
  });
});

test("a whole tree is listed from a process that may not read all of it", () => {
  expect(runNsk("lscgroup").status).toBe(0);
});
