// What careless and ill-meaning users do to containers: descriptors closed beforehand, files of nsk's removed or written by
// hand, users without a home, records that are not nsk's.

import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "../../src/containers/config.ts";
import { detailsText, namesIn, parseDetails, STATE } from "../../src/containers/record.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";
import { nothing, remainsOf, until } from "./containers.ts";

const live = testNeeding("root");
const KEPT = "/var/lib/nsk/containers";
const scratch = mkdtempSync(join(tmpdir(), "nsk-abuse-"));
const started = new Set<string>();
afterAll(() => {
  for (const id of started) runCommand(["timeout", "10", nsk, "rm", "-f", id]);
  rmSync(scratch, { recursive: true, force: true });
});

/** The id that a shell's words print. */
const startedBy = (words: string): string => {
  const { stdout, stderr } = runCommand(["sh", "-c", words, nsk]);
  expect(stderr).toBe("");
  const id = stdout.trim();
  expect(id).toMatch(/^[0-9a-f]{12}$/);
  started.add(id);
  return id;
};

describe("a caller that has closed", () => {
  for (const [what, closed] of [
    ["standard input", "<&-"],
    ["standard error", "2>&-"],
    ["both", "<&- 2>&-"],
  ] as const)
    live(`${what} gets a container in the background that ends and is ended`, async () => {
      const id = startedBy(`exec "$0" run -d -- sh -c 'echo said; echo more >&2; exec sleep 100' ${closed}`);
      await until("it has printed", () => /said/.test(runNsk("logs", id).stdout));
      expect(runNsk("logs", id)).toMatchObject({ stdout: "said\n", stderr: "more\n" });
      expect(runCommand(["timeout", "10", nsk, "rm", "-f", id])).toMatchObject({ status: 0, stderr: "" });
      expect(remainsOf(id)).toEqual(nothing);
    });
  live("standard output has a container, and hears nothing of it", async () => {
    const file = join(scratch, "id");
    const script = `exec "$0" run -d --cidfile ${file} -- sh -c 'echo said' >&-`;
    expect(runCommand(["sh", "-c", script, nsk])).toMatchObject({ status: 0, stderr: "" });
    const id = readFileSync(file, "utf8");
    started.add(id);
    expect(runCommand(["timeout", "10", nsk, "wait", id]).stdout).toBe("0\n");
    expect(runNsk("logs", id).stdout).toBe("said\n");
  });
  live("all three has programs with nothing to read and nowhere to write", () => {
    const seen = join(scratch, "seen");
    mkdirSync(seen);
    const script = `exec "$0" run -v ${seen}:/mnt -- sh -c 'ls -l /proc/self/fd >/mnt/list' <&- >&- 2>&-`;
    expect(runCommand(["sh", "-c", script, nsk]).status).toBe(0);
    const list = readFileSync(join(seen, "list"), "utf8");
    expect([...list.matchAll(/ ([02]) -> (\S+)/g)].map(([, fd, file]) => [fd, file])).toEqual([
      ["0", "/dev/null"],
      ["2", "/dev/null"],
    ]);
  });
});

live("a name whose container somebody has removed by hand can be had again", async () => {
  const name = `nsk-abuse-${process.pid}`;
  const first = startedBy(`exec "$0" run -d --name ${name} true`);
  expect(runNsk("wait", first).stdout).toBe("0\n");
  expect(runNsk("run", "--name", name, "true").stderr).toContain(`${name} is that of the container ${first}`);
  rmSync(`${KEPT}/${first}`, { recursive: true });
  expect(runNsk("run", "--name", name, "true")).toMatchObject({ status: 0, stderr: "" });
  expect(existsSync(`${namesIn(STATE)}/${name}`)).toBe(false);
});

describe("what is not nsk's is passed over", () => {
  const details = {
    command: ["true"],
    created: "2026-01-31T10:00:00.000Z",
    detached: true,
    autoRemove: false,
    interactive: false,
    config: { process: { args: ["true"] }, mounts: [], linux: { namespaces: [] } } as unknown as Config,
  };
  test("in a record", () => {
    expect(parseDetails(detailsText(details))).toEqual(details);
    for (const change of [
      { command: undefined },
      { created: undefined },
      { detached: undefined },
      { config: undefined },
      { config: {} as Config },
      { name: 5 as unknown as string },
    ])
      expect(parseDetails(detailsText({ ...details, ...change } as typeof details))).toBeUndefined();
  });
  live("and one such keeps nobody from listing the others", async () => {
    const id = "0000abcdef00";
    mkdirSync(`${KEPT}/${id}`, { recursive: true, mode: 0o700 });
    writeFileSync(`${KEPT}/${id}/container.json`, "{}\n");
    expect(runNsk("ps", "-a")).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(`${KEPT}/${id}`)).toBe(false);
  });
});

testNeeding(
  "root",
  "setpriv",
  "newuidmap",
)("a user without an account and a home can run a program", () => {
  const binary = join(scratch, "nsk");
  chmodSync(scratch, 0o755);
  expect(runCommand(["cp", nsk, binary]).status).toBe(0);
  const uid = String(2_100_000 + process.pid);
  const as = (...words: string[]) =>
    runCommand(
      ["setpriv", "--reuid", uid, "--regid", uid, "--clear-groups", binary, ...words],
      { PATH: "/usr/bin:/bin" },
      "alone",
    );
  try {
    expect(as("run", "--", "echo", "here")).toMatchObject({ status: 0, stdout: "here\n" });
    expect(as("ps", "-a")).toMatchObject({ status: 0 });
    expect(as("run", "-d", "true").stderr).toStartWith("nsk run: there is no place for images");
  } finally {
    rmSync(`/tmp/nsk-${uid}`, { recursive: true, force: true });
  }
});
