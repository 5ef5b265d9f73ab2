// The disks that guests start from. Each is an ext4 file system made from a directory without mounting anything, kept
// until what it is made of changes. Guests write to a throwaway layer over it.

import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { isRoot, root } from "../setup.ts";
import { cache, fetchKernel, type Kernel, keep, librariesOf, must, program, realFile } from "./components.ts";

/** The built program that guests get: dist/nsk, or the file that NSK_BINARY names. */
export const nsk = process.env.NSK_BINARY ?? join(root, "dist/nsk");

export interface Disk {
  readonly name: string;
  /** Megabytes. */
  readonly size: number;
  /** Files that it is made of besides: when one changes, the disk is made anew. */
  readonly from: readonly string[];
  readonly fill: (tree: string) => void;
}

const init = join(import.meta.dir, "init.sh");

/** alice has a range of ids for user namespaces of her own, bob has none. */
const ACCOUNTS = {
  "etc/passwd": [
    "root:x:0:0:root:/root:/bin/sh",
    "daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin",
    "alice:x:1000:1000::/home/alice:/bin/sh",
    "bob:x:1001:1001::/home/bob:/bin/sh",
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
  ],
  "etc/group": ["root:x:0:", "daemon:x:1:", "tty:x:5:", "alice:x:1000:", "bob:x:1001:", "nogroup:x:65534:"],
  "etc/subuid": ["alice:100000:65536"],
  "etc/subgid": ["alice:100000:65536"],
};

const write = (tree: string, path: string, text: string, mode = 0o644): void => {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
};

const copy = (tree: string, from: string, to: string): void => {
  const file = join(tree, to);
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  copyFileSync(from, file);
};

/** A program with its libraries. */
export const install = (tree: string, from: string, to = from): void => {
  copy(tree, from, to);
  chmodSync(join(tree, to), 0o755);
  for (const library of librariesOf(from)) copy(tree, realFile(library), library);
};

/** A program with libraries that nobody else finds, so that the machine still has no libc: started by its own loader. */
const installAlone = (tree: string, from: string): void => {
  const name = basename(from);
  const place = `usr/lib/${name}`;
  copy(tree, from, `${place}/program`);
  for (const library of librariesOf(from)) {
    // The loader has the program's name, by which killall knows it.
    const isLoader = /\/ld-[^/]*$/.test(library);
    copy(tree, realFile(library), isLoader ? `${place}/${name}` : `${place}/${basename(library)}`);
    if (isLoader) chmodSync(join(tree, place, name), 0o755);
  }
  write(
    tree,
    `usr/bin/${name}`,
    `#!/bin/sh\nexec /${place}/${name} --library-path /${place} /${place}/program "$@"\n`,
    0o755,
  );
};

/** What the guest's first process needs, on whatever disk: itself, busybox, modules, places to mount on, users' homes. */
export const installInit = (tree: string, kernel: Kernel): void => {
  write(tree, "init", readFileSync(init, "utf8"), 0o755);
  copy(tree, program("busybox"), "bin/busybox");
  chmodSync(join(tree, "bin/busybox"), 0o755);
  for (const module of kernel.modules) copy(tree, module, `lib/guest-modules/${basename(module)}`);
  write(tree, "lib/guest-modules/order", kernel.modules.map((module) => `${basename(module)}\n`).join(""));
  for (const name of ["dev", "proc", "sys", "run", "tmp", "mnt", "root", "home/alice", "home/bob"])
    mkdirSync(join(tree, name), { recursive: true });
  for (const [path, lines] of Object.entries(ACCOUNTS)) {
    // A Debian has accounts of its own.
    const file = join(tree, path);
    const old = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    const own = lines.filter((line) => !old.some((it) => it.startsWith(`${line.split(":")[0]}:`)));
    write(tree, path, [...old.filter(Boolean), ...own].join("\n") + "\n");
  }
};

/** nsk, a static busybox, stress-ng and ip, and nothing else: not even a libc. */
export const minimalDisk = (kernel: Kernel): Disk => ({
  // A guest with an older kernel has a disk of its own.
  name: `minimal-${basename(kernel.image)}`,
  size: 192,
  from: [nsk, kernel.image, program("busybox"), program("stress-ng"), program("ip")],
  fill: (tree) => {
    mkdirSync(join(tree, "bin"), { recursive: true });
    installInit(tree, kernel);
    for (const applet of must([program("busybox"), "--list"]).split("\n"))
      if (applet && applet !== "busybox") symlinkSync("busybox", join(tree, "bin", applet));
    for (const name of ["stress-ng", "ip"]) installAlone(tree, program(name));
    install(tree, nsk, "usr/local/bin/nsk");
  },
});

/** What nsk is compared with, as Debian has it, and what its tests need besides. */
const PEERS = [
  "util-linux",
  "mount",
  "util-linux-extra",
  "cgroup-tools",
  "runc",
  "crun",
  "bubblewrap",
  "podman",
  "strace",
  "procps",
  "uidmap",
];

