// docker's flags of `run` as their user sees them from inside, and those that are refused.

import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { longName } from "../../src/cli/getopt.ts";
import { ownFiles } from "../../src/containers/docker-files.ts";
import { parseResources, parseUlimits } from "../../src/containers/docker-limits.ts";
import { allDevices, parseDevice, parseMounts } from "../../src/containers/docker-mounts.ts";
import { DEVICE_RULES } from "../../src/containers/defaults.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";
import { inside, output, startContainer, stateOf, until } from "./containers.ts";

const live = testNeeding("root");
const scratch = mkdtempSync(join(tmpdir(), "nsk-flags-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("limits", () => {
  const none = { privileged: false };
  const m = 2 ** 20;
  const rows: readonly (readonly [flags: object, expected: object])[] = [
    [{}, {}],
    [{ cpus: "0.25" }, { cpu: { quota: 25_000, period: 100_000 } }],
    [{ cpus: "0" }, {}],
    [{ cpuQuota: "50000" }, { cpu: { quota: 50_000, period: 100_000 } }],
    [{ cpuQuota: "5000", cpuPeriod: "10000" }, { cpu: { quota: 5_000, period: 10_000 } }],
    [{ cpuPeriod: "10000" }, {}],
    [{ memory: "64m" }, { memory: { limit: 64 * m } }],
    [{ memory: "64m", memorySwap: "64m" }, { memory: { limit: 64 * m, swap: 64 * m } }],
    [{ memory: "64m", memorySwap: "1g" }, { memory: { limit: 64 * m, swap: 1024 * m } }],
    [{ memory: "64m", memorySwap: "-1" }, { memory: { limit: 64 * m, swap: -1 } }],
    [
      { cpusetCpus: "0-1", cpusetMems: "0", blkioWeight: "300" },
      { cpu: { cpus: "0-1", mems: "0" }, blockIO: { weight: 300 } },
    ],
  ];
  test.each(rows)("%j", (flags, expected) => {
    const found = parseResources({ ...none, ...flags }, []);
    const nothing = { cpu: {}, memory: {}, blockIO: {}, pids: {} };
    expect(found).toEqual({ ...nothing, ...expected, devices: DEVICE_RULES });
  });
  const bad: readonly (readonly [flags: object, message: string])[] = [
    [{ cpus: "1", cpuQuota: "1000" }, "--cpus stands for --cpu-quota and --cpu-period: give it, or those"],
    [{ cpuPeriod: "10" }, "invalid argument '10' for --cpu-period: from 1000 to 1000000 microseconds"],
    [{ cpuQuota: "10" }, "invalid argument '10' for --cpu-quota: the smallest is 1000 microseconds"],
    [{ memorySwap: "64m" }, "--memory-swap is memory and swap together: it goes with --memory"],
    [{ memory: "64m", memorySwap: "32m" }, "--memory-swap 32m: less than --memory, which is a part of it"],
    [{ blkioWeight: "5" }, "invalid argument '5' for --blkio-weight: from 10 to 1000"],
    [{ cpusetMems: "x" }, "invalid argument 'x' for --cpuset-mems: a list such as 0-2,4"],
  ];
  test.each(bad)("%j: %s", (flags, message) => {
    expect(() => parseResources({ ...none, ...flags }, [])).toThrow(message);
  });
  test("of resources", () => {
    expect(parseUlimits(["nofile=1024:2048", "core=-1", "nofile=7"])).toEqual([
      { type: "RLIMIT_NOFILE", soft: 7, hard: 7 },
      { type: "RLIMIT_CORE", soft: -1, hard: -1 },
    ]);
    for (const text of ["nofile", "nothing=1", "nofile=2:1", "nofile=-1:5", "nofile=-2", "nofile=1:2:3"])
      expect(() => parseUlimits([text])).toThrow("for --ulimit");
  });
  live("of resources hold inside, for every user", () => {
    for (const user of ["0", "1000"])
      expect(
        output(
          "ulimit -n; ulimit -Hn; ulimit -c",
          "--ulimit",
          "nofile=100:200",
          "--ulimit",
          "core=0",
          "-u",
          user,
        ),
      ).toBe("100\n200\n0\n");
  });
  live("an OOM score", () => {
    expect(output("cat /proc/self/oom_score_adj", "--oom-score-adj", "77")).toBe("77\n");
  });
});

