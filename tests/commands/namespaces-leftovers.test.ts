// What unshare and nsenter leave: no process, zombie, descriptor or mount, also when they are killed.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";
import { random } from "../support/random.ts";
import { holdOpen, type Target } from "./targets.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-leftovers-"));
const kept = join(scratch, "kept");
const subordinate = join(scratch, "subordinate");
const live = testNeeding("root", "taskset", "newuidmap", "/usr/bin/unshare");
let target: Target | undefined;
let before = "";
const mounts = (): string => readFileSync("/proc/self/mountinfo", "utf8");

beforeAll(async () => {
  chmodSync(scratch, 0o755);
  mkdirSync(kept);
  writeFileSync(subordinate, "nobody:100000:1000\n");
  if (process.geteuid?.() === 0) target = await holdOpen(["-muinpUCT", "-r", "-f"]);
  before = mounts();
});
afterAll(async () => {
  await target?.end();
  rmSync(scratch, { recursive: true });
});

/**
 * Runs a script as process 1 of a PID namespace, where everything that is left over becomes its child, with files for
 * namespaces in a mount of its own. On one processor: see tests/strace.test.ts.
 */
const alone = (script: string, ...words: readonly string[]): { stdout: string; stderr: string } => {
  const first = `mount -t tmpfs tmpfs ${kept}; touch ${kept}/a ${kept}/b; mount --bind ${subordinate} /etc/subuid
    mount --bind ${subordinate} /etc/subgid; ${script}`;
  const start = ["taskset", "-c", "0", "/usr/bin/unshare", "-mpf", "--mount-proc", "sh", "-c", first, "sh"];
  const { stdout, stderr } = runCommand(
    [...start, ...words],
    { PATH: "/usr/bin:/bin:/usr/sbin", SHELL: "/bin/sh" },
    "alone",
  );
  return { stdout, stderr };
};
/** Nobody but process 1 is left in the end; whoever ends takes a moment. */
const UNTIL_ALONE = "while set -- /proc/[0-9]*; [ $# -gt 1 ]; do sleep 0.005; done; echo alone";

const unshareLines = [
  "-U",
  "-f",
  "-pf --mount-proc",
  "--kill-child",
  "-r --map-users=1:100000:9 --map-groups=1:100000:9",
  "-r --map-users=1:100000:9 -pf",
  `--mount=${kept}/a --uts=${kept}/b`,
  `--pid=${kept}/a --mount=${kept}/b -f`,
  `--pid=${kept}/a --kill-child`,
  "--owner=1:1 -r",
  "--forward-signals -p",
  "-T --boottime=5 -f",
];
const plain = "setpriv --reuid=65534 --regid=65534 --clear-groups";

describe("nothing is left of", () => {
  for (const line of unshareLines)
    live(`unshare ${line.replaceAll(scratch, "DIR")}`, () => {
      const ran = alone(`"$@"; ${UNTIL_ALONE}`, nsk, "unshare", ...line.split(" "), "true");
      expect(ran).toEqual({ stdout: "alone\n", stderr: "" });
      expect(mounts()).toBe(before);
    });
  live("a plain user's unshare -r --map-auto", () => {
    expect(alone(`${plain} "$@"; ${UNTIL_ALONE}`, nsk, "unshare", "-r", "--map-auto", "true")).toEqual({
      stdout: "alone\n",
      stderr: "",
    });
  });
  const failing = [
    "--mount=/no/such --uts=/no/such",
    `--uts=${kept}/a --net=/no/such`,
    `--pid=/no/such -f`,
    "-r --map-users=0:4294967290:9 --map-users=0:1:1",
    "-r --map-users=1:100000:9 -R /no/such",
    `--pid=${kept}/a -f -R /no/such`,
  ];
  for (const line of failing)
    live(`unshare ${line.replaceAll(scratch, "DIR")}, which fails`, () => {
      const ran = alone(
        `"$@"; echo $?; ${UNTIL_ALONE}`,
        nsk,
        "unshare",
        ...line.split(" "),
        "sh",
        "-c",
        "echo reached",
      );
      expect(ran.stdout).toBe("1\nalone\n");
      expect(ran.stderr.split("\n").filter((one) => one.startsWith("nsk unshare: "))).toHaveLength(1);
      expect(mounts()).toBe(before);
    });
  live("the first of two files, when the second cannot be mounted", () => {
    const script = `"$@"; grep -c ' nsfs ' /proc/self/mountinfo`;
    expect(alone(script, nsk, "unshare", `--uts=${kept}/a`, "--mount=/no/such", "true").stdout).toBe("0\n");
  });
});

