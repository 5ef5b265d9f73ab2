// Option lists drawn from the tables of options, through util-linux's tool and through nsk's. Where the two differ, the
// difference is one that differences.ts explains.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { longName } from "../../src/cli/getopt.ts";
import type { OptionTable } from "../../src/commands/command.ts";
import { nsenter } from "../../src/commands/nsenter.ts";
import { unshare } from "../../src/commands/unshare.ts";
import { difference, type differences } from "../differences.ts";
import { nsk } from "../support/nsk.ts";
import { random } from "../support/random.ts";
import { holdOpen, type Target } from "./targets.ts";
import { utilLinux } from "./util-linux.ts";

/** In CI; `NSK_RANDOM=5000` for more, `NSK_SEED` for others. */
const LISTS = Number(process.env.NSK_RANDOM ?? 300);
const SEED = Number(process.env.NSK_SEED ?? 20260101);
/** So many command lines at a time: each of the two processors has one to run and one to wait for. */
const AT_A_TIME = 4;

const scratch = mkdtempSync(join(tmpdir(), "nsk-random-"));
const subordinate = join(scratch, "subordinate");
let all: Target;
let roots: Target;
const names = { DIR: scratch, ALL: () => String(all.pid), ROOTS: () => String(roots.pid) };
const KINDS = "user mnt uts ipc net pid pid_for_children cgroup time time_for_children";

beforeAll(async () => {
  chmodSync(scratch, 0o755);
  mkdirSync(join(scratch, "proc"));
  writeFileSync(subordinate, "nobody:100000:1000\nroot:100000:1000\n");
  if (tools.unshare.reason) return;
  all = await holdOpen(["-muinpUCT", "-r", "-f"]);
  roots = await holdOpen(["-muinpCT", "-f"]);
});
afterAll(async () => {
  for (const target of [all, roots]) await target?.end();
  rmSync(scratch, { recursive: true });
});

const tools = { unshare: utilLinux("unshare", names), nsenter: utilLinux("nsenter", names) };

/** On a machine whose files give both users some ids. */
const withIds = [
  ...["/usr/bin/unshare", "-m", "sh", "-c"],
  'mount --bind "$0" /etc/subuid; mount --bind "$0" /etc/subgid; exec "$@"',
  subordinate,
];

/** What the program shows of itself, with two processes: there are many to be started. */
const links = `readlink ${KINDS.split(" ")
  .map((kind) => `/proc/self/ns/${kind}`)
  .join(" ")}`;
const files = "status uid_map gid_map setgroups timens_offsets mountinfo";
const lines = [
  "/^(Uid|Gid|Groups|Cap|Sig[BIC])/p",
  "/^(allow|deny|monotonic|boottime)|^ +[0-9]+ +[0-9]+ +[0-9]+$/p",
  // The root mount with its propagation, but for the numbers.
  "/ \\/ \\/ /{s/[0-9]+//g;p}",
];
const SHOW = `${links}; pwd; sed -nE ${lines.map((line) => `-e '${line}'`).join(" ")} ${files
  .split(" ")
  .map((file) => `/proc/self/${file}`)
  .join(" ")}; [ $$ = 1 ] && echo one; exit $((9 + $#))`;

const own = Bun.spawnSync(["sh", "-c", links]).stdout.toString().split("\n");
/** New namespaces have numbers of their own: that they are new is what can be compared. */
const withoutNumbers = (shown: string): string =>
  shown.replace(/^\w+:\[\d+\]$/gm, (link) => (own.includes(link) ? link : "another"));

/** Values that an option is tried with; `""` is none, for an option that may go without or takes none. */
type Values = Readonly<Record<string, readonly string[]>>;

const ids = ["0", "1", "65534", "5"];
const unshareValues: Values = {
  ...{ mount: [""], uts: [""], ipc: [""], net: [""], pid: [""], user: [""], cgroup: [""], time: [""] },
  ...{ fork: [""], mapRootUser: [""], mapCurrentUser: [""], mapAuto: [""], keepCaps: [""] },
  mapUser: ["0", "5", "daemon", "nobody-here"],
  mapGroup: ["0", "5", "daemon"],
  mapUsers: ["auto", "100000,1,10", "100000,0,10", "1,2"],
  mapGroups: ["auto", "100000,1,10", "x"],
  killChild: ["", "TERM", "HUP", "NOPE"],
  mountProc: ["", "DIR/proc", "/no/such"],
  propagation: ["private", "slave", "shared", "unchanged", "none"],
  setgroups: ["allow", "deny", "maybe"],
  root: ["/", "/no/such"],
  wd: ["/tmp", "lib", "/no/such"],
  setuid: ids,
  setgid: ids,
  monotonic: ["5"],
  boottime: ["7", "-1"],
};
const sources = (kind: string): string[] => [
  "",
  "",
  `/proc/ROOTS/ns/${kind}`,
  `/proc/ALL/ns/${kind}`,
  "/etc/passwd",
];
const nsenterValues: Values = {
  ...{ all: [""], preserveCredentials: [""], noFork: [""] },
  target: ["ALL", "ROOTS", "ALL", "ROOTS", "4194304"],
  ...{
    mount: sources("mnt"),
    uts: sources("uts"),
    ipc: sources("ipc"),
    net: sources("net"),
    pid: sources("pid"),
  },
  ...{ cgroup: sources("cgroup"), user: sources("user"), time: sources("time") },
  setuid: ids,
  setgid: ids,
  root: ["", "/", "/no/such"],
  wd: ["", "/tmp", "lib", "/no/such"],
  wdns: ["/tmp", "lib", "/no/such"],
};
/** What util-linux 2.38 does not have, or nsk alone; their own tests are in unshare-since and nsenter-side-by-side. */
const younger: Readonly<Record<"unshare" | "nsenter", readonly string[]>> = {
  unshare: [
    ...["mapSubids", "owner", "forwardSignals", "mountBinfmt", "loadInterp", "clearEnv", "whitelistEnv"],
    ...["explain", "emit", "emitArch"],
  ],
  nsenter: [
    ...["netSocket", "userParent", "keepCaps", "env", "joinCgroup", "followContext"],
    ...["explain", "emit", "emitArch"],
  ],
};

