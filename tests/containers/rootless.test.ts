// `nsk run` as a plain user: with ranges of ids a whole container, without them one with a single id.

import { afterAll, describe, expect } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { type Ran, runCommand } from "../support/nsk.ts";
import { type How, NEEDS, type PlainUser, plainUser, RANGE, removeScratch } from "../support/plain-user.ts";
import { until } from "./containers.ts";

const live = testNeeding(...NEEDS);

const scratch = mkdtempSync(join(tmpdir(), "nsk-rootless-"));
afterAll(() => removeScratch(scratch));
let known: PlainUser | undefined;
const user = (): PlainUser => (known ??= plainUser(scratch));

const inside = (script: string, options: readonly string[] = [], how: How = {}): Ran =>
  user().run([user().binary, "run", ...options, "--", "sh", "-c", script], how);

const output = (script: string, options: readonly string[] = [], how: How = {}): string => {
  const { status, stdout, stderr } = inside(script, options, how);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};

const MAP = "cat /proc/self/uid_map | tr -s ' '";
const single: How = { ranges: false };

describe("who is who", () => {
  live("with ranges root inside is the user, and others follow from her ranges", () => {
    expect(output(`id -u; ${MAP}; cat /proc/self/setgroups`)).toBe(
      `0\n 0 ${user().uid} 1\n 1 ${RANGE.start} ${RANGE.count}\nallow\n`,
    );
    expect(output("id -u; id -G; touch /tmp/x; chown 7:8 /tmp/x; stat -c %u:%g /tmp/x", ["-u", "0:0"])).toBe(
      "0\n0\n7:8\n",
    );
    expect(output("id -u; id -g; id -G", ["-u", "1000:1001", "--group-add", "5"])).toBe(
      "1000\n1001\n1001 5\n",
    );
  });
  live("without ranges there is one, and setgroups is denied", () => {
    expect(output(`id -u; ${MAP}; cat /proc/self/setgroups`, [], single)).toBe(
      `0\n 0 ${user().uid} 1\ndeny\n`,
    );
  });
  live("without ranges another user is refused, with what gives ranges", () => {
    const { status, stderr } = inside("true", ["-u", "1000"], single);
    expect({ status, stderr }).toEqual({
      status: 125,
      stderr:
        "nsk run: user 1000 is not among the ids of the container's user namespace\n" +
        "hint: there is one user inside, root, without ranges in /etc/subuid and /etc/subgid: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ann\n",
    });
    expect(inside("true", ["--group-add", "5"], single).stderr).toStartWith("nsk run: group 5 is not among");
  });
  live("of ranges that differ for users and groups each is as long as its own file says", () => {
    const one = join(scratch, "one");
    writeFileSync(one, `ann:${RANGE.start}:1\n`);
    const how = { before: `mount --bind ${one} /etc/subuid` };
    expect(output(`${MAP}; tail -n 1 /proc/self/gid_map | tr -s ' '`, [], how)).toBe(
      ` 0 ${user().uid} 1\n 1 ${RANGE.start} 1\n 1 ${RANGE.start} ${RANGE.count}\n`,
    );
  });
  live("where user namespaces are forbidden, who forbids them and the mend are told", () => {
    const { binary } = user();
    const forbid = "echo 0 >/proc/sys/user/max_user_namespaces";
    const all = [binary, "unshare", "-U", "--map-users", "all", "--map-groups", "all", "sh", "-c"];
    const ran = runCommand([...all, `${forbid}; exec "$@"`, "sh", ...user().words([binary, "run", "true"])]);
    expect(ran).toMatchObject({
      status: 125,
      stderr:
        "nsk run: fork failed: No space left on device\n" +
        "hint: user namespaces are switched off here; root switches them on: sysctl -w user.max_user_namespaces=10000\n",
    });
  });
});

