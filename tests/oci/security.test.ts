// Ways in which runtimes have been led astray while they put a container together, each tried on a bundle.

import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { NO_LIMITS } from "../../src/cgroups/limits.ts";
import type { Config } from "../../src/containers/config.ts";
import { planCreate } from "../../src/containers/oci/plan.ts";
import { specConfig } from "../../src/containers/oci/spec.ts";
import { parseConfig } from "../../src/containers/parse-config.ts";
import { explain } from "../../src/backends/explain.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { testNeeding } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";
import {
  cleanUp,
  newBundle,
  newDirectory,
  newRoot,
  runBundle,
  leave,
  newId,
  oci,
  stateOf,
} from "./bundles.ts";

const live = testNeeding("root", "/bin/busybox");
afterAll(cleanUp);

/** A bundle whose root has a link at a place. */
const rootWithLink = (path: string, target: string): string => {
  const root = newRoot();
  rmSync(join(root, path), { recursive: true, force: true });
  symlinkSync(target, join(root, path));
  return root;
};

const tmpfs = (destination: string): object => ({ destination, type: "tmpfs", source: "tmpfs" });

describe("a link in the root", () => {
  live("in the place of /proc or /sys is refused (CVE-2019-19921, CVE-2023-27561)", () => {
    for (const [path, target] of [
      ["proc", "/tmp"],
      ["sys", "tmp"],
      ["proc", "/proc/self/root/proc"],
    ] as const) {
      const { status, stderr } = runBundle(newBundle("true", () => {}, rootWithLink(path, target)));
      expect(status).toBe(1);
      expect(stderr).toBe(
        `nsk oci run: mount /${path} failed: Too many levels of symbolic links\nhint: /${path} of the root must be a directory, and no link\n`,
      );
    }
  });

  live("leads a mount nowhere but inside the root, and what is made is made there", () => {
    const outside = newDirectory();
    const root = newRoot();
    symlinkSync(outside, join(root, "away"));
    symlinkSync("../../../../../../..", join(root, "up"));
    const { status, stderr } = runBundle(
      newBundle(
        "true",
        (config) => config.mounts.push(tmpfs("/away/made"), tmpfs("/up/made-by-nsk-test")),
        root,
      ),
    );
    // The first is a link to a path that is not there inside.
    expect(status).toBe(1);
    expect(stderr).toContain("mount /away/made failed");
    expect(readdirSync(outside)).toEqual([]);
    expect(
      runBundle(
        newBundle(
          "ls -d /made-by-nsk-test",
          (config) => config.mounts.push(tmpfs("/up/made-by-nsk-test")),
          root,
        ),
      ).stdout,
    ).toBe("/made-by-nsk-test\n");
    expect(existsSync("/made-by-nsk-test")).toBe(false);
  });

  live("leads no mount into /proc, where it would take the place of what protects (CVE-2021-30465)", () => {
    const root = newRoot();
    symlinkSync("/proc/sys", join(root, "data"));
    symlinkSync("/proc", join(root, "all"));
    const volume = newDirectory();
    for (const destination of ["/data", "/data/kernel", "/all/tty"]) {
      const bind = { destination, type: "bind", source: volume, options: ["rbind"] };
      for (const mount of [bind, tmpfs(destination)]) {
        const { status, stderr } = runBundle(newBundle("true", (config) => config.mounts.push(mount), root));
        expect([destination, status]).toEqual([destination, 1]);
        expect(stderr).toContain(
          `mount ${destination} failed: Operation not permitted\nhint: ${destination} leads into a proc by a link`,
        );
      }
    }
  });

  live("of /proc/PID leads no mount out, also where the host's processes are seen", () => {
    const outside = newDirectory();
    const root = newRoot();
    symlinkSync(`/proc/${process.pid}/root${outside}`, join(root, "data"));
    symlinkSync("/proc/self/fd/3", join(root, "fd"));
    for (const destination of ["/data/made", "/fd/made"]) {
      const { status, stderr } = runBundle(
        newBundle(
          "true",
          (config) => {
            config.linux.namespaces = config.linux.namespaces.filter(
              ({ type }: { type: string }) => type !== "pid",
            );
            config.mounts.push(tmpfs(destination));
          },
          root,
        ),
      );
      expect(status).toBe(1);
      expect(stderr).toContain(`mount ${destination} failed: Too many levels of symbolic links`);
    }
    expect(readdirSync(outside)).toEqual([]);
  });

  live("leads the working directory nowhere (CVE-2024-21626)", () => {
    for (const cwd of ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/root", "/proc/self/cwd"]) {
      const { status, stdout } = runBundle(newBundle("pwd; ls", (config) => (config.process.cwd = cwd)));
      expect([cwd, status, stdout]).toEqual([cwd, 1, ""]);
    }
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    for (const cwd of ["/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/cwd"])
      expect(oci("exec", "--cwd", cwd, id, "pwd")).toMatchObject({ status: 255, stdout: "" });
    oci("delete", "-f", id);
  });
});

