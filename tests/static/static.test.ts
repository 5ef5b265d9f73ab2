// One file that needs no libc: roots that have none, a wrong one or another, and what the runtime says where it cannot
// start. Each root is made here and entered by chroot(1); what needs another kernel is in the guests.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { compile } from "../../scripts/compile.ts";
import { readGlibc } from "../../scripts/link/glibc.ts";
import { linkStatic } from "../../scripts/link/link.ts";
import { elfHash, PLACES } from "../../scripts/link/linker.ts";
import { root as project } from "../../scripts/setup.ts";
import { needs, testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";

const arch = process.arch === "arm64" ? "arm64" : "x64";
const rooted = testNeeding("root", "busybox", "unshare", "chroot", "setpriv");
const scratch = mkdtempSync(join(tmpdir(), "nsk-static-"));
const inside = join(scratch, "inside");
const glibc = () => readGlibc(arch, join(project, "node_modules/.cache"));

beforeAll(() => {
  // A plain user must get to the roots.
  chmodSync(scratch, 0o755);
  compile({
    entry: join(import.meta.dir, "inside.ts"),
    outfile: inside,
    link: (file) => linkStatic(file, glibc()),
  });
});
afterAll(() => rmSync(scratch, { recursive: true }));

let count = 0;

/** A root directory with nsk, the program of the tests, a static busybox, and files by their paths. */
const makeRoot = (files: Readonly<Record<string, string | Buffer>> = {}): string => {
  const root = join(scratch, `root-${++count}`);
  const put = (path: string, content: string | Buffer) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content, { mode: 0o755 });
  };
  for (const directory of ["proc", "bin", "tmp"]) mkdirSync(join(root, directory), { recursive: true });
  copyFileSync(nsk, join(root, "nsk"));
  copyFileSync(inside, join(root, "inside"));
  copyFileSync(Bun.which("busybox")!, join(root, "bin/busybox"));
  for (const [path, content] of Object.entries(files)) put(path, content);
  return root;
};