describe("what it has", () => {
  live("namespaces of its own, a network with loopback, a host name, devices that work, a terminal", () => {
    const kinds = ["user", "mnt", "pid", "uts", "ipc", "net"];
    const script = `for k in ${kinds.join(" ")}; do readlink /proc/self/ns/$k; done`;
    const here = Bun.spawnSync(["sh", "-c", script]).stdout.toString().split("\n");
    for (const [i, line] of output(script).trim().split("\n").entries()) expect(line).not.toBe(here[i]!);
    expect(
      output("hostname; ls /sys/class/net; head -c 3 /dev/zero | wc -c; echo x >/dev/null", ["-h", "box"]),
    ).toBe("box\nlo\n3\n");
    expect(output("tty; stat -c %U:%G $(tty)", ["-t"])).toBe("/dev/pts/0\r\nroot:tty\r\n");
    expect(output("tty; echo $$", ["-t"], single)).toBe("/dev/pts/0\r\n1\r\n");
  });
  live("this machine's root, to be written to where the user may, and gone afterwards", () => {
    const name = `nsk-rootless-${process.pid}`;
    expect(
      output(
        `echo x >/${name}; echo y >/tmp/${name}; cat /${name} /tmp/${name}; stat -c %a /tmp; ls /etc/passwd`,
      ),
    ).toBe("x\ny\n1777\n/etc/passwd\n");
    expect(readdirSync("/")).not.toContain(name);
    expect(readdirSync("/tmp")).not.toContain(name);
    const mine = join(user().home, "mine");
    writeFileSync(mine, "before");
    chownSync(mine, user().uid, user().uid);
    expect(output(`echo after >${mine}; cat ${mine}`)).toBe("after\n");
    expect(Bun.spawnSync(["cat", mine]).stdout.toString()).toBe("before");
  });
  live(
    "docker's protections: masked and read-only paths, the filter, 14 capabilities, none to be had from a file",
    () => {
      expect(
        output(
          "cat /proc/keys | wc -c; (echo x >/proc/sys/kernel/hostname) 2>/dev/null || echo no; grep -E 'Seccomp:|CapEff' /proc/self/status",
        ),
      ).toBe("0\nno\nCapEff:\t00000000a80425fb\nSeccomp:\t2\n");
    },
  );
  live("its own files of /etc, also where something of the host's is mounted in /etc", () => {
    expect(
      output("cat /etc/hostname; tail -n 1 /etc/hosts; getent passwd ann | cut -d: -f1", ["-h", "box"]),
    ).toBe("box\n127.0.0.1\tbox\nann\n");
  });
  live("a volume with the user's own rights", () => {
    const volume = join(user().home, "volume");
    mkdirSync(volume);
    chownSync(volume, user().uid, user().uid);
    output("echo x >/v/written", ["-v", `${volume}:/v`]);
    expect(Bun.spawnSync(["stat", "-c", "%u", join(volume, "written")]).stdout.toString()).toBe(
      `${user().uid}\n`,
    );
    expect(inside("echo x >/v/y", ["-v", `${volume}:/v:ro`]).stderr).toContain("Read-only file system");
    const { status, stderr } = inside("true", ["-v", "/root:/v/x"], single);
    // /root can be bound in, and stays as closed as it is.
    expect([status, stderr]).toEqual([0, ""]);
    expect(inside("ls /v", ["-v", "/root:/v"]).status).not.toBe(0);
  });
  live("the host's network and /sys with --network host, and its queues with --ipc host", () => {
    expect(output("ls /sys/class/net", ["--network", "host"])).toBe(
      Bun.spawnSync(["ls", "/sys/class/net"]).stdout.toString(),
    );
    expect(inside("echo x >/sys/kernel/profiling", ["--network", "host"]).status).not.toBe(0);
    expect(output("readlink /proc/self/ns/ipc", ["--ipc", "host"])).toBe(
      Bun.spawnSync(["readlink", "/proc/self/ns/ipc"]).stdout.toString(),
    );
  });
  live("a directory as its root", () => {
    const root = join(user().home, "root");
    mkdirSync(join(root, "bin"), { recursive: true });
    Bun.spawnSync(["cp", Bun.which("busybox")!, join(root, "bin")]);
    for (const applet of ["sh", "ls", "id"]) symlinkSync("busybox", join(root, "bin", applet));
    Bun.spawnSync(["chown", "-R", "-h", `${user().uid}:${user().uid}`, root]);
    for (const how of [{}, single]) {
      const script = "id -u; ls /; echo x >/kept";
      expect(output(script, ["--rootfs", `${root}:O`], how)).toBe("0\nbin\ndev\netc\nproc\nsys\n");
      expect(readdirSync(root)).not.toContain("kept");
      expect(inside(script, ["--rootfs", root, "--read-only"], how).stderr).toContain(
        "Read-only file system",
      );
    }
    expect(output("echo x >/kept", ["--rootfs", root])).toBe("");
    expect(readdirSync(root)).toContain("kept");
  });
});

