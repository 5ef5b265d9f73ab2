// Which root `run` is asked for: this machine's, a directory, or an image, and then which one. Docker's habit is that
// the first operand is an image; nsk's is that it is a program of this machine. Both hold, by the rule below.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { findImage, hasImage, readInLayers, usable, type Usable } from "../images/images.ts";
import { importImage, importRoot, powersOf } from "../images/import.ts";
import { openLocal } from "../images/local.ts";
import { isFor, type Platform, platformText } from "../images/platform.ts";
import { familiarName, fullName, parseReference, referenceOr, withDefaultTag } from "../images/reference.ts";
import { storePath } from "../images/store-path.ts";
import { openStore } from "../images/store.ts";
import { programCandidates } from "../plan/program.ts";
import { writeAll } from "../sys/linux.ts";
import { fetchImage, platformOf } from "./fetch-image.ts";

/** Prefixes that only an image has; those behind which a path stands, as skopeo writes them. */
const REGISTRY = "docker://";
const FILES = /^(?:oci|oci-archive|docker-archive|dir-archive):(?=.)/;

/**
 * Whether the first operand of `run` is an image: what is written as only an image can be (`docker://…`, `name:tag`,
 * `name@digest`, `oci:…`, `docker-archive:…`), what the store has by that name, and what is no program of this machine.
 * `has` tells whether the store has it.
 */
