// States of bundles' containers that are not nsk's own: written by somebody else, broken, or left at the same moment to
// several who want their id.

import { afterAll, describe, expect } from "bun:test";
import { chmodSync, chownSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";
import {
  cleanUp,
  ids,
  leave,
  newBundle,
  newDirectory,
  newId,
  oci,
  remainsOf,
  stateOf,
  states,
} from "./bundles.ts";

const live = testNeeding("root");
afterAll(cleanUp);

const whole = (id: string) => ({
  id,
  bundle: "/",
  rootfs: "/",
  created: "2026-01-31T10:00:00Z",
  owner: "root",
  annotations: {},
  groups: [],
  hooks: {},
});

const write = (root: string, id: string, state: unknown): void => {
  mkdirSync(join(root, id), { recursive: true, mode: 0o711 });
  writeFileSync(join(root, id, "state.json"), typeof state === "string" ? state : JSON.stringify(state));
};

describe("states that somebody else can write", () => {
  const expectRefused = (root: string, words: readonly string[], env: Record<string, string> = {}): void => {
    const ran = runCommand([...words], env);
    expect(ran.stderr).toStartWith(`nsk oci delete: ${root} is not this user's alone`);
    expect(ran.status).toBe(1);
  };
  const bait = (root: string): string => {
    const proof = join(root, "proof");
    const hook = { path: "/bin/sh", args: ["sh", "-c", `echo >${proof}`] };
    write(root, "bait", { ...whole("bait"), hooks: { poststop: [hook] } });
    return proof;
  };
  live("are not believed by root, whose hooks they would name", () => {
    const root = newDirectory();
    const proof = bait(root);
    const link = join(newDirectory(), "link");
    symlinkSync(root, link);
    chownSync(root, 65_534, 65_534);
    for (const path of [root, link]) expectRefused(path, [nsk, "oci", "--root", path, "delete", "bait"]);
    chownSync(root, 0, 0);
    chmodSync(root, 0o777);
    expectRefused(root, [nsk, "oci", "--root", root, "delete", "bait"]);
    expect(existsSync(proof)).toBe(false);
    chmodSync(root, 0o711);
    expect(oci("list").status).toBe(0);
    expect(runCommand([nsk, "oci", "--root", root, "delete", "bait"])).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(existsSync(proof)).toBe(true);
  });
});

describe("a state that is not whole", () => {
  live("keeps nobody from listing the others, and is removed by force", () => {
    for (const [id, state] of [
      [newId(), "{"],
      [newId(), { id: ids.at(-1), groups: [] }],
      [newId(), ""],
    ] as const) {
      write(states, id, state);
      expect(oci("list")).toMatchObject({ status: 0, stderr: "" });
      expect(oci("state", id).stderr).toBe("nsk oci state: container does not exist\n");
      expect(oci("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
      expect(existsSync(join(states, id))).toBe(false);
    }
  });
  live("leads to no other directory by its id", () => {
    const id = newId();
    const other = newDirectory();
    write(states, id, whole(`..${"/..".repeat(8)}${other}`));
    expect(oci("list").stdout).not.toContain(other);
    expect(oci("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
    expect(existsSync(other)).toBe(true);
  });
});

live("of several that want the id of a creator that was killed one gets it", async () => {
  const bundle = newBundle(["/bin/sleep", "100"]);
  for (let round = 0; round < 4; round++) {
    const id = newId();
    write(states, id, { ...whole(id), creator: { pid: 1, started: "0" } });
    const all = await Promise.all(
      Array.from({ length: 4 }, async () => {
        const child = Bun.spawn([nsk, "oci", "--root", states, "create", "--bundle", bundle.directory, id], {
          stdio: ["ignore", "ignore", "ignore"],
        });
        return child.exited;
      }),
    );
    expect(all.filter((status) => status === 0)).toHaveLength(1);
    expect(stateOf(id).status).toBe("created");
    expect(oci("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
    expect(remainsOf(id)).toEqual([]);
  }
});

live("an id whose creator was killed before there was a state can be had", async () => {
  const id = newId();
  mkdirSync(join(states, id), { recursive: true, mode: 0o711 });
  const bundle = newBundle(["/bin/sleep", "100"]);
  expect(leave("create", "--bundle", bundle.directory, id)).toMatchObject({ status: 0, stderr: "" });
  expect(oci("create", "--bundle", bundle.directory, id).stderr).toBe(
    "nsk oci create: container with given ID already exists\n",
  );
  expect(stateOf(id).status).toBe("created");
  expect(oci("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
  expect(remainsOf(id)).toEqual([]);
});

describe("a root whose accounts are", () => {
  for (const [what, make] of [
    ["a named pipe", (path: string) => void runCommand(["mkfifo", path])],
    ["a file without an end", (path: string) => symlinkSync("/dev/zero", path)],
    ["a device", (path: string) => void runCommand(["mknod", path, "c", "1", "5"])],
  ] as const)
    live(`${what} keeps nobody waiting`, () => {
      const { directory, root } = newBundle(["/bin/sh", "-c", "echo $HOME"], (config) => {
        config.process.env = ["PATH=/bin"];
      });
      for (const name of ["passwd", "group"]) make(join(root, "etc", name));
      const run = (...words: string[]) => runCommand(["timeout", "10", nsk, ...words]);
      expect(run("oci", "--root", states, "run", "--bundle", directory, newId())).toMatchObject({
        status: 0,
        stdout: "/\n",
      });
      expect(run("run", "--rootfs", root, "true").status).toBe(0);
      expect(run("run", "--rootfs", root, "-u", "bob", "true").stderr).toContain("unable to find user bob");
      expect(run("run", "--rootfs", root, "--group-add", "adm", "true").stderr).toContain(
        "unable to find group adm",
      );
    });
  live("a link leads to a file of its own, and to none of the host's", () => {
    const { root } = newBundle(["/bin/true"]);
    symlinkSync("/usr/passwd", join(root, "etc/passwd"));
    mkdirSync(join(root, "usr"));
    writeFileSync(join(root, "usr/passwd"), "bob:x:7:8::/:/bin/sh\n");
    expect(runCommand([nsk, "run", "--rootfs", root, "-u", "bob", "id", "-u"]).stdout).toBe("7\n");
    const host = newBundle(["/bin/true"]).root;
    symlinkSync(`${"../".repeat(12)}etc/passwd`, join(host, "etc/passwd"));
    expect(runCommand([nsk, "run", "--rootfs", host, "-u", "daemon", "true"]).stderr).toContain(
      "unable to find user daemon",
    );
  });
});

live("a paused container is ended by SIGKILL", async () => {
  const id = newId();
  const bundle = newBundle(["/bin/sleep", "100"]);
  expect(leave("run", "--detach", "--bundle", bundle.directory, id).status).toBe(0);
  expect(oci("pause", id)).toMatchObject({ status: 0, stderr: "" });
  expect(oci("kill", id, "KILL")).toMatchObject({ status: 0, stderr: "" });
  await until("it has stopped", () => stateOf(id).status === "stopped");
  expect(oci("delete", id)).toMatchObject({ status: 0, stderr: "" });
});

live("a program's words are shown as what they are", () => {
  const id = newId();
  const bundle = newBundle(["/bin/sh", "-c", "exec sleep 100; : '\u001b[31m\nroot'"]);
  expect(leave("run", "--detach", "--bundle", bundle.directory, id).status).toBe(0);
  expect(leave("exec", "--detach", id, "/bin/sh", "-c", "sleep 99; : '\u001b[31m\n1 root'").status).toBe(0);
  const { stdout } = oci("ps", id);
  expect(stdout).toContain("\\x1b[31m\\x0a1 root");
  expect(stdout).not.toContain("\u001b");
  expect(oci("delete", "--force", id).status).toBe(0);
});
