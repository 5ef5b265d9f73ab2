// What a script has started does not outlive it, in whatever way it ends, and it is told what that was.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk } from "../support/nsk.ts";

const rooted = testNeeding(nsk, "root");
let directory: string;
beforeAll(() => void (directory = mkdtempSync(join(tmpdir(), "nsk-handles-"))));
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;

/** Runs a script that prints the ids of what it starts, on a line of their own, and waits for its end. */
const runScript = async (code: string, interrupt?: NodeJS.Signals) => {
  const file = join(directory, `${++count}.ts`);
  writeFileSync(
    file,
    `import { cgroup, run, spawn } from "nsk";\nconst say = (...words: unknown[]) => process.stdout.write(words.join(" ") + "\\n");\n${code}`,
  );
  const child = Bun.spawn([nsk, "script", file], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
  let [stdout, isInterrupted] = ["", false];
  for await (const chunk of child.stdout) {
    stdout += new TextDecoder().decode(chunk);
    // Once: what it says of the signal is no call for another.
    if (interrupt && !isInterrupted && stdout.endsWith("\n")) {
      isInterrupted = true;
      child.kill(interrupt);
    }
  }
  await child.exited;
  return {
    status: child.exitCode,
    signal: child.signalCode,
    words: stdout.trim().split(/\s+/),
    stderr: await child.stderr.text(),
  };
};

/** Whether a process is there and not only waiting to be reaped. */
const lives = (pid: string): boolean => {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};

/** The kernel ends the children of what was killed a moment later. */
const isGone = async (pid: string): Promise<boolean> => {
  const patience = Date.now() + 20_000;
  while (lives(pid) && Date.now() < patience) await Bun.sleep(5);
  return !lives(pid);
};

/** Two programs, one with namespaces and somebody who waits for it, and a group with a third one in it. */
const START = `
const group = cgroup("nsk-handles-" + process.pid, ["pids"]).create();
const plain = spawn(["sleep", "1000"]);
const waited = spawn(["sleep", "1001"], { namespaces: ["pid", "uts"], limits: { pids: 9 } });
const inside = spawn(["sleep", "1002"], { cgroups: [group] });
const children = async () => {
  for (;;) {
    const { stdout } = await run(["pgrep", "-P", String(waited.pid)]);
    if (stdout && group.processes().length === 1) return stdout.trim();
  }
};
const ids = [plain.pid, waited.pid, await children(), inside.pid];
say(...group.directories, ...ids);
`;

const expectNothingLeft = async (words: readonly string[], stderr: string): Promise<void> => {
  const [group, ...pids] = words;
  expect(pids.length).toBe(4);
  for (const pid of pids) expect([pid, await isGone(pid)]).toEqual([pid, true]);
  expect(existsSync(group!)).toBe(false);
  const name = group!.slice(group!.lastIndexOf("/") + 1);
  expect(stderr).toContain(`nsk: the script ends: ended process ${pids[0]} (sleep 1000)\n`);
  expect(stderr).toContain(`nsk: the script ends: ended process ${pids[1]} (sleep 1001)\n`);
  expect(stderr).toContain(`nsk: the script ends: ended the control group ${name}\n`);
};

describe("all is ended, removed and told when the script", () => {
  for (const [how, code, expected] of [
    ["ends", "", { status: 0, signal: null }],
    ["throws", 'throw new Error("mine");', { status: 1, signal: null }],
    [
      "rejects",
      'void Promise.reject(new Error("mine")); await Bun.sleep(100_000);',
      { status: 1, signal: null },
    ],
    ["calls process.exit", "process.exit(5);", { status: 5, signal: null }],
  ] as const)
    rooted(
      how,
      async () => {
        const ran = await runScript(`${START}${code}`);
        expect(ran).toMatchObject(expected);
        await expectNothingLeft(ran.words, ran.stderr);
      },
      60_000,
    );
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const)
    rooted(
      `is sent ${signal}`,
      async () => {
        const ran = await runScript(`${START}await plain.exited;`, signal);
        expect(ran).toMatchObject({ status: null, signal });
        await expectNothingLeft(ran.words, ran.stderr);
      },
      60_000,
    );
});

rooted(
  "processes end also with a script that is killed by SIGKILL",
  async () => {
    const ran = await runScript(`${START}await plain.exited;`, "SIGKILL");
    expect(ran).toMatchObject({ signal: "SIGKILL", stderr: "" });
    const [group, ...pids] = ran.words;
    for (const pid of pids) expect([pid, await isGone(pid)]).toEqual([pid, true]);
    // Nobody was left who could have removed it.
    rmdirSync(group!);
  },
  60_000,
);

for (const options of ["", "mapUser: 0", 'mapUser: 5, namespaces: ["pid"]', 'namespaces: ["user"]'])
  rooted(`limits leave no group behind: ${options || "no namespaces"}`, async () => {
    const ran = await runScript(`import { program } from "nsk";
const limited = program(["true"], { limits: { pids: 9 }, ${options} });
const { status, stderr } = await run(limited);
say(status, JSON.stringify(stderr), ...limited.groups);`);
    const [status, stderr, group] = ran.words;
    expect({ ...ran, status, stderr, isThere: existsSync(group!) }).toMatchObject({
      status: "0",
      stderr: '""',
      isThere: false,
    });
  });