/** The release of Debian that this machine has, or the one that the kernel's and the programs' packages are of. */
const release = (): string =>
  /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";

/** A Debian with these packages, in a directory of the cache: a minute's work, done once. */
const debianTree = (kind: string, packages: readonly string[]): string => {
  const name = `${kind}-${release()}-${Bun.hash(packages.join(" ")).toString(16)}`;
  const tree = join(cache, name);
  if (existsSync(tree)) return tree;
  return keep(name, (made) => {
    const include = `--include=${packages.join(",")}`;
    must([program("mmdebstrap"), "--quiet", "--mode=root", "--variant=apt", include, release(), made]);
  });
};

const SYSTEMD = [
  "systemd",
  "systemd-sysv",
  "dbus",
  "dbus-user-session",
  "libpam-systemd",
  "util-linux",
  "uidmap",
];

/** A Debian that systemd can start, with a manager for alice. Made by root alone. */
export const systemdDisk = (kernel: Kernel): Disk => ({
  name: "systemd",
  size: 800,
  from: [nsk, kernel.image],
  fill: (tree) => {
    must(["cp", "-al", `${debianTree("systemd", SYSTEMD)}/.`, tree]);
    installInit(tree, kernel);
    install(tree, nsk, "usr/local/bin/nsk");
    // PAM lets in nobody without a line there; "*" is no password.
    const shadow = readFileSync(join(tree, "etc/shadow"), "utf8");
    write(tree, "etc/shadow", `${shadow}alice:*:19000:0:99999:7:::\n`, 0o640);
  },
});

/** What of the project its tests need, in the guest's {@link PROJECT}. */
const PARTS = ["src", "tests", "scripts", "package.json", "bunfig.toml", "tsconfig.json"];
const DEPENDENCIES = ["citty", "consola", "tar", "yallist", "chownr", "minipass", "minizlib", "@isaacs"];

/** Where the project is in a guest that has it. */
export const PROJECT = "/nsk";

/** A Debian with the tools that nsk mirrors, Bun and the project, to run its tests there. Made by root alone. */
export const peersDisk = (kernel: Kernel): Disk => {
  const files = PARTS.flatMap((part) =>
    statSync(join(root, part)).isDirectory()
      ? [...new Bun.Glob("**/*").scanSync(join(root, part))].map((file) => join(root, part, file))
      : [join(root, part)],
  );
  return {
    name: "peers",
    size: 1600,
    from: [nsk, kernel.image, process.execPath, join(root, "bun.lock"), ...files],
    fill: (tree) => {
      must(["cp", "-al", `${debianTree("peers", PEERS)}/.`, tree]);
      installInit(tree, kernel);
      install(tree, nsk, "usr/local/bin/nsk");
      install(tree, process.execPath, "usr/local/bin/bun");
      mkdirSync(join(tree, PROJECT, "node_modules"), { recursive: true });
      const modules = DEPENDENCIES.map((name) => `node_modules/${name}`);
      for (const part of [...PARTS, ...modules])
        must(["cp", "-a", join(root, part), join(tree, PROJECT, part)]);
    },
  };
};

/** Fetches and makes all that guests are made of, so that tests in parallel need not wait for one another. */
export const prepareGuests = (): void => {
  const kernel = fetchKernel();
  diskFile(minimalDisk(kernel));
  if (isRoot()) for (const disk of [peersDisk, systemdDisk]) diskFile(disk(kernel));
};

/** The file of a disk, made anew when it is not there or what it is made of has changed. */
export const diskFile = ({ name, size, from, fill }: Disk): string => {
  const file = join(cache, `${name}.ext4`);
  const key = [init, import.meta.path, join(import.meta.dir, "components.ts"), ...from]
    .map((path) => {
      const { size, mtimeMs, ino } = statSync(path);
      return `${path} ${size} ${mtimeMs} ${ino}\n`;
    })
    .join("");
  const keyFile = `${file}.key`;
  if (existsSync(file) && existsSync(keyFile) && readFileSync(keyFile, "utf8") === key) return file;
  mkdirSync(cache, { recursive: true });
  // Beside the trees that it may be made of, so that their files can be linked.
  const scratch = mkdtempSync(join(cache, ".filling-"));
  chmodSync(scratch, 0o755);
  try {
    fill(scratch);
    keep(basename(file), (made) => {
      writeFileSync(made, "");
      truncateSync(made, size * 2 ** 20);
      const options = ["-q", "-t", "ext4", "-O", "^has_journal,^metadata_csum", "-E", "root_owner=0:0"];
      must(["mke2fs", ...options, "-m0", "-b", "4096", "-d", scratch, made, `${size}M`]);
    });
    keep(basename(keyFile), (made) => writeFileSync(made, key));
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return file;
};