/** Runs a command line of busybox's sh in a root, in a mount namespace of its own with /proc there. */
const runIn = (root: string, script: string, before = ""): Ran =>
  runCommand(
    [
      ...["unshare", "-fpm", "sh", "-c"],
      `mount -t proc proc "$0/proc" || exit; ${before} exec chroot "$0" /bin/busybox sh -c "$1"`,
      root,
      script,
    ],
    { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
    "alone",
  );

const linker = PLACES[arch].linker;
const libc = PLACES[arch].libc[0]!;
const hostLinker = needs(linker) ? undefined : readFileSync(linker);
const hostLibc = needs(libc) ? undefined : readFileSync(libc);

/** A libc that does not define the version that is needed: as it was before that version. */
const oldLibc = (): Buffer => {
  const file = Buffer.from(hostLibc!);
  const hash = Buffer.from(Uint32Array.of(elfHash("GLIBC_2.17")).buffer);
  for (let at = file.indexOf(hash); at >= 0; at = file.indexOf(hash, at + 4)) file.writeUInt32LE(1, at);
  return file;
};

/** Roots by what they have in the places of a C library, and whether it is one for nsk. */
const roots: readonly [title: string, fits: boolean, files: () => Record<string, string | Buffer>][] = [
  ["nothing but the file and busybox", false, () => ({})],
  ["musl alone", false, () => ({ "lib/ld-musl-x86_64.so.1": readFileSync("/lib/ld-musl-x86_64.so.1") })],
  ["the glibc of this machine's build", true, () => ({ [linker]: hostLinker!, [libc]: hostLibc! })],
  [
    "a libc from before the version that is needed",
    false,
    () => ({ [linker]: hostLinker!, [libc]: oldLibc() }),
  ],
  ["a dynamic linker and no libc", false, () => ({ [linker]: hostLinker! })],
  ["a libc and no dynamic linker", false, () => ({ [libc]: hostLibc! })],
  [
    "a libc without the libraries that belong to it",
    false,
    () => ({ [linker]: hostLinker!, [libc]: hostLibc! }),
  ],
  ["a libc that is cut off", false, () => ({ [linker]: hostLinker!, [libc]: hostLibc!.subarray(0, 700) })],
  ["an empty libc", false, () => ({ [linker]: hostLinker!, [libc]: "" })],
  ["a dynamic linker that is text", false, () => ({ [linker]: "#!/bin/sh\n", [libc]: hostLibc! })],
  [
    "a dynamic linker of the other processor",
    false,
    () => ({ [linker]: otherMachine(hostLinker!), [libc]: hostLibc! }),
  ],
];

const otherMachine = (file: Buffer): Buffer => {
  const out = Buffer.from(file);
  out.writeUInt16LE(arch === "x64" ? 183 : 62, 0x12);
  return out;
};

describe("a root with", () => {
  for (const [title, fits, files] of roots)
    testNeeding(
      "root",
      "busybox",
      "chroot",
      linker,
      libc,
      "/lib/ld-musl-x86_64.so.1",
    )(title, () => {
      const root = makeRoot(files());
      if (fits)
        for (const name of ["libm.so.6", "libpthread.so.0", "libdl.so.2"])
          copyFileSync(join(dirname(libc), name), join(root, dirname(libc), name));
      expect(runIn(root, "/nsk unshare -u /bin/busybox echo here")).toMatchObject({
        status: 0,
        stdout: "here\n",
        stderr: "",
      });
      expect(runIn(root, "/inside linked").stdout).toBe(`${fits ? "this machine's" : "embedded"}\n`);
      rmSync(root, { recursive: true });
    });
  testNeeding(
    "root",
    "strace",
    linker,
    libc,
  )("a fitting glibc: that one is used, and nothing embedded", () => {
    const traced = runCommand(["strace", "-e", "trace=openat,memfd_create", nsk, "--version"]).stderr;
    expect(traced).toContain(`openat(AT_FDCWD, "${linker}", O_RDONLY|O_CLOEXEC)`);
    expect(traced).not.toContain("memfd_create");
  });
});

describe("with no libc at all", () => {
  let bare: string;
  beforeAll(() => void (bare = makeRoot()));

  for (const [mode, expected] of [
    ["lookup", "127.0.0.1"],
    ["fetch", "answered"],
    ["worker", "42"],
    ["spawn", "spawned"],
    ["libc", "true"],
    ["libm", "5"],
    ["time", "1970"],
  ] as const)
    rooted(`the runtime works: ${mode}`, () => {
      mkdirSync(join(bare, "etc"), { recursive: true });
      writeFileSync(join(bare, "etc/hosts"), "127.0.0.1 localhost\n");
      const ran = runIn(bare, `/inside ${mode}`);
      expect(ran).toMatchObject({ status: 0, stdout: `${expected}\n`, stderr: "" });
    });
  rooted("a script runs, and the programs that it starts", () => {
    writeFileSync(
      join(bare, "tmp/hello.ts"),
      `import { run, type Output } from "nsk";
       const { stdout, stderr }: Output = await run(["/bin/busybox", "hostname"], { hostname: "inside" });
       console.log(stdout.trim(), stderr);`,
    );
    const ran = runIn(
      bare,
      "cd /tmp && /nsk script hello.ts",
      'mkdir -p "$0/dev"; mknod "$0/dev/null" c 1 3;',
    );
    expect(ran).toMatchObject({ status: 0, stdout: "inside \n", stderr: "" });
    rmSync(join(bare, "dev"), { recursive: true });
  });
  rooted("the environment that a program gets is the caller's, LD_ and BUN_ too", () => {
    const script =
      "LD_PRELOAD=/no LD_LIBRARY_PATH=/ LDX=1 LD=2 BUN_OPTIONS=x BUN_BE_BUN=1 /nsk unshare -u /bin/busybox env";
    const { stdout, stderr } = runIn(bare, script);
    expect(stderr).toBe("");
    for (const word of [
      "LD_PRELOAD=/no",
      "LD_LIBRARY_PATH=/",
      "LDX=1",
      "LD=2",
      "BUN_OPTIONS=x",
      "BUN_BE_BUN=1",
    ])
      expect(stdout.split("\n")).toContain(word);
  });
  rooted("a program gets the caller's descriptors and no other", () => {
    const { stdout } = runIn(bare, "/nsk unshare -u /bin/busybox ls /proc/self/fd 7</nsk 9>/tmp/x");
    expect(stdout.split("\n").filter((fd) => Number(fd) > 2).length).toBe(3); // 7, 9, and the directory
  });
  for (const [what, script, before = ""] of [
    ["16 descriptors at most", "ulimit -n 16; /nsk --version"],
    [
      "standard input, output and error closed",
      "exec 0<&- 1>&- 2>&-; /nsk --version; echo $? >/tmp/closed",
      // The runtime opens it in their place.
      'mkdir "$0/dev"; mknod "$0/dev/null" c 1 3;',
    ],
    ["no /dev", "/nsk --version"],
    ["a read-only root", "/nsk --version", `mount --rbind "$0" "$0"; mount -o remount,bind,ro "$0";`],
    [
      "vm.memfd_noexec=2",
      "/nsk --version && /nsk unshare -u /bin/busybox true",
      "echo 2 >/proc/sys/vm/memfd_noexec;",
    ],
  ] as const)
    rooted(`starts with ${what}`, () => {
      expect(runIn(bare, script, before)).toMatchObject({ status: 0, stderr: "" });
      if (what.includes("closed")) expect(readFileSync(join(bare, "tmp/closed"), "utf8")).toBe("0\n");
    });
});

describe("the file itself", () => {
  const user = ["setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"];
  rooted("may be one that cannot be read", () => {
    const root = makeRoot();
    chmodSync(join(root, "nsk"), 0o711);
    expect(runCommand([...user, join(root, "nsk"), "--version"])).toMatchObject({ status: 0, stderr: "" });
    // A user enters a root in a user namespace, where the file still is not the user's.
    const entered =
      'mount -t proc proc "$0/proc" && cat "$0/nsk" >/dev/null; exec chroot "$0" /nsk --version';
    const ran = runCommand([...user, "unshare", "-Urfpm", "sh", "-c", entered, root]);
    expect(ran.stderr).toMatch(/Permission denied\n$/); // cat's
    expect(ran).toMatchObject({ status: 0, stdout: runCommand([nsk, "--version"]).stdout });
    rmSync(root, { recursive: true });
  });
  rooted("may be one that is deleted meanwhile", () => {
    const root = makeRoot();
    const ran = runIn(
      root,
      "exec 8</nsk; /bin/busybox rm /nsk; /proc/self/fd/8 unshare -u /bin/busybox echo on",
    );
    expect(ran).toMatchObject({ status: 0, stdout: "on\n", stderr: "" });
    rmSync(root, { recursive: true });
  });
  testNeeding("file")("is statically linked, says file(1)", () => {
    expect(runCommand(["file", "-b", nsk]).stdout).toMatch(
      /^ELF 64-bit LSB executable, .*, statically linked, /,
    );
  });
  testNeeding("ldd")("is not dynamic, says ldd(1)", () => {
    expect(runCommand(["ldd", nsk])).toMatchObject({ status: 1, stderr: "\tnot a dynamic executable\n" });
  });
  test("carries the licences of what is embedded", () => {
    const { stdout, status } = runCommand([nsk, "--licenses"]);
    expect(status).toBe(0);
    expect(stdout).toContain("GNU LESSER GENERAL PUBLIC LICENSE");
    expect(stdout).toContain("GNU C Library");
    expect(stdout).toContain("MIT License");
  });
  test("is at most 4 MB larger than what Bun made", () => {
    const glibcBytes = glibc().libraries.reduce(
      (sum, { bytes }) => sum + bytes.length,
      glibc().linker.length,
    );
    expect(glibcBytes).toBeLessThan(4e6);
    expect(statSync(nsk).size).toBeGreaterThan(glibcBytes);
  });
});

describe("where the runtime cannot start it says why in one line", () => {
  test("too few addresses", () => {
    const ran = runCommand(["sh", "-c", 'ulimit -v 2000000; exec "$0" --version', nsk]);
    expect(ran).toMatchObject({ status: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^nsk: there is no room for \d+ MB of addresses.*\nhint: ulimit -v .*\n$/);
  });
  test("as many as it needs are enough", () => {
    expect(runCommand(["sh", "-c", 'ulimit -v 2500000; exec "$0" --version', nsk]).status).toBe(0);
  });
  rooted("a standard descriptor that is closed, and no /dev/null", () => {
    const root = makeRoot();
    const ran = runIn(root, "/nsk --version 0<&-");
    expect(ran).toMatchObject({ status: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^nsk: standard input, output or error is closed.*\nhint: .*mknod.*\n$/);
    rmSync(root, { recursive: true });
  });
  testNeeding("qemu-x86_64-static")("a processor without SSE4.2", () => {
    const ran = runCommand(["qemu-x86_64-static", "-cpu", "qemu64", nsk, "--version"]);
    expect(ran).toMatchObject({ status: 1, stdout: "" });
    expect(ran.stderr).toMatch(/^nsk: this processor is too old: it has no SSE4.2\nhint: .*\n$/);
    expect(runCommand(["qemu-x86_64-static", "-cpu", "Nehalem", nsk, "--version"]).status).toBe(0);
  });
});

describe("the build", () => {
  test("fails loudly for a dynamic linker that is laid out otherwise", () => {
    const directory = join(scratch, "other-glibc");
    mkdirSync(directory);
    const { libraries } = glibc();
    for (const { soname, bytes } of libraries) writeFileSync(join(directory, soname), bytes);
    writeFileSync(join(directory, linker.slice(linker.lastIndexOf("/") + 1)), "not a linker");
    expect(() => readGlibc(arch, "unused", directory)).toThrow(
      "does not have /etc/ld.so.preload exactly once",
    );
  });
  test("embeds another glibc when it is told to", () => {
    const directory = dirname(libc);
    const given = readGlibc(arch, "unused", directory);
    expect(given.libraries.map(({ soname }) => soname)).toContain("libc.so.6");
  });
});
