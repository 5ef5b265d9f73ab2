// The same command line through the installed libcgroup tool and through nsk, on groups that exist for one test only.

import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { liveHost } from "../../src/host/live.ts";
import { nsk } from "../support/nsk.ts";

export interface Outcome {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** Every group of the test's name that is there afterwards, with what its files say and who owns them. */
  readonly groups: Readonly<Record<string, unknown>>;
}

export const hierarchies = readHierarchies(liveHost());

/** Why groups cannot be compared here; undefined when they can. */
export const cannotCompare = (): string | undefined => {
  if (process.geteuid?.() !== 0) return "needs root";
  if (!existsSync("/usr/bin/cgexec")) return "needs cgroup-tools";
  if (!hierarchies.some((it) => it.version === 1 && it.controllers.includes("cpu")))
    return "needs the cpu controller on cgroup v1";
  return undefined;
};

/** The directory of `cpu:path`. */
export const directoryOf = (group: string): string => {
  const [controller, path] = group.split(":") as [string, string];
  const hierarchy = hierarchies.find((it) => it.controllers.includes(controller));
  if (!hierarchy) throw new Error(`no ${controller} here`);
  return `${hierarchy.mountPoint}/${path}`;
};

let count = 0;

/** A name that no other test and no other run of the tests has. */
export const uniqueName = (): string => `nsktest-${process.pid}-${count++}`;

const subdirectories = (directory: string): string[] =>
  existsSync(directory)
    ? readdirSync(directory, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => `${directory}/${name}`)
    : [];

/** Removes every group whose name begins with `name`, in all hierarchies. */
export const removeGroups = (name: string): void => {
  const remove = (directory: string): void => {
    subdirectories(directory).forEach(remove);
    rmdirSync(directory);
  };
  for (const { mountPoint } of hierarchies)
    for (const directory of subdirectories(mountPoint))
      if (directory.slice(mountPoint.length + 1).startsWith(name)) remove(directory);
};

// Settings; what a file counts differs from run to run.
const compared =
  /^(cpu\.(shares|cfs_.*|max|weight)|memory\.max|cgroup\.subtree_control|cpuset\.(cpus|mems)|pids\.max|memory\.limit_in_bytes|freezer\.state|devices\.list)$/;

const describeGroup = (directory: string): Record<string, unknown> => {
  const owned = (path: string): string => {
    const { uid, gid, mode } = statSync(path);
    return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`;
  };
  const files = readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isFile());
  return {
    ".": owned(directory),
    ...Object.fromEntries(
      files.map(({ name }) => [
        name,
        [
          owned(`${directory}/${name}`),
          compared.test(name) ? readFileSync(`${directory}/${name}`, "utf8").trim() : "",
        ],
      ]),
    ),
  };
};

const groupsNamed = (name: string): Record<string, unknown> => {
  const found: Record<string, unknown> = {};
  const visit = (directory: string): void => {
    found[directory] = describeGroup(directory);
    subdirectories(directory).forEach(visit);
  };
  for (const { mountPoint } of hierarchies)
    for (const directory of subdirectories(mountPoint))
      if (directory.slice(mountPoint.length + 1).startsWith(name)) visit(directory);
  return found;
};

export interface Case {
  /** Groups that are there before, as `cpu:NAME`; `%` is the test's name here and everywhere. */
  readonly groups?: readonly string[];
  /** Values that they have: `cpu:%/cpu.shares`: `512`. */
  readonly values?: Readonly<Record<string, string>>;
  /** Files that are there before, by their absolute paths. */
  readonly files?: Readonly<Record<string, string>>;
  /** Run as this user. */
  readonly uid?: number;
}

/** Runs one of both in a world of its own: groups made before, described and removed after. */
export const runIn = (
  which: "libcgroup" | "nsk",
  words: readonly string[],
  it: Case,
  name: string,
): Outcome => {
  const named = (text: string): string => text.replaceAll("%", name);
  const [tool, ...args] = words.map(named) as [string, ...string[]];
  try {
    for (const group of it.groups ?? []) mkdirSync(directoryOf(named(group)), { recursive: true });
    for (const [file, value] of Object.entries(it.values ?? {}))
      writeFileSync(directoryOf(named(file)), named(value));
    for (const [file, text] of Object.entries(it.files ?? {})) writeFileSync(named(file), named(text));
    const program = which === "nsk" ? nsk : Bun.which(tool, { PATH: "/usr/bin:/usr/sbin" })!;
    const { status, stdout, stderr } = spawnSync(program, which === "nsk" ? [tool, ...args] : args, {
      encoding: "utf8",
      env: { PATH: "/usr/bin:/bin" },
      ...(it.uid !== undefined && { uid: it.uid, gid: it.uid }),
    });
    return { status, stdout, stderr, groups: groupsNamed(name) };
  } finally {
    removeGroups(name);
    for (const file of Object.keys(it.files ?? {})) rmSync(named(file), { force: true });
  }
};

/** Both outcomes of one command line. */
export const runBoth = (words: readonly string[], it: Case = {}): { libcgroup: Outcome; nsk: Outcome } => {
  const name = uniqueName();
  return { libcgroup: runIn("libcgroup", words, it, name), nsk: runIn("nsk", words, it, name) };
};

/**
 * Both outcomes, libcgroup's again while they are not alike: it goes through all groups of the machine, and stumbles over
 * one that another test removes meanwhile.
 */
export const runAlike = (
  words: readonly string[],
  it: Case,
  name: string,
  alike: (libcgroup: Outcome, nsk: Outcome) => boolean,
): { libcgroup: Outcome; nsk: Outcome } => {
  const nsk = runIn("nsk", words, it, name);
  let libcgroup = runIn("libcgroup", words, it, name);
  for (let again = 0; again < 5 && !alike(libcgroup, nsk); again++)
    libcgroup = runIn("libcgroup", words, it, name);
  return { libcgroup, nsk };
};

const reason = cannotCompare();

/** A test that runs where both tools can. */
export const live = (title: string, run: () => void | Promise<void>): void =>
  reason ? test.skip(`${title} (${reason})`, run) : test(title, run);

/** For `afterAll`: what a failed test may have left. */
export const removeLeftovers = (): void => {
  if (!reason) removeGroups(`nsktest-${process.pid}-`);
};

/** What a failure of nsk looks like. */
export const expectFailure = (stderr: string, tool: string): void => {
  const [first, second, ...rest] = stderr.split("\n");
  expect(first).toStartWith(`nsk ${tool}: `);
  if (second) expect(second).toStartWith("hint: ");
  expect(rest.length).toBeLessThanOrEqual(1);
};

/** The same command line does the same and ends the same; `%` is the test's name. */
export const same = (title: string, words: string[], it: Case = {}): void =>
  live(`${words.join(" ")}${title && `: ${title}`}`, () => {
    const { libcgroup, nsk } = runAlike(
      words,
      it,
      uniqueName(),
      (theirs, ours) =>
        theirs.status === ours.status && (ours.stderr !== "" || theirs.stdout === ours.stdout),
    );
    expect(nsk.status).toBe(libcgroup.status);
    // Some of libcgroup's messages go to stdout.
    expect(nsk.stdout).toBe(nsk.stderr ? "" : libcgroup.stdout);
    expect(nsk.groups).toEqual(libcgroup.groups);
    if (nsk.status === 0 || words[0] === "cgexec") return;
    expectFailure(nsk.stderr, words[0]!);
  });
