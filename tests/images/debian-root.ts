// A small Debian root as a tar by gzip: owners, setuid programs, devices, hard links, a file's capabilities. Made once
// and kept.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cache, keep, must } from "../../scripts/vm/components.ts";

/** What it takes, besides root. */
export const NEEDS = ["mmdebstrap", "setcap", "tar", "gzip"] as const;

const NAME = "debian-root.tar.gz";

/** Packages with programs that are setuid, and with hard links. */
const PACKAGES = "login,mount,passwd,perl-base";

const suite = (): string =>
  /^VERSION_CODENAME=(\w+)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1] ?? "stable";

const makeDebian = (made: string): void =>
  void must([
    // Unpacked and not installed: no program of another machine has to run, and it takes seconds.
    ...["mmdebstrap", "--quiet", "--variant=extract", `--include=${PACKAGES}`],
    "--dpkgopt=path-exclude=/usr/share/*",
    "--dpkgopt=path-exclude=/usr/lib/*/gconv/*",
    // Debian gives capabilities to files when it installs them, which is not done here.
    '--extract-hook=setcap cap_net_raw+ep "$1/usr/bin/perl"',
    ...[suite(), made],
  ]);

/** The path of the archive; undefined where Debian's cannot be reached to make it. */
export const debianRoot = (): string | undefined => {
  const kept = join(cache, NAME);
  if (existsSync(kept)) return kept;
  try {
    return keep(NAME, makeDebian);
  } catch (error) {
    console.warn(`no Debian root: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
};
