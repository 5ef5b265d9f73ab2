// `bun run bench`: whole-process times beside the tools that nsk stands in for, in one run, and the memory of what
// waits. Writes docs/benchmarks.md: what was measured, met or not. With --lists only what lists a crowd, and nothing is
// written.

import {
  rmdirSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { cpus, loadavg, release, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { compile } from "./compile.ts";
import { machine } from "./link/elf.ts";
import { readGlibc } from "./link/glibc.ts";
import { linkStatic } from "./link/link.ts";
import { mark, startCrowd } from "./crowd.ts";
import { COUNT, LANES, MANY, measureSandboxes } from "./sandboxes.ts";
import { installDependencies, installPackages, isRoot, root, run } from "./setup.ts";

/** The same short search path for all: a long one costs those who search it in their own way. */
const env = { PATH: "/usr/bin:/bin" };
const page = join(root, "docs/benchmarks.md");

interface Row {
  readonly name: string;
  readonly title: string;
  readonly argv: readonly string[];
  /** At most so many times what another row takes. */
  readonly target?: { readonly ratio: number; readonly of: string };
}

interface Waiting {
  readonly title: string;
  readonly argv: readonly string[];
  /** At most so many KB. */
  readonly target?: number;
}

/** What the benchmark makes for itself: all of it in one directory, one control group, and one process. */
interface Stage {
  readonly directory: string;
  /** Not the name of a container as well: runc removes the control group that is named like its container. */
  readonly group: string;
  readonly rootfs: string;
  readonly bundle: string;
  readonly sleepBundle: string;
  /** `unshare` that waits for a process in namespaces of every kind. */
  readonly unshared: Bun.Subprocess;
}

/** A command that must succeed for the benchmark to make sense; what it printed. */
const must = (...argv: readonly string[]): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { env, stdin: "ignore", stderr: "pipe" });
  if (exitCode !== 0) throw new Error(`${argv.join(" ")} failed\n${stderr}`);
  return stdout.toString();
};

const programs = (stage: Stage) => ({
  nsk: join(stage.directory, "nsk"),
  empty: join(stage.directory, "empty"),
  /** The empty program as a static file. */
  static: join(stage.directory, "static"),
  /** The same in a root without a libc. */
  bare: join(stage.directory, "bare", "static"),
});

/**
 * Fresh copies of the large files, made alike. How a file came into the page cache shifts the start of a large
 * program by a quarter, so each round has its own copies.
 */
const copyPrograms = (stage: Stage): void => {
  const copies = programs(stage);
  for (const [from, to] of [
    [join(root, "dist/nsk"), copies.nsk],
    [join(stage.directory, "empty.built"), copies.empty],
    [join(stage.directory, "static.built"), copies.static],
    [join(stage.directory, "static.built"), copies.bare],
  ] as const) {
    rmSync(to, { force: true });
    copyFileSync(from, to);
  }
};

/** As nsk itself is linked. */
const link = (file: Buffer): Buffer =>
  linkStatic(file, readGlibc(machine(file), join(root, "node_modules/.cache")));

/** A runc bundle of the root file system: what `runc spec` proposes, without a terminal. */
const writeBundle = (bundle: string, rootfs: string, args: readonly string[]): void => {
  mkdirSync(bundle);
  must("/usr/sbin/runc", "spec", "--bundle", bundle);
  const file = join(bundle, "config.json");
  const config = JSON.parse(readFileSync(file, "utf8"));
  config.process.terminal = false;
  config.process.args = args;
  config.root.path = rootfs;
  writeFileSync(file, JSON.stringify(config));
};

const setStage = (): Stage => {
  const directory = mkdtempSync(join(tmpdir(), "nsk-bench-"));
  const stage: Stage = {
    directory,
    group: `nsk-bench-${process.pid}`,
    rootfs: join(directory, "rootfs"),
    bundle: join(directory, "bundle"),
    sleepBundle: join(directory, "bundle-sleep"),
    unshared: Bun.spawn(["/usr/bin/unshare", "-muinpUCTfr", "--kill-child", "sleep", "infinity"], {
      env,
      stdio: ["ignore", "ignore", "ignore"],
    }),
  };
  writeFileSync(join(directory, "empty.ts"), "");
  writeFileSync(join(directory, "hello.ts"), 'console.log("hello");\n');
  writeFileSync(
    join(directory, "hello-api.ts"),
    'import { spawn } from "nsk";\nconsole.log("hello", typeof spawn);\n',
  );
  writeFileSync(join(directory, "idle.ts"), "setTimeout(() => {}, 60_000);");
  for (const name of ["empty", "idle"]) {
    const entry = join(directory, `${name}.ts`);
    compile({ entry, outfile: join(directory, `${name}.built`) });
    compile({ entry, outfile: join(directory, `${name === "empty" ? "" : "idle-"}static.built`), link });
  }
  mkdirSync(join(directory, "bare/proc"), { recursive: true });
  mkdirSync(join(stage.rootfs, "bin"), { recursive: true });
  for (const name of ["dev", "proc", "sys", "tmp"]) mkdirSync(join(stage.rootfs, name));
  copyFileSync("/bin/busybox", join(stage.rootfs, "bin/busybox"));
  for (const name of ["true", "sleep", "sh"]) symlinkSync("busybox", join(stage.rootfs, "bin", name));
  writeBundle(stage.bundle, stage.rootfs, ["/bin/true"]);
  writeBundle(stage.sleepBundle, stage.rootfs, ["/bin/sleep", "60"]);
  copyPrograms(stage);
  importImages(stage);
  must("cgcreate", "-g", `cpu:${stage.group}`);
  return stage;
};

