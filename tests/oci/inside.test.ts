// What a bundle's program finds inside: beside runc on the same bundles, and what nsk has besides.

import { afterAll, describe, expect } from "bun:test";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { until } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { type Ran, runCommand } from "../support/nsk.ts";
import {
  type Change,
  cleanUp,
  leave,
  newBundle,
  newDirectory,
  newId,
  newRoot,
  oci,
  runBundle,
  stateOf,
} from "./bundles.ts";

const live = testNeeding("root", "/bin/busybox");
const beside = testNeeding("root", "/bin/busybox", "runc");
afterAll(cleanUp);

/** Prints what a process is and sees, line by line. */
const LOOK = `id; hostname; umask; pwd; env | sort
  grep -E '^(Cap|NoNew|Groups|Uid|Gid|Seccomp:)' /proc/self/status
  cat /proc/self/limits /proc/self/oom_score_adj /proc/self/personality
  cut -d' ' -f4- /proc/self/mountinfo | grep -v ' /sys/fs/cgroup' | sort
  ls -ln /dev /dev/pts /dev/shm | tr -s ' ' | cut -d' ' -f1-6,10-
  for f in net/ipv4/ip_forward kernel/msgmax fs/mqueue/msg_max; do cat /proc/sys/$f; done
  grep -v : /proc/self/net/dev; ls -ld / /sys /dev | cut -d' ' -f1
  cat /proc/self/loginuid; ls /proc/self/fd | wc -l; readlink /proc/self/fd/3; touch /new && echo writable`;

