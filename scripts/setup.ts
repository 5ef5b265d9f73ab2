// What a fresh clone on a fresh machine lacks: the dependencies, and Debian packages where root may install them.
// Imports nothing but what Bun has in it, because it runs before there is a node_modules.

import { existsSync } from "node:fs";
import { join } from "node:path";

export const root = join(import.meta.dir, "..");

/** The Debian packages that tests use, each with a program or file by which it is recognised elsewhere. */
const packages = {
  binutils: "objdump",
  "binutils-aarch64-linux-gnu": "aarch64-linux-gnu-objdump",
  bubblewrap: "bwrap",
  "busybox-static": "busybox",
  "cgroup-tools": "cgexec",
  "docker-registry": "docker-registry",
  e2fsprogs: "mke2fs",
  file: "file",
  fish: "fish",
  "groff-base": "groff",
  hyperfine: "hyperfine",
  iproute2: "ip",
  kmod: "depmod",
  "libcap2-bin": "setcap",
  "linux-libc-dev": "/usr/include/linux/sched.h",
  "man-db": "man",
  "linux-libc-dev-armhf-cross": "/usr/arm-linux-gnueabihf/include/asm/unistd.h",
  mmdebstrap: "mmdebstrap",
  musl: "/lib/ld-musl-x86_64.so.1",
  passt: "pasta",
  podman: "podman",
  procps: "ps",
  python3: "python3",
  "qemu-system-x86": "qemu-system-x86_64",
  "qemu-user-static": "qemu-aarch64-static",
  runc: "runc",
  skopeo: "skopeo",
  slirp4netns: "slirp4netns",
  strace: "strace",
  "stress-ng": "stress-ng",
  tmux: "tmux",
  uidmap: "newuidmap",
  "util-linux": "unshare",
  zsh: "zsh",
  zstd: "zstd",
} as const;

export type Package = keyof typeof packages;

export const isRoot = (): boolean => process.geteuid?.() === 0;

/** Runs a command in the project's directory, its output on ours, without a stdin; the exit status. */
export const run = (command: readonly string[], env: Readonly<Record<string, string>> = {}): number =>
  Bun.spawnSync([...command], {
    cwd: root,
    env: { ...process.env, ...env },
    stdin: "ignore",
    stdout: "inherit",
    stderr: "inherit",
  }).exitCode;

/** Brings node_modules to what bun.lock says. Quick when it is so already. */
export const installDependencies = (): void => {
  if (run([process.execPath, "install", "--frozen-lockfile", "--silent"]) !== 0)
    throw new Error("bun install failed: is the package registry reachable?");
};

const isInstalled = (name: Package): boolean => {
  if (Bun.which("dpkg-query")) {
    const query = ["dpkg-query", "-W", "-f", "${db:Status-Status}", name];
    return Bun.spawnSync(query, { stderr: "ignore" }).stdout.toString() === "installed";
  }
  const sign = packages[name];
  return sign.startsWith("/")
    ? existsSync(sign)
    : Bun.which(sign, { PATH: `${process.env.PATH}:/usr/sbin:/sbin` }) !== null;
};

/** Installs the packages that are missing, where this is root's Debian; what is missing in the end. */
export const installPackages = (): Package[] => {
  const absent = () => (Object.keys(packages) as Package[]).filter((name) => !isInstalled(name));
  const missing = absent();
  if (missing.length === 0 || !isRoot() || !Bun.which("apt-get")) return missing;
  console.log(`installing ${missing.join(" ")}`);
  const env = { DEBIAN_FRONTEND: "noninteractive" };
  // A mirror that is briefly out of step with its own index is common enough for a second try.
  for (let attempt = 0; attempt < 2; attempt++) {
    if (run(["apt-get", "update", "-qq"], env) !== 0) continue;
    if (run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", ...missing], env) === 0) break;
  }
  return absent();
};