for (const namespaces of [[], ["pid"], ["user", "pid"]])
  rooted(
    `the group of a program's limits goes with a script that is killed by SIGKILL: ${namespaces.join(" and ") || "no namespaces"}`,
    async () => {
      const ran = await runScript(
        `import { readFileSync, existsSync } from "node:fs";
import { program } from "nsk";
const limited = program(["sleep", "1000"], { limits: { pids: 9 }, namespaces: ${JSON.stringify(namespaces)} });
const child = spawn(limited);
const file = limited.groups[0] + "/cgroup.procs";
while (!existsSync(file) || readFileSync(file, "utf8") === "") await Bun.sleep(1);
say(...limited.groups, child.pid);
await child.exited;`,
        "SIGKILL",
      );
      expect(ran).toMatchObject({ signal: "SIGKILL", stderr: "" });
      const [group, pid] = ran.words;
      expect([pid, await isGone(pid!)]).toEqual([pid, true]);
      expect(existsSync(group!)).toBe(false);
    },
    60_000,
  );

rooted("of a plan that was started, the program ends with who waits for it", async () => {
  const ran = await runScript(`
import { program } from "nsk";
const child = spawn(program(["sh", "-c", "sleep 1000 & wait"], { namespaces: ["pid"] }));
for (;;) {
  const { stdout } = await run(["pgrep", "-P", String(child.pid)]);
  if (stdout === "") continue;
  say(child.pid, stdout.trim());
  break;
}`);
  expect(ran).toMatchObject({ status: 0, stderr: expect.stringContaining("ended process") });
  expect(ran.words.length).toBe(2);
  for (const pid of ran.words) expect([pid, await isGone(pid)]).toEqual([pid, true]);
});

/** A program that waits for one of its own, in a session of that one's own, which waits for a third. */
const FAMILY = ["sh", "-c", "setsid sh -c 'sleep 1000 & echo $$ $!; wait' & wait"];

for (const [how, code] of [
  ["the script exits", "process.exit();"],
  ["the script throws", 'throw new Error("mine");'],
  ["its block is left", "await child[Symbol.asyncDispose]();"],
  ["it is aborted", "abort.abort();\nawait child.exited;"],
] as const)
  rooted(`what a program has started ends with it when ${how}`, async () => {
    const ran = await runScript(`
const abort = new AbortController();
const child = spawn(${JSON.stringify(FAMILY)}, { stdout: "pipe", signal: abort.signal });
const { value } = await child.stdout!.getReader().read();
say(child.pid, new TextDecoder().decode(value).trim());
${code}`);
    expect(ran.words.length).toBe(3);
    for (const pid of ran.words) expect([pid, await isGone(pid)]).toEqual([pid, true]);
    const told = `nsk: the script ends: ended process ${ran.words[0]} (${FAMILY.join(" ")}), and 2 that it had started\n`;
    if (how.startsWith("the script")) expect(ran.stderr).toContain(told);
    else expect(ran.stderr).toBe("");
  });

rooted("a script that handles a signal itself goes on", async () => {
  const ran = await runScript(
    `process.on("SIGTERM", async () => { child.kill(); say("ended", (await child.exited).signal); });
const child = spawn(["sleep", "1000"]);
const ended = child.exited;
say(child.pid);
await ended;`,
    "SIGTERM",
  );
  expect(ran).toMatchObject({ status: 0, stderr: "" });
  expect(ran.words.slice(1)).toEqual(["ended", "15"]);
});

rooted("what is detached lives on, and nothing is told of it", async () => {
  const ran = await runScript(
    'const child = spawn(["sleep", "1000"], { detached: true, stdout: "ignore", stderr: "ignore" });\nsay(child.pid);',
  );
  expect(ran).toMatchObject({ status: 0, stderr: "" });
  const pid = Number(ran.words[0]);
  try {
    expect(lives(String(pid))).toBe(true);
  } finally {
    process.kill(pid, "SIGKILL");
  }
});

rooted("leaving an await using block ends the program and removes the group, without a word", async () => {
  const ran = await runScript(`
let directories: readonly string[];
{
  await using group = cgroup("nsk-handles-using-" + process.pid, ["pids"]).create();
  directories = group.directories;
  await using child = spawn(["sleep", "1000"], { cgroups: [group] });
  say(child.pid, ...directories);
}`);
  expect(ran).toMatchObject({ status: 0, stderr: "" });
  const [pid, group] = ran.words;
  expect(await isGone(pid!)).toBe(true);
  expect(existsSync(group!)).toBe(false);
});

rooted("a process that runs already is moved into a group, and one that is none is told", async () => {
  const ran = await runScript(`
await using group = cgroup("nsk-handles-add-" + process.pid, ["pids"]).create();
await using child = spawn(["sleep", "1000"]);
group.add(child.pid);
const told: unknown[] = [];
for (const pid of [0, 2 ** 30])
  try {
    group.add(pid);
  } catch (error) {
    told.push((error as Error).name, (error as { code?: string }).code);
  }
say(group.processes()[0] === child.pid, ...told);`);
  expect(ran).toMatchObject({ status: 0, stderr: "" });
  expect(ran.words).toEqual(["true", "UsageError", "", "StepError", "ESRCH"].filter(Boolean));
});

rooted("a group that was there before stays", async () => {
  const name = `nsk-handles-there-${process.pid}`;
  const made = Bun.spawnSync([nsk, "cgcreate", "-g", `pids:${name}`]);
  expect(made.exitCode).toBe(0);
  try {
    const ran = await runScript(
      `const group = cgroup("${name}", ["pids"]).create();\nsay(...group.directories);`,
    );
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(ran.words[0]!)).toBe(true);
  } finally {
    Bun.spawnSync([nsk, "cgdelete", `pids:${name}`]);
  }
});