/** Differences that are meant, the same on both sides afterwards. */
const levelled = ({ stdout, status }: Ran): string =>
  `${stdout}${status}`
    // The numbers of groups of mounts are the kernel's.
    .replace(/(shared|master):\d+/g, "$1")
    // An empty read-only directory: nsk says how large it may be.
    .replace(/tmpfs ro(?:,size=0k,mode=755)?(?:,inode64)?$/gm, "tmpfs ro")
    // The times of nodes.
    .replace(/ (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \\d+ .*$/gm, "");

describe("beside runc a program sees the same with", () => {
  const directory = newDirectory();
  mkdirSync(join(directory, "below"));
  const rows: readonly (readonly [what: string, change: Change])[] = [
    ["spec's config", () => {}],
    ["a read-only root", (config) => (config.root.readonly = true)],
    [
      "a user, groups, a umask, and a capability to hand on",
      ({ process }) => {
        process.user = { uid: 1000, gid: 1001, additionalGids: [5, 7], umask: 0o27 };
        process.capabilities.inheritable = process.capabilities.ambient = ["CAP_KILL"];
        process.cwd = "/made/here";
      },
    ],
    [
      "a user that may gain privileges",
      ({ process }) => {
        process.user = { uid: 1000, gid: 1000 };
        process.noNewPrivileges = false;
      },
    ],
    ["no capabilities", ({ process }) => delete process.capabilities],
    [
      "limits, settings and names",
      (config) => {
        config.process.rlimits = [
          { type: "RLIMIT_NOFILE", soft: 100, hard: 200 },
          { type: "RLIMIT_CORE", soft: 0, hard: 0 },
        ];
        config.process.oomScoreAdj = 77;
        config.hostname = "elsewhere";
        config.linux.sysctl = { "net.ipv4.ip_forward": "1", "kernel.msgmax": "9000" };
      },
    ],
    [
      "binds and file systems with options",
      (config) => {
        const bind = (destination: string, ...options: string[]) => ({
          destination,
          type: "bind",
          source: directory,
          options,
        });
        config.mounts.push(
          bind("/v1", "rbind", "ro", "nosuid"),
          bind("/v2/deep", "bind", "noexec", "rprivate"),
          bind("/v3", "rbind", "rro", "noatime"),
          bind("/v4", "rbind", "rslave", "nodev", "nodiratime"),
          {
            destination: "/v5",
            type: "tmpfs",
            source: "tmpfs",
            options: ["nodev", "size=1m", "mode=700", "private"],
          },
          { destination: "/dev/null2", type: "bind", source: "/dev/null", options: ["bind"] },
        );
      },
    ],
    ...["slave", "private", "rprivate"].map(
      (how) =>
        [
          `mounts that are passed on (${how})`,
          (config: any) => {
            config.linux.rootfsPropagation = how;
            const options = ["rbind", "rshared"];
            config.mounts.push({ destination: "/v1", type: "bind", source: directory, options });
          },
        ] as const,
    ),
    [
      "the host's network, processes and names",
      (config) => {
        config.linux.namespaces = [{ type: "mount" }, { type: "ipc" }];
        delete config.hostname;
        config.mounts = config.mounts.filter(
          ({ destination }: { destination: string }) => destination !== "/sys/fs/cgroup",
        );
      },
    ],
    [
      "a filter on system calls",
      (config) => {
        config.linux.seccomp = {
          defaultAction: "SCMP_ACT_ALLOW",
          architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
          syscalls: [{ names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 28 }],
        };
      },
    ],
    [
      "masked and read-only paths of its own",
      (config) => {
        config.linux.maskedPaths.push("/etc/secret", "/hidden", "/none");
        config.linux.readonlyPaths.push("/etc");
        config.process.args[2] += "; ls -l /etc/secret | cut -d' ' -f1; ls /hidden; touch /etc/x || echo no";
      },
    ],
    [
      "devices of its own",
      (config) => {
        config.linux.devices = [
          { path: "/dev/kmsg2", type: "c", major: 1, minor: 11, fileMode: 0o600, uid: 3, gid: 4 },
          { path: "/dev/sub/pipe", type: "p" },
        ];
        config.linux.resources.devices.push({ allow: true, type: "c", major: 1, minor: 11, access: "r" });
        config.process.args[2] +=
          "; ls -ln /dev/sub | tr -s ' ' | cut -d' ' -f1-4; head -c 0 /dev/kmsg2 && echo opened";
      },
    ],
  ];
  for (const [what, change] of rows)
    beside(what, () => {
      const look = (): ReturnType<typeof newBundle> => {
        const root = newRoot();
        mkdirSync(join(root, "hidden/inner"), { recursive: true });
        writeFileSync(join(root, "etc/secret"), "secret");
        writeFileSync(
          join(root, "etc/passwd"),
          "root:x:0:0::/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n",
        );
        return newBundle(LOOK, change, root);
      };
      const [one, other] = [look(), look()];
      const same = (ran: Ran, { root }: { root: string }): string => levelled(ran).replaceAll(root, "ROOT");
      const theirs = runCommand(["runc", "run", "--bundle", one.directory, newId()]);
      const ours = runBundle(other);
      expect(same(ours, other)).toBe(same(theirs, one));
      expect(ours.stderr.replaceAll(other.root, "ROOT")).toBe(theirs.stderr.replaceAll(one.root, "ROOT"));
    });
});

describe("a program is in", () => {
  live("a user namespace, with its own ids on what it makes", () => {
    const map = [{ containerID: 0, hostID: 100_000, size: 65_536 }];
    const directory = newDirectory();
    chmodSync(directory, 0o777);
    const bundle = newBundle(
      "id -u; cat /proc/self/uid_map; touch /out/file; echo x >/dev/null && ls /proc/1/ns >/dev/null && echo ok",
      (config) => {
        config.linux.namespaces.push({ type: "user" });
        config.linux.uidMappings = config.linux.gidMappings = map;
        config.mounts.push({ destination: "/out", type: "bind", source: directory, options: ["rbind"] });
      },
    );
    // Who is root inside may make nothing in a root that is root's outside.
    mkdirSync(join(bundle.root, "out"));
    runCommand(["chmod", "755", join(bundle.directory, "..")]);
    const { stdout, stderr, status } = runBundle(bundle);
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout.replace(/ +/g, " ")).toBe("0\n 0 100000 65536\nok\n");
    expect(runCommand(["stat", "-c", "%u:%g", join(directory, "file")]).stdout).toBe("100000:100000\n");
  });

  live("a time namespace whose clocks are ahead", () => {
    const ran = runBundle(
      newBundle("cut -d. -f1 /proc/uptime", (config) => {
        config.linux.namespaces.push({ type: "time" });
        config.linux.timeOffsets = { boottime: { secs: 10_000_000 } };
      }),
    );
    expect(Number(ran.stdout)).toBeGreaterThan(10_000_000);
  });

  live("namespaces that are there, by their paths", async () => {
    const id = newId();
    expect(
      leave(
        "run",
        "-d",
        "-b",
        newBundle("hostname theirs; sleep 60", (config) => (config.process.capabilities = undefined))
          .directory,
        id,
      ).status,
    ).toBe(0);
    const { pid } = stateOf(id);
    const kinds = { network: "net", ipc: "ipc", uts: "uts", pid: "pid" };
    const ran = runBundle(
      newBundle("for n in net ipc uts pid; do readlink /proc/self/ns/$n; done", (config) => {
        delete config.hostname;
        config.linux.namespaces = [
          { type: "mount" },
          ...Object.entries(kinds).map(([type, file]) => ({ type, path: `/proc/${pid}/ns/${file}` })),
        ];
        config.mounts = config.mounts.filter(({ type }: { type: string }) => type !== "cgroup");
      }),
    );
    expect(ran.stdout.trim().split("\n")).toEqual(
      Object.values(kinds).map((file) => runCommand(["readlink", `/proc/${pid}/ns/${file}`]).stdout.trim()),
    );
    oci("delete", "--force", id);
  });

  live("idmapped mounts, where owners are others than on the disk", () => {
    const directory = newDirectory();
    writeFileSync(join(directory, "file"), "");
    runCommand(["chown", "-R", "1000:1000", directory]);
    const ran = runBundle(
      newBundle("stat -c %u:%g /data/file; touch /data/new", (config) => {
        const map = [{ containerID: 1000, hostID: 0, size: 1 }];
        const options = ["rbind", "idmap"];
        config.mounts.push({
          destination: "/data",
          type: "bind",
          source: directory,
          options,
          uidMappings: map,
          gidMappings: map,
        });
      }),
    );
    expect(ran).toMatchObject({ status: 0, stdout: "0:0\n", stderr: "" });
    expect(runCommand(["stat", "-c", "%u:%g", join(directory, "new")]).stdout).toBe("1000:1000\n");
  });

  live("mounts that others see, when it is to be so", () => {
    const shared = (how: string): string[] =>
      runBundle(
        newBundle(
          "grep -E '^([^ ]+ ){4}(/|/dev) ' /proc/self/mountinfo",
          (config) => (config.linux.rootfsPropagation = how),
        ),
      )
        .stdout.trim()
        .split("\n")
        .map((line) => /shared|master|unbindable/.exec(line)?.[0] ?? "private");
    expect(shared("shared")).toEqual(["shared", "private"]);
    expect(shared("rshared")).toEqual(["shared", "shared"]);
    expect(shared("unbindable")).toEqual(["unbindable", "private"]);
    expect(readFileSync("/proc/self/mountinfo", "utf8")).not.toContain("/nsk-oci-");
  });

  live("a tmpfs over what the image has there (tmpcopyup)", () => {
    const root = newRoot();
    mkdirSync(join(root, "full/inner"), { recursive: true });
    writeFileSync(join(root, "full/inner/file"), "image\n");
    const copied = (destination: string) => ({
      destination,
      type: "tmpfs",
      source: "tmpfs",
      options: ["tmpcopyup", "nodev", "size=1m"],
    });
    const script =
      "cat /full/inner/file; echo more >>/full/inner/file; cat /full/inner/file; ls /full /none; dd if=/dev/zero of=/full/big bs=1M count=2 2>&1 | head -1";
    const ran = runBundle(
      newBundle(script, (config) => config.mounts.push(copied("/full"), copied("/none")), root),
    );
    expect(ran.stdout).toBe(
      "image\nimage\nmore\n/full:\ninner\n\n/none:\ndd: error writing '/full/big': No space left on device\n",
    );
    expect(readFileSync(join(root, "full/inner/file"), "utf8")).toBe("image\n");
  });

  live("control groups of its own, with the limits of the config", () => {
    const id = newId();
    const path = `/${id}/deep`;
    const bundle = newBundle("sleep 60", ({ linux }) => {
      linux.cgroupsPath = path;
      linux.resources = {
        memory: { limit: 64 << 20, reservation: 32 << 20 },
        cpu: { shares: 512, quota: 25_000, period: 50_000 },
        pids: { limit: 20 },
        devices: [{ allow: false, access: "rwm" }],
      };
    });
    expect(leave("run", "-d", "-b", bundle.directory, id)).toMatchObject({ status: 0, stderr: "" });
    const groups = readFileSync(`/proc/${stateOf(id).pid}/cgroup`, "utf8");
    expect(
      groups
        .split("\n")
        .filter((line) => /:(?:memory|cpu|pids|freezer|):/.test(line))
        .every((line) => line.endsWith(path)),
    ).toBe(true);
    const get = (name: string): string => {
      const controller = name.split(".")[0]!;
      return runCommand([
        process.env.NSK_BINARY ?? join(import.meta.dir, "../../dist/nsk"),
        "cgget",
        "-n",
        "-v",
        "-r",
        name,
        `${controller}:${path}`.slice(controller.length + 1),
      ]).stdout.trim();
    };
    expect([
      get("memory.limit_in_bytes"),
      get("memory.soft_limit_in_bytes"),
      get("cpu.cfs_quota_us"),
      get("pids.max"),
    ]).toEqual([String(64 << 20), String(32 << 20), "25000", "20"]);
    expect(oci("update", "--memory", String(48 << 20), "--pids-limit", "30", id)).toMatchObject({
      status: 0,
      stderr: "",
    });
    const file = join(newDirectory(), "resources.json");
    writeFileSync(file, JSON.stringify({ cpu: { quota: 30_000 } }));
    expect(oci("update", "--resources", file, id)).toMatchObject({ status: 0, stderr: "" });
    expect([get("memory.limit_in_bytes"), get("cpu.cfs_quota_us"), get("pids.max")]).toEqual([
      String(48 << 20),
      "30000",
      "30",
    ]);
    oci("delete", "-f", id);
    runCommand(["sh", "-c", `rmdir /sys/fs/cgroup/*/${id} /sys/fs/cgroup/${id} 2>/dev/null`]);
  });
});