describe("what is mounted", () => {
  const flags = (more: object): Parameters<typeof parseMounts>[0] => ({
    volume: [],
    mount: [],
    tmpfs: [],
    ...more,
  });
  test("--mount is -v and --tmpfs in other words", () => {
    expect(parseMounts(flags({ mount: ["type=bind,source=/a,target=/b,readonly"] }))).toEqual(
      parseMounts(flags({ volume: ["/a:/b:ro"] })),
    );
    expect(parseMounts(flags({ mount: ["type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=700"] }))).toEqual(
      parseMounts(flags({ tmpfs: ["/b:size=1048576,mode=700"] })),
    );
  });
  test("what lies in another is mounted after it", () => {
    const found = parseMounts(flags({ volume: ["/a:/x/y/z", "/b:/x"], tmpfs: ["/x/y"] }));
    expect(found.map(({ destination }) => destination)).toEqual(["/x", "/x/y", "/x/y/z"]);
  });
  const bad: readonly (readonly [flags: object, message: string])[] = [
    [{ mount: ["source=/a,target=/b"] }, "nsk has bind and tmpfs, not 'volume'"],
    [{ mount: ["type=bind,source=a,target=/b"] }, "the source is an absolute path"],
    [
      { mount: ["type=bind,source=/a,target=/b,bind-propagation=shared"] },
      "unexpected 'bind-propagation=shared'",
    ],
    [{ mount: ["type=tmpfs,source=/a,target=/b"] }, "a tmpfs has no source"],
    [{ mount: ["type=bind,source=/a,target=/b,tmpfs-size=1m"] }, "tmpfs-… goes with type=tmpfs"],
    [{ mount: ["type=bind,source=/a,target=/../b"] }, "'..' in the place inside"],
    [{ volume: ["/a:/proc"] }, "nothing is mounted inside /proc"],
    [{ volume: ["/a://proc/./sys"] }, "nothing is mounted inside /proc"],
    [{ tmpfs: ["/proc/acpi"] }, "nothing is mounted inside /proc"],
    [{ tmpfs: ["x"] }, "the place inside is an absolute path, and not /"],
    [{ tmpfs: ["/x:bind"] }, "invalid --tmpfs '/x:bind': 'bind'"],
    [{ tmpfs: ["/x"], volume: ["/a:/x/"] }, "duplicate mount point: /x/"],
  ];
  test.each(bad)("%j: %s", (more, message) => {
    expect(() => parseMounts(flags(more))).toThrow(message);
  });
  test("files of /proc that tell of counts may tell of others", () => {
    expect(parseMounts(flags({ volume: ["/a:/proc/meminfo"] }))).toHaveLength(1);
  });
  live("a tmpfs in a volume, and a volume in a tmpfs", () => {
    const volume = mkdtempSync(join(scratch, "volume-"));
    writeFileSync(join(volume, "file"), "outside\n");
    const options = [
      "--tmpfs",
      "/a/b/c:size=1m",
      "-v",
      `${volume}:/a/b`,
      "--tmpfs",
      "/t",
      "-v",
      `${volume}/file:/t/file:ro`,
    ];
    expect(
      output(
        "cat /a/b/file /t/file; df -k /a/b/c | tail -1 | cut -d' ' -f1; echo x >/t/new; echo x >/a/b/c/new",
        ...options,
      ),
    ).toBe("outside\noutside\ntmpfs\n");
    expect(existsSync(join(volume, "c/new"))).toBe(false);
    expect(output("grep ' /t ' /proc/mounts", ...options)).toMatch(/nosuid,nodev,noexec/);
    expect(output("grep ' /t ' /proc/mounts", "--tmpfs", "/t:exec,ro")).toMatch(/\bro,nosuid,nodev,/);
  });
  live("/dev/shm of another size, or none", () => {
    expect(output("df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2", "--shm-size", "2m")).toBe("2048\n");
    expect(
      output("ls -d /dev/shm 2>&1 | wc -l; grep -c /dev/shm /proc/mounts || true", "--ipc", "none"),
    ).toMatch(/\n0\n$/);
  });
});