const clearStage = (stage: Stage): void => {
  const { group, unshared } = stage;
  unshared.kill("SIGKILL");
  Bun.spawnSync(["/usr/sbin/runc", "delete", "--force", `${group}-runc`], { env, stderr: "ignore" });
  Bun.spawnSync(["/usr/bin/cgdelete", "-g", `cpu:${group}`], { env, stderr: "ignore" });
  Bun.spawnSync([join(root, "dist/nsk"), "rmi", imageOf(stage)], { env, stderr: "ignore" });
  removeGroups(`${group}-podman`);
  rmSync(stage.directory, { recursive: true, force: true });
};

/** Of an engine that leaves them behind, in every tree. */
const removeGroups = (name: string): void => {
  const trees = Bun.spawnSync([
    "/usr/bin/find",
    "/sys/fs/cgroup",
    "-depth",
    "-type",
    "d",
    "-path",
    `*/${name}*`,
  ]);
  for (const directory of trees.stdout.toString().split("\n").filter(Boolean)) rmdirSync(directory);
};

const timed = (stage: Stage): readonly Row[] => {
  const { nsk, empty, static: linked } = programs(stage);
  const { group, rootfs, directory, unshared } = stage;
  const target = String(childrenOf(unshared.pid)[0] ?? unshared.pid);
  return [
    { name: "true", title: "`true` itself", argv: ["/usr/bin/true"] },
    { name: "empty", title: "an empty Bun executable, built with the same flags", argv: [empty] },
    {
      name: "static",
      title: "the same as a static file",
      argv: [linked],
      target: { ratio: 1.05, of: "empty" },
    },
    {
      name: "entered",
      title: "the empty one in a mount namespace and a chroot",
      argv: [join(directory, "entered")],
    },
    {
      name: "bare",
      title: "the static one there, in a root without a libc",
      argv: [join(directory, "entered-bare")],
      target: { ratio: 1.5, of: "entered" },
    },
    { name: "unshare", title: "util-linux `unshare -U true`", argv: ["/usr/bin/unshare", "-U", "true"] },
    {
      name: "nsk unshare",
      title: "`nsk unshare -U true`",
      argv: [nsk, "unshare", "-U", "true"],
      target: { ratio: 1.35, of: "empty" },
    },
    {
      name: "nsk script",
      title: "`nsk script hello.ts`, one `console.log`",
      argv: [nsk, "script", join(directory, "hello.ts")],
      target: { ratio: 1.5, of: "empty" },
    },
    {
      name: "nsk script api",
      title: "the same, and it imports the API",
      argv: [nsk, "script", join(directory, "hello-api.ts")],
    },
    {
      name: "emitted",
      title: "`unshare -U true`, emitted by nsk",
      argv: [join(directory, "emitted")],
      target: { ratio: 0.6, of: "unshare" },
    },
    {
      name: "nsenter",
      title: "util-linux `nsenter -t PID -a true`",
      argv: ["/usr/bin/nsenter", "-t", target, "-a", "true"],
    },
    {
      name: "nsk nsenter",
      title: "`nsk nsenter -t PID -a true`",
      argv: [nsk, "nsenter", "-t", target, "-a", "true"],
      target: { ratio: 1.4, of: "empty" },
    },
    {
      name: "cgexec",
      title: "libcgroup `cgexec -g cpu:x true`",
      argv: ["/usr/bin/cgexec", "-g", `cpu:${group}`, "true"],
    },
    {
      name: "nsk cgexec",
      title: "`nsk cgexec -g cpu:x true`",
      argv: [nsk, "cgexec", "-g", `cpu:${group}`, "true"],
      target: { ratio: 1.35, of: "empty" },
    },
    {
      name: "bwrap",
      title: "`bwrap --unshare-all --bind BUSYBOX / /bin/true`",
      argv: [
        "/usr/bin/bwrap",
        "--unshare-all",
        "--bind",
        rootfs,
        "/",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "/bin/true",
      ],
    },
  ];
};

/**
 * Containers with everything that is usual: a control group, capabilities, a filter. crun takes no hybrid host as it is,
 * so it runs in a mount namespace without the tree of version 2, and beside it nsk does.
 */