describe("a link that is exchanged while the container is put together (CVE-2021-30465)", () => {
  live("leads a mount neither out nor into /proc", async () => {
    const outside = newDirectory();
    const volume = newDirectory();
    mkdirSync(join(volume, "place"));
    // A directory and a link change places as fast as can be, as another container that has the volume could have it.
    const script = `cd ${volume}; ln -s /proc/sys link; while :; do mv -T place keep; mv -T link place; mv -T place link; mv -T keep place; done`;
    const exchanging = Bun.spawn(["sh", "-c", script], { stdout: "ignore", stderr: "ignore" });
    try {
      const ends = new Set<string>();
      for (let i = 0; i < 25; i++) {
        const { stdout, stderr, status } = runBundle(
          newBundle("grep -c ' /proc/sys.* tmpfs ' /proc/self/mountinfo", (config) => {
            config.linux.readonlyPaths = [];
            config.mounts.push(
              { destination: "/vol", type: "bind", source: volume, options: ["rbind"] },
              tmpfs("/vol/place"),
            );
          }),
        );
        // It is mounted on the directory, or the link is found and refused.
        if (stdout !== "") expect(stdout).toBe("0\n");
        else expect(stderr).toMatch(/mount \/vol\/place failed: |find|No such/);
        ends.add(`${status}`);
      }
      expect(readdirSync(outside)).toEqual([]);
    } finally {
      exchanging.kill();
      await exchanging.exited;
    }
  });
});

describe("what takes the place of a masked file is the null device", () => {
  live("and nothing else that the image has under its name (CVE-2025-31133)", () => {
    const root = newRoot();
    writeFileSync(join(root, "dev/null"), "not null");
    const change = (config: { mounts: { destination: string }[] }): void => {
      config.mounts = config.mounts.filter(({ destination }) => !destination.startsWith("/dev"));
    };
    expect(runBundle(newBundle("true", change, root))).toMatchObject({
      status: 1,
      stderr:
        "nsk oci run: use /dev/null failed: No such device or address\nhint: /dev/null of the container is something else, and would not mask\n",
    });
    const linked = newRoot();
    symlinkSync("/proc/sys/kernel/core_pattern", join(linked, "dev/null"));
    expect(runBundle(newBundle("true", change, linked)).stderr).toContain(
      "use /dev/null failed: Too many levels of symbolic links",
    );
  });
});

describe("/dev/console", () => {
  testNeeding(
    "root",
    "/bin/busybox",
    "script",
  )("is the terminal, whatever the image has there (CVE-2025-52565)", () => {
    const root = newRoot();
    symlinkSync("/proc/sysrq-trigger", join(root, "dev/console"));
    const bundle = newBundle(
      "true",
      (config) => {
        config.process.terminal = true;
        config.mounts = config.mounts.filter(
          ({ destination }: { destination: string }) => destination !== "/dev",
        );
        mkdirSync(join(root, "dev/pts"), { recursive: true });
        mkdirSync(join(root, "dev/shm"), { recursive: true });
        mkdirSync(join(root, "dev/mqueue"), { recursive: true });
      },
      root,
    );
    const nsk = process.env.NSK_BINARY ?? join(import.meta.dir, "../../dist/nsk");
    const ran = runCommand([
      "script",
      "-qec",
      `${nsk} oci run -b ${bundle.directory} ${newId()}`,
      "/dev/null",
    ]);
    expect(ran.stdout).toContain("make /dev/console failed: Too many levels of symbolic links");
  });
});

