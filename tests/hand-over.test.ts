// What the caller gave is what the program finds, as if nsk had not been there: each property is asked for by the
// program itself, once run directly and once behind each of nsk's commands that become a program.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encode } from "../src/abi/bytes.ts";
import { lower } from "../src/backends/launcher/lower.ts";
import { liveHost } from "../src/host/live.ts";
import { cannotCompare, directoryOf, removeGroups, uniqueName } from "./commands/libcgroup.ts";
import { difference } from "./differences.ts";
import { testNeeding } from "./support/needs.ts";
import { nsk } from "./support/nsk.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-hand-over-"));
const group = uniqueName();
beforeAll(() => {
  if (!cannotCompare()) mkdirSync(directoryOf(`cpu:${group}`));
});
afterAll(() => {
  removeGroups(group);
  rmSync(scratch, { recursive: true, force: true });
});

/** Command lines that a program can stand behind. With a fork the program's parent is nsk, as it is util-linux's. */
const same: readonly (readonly string[])[] = [
  [nsk, "unshare", "-U"],
  ...(cannotCompare() ? [] : [[nsk, "cgexec", "-g", `cpu:${group}`]]),
];
const forked: readonly (readonly string[])[] = [[nsk, "unshare", "-f"]];
const ways: readonly (readonly string[])[] = [...same, ...forked];
const titleOf = (way: readonly string[]): string => way.slice(1).join(" ").replace(group, "GROUP");

const onlyIf = cannotCompare();
if (onlyIf) test.skip(`cgexec hands over as unshare does (${onlyIf})`, () => {});

interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly status: number | null;
}

const here = join(scratch, "here");

/** Runs `setup`, a script of sh in which `"$@"` is the program and what it stands behind, in an empty directory. */
const run = (setup: string, words: readonly string[]): Outcome => {
  rmSync(here, { recursive: true, force: true });
  mkdirSync(here);
  const ran = Bun.spawnSync(["sh", "-c", setup, "sh", ...words], {
    cwd: here,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
  });
  return { stdout: ran.stdout.toString(), stderr: ran.stderr.toString(), status: ran.exitCode };
};

const perl = testNeeding("perl");

/** One test for every way: the program's outcome is that of the program run directly, and it is not nothing. */
const handsOver = (
  title: string,
  setup: string,
  program: readonly string[],
  {
    over = ways,
    needs = [],
    clean = (text: string) => text,
  }: {
    over?: readonly (readonly string[])[];
    needs?: readonly string[];
    clean?: (text: string) => string;
  } = {},
): void => {
  for (const way of over)
    testNeeding(...needs)(`${title}: ${titleOf(way)}`, () => {
      const cleaned = (outcome: Outcome): Outcome => ({ ...outcome, stdout: clean(outcome.stdout) });
      const direct = cleaned(run(setup, program));
      expect(direct.stdout).not.toBe("");
      expect(cleaned(run(setup, [...way, ...program]))).toEqual(direct);
    });
};
const sh = (script: string): string[] => ["sh", "-c", script];

describe("the process", () => {
  for (const way of same)
    test(`its id and its parent are those of a program run directly: ${titleOf(way)}`, () => {
      const { stdout } = run('"$@" & echo $! $$; wait', [...way, ...sh("echo $$ $PPID")]);
      const [first, second] = stdout.trim().split("\n");
      expect(first).toMatch(/^\d+ \d+$/);
      expect(second).toBe(first);
    });
  test("with a fork its parent is nsk, which has the id that the caller knows", () => {
    const { stdout } = run('"$@" & echo $! >started; wait', [...forked[0]!, ...sh("echo $PPID")]);
    expect(stdout).toBe(readFileSync(join(here, "started"), "utf8"));
  });
  handsOver(
    "one thread, no children that it did not start, nothing to wait for",
    'exec "$@"',
    sh(
      "ls /proc/$$/task | wc -l; read first < /proc/$$/task/$$/children; echo children: $first; wait; echo $?",
    ),
    { clean: (text) => text.replace(/children: \d+$/m, "children: one") },
  );
  handsOver(
    "group, session, priority, scheduling, terminal",
    'nice -n 3 "$@"',
    // Fields of proc_pid_stat(5) behind the parent: 5 to 8, 18, 19, 38, 40, 41.
    sh(
      `sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 3-6,16,17,36,38,39 | sed "s/^$(ps -o pgid= $PPID | tr -d ' ') /group /"`,
    ),
  );
  handsOver("input and output priority", 'ionice -c 2 -n 6 "$@"', ["ionice"], { needs: ["ionice"] });
  handsOver("oom_score_adj", 'echo 321 >/proc/self/oom_score_adj; "$@"', ["cat", "/proc/self/oom_score_adj"]);
  handsOver("what a core dump has", 'echo 0x7 >/proc/self/coredump_filter; "$@"', [
    "cat",
    "/proc/self/coredump_filter",
  ]);
  handsOver("personality", 'setarch -R "$@"', ["cat", "/proc/self/personality"], { needs: ["setarch"] });
  handsOver("processors", 'taskset 1 "$@"', ["grep", "Cpus_allowed:", "/proc/self/status"], {
    needs: ["taskset"],
  });
  handsOver("umask", 'umask 027; "$@"', sh("umask"));
  handsOver("the working directory", 'mkdir -p a/b; cd a/b; "$@"', ["readlink", "/proc/self/cwd"]);
  for (const way of ways)
    test(`not from a working directory that is removed; ${difference("removed-directory")}: ${titleOf(way)}`, () => {
      const outcome = run('mkdir gone; cd gone; rmdir ../gone; "$@"', [...way, "true"]);
      expect(outcome).toMatchObject({ status: 1, stdout: "" });
      expect(outcome.stderr).toMatch(/^error: The current working directory was deleted.*\n$/);
    });
});

