// The life of a bundle's container, command by command, as engines drive it.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";
import {
  cleanUp,
  leave,
  newBundle,
  newDirectory,
  newId,
  oci,
  remainsOf,
  runBundle,
  stateOf,
  states,
} from "./bundles.ts";

const live = testNeeding("root", "/bin/busybox");
afterAll(cleanUp);

const refusal = (text: string, command: string): string => `nsk oci ${command}: ${text}\n`;

describe("a container", () => {
  live("is created, started, and deleted, and nothing of it stays", async () => {
    const id = newId();
    const directory = newDirectory();
    const bundle = newBundle(`echo began >>/out/log; read line </out/go`, (config) => {
      config.mounts.push({ destination: "/out", type: "bind", source: directory, options: ["rbind"] });
      config.annotations = { "org.test": "yes" };
    });
    runCommand(["mkfifo", join(directory, "go")]);
    const pidFile = join(directory, "pid");
    expect(leave("create", "--bundle", bundle.directory, "--pid-file", pidFile, id)).toMatchObject({
      status: 0,
      stderr: "",
    });
    const created = stateOf(id);
    expect(created).toMatchObject({
      ociVersion: "1.2.0",
      id,
      status: "created",
      bundle: bundle.directory,
      rootfs: bundle.root,
      annotations: { "org.test": "yes" },
      owner: "root",
    });
    expect(readFileSync(pidFile, "utf8")).toBe(String(created.pid));
    expect(existsSync(join(directory, "log"))).toBe(false);
    expect(oci("start", id)).toMatchObject({ status: 0, stderr: "" });
    await until("it runs", () => existsSync(join(directory, "log")));
    expect(stateOf(id)).toMatchObject({ status: "running", pid: created.pid });
    expect(oci("start", id)).toMatchObject({
      status: 1,
      stderr: refusal("cannot start an already running container", "start"),
    });
    expect(oci("delete", id)).toMatchObject({
      status: 1,
      stderr: refusal(`cannot delete container ${id} that is not stopped: running`, "delete"),
    });
    writeFileSync(join(directory, "go"), "\n");
    await until("it has stopped", () => stateOf(id).status === "stopped");
    expect(stateOf(id).pid).toBe(0);
    expect(oci("kill", id)).toMatchObject({ status: 1, stderr: refusal("container not running", "kill") });
    expect(oci("delete", id)).toMatchObject({ status: 0, stderr: "" });
    expect(remainsOf(id)).toEqual([]);
    expect(oci("state", id)).toMatchObject({
      status: 1,
      stderr: refusal("container does not exist", "state"),
    });
  });

  live("has an id that no other has, and none that leads elsewhere", () => {
    const bundle = newBundle("sleep 60");
    const id = newId();
    expect(leave("create", "-b", bundle.directory, id).status).toBe(0);
    expect(leave("create", "-b", bundle.directory, id)).toMatchObject({
      status: 1,
      stderr: refusal("container with given ID already exists", "create"),
    });
    expect(stateOf(id).status).toBe("created");
    expect(oci("delete", id).status).toBe(0);
    expect(remainsOf(id)).toEqual([]);
    for (const bad of ["a/b", "..", "../x", "a b", "/etc", "x\ny"])
      for (const words of [
        ["create", "-b", bundle.directory],
        ["state"],
        ["start"],
        ["kill"],
        ["delete", "--force"],
      ])
        expect(oci(...words, bad)).toMatchObject({
          status: 1,
          stderr: refusal("invalid container ID format", words[0]!),
        });
  });

  live("is started once, by whoever comes first of many", async () => {
    const id = newId();
    const directory = newDirectory();
    const bundle = newBundle("echo x >>/out/log; sleep 60", (config) => {
      config.mounts.push({ destination: "/out", type: "bind", source: directory, options: ["rbind"] });
    });
    expect(leave("create", "-b", bundle.directory, id).status).toBe(0);
    const starts = Array.from({ length: 6 }, () =>
      Bun.spawn([nsk, "oci", "--root", states, "start", id], { stdout: "ignore", stderr: "ignore" }),
    );
    const statuses = await Promise.all(starts.map(({ exited }) => exited));
    expect(statuses.filter((status) => status === 0)).toHaveLength(1);
    await until("it runs", () => existsSync(join(directory, "log")));
    expect(readFileSync(join(directory, "log"), "utf8")).toBe("x\n");
    expect(oci("delete", "--force", id).status).toBe(0);
    expect(remainsOf(id)).toEqual([]);
  });

  live("ends as its program does, when run in the foreground", () => {
    expect(runBundle(newBundle("echo out; echo err >&2; exit 7"))).toMatchObject({
      status: 7,
      stdout: "out\n",
      stderr: "err\n",
    });
    // The first process of a namespace does not die of its own signals: its child does.
    expect(runBundle(newBundle("sh -c 'kill -9 $$'; exit $?")).status).toBe(137);
  });

  live("is made also where few descriptors are allowed", () => {
    const { directory } = newBundle("ulimit -n", (config) => delete config.process.rlimits);
    const words = [nsk, "oci", "--root", states, "run", "-b", directory, newId()];
    expect(runCommand(["sh", "-c", 'ulimit -n 48; exec "$@"', "sh", ...words])).toMatchObject({
      status: 0,
      stdout: "48\n",
    });
  });

  live("is gone when run comes back, so the next can have its id", () => {
    const bundle = newBundle("true");
    const id = newId();
    for (let i = 0; i < 3; i++)
      expect(oci("run", "-b", bundle.directory, id)).toMatchObject({ status: 0, stderr: "" });
    expect(remainsOf(id)).toEqual([]);
  });

  live("is listed", () => {
    const id = newId();
    expect(leave("create", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    expect(oci("list").stdout).toMatch(
      new RegExp(`^ID +PID +STATUS +BUNDLE +CREATED +OWNER\n[^]*${id} +\\d+ +created `),
    );
    expect(oci("list", "-q").stdout.split("\n")).toContain(id);
    expect(JSON.parse(oci("list", "-f", "json").stdout).map((it: { id: string }) => it.id)).toContain(id);
    oci("delete", id);
  });

  live("is paused and goes on", () => {
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    expect(oci("pause", id).status).toBe(0);
    expect(stateOf(id).status).toBe("paused");
    expect(oci("exec", id, "true")).toMatchObject({ status: 255 });
    expect(oci("resume", id).status).toBe(0);
    expect(stateOf(id).status).toBe("running");
    expect(oci("pause", id).status).toBe(0);
    // A frozen one is deleted all the same.
    expect(oci("delete", "-f", id).status).toBe(0);
    expect(remainsOf(id)).toEqual([]);
  });

  live("gets signals by name and number, alone or with all its processes", async () => {
    const id = newId();
    const script = "trap 'echo got; exit 5' USR1; echo ready; while true; do sleep 0.1; done";
    const directory = newDirectory();
    const bundle = newBundle(`{ ${script}; } >/out/log`, (config) => {
      config.mounts.push({ destination: "/out", type: "bind", source: directory, options: ["rbind"] });
    });
    const log = (): string =>
      existsSync(join(directory, "log")) ? readFileSync(join(directory, "log"), "utf8") : "";
    expect(leave("run", "-d", "-b", bundle.directory, id).status).toBe(0);
    await until("it is ready", () => log() === "ready\n");
    expect(oci("kill", id, "NONSENSE")).toMatchObject({
      status: 1,
      stderr: refusal('unknown signal "NONSENSE"', "kill"),
    });
    expect(oci("kill", id, "10").status).toBe(0);
    await until("it has got it", () => log() === "ready\ngot\n");
    await until("it has stopped", () => stateOf(id).status === "stopped");
    expect(oci("kill", "--all", id, "KILL").status).toBe(0);
    oci("delete", id);
  });
});

describe("a create that fails leaves nothing, and says why", () => {
  const rows: readonly (readonly [what: string, change: (config: any) => void, message: RegExp])[] = [
    [
      "a program that is not there",
      (config) => (config.process.args = ["/bin/nope"]),
      /exec: "\/bin\/nope": stat \/bin\/nope: no such file or directory/,
    ],
    [
      "a program that is in no directory of PATH",
      (config) => (config.process.args = ["nope"]),
      /exec: "nope": executable file not found in \$PATH/,
    ],
    [
      "a program that may not be run",
      (config) => (config.process.args = ["/etc"]) && (config.process.args = ["/proc/version"]),
      /exec: "\/proc\/version": permission denied/,
    ],
    [
      "a source that is not there",
      (config) => config.mounts.push({ destination: "/x", type: "bind", source: "/nope", options: ["bind"] }),
      /there is no \/nope/,
    ],
    [
      "a file system that the kernel has not",
      (config) => config.mounts.push({ destination: "/x", type: "nofs", source: "x" }),
      /mount \/x failed: No such device\nhint: the kernel has no file system nofs/,
    ],
    [
      "a namespace that is not there",
      (config) => (config.linux.namespaces[1] = { type: "network", path: "/nope" }),
      /enter the network namespace \/nope failed/,
    ],
    [
      "a namespace of another kind",
      (config) => (config.linux.namespaces[1] = { type: "network", path: "/proc/self/ns/uts" }),
      /enter the network namespace \/proc\/self\/ns\/uts failed: Invalid argument/,
    ],
    [
      "a profile that AppArmor is not there for",
      (config) => (config.process.apparmorProfile = "x"),
      /AppArmor is not enabled here/,
    ],
    [
      "a hook that fails",
      (config) =>
        (config.hooks = {
          createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", "echo it is so >&2; exit 3"] }],
        }),
      /error running createRuntime hook #0 \(\/bin\/sh\): exit status 3, stderr: it is so/,
    ],
    [
      "a hook in the container that fails",
      (config) =>
        (config.hooks = {
          createContainer: [{ path: "/bin/sh", args: ["sh", "-c", "echo so >&2; exit 3"] }],
        }),
      /error running createContainer hook #0 \(\/bin\/sh\): so/,
    ],
    [
      "a hook that is not there",
      (config) => (config.hooks = { prestart: [{ path: "/nope" }] }),
      /error running prestart hook #0 \(\/nope\): exit status 127/,
    ],
    [
      "a hook that takes too long",
      (config) => (config.hooks = { prestart: [{ path: "/bin/sleep", args: ["sleep", "30"], timeout: 1 }] }),
      /error running prestart hook #0 \(\/bin\/sleep\): it took longer than 1 seconds/,
    ],
    [
      "a hook in the container that takes too long",
      (config) =>
        (config.hooks = { createContainer: [{ path: "/bin/sleep", args: ["sleep", "30"], timeout: 1 }] }),
      /error running createContainer hook #0 \(\/bin\/sleep\)/,
    ],
    ["the root of all groups", (config) => (config.linux.cgroupsPath = "/"), /is the root of all groups/],
  ];
  for (const [what, change, message] of rows)
    live(what, () => {
      const id = newId();
      const { status, stderr } = leave("create", "-b", newBundle("true", change).directory, id);
      expect(stderr).toMatch(message);
      expect(status).toBe(1);
      expect(remainsOf(id)).toEqual([]);
    });

  live("a directory that is no bundle", () => {
    const directory = newDirectory();
    expect(leave("create", "-b", directory, newId())).toMatchObject({
      status: 1,
      stderr: `nsk oci create: JSON specification file ${directory}/config.json not found\nhint: --bundle names a directory with config.json in it; nsk oci spec makes one\n`,
    });
  });

  live("and the log has it, for the engine that reads it", () => {
    const log = join(newDirectory(), "log");
    const bundle = newBundle(["/bin/nope"]);
    const failing = (...format: string[]): void =>
      void runCommand([
        nsk,
        "oci",
        "--root",
        states,
        "--log",
        log,
        ...format,
        "create",
        "-b",
        bundle.directory,
        newId(),
      ]);
    failing("--log-format", "json");
    failing();
    const [json = "", text = ""] = readFileSync(log, "utf8").split("\n");
    const found = JSON.parse(json) as Record<string, string>;
    expect(found).toMatchObject({
      level: "error",
      msg: 'nsk oci create: exec: "/bin/nope": stat /bin/nope: no such file or directory',
    });
    expect(Date.parse(found.time!)).toBeGreaterThan(0);
    expect(text).toMatch(/^time="[^"]+" level=error msg="nsk oci create: exec: /);
  });
});

describe("whatever is killed", () => {
  live(
    "a container whose nsk was killed while it made it is no container, and its id can be had",
    async () => {
      const id = newId();
      const directory = newDirectory();
      const bundle = newBundle("true", (config) => {
        config.hooks = {
          createRuntime: [{ path: "/bin/sh", args: ["sh", "-c", `echo >${directory}/there; exec sleep 30`] }],
        };
      });
      const creating = Bun.spawn([nsk, "oci", "--root", states, "create", "-b", bundle.directory, id], {
        stdout: "ignore",
        stderr: "ignore",
      });
      await until("the hook runs", () => existsSync(join(directory, "there")));
      expect(stateOf(id).status).toBe("creating");
      creating.kill(9);
      await creating.exited;
      await until("it is stopped", () => stateOf(id).status === "stopped");
      expect(oci("start", id).status).toBe(1);
      const other = newBundle("true");
      expect(leave("create", "-b", other.directory, id)).toMatchObject({ status: 0, stderr: "" });
      expect(oci("delete", "--force", id).status).toBe(0);
      expect(remainsOf(id)).toEqual([]);
    },
  );

  live("at any moment, what is left can be deleted", async () => {
    const bundle = newBundle("sleep 60");
    const left: string[] = [];
    for (let milliseconds = 4; milliseconds < 100; milliseconds += 8) {
      const id = newId();
      left.push(id);
      const running = Bun.spawn([nsk, "oci", "--root", states, "run", "-b", bundle.directory, id], {
        stdout: "ignore",
        stderr: "ignore",
      });
      await Bun.sleep(milliseconds);
      running.kill(9);
      await running.exited;
    }
    for (const id of left) expect(oci("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
    expect(left.flatMap(remainsOf)).toEqual([]);
  });

  live("a process that has the number of a container's is not taken for it", () => {
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    const path = join(states, id, "state.json");
    const state = JSON.parse(readFileSync(path, "utf8"));
    const { first } = state;
    writeFileSync(path, JSON.stringify({ ...state, first: { pid: process.pid, started: "1" } }));
    expect(stateOf(id).status).toBe("stopped");
    expect(oci("kill", id, "KILL").status).toBe(1);
    writeFileSync(path, JSON.stringify({ ...state, first }));
    expect(oci("delete", "--force", id).status).toBe(0);
  });
});

test("systemd's groups are refused by name", () => {
  expect(runCommand([nsk, "oci", "--systemd-cgroup", "list"])).toMatchObject({ status: 1 });
  expect(runCommand([nsk, "oci", "--systemd-cgroup", "list"]).stderr).toStartWith(
    "nsk oci list: --systemd-cgroup: ",
  );
});
