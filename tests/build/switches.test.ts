// Bun's switches change nothing in nsk. Each is shown to change something in the same program compiled by plain
// `bun build --compile`, so that a switch which Bun renames or drops cannot pass for a dead one.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { neutralise } from "../../scripts/switches.ts";

const nsk = join(import.meta.dir, "../../dist/nsk");
const directory = mkdtempSync(join(tmpdir(), "nsk-switches-"));
const plain = join(directory, "plain");
const deaf = join(directory, "deaf");
let names: string[] = [];

beforeAll(() => {
  const command = [
    process.execPath,
    "build",
    "--compile",
    "--bytecode",
    "--format=esm",
    `--outfile=${plain}`,
  ];
  const built = Bun.spawnSync([...command, join(import.meta.dir, "deaf.ts")]);
  if (built.exitCode !== 0) throw new Error(built.stderr.toString());
  const file = readFileSync(plain);
  names = neutralise(file);
  writeFileSync(deaf, file, { mode: 0o755 });
  writeFileSync(join(directory, "evil.js"), 'console.log("EVIL");');
  writeFileSync(join(directory, "certificate"), Bun.spawnSync([plain, "certificate"]).stdout);
});
afterAll(() => rmSync(directory, { recursive: true }));

type Files = Readonly<Record<string, string>>;

/** Runs a program in a directory of its own: what it says, the files it leaves, the connections it makes. */
const outcome = async (argv: readonly string[], env: Files, files: Files = {}) => {
  const cwd = mkdtempSync(join(directory, "run-"));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(cwd, name), content);
  const sockets = mkdtempSync(join(directory, "sockets-"));
  const connections: string[] = [];
  const listeners = ["inspect", "notify"].map((name) =>
    Bun.listen({
      unix: join(sockets, name),
      socket: { open: (socket) => void (connections.push(name), socket.end()), data: () => {} },
    }),
  );
  const place = (text: string) =>
    text.replaceAll("$SOCKETS", sockets).replaceAll("$TMP", directory).replaceAll("$CWD", cwd);
  const child = Bun.spawn([...argv], {
    cwd,
    env: {
      PATH: "/usr/bin:/bin",
      ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, place(value)])),
    },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 2000,
  });
  const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  await child.exited;
  if (argv.includes("orphan")) await Bun.sleep(600);
  for (const listener of listeners) listener.stop(true);
  const { exitCode, signalCode } = child;
  return {
    stdout,
    stderr: stderr.replace(/node:\d+/g, "node:PID").replace(/localhost:\d+/g, "localhost:PORT"),
    exitCode,
    signalCode,
    connections,
    files: readdirSync(cwd).sort(),
  };
};

interface Row {
  readonly env: Files;
  /** What is set without the switch as well. */
  readonly usual?: Files;
  readonly files?: Files;
  readonly mode?: string;
}

const rows: Readonly<Record<string, Row>> = {
  BUN_BE_BUN: { env: { BUN_BE_BUN: "1" }, mode: "--version" },
  BUN_OPTIONS: { env: { BUN_OPTIONS: "--preload=$TMP/evil.js" } },
  BUN_INSPECT: { env: { BUN_INSPECT: "unix://$SOCKETS/inspect" }, mode: "wait" },
  "BUN_INSPECT that waits for a debugger": { env: { BUN_INSPECT: "ws://127.0.0.1:0/x?wait=1" } },
  BUN_INSPECT_CONNECT_TO: { env: { BUN_INSPECT_CONNECT_TO: "unix://$SOCKETS/inspect" }, mode: "wait" },
  BUN_INSPECT_NOTIFY: {
    env: { BUN_INSPECT: "127.0.0.1:0", BUN_INSPECT_NOTIFY: "unix://$SOCKETS/notify" },
    mode: "wait",
  },
  // Bun reads it only where it parses options at all.
  BUN_INSPECT_PRELOAD: { env: { BUN_OPTIONS: "--smol", BUN_INSPECT_PRELOAD: "$TMP/evil.js" } },
  BUN_JSC_useJIT: { env: { BUN_JSC_useJIT: "0", BUN_JSC_dumpOptions: "1" } },
  "an unknown BUN_JSC_ option": { env: { BUN_JSC_nothing: "1" } },
  MIMALLOC_VERBOSE: { env: { MIMALLOC_VERBOSE: "1" } },
  mimalloc_verbose: { env: { mimalloc_verbose: "1" } },
  BUN_BYTECODE_ORDER_OUT: { env: { BUN_BYTECODE_ORDER_OUT: "$CWD/written" } },
  BUN_BYTECODE_DIGEST_OUT: { env: { BUN_BYTECODE_DIGEST_OUT: "$CWD/written" } },
  BUN_FEATURE_FLAG_NO_ORPHANS: { env: { BUN_FEATURE_FLAG_NO_ORPHANS: "1" }, mode: "orphan" },
  BUN_CONFIG_VERBOSE_FETCH: {
    env: { BUN_CONFIG_VERBOSE_FETCH: "1" },
    usual: { SSL_CERT_FILE: "$TMP/certificate" },
    mode: "fetch",
  },
  NODE_TLS_REJECT_UNAUTHORIZED: { env: { NODE_TLS_REJECT_UNAUTHORIZED: "0" }, mode: "fetch" },
  NODE_EXTRA_CA_CERTS: { env: { NODE_EXTRA_CA_CERTS: "$TMP/certificate" }, mode: "fetch" },
  NODE_REDIRECT_WARNINGS: { env: { NODE_REDIRECT_WARNINGS: "$CWD/written" }, mode: "warn" },
  NODE_NO_WARNINGS: { env: { NODE_NO_WARNINGS: "1" }, mode: "warn" },
  NODE_CHANNEL_FD: { env: { NODE_CHANNEL_FD: "1" } },
};
// A row for each of two files instead of a variable; nsk is built not to read them.
const loaded: Readonly<Record<string, Row>> = {
  ".env": { env: {}, files: { ".env": "FROM_DOTENV=yes\n" } },
  "bunfig.toml with a preload": { env: {}, files: { "bunfig.toml": 'preload = ["../evil.js"]\n' } },
};

