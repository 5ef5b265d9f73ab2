// Ways out of a container that others had to close, each tried from inside. Archives and registries are tried in
// tests/images.

import { afterAll, describe, expect } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inside } from "./containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand, runNsk } from "../support/nsk.ts";

const live = testNeeding("root");
const withPerl = testNeeding("root", "perl");
const scratch = mkdtempSync(join(tmpdir(), "nsk-escape-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe("the program that started it", () => {
  const stamp = (): string => JSON.stringify(statSync(nsk, { bigint: true }), (_, it) => String(it));
  live("cannot be overwritten by way of /proc (CVE-2019-5736)", () => {
    const script = `for link in /proc/[0-9]*/exe; do readlink $link; (exec 3>$link) 2>/dev/null && echo "wrote to $link"; done; true`;
    for (const options of [[], ["--init"], ["--privileged", "--init"]]) {
      const before = stamp();
      const { status, stdout } = inside(script, ...options);
      expect(status).toBe(0);
      expect(stdout).not.toContain("wrote to");
      // What is left of nsk in a container is a sealed file without a name, and never nsk's own.
      expect(stdout).not.toContain(nsk);
      // The access time of a file that is run may change.
      expect(before.replace(/"atime\w*":"[^"]*"/g, "")).toBe(stamp().replace(/"atime\w*":"[^"]*"/g, ""));
    }
  });
  live("cannot be run by a program that is /proc/self/exe (the same)", () => {
    const { status, stdout } = runNsk("run", "--", "/proc/self/exe", "--version");
    expect(status).not.toBe(0);
    expect(stdout).not.toContain("nsk");
  });
});

/** On a terminal of its own, whose session the container is not in. */
const onTerminal = (words: readonly string[]): Ran => {
  const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
  return runCommand(["script", "-qec", quoted, "/dev/null"]);
};

describe("the caller's terminal", () => {
  /** TIOCSTI types a letter, TIOCSCTTY takes the terminal over, TIOCLINUX pastes on a console. @see ioctl_tty(2) */
  const script = `my $l = "x"; my $s = pack("C", 3);
    for ([0x5412, $l], [0x540e, 0], [0x541c, $s]) { ioctl(STDOUT, $_->[0], $_->[1]) and print "done " }
    if (open(my $t, "+<", "/proc/self/fd/1")) { ioctl($t, 0x5412, $l) and print "done " }
    print "over\\n"`;
  testNeeding(
    "root",
    "perl",
    "script",
  )("nor does CAP_SYS_ADMIN type into it, or take it over", () => {
    const [number, command] = [process.arch === "x64" ? 16 : 29, 2 ** 32 + 0x5412];
    const more = `${script}; ioctl(STDOUT, 0x540e, 1) and print "stolen "; my $i = "x";
      syscall(${number}, 1, ${command}, $i) == 0 and print "typed "; print "end\\n"`;
    const name = `nsk-escape-${process.pid}`;
    runNsk("run", "-d", "--name", name, "--", "sleep", "1000");
    try {
      for (const options of [
        [],
        ["--security-opt", "seccomp=unconfined"],
        ["-u", "1000"],
        ["--security-opt", "no-new-privileges"],
      ])
        expect(
          onTerminal([nsk, "run", "--cap-add", "SYS_ADMIN", ...options, "perl", "-e", more]).stdout,
        ).toBe("over\r\nend\r\n");
      expect(onTerminal([nsk, "exec", "--privileged", name, "perl", "-e", more]).stdout).toBe(
        "over\r\nend\r\n",
      );
    } finally {
      runNsk("rm", "-f", name);
    }
    // A terminal of its own is the program's to type into.
    expect(onTerminal([nsk, "run", "-it", "--cap-add", "SYS_ADMIN", "perl", "-e", more]).stdout).toContain(
      "done",
    );
  });
  testNeeding(
    "root",
    "perl",
    "script",
  )("takes no letters from a container that it is handed to (TIOCSTI)", () => {
    for (const options of [[], ["-i"], ["-u", "1000"]])
      expect(onTerminal([nsk, "run", ...options, "perl", "-e", script]).stdout).toBe("over\r\n");
  });
});