describe("limits", () => {
  const limits = ["cat", "/proc/self/limits"];
  handsOver("as they are", '"$@"', limits);
  handsOver("a soft one on descriptors below the hard one", 'ulimit -S -n 300; "$@"', limits);
  handsOver("soft and hard lower", 'ulimit -n 500; ulimit -S -n 400; "$@"', limits);
  handsOver(
    "stack, core, file size, memory",
    'ulimit -S -s 4096; ulimit -c 0; ulimit -S -f 9000; "$@"',
    limits,
  );
  handsOver("a soft one that the parent has not", 'ulimit -S -n 300; prlimit --nofile=200: "$@"', limits, {
    needs: ["prlimit"],
  });
  handsOver("a hard one that the parent has not", 'prlimit --nofile=200:400 "$@"', limits, {
    needs: ["prlimit"],
  });
});

describe("signals", () => {
  const signals = ["grep", "-E", "^(SigBlk|SigIgn|SigCgt|SigPnd|ShdPnd):", "/proc/self/status"];
  handsOver("all at their defaults", '"$@"', signals);
  handsOver(
    "ignored ones stay ignored",
    "trap '' HUP INT QUIT TERM USR1 USR2 ALRM TSTP WINCH; \"$@\"",
    signals,
  );
  handsOver("nohup", 'nohup "$@"', signals);
  handsOver("a background job of a script ignores SIGINT and SIGQUIT", '"$@" & wait', signals);
  handsOver(
    "blocked ones stay blocked, the real-time ones too",
    `perl -MPOSIX -e 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(2, 10, 14, 15, 17, 34, 64)); exec @ARGV' "$@"`,
    signals,
    { needs: ["perl"] },
  );
  handsOver(
    "pending ones are delivered",
    `perl -MPOSIX -e 'sigprocmask(SIG_BLOCK, POSIX::SigSet->new(10)); kill 10, $$; exec @ARGV' "$@"`,
    signals,
    { needs: ["perl"], over: same },
  );
  handsOver(
    "an alarm goes on",
    `perl -e 'alarm 1000; exec @ARGV' "$@"`,
    ["perl", "-e", "print alarm(0) > 900"],
    {
      needs: ["perl"],
      over: same,
    },
  );
  handsOver(
    "the parent's death",
    'setpriv --pdeathsig USR2 "$@"',
    sh("setpriv --dump | grep -i 'parent death'"),
    { needs: ["setpriv"], over: [[nsk, "unshare"]] },
  );
  handsOver("ignored ones that the runtime has a use for", "trap '' PIPE XFSZ PWR; \"$@\"", signals);
  handsOver("every signal that can be ignored", `trap '' $(seq 1 31) $(seq 34 64); "$@"`, signals, {
    over: same, // with a fork SIGCHLD gets its default action
  });
  perl(`an ignored SIGCHLD loses no status; ${difference("sigchld-with-fork")}`, () => {
    const setup = `perl -e '$SIG{CHLD} = "IGNORE"; exec @ARGV' "$@"`;
    const ignored = (words: readonly string[]) =>
      run(setup, [...words, "grep", "SigIgn", "/proc/self/status"]).stdout;
    expect(ignored([])).toBe("SigIgn:\t0000000000010000\n");
    for (const way of same) expect(ignored(way)).toBe(ignored([]));
    for (const way of forked) expect(ignored(way)).toBe("SigIgn:\t0000000000000000\n");
    for (const way of ways)
      expect(run(setup, [...way, ...sh("exit 7")])).toMatchObject({ stderr: "", status: 7 });
  });
});

