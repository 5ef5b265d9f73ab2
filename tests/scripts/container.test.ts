// Containers of a script: what `nsk run` does, as a plan that the script runs.

import { afterAll, beforeAll, expect } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { statePath } from "../../src/containers/state-path.ts";
import { liveHost } from "../../src/host/live.ts";
import { until } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk } from "../support/nsk.ts";

const rooted = testNeeding(nsk, "root");
let directory: string;
/** With a store of its own: an image that is run from a file stays there. */
let env: Record<string, string | undefined>;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "nsk-container-"));
  env = { ...process.env, NSK_STORE: join(directory, "store") };
});
afterAll(() => rmSync(directory, { recursive: true }));

let count = 0;

const runScript = (code: string): Bun.SyncSubprocess<"pipe", "pipe"> => {
  const file = join(directory, `${++count}.ts`);
  writeFileSync(file, `import { container, run, spawn } from "nsk";\n${code}`);
  return Bun.spawnSync([nsk, "script", file], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" });
};

const resultOf = (code: string): unknown => {
  const { stdout, stderr, exitCode } = runScript(
    `console.log(JSON.stringify(await (async () => { ${code} })()));`,
  );
  expect({ stderr: stderr.toString(), exitCode }).toEqual({ stderr: "", exitCode: 0 });
  return JSON.parse(stdout.toString());
};

rooted("a container is what its options say, and reads what the script gives it", () => {
  const volume = join(directory, "volume");
  mkdirSync(volume);
  writeFileSync(join(volume, "file"), "from outside");
  const script =
    "echo $GREETING $(hostname) $(id -u) $PWD; cat /mine/file; echo; touch /mine/x || echo no; cat";
  const options = {
    env: { GREETING: "hello" },
    hostname: "inside",
    user: "1",
    cwd: "/tmp",
    volumes: [{ source: volume, target: "/mine", readOnly: true }],
    limits: { pids: 20, memory: 64 * 2 ** 20 },
  };
  const { stdout, status } = resultOf(
    `return run(await container({ rootfs: "/:O" }, ["sh", "-c", ${JSON.stringify(script)}], ${JSON.stringify(options)}), { input: "typed" });`,
  ) as { stdout: string; status: number };
  expect(stdout.split("\n")).toEqual(["hello inside 1 /tmp", "from outside", "no", "typed"]);
  expect(status).toBe(0);
});

rooted("what cannot be is an error of the script's line, at its top level, too", () => {
  const { stderr, exitCode } = runScript(
    `\nawait container({ rootfs: "/:O" }, ["true"], { user: "no-such-user" });`,
  );
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toMatch(
    /^nsk script: .*:3:\d+: UsageError: unable to find user no-such-user: .*\n {2}3 \| await container/,
  );
});

rooted("an image is one as for nsk run: a file, or a name in the store", () => {
  const root = join(directory, "root");
  mkdirSync(join(root, "bin"), { recursive: true });
  Bun.spawnSync(["cp", "/bin/busybox", join(root, "bin/sh")]);
  const archive = join(directory, "image.tar");
  const name = `localhost/nsk-container-${process.pid}`;
  Bun.spawnSync(["tar", "-C", root, "-cf", archive, "."]);
  Bun.spawnSync([nsk, "import", "-q", "-c", "CMD echo of the image", archive, name], { env });
  for (const image of [name, root, archive])
    expect(
      resultOf(
        `return (await run(await container("${image}", ["/bin/sh", "-c", "echo $0", "ran"]))).stdout;`,
      ),
    ).toBe("ran\n");
  expect(resultOf(`return (await run(await container("${name}", [], { env: { A: "b" } }))).stdout;`)).toBe(
    "of the image\n",
  );
});

rooted("what makes no sense, or is not there, is an error of the script's", () => {
  const { stderr } = runScript('await container({ rootfs: "/:O" }, ["true"], { network: "bridge" });');
  expect(stderr.toString()).toContain("UsageError: --network bridge");
  const missing = runScript('await container("localhost/not-here", ["true"], { pull: "never" });');
  expect(missing.stderr.toString()).toContain("HostError: localhost/not-here:latest is not in the store");
});

const START = `
const plan = await container({ rootfs: "/:O" }, ["sleep", "1000"], { limits: { pids: 5 } });
const child = spawn(plan);
await using waiting = { async [Symbol.asyncDispose]() {} };
while (!(await Bun.file(plan.groups[0] + "/cgroup.procs").text().catch(() => ""))) await Bun.sleep(1);
console.log(plan.title.split(" ")[1], ...plan.groups);`;

const ends: readonly (readonly [title: string, code: string, says: string])[] = [
  ["is over", "", "the script ends: ended container "],
  ["throws", 'throw new Error("no");', "the script ends: ended container "],
  ["kills it", 'child.kill("SIGKILL"); console.log((await child.exited).status);', ""],
  ["is killed by SIGKILL", 'process.kill(process.pid, "SIGKILL");', ""],
];
for (const [title, code, says] of ends)
  rooted(`nothing is left of a container whose script ${title}`, async () => {
    const { stdout, stderr } = runScript(`${START}\n${code}`);
    if (says) expect(stderr.toString()).toContain(says);
    const [id, ...groups] = stdout.toString().trim().split(/\s+/);
    const places = [...groups.filter((it) => it.startsWith("/")), `${statePath(liveHost())}/${id}`];
    expect(places.length).toBeGreaterThan(1);
    await until("all of it is gone", () => !places.some((path) => existsSync(path)));
  });
