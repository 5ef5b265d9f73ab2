// Layers on the disk: the same tree as GNU tar makes, overlayfs's form of whiteouts, and archives that want out.

import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Limits } from "../../src/images/archive.ts";
import { cleanPath, isAllowed, placeOf, unpackLayer } from "../../src/images/layer.ts";
import { openInRoot, walk } from "../../src/images/tree.ts";
import { close, open, syscall, address } from "../../src/sys/linux.ts";
import { cString } from "../../src/abi/bytes.ts";
import { testNeeding } from "../support/needs.ts";
import { debianRoot, NEEDS } from "./debian-root.ts";
import { gzipped, type Member, tarOf } from "./tar.ts";

const asRoot = testNeeding("root");
const besideTar = testNeeding("root", "tar", "python3");

const scratch = mkdtempSync(join(tmpdir(), "nsk-unpack-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
let count = 0;
const fresh = (): string => {
  const path = join(scratch, `${++count}`);
  mkdirSync(path);
  return path;
};

async function* pieces(bytes: Uint8Array, size = 10_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const root = { owners: true, devices: true, overlay: "trusted" } as const;
const plain = { owners: false, devices: false, overlay: "user" } as const;

const unpackBytes = async (bytes: Uint8Array, powers: typeof root | typeof plain = root, limits?: Limits) => {
  const directory = fresh();
  const fd = open(directory, 0);
  try {
    return { directory, ...(await unpackLayer(pieces(bytes), fd, powers, limits ? { limits } : {})) };
  } finally {
    close(fd);
  }
};

const unpack = (...members: Member[]) => unpackBytes(tarOf(...members));

/** What an unpacking failed with. */
const failure = async (attempt: Promise<unknown>): Promise<string> =>
  attempt.then(
    () => "it went well",
    (error) => String(error.message),
  );

const attribute = (path: string, name: string): string | undefined => {
  const what = cString(name);
  const fd = open(path, 0);
  const value = new Uint8Array(100);
  const length = syscall("fgetxattr", fd, address(what), address(value), value.length);
  close(fd);
  return length >= 0 ? new TextDecoder("latin1").decode(value.subarray(0, length)) : undefined;
};

/** The attributes that a tree of these tests may have. */
const attributes = (path: string): string =>
  ["user.x", "security.capability"]
    .map((name) => [name, attribute(path, name)])
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(" ");

const isWhiteout = (path: string): boolean => {
  const found = lstatSync(path);
  return found.isCharacterDevice() && found.rdev === 0;
};

describe("a tree is the same as GNU tar makes it", () => {
  /** Everything of a tree that counts, a line for each file. */
  const listing = (directory: string): string[] => {
    const lines: string[] = [];
    const inodes = new Map<number, string>();
    const visit = (path: string, name: string): void => {
      const it = lstatSync(path, { bigint: true });
      const first = inodes.get(Number(it.ino)) ?? name;
      inodes.set(Number(it.ino), first);
      const content = it.isSymbolicLink()
        ? readlinkSync(path)
        : it.isFile()
          ? `${it.size} ${Bun.hash(readFileSync(path))} ${attributes(path)}`
          : it.isDirectory()
            ? attributes(path)
            : `${it.rdev}`;
      const time = it.isDirectory() && name === "." ? 0n : it.mtimeNs;
      lines.push(`${name} ${it.mode.toString(8)} ${it.uid}:${it.gid} ${time} ${first} ${content}`);
      if (it.isDirectory())
        for (const inner of readdirSync(path).sort()) visit(`${path}/${inner}`, `${name}/${inner}`);
    };
    visit(directory, ".");
    return lines;
  };

  const makeTree = (): string => {
    const tree = fresh();
    const script = `
import os
os.chdir(${JSON.stringify(tree)})
os.makedirs("d/e")
open("d/f", "w").write("content")
os.link("d/f", "d/hard")
os.symlink("f", "d/soft")
os.symlink("t" * 150, "d/long")
os.makedirs("d/" + "q" * 90 + "/" + "r" * 90)
open("d/" + "q" * 90 + "/" + "r" * 90 + "/file", "w").write("deep")
os.mknod("d/null", 0o020666, os.makedev(1, 3))
os.mkfifo("d/pipe")
os.chmod("d/f", 0o4755)
os.chown("d/e", 12, 34)
os.chmod("d/e", 0o3711)
os.setxattr("d/f", "user.x", b"\\x00\\xffa\\n=b")
for name, pieces in ("few", 3), ("many", 60):
    with open("d/sparse-" + name, "wb") as f:
        for i in range(pieces):
            f.seek(i * 50000)
            f.write(b"x%d" % i * 2000)
        f.truncate(pieces * 50000 + 12345)
os.utime("d/f", ns=(0, 1234567890123456789))
os.utime("d/e", ns=(0, 1000000000000000000))
`;
    const { exitCode, stderr } = Bun.spawnSync(["python3", "-c", script], { stderr: "pipe" });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    return tree;
  };

  let made: string | undefined;
  /** An archive of that tree. */
  const pack = (options: readonly string[]): string => {
    const tree = (made ??= makeTree());
    const archive = join(scratch, `${++count}.tar`);
    const { exitCode, stderr } = Bun.spawnSync(["tar", ...options, "-cf", archive, "-C", tree, "."], {
      stderr: "pipe",
    });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    return archive;
  };

  /** Unpacks by tar and by nsk; nsk's tree. */
  const compare = async (archive: string): Promise<string> => {
    const theirs = fresh();
    const words = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf", archive, "-C", theirs];
    const { exitCode, stderr } = Bun.spawnSync(["tar", ...words], { stderr: "pipe" });
    expect([exitCode, stderr.toString()]).toEqual([0, ""]);
    const { directory } = await unpackBytes(readFileSync(archive));
    expect(listing(directory)).toEqual(listing(theirs));
    return directory;
  };

  testNeeding("root", ...NEEDS)(
    "a Debian root, or one made here where Debian cannot be reached",
    async () => {
      const debian = debianRoot();
      if (!debian) return void (await compare(pack(["--format=posix", "--xattrs"])));
      const lines = listing(await compare(debian));
      // What there is to be got wrong is there: setuid programs, a file's capabilities, hard links, devices.
      for (const [what, least] of [
        [/ 1047\d\d /, 3],
        [/ security\.capability=/, 1],
        [/^(\S+) 100\S+ \S+ \S+ (?!\1 )/, 1],
        [/^\.\/dev\/\S+ 2/, 5],
      ] as const)
        expect([what, lines.filter((line) => what.test(line)).length >= least]).toEqual([what, true]);
    },
    300_000,
  );

  for (const options of [
    "--format=gnu",
    "--format=gnu --sparse",
    "--format=posix --sparse --xattrs",
    "--format=posix --sparse --sparse-version=0.0",
    "--format=posix --sparse --sparse-version=0.1",
    "--format=ustar --exclude=long",
    "--format=posix --gzip",
    "--format=posix --zstd",
  ])
    besideTar(`tar ${options}`, async () => {
      const directory = await compare(pack(options.split(" ")));
      // 60 pieces of 4 to 6 KB in a file of 3 MB.
      if (options.includes("--sparse"))
        expect(statSync(join(directory, "d/sparse-many")).blocks * 512).toBeLessThan(1_500_000);
    });

  asRoot("the digest is that of the archive without its compression", async () => {
    const archive = tarOf({ name: "a", content: "a" });
    const { diffId, size } = await unpackBytes(gzipped(archive));
    expect(diffId).toBe(`sha256:${new Bun.CryptoHasher("sha256").update(archive).digest("hex")}`);
    expect(size).toBe(1);
  });

  asRoot("names that are no UTF-8 stay what they are, with and without an extended header", async () => {
    const { directory } = await unpack(
      { name: "x", content: "long", pax: { path: Uint8Array.of(0x70, 0xff) } },
      { name: "caf\u00e9", content: "short" },
    );
    const names = readdirSync(directory, { encoding: "buffer" }).map((name) => name.toString("latin1"));
    expect(names.sort()).toEqual([Buffer.from("caf\u00e9").toString("latin1"), "p\xff"].sort());
  });

  asRoot("several gzip members are one stream", async () => {
    const archive = tarOf({ name: "a", content: "x".repeat(5000) });
    const both = Buffer.concat([gzipped(archive.subarray(0, 1000)), gzipped(archive.subarray(1000))]);
    expect(readFileSync(join((await unpackBytes(both)).directory, "a"), "utf8")).toBe("x".repeat(5000));
  });

  asRoot("the last entry of a name counts", async () => {
    const { directory } = await unpack(
      { name: "a", content: "first" },
      { name: "d/", type: "5" },
      { name: "d/inner", content: "gone" },
      { name: "a/", type: "5", mode: 0o755 },
      { name: "d", content: "a file now" },
      { name: "a/b", content: "below" },
    );
    expect(readFileSync(join(directory, "a/b"), "utf8")).toBe("below");
    expect(readFileSync(join(directory, "d"), "utf8")).toBe("a file now");
  });
});

describe("more directories than are open at once", () => {
  const many = Array.from({ length: 150 }, (_, i) => i);
  const directory = (i: number, more: Partial<Member> = {}): Member => ({
    name: `d${i}/`,
    type: "5",
    mode: 0o755,
    mtime: 1_000_000 + i,
    uid: i,
    gid: i,
    ...more,
  });
  asRoot(
    "keep the time that their entries say, whatever is made in them later, also through a link",
    async () => {
      const { directory: root } = await unpack(
        ...many.map((i) => directory(i)),
        ...many.map((i) => ({ name: `d${i}/file`, content: `${i}` })),
        ...many.map((i) => ({ name: `l${i}`, type: "2", target: `d${i}` })),
        ...many.map((i) => ({ name: `l${i}/through`, content: `${i}` })),
        ...many.flatMap((i) => [{ name: `d${i}/.wh.gone` }, { name: `l${(i * 7) % 150}/.wh.also` }]),
      );
      for (const i of many) {
        const { mtimeMs, uid, gid } = statSync(join(root, `d${i}`));
        expect([i, mtimeMs / 1000, uid, gid]).toEqual([i, 1_000_000 + i, i, i]);
        expect(readdirSync(join(root, `d${i}`)).sort()).toEqual(["also", "file", "gone", "through"]);
      }
    },
  );
  asRoot("are reached by hard links from one to the other", async () => {
    const { directory: root } = await unpack(
      ...many.flatMap((i) => [directory(i), { name: `d${i}/file`, content: `${i}` }]),
      // One directory for some, two for the others: whichever is the one too many.
      ...many.flatMap((i) => [
        { name: `e${i}/link`, type: "1", target: `d${(i * 7) % 150}/file` },
        ...(i % 10 ? [] : [{ name: `f${i}/file`, content: "" }]),
      ]),
    );
    for (const i of many) expect(readFileSync(join(root, `e${i}/link`), "utf8")).toBe(`${(i * 7) % 150}`);
  });
  asRoot(
    "hand no group and no rule on to what is made in them, and may be closed to their owner",
    async () => {
      const { directory: root } = await unpack(
        directory(0, { mode: 0o2775, gid: 77 }),
        directory(1, { mode: 0o500 }),
        ...many.slice(2).map((i) => directory(i)),
        { name: "d0/file", content: "" },
        { name: "d0/inner/", type: "5", mode: 0o755 },
        { name: "d1/file", content: "" },
      );
      const look = (name: string): string => {
        const { mode, gid, mtimeMs } = statSync(join(root, name));
        return `${name} ${(mode & 0o7777).toString(8)} ${gid} ${mtimeMs / 1000}`;
      };
      expect(["d0", "d0/file", "d0/inner", "d1"].map(look)).toEqual([
        "d0 2775 77 1000000",
        "d0/file 644 0 0",
        "d0/inner 755 0 0",
        "d1 500 1 1000001",
      ]);
    },
  );
});

describe("whiteouts take overlayfs's form", () => {
  asRoot("a whiteout is a character device 0/0", async () => {
    const { directory } = await unpack({ name: "etc/.wh.passwd" });
    expect(isWhiteout(join(directory, "etc/passwd"))).toBe(true);
    expect(readdirSync(join(directory, "etc"))).toEqual(["passwd"]);
  });
  asRoot("an opaque directory has its attribute, whether it comes before or behind", async () => {
    const { directory } = await unpack(
      { name: "a/.wh..wh..opq" },
      { name: "a/", type: "5", mode: 0o700 },
      { name: "b/", type: "5", mode: 0o755 },
      { name: "b/.wh..wh..opq" },
    );
    expect(attribute(join(directory, "a"), "trusted.overlay.opaque")).toBe("y");
    expect(attribute(join(directory, "b"), "trusted.overlay.opaque")).toBe("y");
    expect(readdirSync(join(directory, "a"))).toEqual([]);
    expect(statSync(join(directory, "a")).mode & 0o777).toBe(0o700);
  });
  asRoot("a whiteout beside a directory of the same layer makes that opaque, in both orders", async () => {
    const { directory } = await unpack(
      { name: ".wh.a" },
      { name: "a/", type: "5", mode: 0o755 },
      { name: "b/", type: "5", mode: 0o755 },
      { name: ".wh.b" },
    );
    for (const name of ["a", "b"])
      expect(attribute(join(directory, name), "trusted.overlay.opaque")).toBe("y");
  });
  asRoot("a file of the same layer wins over its whiteout, in both orders", async () => {
    const { directory } = await unpack(
      { name: ".wh.a" },
      { name: "a", content: "a" },
      { name: "b", content: "b" },
      { name: ".wh.b" },
    );
    expect([readFileSync(join(directory, "a"), "utf8"), readFileSync(join(directory, "b"), "utf8")]).toEqual([
      "a",
      "b",
    ]);
  });
  asRoot("a device that no number of the kernel's names", async () => {
    const node: Member = { name: "n", type: "3", device: [0o7777777, 0] };
    expect(await failure(unpack(node))).toBe("n: there is no device 2097151:0");
  });
  asRoot("aufs's notes are left out", async () => {
    expect(
      readdirSync((await unpack({ name: ".wh..wh.plnk/", type: "5" }, { name: ".wh..wh.aufs" })).directory),
    ).toEqual([]);
  });
});

describe("names", () => {
  test.each([
    ["a/b", "a/b"],
    ["./a/b/", "a/b"],
    ["/etc/passwd", "etc/passwd"],
    ["./", ""],
    [".", ""],
    ["/", ""],
    ["a//b/./c", "a/b/c"],
    ["..a/b..", "..a/b.."],
    [".//a", "a"],
  ])("%s is %s", (name, path) => expect(cleanPath(name)).toBe(path));
  test.each(["..", "../a", "a/../b", "a/..", "./..", "/..", "a\0b"])("%p is refused", (name) =>
    expect(() => cleanPath(name)).toThrow("bad archive"),
  );
  test.each([
    ["a/.wh.b", { kind: "whiteout", path: "a/b" }],
    [".wh.b", { kind: "whiteout", path: "b" }],
    ["a/.wh..wh..opq", { kind: "opaque", path: "a" }],
    [".wh..wh..opq", { kind: "opaque", path: "" }],
    [".wh..wh.orph", { kind: "nothing" }],
    ["a.wh.b", { kind: "entry", path: "a.wh.b" }],
    ["a/.wh/b", { kind: "entry", path: "a/.wh/b" }],
  ] as const)("%s", (name, place) => expect(placeOf(name)).toEqual(place));
  test.each([".wh.", ".wh..", ".wh...", "a/.wh.", "a/.wh..", "a/.wh..."])(
    "the whiteout %s, which hides what is not below it, is refused",
    (name) => expect(() => placeOf(name)).toThrow("bad archive: the whiteout"),
  );
});

describe("no archive gets out", () => {
  /** The directory that the root lies in, with a file that nobody may touch. */
  const secret = join(scratch, "secret");
  const stays = async (...members: Member[]): Promise<string> => {
    writeFileSync(secret, "untouched");
    const said = await failure(unpack(...members));
    expect(readFileSync(secret, "utf8")).toBe("untouched");
    expect(statSync(secret).nlink).toBe(1);
    expect(existsSync(join(scratch, "evil"))).toBe(false);
    return said;
  };

  asRoot("../ in a name", async () => {
    expect(await stays({ name: "../evil", content: "x" })).toBe(
      "bad archive: '../evil' leads out of the root",
    );
    expect(await stays({ name: "a/../../evil", content: "x" })).toContain("leads out");
    expect(await stays({ name: "x", pax: { path: "../evil" } })).toContain("leads out");
  });
  asRoot("an absolute name lies below the root", async () => {
    const { directory } = await unpack({ name: secret, content: "inside" });
    expect(readFileSync(join(directory, secret), "utf8")).toBe("inside");
  });
  asRoot("a symbolic link and a file through it", async () => {
    // As in docker: the link leads within the root, where there is no such directory.
    await stays({ name: "l", type: "2", target: scratch }, { name: "l/evil", content: "x" });
    await stays({ name: "l", type: "2", target: "../.." }, { name: "l/secret", content: "x" });
    await stays({ name: "l", type: "2", target: secret }, { name: "l", content: "x" });
    await stays(
      { name: "a", type: "2", target: ".." },
      { name: "a/b", type: "2", target: ".." },
      { name: "a/b/evil", content: "x" },
    );
  });
  asRoot("a link that leads within the root is followed", async () => {
    const { directory } = await unpack(
      { name: "usr/lib/", type: "5", mode: 0o755 },
      { name: "lib", type: "2", target: "/usr/lib" },
      { name: "lib/x", content: "x" },
    );
    expect(readFileSync(join(directory, "usr/lib/x"), "utf8")).toBe("x");
  });
  asRoot("a magic link of /proc", async () => {
    const said = await stays(
      { name: "l", type: "2", target: "/proc/self/cwd" },
      { name: "l/evil", content: "x" },
    );
    expect(said).toContain("failed");
    expect(existsSync("evil")).toBe(false);
  });
  asRoot("a hard link to a file of the host", async () => {
    expect(await stays({ name: "h", type: "1", target: "../secret" })).toContain("leads out");
    expect(await stays({ name: "h", type: "1", target: secret })).toContain("No such file");
    expect(
      await stays({ name: "l", type: "2", target: scratch }, { name: "h", type: "1", target: "l/secret" }),
    ).toContain("No such file");
    // A link to a link, and then written to: the link is replaced, not followed.
    await stays(
      { name: "l", type: "2", target: secret },
      { name: "h", type: "1", target: "l" },
      { name: "h", content: "x" },
    );
  });
  asRoot("attributes and owners of what a link leads to", async () => {
    await stays({ name: "l", type: "2", target: secret, uid: 1234, mode: 0o777 });
    expect(statSync(secret).uid).toBe(0);
    await stays({ name: "d", type: "2", target: scratch }, { name: "d/", type: "5", uid: 1234 });
    expect(statSync(scratch).uid).toBe(0);
  });
  asRoot("a whiteout and an opaque mark through a link", async () => {
    await stays({ name: "l", type: "2", target: scratch }, { name: "l/.wh.secret" });
    await stays({ name: "l", type: "2", target: scratch }, { name: "l/.wh..wh..opq" });
    expect(attribute(scratch, "trusted.overlay.opaque")).toBeUndefined();
  });
  asRoot("overlayfs's own attributes are not taken", async () => {
    const { directory } = await unpack({
      name: "f",
      content: "x",
      pax: {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.metacopy": "",
        "SCHILY.xattr.user.kept": "yes",
      },
    });
    expect(attribute(join(directory, "f"), "trusted.overlay.redirect")).toBeUndefined();
    expect(attribute(join(directory, "f"), "trusted.overlay.metacopy")).toBeUndefined();
    expect(attribute(join(directory, "f"), "user.kept")).toBe("yes");
  });
  test.each([
    ["user.x", true],
    ["security.capability", true],
    ["system.posix_acl_access", true],
    ["user.overlay.opaque", false],
    ["trusted.overlay.opaque", false],
    ["trusted.x", false],
    ["security.ima", false],
  ])("the attribute %s is taken: %p", (name, taken) => expect(isAllowed(name)).toBe(taken));

  asRoot("without openat2 no link on the way is followed at all", () => {
    const directory = fresh();
    mkdirSync(join(directory, "real/inner"), { recursive: true });
    Bun.spawnSync(["ln", "-s", "real", join(directory, "link")]);
    Bun.spawnSync(["ln", "-s", scratch, join(directory, "out")]);
    const fd = open(directory, 0);
    const opens = (path: string, how: typeof walk): boolean => {
      const opened = how(fd, path, 0);
      if (opened >= 0) close(opened);
      return opened >= 0;
    };
    expect([
      opens("real/inner", walk),
      opens("link/inner", walk),
      opens("out/secret", walk),
      opens("../secret", walk),
    ]).toEqual([true, false, false, false]);
    expect([opens("link/inner", openInRoot), opens("out", openInRoot)]).toEqual([true, false]);
    close(fd);
  });
});

describe("what is a plain user's", () => {
  asRoot("device nodes are left out and counted, whiteouts are made", async () => {
    const archive = tarOf(
      { name: "sda", type: "4", device: [8, 0] },
      { name: "null", type: "3", device: [1, 3] },
      { name: "f", content: "x", uid: 12 },
      { name: ".wh.gone" },
      { name: "d/.wh..wh..opq" },
    );
    const { directory, leftOut } = await unpackBytes(archive, plain);
    expect(leftOut).toBe(2);
    expect(readdirSync(directory).sort()).toEqual(["d", "f", "gone"]);
    expect(statSync(join(directory, "f")).uid).toBe(process.getuid!());
    expect(isWhiteout(join(directory, "gone"))).toBe(true);
    expect(attribute(join(directory, "d"), "user.overlay.opaque")).toBe("y");
  });
});

describe("archives that are too much, or none", () => {
  asRoot("more entries than there may be", async () => {
    const archive = tarOf(...Array.from({ length: 11 }, (_, i) => ({ name: `${i}` })));
    expect(await failure(unpackBytes(archive, root, { entries: 10, size: 1000 }))).toBe(
      "bad archive: more than 10 entries",
    );
  });
  asRoot("more bytes than there may be, also as a hole", async () => {
    const limits = { entries: 10, size: 1000 };
    expect(await failure(unpackBytes(tarOf({ name: "a", content: "x".repeat(1001) }), root, limits))).toBe(
      "bad archive: more than 1000 bytes when unpacked",
    );
    const hole = tarOf({ name: "a", pax: { "GNU.sparse.size": "999999999999", "GNU.sparse.map": "" } });
    expect(await failure(unpackBytes(hole, root, limits))).toContain("more than 1000 bytes");
  });
  // A gigabyte of zeros behind the archive, which is digested only: what takes memory is the decompression alone.
  const zeros = new Uint8Array(2 ** 24);
  test.each([
    ["gzip", gzipped(zeros)],
    ["zstd", Bun.zstdCompressSync(zeros)],
  ])("a gigabyte of zeros by %s goes through bounded memory", async (_, packed) => {
    const archive = tarOf();
    const first = packed[0] === 0x1f ? gzipped(archive) : Bun.zstdCompressSync(archive);
    const bomb = Buffer.concat([first, ...Array.from({ length: 2 ** 30 / zeros.length }, () => packed)]);
    expect(bomb.length).toBeLessThan(2 ** 21);
    const before = process.memoryUsage().rss;
    let most = 0;
    const watched = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(bomb, 4096)) {
        most = Math.max(most, process.memoryUsage().rss);
        yield piece;
      }
    };
    const fd = open(fresh(), 0);
    await unpackLayer(watched(), fd, plain).finally(() => close(fd));
    expect(most - before).toBeLessThan(150 * 2 ** 20);
  });
  asRoot("a header of more than a megabyte", async () => {
    const pax = { comment: "x".repeat(2 ** 20) };
    expect(await failure(unpack({ name: "a", pax }))).toContain("a header of");
  });
  asRoot("what follows the archive's end is digested and nothing else", async () => {
    const archive = Buffer.concat([tarOf({ name: "a" }), tarOf({ name: "b" }), new Uint8Array(5_000_000)]);
    const { directory } = await unpackBytes(archive);
    expect(readdirSync(directory)).toEqual(["a"]);
  });
  asRoot("no archive, half an archive, damaged compression", async () => {
    const archive = tarOf({ name: "a", content: "x".repeat(3000) });
    expect(await failure(unpackBytes(Buffer.from("x".repeat(2000))))).toBe(
      "bad archive: this is no tar archive",
    );
    expect(await failure(unpackBytes(archive.subarray(0, 1500)))).toBe("bad archive: it ends too early");
    expect(await failure(unpackBytes(gzipped(archive).subarray(0, 40)))).toContain("damaged gzip data");
    expect(await failure(unpackBytes(gzipped(gzipped(archive))))).toContain("compressed twice");
    expect(await failure(unpackBytes(Buffer.from("BZh91AY")))).toContain("compressed by bzip2");
  });
  asRoot("sparse maps that lie", async () => {
    const sparse = (map: string, size: string, content: string): Promise<string> =>
      failure(unpack({ name: "a", content, pax: { "GNU.sparse.size": size, "GNU.sparse.map": map } }));
    expect(await sparse("0,5", "3", "abcde")).toContain("makes no sense");
    expect(await sparse("5,2,0,2", "9", "abcd")).toContain("makes no sense");
    expect(await sparse("0,2", "9", "abcd")).toContain("does not fit");
    expect(await sparse("0,-2", "9", "abcd")).toContain("makes no sense");
  });
});