describe("a program compiled without further ado obeys", () => {
  test.each(Object.keys({ ...rows, ...loaded }))("%s", async (title) => {
    const { env, usual = {}, files = {}, mode = "mode" } = { ...rows, ...loaded }[title]!;
    const blank = Object.fromEntries(Object.keys(files).map((name) => [name, ""]));
    expect(await outcome([plain, mode], { ...usual, ...env }, files)).not.toEqual(
      await outcome([plain, mode], usual, blank),
    );
  });
});

describe("with its switches cleared it does not obey", () => {
  test.each(Object.keys(rows))("%s", async (title) => {
    const { env, usual = {}, mode = "mode" } = rows[title]!;
    expect(await outcome([deaf, mode], { ...usual, ...env })).toEqual(await outcome([deaf, mode], usual));
  });
});

describe("nsk does not obey", () => {
  test.each(Object.keys({ ...rows, ...loaded }))("%s", async (title) => {
    const { env, files = {} } = { ...rows, ...loaded }[title]!;
    const usual = await outcome([nsk, "--version"], {}, files);
    expect(usual).toMatchObject({ exitCode: 0, stderr: "", stdout: expect.stringMatching(/^nsk \d/) });
    expect(await outcome([nsk, "--version"], env, files)).toEqual(usual);
  });

  test("NODE_OPTIONS", async () => {
    const env = { NODE_OPTIONS: "--require=$TMP/evil.js --no-such-option" };
    expect(await outcome([nsk, "--version"], env)).toEqual(await outcome([nsk, "--version"], {}));
  });

  test("all of the names together", async () => {
    expect(names.length).toBeGreaterThan(700);
    const env = Object.fromEntries(names.map((name) => [name.replace("*", "verbose"), "1"]));
    expect(await outcome([nsk, "--version"], env)).toEqual(await outcome([nsk, "--version"], {}));
  });
});

test("what nsk does not obey, it hands on", async () => {
  const env = Object.fromEntries(names.map((name) => [name.replace("*", "verbose"), "1"]));
  const { stdout, stderr } = await outcome([nsk, "unshare", "-U", "env"], env);
  expect(stderr).toBe("");
  const lines = ["PATH=/usr/bin:/bin", ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  expect(stdout.trimEnd().split("\n")).toEqual(lines);
});

test("a file that is not what was expected is refused", () => {
  const text = (name: string) =>
    Buffer.from(
      readFileSync(plain).toString("latin1").replaceAll(`\0${name}\0`, `\0${name.toLowerCase()}\0`),
      "latin1",
    );
  expect(() => neutralise(Buffer.alloc(64))).toThrow("no section .rodata");
  expect(() => neutralise(text("BUN_BE_BUN"))).toThrow("does not contain BUN_BE_BUN");
  const twice = readFileSync(plain);
  neutralise(twice);
  expect(() => neutralise(twice)).toThrow();
});