describe("files of /proc are written", () => {
  test("while /proc is the host's, and before the container's root is the root (CVE-2025-52881)", () => {
    const config = structuredClone(specConfig(undefined)) as any;
    config.process.terminal = false;
    config.process.oomScoreAdj = 5;
    config.linux.sysctl = { "net.ipv4.ip_forward": "1" };
    config.process.apparmorProfile = "some";
    const host = fixtureHost({
      files: {
        "/sys/module/apparmor/parameters/enabled": "Y\n",
        "/bundle/rootfs/": "",
        "/proc/self/mountinfo": "",
        "/proc/self/uid_map": "0 0 4294967295\n",
      },
    });
    const parsed: Config = parseConfig(JSON.stringify(config), host);
    const plan = planCreate(
      "nsk oci create",
      {
        id: "x",
        config: parsed,
        filter: undefined,
        limits: NO_LIMITS,
        bundle: "/bundle",
        directory: "/states/x",
        preserved: 0,
        keepsKeyring: false,
        noPivot: false,
      },
      host,
    );
    const lines = explain(plan).split("\n");
    const root = lines.findIndex((line) => line.includes("pivot_root"));
    const writes = lines.flatMap((line, i) => (/openat\(.*"\/proc\/[^"]*".*O_WRONLY/.test(line) ? [i] : []));
    expect(writes).toHaveLength(3);
    expect(Math.max(...writes)).toBeLessThan(root);
  });
});

describe("what is left of nsk in a container", () => {
  live("is no file of nsk's that could be written (CVE-2019-5736)", () => {
    const id = newId();
    expect(leave("create", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    const { pid } = stateOf(id);
    // Before its start it is a sealed file without a name.
    expect(runCommand(["readlink", `/proc/${pid}/exe`]).stdout).toMatch(/^\/memfd:nsk|deleted/);
    // Joined by exec, a process that waits for the start shows nothing that leads out.
    const { stdout } = oci(
      "exec",
      id,
      "sh",
      "-c",
      "for f in /proc/1/fd/*; do readlink $f; done; ls -d /proc/1/cwd/bin /proc/1/root/bin",
    );
    expect(
      stdout
        .split("\n")
        .filter(
          (line) =>
            line.startsWith("/") &&
            !/^\/(?:dev\/null|states|run\/nsk-test|tmp\/nsk-oci-[^/]*\/stderr|proc\/1|start\.fifo|memfd)/.test(
              line,
            ),
        ),
    ).toEqual([]);
    oci("delete", "-f", id);
  });

  live("are no descriptors but those that were asked for", () => {
    const bundle = newBundle("ls /proc/self/fd | wc -l; cat <&4");
    const nsk = process.env.NSK_BINARY ?? join(import.meta.dir, "../../dist/nsk");
    const file = join(newDirectory(), "four");
    writeFileSync(file, "four");
    const run = (...options: string[]) =>
      runCommand([
        "sh",
        "-c",
        `exec 3</dev/null 4<${file} 5</etc/passwd; exec "$@"`,
        "sh",
        nsk,
        "oci",
        "run",
        ...options,
        "-b",
        bundle.directory,
        newId(),
      ]);
    expect(run("--preserve-fds", "2").stdout).toBe("6\nfour");
    expect(run().stdout).toBe("4\n");
    expect(statSync(file).size).toBe(4);
    expect(readFileSync(file, "utf8")).toBe("four");
  });
});
