// Containers that others know by name or id: listing, stopping and killing them, and what becomes of a name.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import type { Config } from "../../src/containers/config.ts";
import { namesIn, STATE } from "../../src/containers/record.ts";
import {
  checkName,
  detailsText,
  findContainer,
  parseEnd,
  parseRunning,
} from "../../src/containers/record.ts";
import { testNeeding } from "../support/needs.ts";
import { runNsk } from "../support/nsk.ts";
import { nothing, remainsOf, type Started, startContainer, stateOf, until } from "./containers.ts";

const live = testNeeding("root");
let count = 0;
const uniqueName = (): string => `nsk-test-${process.pid}-${count++}`;
const start = (script: string, ...options: string[]): Promise<Started> =>
  startContainer(["sh", "-c", `echo $HOSTNAME; ${script}`], options);

describe("a record", () => {
  const stat = `77 (sh) S 1 77 77 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 1 2\n`;
  test("says what it was told, behind its groups and before its first process", () => {
    const details = {
      name: "box",
      command: ["sh", 'a "b"\n'],
      labels: { a: "" },
      created: "2026-01-31T10:00:00.000Z",
      detached: false,
      autoRemove: false,
      interactive: true,
      config: { process: { args: [] }, mounts: [], linux: { namespaces: [] } } as unknown as Config,
    };
    const text = `/sys/fs/cgroup/x\n${detailsText(details)}${stat}`;
    const first = { pid: 77, started: "4711" };
    expect(parseRunning("0123456789ab", text)).toEqual({
      ...details,
      id: "0123456789ab",
      first,
      groups: ["/sys/fs/cgroup/x"],
    });
    expect(parseRunning("0123456789ab", detailsText(details))).toBeUndefined();
    expect(parseRunning("0123456789ab", stat)).toBeUndefined();
    expect(parseRunning("0123456789ab", `{broken\n${stat}`)).toBeUndefined();
  });
  test("is found by its name before the beginning of another's id", () => {
    const all = [{ id: "aaa000000000" }, { id: "aab000000000", name: "aaa" }];
    expect(findContainer(all, "aaa")).toBe(all[1]!);
    expect(findContainer(all, "aaa0")).toBe(all[0]!);
    expect(() => findContainer(all, "aa")).toThrow("'aa' is the beginning of 2 containers' ids");
    for (const word of ["", "b", "aaa000000000x"])
      expect(() => findContainer(all, word)).toThrow("no such container");
  });
  test("says how it ended, once it has", () => {
    const text = `/sys/fs/cgroup/x\n${stat}`;
    const end = (wait: number, kills = 0) =>
      parseEnd(`${text}ended ${wait} ${kills} 1700000000 500000000 0\n`);
    expect(parseEnd(text)).toBeUndefined();
    expect(parseEnd(`${text}ended 768 0 17`)).toBeUndefined();
    expect(end(768)).toEqual({ status: 3, outOfMemory: false, at: 1700000000500, lost: 0 });
    expect(end(9, 1)).toEqual({ status: 137, outOfMemory: true, at: 1700000000500, lost: 0 });
  });
  test.each(["a", "", "a/b", "../x", ".a", "-a", "a b", "a\n", "ä1", "x".repeat(201)])(
    "%j is no name",
    (name) => {
      expect(() => checkName(name)).toThrow("invalid container name");
    },
  );
});

interface Listed {
  readonly id: string;
  readonly name: string | null;
  readonly pid: number;
  readonly labels: Readonly<Record<string, string>>;
}
const listed = (): Listed[] => JSON.parse(runNsk("ps", "-a", "--json").stdout).containers;