const containers = (stage: Stage): readonly Row[] => {
  const { nsk } = programs(stage);
  const { group, rootfs, bundle } = stage;
  const unified = "/sys/fs/cgroup/unified";
  const inLegacy = (...argv: readonly string[]): readonly string[] => [
    "/usr/bin/unshare",
    "-m",
    "/bin/sh",
    "-c",
    `! [ -d ${unified} ] || umount ${unified}; exec "$@"`,
    "sh",
    ...argv,
  ];
  const run = [nsk, "run", imageOf(stage), "/bin/true"];
  return [
    {
      name: "runc",
      title: "`runc run`, BUSYBOX, `/bin/true`",
      argv: ["/usr/sbin/runc", "run", "--bundle", bundle, `${group}-runc`],
    },
    {
      name: "nsk run --rootfs",
      title: "`nsk run --rootfs BUSYBOX -- /bin/true`",
      argv: [nsk, "run", "--rootfs", rootfs, "--", "/bin/true"],
    },
    {
      name: "nsk run",
      title: "`nsk run IMAGE /bin/true`, an image of BUSYBOX",
      argv: run,
      target: { ratio: 0.5, of: "runc" },
    },
    {
      name: "crun",
      title: "`crun run`, as `runc run`, without the tree of version 2",
      argv: inLegacy("/usr/bin/crun", "run", "--bundle", bundle, `${group}-crun`),
    },
    {
      name: "nsk run, legacy",
      title: "`nsk run IMAGE /bin/true`, there too",
      argv: inLegacy(...run),
      target: { ratio: 1, of: "crun" },
    },
    { name: "podman", title: "`podman run --rm --network none IMAGE /bin/true`, runc", argv: podman(stage) },
    {
      name: "nsk run, again",
      title: "`nsk run IMAGE /bin/true`, again",
      argv: run,
      target: { ratio: 0.1, of: "podman" },
    },
  ];
};

const imageOf = ({ group }: Stage): string => `localhost/${group}`;

/** With an image store of its own. Limits on open files and processes that root need not raise for it. */
const podmanCommand = ({ directory }: Stage): readonly string[] => [
  "/usr/bin/podman",
  `--root=${join(directory, "podman")}`,
  `--runroot=${join(directory, "podman-run")}`,
  "--storage-driver=vfs",
  "--cgroup-manager=cgroupfs",
  "--runtime=/usr/sbin/runc",
];

const podman = (stage: Stage, ...more: readonly string[]): readonly string[] => [
  ...podmanCommand(stage),
  "run",
  ...more,
  "--rm",
  "--network=none",
  `--cgroup-parent=${stage.group}-podman`,
  "--ulimit=nofile=1024:1024",
  "--ulimit=nproc=1000:1000",
  imageOf(stage),
  ...(more.length ? ["/bin/sleep", "60"] : ["/bin/true"]),
];

/** BUSYBOX as an image for nsk, and for podman where that is. */
const importImages = (stage: Stage): void => {
  const archive = join(stage.directory, "image.tar");
  must("/usr/bin/tar", "-C", stage.rootfs, "-cf", archive, ".");
  must(join(root, "dist/nsk"), "import", "-q", archive, imageOf(stage));
  const [program, ...options] = podmanCommand(stage);
  if (existsSync(program!)) must(program!, ...options, "import", archive, imageOf(stage));
};

/** Lists of a crowded machine, which would disturb all other rows. */
const lists = (stage: Stage): readonly Row[] => {
  const { nsk } = programs(stage);
  const crowd = "2,000 processes in 300 namespaces";
  return [
    { name: "lsns", title: `util-linux \`lsns\`, ${crowd}`, argv: ["/usr/bin/lsns"] },
    {
      name: "nsk lsns",
      title: `\`nsk lsns\`, ${crowd}`,
      argv: [nsk, "lsns"],
      target: { ratio: 1, of: "lsns" },
    },
    { name: "lsns tree", title: `util-linux \`lsns -T\`, ${crowd}`, argv: ["/usr/bin/lsns", "-T"] },
    { name: "nsk lsns tree", title: `\`nsk lsns -T\`, ${crowd}`, argv: [nsk, "lsns", "-T"] },
    {
      name: "ps",
      title: `\`ps -e -o pidns,pid,ppid,args\`, ${crowd}`,
      argv: ["/usr/bin/ps", "-e", "-o", "pidns,pid,ppid,args"],
    },
    {
      name: "nsk ps",
      title: `\`nsk ps -e -o pidns,pid,ppid,args\`, ${crowd}`,
      argv: [nsk, "ps", "-e", "-o", "pidns,pid,ppid,args"],
    },
  ];
};

/** Measures lists; throws where nsk's lsns does not show of the crowd what util-linux's does. */
const measureLists = async (stage: Stage): Promise<Map<string, number[]>> => {
  const crowd = await startCrowd();
  try {
    const shown = (program: string, ...words: string[]): string =>
      must(program, ...words)
        .split("\n")
        .filter((line) => line.includes(mark))
        .join("\n");
    for (const words of [[], ["-l"], ["-T"]])
      if (shown("/usr/bin/lsns", ...words) !== shown(programs(stage).nsk, "lsns", ...words))
        throw new Error(`nsk lsns ${words.join(" ")} does not show what lsns shows`);
    return measure(stage, lists(stage), 5, 5);
  } finally {
    await crowd.stop();
  }
};

