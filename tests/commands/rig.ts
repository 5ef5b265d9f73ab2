// Namespaces and processes that a test makes for itself, in a PID and mount namespace of their own with their own
// /proc: nothing else is to be seen in there. A tool is run inside, with the same process id each time.

import { test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs } from "../support/needs.ts";
import { nsk, type Ran } from "../support/nsk.ts";

/** Why no such thing can be made here; undefined when it can. */
export const cannotRig = needs("root", "nsenter", "setpriv", "perl", "ip", "script", "/usr/bin/lsns");

/** A test in a set-up, left out where there can be none. */
export const live = (title: string, check: () => void): void =>
  cannotRig ? test.skip(`${title} (${cannotRig})`, check) : test(title, check);

export interface Rig {
  /** What the script of the set-up said of its namespaces and processes: `NAME=VALUE`. */
  readonly names: Readonly<Record<string, string>>;
  /** A line with `$NAME` filled in. */
  fill(line: string): string;
  /** The path of nsk's lsns inside. */
  readonly ours: string;
  /** Runs a shell script inside. */
  inside(script: string): Ran;
  /**
   * Runs `lsns LINE` twice: util-linux's, and nsk under that name. Names in the line are filled in. Output is one
   * character for each byte.
   */
  both(line: string, how?: How): { readonly theirs: Ran; readonly ours: Ran };
  /** Runs nsk's alone. */
  lsns(line: string, how?: How): Ran;
  /** Runs nsk inside. */
  nsk(line: string, how?: How): Ran;
  end(): void;
}

export interface How {
  readonly as?: "plain";
  /** C.UTF-8 unless given. */
  readonly locale?: string;
  /** At a terminal of so many columns. */
  readonly columns?: number;
}

/** The user that plain lines are run as, and that the set-ups have processes of. */
export const PLAIN = 12345;
export const asPlain = `setpriv --reuid=${PLAIN} --regid=${PLAIN} --clear-groups`;

/**
 * Starts a set-up: `setup` is a shell script that starts `sleepers` processes named sleep, and `names` a script that is
 * run when all of them are there. In both $D is a directory for mounts.
 */
export const startRig = async (setup: string, sleepers: number, names: string): Promise<Rig> => {
  const scratch = mkdtempSync(join(tmpdir(), "nsk-rig-"));
  for (const name of ["mounts", "ours"]) mkdirSync(join(scratch, name));
  const script = `
    D=${scratch}/mounts
    mount --make-rprivate / && mount -t tmpfs none "$D" && mount -t tmpfs -o mode=755 none ${scratch}/ours || exit 1
    chmod 755 "$D"
    touch ${scratch}/ours/lsns ${scratch}/ours/nsk
    mount --bind ${nsk} ${scratch}/ours/lsns && mount --bind ${nsk} ${scratch}/ours/nsk || exit 1
    ${setup}
    tries=0
    until [ "$(cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^sleep$')" = ${sleepers} ]; do
      [ $((tries += 1)) -lt 500 ] || exit 1
      perl -e 'select undef, undef, undef, 0.02'
    done
    ${names}
    echo ready
    # Until the test has ended, however it does: then its end of the pipe is closed.
    read end
  `;
  const child = Bun.spawn(
    ["unshare", "--fork", "--pid", "--mount-proc", "--kill-child", "sh", "-c", script, "rig"],
    {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C" },
    },
  );
  Bun.spawnSync(["chmod", "755", scratch]);
  const end = (): void => {
    child.kill("SIGKILL");
    rmSync(scratch, { recursive: true });
  };
  let said = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    said += decoder.decode(chunk, { stream: true });
    if (said.endsWith("ready\n")) break;
  }
  if (!said.endsWith("ready\n")) {
    end();
    throw new Error(`the set-up failed: ${said}`);
  }
  const found = Object.fromEntries(
    `D=${scratch}/mounts\n${said}`
      .trim()
      .split("\n")
      .slice(0, -1)
      .map((line) => line.split("=") as [string, string]),
  );
  const init = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  const enter = ["nsenter", `--target=${init}`, "--pid", "--mount"];
  const inside = (script: string): Ran => {
    const ran = Bun.spawnSync([...enter, "sh", "-c", script], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C.UTF-8", D: found.D! },
    });
    return {
      status: ran.exitCode,
      signal: ran.signalCode as string | undefined,
      stdout: ran.stdout.toString("latin1"),
      stderr: ran.stderr.toString(),
    };
  };
  const fill = (line: string): string =>
    line.replace(/\$(\w+)/g, (_, name: string) => found[name] ?? `no ${name} in the set-up`);
  /** A script that runs a tool and prints what it printed, its status and its errors, each with a NUL behind it. */
  const tool = (path: string, line: string, how: How): string => {
    const command = `${how.as ? asPlain : ""} ${line}`;
    const whole =
      how.columns === undefined
        ? command
        : `script -qec ${Bun.$.escape(`stty cols ${how.columns}; exec ${command}`)} /dev/null`;
    // The next process gets the id behind this one: what a tool sees of itself is the same for both.
    return `echo 5000 >/proc/sys/kernel/ns_last_pid
      LC_ALL=${how.locale ?? "C.UTF-8"} PATH=${path}:$PATH ${whole} 2>$D/stderr
      printf '\\0%d\\0' $?; cat $D/stderr; printf '\\0'\n`;
  };
  const parse = ([stdout = "", status = "", stderr = ""]: readonly string[]): Ran => ({
    status: Number(status),
    signal: undefined,
    stdout,
    stderr,
  });
  const [ours, theirs] = [`${scratch}/ours`, "/usr/bin"];
  return {
    names: found,
    fill,
    ours: `${ours}/lsns`,
    inside,
    both: (line, how = {}) => {
      const words = `lsns ${fill(line)}`;
      const parts = inside(tool(theirs, words, how) + tool(ours, words, how)).stdout.split("\0");
      return { theirs: parse(parts.slice(0, 3)), ours: parse(parts.slice(3, 6)) };
    },
    lsns: (line, how = {}) => parse(inside(tool(ours, `lsns ${fill(line)}`, how)).stdout.split("\0")),
    nsk: (line, how = {}) => parse(inside(tool(ours, `nsk ${fill(line)}`, how)).stdout.split("\0")),
    end,
  };
};