describe("hooks", () => {
  live("are run in the spec's order and places, with the state", async () => {
    const id = newId();
    const directory = newDirectory();
    const script = (name: string): object => ({
      path: "/bin/sh",
      args: [
        "sh",
        "-c",
        `{ echo ${name} $VALUE; cat; echo; for n in mnt net; do readlink /proc/self/ns/$n; done; } >>$LOG`,
      ],
      env: [
        "PATH=/bin:/usr/bin",
        `VALUE=of-${name}`,
        `LOG=${name === "startContainer" ? "/out" : directory}/${name}`,
      ],
    });
    const names = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];
    const order = (name: string): object => ({
      path: "/bin/sh",
      args: ["sh", "-c", `echo ${name} >>${name === "startContainer" ? "/out" : directory}/order`],
      env: ["PATH=/bin:/usr/bin"],
      timeout: 20,
    });
    const bundle = newBundle("echo program >>/out/order; sleep 60", (config) => {
      config.hooks = Object.fromEntries(names.map((name) => [name, [script(name), order(name)]]));
      config.annotations = { key: "value" };
      config.mounts.push({ destination: "/out", type: "bind", source: directory, options: ["rbind"] });
      config.mounts.push({ destination: "/seen", type: "tmpfs", source: "tmpfs" });
    });
    // What is mounted below the root is there for hooks that look from the host's tree.
    const config = JSON.parse(readFileSync(join(bundle.directory, "config.json"), "utf8"));
    config.hooks.createContainer.push({
      path: "/bin/sh",
      args: ["sh", "-c", `grep -c ' ${bundle.root}/seen ' /proc/self/mountinfo >${directory}/mounted`],
      env: ["PATH=/bin:/usr/bin"],
    });
    writeFileSync(join(bundle.directory, "config.json"), JSON.stringify(config));
    expect(leave("create", "-b", bundle.directory, id)).toMatchObject({ status: 0, stderr: "" });
    const read = (name: string): string => readFileSync(join(directory, name), "utf8");
    expect(read("order")).toBe("prestart\ncreateRuntime\ncreateContainer\n");
    expect(read("mounted")).toBe("1\n");
    const { pid } = stateOf(id);
    expect(leave("start", id)).toMatchObject({ status: 0, stderr: "" });
    await until("the program runs", () => read("order").includes("program"));
    expect(read("order").split("\n").toSorted()).toEqual([
      "",
      "createContainer",
      "createRuntime",
      "poststart",
      "prestart",
      "program",
      "startContainer",
    ]);
    expect(read("order").indexOf("startContainer")).toBeLessThan(read("order").indexOf("program"));
    const link = (what: string): string => runCommand(["readlink", what]).stdout.trim();
    const inside = [link(`/proc/${pid}/ns/mnt`), link(`/proc/${pid}/ns/net`)];
    const outside = [link("/proc/self/ns/mnt"), link("/proc/self/ns/net")];
    expect(leave("delete", "--force", id)).toMatchObject({ status: 0, stderr: "" });
    const statuses = {
      prestart: "creating",
      createRuntime: "creating",
      createContainer: "creating",
      startContainer: "created",
      poststart: "running",
      poststop: "stopped",
    };
    for (const [name, status] of Object.entries(statuses)) {
      const [first, state = "", ...namespaces] = read(name).trim().split("\n");
      expect(first).toBe(`${name} of-${name}`);
      expect(JSON.parse(state)).toEqual({
        ociVersion: "1.2.0",
        id,
        status,
        ...(name !== "poststop" && { pid }),
        bundle: bundle.directory,
        annotations: { key: "value" },
      });
      expect(namespaces).toEqual(name === "createContainer" || name === "startContainer" ? inside : outside);
    }
  });

  live("of the start have what the container's program has, and no more", () => {
    const bundle = newBundle("true", (config) => {
      config.process.user = { uid: 1000, gid: 1000 };
      config.hooks = {
        startContainer: [
          {
            path: "/bin/sh",
            args: ["sh", "-c", "id -u; grep CapEff /proc/self/status; ls /proc/self/fd | wc -l"],
          },
        ],
      };
    });
    // Its standard output is the container's standard error.
    expect(runBundle(bundle).stderr).toBe("1000\nCapEff:\t0000000000000000\n4\n");
  });

  live("that fail after the start are told, and change nothing", () => {
    const bundle = newBundle("exit 3", (config) => {
      config.hooks = { poststart: [{ path: "/bin/false" }], poststop: [{ path: "/bin/false" }] };
    });
    const { status, stderr } = runBundle(bundle);
    expect(status).toBe(3);
    expect(stderr).toContain("error running poststart hook #0 (/bin/false): exit status 1");
    expect(stderr).toContain("error running poststop hook #0 (/bin/false): exit status 1");
  });
});

