// Bundles for tests: a root with busybox in it, spec's config with changes, and names that no other test has.

import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { specConfig } from "../../src/containers/oci/spec.ts";
import { hierarchies } from "../commands/libcgroup.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";

/** Made when it is wanted: each file of tests cleans up behind itself. */
let made: string | undefined;
const scratch = (): string => (made ??= mkdtempSync(join(tmpdir(), "nsk-oci-")));
/** Where the states of the tests' containers are. */
export const states = `/run/nsk-test-oci-${process.pid}`;

export const cleanUp = (): void => {
  for (const id of ids.splice(0)) runCommand([nsk, "oci", "--root", states, "delete", "--force", id]);
  rmSync(scratch(), { recursive: true, force: true });
  made = undefined;
  rmSync(states, { recursive: true, force: true });
};

const PROGRAMS = [
  ..."sh cat id ls sleep echo env hostname grep touch mkdir stat ln rm mv sort head tr cut".split(" "),
  ..."kill stty tty uname readlink mount true false chmod mknod dd wc find".split(" "),
];

let count = 0;

/** A root of its own, which a test may change. */
export const newRoot = (): string => {
  const root = join(scratch(), `root${count++}`);
  for (const name of ["bin", "proc", "sys", "dev", "tmp", "etc"])
    mkdirSync(join(root, name), { recursive: true });
  copyFileSync("/bin/busybox", join(root, "bin/busybox"));
  for (const name of PROGRAMS) symlinkSync("busybox", join(root, "bin", name));
  return root;
};

/** What is changed of spec's config. */
export type Change = (config: any) => void;

export interface TestBundle {
  readonly directory: string;
  readonly root: string;
}

/** Runs `script` in its shell, without a terminal, in a root that may be written to. */
export const newBundle = (
  script: string | readonly string[],
  change: Change = () => {},
  root = newRoot(),
): TestBundle => {
  const directory = join(scratch(), `bundle${count++}`);
  mkdirSync(directory);
  const config: any = structuredClone(specConfig(undefined));
  config.root = { path: root, readonly: false };
  config.process.terminal = false;
  config.process.args = typeof script === "string" ? ["/bin/sh", "-c", script] : script;
  change(config);
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  return { directory, root };
};

export const ids: string[] = [];

/** An id that no other test has. */
export const newId = (): string => {
  const id = `nsk-test-${process.pid}-${count++}`;
  ids.push(id);
  return id;
};

/** `nsk oci WORDS` with the tests' own states. */
export const oci = (...words: readonly string[]): Ran => runCommand([nsk, "oci", "--root", states, ...words]);

/** The same for what leaves a container behind, which has its standard streams: these are files. */
export const leave = (...words: readonly string[]): Ran => {
  const path = join(scratch(), `stderr${count++}`);
  const ran = Bun.spawnSync([nsk, "oci", "--root", states, ...words], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: Bun.file(path),
    env: { ...process.env, LC_ALL: "C" },
  });
  const stderr = readFileSync(path, "utf8");
  return { status: ran.exitCode, signal: ran.signalCode as string | undefined, stdout: "", stderr };
};

/** A bundle from its beginning to its end. */
export const runBundle = (bundle: TestBundle, ...options: readonly string[]): Ran =>
  oci("run", ...options, "--bundle", bundle.directory, newId());

export const stateOf = (id: string): any => JSON.parse(oci("state", id).stdout);

/** What is left of a container that should be gone. */
export const remainsOf = (id: string): string[] => [
  ...(existsSync(`${states}/${id}`) ? [`${states}/${id}`] : []),
  ...hierarchies.map(({ mountPoint }) => `${mountPoint}/${id}`).filter((path) => existsSync(path)),
  ...readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => line.includes(scratch())),
];

export const newDirectory = (): string => mkdtempSync(join(scratch(), "directory"));
