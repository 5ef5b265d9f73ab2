import { expect, test } from "bun:test";
import { spawn } from "../../src/backends/spawn.ts";
import { SIG } from "../../src/abi/flags.ts";
import { liveHost } from "../../src/host/live.ts";
import { planUnshare } from "../../src/namespaces/unshare.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { programCandidates } from "../../src/plan/program.ts";

const sh = (script: string, kinds: Parameters<typeof planUnshare>[1]["kinds"] = []): Plan =>
  planUnshare(
    "test",
    {
      kinds,
      fork: false,
      propagation: "private",
      program: { program: "sh", argv: ["sh", "-c", script], candidates: programCandidates("sh", undefined) },
    },
    liveHost(),
  );

test("a plan runs as a child, and its output is a stream", async () => {
  const child = spawn(sh("echo out; echo err >&2; exit 3"), { stdout: "pipe", stderr: "pipe" });
  expect(await new Response(child.stdout).text()).toBe("out\n");
  expect(await new Response(child.stderr).text()).toBe("err\n");
  expect(await child.exited).toEqual({ status: 3 });
});

test("a signal that ended it is told", async () => {
  const child = spawn(sh("kill -TERM $$"));
  expect(await child.exited).toEqual({ signal: SIG.SIGTERM });
});

test("the child is the program: the process id is its own", async () => {
  const child = spawn(sh("echo $$"), { stdout: "pipe" });
  expect(Number(await new Response(child.stdout).text())).toBe(child.pid);
  await child.exited;
});

test("namespaces are the plan's, although this process has many threads", async () => {
  const child = spawn(sh("readlink /proc/self/ns/user", ["user"]), { stdout: "pipe" });
  const inside = (await new Response(child.stdout).text()).trim();
  await child.exited;
  expect(inside).toMatch(/^user:\[\d+\]$/);
  expect(inside).not.toBe(await Bun.$`readlink /proc/self/ns/user`.text().then((text) => text.trim()));
});

test("SIGPIPE is at its default, which it is not in Bun", async () => {
  const child = spawn(sh("grep SigIgn /proc/self/status"), { stdout: "pipe" });
  const mask = BigInt(`0x${(await new Response(child.stdout).text()).split(/\s+/)[1]}`);
  await child.exited;
  expect(mask & (1n << BigInt(SIG.SIGPIPE - 1))).toBe(0n);
});

test("no descriptor but 0, 1 and 2 gets through", async () => {
  const child = spawn(sh("ls /proc/self/fd"), { stdout: "pipe" });
  // 3 is the directory that ls reads
  expect(await new Response(child.stdout).text()).toBe("0\n1\n2\n3\n");
  await child.exited;
});

test("standard input, directory and environment can be given", async () => {
  const child = spawn(sh('pwd; echo "$WORD"; cat'), {
    stdin: "pipe",
    stdout: "pipe",
    cwd: "/usr",
    env: { WORD: "given" },
  });
  child.stdin!.write("typed");
  await child.stdin!.end();
  expect(await new Response(child.stdout).text()).toBe("/usr\ngiven\ntyped");
  expect(await child.exited).toEqual({ status: 0 });
});

test("fifty at once: none is lost", async () => {
  const exits = await Promise.all(Array.from({ length: 50 }, (_, i) => spawn(sh(`exit ${i}`)).exited));
  expect(exits).toEqual(Array.from({ length: 50 }, (_, i) => ({ status: i })));
});
