// Namespaces that a container shares with the host or with another container.

import { afterAll, describe, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { testNeeding } from "../support/needs.ts";
import { type Ran, runNsk } from "../support/nsk.ts";
import { nothing, remainsOf, stateOf, until } from "./containers.ts";

const live = testNeeding("root");
const started: string[] = [];
afterAll(() => {
  for (const id of started) runNsk("rm", "-f", id);
});
const output = ({ status, stdout, stderr }: Ran): string => {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};
const start = (script: string, ...options: string[]): string => {
  const id = output(runNsk("run", "-d", ...options, "--", "sh", "-c", script)).trim();
  started.push(id);
  return id;
};
const KINDS = ["pid", "ipc", "uts", "net", "mnt", "cgroup"] as const;
const ASK = `for i in ${KINDS.join(" ")}; do readlink /proc/self/ns/$i; done`;
const kindsOf = (text: string): Record<string, string> =>
  Object.fromEntries(
    text
      .trim()
      .split("\n")
      .map((line) => line.split(":") as [string, string]),
  );

describe("with another container", () => {
  live("what is asked for is shared, and nothing else", () => {
    const name = `nsk-share-${process.pid}`;
    const id = start("touch /dev/shm/here; sleep 1000", "--name", name, "--ipc", "shareable", "-h", "other");
    const theirs = kindsOf(output(runNsk("exec", id, "sh", "-c", ASK)));
    for (const [option, kind] of [
      ["--pid", "pid"],
      ["--ipc", "ipc"],
      ["--uts", "uts"],
      ["--network", "net"],
    ] as const) {
      const ours = kindsOf(output(runNsk("run", option, `container:${name}`, "sh", "-c", ASK)));
      expect(KINDS.filter((it) => ours[it] === theirs[it])).toEqual([kind]);
    }
    const all = ["--pid", "--ipc", "--uts", "--network"].flatMap((option) => [
      option,
      `container:${id.slice(0, 11)}`,
    ]);
    const seen = output(
      runNsk("run", ...all, "sh", "-c", "hostname; ls /dev/shm; cat /proc/1/comm; touch /dev/shm/there"),
    );
    expect(seen).toBe("other\nhere\nsh\n");
    expect(output(runNsk("exec", id, "ls", "/dev/shm"))).toBe("here\nthere\n");
  });
  live("its end is that of those in its PID namespace", () => {
    const id = start("sleep 1000");
    const guest = start("sleep 1000", "--pid", `container:${id}`);
    expect(runNsk("rm", "-f", id).status).toBe(0);
    expect(runNsk("wait", guest).stdout).toBe("137\n");
    expect(remainsOf(guest)).toEqual(nothing);
  });
  live("a guest's end leaves nothing of it there, and the host goes on", () => {
    const id = start("sleep 1000");
    const ran = runNsk(
      "run",
      "--pid",
      `container:${id}`,
      "sh",
      "-c",
      "sleep 4711 & setsid sleep 4711 & exit 4",
    );
    expect(ran.status).toBe(4);
    expect(output(runNsk("exec", id, "ps", "ax"))).not.toContain("4711");
  });
  live("one that is no longer there, or keeps its IPC to itself, is told", () => {
    const id = start("sleep 1000");
    expect(runNsk("run", "--ipc", `container:${id}`, "true")).toMatchObject({
      status: 125,
      stderr: `nsk run: --ipc container:${id}: its IPC namespace is its own\nhint: nsk run --ipc shareable makes one that others may join\n`,
    });
    expect(runNsk("run", "--network", "container:nsk-none", "true")).toMatchObject({
      status: 125,
      stderr: "nsk run: no such container: nsk-none\nhint: nsk ps -a lists them\n",
    });
    expect(runNsk("run", "-h", "x", "--uts", `container:${id}`, "true").stderr).toStartWith(
      `nsk run: --hostname and --uts container:${id}: another's name would be changed`,
    );
  });
});

describe("--pid host", () => {
  const own = (): string => readlinkSync("/proc/self/ns/pid");
  live("shows all processes, and at its end none of its own is left", async () => {
    const id = start(
      "readlink /proc/self/ns/pid; (setsid sleep 4712 &); sleep 4712 & echo $!; wait",
      "--pid",
      "host",
    );
    let lines: string[] = [];
    await until("it has printed", () => (lines = runNsk("logs", id).stdout.split("\n")).length > 2);
    expect(lines[0]).toBe(own());
    expect(stateOf(Number(lines[1]))).toBeDefined();
    expect(output(runNsk("exec", id, "readlink", "/proc/self/ns/pid"))).toBe(`${own()}\n`);
    expect(runNsk("stop", "-t", "0", id).status).toBe(0);
    expect(stateOf(Number(lines[1])) ?? "Z").toBe("Z");
    expect(remainsOf(id)).toEqual(nothing);
  });
  live("a killed supervisor's are ended by the next run", async () => {
    const id = start("(setsid sleep 4713 &); echo ready; sleep 1000", "--pid", "host");
    await until("it has printed", () => runNsk("logs", id).stdout === "ready\n");
    const { Pid } = JSON.parse(runNsk("inspect", id).stdout)[0].State;
    const status = await Bun.file(`/proc/${Pid}/status`).text();
    process.kill(Number(/^PPid:\t(\d+)$/m.exec(status)![1]), "SIGKILL");
    await until("its first process is gone", () => (stateOf(Pid) ?? "Z") === "Z");
    expect(runNsk("run", "true").status).toBe(0);
    expect(remainsOf(id)).toEqual(nothing);
  });
});

test.each([
  [["--pid", "foo"], "--pid foo: nsk run has private, host, container:NAME"],
  [["--ipc", "foo"], "--ipc foo: nsk run has private, shareable, none, host, container:NAME"],
  [["--network", "bridge"], "--network bridge: nsk run has none, pasta, slirp4netns, host, container:NAME"],
])("%j is one line", (words, message) => {
  const { status, stderr } = runNsk("run", ...words, "true");
  expect({ status, stderr }).toEqual({ status: 125, stderr: `nsk run: ${message}\n` });
});
