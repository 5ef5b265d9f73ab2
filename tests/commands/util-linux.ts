// The same command line through a tool of util-linux and through nsk's.

import { expect, test } from "bun:test";
import { needs } from "../support/needs.ts";
import { nsk, type Ran } from "../support/nsk.ts";

export interface Case {
  /** A shell script that is the program: `sh -c SCRIPT` behind the options. */
  readonly script?: string;
  /** Who starts it, root unless given. */
  readonly as?: "plain";
  /** What stands before the tool, e.g. another namespace. */
  readonly inside?: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string;
}

export const PLAIN = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/** Every word of `names` in a command line stands for what it names, or for what that is by then. */
export type Names = Readonly<Record<string, string | (() => string)>>;

/** A tool and what stands for what in its command lines. */
export const utilLinux = (tool: string, names: Names, given: Readonly<Record<string, string>> = {}) => {
  const theirPath = `/usr/bin/${tool}`;
  const reason = needs("root", "busybox", "setpriv", theirPath);
  const named = (text: string): string => {
    for (const [name, value] of Object.entries(names))
      text = text.replaceAll(name, typeof value === "string" ? value : value());
    return text;
  };

  const start = (words: readonly string[], line: string, it: Case) => {
    const options = named(line).split(" ").filter(Boolean);
    const all = [
      ...(it.inside ?? []),
      ...(it.as ? PLAIN : []),
      ...words,
      ...options,
      ...(it.script === undefined ? [] : ["sh", "-c", named(it.script)]),
    ];
    const env = { PATH: "/usr/bin:/bin:/usr/sbin", LC_ALL: "C", SHELL: "/bin/sh", ...given, ...it.env };
    return [
      all,
      { stdin: Buffer.from(it.stdin ?? ""), env: env as Record<string, string>, cwd: "/usr" },
    ] as const;
  };

  const run = (words: readonly string[], line: string, it: Case): Ran => {
    const [all, options] = start(words, line, it);
    const ran = Bun.spawnSync([...all], { ...options, stdout: "pipe", stderr: "pipe" });
    return {
      status: ran.exitCode,
      signal: ran.signalCode as string | undefined,
      stdout: ran.stdout.toString(),
      stderr: ran.stderr.toString(),
    };
  };

  const both = (line: string, it: Case = {}): { theirs: Ran; ours: Ran } => ({
    theirs: run([theirPath], line, it),
    ours: run([nsk, tool], line, it),
  });

  const live = (title: string, check: () => void | Promise<void>, timeout?: number): void =>
    reason ? test.skip(`${title} (${reason})`, check) : test(title, check, timeout);

  const titleOf = (line: string, it: Case): string =>
    [
      it.as ? "$" : "#",
      ...(it.inside ? ["\u2026"] : []),
      `${tool} ${line}`,
      it.script ? `sh -c '${it.script.replace(/\s+/g, " ").slice(0, 70)}'` : "",
      it.env ? JSON.stringify(it.env) : "",
    ]
      .filter(Boolean)
      .join(" ");

  /** One error line and a hint at most. */
  const isWellSaid = (ours: Ran): void => {
    if (ours.stderr === "" || (ours.status !== 1 && ours.status !== 126 && ours.status !== 127)) return;
    const [first, second, ...rest] = ours.stderr.split("\n");
    expect(first).toStartWith(`nsk ${tool}: `);
    if (second) expect(second).toMatch(/^hint: /);
    expect(rest.filter(Boolean)).toEqual([]);
  };

  /** The same on both sides; `expected` is a part of it that must be so, lest both fail for one reason. */
  const same = (line: string, it: Case = {}, expected: Partial<Ran> = { status: 0 }): void =>
    live(titleOf(line, it), () => {
      const { theirs, ours } = both(line, it);
      expect({ ...ours, stderr: "" }).toEqual({ ...theirs, stderr: "" });
      expect(ours).toMatchObject(expected);
      expect(ours.stderr === "").toBe(theirs.stderr === "");
      isWellSaid(ours);
    });

  return { both, same, live, isWellSaid, start, theirPath, reason };
};
