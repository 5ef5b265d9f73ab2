// Boots a guest: a Debian kernel under qemu on a throwaway copy of a disk, which runs a list of scripts and switches
// itself off. Scripts go in as a tar on a second disk, what they printed comes back as a tar on a third. Lines on the
// serial console tell how far the guest came, so that a panic or a hang is told from a result.

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fetchKernel, type Kernel, must, program, type Release } from "./components.ts";
import { type Disk, diskFile, minimalDisk } from "./disk.ts";

/** How control groups are mounted: each as a Debian of some age does it, or not at all. */
export type Cgroups = "v2" | "v1" | "hybrid" | "none";

export interface Guest {
  readonly cgroups: Cgroups;
  /** The Debian whose kernel it gets; this machine's unless given. */
  readonly kernel?: Release;
  /** What it starts from; {@link minimalDisk} unless given. */
  readonly disk?: (kernel: Kernel) => Disk;
  /** Files that it gets besides, by their paths there: text, or a file or folder to copy. `{ "/": folder }` works too. */
  readonly files?: Readonly<Record<string, string | { readonly from: string }>>;
  /** Lines for a shell, done by root before the first script: `mount -o remount,ro /`. */
  readonly prepare?: string;
  /** qemu's name of the processor; `max`, all that it can emulate, unless given. */
  readonly processor?: string;
  /** Processors, 1 unless given: emulated ones wait for each other more than they help. */
  readonly cpus?: number;
  /** Megabytes, 1024 unless given. */
  readonly memory?: number;
  /** Seconds over a script's limit after which the guest is taken to hang; 120 unless given. */
  readonly patience?: number;
}

/** Lines for `sh -eu`, run by itself: nothing of one script is running any more when the next begins. */
export interface Script {
  readonly title: string;
  readonly lines: string;
  /** `root` unless given; `alice` has ranges in /etc/subuid, `bob` has none. */
  readonly user?: "root" | "alice" | "bob";
  /** Seconds, 60 unless given. */
  readonly limit?: number;
}

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What became of each script, by its title: what it did, or why that is not known. */
export type Outcomes = ReadonlyMap<string, Ran | Error>;

/** Seconds for what is expected to take few of them, on a busy machine. */
const PATIENCE = 120;
const LIMIT = 60;

/** Why there is no result: with the console's last lines, where a panic would stand. */
const broken = (what: string, console: string): Error =>
  new Error(`${what}; the console's last lines:\n${console.split("\n").slice(-60).join("\n")}`);

/** Three digits, so that the shell's order is ours. */
const numberOf = (i: number): string => String(i).padStart(3, "0");

const writeJob = (directory: string, guest: Guest, scripts: readonly Script[], shell: boolean): string => {
  const job = join(directory, "job");
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(job, path)), { recursive: true });
    writeFileSync(join(job, path), text);
  };
  write("setup", `cgroups=${guest.cgroups} shell=${shell ? 1 : ""}\n`);
  write("prepare", `${guest.prepare ?? ""}\n`);
  mkdirSync(join(job, "tests"));
  scripts.forEach(({ lines, user = "root", limit = LIMIT }, i) => {
    const number = numberOf(i);
    write(`tests/${number}/how`, `user=${user} limit=${limit}\n`);
    write(`tests/${number}/script`, `${lines}\n`);
  });
  for (const [path, content] of Object.entries(guest.files ?? {})) {
    const to = join("files", path);
    if (typeof content === "string") write(to, content);
    else cpSync(content.from, join(job, to), { recursive: true, verbatimSymlinks: true });
  }
  const file = join(directory, "job.tar");
  must(["tar", "--owner=0", "--group=0", "-cf", file, "-C", job, "."]);
  return file;
};

const commandLine = (guest: Guest, job: string, results: string, shell: boolean): string[] => {
  const kernel = fetchKernel(guest.kernel);
  const disk = (id: string, file: string, number: number, options: string): string[] => [
    "-drive",
    `if=none,id=${id},format=raw,file=${file},${options}`,
    "-device",
    `nvme-ns,drive=${id},bus=nvme,nsid=${number}`,
  ];
  return [
    // qemu must not outlive a test run that was killed.
    ...[program("setpriv"), "--pdeathsig", "KILL", program("qemu-system-x86_64")],
    ...["-accel", "tcg,thread=multi", "-cpu", guest.processor ?? "max"],
    ...["-m", String(guest.memory ?? 1024), "-smp", String(guest.cpus ?? 1)],
    ...["-nodefaults", "-no-reboot", "-display", "none", "-serial", shell ? "mon:stdio" : "stdio"],
    ...["-kernel", kernel.image, "-append"],
    "console=ttyS0 quiet panic=-1 root=/dev/nvme0n1 rootwait rw rootfstype=ext4 init=/init",
    // One controller: the order of several is not certain.
    ...["-device", "nvme,id=nvme,serial=guest"],
    ...disk("root", diskFile((guest.disk ?? minimalDisk)(kernel)), 1, "snapshot=on"),
    ...disk("job", job, 2, "readonly=on"),
    ...disk("results", results, 3, "cache=unsafe"),
  ];
};