interface Drawn {
  readonly tool: "unshare" | "nsenter";
  readonly line: string;
  readonly as?: "plain";
}

const { below, pick } = random(SEED);
const draw = (tool: Drawn["tool"], table: OptionTable, values: Values): Drawn => {
  const words: string[] = [];
  const keys = Object.keys(values);
  const drawn = new Set(tool === "nsenter" && below(10) ? ["target"] : []);
  for (let n = 1 + below(6); n > 0; n--) drawn.add(pick(keys));
  for (const key of drawn) {
    const value = pick(values[key]!);
    const option = table[key]! as OptionTable[string] & { alias?: string };
    const isShort =
      option.alias !== undefined && below(2) === 0 && !(option.short === "never" && value !== "");
    if (isShort) words.push(`-${option.alias}${value}`);
    else words.push(`--${longName(key)}${value === "" ? "" : `=${value}`}`);
  }
  return { tool, line: words.join(" "), ...(below(3) === 0 && { as: "plain" as const }) };
};

const run = async (
  tool: Drawn["tool"],
  program: readonly string[],
  { line, as }: Drawn,
): Promise<{ status: number | null; stdout: string; stderr: string }> => {
  const inside = /--map-(auto|users|groups)/.test(line) ? withIds : [];
  const [words, options] = tools[tool].start(program, line, { script: SHOW, inside, ...(as && { as }) });
  const child = Bun.spawn([...words], { ...options, stdout: "pipe", stderr: "pipe" });
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  await child.exited;
  return { status: child.exitCode, stdout: tool === "unshare" ? withoutNumbers(stdout) : stdout, stderr };
};

type Key = keyof typeof differences;
/** Which of the differences that are meant this may be; the titles name each for differences.test.ts. */
const explained: readonly [key: Key, title: string, is: (drawn: Drawn) => boolean][] = [
  [
    "unshare-setgroups",
    difference("unshare-setgroups"),
    ({ line }) => /--setgroups=deny/.test(line) && /-r|-c|--map-group|--map-root|--map-current/.test(line),
  ],
  [
    "unshare-ranges-of-root",
    difference("unshare-ranges-of-root"),
    ({ line, as }) => !as && /--map-(auto|users|groups)/.test(line),
  ],
  [
    "unshare-hole-behind",
    difference("unshare-hole-behind"),
    ({ line }) => /--map-users|--map-groups/.test(line) && /--map-user=|--map-group=/.test(line),
  ],
];

describe("the tables", () => {
  const complete = (tool: Drawn["tool"], table: OptionTable, values: Values): void =>
    tools[tool].live(`every option of ${tool} is drawn, or younger`, () => {
      const known = [...Object.keys(values), ...younger[tool]].sort();
      expect(known).toEqual(Object.keys(table).sort());
    });
  complete("unshare", unshare.definition.args, unshareValues);
  complete("nsenter", nsenter.definition.args, nsenterValues);
});

tools.unshare.live(
  `${LISTS} option lists, seed ${SEED}`,
  async () => {
    const lists = Array.from({ length: LISTS }, (_, i) =>
      i % 2
        ? draw("nsenter", nsenter.definition.args, nsenterValues)
        : draw("unshare", unshare.definition.args, unshareValues),
    );
    const unexplained: object[] = [];
    let [succeeded, next] = [0, 0];
    const work = async (): Promise<void> => {
      for (let i = next++; i < lists.length; i = next++) {
        const drawn = lists[i]!;
        const theirs = await run(drawn.tool, [tools[drawn.tool].theirPath], drawn);
        const ours = await run(drawn.tool, [nsk, drawn.tool], drawn);
        if (ours.stdout) succeeded++;
        if (ours.stdout === theirs.stdout && ours.status === theirs.status) continue;
        if (!explained.some(([, , is]) => is(drawn))) unexplained.push({ ...drawn, theirs, ours });
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
    expect(unexplained).toEqual([]);
    // Neither all right nor all wrong, or this compares little.
    expect(succeeded).toBeGreaterThan(LISTS / 4);
    expect(succeeded).toBeLessThan((LISTS * 9) / 10);
  },
  LISTS * 400,
);
