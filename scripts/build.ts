// `bun run build`: src/main.ts becomes dist/nsk for this machine. With --all: for x86-64 and arm64, glibc and musl,
// and the checksums of the four files. --dynamic and --glibc DIR: see docs/static.md.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { compile } from "./compile.ts";
import { machine } from "./link/elf.ts";
import { readGlibc } from "./link/glibc.ts";
import { linkDynamic, linkStatic } from "./link/link.ts";
import { declarations } from "./types.ts";

const root = join(import.meta.dir, "..");
const dist = join(root, "dist");
const entry = join(root, "src/main.ts");

/** Where packages are kept for the next build. */
const cache = join(root, "node_modules/.cache");

/** The files of a release, and the npm packages that Bun's executables for them come in. */
const targets = [
  { file: "nsk-linux-x64", name: "bun-linux-x64", package: "@oven/bun-linux-x64" },
  { file: "nsk-linux-arm64", name: "bun-linux-arm64", package: "@oven/bun-linux-aarch64" },
  { file: "nsk-linux-x64-musl", name: "bun-linux-x64-musl", package: "@oven/bun-linux-x64-musl" },
  { file: "nsk-linux-arm64-musl", name: "bun-linux-arm64-musl", package: "@oven/bun-linux-aarch64-musl" },
] as const;

/** The pinned Bun: the one in package.json, which bun.lock has the checksums of. */
const pinned = (): { version: string; bun: string } => {
  const { version, devDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return { version, bun: devDependencies.bun };
};

/** The commit that is built, with a `+` where the tree has changes that are in no commit; undefined outside of git. */
const commit = (): string | undefined => {
  const git = (...args: string[]) => {
    const { exitCode, stdout } = Bun.spawnSync(["git", ...args], { cwd: root, stderr: "ignore" });
    return exitCode === 0 ? stdout.toString().trim() : undefined;
  };
  if (!Bun.which("git")) return undefined;
  const hash = git("rev-parse", "--short=7", "HEAD");
  return hash && hash + (git("status", "--porcelain", "--untracked-files=no", "--", "src") ? "+" : "");
};

/** Where bun.lock says what a package's tarball must hash to (Subresource Integrity). */
const integrity = (name: string, version: string): string => {
  const line = readFileSync(join(root, "bun.lock"), "utf8")
    .split("\n")
    .find((line) => line.includes(`["${name}@${version}"`));
  const hash = line && /"(sha512-[A-Za-z0-9+/=]+)"/.exec(line)?.[1];
  if (!hash) throw new Error(`bun.lock has no checksum of ${name}@${version}`);
  return hash;
};

/** Bun's executable out of an npm package, checked against bun.lock, kept for the next build. */
const fetchExecutable = (name: string, version: string): string => {
  const place = join(cache, "bun", version, name.replace("@oven/", ""));
  const executable = join(place, "package/bin/bun");
  if (existsSync(executable)) return executable;
  console.log(`fetching ${name}@${version}`);
  mkdirSync(place, { recursive: true });
  const run = (command: string[]): string => {
    const { exitCode, stdout, stderr } = Bun.spawnSync(command, {
      cwd: place,
      stdin: "ignore",
      stderr: "pipe",
    });
    if (exitCode !== 0) throw new Error(`${command.join(" ")} failed\n${stderr}`);
    return stdout.toString();
  };
  const [{ filename }] = JSON.parse(run(["npm", "pack", "--silent", "--json", `${name}@${version}`]));
  const tarball = join(place, filename);
  const actual = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
  if (actual !== integrity(name, version)) {
    rmSync(place, { recursive: true });
    throw new Error(`${name}@${version} is not what bun.lock has the checksum of`);
  }
  // Unpacked beside and moved, so that an interrupted build leaves no half of an executable behind.
  run([
    "sh",
    "-c",
    `mkdir -p new && tar -xzf '${filename}' -C new && mv new/package package && rm -r new '${filename}'`,
  ]);
  return executable;
};

const megabytes = (file: string) => `${(statSync(file).size / 1e6).toFixed(1)} MB`;

interface How {
  /** The four files of a release as well. */
  readonly all: boolean;
  /** Files that need this machine's dynamic linker, as Bun makes them. */
  readonly dynamic: boolean;
  /** A directory with another glibc to embed. */
  readonly glibc: string | undefined;
}

const build = (how: How): void => {
  const { version, bun } = pinned();
  if (Bun.version !== bun)
    throw new Error(`this is Bun ${Bun.version}, package.json pins ${bun}: npx bun@${bun} run build`);
  const hash = commit();
  const define = {
    NSK_VERSION: JSON.stringify(version),
    NSK_COMMIT: hash ? JSON.stringify(hash) : "undefined",
    // Deflated, because a constant goes to the compiler as one word of a command line.
    NSK_TYPES: JSON.stringify(Bun.gzipSync(JSON.stringify(declarations())).toBase64()),
  };
  for (const target of [{ file: "nsk" } as const, ...(how.all ? targets : [])]) {
    const outfile = join(dist, target.file);
    compile({
      entry,
      outfile,
      define,
      link: (file) => {
        if (how.dynamic || target.file.endsWith("-musl")) return linkDynamic(file);
        const arch = machine(file);
        // Another glibc is one processor's.
        return linkStatic(file, readGlibc(arch, cache, arch === process.arch ? how.glibc : undefined));
      },
      ...("name" in target && {
        target: { name: target.name, executable: fetchExecutable(target.package, bun) },
      }),
    });
    console.log(`dist/${target.file}  ${megabytes(outfile)}`);
  }
  if (!how.all) return;
  const sums = targets.map(({ file }) => {
    const hash = createHash("sha256")
      .update(readFileSync(join(dist, file)))
      .digest("hex");
    return `${hash}  ${file}\n`;
  });
  writeFileSync(join(dist, "SHA256SUMS"), sums.join(""));
  console.log("dist/SHA256SUMS");
};

if (import.meta.main) {
  try {
    const { values } = parseArgs({
      options: { all: { type: "boolean" }, dynamic: { type: "boolean" }, glibc: { type: "string" } },
    });
    build({ all: values.all ?? false, dynamic: values.dynamic ?? false, glibc: values.glibc });
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exit(1);
  }
}