describe("what a plain user cannot have is told", () => {
  const last = (ran: Ran): string => ran.stderr.trimEnd();
  live("--privileged is root of the user namespace, without the host's devices", () => {
    const ran = inside("mount -t tmpfs x /mnt && ls /dev/pts && grep CapEff /proc/self/status", [
      "--privileged",
    ]);
    expect(ran.status).toBe(0);
    expect(last(ran)).toBe(
      "nsk run: --privileged: all capabilities, over what is its user namespace's own; the host's devices stay out",
    );
  });
  live("a device is the host's node with its own rights", () => {
    const ran = inside("head -c 1 /dev/z | wc -c; echo x >/dev/z", ["--device", "/dev/zero:/dev/z:r"]);
    expect(ran).toMatchObject({ status: 0, stdout: "1\n" });
    expect(last(ran)).toStartWith(
      "nsk run: --device /dev/zero:/dev/z:r: a plain user's container has the rights",
    );
  });
  live("nodes cannot be made", () => {
    expect(inside("mknod /x c 1 3", ["--cap-add", "MKNOD"]).stderr).toContain("Operation not permitted");
  });
  live("a limit on itself that only root raises", () => {
    const ran = inside("true", ["--ulimit", "nofile=100000000"]);
    expect([ran.status, last(ran)]).toEqual([
      125,
      "nsk run: set RLIMIT_NOFILE failed: Operation not permitted\nhint: a hard limit is raised by root outside alone",
    ]);
    expect(inside("true", ["--oom-score-adj", "-999"]).stderr).toBe(
      "nsk run: write /proc/self/oom_score_adj failed: Permission denied\nhint: only root may go below what the caller has\n",
    );
    expect(output("cat /proc/self/oom_score_adj", ["--oom-score-adj", "900"])).toBe("900\n");
  });
});

describe("--userns keep-id", () => {
  const kept = ["--userns", "keep-id"];
  live("the user's id is hers inside as well, and she is who the program runs as", () => {
    const { uid, home } = user();
    expect(
      output(`id -u; id -g; echo $HOME; stat -c %u $HOME; touch $HOME/x; stat -c %u $HOME/x`, kept),
    ).toBe(`${uid}\n${uid}\n${home}\n${uid}\n${uid}\n`);
    expect(output("id -u; id -g", ["--userns", "keep-id:uid=1000,gid=7", "-t"])).toBe("1000\r\n7\r\n");
    expect(output("id -u; touch /x; stat -c %u /x", [...kept, "-u", "0"])).toBe("0\n0\n");
  });
  live("takes ranges", () => {
    expect(inside("true", kept, single).stderr).toStartWith("nsk run: user 0 is not among the ids");
  });
  live("other words are refused by name", () => {
    for (const word of ["auto", "nomap", "private", "container:x", "keep-id:size=3"])
      expect(inside("true", ["--userns", word])).toMatchObject({
        status: 125,
        stderr: expect.stringContaining(word),
      });
    expect(output("id -u", ["--userns", "host"])).toBe("0\n");
  });
});

const networked = testNeeding(...NEEDS, "pasta", "slirp4netns", "ip", "busybox");