describe("devices", () => {
  const host = fixtureHost({
    devices: {
      "/dev/fuse": { type: "c", major: 10, minor: 229, mode: 0o666 },
      "/dev/vda": { type: "b", major: 254, minor: 0, mode: 0o660 },
      "/dev/input/event0": { type: "c", major: 13, minor: 64, mode: 0o660 },
      "/dev/console": { type: "c", major: 5, minor: 1, mode: 0o600 },
    },
    files: Object.fromEntries(
      ["fuse", "vda", "input/event0", "console", "log", "pts/0"].map((name) => [`/dev/${name}`, ""]),
    ),
    links: { "/dev/log": "/run/log" },
  });
  test("one of the host's, by its name or another, and what may be done with it", () => {
    expect(parseDevice("/dev/fuse", host)).toEqual({
      device: { path: "/dev/fuse", type: "c", major: 10, minor: 229, fileMode: 0o666 },
      rule: { allow: true, type: "c", major: 10, minor: 229, access: "rwm" },
    });
    expect(parseDevice("/dev/vda:/dev/xvda:r", host)).toMatchObject({
      device: { path: "/dev/xvda", type: "b" },
      rule: { type: "b", major: 254, access: "r" },
    });
    expect(parseDevice("/dev/vda:rw", host)).toMatchObject({
      device: { path: "/dev/vda" },
      rule: { access: "rw" },
    });
  });
  test.each([
    ["/dev/nothing", "--device /dev/nothing: no such file"],
    ["/dev/log", "--device /dev/log: not a device node"],
    ["/dev/fuse:/dev/a:/dev/b", "invalid --device '/dev/fuse:/dev/a:/dev/b'"],
    ["/dev/fuse:/../x", "'..' in the place inside"],
  ])("%s is refused", (text, message) => {
    expect(() => parseDevice(text, host)).toThrow(message);
  });
  test("all of the host's, but for those that a container has of its own", () => {
    expect(allDevices(host).map(({ path }) => path)).toEqual(["/dev/fuse", "/dev/input/event0", "/dev/vda"]);
  });
  testNeeding("root", "/dev/kmsg")("can be opened as far as was said, and no others", () => {
    const script =
      "for f in /dev/kmsg /dev/log2; do test -c $f || continue; (exec 3<$f) 2>/dev/null && echo read $f; (exec 3>$f) 2>/dev/null && echo write $f; done; true";
    expect(output(script)).toBe("");
    expect(output(script, "--cap-add", "SYSLOG", "--device", "/dev/kmsg:r")).toBe("read /dev/kmsg\n");
    expect(output(script, "--cap-add", "SYSLOG", "--device", "/dev/kmsg:/dev/log2:rw")).toBe(
      "read /dev/log2\nwrite /dev/log2\n",
    );
  });
  testNeeding("root", "/dev/kmsg")("of a privileged container are the host's", () => {
    expect(output("test -c /dev/kmsg && (exec 3</dev/kmsg) && echo open", "--privileged")).toBe("open\n");
  });
});

