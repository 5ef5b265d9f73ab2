// cgroup v2 on the running kernel. On a hybrid host that is its one tree with whatever controller version 1 has left,
// often hugetlb alone, which is enough for the rules of version 2.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { nsk } from "../support/nsk.ts";
import { hierarchies, removeGroups, uniqueName } from "./libcgroup.ts";

const unified = hierarchies.find(({ version }) => version === 2);
const reason =
  process.geteuid?.() !== 0
    ? "needs root"
    : unified?.controllers.includes("hugetlb")
      ? undefined
      : "needs the hugetlb controller on cgroup v2";
const live = (title: string, run: () => void | Promise<void>): void =>
  reason ? test.skip(`${title} (${reason})`, run) : test(title, run);

const root = unified?.mountPoint ?? "";
const subtreeControl = `${root}/cgroup.subtree_control`;
const name = uniqueName();
const group = `${root}/${name}/a`;
let before = "";

beforeAll(() => {
  if (!reason) before = readFileSync(subtreeControl, "utf8");
});

afterAll(() => {
  if (reason) return;
  removeGroups(name);
  if (!before.includes("hugetlb")) writeFileSync(subtreeControl, "-hugetlb");
});

const run = (...words: string[]): { status: number | null; stdout: string; stderr: string } =>
  spawnSync(nsk, words, { encoding: "utf8" });

live("cgcreate hands a controller on from the root down", () => {
  expect(run("cgcreate", "-g", `hugetlb:${name}/a`)).toEqual(
    expect.objectContaining({ status: 0, stdout: "", stderr: "" }),
  );
  expect(readFileSync(`${root}/${name}/cgroup.subtree_control`, "utf8")).toBe("hugetlb\n");
  expect(readFileSync(`${group}/cgroup.controllers`, "utf8")).toBe("hugetlb\n");
});

live("cgset takes a name of version 1, says what it wrote, and cgget reads both", () => {
  const file = readdirSync(group).find((it) => /^hugetlb\.[^.]+\.max$/.test(it))!;
  const size = file.split(".")[1]!;
  const old = `hugetlb.${size}.limit_in_bytes`;
  const bytes = String(4 * 2 ** 30);
  const set = run("cgset", "-r", `${old}=${bytes}`, `${name}/a`);
  expect([set.status, set.stderr]).toEqual([
    0,
    `nsk cgset: ${old}=${bytes} is ${file} "${bytes}" on cgroup v2\n`,
  ]);
  expect(readFileSync(`${group}/${file}`, "utf8")).toBe(`${bytes}\n`);
  expect(run("cgget", "-nv", "-r", old, "-r", file, `${name}/a`).stdout).toBe(`${bytes}\n${bytes}\n`);
});

live("cgget shows what libcgroup's shows", () => {
  const words = ["-g", `hugetlb:${name}/a`];
  if (existsSync("/usr/bin/cgget"))
    expect(run("cgget", ...words).stdout).toBe(
      spawnSync("/usr/bin/cgget", words, { encoding: "utf8" }).stdout,
    );
});

live("cgexec enters the group", () => {
  const { status, stdout } = run("cgexec", "-g", `hugetlb:${name}/a`, "cat", "/proc/self/cgroup");
  expect([status, stdout.split("\n").at(-2)]).toEqual([0, `0::/${name}/a`]);
});

live("cgexec explains that a group that hands controllers on takes no process", () => {
  const { status, stderr } = run("cgexec", "-g", `hugetlb:${name}`, "true");
  expect(status).toBe(96);
  expect(stderr).toContain(
    "failed: Device or resource busy\nhint: it hands controllers on to groups below it",
  );
});

live(
  "cgcreate names the process that keeps a group from handing controllers on, and cgdelete moves it",
  async () => {
    const child = spawn(nsk, ["cgexec", "-g", `hugetlb:${name}/a`, "sleep", "60"], { stdio: "ignore" });
    try {
      const inside = (): boolean => readFileSync(`/proc/${child.pid}/comm`, "utf8") === "sleep\n";
      while (!inside()) await Bun.sleep(10);
      const { status, stderr } = run("cgcreate", "-g", `hugetlb:${name}/a/b`);
      expect(status).toBe(96);
      expect(stderr).toContain(`it holds ${child.pid} (sleep)\n`);
      expect(existsSync(`${group}/b`)).toBe(false);

      expect(run("cgset", "-r", "cgroup.freeze=1", `${name}/a`).status).toBe(0);
      // The kernel freezes a group's processes one by one, and tells when the last is.
      const frozen = (): boolean => readFileSync(`${group}/cgroup.events`, "utf8").includes("frozen 1");
      while (!frozen()) await Bun.sleep(10);
      expect(run("cgset", "-r", "cgroup.freeze=0", `${name}/a`).status).toBe(0);

      expect(run("cgdelete", "-r", "-g", `hugetlb:${name}`).status).toBe(0);
      expect(existsSync(`${root}/${name}`)).toBe(false);
      expect(readFileSync(`/proc/${child.pid}/comm`, "utf8")).toBe("sleep\n");
    } finally {
      child.kill("SIGKILL");
    }
  },
);

live("a cgcreate that fails has a group that was there keep its controllers to itself again", () => {
  expect(run("cgcreate", "-g", `hugetlb:${name}/low`).status).toBe(0);
  writeFileSync(`${root}/${name}/low/cgroup.max.depth`, "1");
  const { status, stderr } = run("cgcreate", "-g", `hugetlb:${name}/low/1/2`);
  expect(status).toBe(96);
  expect(stderr.split("\n")[0]).toEndWith("/low/1/2 failed: Resource temporarily unavailable");
  expect(existsSync(`${root}/${name}/low/1`)).toBe(false);
  expect(readFileSync(`${root}/${name}/low/cgroup.subtree_control`, "utf8").trim()).toBe("");
  // Were it still handing them on, no process could enter.
  expect(run("cgexec", "-g", `hugetlb:${name}/low`, "true")).toMatchObject({ status: 0, stderr: "" });
});