describe("a network that a program provides", () => {
  const how: How = { network: true };
  const running = (): string[] =>
    readdirSync("/proc").filter((pid) => {
      try {
        return /^\d+$/.test(pid) && statSync(`/proc/${pid}`).uid === user().uid;
      } catch {
        return false; // it has ended
      }
    });
  /** The name and the session of a process, undefined when it has ended. */
  const statOf = (pid: string): { name: string; session: string } | undefined => {
    try {
      const [, name, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))!;
      return { name: name!, session: rest!.split(" ")[3]! };
    } catch {
      return undefined;
    }
  };
  /** What is said to the host's port 8080 of loopback, from inside by `address`. */
  const asks = (network: string, address: string): Ran => {
    const server = "echo answer | timeout 20 busybox nc -l -p 8080 >/dev/null 2>&1 &";
    const listens = "until grep -q ':1F90 0*:0000 0A' /proc/net/tcp*; do sleep 0.02; done;";
    // The end of what is asked comes behind the answer: older programs lose what follows it.
    return inside(`sleep 0.7 | timeout 20 busybox nc -w 3 ${address} 8080`, ["--network", network], {
      ...how,
      before: `${server} ${listens}`,
    });
  };
  for (const [network, device, resolver] of [
    ["pasta", "out", "169.254.1.1"],
    ["slirp4netns", "tap0", "10.0.2.3"],
    ["slirp4netns:cidr=10.9.8.0/24", "tap0", "10.9.8.3"],
    ["pasta:--ns-ifname,net0,--dns-forward,192.0.2.9", "net0", "192.0.2.9"],
  ] as const)
    networked(`${network}: an address, a route and a resolver, and nothing is left`, async () => {
      const script = `ls /sys/class/net; ip -4 -o addr show dev ${device} | wc -l; ip route | grep -c default; grep nameserver /etc/resolv.conf`;
      for (const ids of [{}, single]) {
        const all = { ...how, ...ids };
        const devices = [device, "lo"].toSorted((one, other) => (one < other ? -1 : 1)).join("\n");
        expect(output(script, ["--network", network], all).replace("out\nlo", "lo\nout")).toBe(
          `${devices.replace("out\nlo", "lo\nout")}\n1\n1\nnameserver ${resolver}\n`,
        );
      }
      await until("all have ended", () => running().length === 0);
      expect(readdirSync(join(user().runtime, "nsk"))).not.toContain(expect.stringContaining(".pid"));
    });
  networked("--dns is what counts in resolv.conf", () => {
    expect(
      output("grep nameserver /etc/resolv.conf", ["--network", "pasta", "--dns", "192.0.2.7"], how),
    ).toBe("nameserver 192.0.2.7\n");
  });
  networked("the host's loopback is out of reach, unless it is asked for", () => {
    expect(asks("pasta:--map-gw", "192.0.2.1").stdout).toBe("answer\n");
    expect(asks("slirp4netns:allow_host_loopback=true", "10.0.2.2").stdout).toBe("answer\n");
    expect(asks("pasta", "192.0.2.1").stdout).toBe("");
    expect(asks("slirp4netns", "10.0.2.2").stdout).toBe("");
  });
  networked("ends with a supervisor that is killed", async () => {
    for (const network of ["pasta", "slirp4netns"]) {
      const script = "echo up; sleep 100";
      const words = [user().binary, "run", "--network", network, "--", "sh", "-c", script];
      const child = Bun.spawn(user().words(words, how), {
        stdin: "ignore",
        stdout: "pipe",
        stderr: "inherit",
      });
      expect(new TextDecoder().decode((await child.stdout.getReader().read()).value)).toBe("up\n");
      // Ctrl-C at the caller's terminal is for the container to take, and not for its network.
      const own = statOf(String(child.pid))!.session;
      const others = running().flatMap((pid) => statOf(pid) ?? []);
      expect(others.filter(({ session }) => session !== own).length).toBeGreaterThan(2);
      expect(others.filter(({ name }) => name === network).map(({ session }) => session)).not.toContain(own);
      child.kill("SIGKILL");
      await until("all have ended", () => running().length === 0);
    }
  });
  networked("in the background nobody of it holds what the caller waits for", async () => {
    const nskIn = (...words: string[]): Ran => user().run([user().binary, ...words], how);
    for (const network of ["pasta", "slirp4netns"]) {
      const started = nskIn(
        "run",
        "-d",
        "--rm",
        "--name",
        "in-background",
        "--network",
        network,
        "sleep",
        "100",
      );
      expect(started).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(/^[0-9a-f]{12}\n$/),
        stderr: "",
      });
      expect(nskIn("kill", "in-background").status).toBe(0);
      await until("all have ended", () => running().length === 0);
    }
    expect(nskIn("run", "-d", "--network", "pasta:--nonsense", "true")).toMatchObject({
      status: 125,
      stdout: "",
      stderr: "nsk run: pasta gives no network; without -d it says why\n",
    });
  });
  networked("what the program says of its failure is told, and there is no container", () => {
    const ran = inside("echo ran", ["--network", "slirp4netns:cidr=10.0.0.0/32"], how);
    expect(ran).toMatchObject({ status: 125, stdout: "" });
    expect(ran.stderr).toBe(
      "prefix length needs to be 1-25\nnsk run: slirp4netns has ended, and the container's network with it\n",
    );
  });
  live("options that are none, and programs that are not there, are told before", () => {
    expect(inside("true", ["--network", "slirp4netns:port_handler=x"]).stderr).toStartWith(
      "nsk run: invalid --network slirp4netns option 'port_handler=x'\n",
    );
    expect(inside("true", ["--network", "bridge"]).stderr).toStartWith(
      "nsk run: --network bridge: nsk run has",
    );
  });
  networked("a program that is not there is told, with the package that has it", () => {
    const before = `mount --bind /dev/null ${Bun.which("pasta")!}`;
    expect(inside("true", ["--network", "pasta"], { before })).toMatchObject({
      status: 125,
      stderr: "nsk run: --network pasta: pasta is not there\nhint: apt install passt\n",
    });
  });
});