/** So much of /usr makes an archive that is like that of a small system. */
const MOST_UNPACKED = 300e6;
const unpackingRows: readonly Row[] = [
  { name: "tar", title: "GNU `tar xzf`, 300 MB of /usr", argv: [] },
  {
    name: "nsk import",
    title: "`nsk import` of the same: digested, kept and unpacked",
    argv: [],
    target: { ratio: 1.3, of: "tar" },
  },
];

/** The times of unpacking, by turns, and the most memory in KB that nsk took for it. */
const measureUnpacking = async (stage: Stage): Promise<{ times: Map<string, number[]>; peak: number }> => {
  const { nsk } = programs(stage);
  const [list, archive] = [join(stage.directory, "list"), join(stage.directory, "usr.tar.gz")];
  let size = 0;
  const names: string[] = [];
  // From everywhere a little: every fourth file, so that it is not all of one kind.
  const found = must("/usr/bin/find", "/usr", "-xdev", "-printf", "%s %p\\0").split("\0").filter(Boolean);
  for (let i = 0; i < found.length && size < MOST_UNPACKED; i += 4) {
    const [, bytes, name] = /^(\d+) ([^]*)$/.exec(found[i]!)!;
    size += Number(bytes);
    names.push(name!);
  }
  writeFileSync(list, names.join("\0"));
  must("/usr/bin/tar", "-czf", archive, "--no-recursion", "--null", "-P", "-T", list);
  const times = new Map<string, number[]>([
    ["tar", []],
    ["nsk import", []],
  ]);
  const importing = [nsk, "import", "-q", archive, "bench"];
  const take = (name: string, argv: string[], more: Record<string, string>): void => {
    const before = performance.now();
    const { exitCode } = Bun.spawnSync(argv, {
      env: { ...env, ...more },
      stdin: "ignore",
      stderr: "inherit",
    });
    times.get(name)!.push(performance.now() - before);
    if (exitCode !== 0) throw new Error(`${argv.join(" ")} failed`);
  };
  // Every time into a new directory, and nothing is removed before the end: for some minutes ext4 passes over inodes
  // that were just freed, one by one, and making a file takes a millisecond (recently_deleted() in fs/ext4/ialloc.c).
  const fresh = (name: string, round: number | string): string => join(stage.directory, `${name}-${round}`);
  for (let round = 0; round < 5; round++) {
    const target = fresh("unpacked", round);
    mkdirSync(target);
    const both = [
      () => take("tar", ["/usr/bin/tar", "-xzf", archive, "-C", target], {}),
      () => take("nsk import", importing, { NSK_STORE: fresh("store", round) }),
    ];
    for (const one of round % 2 ? both : both.reverse()) {
      must("/usr/bin/sync"); // nobody pays for what another has left to be written
      one();
    }
  }
  const peak = await peakMemory(importing, { ...env, NSK_STORE: fresh("store", "peak") });
  for (const name of ["unpacked", "store"])
    for (const round of [0, 1, 2, 3, 4, "peak"]) rmSync(fresh(name, round), { recursive: true, force: true });
  return { times, peak };
};

/**
 * KB of resident memory that a command took at its most. Not `ru_maxrss`: between vfork and exec a child has its parent's
 * memory, and that counts as the child's own, so it would be this program's. @see getrusage(2), proc_pid_status(5)
 */