live("nsk ps -a lists those that run, with name, labels and first process, and no others", async () => {
  const name = uniqueName();
  const it = await start("read line", "--name", name, "--label", "a=b", "-l", "c");
  const other = await start("read line");
  expect(listed().find(({ id }) => id === it.id)).toMatchObject({
    name,
    pid: it.first,
    labels: { a: "b", c: "" },
  });
  expect(listed().find(({ id }) => id === other.id)).toMatchObject({ name: null, labels: {} });
  const [heading, ...lines] = runNsk("ps", "-a").stdout.split("\n");
  expect(heading).toMatch(/^CONTAINER ID +IMAGE +COMMAND +STATUS +PID +NAMES$/);
  expect(lines.find((line) => line.startsWith(it.id))).toMatch(
    new RegExp(`^${it.id} +sh -c .* +Up .* +${it.first} +${name}$`),
  );
  expect(runNsk("ps", "-aq").stdout.split("\n")).toContain(it.id);
  const byName = runNsk("ps", "-r", "-n", "-c", name, "-o", "pid");
  expect({ ...byName, stdout: byName.stdout.split("\n")[0] }).toMatchObject({
    status: 0,
    stdout: `${it.first}`,
  });
  for (const each of [it, other]) {
    each.say("");
    expect(await each.exited).toBe(0);
  }
  expect(listed().filter(({ id }) => id === it.id || id === other.id)).toEqual([]);
});

describe("what is for processes is refused beside ps -a, and what is for containers without it", () => {
  test.each([
    [["-a", "-o", "pid"], "--all lists containers, and --format is for processes"],
    [["-a", "-e"], "--all lists containers, and --every is for processes"],
    [["-a", "-c", "web"], "--all lists containers, and --container is for processes"],
    [["-a", "web"], "unexpected argument 'web': --all lists containers"],
    [["-q"], "--quiet lists the ids of containers: it goes with --all"],
  ])("%j", (words, message) => {
    const { status, stdout, stderr } = runNsk("ps", ...words);
    expect({ status, stdout, stderr: stderr.split("\n")[0] }).toEqual({
      status: 1,
      stdout: "",
      stderr: `nsk ps: ${message}`,
    });
  });
});

live("a name is one container's, until that ends", async () => {
  const name = uniqueName();
  const it = await start("read line", "--name", name);
  const second = runNsk("run", "--name", name, "true");
  expect(second).toMatchObject({
    status: 125,
    stderr: `nsk run: take the name ${name} failed: File exists\nhint: a container has that name: nsk rm -f ${name}\n`,
  });
  expect(
    listed()
      .filter((each) => each.name === name)
      .map(({ id }) => id),
  ).toEqual([it.id]);
  it.say("");
  await it.exited;
  expect(existsSync(`${namesIn(STATE)}/${name}`)).toBe(false);
  expect(runNsk("run", "--name", name, "true").status).toBe(0);
});

live("a killed supervisor's name is free again with the next run", async () => {
  const name = uniqueName();
  const it = await start("sleep 1000", "--name", name);
  process.kill(it.supervisor, "SIGKILL");
  await it.exited;
  expect(runNsk("run", "--name", name, "true").status).toBe(0);
  expect(remainsOf(it.id)).toEqual(nothing);
});

live("a name with a slash makes nothing", () => {
  const { status, stderr } = runNsk("run", "--name", "../../tmp/x", "true");
  expect({ status, stderr }).toEqual({
    status: 125,
    stderr: "nsk run: invalid container name (../../tmp/x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed\n",
  });
});

describe("nsk stop", () => {
  const READY = "echo ready; while :; do sleep 0.05; done";
  live("asks it to end, by name, and by the beginning of its id", async () => {
    const name = uniqueName();
    for (const word of [() => name, ({ id }: Started) => id.slice(0, 11)]) {
      const it = await start(`trap 'exit 3' TERM; ${READY}`, "--name", name);
      expect(await it.line()).toBe("ready");
      expect(runNsk("stop", word(it))).toMatchObject({ status: 0, stdout: `${word(it)}\n`, stderr: "" });
      expect(await it.exited).toBe(3);
    }
  });
  live("with the signal that run was told, or another", async () => {
    const it = await start(`trap 'exit 4' USR1; ${READY}`, "--stop-signal", "SIGUSR1");
    expect(await it.line()).toBe("ready");
    expect(runNsk("stop", it.id).status).toBe(0);
    expect(await it.exited).toBe(4);
    const other = await start(`trap 'exit 5' USR2; ${READY}`, "--stop-signal", "USR1");
    expect(await other.line()).toBe("ready");
    expect(runNsk("stop", "-s", "USR2", other.id).status).toBe(0);
    expect(await other.exited).toBe(5);
  });
  live("and kills one that takes no notice", async () => {
    for (const [run, stop] of [
      [[], ["-t", "0"]],
      [["--stop-timeout", "0"], []],
    ]) {
      const it = await start(`trap '' TERM; ${READY}`, ...run!);
      expect(await it.line()).toBe("ready");
      expect(runNsk("stop", ...stop!, it.id).status).toBe(0);
      expect(await it.exited).toBe(137);
      expect(remainsOf(it.id)).toEqual(nothing);
    }
  });
});