const withBusybox = testNeeding(...NEEDS, "busybox", "tar");

describe("images", () => {
  /** The tar of a root with a file of user 5's, which nobody else may look at, and a device. */
  const archive = (): string => {
    const [root, file] = [join(scratch, "image"), join(user().home, "image.tar")];
    if (existsSync(file)) return file;
    mkdirSync(join(root, "bin"), { recursive: true });
    mkdirSync(join(root, "own"));
    Bun.spawnSync(["cp", Bun.which("busybox")!, join(root, "bin")]);
    for (const applet of ["sh", "ls", "id", "stat", "cat", "rm", "mkdir"])
      symlinkSync("busybox", join(root, "bin", applet));
    writeFileSync(join(root, "own/file"), "x");
    chownSync(join(root, "own/file"), 5, 6);
    chownSync(join(root, "own"), 5, 6);
    chmodSync(join(root, "own"), 0o700);
    chmodSync(join(root, "own/file"), 0o4711);
    Bun.spawnSync(["tar", "cf", file, "-C", root, "."]);
    chownSync(file, user().uid, user().uid);
    return file;
  };
  const layers = (): string[] => readdirSync(join(user().home, ".local/share/nsk/layers"));
  const nskAs = (how: How, ...words: string[]): Ran => user().run([user().binary, ...words], how);
  withBusybox("keep their owners with ranges, and go as a whole", () => {
    expect(nskAs({}, "import", archive(), "box")).toMatchObject({
      status: 0,
      stdout: "docker.io/library/box:latest\n",
      stderr: "",
    });
    const script = ["stat", "-c", "%u:%g %a", "/own/file", "/own", "/bin"];
    expect(nskAs({}, "run", "box", ...script)).toMatchObject({
      stdout: "5:6 4711\n5:6 700\n0:0 755\n",
      stderr: "",
    });
    expect(nskAs({}, "run", "-u", "5", "box", "cat", "/own/file").stdout).toBe("x");
    expect(nskAs({}, "run", "-u", "7", "box", "cat", "/own/file").stderr).toContain("Permission denied");
    // What is removed and made anew hides what the image has there.
    expect(nskAs({}, "run", "box", "sh", "-c", "rm -r /own; mkdir /own; ls /own").stdout).toBe("");
    expect(nskAs({}, "images", "-q").stdout).toMatch(/^[0-9a-f]{12}\n$/);
    expect(nskAs({}, "run", "--userns", "keep-id", "box", "id").stderr).toContain(
      "the files of an image belong to",
    );
    expect(nskAs({}, "rmi", "box")).toMatchObject({ status: 0, stderr: "" });
    expect(layers()).toEqual([]);
  });
  withBusybox("are all the user's without ranges, which is told", () => {
    const ran = nskAs(single, "import", archive(), "box");
    expect(ran).toMatchObject({
      status: 0,
      stderr:
        "nsk import: 2 files of other users are root's, as there are no ids for these: see nsk doctor, subid\n",
    });
    expect(nskAs(single, "run", "box", "stat", "-c", "%u:%g", "/own/file").stdout).toBe("0:0\n");
    expect(nskAs(single, "rmi", "box").status).toBe(0);
    expect(layers()).toEqual([]);
  });
  withBusybox("come by run itself with their owners, too", () => {
    const ran = nskAs({}, "run", "--image", archive(), "--", "stat", "-c", "%u:%g", "/own/file");
    expect(ran).toMatchObject({ status: 0, stdout: "5:6\n", stderr: "" });
    const [id = ""] = nskAs({}, "images", "-q").stdout.split("\n");
    expect(nskAs({}, "rmi", id).status).toBe(0);
  });
});