describe("the control groups' release agent (CVE-2022-0492)", () => {
  live("cannot be set, nor a hierarchy mounted that has one", () => {
    const script = `find /sys/fs/cgroup -name release_agent | while read f; do (echo /x >$f) 2>/dev/null && echo wrote $f; done
      mkdir /m; for o in devices memory cpu rdma none,name=x; do mount -t cgroup -o $o none /m 2>/dev/null && echo mounted; done
      unshare -UrmC true 2>/dev/null && echo namespaces; true`;
    expect(inside(script)).toMatchObject({ status: 0, stdout: "", stderr: "" });
    expect(inside(script, "-u", "1000", "--tmpfs", "/m").stdout).toBe("");
  });
});

describe("the caller's keys", () => {
  withPerl("are not in the container's session keyring", () => {
    // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0)
    const number = process.arch === "x64" ? 250 : 219;
    const ask = ["perl", "-e", `print syscall(${number}, 0, -3, 0)`];
    const outside = runCommand(ask).stdout;
    const { status, stdout } = runNsk("run", "--security-opt", "seccomp=unconfined", "--", ...ask);
    expect(status).toBe(0);
    expect(stdout).not.toBe(outside);
  });
});

describe("the caller's groups", () => {
  testNeeding("root", "setpriv")("stay outside", () => {
    const groups = ["setpriv", "--groups", "4,24,27"];
    for (const [options, expected] of [
      [[], "0\n"],
      [["-u", "1000:1000"], "1000\n"],
    ] as const)
      expect(runCommand([...groups, nsk, "run", ...options, "id", "-G"]).stdout).toBe(expected);
  });
});

describe("what a volume holds", () => {
  testNeeding("root", "busybox")(
    "decides nothing of settings, which are written before it is there (CVE-2025-52881)",
    () => {
      const [root, volume] = [mkdtempSync(join(scratch, "root-")), mkdtempSync(join(scratch, "proc-"))];
      runCommand(["mkdir", "-p", join(root, "bin"), join(volume, "self"), join(volume, "sys/net/ipv4")]);
      runCommand(["cp", Bun.which("busybox")!, join(root, "bin/ls")]);
      // The root has the volume land on /proc or in it, and the volume leads what is written there elsewhere.
      symlinkSync("proc", join(root, "data"));
      for (const file of ["self/oom_score_adj", "sys/net/ipv4/ip_forward"])
        symlinkSync("/x", join(volume, file));
      const options = ["--oom-score-adj", "9", "--sysctl", "net.ipv4.ip_forward=1"];
      const over = runNsk("run", "--rootfs", root, ...options, "-v", `${volume}:/data`, "--", "/bin/ls", "/");
      expect(over).toMatchObject({
        status: 125,
        stderr:
          "nsk run: mount /data failed: Invalid argument\nhint: /data is a link in the root, and nothing is mounted on one\n",
      });
      const within = runNsk(
        "run",
        "--rootfs",
        root,
        ...options,
        "-v",
        `${volume}:/data/fs`,
        "--",
        "/bin/ls",
        "/",
        "/proc/fs",
      );
      expect(within).toMatchObject({ status: 0, stderr: "", stdout: expect.stringContaining("self\n") });
      expect(existsSync(join(root, "x"))).toBe(false);
    },
  );
});

describe("a link that is exchanged while volumes are mounted (CVE-2021-30465)", () => {
  live("leads none of them out of the container", async () => {
    const [volume, outside, inner] = ["volume", "outside", "inner"].map((name) =>
      join(scratch, `exchange-${name}`),
    );
    for (const directory of [join(volume!, "place"), outside!, inner!])
      mkdirSync(directory, { recursive: true });
    writeFileSync(join(inner!, "mine"), "");
    // As another container could do it that has the volume, too.
    const script = `cd ${volume}; ln -s /../../../..${outside} link
      while :; do mv -T place keep; mv -T link place; mv -T place link; mv -T keep place; done`;
    const exchanging = Bun.spawn(["sh", "-c", script], { stdout: "ignore", stderr: "ignore" });
    try {
      const options = ["--rootfs", "/:O", "-v", `${volume}:/vol`, "-v", `${inner}:/vol/place/made`];
      for (let i = 0; i < 20; i++) inside("touch /vol/place/made/written", ...options);
      // Looked up from the host's root, the link would have led here.
      expect(readdirSync(outside!)).toEqual([]);
    } finally {
      exchanging.kill();
      await exchanging.exited;
    }
  });
});