describe("exec", () => {
  const started = (change: Change = () => {}): string => {
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60", change).directory, id)).toMatchObject({
      status: 0,
      stderr: "",
    });
    return id;
  };

  live("has the container's namespaces, groups, root, and confinement", () => {
    const id = started((config) => {
      config.linux.seccomp = {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["getcwd"], action: "SCMP_ACT_ERRNO", errnoRet: 1 }],
      };
    });
    const { pid } = stateOf(id);
    const script = `for n in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$n; done; grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status; cat /proc/self/cgroup | grep -c ${id}; hostname; ls /proc/self/fd | wc -l; exit 4`;
    const ran = oci("exec", id, "sh", "-c", script);
    const links = ["mnt", "pid", "net", "ipc", "uts", "cgroup"].map(
      (n) => runCommand(["readlink", `/proc/${pid}/ns/${n}`]).stdout,
    );
    const status = runCommand(["grep", "-E", "^(Cap|NoNew|Seccomp:)", `/proc/${pid}/status`]).stdout;
    expect(ran.stdout).toBe(`${links.join("")}${status}0\nnsk\n4\n`);
    expect(ran.status).toBe(4);
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(id);
    oci("delete", "-f", id);
  });

  live(
    "takes user, directory, variables and capabilities, and hands on none of these (CVE-2022-29162)",
    () => {
      const id = started();
      const ran = oci(
        ...[
          "exec",
          "--user",
          "5:6",
          "-g",
          "7",
          "--cwd",
          "/tmp",
          "-e",
          "A=b",
          "-e",
          "TERM=x",
          "--cap",
          "CAP_SYS_CHROOT",
          id,
        ],
        ...[
          "sh",
          "-c",
          "id -u; id -g; id -G; pwd; echo $A $TERM; grep -E '^Cap(Inh|Amb|Bnd)' /proc/self/status",
        ],
      );
      expect(ran).toMatchObject({
        status: 0,
        stdout:
          "5\n6\n6 7\n/tmp\nb x\nCapInh:\t0000000000000000\nCapBnd:\t0000000020040420\nCapAmb:\t0000000000000000\n",
      });
      oci("delete", "-f", id);
    },
  );

  live("takes the process of a file, and detaches with its id in a file", async () => {
    const id = started();
    const directory = newDirectory();
    const [file, pidFile] = [join(directory, "process.json"), join(directory, "pid")];
    writeFileSync(
      file,
      JSON.stringify({ args: ["sleep", "50"], cwd: "/", env: ["PATH=/bin"], user: { uid: 3, gid: 4 } }),
    );
    expect(leave("exec", "--process", file, "--detach", "--pid-file", pidFile, id)).toMatchObject({
      status: 0,
      stderr: "",
    });
    const pid = readFileSync(pidFile, "utf8");
    await until("it is the program", () => readFileSync(`/proc/${pid}/cmdline`, "utf8") === "sleep\x0050\0");
    expect(runCommand(["stat", "-c", "%u:%g", `/proc/${pid}`]).stdout).toBe("3:4\n");
    expect(JSON.parse(oci("ps", "-f", "json", id).stdout)).toContain(Number(pid));
    expect(oci("delete", "-f", id).status).toBe(0);
    expect(existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, "utf8") !== "").toBe(
      false,
    );
  });

  live("in a user namespace is root there", () => {
    const id = started((config) => {
      config.linux.namespaces.push({ type: "user" });
      config.linux.uidMappings = config.linux.gidMappings = [
        { containerID: 0, hostID: 100_000, size: 65_536 },
      ];
    });
    expect(
      oci("exec", id, "sh", "-c", "id -u; touch /proc/self/comm && echo ok; grep CapEff /proc/self/status"),
    ).toMatchObject({
      stdout: "0\nok\nCapEff:\t0000000020000420\n",
      stderr: "",
    });
    oci("delete", "-f", id);
  });

  live("says what is not there", () => {
    const id = started();
    expect(oci("exec", id, "nope")).toMatchObject({
      status: 255,
      stderr: "nsk oci exec: find nope failed: No such file or directory\n",
    });
    expect(oci("exec", id)).toMatchObject({ status: 255 });
    expect(oci("exec", "no-such", "true")).toMatchObject({
      status: 255,
      stderr: "nsk oci exec: container does not exist\n",
    });
    oci("delete", "-f", id);
  });
});
