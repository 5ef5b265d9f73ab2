// Getting the image of a container: out of the store, out of a registry where that is due, or from a file.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { findImage, usable, type Usable } from "../images/images.ts";
import { importImage, importRoot, powersOf } from "../images/import.ts";
import { openLocal } from "../images/local.ts";
import { isFor, type Platform, platformText } from "../images/platform.ts";
import { familiarName, fullName, parseReference, withDefaultTag } from "../images/reference.ts";
import { storePath } from "../host/store-path.ts";
import { openStore } from "../images/store.ts";
import { writeAll } from "../sys/linux.ts";
import { fetchImage, platformOf } from "./fetch.ts";
import { bareName, isFile, pathOf } from "./image-words.ts";
import type { ImageOptions } from "./image.ts";

const PULL = ["always", "missing", "never"];

/** An image by what `run` was told of it. Throws {@link UsageError} and {@link HostError} for none. */
export const obtainImage = async (
  text: string,
  options: ImageOptions,
  host: Host,
  name: string,
): Promise<Usable> => {
  const { pull = "missing", explain } = options;
  if (!PULL.includes(pull)) throw new UsageError(`--pull is always, missing or never, not '${pull}'`);
  const platform = platformOf(options.platform, host);
  const root = storePath(host);
  if (isFile(text)) return getLocal(pathOf(text), explain, platform, host, name);
  const bare = bareName(text);
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
    if (own === undefined) {
      const progress = await options.progress?.();
      await fetchImage(reference, { platform: options.platform, progress }, host);
    }
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
