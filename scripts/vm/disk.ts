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
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { root } from "../setup.ts";
import { cache, type Kernel, keep, librariesOf, must, program, realFile } from "./components.ts";

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
    // A Debian has accounts of its own: ours come in front of them, and the first of a name counts.
    const file = join(tree, path);
    const old = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
    const own = lines.filter((line) => !old.some((it) => it.startsWith(`${line.split(":")[0]}:`)));
    write(tree, path, [...old.filter(Boolean), ...own].join("\n") + "\n");
  }
};

/** nsk, a static busybox and stress-ng with the libraries that they name, and nothing else. */
export const minimalDisk = (kernel: Kernel): Disk => ({
  name: "minimal",
  size: 192,
  from: [nsk, kernel.image, program("busybox"), program("stress-ng")],
  fill: (tree) => {
    mkdirSync(join(tree, "bin"), { recursive: true });
    installInit(tree, kernel);
    for (const applet of must([program("busybox"), "--list"]).split("\n"))
      if (applet && applet !== "busybox") symlinkSync("busybox", join(tree, "bin", applet));
    install(tree, program("stress-ng"), "usr/bin/stress-ng");
    install(tree, nsk, "usr/local/bin/nsk");
  },
});

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
  const scratch = mkdtempSync(join(tmpdir(), "nsk-disk-"));
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