describe("root of a user namespace", () => {
  const { words, before } = {
    words: (unshare: readonly string[], ...nsk: readonly string[]): string[] => [
      user().binary,
      "unshare",
      "-Ur",
      ...unshare,
      user().binary,
      ...nsk,
    ],
    // What a machine has there is root's alone.
    before: "mount -t tmpfs -o mode=755 tmpfs /run; mkdir -m 700 /run/nsk",
  };
  live("has a container with all ids that the namespace has", () => {
    const script = `id -u; ${MAP}; chown 7:8 /tmp; stat -c %u:%g /tmp`;
    const ran = user().run(words(["--map-auto"], "run", "--", "sh", "-c", script), { before });
    expect(ran).toMatchObject({
      status: 0,
      stdout: `0\n 0 0 1\n 1 1 ${RANGE.count - 1}\n7:8\n`,
      stderr: "",
    });
  });
  live("with one id, where setgroups is denied", () => {
    const run = (...options: string[]): Ran =>
      user().run(words([], "run", ...options, "--", "cat", "/proc/self/setgroups"), { before });
    expect(run()).toMatchObject({ status: 0, stdout: "deny\n", stderr: "" });
    expect(run("-u", "5").stderr).toContain("hint: this is root of a user namespace, which has no others\n");
  });
  live("has records and images where the user has them", () => {
    const list = user().run(words([], "ps", "-a", "--json"), { before });
    expect(list).toMatchObject({ status: 0, stdout: expect.stringContaining('"containers": []') });
    const images = user().run(words([], "images", "-q"), { before });
    expect(images).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });
});