describe("descriptors", () => {
  // Number, what it is, flags (O_CLOEXEC and O_NONBLOCK among them), position; less those of perl's own.
  const probe = join(scratch, "descriptors.pl");
  beforeAll(() =>
    writeFileSync(
      probe,
      `for my $fd (sort { $a <=> $b } map { m,(\\d+)$, } glob "/proc/self/fd/*") {
         my $link = readlink "/proc/self/fd/$fd" or next;
         next if $link =~ m,/descriptors.pl$,;
         open my $info, "<", "/proc/self/fdinfo/$fd" or next;
         my ($pos, $flags) = map { /(\\d+)/ } scalar <$info>, scalar <$info>;
         $link =~ s/(pipe|socket):.*/$1/;
         print "$fd $link $flags $pos\\n";
       }`,
    ),
  );
  const descriptors = ["perl", probe];
  const options = { needs: ["perl"] };
  const files = "printf 'one\\ntwo\\n' >in; exec 0<in; read line;";

  handsOver("none but the three", `${files} "$@" >out 2>&1; cat out`, descriptors, options);
  handsOver(
    "files to read, write and append, by their places in them",
    `${files} "$@" 3<in 4>new 5<>both 6>>in 9<in >>out 2>&1; cat out`,
    descriptors,
    options,
  );
  handsOver("not 3, but 4", '"$@" 4<&0', descriptors, options);
  handsOver("high numbers", 'exec 7<&0; "$@" 9<&0', [...descriptors], options);
  handsOver(
    "very high numbers, a pipe, a directory, a device",
    `perl -MPOSIX -e 'for (["/dev/zero", 100], [".", 200], ["/dev/null", 255], ["/", 250]) {
       sysopen my $h, $_->[0], 0; POSIX::dup2(fileno $h, $_->[1]) }
       pipe my $r, my $w; POSIX::dup2(fileno $r, 64); POSIX::dup2(fileno $w, 65); exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  handsOver(
    "a thousand of them",
    `perl -MPOSIX -e 'POSIX::dup2(0, $_) for 10 .. 1000; exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  handsOver(
    "one that is to be closed is closed",
    `perl -MFcntl -e 'open my $h, "<", "/dev/zero"; open my $k, "<", "/dev/zero"; fcntl $k, F_SETFD, 0; exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  handsOver(
    "sockets",
    `perl -MSocket -MFcntl -e 'socketpair my $a, my $b, AF_UNIX, SOCK_STREAM, 0;
     fcntl $_, F_SETFD, 0 for $a, $b; exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  // eventfd2, epoll_create, timerfd_create: the runtime has some of its own.
  const [eventfd, epoll, timerfd] = process.arch === "arm64" ? [19, 20, 85] : [290, 291, 283];
  handsOver(
    "an eventfd, an epoll, a timerfd",
    `perl -e 'for (1, 2) { syscall ${eventfd}, 5, 0; syscall ${epoll}, 0; syscall ${timerfd}, 1, 0 } exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  handsOver(
    "an eventfd alone, high up",
    `perl -MPOSIX -e 'POSIX::dup2(syscall(${eventfd}, 5, 0), 77); POSIX::close(3); exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  handsOver("pipes as the three stay blocking", 'echo | "$@" 2>&1 | cat', descriptors, options);
  handsOver(
    "a pipe that does not block stays so",
    `perl -MFcntl -e 'pipe STDIN, my $w; fcntl STDIN, F_SETFL, O_NONBLOCK; exec @ARGV' "$@"`,
    descriptors,
    options,
  );
  for (const closed of ["0<&-", "1>&-", "2>&-", "0<&- 1>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
    handsOver(
      `closed ones stay closed: ${closed}`,
      `"$@" ${closed}; cat out`,
      sh('for n in 0 1 2 3 4; do [ -L /proc/$$/fd/$n ] && open="$open $n"; done; echo open: $open >>out'),
    );

  handsOver("nothing of standard input is eaten", `${files} "$@"; cat`, ["true"]);
  handsOver(
    "standard input is read by the program alone",
    'printf "a\\nb\\nc\\n" | { "$@"; echo then; cat; }',
    sh("read x; echo $x"),
  );
  handsOver(
    "a program leaves the rest of a file to the next",
    `${files} "$@"; pwd >/dev/null; cat`,
    sh("echo program"),
  );
  handsOver("a lot through both ends", 'seq 200000 | "$@" | md5sum', ["cat"]);
  handsOver(
    "a reader that goes away ends the writer",
    '{ "$@"; echo $? >status; } | head -1; cat status',
    sh("exec yes"),
  );
});

describe("bytes", () => {
  const arch = liveHost().arch;
  /** A static program that executes `words` with just these arguments and this environment, byte for byte. */
  const caller = (words: readonly string[], env: readonly string[]): string => {
    const file = join(scratch, `caller-${Bun.hash(JSON.stringify([words, env]))}`);
    const [program] = words as [string];
    const candidates = program.includes("/") ? [program] : [`/usr/bin/${program}`, `/bin/${program}`];
    const exec = { kind: "exec", program, argv: words, candidates, env } as const;
    writeFileSync(file, lower({ name: "caller", failure: 1, steps: [exec] }, arch));
    chmodSync(file, 0o755);
    return file;
  };
  /** Arguments and environment as the kernel has them for the program. */
  const probe = ["sh", "-c", "cat /proc/$$/cmdline; echo; cat /proc/$$/environ", "a name"];
  const long = "x".repeat(131_000);
  const rows: readonly [title: string, args: readonly string[], env: readonly string[]][] = [
    ["plain", ["a", "b c"], ["A=1", "PATH=/bin"]],
    ["no environment", ["a"], []],
    ["empty words", ["", "", "a", ""], ["", "A=", "=", "=x"]],
    ["invalid UTF-8", ["\udcff\udcfe", "a\udc80b", "\udcc3"], ["A=\udcff", "\udc80=b"]],
    [
      "letters, characters outside of the first plane, a byte order mark",
      ["é", "😀", "\ufeffa"],
      ["Ä=ß", "B=😀"],
    ],
    ["newlines, tabs, escapes, quotes", ["a\nb", "\t", "\x1b[0m", `'"\\$x`], ["A=\n", "B=\x01\x7f"]],
    ["variables twice", ["x"], ["A=1", "A=2", "B=3", "A=1"]],
    ["words without =", ["x"], ["A", "B=1", "novalue"]],
    ["words like options", ["-U", "--", "--help", "-f", "--explain", "-"], ["A=-1"]],
    ["Bun's switches", ["x"], ["BUN_OPTIONS=--smol", "BUN_BE_BUN=1", "NODE_OPTIONS=x", "BUN_JSC_useJIT=0"]],
    ["a word as long as the kernel takes", [long], [`A=${long.slice(2)}`]],
    ["a megabyte", Array.from({ length: 8 }, (_, i) => `${i}${long}`.slice(0, 130_000)), ["A=1"]],
    [
      "ten thousand words",
      Array.from({ length: 10_000 }, (_, i) => String(i)),
      Array.from({ length: 5000 }, (_, i) => `V${i}=${i}`),
    ],
  ];
  const read = (words: readonly string[], env: readonly string[]): Buffer => {
    const ran = Bun.spawnSync([caller(words, env)], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    expect(ran.stderr.toString()).toBe("");
    return ran.stdout;
  };
  for (const [title, args, env] of rows)
    test(`arguments and environment: ${title}`, () => {
      const words = [...probe, ...args];
      const direct = read(words, env);
      const expected = [...words.map((word) => `${word}\0`), "\n", ...env.map((word) => `${word}\0`)].join(
        "",
      );
      expect(direct.equals(encode(expected))).toBe(true);
      // Found without a PATH too: nsk looks where execvp(3) does.
      for (const way of ways) expect(read([...way, ...words], env).equals(direct)).toBe(true);
    });
  test("the program's name is the word that was given, and not the file's", () => {
    for (const way of ways) expect(run('"$@"', [...way, "sh", "-c", "echo $0"]).stdout).toBe("sh\n");
  });
});

describe("how it ended", () => {
  const raw = `perl -e 'system { $ARGV[0] } @ARGV; print $?' "$@"`;
  for (const status of [0, 1, 126, 127, 128, 137, 255])
    handsOver(`status ${status}`, '"$@"; echo $?', sh(`exit ${status}`));
  for (const signal of [
    "TERM",
    "KILL",
    "INT",
    "HUP",
    "PIPE",
    "SEGV",
    "ABRT",
    "QUIT",
    "USR1",
    "PWR",
    "XFSZ",
    "34",
  ])
    handsOver(`by signal ${signal}, without a core`, `ulimit -c 0; ${raw}`, sh(`kill -${signal} $$`), {
      needs: ["perl"],
    });
  handsOver("what the shell shows of it", 'ulimit -c 0; "$@"; echo $?', sh("kill -TERM $$"));
  for (const way of forked)
    test(`stops and goes on with its program: ${titleOf(way)}`, async () => {
      const child = Bun.spawn([...way, "sh", "-c", "kill -STOP $$; echo on; exit 3"], {
        stdin: "ignore",
        stdout: "pipe",
      });
      const state = () => /\) (.)/.exec(readFileSync(`/proc/${child.pid}/stat`, "utf8"))?.[1];
      while (state() !== "T") await Bun.sleep(5);
      process.kill(child.pid, "SIGCONT");
      expect(await child.stdout.text()).toBe("on\n");
      expect(await child.exited).toBe(3);
    });
});
