// Many at once, and killed at any moment: what was asked for is there when a command has ended, nothing is left when it
// is removed, and a second try goes on where a killed one stopped.

import { afterAll, describe, expect } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { nsk, runNsk } from "../support/nsk.ts";
import { type Random, random } from "../support/random.ts";
import { directoryOf, live, removeGroups, removeLeftovers, uniqueName } from "./libcgroup.ts";

afterAll(removeLeftovers);

describe("200 cgexec at once into one group", () => {
  live("are all in it, and the group is free when they have ended", async () => {
    const name = uniqueName();
    try {
      expect(runNsk("cgcreate", "-g", `cpu,pids:${name}`).status).toBe(0);
      const children = Array.from({ length: 200 }, () =>
        Bun.spawn([nsk, "cgexec", "-g", `cpu,pids:${name}`, "sh", "-c", "echo in; read line"], {
          stdin: "pipe",
          stdout: "pipe",
        }),
      );
      // Each says so once it has become its program.
      const said = await Promise.all(
        children.map(async ({ stdout }) => {
          const { value } = await stdout.getReader().read();
          return new TextDecoder().decode(value);
        }),
      );
      expect(said.filter((text) => text === "in\n")).toHaveLength(200);
      for (const controller of ["cpu", "pids"]) {
        const pids = readFileSync(directoryOf(`${controller}:${name}/cgroup.procs`), "utf8").split("\n");
        for (const { pid } of children)
          if (!pids.includes(String(pid))) throw new Error(`${pid} is not in it`);
        expect(pids.filter(Boolean)).toHaveLength(200);
      }
      for (const { stdin } of children) {
        stdin.write("\n");
        void stdin.end();
      }
      expect(new Set(await Promise.all(children.map(({ exited }) => exited)))).toEqual(new Set([0]));
      expect(runNsk("cgdelete", `cpu,pids:${name}`).status).toBe(0);
      expect(existsSync(directoryOf(`cpu:${name}`))).toBe(false);
    } finally {
      removeGroups(name);
    }
  });
});

/** Starts a command and kills it after a moment that differs from time to time; then does it to its end. */
const killedThenWhole = async (chance: Random, ...words: readonly string[]): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    const child = Bun.spawn([nsk, ...words], { stderr: "ignore" });
    await Bun.sleep(chance.below(120));
    child.kill("SIGKILL");
    await child.exited;
  }
  const { status, stderr } = runNsk(...words);
  expect([status, stderr]).toEqual([0, ""]);
};

describe("1,000 groups, with SIGKILL in between", () => {
  live("are made, listed, set and removed", async () => {
    const name = uniqueName();
    const chance = random(1234567);
    const paths = Array.from({ length: 1000 }, (_, i) => `${name}/${i % 10}/${i}`);
    const directory = directoryOf(`cpu:${name}`);
    try {
      await killedThenWhole(chance, "cgcreate", ...paths.flatMap((path) => ["-g", `cpu:${path}`]));
      const listed = runNsk("lscgroup", `cpu:${name}`).stdout.split("\n").filter(Boolean);
      expect(listed).toHaveLength(1011);
      for (const path of paths)
        if (!listed.includes(`cpu:/${path}`)) throw new Error(`${path} is not listed`);

      await killedThenWhole(chance, "cgset", "-R", "-r", "cpu.shares=345", name);
      for (const path of paths)
        if (readFileSync(directoryOf(`cpu:${path}/cpu.shares`), "utf8") !== "345\n")
          throw new Error(`${path} is not set`);
      const got = runNsk("cgget", "-nv", "-r", "cpu.shares", ...paths).stdout;
      expect(got).toBe("345\n".repeat(1000));

      // The last kill may have come behind the removal.
      const chanceless = Bun.spawn([nsk, "cgdelete", "-r", `cpu:${name}`], { stderr: "ignore" });
      await Bun.sleep(chance.below(60));
      chanceless.kill("SIGKILL");
      await chanceless.exited;
      if (existsSync(directory)) expect(runNsk("cgdelete", "-r", `cpu:${name}`).status).toBe(0);
      expect(existsSync(directory)).toBe(false);
    } finally {
      removeGroups(name);
    }
  });
  live("two that remove the same tree at once leave nothing, and neither fails on the other", async () => {
    const name = uniqueName();
    try {
      const groups = Array.from({ length: 200 }, (_, i) => ["-g", `cpu:${name}/${i}`]).flat();
      expect(runNsk("cgcreate", ...groups).status).toBe(0);
      const both = [0, 1].map(() => Bun.spawn([nsk, "cgdelete", "-r", `cpu:${name}`], { stderr: "pipe" }));
      const ends = await Promise.all(both.map(({ exited }) => exited));
      // One that comes when all is gone says that there is no such group.
      expect(ends.filter((status) => status === 0).length).toBeGreaterThan(0);
      for (const { stderr } of both) {
        const text = await stderr.text();
        expect(text === "" || text.includes(`there is no group cpu:${name}`)).toBe(true);
      }
      expect(readdirSync(directoryOf("cpu:")).includes(name)).toBe(false);
    } finally {
      removeGroups(name);
    }
  });
  live("two that make the same groups at once both succeed", async () => {
    const name = uniqueName();
    try {
      const groups = Array.from({ length: 200 }, (_, i) => ["-g", `cpu:${name}/${i}`]).flat();
      const both = [0, 1].map(() => Bun.spawn([nsk, "cgcreate", ...groups]));
      expect(await Promise.all(both.map(({ exited }) => exited))).toEqual([0, 0]);
      expect(
        readdirSync(directoryOf(`cpu:${name}`), { withFileTypes: true }).filter((it) => it.isDirectory()),
      ).toHaveLength(200);
    } finally {
      removeGroups(name);
    }
  });
});