export const isImageOperand = (word: string, host: Host, has: (word: string) => boolean): boolean => {
  if (word.startsWith(REGISTRY) || FILES.test(word)) return true;
  if (/^\.{0,2}\//.test(word) || referenceOr(word) === undefined) return false;
  if (has(word)) return true;
  if (programCandidates(word, host.env("PATH")).some((path) => host.kind(path) === "file")) return false;
  return true;
};

export interface Choice {
  readonly image: Usable;
  /** What is behind the image's name. */
  readonly operands: readonly string[];
}

export interface ImageOptions {
  readonly image?: string | undefined;
  readonly rootfs?: string | undefined;
  /** `always`, `missing` or `never`. */
  readonly pull?: string | undefined;
  readonly platform?: string | undefined;
  /** Nothing is to be done, so nothing may be pulled. */
  readonly explain: boolean;
}

/** The image that a command line asks for, pulled where that is due; undefined where it asks for none. */
export const chooseImage = async (
  options: ImageOptions,
  operands: readonly string[],
  dashed: boolean,
  host: Host,
  name: string,
): Promise<Choice | undefined> => {
  const { image, rootfs } = options;
  const [first, ...rest] = operands;
  const ofImages = (["pull", "platform"] as const).find((key) => options[key] !== undefined);
  if (image !== undefined) {
    if (rootfs !== undefined) throw new UsageError("--image and --rootfs are two roots for one container");
    return { image: await getImage(image, options, host, name), operands };
  }
  if (ofImages && (rootfs !== undefined || dashed))
    throw new UsageError(`--${ofImages} is for images, and none is named`);
  if (rootfs !== undefined || dashed || first === undefined) return undefined;
  // Who says how to get an image means one.
  if (!ofImages && !isImageOperand(first, host, (word) => hasImage(storePath(host), word))) return undefined;
  return { image: await getImage(first, options, host, name), operands: rest };
};

const PULL = ["always", "missing", "never"];

const getImage = async (text: string, options: ImageOptions, host: Host, name: string): Promise<Usable> => {
  const { pull = "missing", explain } = options;
  if (!PULL.includes(pull)) throw new UsageError(`--pull is always, missing or never, not '${pull}'`);
  const platform = platformOf(options.platform, host);
  const root = storePath(host);
  const path = FILES.test(text) ? text.replace(FILES, "") : text;
  const isPath = path !== text || /^\.{0,2}\//.test(text);
  if (isPath) return getLocal(path, explain, platform, host, name);
  const bare = text.startsWith(REGISTRY) ? text.slice(REGISTRY.length) : text;
  const there = findImage(root, bare);
  // Without --platform whatever is here will do, as with docker: an emulator may be registered. @see binfmt_misc
  const isOther = there && options.platform !== undefined && !isFor(platform, there.config.platform);
  if (there && !isOther && (pull !== "always" || explain)) return usable(root, there);
  const reference = withDefaultTag(parseReference(bare));
  const shown = familiarName(reference);
  const why = isOther ? `here for ${platformText(there.config.platform)} only` : "not in the store";
  const wanted = options.platform === undefined ? bare : `--platform ${options.platform} ${bare}`;
  if (explain || pull === "never") throw new HostError(`${shown} is ${why}`, `nsk pull ${wanted}`);
  if (isOther || !there)
    writeAll(
      2,
      `${name}: ${isOther ? `'${shown}' is ${why}` : `no image '${shown}' here yet`}, pulling it\n`,
    );
  try {
    const chosen = options.platform === undefined ? [] : ["--platform", options.platform];
    const own = await asPlainUser(name, ["pull", ...chosen, "--", fullName(reference)], host);
    if (own === undefined) await fetchImage(reference, { quiet: false, platform: options.platform }, host);
  } catch (error) {
    // Whoever meant a program has mistyped it.
    if (error instanceof HostError && !/[:@/]/.test(text))
      throw new HostError(error.message, `and there is no program '${text}' in PATH`);
    throw error;
  }
  const pulled = findImage(root, bare);
  if (!pulled) throw new HostError(`${shown} has been removed meanwhile`);
  return usable(root, pulled);
};

/** What `nsk WORDS` prints, run with the ids that a plain user has been given; undefined where that is not needed. */
const asPlainUser = async (
  name: string,
  words: readonly string[],
  host: Host,
): Promise<string | undefined> =>
  host.euid === 0 ? undefined : (await import("./with-owners.ts")).runWithOwners(name, words, host);

/** A file or directory: a root directory as it is, anything else by way of the store. */
const getLocal = async (
  path: string,
  explain: boolean,
  platform: Platform,
  host: Host,
  name: string,
): Promise<Usable> => {
  const isRoot = host.kind(path) === "directory" && host.kind(`${path}/oci-layout`) === undefined;
  const nothing = { entrypoint: [], cmd: [], env: [], workingDir: "", user: "" };
  if (isRoot) return { layers: [path], run: nothing };
  if (explain) throw new HostError(`${path} is not in the store`, `nsk import ${path} NAME`);
  const own = await asPlainUser(
    name,
    ["import", "--json", "--platform", platformText(platform), "--", path],
    host,
  );
  if (own !== undefined) {
    const made = JSON.parse(own) as { id: string }[];
    if (made.length !== 1)
      throw new UsageError(`${path} has ${made.length} images`, `nsk import ${path}, and name one`);
    return usable(storePath(host), findImage(storePath(host), made[0]!.id)!);
  }
  const store = openStore(host);
  const powers = powersOf(host);
  const { root, images = [] } = await openLocal(store, path, host, platform);
  if (root === undefined && images.length !== 1)
    throw new UsageError(`${path} has ${images.length} images`, `nsk import ${path}, and name one`);
  const said = { platform, config: {}, message: `Imported from ${path}` };
  const { id } = root
    ? await importRoot(store, root, undefined, powers, said)
    : await importImage(store, images[0]!.source, undefined, powers);
  return usable(store.root, findImage(store.root, id)!);
};

/** What an image decides about a container, unless its user does. As docker's. */
export const applyImage = <
  T extends { env: readonly string[]; workdir?: string | undefined; user?: string | undefined },
>(
  flags: T,
  { run }: Usable,
  operands: readonly string[],
): { flags: T; args: readonly string[] } => {
  const args = [...run.entrypoint, ...(operands.length ? operands : run.cmd)];
  if (args.length === 0) throw new UsageError("no program given, and the image names none");
  return {
    args,
    flags: {
      ...flags,
      env: [...run.env, ...flags.env],
      workdir: flags.workdir ?? (run.workingDir || undefined),
      user: flags.user ?? (run.user || undefined),
    },
  };
};

/** A host on which the files of an image's root, for the planner at the path of its uppermost layer, are the merged ones. */
export const imageHost = (host: Host, { layers }: Usable): Host => {
  const prefix = `${layers[0]}/`;
  const read: Host["read"] = (path) =>
    path.startsWith(prefix) ? readInLayers(layers, path.slice(prefix.length)) : host.read(path);
  return Object.create(host, { read: { value: read } }) as Host;
};
