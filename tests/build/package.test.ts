// The npm package: packed by npm, put into a project of its own, looked at by tsc and run by Bun.

import { afterAll, beforeAll, expect } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";

const project = join(import.meta.dir, "../..");
const tsc = join(project, "node_modules/.bin/tsc");
const packed = testNeeding("npm", tsc);
let consumer: string;
let listed: readonly string[] = [];

const consumed = `import { cgroup, container, explain, namespaces, program, run, spawn, StepError, type ContainerOptions, type Process, type Output } from "nsk";

const output: Output = await run(["sh", "-c", "echo out; exit 3"], { env: { PATH: "/usr/bin:/bin" } });
await using child: Process = spawn(["cat"], { stdin: "pipe", stdout: "pipe" });
const writer = child.stdin!.getWriter();
await writer.write("typed");
await writer.close();
const text: string = await new Response(child.stdout).text();
const { status } = await child.exited;
const plan = explain(program(["true"], { hostname: "sandbox", mounts: [{ source: "/a", target: "/b" }] }));
const pid: number | undefined = namespaces(["pid"])[0]?.pid;
const group: () => number[] = cgroup("x").processes;
const options: ContainerOptions = { limits: { pids: 20 }, capDrop: ["ALL"] };
const refused: string = await container({ rootfs: "/no/such/root" }, ["true"], options).then(() => "", String);
console.log(JSON.stringify([output, text, status, plan.includes("sethostname"), typeof pid, typeof group, new StepError("x", 1).name, refused]));
`;

beforeAll(() => {
  consumer = mkdtempSync(join(tmpdir(), "nsk-package-"));
  if (!Bun.which("npm")) return;
  const pack = runCommand(
    ["sh", "-c", 'cd "$0" && npm pack --json --pack-destination "$1"', project, consumer],
    {
      PATH: `${join(project, "node_modules/.bin")}:${process.env.PATH}`,
    },
  );
  const [{ filename, files }] = JSON.parse(pack.stdout.slice(pack.stdout.indexOf("[\n")));
  listed = files.map(({ path }: { path: string }) => path);
  mkdirSync(join(consumer, "node_modules"));
  expect(runCommand(["tar", "-xzf", join(consumer, filename), "-C", consumer]).status).toBe(0);
  expect(runCommand(["mv", join(consumer, "package"), join(consumer, "node_modules/nsk")]).status).toBe(0);
  // What it depends on, without a registry.
  symlinkSync(join(project, "node_modules"), join(consumer, "node_modules/nsk/node_modules"));
  writeFileSync(join(consumer, "package.json"), '{"type":"module"}');
  writeFileSync(join(consumer, "index.ts"), consumed);
}, 120_000);
afterAll(() => rmSync(consumer, { recursive: true }));

packed("may be published", () =>
  expect(
    JSON.parse(readFileSync(join(consumer, "node_modules/nsk/package.json"), "utf8")),
  ).not.toHaveProperty("private"),
);

packed("holds the API, its declarations and the program, and nothing else", () => {
  for (const path of ["index.js", "index.d.ts", "nsk.js", "main.js"])
    expect(listed).toContain(`dist/npm/${path}`);
  const known = /^(?:dist\/npm\/|package\.json$|README\.md$|LICENSE$)/;
  expect(listed.filter((path) => !known.test(path))).toEqual([]);
});

for (const module of ["nodenext", "preserve"])
  packed(
    `is clean for a strict consumer, module ${module}`,
    () => {
      const ran = runCommand([
        ...[tsc, "--ignoreConfig", "--noEmit", "--strict", "--exactOptionalPropertyTypes"],
        ...["--noUncheckedIndexedAccess", "--noImplicitOverride", "--isolatedModules"],
        ...[
          "--skipLibCheck",
          "false",
          "--target",
          "esnext",
          "--module",
          module,
          "--lib",
          "esnext,dom",
          "--types",
          "",
        ],
        join(consumer, "index.ts"),
      ]);
      expect(ran).toMatchObject({ status: 0, stdout: "" });
    },
    60_000,
  );

packed("works under Bun", () => {
  const ran = runCommand([process.execPath, join(consumer, "index.ts")]);
  expect(ran.stderr).toBe("");
  expect(JSON.parse(ran.stdout)).toEqual([
    { stdout: "out\n", stderr: "", status: 3 },
    "typed",
    0,
    true,
    "number",
    "function",
    "StepError",
    "HostError: --rootfs /no/such/root: no such directory",
  ]);
});

packed("has nsk as its program", () => {
  const ran = runCommand([
    process.execPath,
    join(consumer, "node_modules/nsk/dist/npm/nsk.js"),
    "unshare",
    "--help",
  ]);
  expect(ran).toMatchObject({
    status: 0,
    stderr: "",
    stdout: expect.stringMatching(/^Usage:\n nsk unshare/),
  });
});