/** Boots the guest and runs the scripts in it. What fails to boot, panics or hangs is told in the outcomes. */
export const boot = async (guest: Guest, scripts: readonly Script[]): Promise<Outcomes> => {
  const directory = mkdtempSync(join(tmpdir(), "nsk-guest-"));
  try {
    const results = join(directory, "results.img");
    writeFileSync(results, "");
    truncateSync(results, 64 * 2 ** 20);
    const words = commandLine(guest, writeJob(directory, guest, scripts, false), results, false);
    const { console, reason } = await watch(words, scripts, guest.patience ?? PATIENCE);
    return readOutcomes(directory, results, scripts, console, reason);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};

/** Runs qemu until it ends or a limit of time is over: all that was on the console, and why it was stopped. */
const watch = async (
  words: readonly string[],
  scripts: readonly Script[],
  patience: number,
): Promise<{ console: string; reason: string | undefined }> => {
  const child = Bun.spawn([...words], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  const errors = new Response(child.stderr).text();
  let console = "";
  let reason: string | undefined;
  let timer: Timer | undefined;
  const allow = (seconds: number, what: string): void => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      reason = `the guest was stopped: it hung ${what} for ${seconds} seconds`;
      child.kill("SIGKILL");
    }, seconds * 1000);
  };
  allow(PATIENCE, "on its way to the first script");
  const decoder = new TextDecoder();
  let seen = 0;
  for await (const chunk of child.stdout) {
    console += decoder.decode(chunk, { stream: true }).replaceAll("\r", "");
    const lines = console.lastIndexOf("\n") + 1;
    for (const [, what, number] of console.slice(seen, lines).matchAll(/^@@ (BEGIN|END|DONE) ?(\d*)$/gm)) {
      const script = scripts[Number(number)];
      if (what === "BEGIN" && script) allow((script.limit ?? LIMIT) + patience, `in "${script.title}"`);
      else allow(PATIENCE, "on its way to the next script");
    }
    seen = lines;
  }
  await child.exited;
  clearTimeout(timer);
  if (!reason && !/^@@ DONE$/m.test(console)) reason = `the guest ended early ${await errors}`.trim();
  return { console, reason };
};

const readOutcomes = (
  directory: string,
  image: string,
  scripts: readonly Script[],
  console: string,
  reason: string | undefined,
): Outcomes => {
  const ended = new Set([...console.matchAll(/^@@ END (\d+)$/gm)].map(([, number]) => number));
  if (ended.size > 0) must(["tar", "-xf", image, "-C", directory, "--no-same-owner"]);
  const outcomeOf = (title: string, number: string): Ran | Error => {
    const read = (name: string): string => readFileSync(join(directory, "results", number, name), "utf8");
    if (!ended.has(number)) return broken(`no result of "${title}": ${reason ?? "it was left out"}`, console);
    const [stdout, stderr] = [read("stdout"), read("stderr")];
    if (existsSync(join(directory, "results", number, "late")))
      return new Error(`"${title}" was stopped at its limit of time\n${stdout}\n${stderr}`);
    return { status: Number(read("status")), stdout, stderr };
  };
  return new Map(scripts.map(({ title }, i) => [title, outcomeOf(title, numberOf(i))]));
};

/** A shell on the guest's console, until it ends. Ctrl-A X stops the guest. */
export const bootShell = async (guest: Guest): Promise<void> => {
  const directory = mkdtempSync(join(tmpdir(), "nsk-guest-"));
  try {
    const results = join(directory, "results.img");
    writeFileSync(results, "");
    truncateSync(results, 2 ** 20);
    const words = commandLine(guest, writeJob(directory, guest, [], true), results, true);
    await Bun.spawn(words, { stdio: ["inherit", "inherit", "inherit"] }).exited;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
};