describe("the program has no child that it does not know", () => {
  const script =
    'read line </proc/$$/task/$$/children; echo "[$line]"; read line </proc/$PPID/task/$PPID/children; echo "[$line]"';
  for (const line of ["-r --map-users=1:100000:9", `--mount=${kept}/a`, "-r --map-users=1:100000:9 -f"])
    live(`unshare ${line.replaceAll(scratch, "DIR")}`, () => {
      // Neither it nor, behind --fork, who waits for it: that one has the program alone.
      const [own, waiting] = alone(
        `"$@"`,
        nsk,
        "unshare",
        ...line.split(" "),
        "sh",
        "-c",
        script,
      ).stdout.split("\n");
      expect(own).toBe("[]");
      if (line.endsWith("-f")) expect(waiting).toMatch(/^\[\d+ ?\]$/);
    });
});

describe("the program's descriptors are the caller's", () => {
  // Asked by using them: inside, /proc may be that of another PID namespace.
  const open = "for n in 3 4 5 6 7 8 9; do (: <&$n) 2>/dev/null && echo $n; done; true";
  const lines = [
    ...unshareLines.filter((line) => !line.includes(kept)).map((line) => `unshare ${line}`),
    ...[
      "-a",
      "-U",
      "-m -r -w",
      "-n --user-parent",
      "-r/ -w/tmp",
      "-S follow -G follow",
      "-u/proc/PID/ns/uts -U",
      "-c",
    ].map((line) => `nsenter -t PID ${line}`),
  ];
  for (const line of lines)
    live(line, () => {
      const words = line.replaceAll("PID", String(target!.pid)).split(" ");
      for (const [redirection, shown] of [
        ["", ""],
        ["5</dev/null", "5\n"],
      ] as const) {
        const ran = runCommand([
          "sh",
          "-c",
          `exec "$@" ${redirection}`,
          "sh",
          nsk,
          ...words,
          "sh",
          "-c",
          open,
        ]);
        expect([ran.stderr, ran.stdout, ran.status]).toEqual(["", shown, 0]);
      }
    });
});

describe("killed at random moments", () => {
  const { below } = random(44);
  const MOMENTS = 50;
  // Each of these is gone with the process that is killed: it is the program itself, or --kill-child says so.
  const lines = [
    "unshare -r --map-users=1:100000:9 --map-groups=1:100000:9",
    `unshare --mount=${kept}/a --uts=${kept}/b`,
    `unshare --pid=${kept}/a --kill-child`,
    "unshare --kill-child -S 1",
    "nsenter -t 1 -u -n",
  ];
  for (const line of lines)
    live(`${line.replaceAll(scratch, "DIR")}: nothing is left`, () => {
      const moments = Array.from({ length: MOMENTS / lines.length }, () => (below(30) / 1000).toFixed(3));
      const script = `for moment in ${moments.join(" ")}; do "$@" & sleep $moment; kill -9 $!; wait $!; done 2>/dev/null; ${UNTIL_ALONE}`;
      expect(alone(script, nsk, ...line.split(" "), "sleep", "1000").stdout).toBe("alone\n");
      expect(mounts()).toBe(before);
    });
});
