// What guests are made of: a Debian kernel that is unpacked but not installed, with the modules that guests load, and
// programs with their libraries. All of it comes from Debian packages.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { root } from "../setup.ts";

/** What is made once and kept: the kernel and the disks. */
export const cache = join(root, "node_modules/.cache/vm");

/** Programs of Debian packages that a guest needs, on this machine or inside. */
const programs = {
  "qemu-system-x86_64": "qemu-system-x86",
  mke2fs: "e2fsprogs",
  depmod: "kmod",
  busybox: "busybox-static",
  "stress-ng": "stress-ng",
  ip: "iproute2",
  setpriv: "util-linux",
} as const;

/** Loaded by every guest, with what they depend on: what containers and their networks are made of. */
const MODULES = ["overlay", "veth", "bridge", "nf_tables", "nft_chain_nat", "nft_masq", "nf_nat"];

/** The package that depends on the newest kernel there is. */
const METAPACKAGE = "linux-image-cloud-amd64";

const path = `${process.env.PATH}:/usr/sbin:/sbin`;

/** The absolute path of a program; throws where it is not installed. */
export const program = (name: string): string => {
  const found = Bun.which(name, { PATH: path });
  if (!found) throw new Error(`${name} is not installed`);
  return found;
};

/** Runs a command that must succeed; what it printed. */
export const must = (words: readonly string[], cwd = root): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...words], {
    cwd,
    env: { ...process.env, PATH: path, LC_ALL: "C" },
    stdin: "ignore",
    stderr: "pipe",
  });
  if (exitCode !== 0) throw new Error(`${words.join(" ")} failed (${exitCode})\n${stderr}`);
  return stdout.toString();
};

/** Makes a directory or file of the cache under another name first, so that nobody ever finds it half-made. */
export const keep = (name: string, make: (path: string) => void): string => {
  const path = join(cache, name);
  mkdirSync(cache, { recursive: true });
  const scratch = mkdtempSync(join(cache, ".making-"));
  try {
    const made = join(scratch, basename(name));
    make(made);
    try {
      renameSync(made, path);
    } catch (error) {
      // Somebody else was quicker, with the same directory.
      if (!["ENOTEMPTY", "EEXIST"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return path;
};

/** An older Debian that kernels can be taken from, besides this machine's own. */
export type Release = "bullseye";

/** Where this machine's own Debian comes from: older ones are kept beside it. */
const archive = (): string => {
  const format = "$(REPO_URI) $(LABEL) $(COMPONENT)";
  const targets = must(["apt-get", "indextargets", "--format", format, "Created-By: Packages"]).split("\n");
  const own = targets.find((line) => line.endsWith(" Debian main"));
  if (!own) throw new Error("apt has no lists of Debian's main archive; as root: apt-get update");
  return own.split(" ")[0]!;
};

/** Options of apt for a release that this machine's lists do not have: lists of its own, fetched once. */
const aptOptions = (release: Release | undefined): string[] => {
  if (release === undefined) return [];
  const optionsIn = (directory: string): string[] =>
    [
      `Dir::Etc::SourceList=${directory}/sources.list`,
      "Dir::Etc::SourceParts=/dev/null",
      `Dir::State::Lists=${directory}/lists`,
      `Dir::Cache=${directory}/cache`,
    ].flatMap((option) => ["-o", option]);
  const name = `apt-${release}`;
  if (!existsSync(join(cache, name)))
    keep(name, (made) => {
      mkdirSync(join(made, "lists/partial"), { recursive: true });
      mkdirSync(join(made, "cache/archives/partial"), { recursive: true });
      const signed = "signed-by=/usr/share/keyrings/debian-archive-keyring.gpg";
      writeFileSync(join(made, "sources.list"), `deb [${signed}] ${archive()} ${release} main\n`);
      // Lists that could not be fetched are no failure for apt otherwise.
      must(["apt-get", ...optionsIn(made), "-o", "APT::Update::Error-Mode=any", "update", "-qq"]);
    });
  return optionsIn(join(cache, name));
};

/** `linux-image-VERSION-cloud-amd64`, the newest that apt knows of; undefined where it knows of none. */
const newestKernel = (options: readonly string[] = []): string | undefined => {
  if (!Bun.which("apt-cache")) return undefined;
  const { stdout } = Bun.spawnSync(["apt-cache", ...options, "depends", METAPACKAGE], { stderr: "ignore" });
  return /Depends: (linux-image-\S+-cloud-amd64)/.exec(stdout.toString())?.[1];
};

export interface Kernel {
  readonly image: string;
  /** Files of modules, in the order in which they can be loaded. */
  readonly modules: readonly string[];
}

/** The newest kernel of this machine's Debian, or of an older one, unpacked in the cache. */
export const fetchKernel = (release?: Release): Kernel => {
  const options = aptOptions(release);
  const name = newestKernel(options);
  if (!name) throw new Error(`apt does not know ${METAPACKAGE}; as root: apt-get update`);
  let directory = join(cache, name);
  if (!existsSync(directory)) {
    directory = keep(name, (made) => {
      mkdirSync(made);
      must(["apt-get", ...options, "download", "-qq", name], made);
      const [deb] = [...new Bun.Glob("*.deb").scanSync(made)];
      must(["dpkg", "-x", join(made, deb!), made]);
      rmSync(join(made, deb!));
      must(["depmod", "-b", made, name.replace("linux-image-", "")]);
    });
  }
  const version = name.replace("linux-image-", "");
  return { image: join(directory, `boot/vmlinuz-${version}`), modules: inOrder(directory, version) };
};

/** Each module behind those that it depends on, from the table that depmod made. @see modules.dep(5) */
const inOrder = (directory: string, version: string): string[] => {
  const base = join(directory, "lib/modules", version);
  const needed = new Map<string, readonly string[]>();
  for (const line of readFileSync(join(base, "modules.dep"), "utf8").split("\n")) {
    const [file, ...needs] = line.split(/:? +|:$/).filter(Boolean);
    if (file) needed.set(file, needs);
  }
  const order: string[] = [];
  const add = (file: string): void => {
    for (const other of needed.get(file) ?? []) add(other);
    if (!order.includes(file)) order.push(file);
  };
  for (const name of MODULES) {
    // One that is not there is built into this kernel.
    const file = [...needed.keys()].find((it) => basename(it).replace(/\.ko.*$/, "") === name);
    if (file) add(file);
  }
  return order.map((file) => join(base, file));
};

/** A dynamically linked program's libraries and its loader, as the paths by which it asks for them. @see ldd(1) */
export const librariesOf = (file: string): string[] => {
  const { stdout } = Bun.spawnSync(["ldd", file], { stderr: "ignore" });
  return [...stdout.toString().matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, library]) => library!);
};

/** The real file behind a library's path, since links into other directories do not come along. */
export const realFile = (file: string): string => {
  try {
    return realpathSync(file);
  } catch (error) {
    throw new Error(`${file} in ${dirname(file)} leads nowhere`, { cause: error });
  }
};

/** What is missing on this machine for guests to be booted, and how to get it; undefined when nothing is. */
export const missingForGuests = (): string | undefined => {
  const absent = Object.entries(programs).filter(([name]) => !Bun.which(name, { PATH: path }));
  if (absent.length > 0) {
    const packages = [...new Set(absent.map(([, name]) => name))].join(" ");
    return `needs ${absent.map(([name]) => name).join(", ")}: apt-get install ${packages}`;
  }
  const name = newestKernel();
  return name ? undefined : `needs the package ${METAPACKAGE} in apt's lists: apt-get update`;
};