describe("files of /etc", () => {
  const flags = (more: object): Parameters<typeof ownFiles>[0] => ({
    addHost: [],
    dns: [],
    dnsSearch: [],
    dnsOption: [],
    ...more,
  });
  const host = fixtureHost({
    files: {
      "/etc/resolv.conf":
        "# made by hand\nnameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\nsearch lan\noptions edns0\n",
      "/etc/hosts": "127.0.0.1 localhost\n10.0.0.1 host\n",
    },
  });
  const rows: readonly (readonly [
    title: string,
    flags: object,
    hasHostNetwork: boolean,
    expected: string,
  ])[] = [
    [
      "never a loopback resolver in a network of its own",
      {},
      false,
      "nameserver 9.9.9.9\nsearch lan\noptions edns0\n",
    ],
    [
      "in the host's, as there",
      {},
      true,
      "nameserver 127.0.0.53\nnameserver 9.9.9.9\nnameserver ::1\nsearch lan\noptions edns0\n",
    ],
    [
      "--dns",
      { dns: ["1.1.1.1", "2001:db8::1"] },
      false,
      "search lan\noptions edns0\nnameserver 1.1.1.1\nnameserver 2001:db8::1\n",
    ],
    [
      "--dns-search, --dns-option",
      { dnsSearch: ["a", "b"], dnsOption: ["ndots:2"] },
      false,
      "nameserver 9.9.9.9\nsearch a b\noptions ndots:2\n",
    ],
    ["--dns-search .", { dnsSearch: ["."] }, false, "nameserver 9.9.9.9\noptions edns0\n"],
  ];
  test.each(rows)("resolv.conf: %s", (_, more, hasHostNetwork, expected) => {
    expect(ownFiles(flags(more), "box", hasHostNetwork, host)[2]).toEqual({
      path: "/etc/resolv.conf",
      text: expected,
    });
  });
  test("hosts", () => {
    const text = (more: object, hasHostNetwork: boolean): string =>
      ownFiles(flags(more), "box", hasHostNetwork, host)[1]!.text;
    expect(text({ addHost: ["a.b:1.2.3.4", "c=[::5]"] }, false)).toEndWith(
      "127.0.0.1\tbox\n1.2.3.4\ta.b\n::5\tc\n",
    );
    expect(text({}, true)).toBe("127.0.0.1 localhost\n10.0.0.1 host\n");
    for (const bad of ["a", "a:", "a:b", "a:1.2.3.400", ":1.2.3.4", "a b:1.2.3.4", "a:1.2.3.4\nx"])
      expect(() => ownFiles(flags({ addHost: [bad] }), "box", false, host)).toThrow(
        "--add-host: NAME:ADDRESS",
      );
    expect(() => ownFiles(flags({ dns: ["one"] }), "box", false, host)).toThrow("--dns: an address");
  });
  live("are the container's own, and the machine's stay", () => {
    const before = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"].map(
      (path) => existsSync(path) && readFileSync(path, "utf8"),
    );
    expect(
      output(
        "cat /etc/hostname; tail -2 /etc/hosts; echo changed >>/etc/hosts",
        "-h",
        "box",
        "--add-host",
        "db:10.1.2.3",
      ),
    ).toBe("box\n127.0.0.1\tbox\n10.1.2.3\tdb\n");
    const after = ["/etc/hosts", "/etc/resolv.conf", "/etc/hostname"].map(
      (path) => existsSync(path) && readFileSync(path, "utf8"),
    );
    expect(after).toEqual(before);
  });
  testNeeding("root", "busybox")("are not written through a link that an image has there", () => {
    const root = mkdtempSync(join(scratch, "root-"));
    mkdirSync(join(root, "bin"));
    mkdirSync(join(root, "etc"));
    runCommand(["cp", Bun.which("busybox")!, join(root, "bin/cat")]);
    symlinkSync("../kept", join(root, "etc/hosts"));
    writeFileSync(join(root, "kept"), "kept\n");
    const { stdout } = runNsk("run", "--rootfs", `${root}:O`, "--", "/bin/cat", "/kept", "/etc/hostname");
    expect(stdout).toMatch(/^kept\n[0-9a-f]{12}\n$/);
    const refused = runNsk("run", "--rootfs", root, "--dns", "1.1.1.1", "--", "/bin/cat");
    expect(refused).toMatchObject({
      status: 125,
      stderr: expect.stringContaining("would change the root's own files"),
    });
  });
});

describe("namespaces that are the host's", () => {
  const ids = (script: string): string => runCommand(["sh", "-c", script]).stdout;
  for (const [option, kind] of [
    ["--ipc", "ipc"],
    ["--uts", "uts"],
    ["--network", "net"],
  ] as const)
    live(`${option} host`, () => {
      const script = `readlink /proc/self/ns/${kind}`;
      expect(output(script, option, "host")).toBe(ids(script));
      expect(output(script)).not.toBe(ids(script));
    });
  live("with --ipc host /dev/shm is the host's", () => {
    const name = `/dev/shm/nsk-test-${process.pid}`;
    writeFileSync(name, "shared\n");
    try {
      expect(output(`cat ${name}`, "--ipc", "host")).toBe("shared\n");
      expect(inside(`cat ${name}`).status).toBe(1);
    } finally {
      rmSync(name);
    }
  });
  live("--uts host keeps the host's name, and --hostname does not go with it", () => {
    expect(output("cat /proc/sys/kernel/hostname", "--uts", "host")).toBe(
      readFileSync("/proc/sys/kernel/hostname", "utf8"),
    );
    expect(inside("true", "--uts", "host", "-h", "box").stderr).toContain("--hostname and --uts host");
  });
});