live("nsk kill sends any signal, SIGKILL unless told another", async () => {
  const it = await start("trap 'echo got' USR1; echo ready; while :; do read line && echo $line; done");
  expect(await it.line()).toBe("ready");
  expect(runNsk("kill", "-s", "USR1", it.id)).toMatchObject({ status: 0, stdout: `${it.id}\n` });
  it.say("a line, for a shell runs its trap between two commands");
  expect(["got", "a line, for a shell runs its trap between two commands"]).toContain(await it.line());
  expect(runNsk("kill", it.id).status).toBe(0);
  expect(await it.exited).toBe(137);
  await until("it is gone", () => stateOf(it.first) === undefined);
});

describe("mistakes are one line, and nothing happens", () => {
  test.each([
    [["stop"], "nsk stop: no container given"],
    [["stop", "nsk-none"], "nsk stop: no such container: nsk-none"],
    [["kill", "-s", "NOTHING", "x"], "nsk kill: invalid signal: NOTHING"],
    [["stop", "-t", "soon", "x"], "nsk stop: invalid argument 'soon' for --timeout: a whole number"],
    [["run", "--stop-signal", "NOTHING", "true"], "nsk run: invalid signal: NOTHING"],
    [
      ["run", "--stop-timeout", "soon", "true"],
      "nsk run: invalid argument 'soon' for --stop-timeout: a whole number",
    ],
  ])("%p", (words, message) => {
    const { status, stderr } = runNsk(...words);
    expect(stderr.split("\n")[0]).toBe(message);
    expect(status).toBe(words[0] === "run" ? 125 : 1);
  });
});

describe("one of several that cannot be had is told, and the others are done", () => {
  const none = (command: string, word: string) => `nsk ${command}: no such container: ${word}\n`;
  const LISTED = "hint: nsk ps -a lists them\n";
  live("kill and stop", async () => {
    for (const [command, ...options] of [["kill"], ["stop", "-t", "0"]] as const) {
      const [one, other] = [await start("read line"), await start("read line")];
      expect(runNsk(command, ...options, "nsk-none", one.id, "nsk-no", other.id)).toMatchObject({
        status: 1,
        stdout: `${one.id}\n${other.id}\n`,
        stderr: none(command, "nsk-none") + none(command, "nsk-no") + LISTED,
      });
      for (const { exited } of [one, other]) expect(await exited).toBeGreaterThan(128);
    }
  });
  live("rm, wait and inspect", async () => {
    const [one, other] = ["5", "6"].map((status) =>
      runNsk("run", "-d", "--", "sh", "-c", `exit ${status}`).stdout.trim(),
    ) as [string, string];
    expect(runNsk("wait", one, "nsk-none", other)).toMatchObject({
      status: 1,
      stdout: "5\n6\n",
      stderr: none("wait", "nsk-none") + LISTED,
    });
    const inspected = runNsk("inspect", "nsk-none", one);
    expect(inspected).toMatchObject({ status: 1, stderr: none("inspect", "nsk-none") + LISTED });
    expect(JSON.parse(inspected.stdout).map(({ Id }: { Id: string }) => Id)).toEqual([one]);
    const running = runNsk("run", "-d", "--", "sleep", "1000").stdout.trim();
    expect(runNsk("rm", one, running, other)).toMatchObject({
      status: 1,
      stdout: `${one}\n${other}\n`,
      stderr: `nsk rm: cannot remove container ${running}: it is running\nhint: nsk stop ${running}, or nsk rm -f ${running}\n`,
    });
    expect(runNsk("rm", "-f", running).status).toBe(0);
  });
  live("rm -f of what is not there has nothing to do, and says so", () => {
    expect(runNsk("rm", "-f", "nsk-none")).toMatchObject({
      status: 0,
      stdout: "",
      stderr: none("rm", "nsk-none"),
    });
  });
});