const peakMemory = async (argv: string[], env: Record<string, string>): Promise<number> => {
  const child = Bun.spawn(argv, { env, stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  let peak = 0;
  // The mark only rises, so what is lost is the last few milliseconds.
  while (child.exitCode === null && child.signalCode === null) {
    const found = /^VmHWM:\s+(\d+)/m.exec(
      await Bun.file(`/proc/${child.pid}/status`)
        .text()
        .catch(() => ""),
    );
    if (found) peak = Math.max(peak, Number(found[1]));
    await Bun.sleep(2);
  }
  if ((await child.exited) !== 0 || peak === 0) throw new Error(`${argv.join(" ")} failed`);
  return peak;
};

const waiting = (stage: Stage): readonly Waiting[] => {
  const { nsk } = programs(stage);
  const { group, rootfs, sleepBundle } = stage;
  return [
    { title: "util-linux `unshare -fp sleep`", argv: ["/usr/bin/unshare", "-fp", "sleep", "60"] },
    { title: "`nsk unshare -fp sleep`", argv: [nsk, "unshare", "-fp", "sleep", "60"], target: 100 },
    {
      title: "`bwrap --unshare-all … sleep`",
      argv: [
        "/usr/bin/bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--bind",
        rootfs,
        "/",
        "/bin/sleep",
        "60",
      ],
    },
    {
      title: "`runc run … sleep`",
      argv: ["/usr/sbin/runc", "run", "--bundle", sleepBundle, `${group}-runc`],
    },
    {
      title: "`nsk run --rootfs BUSYBOX -- sleep`",
      argv: [nsk, "run", "--rootfs", rootfs, "--", "/bin/sleep", "60"],
      target: 200,
    },
  ];
};

/** What is wrong with a command: a line of its own words, or that there is none to run. */
const trial = (argv: readonly string[]): string | undefined => {
  if (!existsSync(argv[0]!)) return `${argv[0]} is not there`;
  const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { env, stdin: "ignore", stderr: "pipe" });
  return exitCode === 0
    ? undefined
    : (`${stderr}${stdout}`.trim().split("\n")[0] ?? "") || `exit status ${exitCode}`;
};

/** Fills `broken` with those that do not run here. */
const measureContainers = (stage: Stage, broken: Map<string, string>): Map<string, number[]> => {
  const rows = containers(stage);
  for (const { name, argv } of rows) {
    const reason = trial(argv);
    if (reason) broken.set(name, reason);
  }
  return measure(
    stage,
    rows.filter(({ name }) => !broken.has(name)),
    10,
    10,
  );
};

const quote = (word: string): string => `'${word.replaceAll("'", `'\\''`)}'`;

/**
 * All times of all rows, in milliseconds: how often everything is gone through, each time in another order, and how
 * often each command runs in a row.
 */
const measure = (stage: Stage, rows: readonly Row[], rounds = 20, runs = 15): Map<string, number[]> => {
  const times = new Map<string, number[]>(rows.map(({ name }) => [name, []]));
  const result = join(stage.directory, "hyperfine.json");
  for (let round = 0; round < rounds; round++) {
    copyPrograms(stage);
    // Another first every time: whatever gets slower or faster meanwhile does so for everybody.
    const order = rows.map((_, index) => rows[(index + round) % rows.length]!);
    process.stderr.write(`\rround ${round + 1} of ${rounds}`);
    must(
      "/usr/bin/hyperfine",
      "-N",
      "--warmup=3",
      `--runs=${runs}`,
      "--style=none",
      // One failed run does not end it all; its time is not counted. (libcgroup reads every control group of the
      // machine, and fails when one goes away meanwhile.)
      "--ignore-failure",
      `--export-json=${result}`,
      ...order.map(({ argv }) => argv.map(quote).join(" ")),
    );
    const { results } = JSON.parse(readFileSync(result, "utf8")) as {
      results: { times: number[]; exit_codes: number[] }[];
    };
    order.forEach(({ name }, index) => {
      const { times: seconds, exit_codes: codes } = results[index]!;
      times.get(name)!.push(...seconds.filter((_, run) => codes[run] === 0).map((second) => second * 1000));
    });
  }
  process.stderr.write("\r\x1b[K");
  for (const [name, counted] of times)
    if (counted.length < 0.9 * rounds * runs)
      throw new Error(`${name}: only ${counted.length} runs succeeded`);
  return times;
};

/** The same work on many groups, by libcgroup's tool and by nsk. */
interface ManyGroups {
  readonly title: string;
  /** How many groups there are, below one that both get by its name. */
  readonly groups: number;
  /** The commands of libcgroup, one after the other, and nsk's one. */
  readonly peer: (group: string) => readonly (readonly string[])[];
  readonly nsk: (group: string) => readonly string[];
  /** At most so many times what libcgroup takes. */
  readonly target: number;
}

const below = (group: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${group}/g${i}`);

const tenSettings = Array.from({ length: 5 }, (_, i) => [
  "-r",
  `cpu.shares=${500 + i}`,
  "-r",
  `cpu.cfs_quota_us=${50_000 + 1000 * i}`,
]).flat();

const manyGroups: readonly ManyGroups[] = [
  {
    title: "`lscgroup` over 5,000 groups",
    groups: 5000,
    peer: () => [["lscgroup"]],
    nsk: () => ["lscgroup"],
    target: 1,
  },
  {
    title: "`cgget -a` of 1,000 groups",
    groups: 1000,
    peer: (group) => [["cgget", "-a", ...below(group, 1000)]],
    nsk: (group) => ["cgget", "-a", ...below(group, 1000)],
    target: 1,
  },
  {
    title: "`cgdelete -r` of 5,000 groups",
    groups: 5000,
    peer: (group) => [["cgdelete", "-r", `cpu:${group}`]],
    nsk: (group) => ["cgdelete", "-r", `cpu:${group}`],
    target: 1,
  },
  {
    title: "`cgset -r` of 10 settings on 100 groups, in one call; libcgroup called 100 times",
    groups: 100,
    peer: (group) => below(group, 100).map((name) => ["cgset", ...tenSettings, name]),
    nsk: (group) => ["cgset", ...tenSettings, ...below(group, 100)],
    target: 0.5,
  },
];

/** How often each is done, turn about. */
const groupRuns = 7;