describe("--sysctl", () => {
  live("sets what its namespaces have of their own", () => {
    const read = "cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax";
    const before = runCommand(["sh", "-c", read]).stdout;
    expect(output(read, "--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "kernel.msgmax=4097")).toBe(
      "1\n4097\n",
    );
    expect(runCommand(["sh", "-c", read]).stdout).toBe(before);
  });
  const bad: readonly (readonly [options: string[], message: string])[] = [
    [["--sysctl", "vm.swappiness=1"], "invalid --sysctl 'vm.swappiness=1'"],
    [["--sysctl", "kernel.core_pattern=|/x"], "invalid --sysctl 'kernel.core_pattern=|/x'"],
    [["--sysctl", "net/../vm.x=1"], "invalid --sysctl"],
    [["--sysctl", "net.ipv4.ip_forward=1", "--network", "host"], "it would be the host's"],
    [["--sysctl", "kernel.msgmax=1", "--ipc", "host"], "it would be the host's"],
  ];
  for (const [options, message] of bad)
    live(`${options.join(" ")} is refused`, () => {
      const { status, stderr } = inside("true", ...options);
      expect({ status, stderr }).toEqual({ status: 125, stderr: expect.stringContaining(message) });
    });
});

describe("the program", () => {
  live("has the variables of --env-file, which -e changes", () => {
    const file = join(scratch, "variables");
    writeFileSync(file, "# a comment\n\nA=1\n  B=two words # kept\nFROM_OUTSIDE\nC=\nD=3\n");
    const ran = runCommand([nsk, "run", "--env-file", file, "-e", "D=4", "env"], { FROM_OUTSIDE: "yes" });
    const words = ran.stdout
      .trim()
      .split("\n")
      .filter((word) => /^([A-D]|FROM_OUTSIDE)=/.test(word));
    expect(words.sort()).toEqual(["A=1", "B=two words # kept", "C=", "D=4", "FROM_OUTSIDE=yes"]);
    expect(inside("true", "--env-file", "/nsk-nope").stderr).toContain(
      "--env-file /nsk-nope: it is not there",
    );
  });
  live("has groups besides its own", () => {
    expect(output("id -G", "--group-add", "44", "--group-add", "daemon")).toBe("0 1 44\n");
    expect(output("id -G", "-u", "1000:1000", "--group-add", "7")).toBe("1000 7\n");
    expect(inside("true", "--group-add", "nsk-none").stderr).toContain("unable to find group nsk-none");
  });
  live("is the entrypoint, with the operands as its arguments", () => {
    expect(runNsk("run", "--entrypoint", "echo", "--", "-n", "a", "b").stdout).toBe("a b");
    expect(runNsk("run", "--entrypoint", "/bin/pwd").stdout).toBe("/\n");
  });
  live("has its id in a new file, and an old one is nobody's to overwrite", () => {
    const file = join(scratch, "cid");
    expect(runNsk("run", "--cidfile", file, "cat", "/etc/hostname").stdout).toBe(
      `${readFileSync(file, "utf8")}\n`,
    );
    const id = readFileSync(file, "utf8");
    const { status, stderr } = runNsk("run", "--cidfile", file, "true");
    expect({ status, stderr }).toMatchObject({
      status: 125,
      stderr: expect.stringContaining(`write ${file} failed: File exists`),
    });
    expect(readFileSync(file, "utf8")).toBe(id);
  });
});

describe("--init", () => {
  live("is process 1, and the program's end is its end", () => {
    expect(output("echo $$", "--init")).toBe("2\n");
    expect(inside("exit 7", "--init").status).toBe(7);
    expect(inside("kill -TERM $$", "--init").status).toBe(143);
  });
  live("waits for orphans", () => {
    const zombies = "grep -l 'State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l";
    const script = `for i in 1 2 3 4 5; do (true & ) ; done; for i in $(seq 500); do [ $(${zombies}) = 0 ] && exit 0; sleep 0.02; done; exit 1`;
    expect(inside(script, "--init").status).toBe(0);
  });
  live("passes signals on, also those that a first process would not get", async () => {
    for (const signal of ["TERM", "USR1", "HUP"]) {
      const script = `echo $HOSTNAME; trap 'exit 9' ${signal}; echo ready; while read line; do echo $line; done`;
      const it = await startContainer(["sh", "-c", script], ["--init"]);
      expect(await it.line()).toBe("ready");
      process.kill(it.first, `SIG${signal}`);
      it.say("a line, for a shell runs its trap between two commands");
      expect(await it.exited).toBe(9);
    }
    const sleeping = await startContainer(
      ["sh", "-c", "echo $HOSTNAME; echo ready; exec sleep 1000"],
      ["--init"],
    );
    expect(await sleeping.line()).toBe("ready");
    process.kill(sleeping.supervisor, "SIGTERM");
    expect(await sleeping.exited).toBe(143);
    await until("it is gone", () => stateOf(sleeping.first) === undefined);
  });
  live("tells nothing of the words that nsk was called with, but for its name", () => {
    const ran = runNsk("run", "--init", "-e", "WORD=of-the-caller", "cat", "/proc/1/cmdline");
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout.replaceAll("\0", "")).toBe(nsk);
  });
  live("tells nothing of the caller's environment", () => {
    const ran = runCommand([nsk, "run", "--init", "--privileged", "cat", "/proc/1/environ"], {
      NSK_SECRET: "hidden",
    });
    expect(ran).toMatchObject({ status: 0, stderr: "" });
    expect(ran.stdout).not.toContain("hidden");
    expect(ran.stdout.replaceAll("\0", "")).toBe("");
  });
});

