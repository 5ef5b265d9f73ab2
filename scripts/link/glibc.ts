// The glibc that goes into the static file: where it comes from, and that it is the one that was looked at. Another can be
// put in its place (`bun run build --glibc DIR`), as its licence wants it to be possible (docs/static.md).

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Arch } from "../../src/abi/syscalls.ts";

export interface Glibc {
  /** The dynamic linker, which looks into no file of the machine's /etc. */
  readonly linker: Buffer;
  readonly libraries: readonly { readonly soname: string; readonly bytes: Buffer }[];
}

/** Debian's packages for cross compilers: no security update changes them under the same name. */
const VERSION = "2.36-8cross1";

interface Source {
  readonly package: string;
  /** Where in the package the files are. */
  readonly directory: string;
  readonly linker: string;
  /** SHA-256 of each file. */
  readonly digests: Readonly<Record<string, string>>;
}

const sources: Readonly<Record<Arch, Source>> = {
  x64: {
    package: "libc6-amd64-cross",
    directory: "usr/x86_64-linux-gnu/lib",
    linker: "ld-linux-x86-64.so.2",
    digests: {
      "ld-linux-x86-64.so.2": "0eae8509658fdb9310562b8814c198bff579f0314b1dcd4500d1556bf4cc7d0e",
      "libc.so.6": "e6c2bc323402cbc223e3326c674063bb90c5db61496ce5c38e07ac2265bb5b8f",
      "libm.so.6": "fde7697486e8344e462965e9a169becd1151b048bd9dea3aa217ff53d20d6fa1",
      "libpthread.so.0": "c057dd68e33ddc99d2d9a18db8a8abb07953017a17b411ada367165b083e8b4a",
      "libdl.so.2": "34bb01d5940796d75ea9321cf48e19a85cad6871bbde8509701f91380fc24bcf",
    },
  },
  arm64: {
    package: "libc6-arm64-cross",
    directory: "usr/aarch64-linux-gnu/lib",
    linker: "ld-linux-aarch64.so.1",
    digests: {
      "ld-linux-aarch64.so.1": "9f1c09920472722ba24b485e8b39fa4f81a065b6cee1898b124bcb80f3cc22bf",
      "libc.so.6": "be44d69ca10e191bb24ff46faa4905c56ec2fbc454bf84ed6f02da296f121bdd",
      "libm.so.6": "4c5316e839a4b175dc2b0b97f8b8e0217d98f7d564ada1e1467f98451f328441",
      "libpthread.so.0": "8b6c634ac996785ed78ceee97811a24f4f83ddccf76cc258dc87c39e6db7877c",
      "libdl.so.2": "b19178c8473051abb7dd996f22d2a80cc50697834faa42bfd9f26b4e017d9598",
    },
  },
};

/** Read at their start by the dynamic linker: files of a machine whose libc is not this one. */
const FOREIGN = ["/etc/ld.so.preload", "/etc/ld.so.cache"];

/**
 * The pinned glibc, fetched below `cache` if it is not there yet; or, with `directory`, the files there, whatever they
 * are. Throws when a file is not what it must be.
 */
export const readGlibc = (arch: Arch, cache: string, directory?: string): Glibc => {
  const source = sources[arch];
  const from = directory ?? fetchPackage(source, cache);
  const read = (name: string): Buffer => {
    const bytes = readFileSync(join(from, name));
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (directory === undefined && digest !== source.digests[name])
      throw new Error(
        `${name} of ${source.package} ${VERSION} has the SHA-256 ${digest}, which is not the pinned one`,
      );
    return bytes;
  };
  return {
    linker: blank(read(source.linker), FOREIGN),
    libraries: Object.keys(source.digests)
      .filter((name) => name !== source.linker)
      .map((soname) => ({ soname, bytes: read(soname) })),
  };
};

/** Clears C strings: a file of no name is not there. Throws unless each is there exactly once. */
const blank = (file: Buffer, names: readonly string[]): Buffer => {
  const out = Buffer.from(file);
  for (const name of names) {
    const text = Buffer.from(`\0${name}\0`, "latin1");
    const at = out.indexOf(text);
    if (at < 0 || out.indexOf(text, at + 1) >= 0)
      throw new Error(`the dynamic linker does not have ${name} exactly once: not the one that was expected`);
    out[at + 1] = 0;
  }
  return out;
};

/** The unpacked package's directory with the files. */
const fetchPackage = (source: Source, cache: string): string => {
  const unpacked = join(cache, `${source.package}_${VERSION}`);
  const directory = join(unpacked, source.directory);
  if (existsSync(directory)) return directory;
  console.log(`fetching ${source.package} ${VERSION}`);
  const scratch = `${unpacked}.${process.pid}`;
  mkdirSync(scratch, { recursive: true });
  try {
    // As root apt gives up its privileges to download, which it cannot do into a directory of root's: it only warns.
    const download = ["apt-get", "download", "-qq", `${source.package}=${VERSION}`];
    const run = (command: readonly string[]): { ok: boolean; stderr: string } => {
      if (!Bun.which(command[0]!)) return { ok: false, stderr: `there is no ${command[0]}` };
      const ran = Bun.spawnSync([...command], { cwd: scratch, stdin: "ignore", stderr: "pipe" });
      return { ok: ran.exitCode === 0, stderr: ran.stderr.toString() };
    };
    let got = run(download);
    if (!got.ok && run(["apt-get", "update", "-qq"]).ok) got = run(download);
    if (!got.ok)
      throw new Error(
        `cannot fetch ${source.package} ${VERSION}: ${got.stderr.trim()}\n` +
          "Give a directory with these files of another glibc (--glibc DIR), or build for machines with one (--dynamic).",
      );
    const unpack = run(["sh", "-c", "dpkg-deb -x *.deb files"]);
    if (!unpack.ok) throw new Error(`cannot unpack ${source.package}: ${unpack.stderr}`);
    // Moved as a whole, so that an interrupted build leaves no half of it behind.
    rmSync(unpacked, { recursive: true, force: true });
    renameSync(join(scratch, "files"), unpacked);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
  return directory;
};
