// podman with nsk as its runtime: `podman --runtime nsk-oci`, on storage of its own.

import { afterAll, describe, expect } from "bun:test";
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";
import { cleanUp, newRoot } from "./bundles.ts";

const live = testNeeding("root", "/bin/busybox", "podman", "conmon");
const scratch = mkdtempSync(join(tmpdir(), "nsk-podman-"));
const runtime = join(scratch, "nsk-oci");
symlinkSync(nsk, runtime);

const podman = (...words: readonly string[]): Ran =>
  runCommand([
    "timeout",
    "50",
    "podman",
    ...["--root", join(scratch, "root"), "--runroot", join(scratch, "run"), "--storage-driver", "vfs"],
    ...["--cgroup-manager", "cgroupfs", "--events-backend", "file", "--runtime", runtime],
    ...words,
  ]);

/** What podman would raise above what a machine without CAP_SYS_RESOURCE allows. */
const LIMITS = ["--ulimit", "nofile=1000:1000", "--ulimit", "nproc=1000:1000"];
/** Where podman puts its groups: it leaves the one above them. */
const PARENT = `nsk-podman-${process.pid}`;
const run = (...words: readonly string[]): Ran =>
  podman("run", ...LIMITS, "--network", "none", "--cgroup-parent", `/${PARENT}`, ...words);

let isThere = false;
/** An image of busybox alone. */
const image = (): string => {
  if (!isThere) {
    const root = newRoot();
    runCommand(["sh", "-c", `tar -C ${root} -cf ${scratch}/image.tar .`]);
    expect(podman("import", "-q", join(scratch, "image.tar"), "box").status).toBe(0);
    isThere = true;
  }
  return "box";
};

afterAll(() => {
  if (isThere) podman("rm", "--all", "--force", "--time", "0");
  podman("rmi", "--all", "--force");
  runCommand(["find", "/sys/fs/cgroup", "-depth", "-type", "d", "-path", `*/${PARENT}*`, "-delete"]);
  cleanUp();
  rmSync(scratch, { recursive: true, force: true });
});

describe("podman", () => {
  live(
    "runs a container, and ends as its program does",
    () => {
      expect(
        run("--rm", image(), "sh", "-c", "id -u; grep Seccomp: /proc/self/status; exit 3"),
      ).toMatchObject({
        status: 3,
        stdout: "0\nSeccomp:\t2\n",
      });
    },
    60_000,
  );

  live(
    "tells what is not there by its own statuses",
    () => {
      const missing = run("--rm", image(), "/bin/nope");
      expect(missing.status).toBe(127);
      expect(missing.stderr).toContain("no such file or directory");
      expect(run("--rm", image(), "/etc").status).toBe(126);
    },
    60_000,
  );

  live(
    "has volumes, users, limits, a read-only root, and a memory limit",
    () => {
      const ran = run(
        ...[
          "--rm",
          "-v",
          `${scratch}:/data:ro`,
          "--user",
          "5:6",
          "--read-only",
          "--memory",
          "32m",
          "--pids-limit",
          "30",
        ],
        ...[
          "--cap-drop",
          "all",
          "--hostname",
          "here",
          "--tmpfs",
          "/scratch",
          "--workdir",
          "/scratch",
          image(),
        ],
        ...[
          "sh",
          "-c",
          "id -u; pwd; hostname; touch /data/x || echo ro; touch /x || echo ro; grep CapBnd /proc/self/status",
        ],
      );
      expect(ran.stdout).toBe("5\n/scratch\nhere\nro\nro\nCapBnd:\t0000000000000000\n");
    },
    60_000,
  );

  live(
    "starts, joins, stops and removes a container in the background",
    () => {
      const name = `box-${process.pid}`;
      expect(
        run("-d", "--name", name, image(), "sh", "-c", "trap 'exit 5' TERM; while true; do sleep 0.1; done")
          .status,
      ).toBe(0);
      expect(podman("exec", name, "sh", "-c", "hostname >/dev/null; exit 6").status).toBe(6);
      expect(podman("exec", "--user", "7", name, "id", "-u").stdout).toBe("7\n");
      expect(podman("pause", name).status).toBe(0);
      expect(podman("unpause", name).status).toBe(0);
      expect(podman("stop", "--time", "10", name).status).toBe(0);
      expect(
        podman("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.OCIRuntime}}", name).stdout,
      ).toBe(`exited 5 ${runtime}\n`);
      expect(podman("rm", name).status).toBe(0);
    },
    60_000,
  );
});