describe("its life", () => {
  const words = (...them: string[]): string[] => user().words([user().binary, ...them]);
  const recorded = (): string[] =>
    readdirSync(user().runtime).includes("nsk")
      ? readdirSync(join(user().runtime, "nsk")).filter((name) => /^[0-9a-f]{12}$/.test(name))
      : [];
  live("ps -a, stop and kill see it by name, whoever it runs as; nothing is left", async () => {
    for (const [name, end] of [
      ["one", ["stop", "-t", "0"]],
      ["two", ["kill"]],
    ] as const) {
      const child = Bun.spawn(words("run", "-u", "1000", "--name", name, "--", "sleep", "100"), {
        stdin: "ignore",
        stdout: "inherit",
        stderr: "inherit",
      });
      await until(`${name} is listed`, () => user().nsk("ps", "-a").stdout.includes(` ${name}\n`));
      expect(user().nsk(...end, name)).toMatchObject({ status: 0, stdout: `${name}\n`, stderr: "" });
      expect(await child.exited).toBe(137);
      expect(recorded()).toEqual([]);
    }
  });
  live("it ends with a supervisor that is killed, and the next run removes its record", async () => {
    const child = Bun.spawn(words("run", "-u", "1000", "--name", "lost", "--", "sleep", "100"), {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "inherit",
    });
    await until("lost is listed", () => user().nsk("ps", "-a").stdout.includes(" lost\n"));
    child.kill("SIGKILL");
    await child.exited;
    output("true");
    expect(recorded()).toEqual([]);
  });
  live("exit statuses are docker's", () => {
    for (const [script, status] of [
      ["exit 7", 7],
      ["kill -9 $$", 0],
      ["nowhere-to-be-found", 127],
    ] as const)
      expect(inside(`sh -c '${script}'`).status).toBe(status || 137);
    expect(user().nsk("run", "nowhere-to-be-found", "x").status).toBeGreaterThan(0);
  });
});

describe("the directory of records", () => {
  const tmp = (): string => `/tmp/nsk-${user().uid}`;
  const here: How = { env: { XDG_RUNTIME_DIR: "" } };
  live("is made in /tmp, for the user alone, where there is no runtime directory", () => {
    const script = `${user().binary} run -- true && stat -c '%u %a' ${tmp()}`;
    // The program lies in /tmp, too.
    const before = `mkdir -p /mnt; mount --bind ${scratch} /mnt; mount -t tmpfs -o mode=1777 tmpfs /tmp; mount -t tmpfs tmpfs /run`;
    const ran = user().run(["sh", "-c", script.replaceAll(user().binary, "/mnt/nsk")], { ...here, before });
    expect(ran).toMatchObject({ status: 0, stdout: `${user().uid} 700\n`, stderr: "" });
  });
  const attacks: readonly (readonly [title: string, made: string, said: RegExp])[] = [
    ["that somebody else has made", "mkdir -m 777 $D", /is not this user's alone/],
    ["that others may write to", "mkdir $D; chmod 777 $D; chown $U $D", /is not this user's alone/],
    [
      "that is a link, also to one of her own",
      "mkdir -m 700 /tmp/x; chown $U /tmp/x; ln -s x $D",
      /is no directory/,
    ],
    ["that is a file", "touch $D; chown $U $D", /is no directory/],
  ];
  for (const [title, made, said] of attacks)
    live(`is not one ${title}: nothing is written there, and no record in it is believed`, () => {
      const D = tmp();
      // A record that names a process of hers, with a group to be removed.
      const record = `[ -d $D ] && { echo "{\\"name\\":\\"bait\\",\\"command\\":[]}" >$D/0123456789ab; cat /proc/$$/stat >>$D/0123456789ab; }; true`;
      const before = `mkdir -p /mnt; mount --bind ${scratch} /mnt; mount -t tmpfs -o mode=1777 tmpfs /tmp; mount -t tmpfs tmpfs /run; D=${D} U=${user().uid}; ${made}; ${record}`;
      const how = { ...here, before };
      const ran = user().run(["/mnt/nsk", "run", "--", "true"], how);
      expect(ran.status).toBe(125);
      expect(ran.stderr).toMatch(said);
      expect(user().run(["/mnt/nsk", "ps", "-a", "--json"], how).stdout).toContain('"containers": []');
      expect(user().run(["/mnt/nsk", "kill", "bait"], how).status).toBe(1);
    });
  live("is not in root's runtime directory, after su", () => {
    expect(output("echo fine", [], { env: { XDG_RUNTIME_DIR: "/run/user/0" } })).toBe("fine\n");
    expect(readdirSync("/tmp")).toContain(`nsk-${user().uid}`);
    removeScratch(tmp());
  });
});