/** Medians in milliseconds: libcgroup's and nsk's. */
const measureGroups = (stage: Stage, it: ManyGroups): { peer: number; own: number } => {
  const group = `${stage.group}-many`;
  const directory = `/sys/fs/cgroup/cpu/${group}`;
  const make = (): void => {
    mkdirSync(directory, { recursive: true });
    for (const name of below(directory, it.groups)) mkdirSync(name, { recursive: true });
  };
  const time = (commands: readonly (readonly string[])[]): number => {
    make();
    const start = performance.now();
    for (const argv of commands) {
      const { exitCode, stderr } = Bun.spawnSync([...argv], { env, stdout: "ignore", stderr: "pipe" });
      if (exitCode !== 0) throw new Error(`${argv.slice(0, 3).join(" ")} failed: ${stderr}`);
    }
    return performance.now() - start;
  };
  const [peer, own]: [number[], number[]] = [[], []];
  try {
    for (let run = 0; run < groupRuns; run++) {
      peer.push(time(it.peer(group).map(([tool, ...args]) => [`/usr/bin/${tool}`, ...args])));
      own.push(time([[programs(stage).nsk, ...it.nsk(group)]]));
    }
  } finally {
    Bun.spawnSync([programs(stage).nsk, "cgdelete", "-r", `cpu:${group}`], { env, stderr: "ignore" });
  }
  return { peer: median(peer), own: median(own) };
};

const groupsTable = (stage: Stage): string =>
  table(
    ["many groups", "libcgroup, median ms", "nsk, median ms", "target", "measured", ""],
    manyGroups.map((it) => {
      const { peer, own } = measureGroups(stage, it);
      const ratio = own / peer;
      return [
        it.title,
        peer.toFixed(0),
        own.toFixed(0),
        `≤ ${it.target} × libcgroup`,
        ratio.toFixed(2),
        met(ratio <= it.target),
      ];
    }),
  );

const quantile = (values: readonly number[], q: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
};
const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The children of all threads of a process. */
const childrenOf = (pid: number): number[] => {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean).map(Number),
    );
  } catch {
    return []; // gone already
  }
};

/** The proportional set size of what waits for the program, in KB; a string says why there is none. */
/** In KB. */
const pss = (pid: number): number =>
  Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))![1]);

/** What stays of podman beside a container in the background. */
const measureConmon = async (stage: Stage): Promise<number | string> => {
  const { directory } = stage;
  const started = trial(podman(stage, "-d"));
  if (started) return started;
  try {
    await Bun.sleep(500);
    const isIts = (pid: number): boolean => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "latin1");
        return words.startsWith("/usr/bin/conmon\0") && words.includes(directory);
      } catch {
        return false; // it has ended
      }
    };
    const pid = readdirSync("/proc").map(Number).filter(Boolean).find(isIts);
    return pid === undefined ? "no conmon was seen" : pss(pid);
  } finally {
    Bun.spawnSync([...podmanCommand(stage), "rm", "--all", "--force", "--time=0"], {
      env,
      stderr: "ignore",
      stdout: "ignore",
    });
  }
};

const measureWaiting = async ({ argv }: Waiting): Promise<number | string> => {
  const child = Bun.spawn([...argv], { env, stdio: ["ignore", "ignore", "pipe"] });
  try {
    // It waits when it has a child that has become `sleep`; a moment more for the pages to settle.
    const isSleeping = (pid: number): boolean => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        if (words[0]?.endsWith("sleep")) return true;
      } catch {
        return false;
      }
      return childrenOf(pid).some(isSleeping);
    };
    const deadline = performance.now() + 3000;
    while (!childrenOf(child.pid).some(isSleeping)) {
      if (child.exitCode !== null) return (await child.stderr.text()).trim().split("\n")[0] ?? "it ended";
      if (performance.now() > deadline) return "no waiting process was seen";
      await Bun.sleep(20);
    }
    await Bun.sleep(300);
    return pss(child.pid);
  } finally {
    // The sleepers first: who waits for them then ends as it would, and cleans up.
    const tree = (pid: number): number[] => [...childrenOf(pid).flatMap(tree), pid];
    for (const pid of tree(child.pid).filter((pid) => pid !== child.pid)) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {} // gone with the one before
    }
    await Promise.race([child.exited, Bun.sleep(2000)]);
    if (child.exitCode === null) child.kill("SIGKILL");
  }
};

const describeMachine = (): string => {
  const system = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "Linux";
  const [load] = loadavg();
  return [
    `${cpus()[0]?.model.trim() ?? process.arch}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`,
    `Linux ${/^[\d.]+/.exec(release())?.[0]} (${process.arch}), ${system}, Bun ${Bun.version}`,
    `load average ${load!.toFixed(2)} at the start, ${new Date().toISOString().slice(0, 10)}`,
  ].join("; ");
};

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map((_, index) => (index === 0 ? ":--" : "--:")), ...rows]
    .map((row) => `| ${row.join(" | ")} |`)
    .join("\n");

const met = (yes: boolean): string => (yes ? "met" : "**not met**");

