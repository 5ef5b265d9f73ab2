// Containers that a test watches from outside: started, told apart by their ids, and looked for when they should be gone.

import { expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { STATE } from "../../src/containers/record.ts";
import { hierarchies } from "../commands/libcgroup.ts";
import { nsk, type Ran, runNsk } from "../support/nsk.ts";

/** Waits for a condition; a test's own limit of time ends the wait. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
  const end = Date.now() + 20_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await Bun.sleep(5);
  }
};

export interface Remains {
  readonly record: boolean;
  readonly groups: readonly string[];
  /** Process ids of whoever has the container's host name in its environment. */
  readonly processes: readonly number[];
  readonly mounts: readonly string[];
}

export const nothing: Remains = { record: false, groups: [], processes: [], mounts: [] };

const read = (path: string): string => {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return ""; // it has ended meanwhile
  }
};

const processIds = (): number[] => readdirSync("/proc").map(Number).filter(Boolean);

/** What is there of a container. */
export const remainsOf = (id: string): Remains => ({
  record: existsSync(`${STATE}/${id}`),
  groups: hierarchies.map(({ mountPoint }) => `${mountPoint}/nsk-${id}`).filter((path) => existsSync(path)),
  processes: processIds().filter((pid) => `\0${read(`/proc/${pid}/environ`)}`.includes(`\0HOSTNAME=${id}\0`)),
  mounts: read("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(id) || line.includes(`${STATE}/`)),
});

/** Ids of all containers there are, those that other tests run among them. */
export const containerIds = (): Set<string> => {
  const records = existsSync(STATE) ? readdirSync(STATE) : [];
  const groups = hierarchies.flatMap(({ mountPoint }) => readdirSync(mountPoint));
  const names = [...records, ...groups.map((name) => name.replace(/^nsk-/, ""))];
  return new Set(names.filter((name) => /^[0-9a-f]{12}$/.test(name)));
};

export interface Started {
  readonly id: string;
  /** The process that waits for the container. */
  readonly supervisor: number;
  /** The container's first process, by its id outside. */
  readonly first: number;
  /** The next line that the container prints. */
  line(): Promise<string>;
  /** A line for the container's standard input. */
  say(text: string): void;
  /** 128 + n for a supervisor that signal n killed. */
  readonly exited: Promise<number>;
}

const children = (pid: number): number[] =>
  read(`/proc/${pid}/task/${pid}/children`).trim().split(" ").filter(Boolean).map(Number);

/** The state of a process: `S`, `T` for stopped, `Z` for a zombie, undefined for none. @see proc_pid_stat(5) */
export const stateOf = (pid: number): string | undefined => /\) (.)/.exec(read(`/proc/${pid}/stat`))?.[1];

/**
 * Starts `nsk run -i OPTIONS -- WORDS`, behind `before`. The container's first line is its host name, which is its id.
 */
export const startContainer = async (
  words: readonly string[],
  options: readonly string[] = [],
  before: readonly string[] = [],
): Promise<Started> => {
  const child = Bun.spawn([...before, nsk, "run", "-i", ...options, "--", ...words], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C" },
  });
  const reader = child.stdout.getReader();
  const decoder = new TextDecoder();
  let seen = "";
  const line = async (): Promise<string> => {
    while (!seen.includes("\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the container ended behind ${JSON.stringify(seen)}`);
      seen += decoder.decode(value, { stream: true });
    }
    const end = seen.indexOf("\n");
    const found = seen.slice(0, end);
    seen = seen.slice(end + 1);
    return found;
  };
  const id = await line();
  return {
    id,
    supervisor: child.pid,
    first: children(child.pid)[0]!,
    line,
    say: (text) => {
      try {
        child.stdin.write(`${text}\n`);
        child.stdin.flush();
      } catch (error) {
        // A container may end before it reads what it was told.
        if ((error as NodeJS.ErrnoException).code !== "EPIPE") throw error;
      }
    },
    exited: child.exited,
  };
};

/** A script in a container over this machine's own root, unless the options name another. */
export const inside = (script: string, ...options: string[]): Ran =>
  runNsk("run", ...options, "--", "sh", "-c", script);

/** The output of a script in a container that ends well. */
export const output = (script: string, ...options: string[]): string => {
  const { status, stdout, stderr } = inside(script, ...options);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};
