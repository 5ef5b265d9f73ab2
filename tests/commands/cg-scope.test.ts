// `-c`: a scope from systemd. There is none on every machine, so a small one of the test's own answers on the socket: it
// speaks the handshake, and makes a group for the process that asks. The real one is asked in a guest.

import { afterAll, describe, expect } from "bun:test";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nsk, type Ran, runNsk } from "../support/nsk.ts";
import { directoryOf, live, removeGroups, removeLeftovers, uniqueName } from "./libcgroup.ts";

afterAll(removeLeftovers);

const NOBODY = 65534;

/** An answer to a call as it came: a string in it, or an error with one. */
const answer = (call: Uint8Array, text: string, error?: string): Uint8Array => {
  const serial = call.slice(8, 12);
  const string = (value: string): number[] => [value.length, 0, 0, 0, ...Buffer.from(value), 0];
  const fields: number[] = [];
  const field = (code: number, type: string, value: number[]): void => {
    while (fields.length % 8) fields.push(0);
    fields.push(code, 1, type.charCodeAt(0), 0, ...value);
  };
  field(5, "u", [...serial]);
  if (error) field(4, "s", string(error));
  field(8, "g", [1, "s".charCodeAt(0), 0]);
  const body = string(text);
  const head = [
    0x6c,
    error ? 3 : 2,
    0,
    1,
    body.length,
    0,
    0,
    0,
    9,
    0,
    0,
    0,
    fields.length,
    0,
    0,
    0,
    ...fields,
  ];
  while (head.length % 8) head.push(0);
  return Uint8Array.from([...head, ...body]);
};

/** Runs nsk as nobody, whose manager answers as `start` says to the text of StartTransientUnit. */
const withManager = async (
  start: (call: Uint8Array, text: string) => Uint8Array,
  ...words: string[]
): Promise<Ran & { calls: string[] }> => {
  const directory = mkdtempSync(join(tmpdir(), "nsk-bus-"));
  chmodSync(directory, 0o755);
  const calls: string[] = [];
  const server = Bun.listen({
    unix: join(directory, "bus"),
    socket: {
      data: (socket, bytes) => {
        // The end of the handshake and the first call may come at once.
        const data = bytes.subarray(0, 5).toString() === "BEGIN" ? bytes.subarray(7) : bytes;
        const text = Buffer.from(data).toString("latin1");
        calls.push(text);
        if (text.startsWith("\0AUTH EXTERNAL 3635353334\r\n")) socket.write("OK 1234\r\n");
        else if (text.includes("Hello")) socket.write(answer(data, ":1.1"));
        else if (text.includes("StartTransientUnit")) socket.write(start(data, text));
      },
    },
  });
  try {
    chownSync(join(directory, "bus"), NOBODY, NOBODY);
    const child = Bun.spawn(
      ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", nsk, ...words],
      {
        env: { PATH: "/usr/bin:/bin", XDG_RUNTIME_DIR: directory },
        cwd: "/",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [stdout, stderr, status] = await Promise.all([
      child.stdout.text(),
      child.stderr.text(),
      child.exited,
    ]);
    return { status, signal: undefined, stdout, stderr, calls };
  } finally {
    server.stop(true);
    rmSync(directory, { recursive: true });
  }
};

describe("cgexec -c", () => {
  live("becomes the program inside of the scope that it has asked for", async () => {
    const name = uniqueName();
    try {
      const ran = await withManager(
        (call, text) => {
          const [, scope, pid] = /(nsk-(\d+)\.scope)/.exec(text)!;
          mkdirSync(directoryOf(`cpu:${name}/${scope}`), { recursive: true });
          writeFileSync(directoryOf(`cpu:${name}/${scope}/cgroup.procs`), pid!);
          return answer(call, "/org/freedesktop/systemd1/job/1");
        },
        "cgexec",
        "-c",
        "grep",
        ":cpu:",
        "/proc/self/cgroup",
      );
      expect(ran).toMatchObject({ status: 0, stderr: "" });
      expect(ran.stdout).toMatch(new RegExp(`:cpu:/${name}/nsk-\\d+\\.scope\n$`));
      // Handed over, and gone with the last process.
      expect(ran.calls.at(-1)).toContain("Delegate");
      expect(ran.calls.at(-1)).toContain("inactive-or-failed");
    } finally {
      removeGroups(name);
    }
  });
  live("says what systemd says when that makes none", async () => {
    const ran = await withManager(
      (call) => answer(call, "Unit exists already.", "a.b.Exists"),
      "cgexec",
      "-c",
      "true",
    );
    expect([ran.status, ran.stderr.replace(/\d+/, "N")]).toEqual([
      96,
      "nsk cgexec: systemd does not make nsk-N.scope: Unit exists already.\n",
    ]);
  });
});

describe("-c where it cannot be", () => {
  live("without a manager", () => {
    const argv = [
      "setpriv",
      "--reuid",
      "nobody",
      "--regid",
      "nogroup",
      "--clear-groups",
      nsk,
      "cgexec",
      "-c",
      "true",
    ];
    const env = { PATH: "/usr/bin:/bin", XDG_RUNTIME_DIR: "/nonexistent" };
    const { exitCode, stderr } = Bun.spawnSync(argv, { env, cwd: "/", stderr: "pipe" });
    expect(exitCode).toBe(96);
    expect(stderr.toString()).toStartWith("nsk cgexec: no systemd of this user's answers");
  });
  live("on a hybrid host a group inside of a scope is refused", () => {
    const { status, stderr } = runNsk("cgcreate", "-c", "-g", "cpu:x.scope");
    expect([status, stderr]).toEqual([
      96,
      "nsk cgcreate: -c needs cgroup v2 alone: on v1 systemd hands nothing over\n",
    ]);
  });
  live("mistakes are named", () => {
    for (const [words, message] of [
      [["cgexec", "-c"], "no program is given"],
      [
        ["cgexec", "-c", "--explain", "true"],
        "-c goes with neither --explain nor --emit: systemd has to be asked first",
      ],
      [
        ["cgexec", "-c", "-g", "cpu:a", "-g", "cpu:b", "true"],
        "-c takes one -g: one scope has one tree of groups",
      ],
      [["cgcreate", "-p", "1", "-g", "cpu:a"], "-p goes with -c"],
      [["cgcreate", "-c", "-p", "x", "-g", "cpu:a"], "'x' is no process id"],
    ] as const)
      expect(runNsk(...words).stderr.split("\n")[0]).toBe(`nsk ${words[0]}: ${message}`);
  });
});