const timesTable = (
  rows: readonly Row[],
  times: Map<string, number[]>,
  broken: Map<string, string>,
): string => {
  const of = (name: string) => (times.has(name) ? median(times.get(name)!) : undefined);
  const floor = of("empty");
  return table(
    ["whole process", "median ms", "p10 – p90", "× empty Bun", "target", "measured", ""],
    rows.map(({ name, title, target }) => {
      const mine = of(name);
      const other = target && of(target.of);
      const goal = target
        ? `≤ ${target.ratio} × ${rows.find((row) => row.name === target.of)!.title.replace(/,.*/, "")}`
        : "";
      if (mine === undefined)
        return [title, "not measured", broken.get(name) ?? "", "", goal, "", goal && "**not met**"];
      const values = times.get(name)!;
      return [
        title,
        mine.toFixed(2),
        `${quantile(values, 0.1).toFixed(2)} – ${quantile(values, 0.9).toFixed(2)}`,
        floor ? (mine / floor).toFixed(2) : "",
        goal,
        other ? (mine / other).toFixed(2) : "",
        target ? (other ? met(mine / other <= target.ratio) : "not compared") : "",
      ];
    }),
  );
};

const memoryTable = (
  rows: readonly Waiting[],
  sizes: readonly (number | string)[],
  head = ["what waits for", "PSS"],
): string =>
  table(
    [...head, "target", ""],
    rows.map(({ title, target }, index) => {
      const size = sizes[index]!;
      return [
        title,
        typeof size === "number" ? `${size} KB` : `not measured: ${size}`,
        target ? `≤ ${target} KB` : "",
        target ? met(typeof size === "number" && size <= target) : "",
      ];
    }),
  );

/** What the static file costs besides time: bytes, and memory of a program that waits. */
const fileTable = async ({ directory }: Stage): Promise<string> => {
  const megabytes = (name: string) => statSync(join(directory, name)).size / 1e6;
  const [plain, linked] = [megabytes("empty.built"), megabytes("static.built")];
  // Copies made alike, for the reason that copyPrograms gives: how many pages of a file are mapped around one that is
  // touched depends on how it came into the page cache.
  const copies = ["idle", "idle-static"].map((name) => {
    copyFileSync(join(directory, `${name}.built`), join(directory, name));
    return join(directory, name);
  });
  const [idle, idleLinked] = (await measureIdle(copies)) as [number, number];
  return table(
    ["", "as Bun makes it", "static", "target", ""],
    [
      [
        "size of an empty program",
        `${plain.toFixed(1)} MB`,
        `${linked.toFixed(1)} MB`,
        "≤ + 4 MB",
        met(linked - plain <= 4),
      ],
      ["PSS of an idle one", `${idle} KB`, `${idleLinked} KB`, "≤ + 100 KB", met(idleLinked - idle <= 100)],
    ],
  );
};

/** The proportional set sizes of programs that wait, in KB: medians, since they vary; in turns, since others use the memory too. */
const measureIdle = async (programs: readonly string[]): Promise<number[]> => {
  const sizes = programs.map((): number[] => []);
  for (let run = 0; run < 15; run++)
    for (const [i, program] of programs.entries()) {
      const child = Bun.spawn([program], { env, stdio: ["ignore", "ignore", "ignore"] });
      await Bun.sleep(300);
      const rollup = readFileSync(`/proc/${child.pid}/smaps_rollup`, "utf8");
      sizes[i]!.push(Number(/^Pss:\s+(\d+) kB/m.exec(rollup)![1]));
      child.kill("SIGKILL");
      await child.exited;
    }
  return sizes.map(median);
};

/** What one script does many times. */
const sandboxTable = (stage: Stage): string => {
  const { loop, script, lanes, memory } = measureSandboxes(programs(stage).nsk, stage.directory, env);
  const slow = median(loop);
  const growth = (Math.max(...memory) - Math.min(...memory)) / 1000;
  const what = `${COUNT.toLocaleString("en")} × \`user,pid,mount,uts\`, \`/bin/true\``;
  return table(
    ["", "measured", "target", ""],
    [
      [`${what}: a \`bash\` loop over util-linux's \`unshare\``, `${slow.toFixed(2)} s`, "", ""],
      ...(
        [
          ["one after the other", median(script)],
          [`${LANES} at a time`, median(lanes)],
        ] as const
      ).map(([how, fast]) => [
        `${what}: one nsk script, ${how}`,
        `${fast.toFixed(2)} s, ${(fast / slow).toFixed(2)} × the loop`,
        "≤ 0.6 × the loop",
        met(fast / slow <= 0.6),
      ]),
      [
        `RSS of the script over ${MANY.toLocaleString("en")}`,
        `${(Math.min(...memory) / 1000).toFixed(1)} – ${(Math.max(...memory) / 1000).toFixed(1)} MB`,
        "± 10 MB",
        met(growth <= 20),
      ],
    ],
  );
};

