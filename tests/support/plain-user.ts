// A plain user that only a test knows: in a mount namespace of its own, with accounts and ranges of ids that stand there
// and nowhere else.

import {
  chmodSync,
  chownSync,
  copyFileSync,
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { nsk, type Ran, runCommand } from "./nsk.ts";

/** The first of the ids that she has in subuid(5) and subgid(5), and how many there are. */
export const RANGE = { start: 700_000, count: 65_536 } as const;

export interface PlainUser {
  readonly uid: number;
  readonly home: string;
  /** `$XDG_RUNTIME_DIR`, which is hers alone. */
  readonly runtime: string;
  /** The built program, where she can reach it. */
  readonly binary: string;
  /** The words of a command line that runs `words` as her; without ranges she has one id. */
  words(words: readonly string[], how?: How): string[];
  run(words: readonly string[], how?: How): Ran;
  /** `nsk …` as her. */
  nsk(...words: readonly string[]): Ran;
}

export interface How {
  readonly ranges?: boolean;
  readonly env?: Record<string, string>;
  /** Done by root in the mount namespace before. */
  readonly before?: string;
  /** In a network of its own, with a default route that leads nowhere, and a /dev/net/tun that everybody may open. */
  readonly network?: boolean;
}

const NETWORK = `ip link set lo up
ip link add out type veth peer name far
ip link set far up
ip address add 192.0.2.2/24 dev out
ip link set out up
ip route add default via 192.0.2.1
mount -t tmpfs tmpfs /dev/net
mknod -m 666 /dev/net/tun c 10 200`;

/** What {@link plainUser} needs of the machine. */
export const NEEDS = ["root", nsk, "unshare", "setpriv", "newuidmap", "/etc/subuid", "/etc/subgid"] as const;

/** `scratch` is the caller's to remove. No other process has this uid. */
export const plainUser = (scratch: string): PlainUser => {
  const uid = 2_000_000 + process.pid;
  const [home, runtime, etc] = ["home", "runtime", "etc"].map((name) => join(scratch, name)) as [
    string,
    string,
    string,
  ];
  chmodSync(scratch, 0o755);
  for (const directory of [home, runtime, etc]) mkdirSync(directory);
  chownSync(scratch, uid, uid);
  for (const directory of [home, runtime]) {
    chownSync(directory, uid, uid);
    chmodSync(directory, 0o700);
  }
  const binary = join(scratch, "nsk");
  try {
    linkSync(nsk, binary);
  } catch {
    copyFileSync(nsk, binary);
  }
  const more = {
    passwd: `${readFileSync("/etc/passwd", "utf8")}ann:x:${uid}:${uid}:Ann:${home}:/bin/sh\n`,
    group: `${readFileSync("/etc/group", "utf8")}ann:x:${uid}:\n`,
    subuid: `ann:${RANGE.start}:${RANGE.count}\n`,
    subgid: `ann:${RANGE.start}:${RANGE.count}\n`,
  };
  for (const [name, text] of Object.entries(more)) writeFileSync(join(etc, name), text);
  const words: PlainUser["words"] = (words, { ranges = true, env = {}, before = "", network } = {}) => {
    const files = ranges ? ["passwd", "group", "subuid", "subgid"] : ["passwd", "group"];
    const binds = files.map((name) => `mount --bind ${etc}/${name} /etc/${name} || exit`);
    const all = { PATH: "/usr/bin:/bin", HOME: home, XDG_RUNTIME_DIR: runtime, LC_ALL: "C", ...env };
    const user = ["setpriv", "--reuid", String(uid), "--regid", String(uid), "--clear-groups", "env", "-i"];
    const variables = Object.entries(all).flatMap(([name, value]) => (value ? [`${name}=${value}`] : []));
    const script = `${binds.join("\n")}\n${network ? NETWORK : ""}\n${before}\nexec "$@"`;
    return ["unshare", network ? "-mn" : "-m", "sh", "-c", script, "sh", ...user, ...variables, ...words];
  };
  const run: PlainUser["run"] = (them, how) => runCommand(words(them, how));
  return { uid, home, runtime, binary, words, run, nsk: (...them) => run([binary, ...them]) };
};

/** What belongs to ids of the range, too. */
export const removeScratch = (scratch: string): void => rmSync(scratch, { recursive: true, force: true });