describe("what nsk has not is refused by name", () => {
  test.each([
    [["-p", "80:80"], "--publish: the container has no network of its own but loopback"],
    [["-P"], "--publish-all: the container has no network of its own but loopback"],
    [["--restart", "always"], "--restart: nobody watches over a container"],
    [["--health-cmd", "true"], "--health-cmd: there are no health checks"],
    [["--ip", "10.0.0.2"], "--ip: the container has no network of its own but loopback"],
    [["--gpus", "all"], "--gpus: no drivers are brought in"],
    [["--volumes-from=web"], "--volumes-from: volumes are not looked up at other containers"],
    [["--link=a:b"], "--link: a container has loopback"],
    [["-a", "stdout"], "--attach: the standard files are the caller's"],
    [["--userns", "keep-id"], "--userns keep-id: root's containers have the host's ids (host)"],
  ])("%p", (options, message) => {
    const { status, stderr } = runNsk("run", ...options, "true");
    expect({ status, stderr }).toEqual({ status: 125, stderr: expect.stringContaining(message) });
  });
  test("what docker has not either is an unknown option", () => {
    expect(runNsk("run", "--constructor", "true").stderr).toStartWith(
      "nsk run: unrecognized option '--constructor'\n",
    );
  });
  test("every such option of docker's has its reason, and is none that nsk has", async () => {
    const { run } = await import("../../src/commands/run.ts");
    for (const option of ["--expose", "--log-driver", "--runtime", "--mac-address", "--health-interval"])
      expect(await run.lacks!(option)).toStartWith(`${option}: `);
    for (const key in run.definition.args) expect(await run.lacks!(`--${longName(key)}`)).toBeUndefined();
  });
  live("and what means nothing else is taken", () => {
    expect(
      runNsk("run", "--restart", "no", "--userns", "host", "--pid", "private", "--rm", "true").status,
    ).toBe(0);
  });
});

describe("a root whose /proc, /sys or /dev is a link (CVE-2019-19921, CVE-2023-27561)", () => {
  for (const name of ["proc", "sys", "dev"])
    testNeeding("root", "busybox")(name, () => {
      const root = mkdtempSync(join(scratch, "linked-"));
      for (const directory of ["bin", "elsewhere"]) mkdirSync(join(root, directory));
      runCommand(["cp", Bun.which("busybox")!, join(root, "bin/true")]);
      symlinkSync("elsewhere", join(root, name));
      const { status, stderr } = runNsk("run", "--rootfs", root, "--", "/bin/true");
      expect({ status, stderr }).toEqual({
        status: 125,
        stderr: `nsk run: use /${name} failed: Not a directory\nhint: /${name} of the root must be a directory, and no link\n`,
      });
    });
});

describe("a volume over /dev or /proc", () => {
  live("changes nothing of what is masked (CVE-2025-31133)", () => {
    const volume = mkdtempSync(join(scratch, "dev-"));
    symlinkSync("/proc/sys/kernel/core_pattern", join(volume, "null"));
    // What would be masked by such a null device stays masked by the true one, and what it points to read-only.
    const script = "head -c 1 /proc/keys | wc -c; (echo x >/proc/sys/kernel/core_pattern) 2>&1 | tail -c 22";
    expect(output(script, "-i", "-v", `${volume}:/dev`)).toBe("0\nRead-only file system\n");
  });
});