const begin = "<!-- measured -->";
const end = "<!-- /measured -->";
const frame = `# Benchmarks

\`bun run bench\` (as root, on Debian) measures what follows and writes it here. A time is that of a whole process, from
before its fork to after its wait, taken by hyperfine without a shell. All rows are gone through many times in one run,
each time in another order and with fresh copies of the large files, and all runs of a row make its median. PSS is the
proportional set size of the process that waits for the program, from \`/proc/PID/smaps_rollup\`. BUSYBOX is a directory
with a static busybox. \`PATH\` is \`/usr/bin:/bin\` for all.

${begin}
${end}
`;

const write = (measured: string): void => {
  mkdirSync(join(root, "docs"), { recursive: true });
  const old = existsSync(page) ? readFileSync(page, "utf8") : frame;
  const start = old.indexOf(begin);
  const stop = old.indexOf(end);
  if (start < 0 || stop < start) throw new Error("docs/benchmarks.md has lost its markers");
  writeFileSync(page, `${old.slice(0, start)}${begin}\n\n${measured}\n\n${old.slice(stop)}`);
  run([process.execPath, "fmt", "--no-script", page]);
};

const bench = async (): Promise<void> => {
  if (!isRoot()) throw new Error("root is needed: for the control group, and for the peers");
  installDependencies();
  const missing = installPackages();
  for (const name of ["hyperfine", "busybox-static", "cgroup-tools", "runc"] as const)
    if (missing.includes(name)) throw new Error(`the Debian package ${name} is needed`);
  if (run([process.execPath, "scripts/build.ts"]) !== 0) throw new Error("the build failed");

  const machine = describeMachine();
  const stage = setStage();
  process.once("SIGINT", () => {
    clearStage(stage);
    process.exit(130);
  });
  try {
    const unpackingTables = async (): Promise<string> => {
      const { times, peak } = await measureUnpacking(stage);
      const rows = [{ title: "`nsk import` of the same, at its peak", argv: [], target: 150_000 }];
      return [
        timesTable(unpackingRows, times, new Map()),
        memoryTable(rows, [peak], ["what unpacks", "RSS"]),
      ].join("\n\n");
    };
    if (process.argv.includes("--unpacking")) {
      console.log(await unpackingTables());
      return;
    }
    if (process.argv.includes("--scripts")) {
      const rows = timed(stage).filter(({ name }) => name === "empty" || name.startsWith("nsk script"));
      console.log(`${timesTable(rows, measure(stage, rows), new Map())}\n\n${sandboxTable(stage)}`);
      return;
    }
    if (process.argv.includes("--containers")) {
      const broken = new Map<string, string>();
      const times = measureContainers(stage, broken);
      const waiters = waiting(stage);
      const sizes = await Promise.all(waiters.map(measureWaiting));
      const conmon = { title: "conmon", argv: [] };
      console.log(timesTable(containers(stage), times, broken));
      console.log(memoryTable([...waiters, conmon], [...sizes, await measureConmon(stage)]));
      return;
    }
    if (process.argv.includes("--lists")) {
      console.log(timesTable(lists(stage), await measureLists(stage), new Map()));
      return;
    }
    const inside = (directory: string) => ["-m", "-R", directory, "--mount-proc"];
    for (const [name, words] of [
      ["emitted", ["-U", "true"]],
      ["entered", [...inside("/"), programs(stage).empty]],
      ["entered-bare", [...inside(join(stage.directory, "bare")), "/static"]],
    ] as const) {
      const emitting = trial([
        programs(stage).nsk,
        "unshare",
        "--emit",
        join(stage.directory, name),
        ...words,
      ]);
      if (emitting) console.log(`no ${name}: ${emitting}`);
    }
    const rows = timed(stage);
    const broken = new Map(rows.flatMap(({ name, argv }) => (trial(argv) ? [[name, trial(argv)!]] : [])));
    for (const [name, reason] of broken) console.log(`${name} does not run here: ${reason}`);
    const times = measure(
      stage,
      rows.filter(({ name }) => !broken.has(name)),
    );
    for (const [name, counted] of measureContainers(stage, broken)) times.set(name, counted);
    for (const [name, counted] of await measureLists(stage)) times.set(name, counted);
    const waiters = waiting(stage);
    const sizes: (number | string)[] = [];
    for (const waiter of waiters) sizes.push(await measureWaiting(waiter));
    const conmon = { title: "`podman run -d … sleep`: conmon", argv: [] };
    const measured = [
      machine,
      "20 rounds of 15 runs each, 10 of 10 of containers, 5 of 5 of what lists a crowd.",
      timesTable([...rows, ...containers(stage), ...lists(stage)], times, broken),
      memoryTable([...waiters, conmon], [...sizes, await measureConmon(stage)]),
      await unpackingTables(),
      await fileTable(stage),
      sandboxTable(stage),
      `${groupRuns} runs each, turn about, with output to /dev/null.`,
      groupsTable(stage),
    ].join("\n\n");
    write(measured);
    console.log(`${measured}\n\nwritten to docs/benchmarks.md`);
  } finally {
    clearStage(stage);
  }
};

try {
  await bench();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
