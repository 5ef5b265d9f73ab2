// The images of a store: found by what people call them, listed, removed, and what `run` needs of one.

import { cString, decode } from "../abi/bytes.ts";
import { HostError, UsageError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { AT, AT_FDCWD, O, O_BY_ARCH, S } from "../abi/flags.ts";
import { address, arch, close, open, readAll, syscall } from "../sys/linux.ts";
import {
  type ImageConfig,
  type Manifest,
  parseImageConfig,
  parseManifest,
  type RunConfig,
} from "./manifest.ts";
import {
  familiarName,
  familiarRepository,
  fullName,
  parseReference,
  referenceOr,
  repositoryOf,
  withDefaultTag,
} from "./reference.ts";
import {
  changeIndex,
  collectGarbage,
  layerPath,
  layerSize,
  mountedLayers,
  type Named,
  readBlob,
  readIndex,
  shortLayerPath,
  type Store,
} from "./store.ts";
import { isWhiteout, openInRoot, statAt } from "./tree.ts";

/** An image with what its manifest and config say. */
export interface Image {
  readonly name: string | undefined;
  /** The manifest's digest. */
  readonly digest: string;
  /** The config's digest, docker's id. */
  readonly id: string;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Bytes in its unpacked files. */
  readonly size: number;
}

const load = (root: string, { name, manifest: { digest } }: Named): Image => {
  const store = { root, lock: -1 };
  const { manifest } = parseManifest(digest, readBlob(store, digest));
  if (!manifest) throw new HostError(`${digest} is no image's manifest`);
  const id = manifest.config.digest;
  const config = parseImageConfig(id, readBlob(store, id), manifest.layers.length);
  const size = [...new Set(config.diffIds)].reduce((sum, diffId) => sum + layerSize(root, diffId), 0);
  return { name, digest, id, manifest, config, size };
};

/** All images of the store at `root`, the newest first. */
export const listImages = (root: string): Image[] => readIndex(root).map((one) => load(root, one));

/** An id's digits, without the algorithm. */
const hexOf = (digest: string): string => digest.slice(digest.indexOf(":") + 1);

/**
 * The images that a text names: one by name, or all names of one by its id or the beginning of that (docker's rule). Throws
 * {@link UsageError} for a beginning that several have.
 */
export const findImages = (images: readonly Image[], text: string): Image[] => {
  const reference = referenceOr(text);
  if (reference) {
    const name = fullName(withDefaultTag(reference));
    const named = images.filter((image) => image.name === name);
    if (named.length) return named.slice(0, 1);
    // An image pulled by its tag is there under its digest too.
    const { digest } = reference;
    const repository = repositoryOf(reference);
    if (digest !== undefined) {
      const same = images.filter((it) => it.digest === digest && it.name?.startsWith(`${repository}:`));
      if (same.length) return same.slice(0, 1);
    }
  }
  const begin = text.startsWith("sha256:") ? text.slice("sha256:".length) : text;
  if (!/^[0-9a-f]{4,64}$/.test(begin)) return [];
  const found = images.filter(
    ({ id, digest }) => hexOf(id).startsWith(begin) || hexOf(digest).startsWith(begin),
  );
  if (new Set(found.map(({ id }) => id)).size > 1)
    throw new UsageError(`several images have ids that begin with '${begin}'`);
  return found;
};

/**
 * Repositories of a registry that have a blob, as far as the store knows: what came from there, or went there, under
 * another name.
 */
export const repositoriesWith = (images: readonly Image[], domain: string): ReadonlyMap<string, string> => {
  const found = new Map<string, string>();
  for (const { name, manifest } of images) {
    const reference = name === undefined ? undefined : parseReference(name);
    if (reference?.domain !== domain) continue;
    for (const { digest } of [manifest.config, ...manifest.layers]) found.set(digest, reference.path);
  }
  return found;
};

/** The image of this name. */
export const namedImage = (root: string, text: string): Image | undefined => {
  const reference = referenceOr(text);
  const name = reference && fullName(withDefaultTag(reference));
  const named = name === undefined ? undefined : readIndex(root).find((it) => it.name === name);
  return named && load(root, named);
};

/** One image by name or id; the others are not looked at where a name says which. */
export const findImage = (root: string, text: string): Image | undefined =>
  namedImage(root, text) ?? findImages(listImages(root), text)[0];

/** Repository and tag as docker's columns have them. */
export const columnsOf = (name: string | undefined): { repository: string; tag: string } => {
  if (name === undefined) return { repository: "<none>", tag: "<none>" };
  const reference = parseReference(name);
  return { repository: familiarRepository(reference), tag: reference.tag ?? "<none>" };
};

/** What `rmi` did, in docker's words. */
export interface Removed {
  readonly untagged: readonly string[];
  readonly deleted: readonly string[];
}

/** Removes an image by its name, or by id with all its names. Throws {@link HostError} for one that is used. */
export const removeImage = (store: Store, text: string, force: boolean): Removed => {
  const images = listImages(store.root);
  const found = findImages(images, text);
  if (found.length === 0) throw new HostError(`no such image: ${text}`);
  const { id, config } = found[0]!;
  // The same image may have come with several manifests: its layers compressed in another way.
  const same = images.filter((image) => image.id === id);
  const byId = found[0]!.name === undefined || !isNameOf(found[0]!.name, text);
  if (byId && same.length > 1 && !force)
    throw new HostError(
      `${text}: the image has ${same.length} names: ${same.map(({ name }) => shown(name)).join(", ")}`,
      "name the one to be removed, or remove them all with -f",
    );
  const gone = byId ? same : found;
  const isLast = gone.length === same.length;
  // A running container reads from the layers as long as it lives, so not even -f takes them away.
  const mounted = mountedLayers();
  if (isLast && config.diffIds.some((diffId) => mounted(hexOf(diffId))))
    throw new HostError(`${text}: a running container uses the image`);
  changeIndex(store, (now) =>
    now.filter((it) => !gone.some((image) => image.digest === it.manifest.digest && image.name === it.name)),
  );
  if (isLast) sweep(store);
  return {
    untagged: gone.flatMap(({ name }) => (name === undefined ? [] : [shown(name)])),
    deleted: isLast ? [id] : [],
  };
};

const shown = (name: string | undefined): string =>
  name === undefined ? "<none>" : familiarName(parseReference(name));

const isNameOf = (name: string, text: string): boolean => {
  const reference = referenceOr(text);
  return reference !== undefined && repositoryOf(reference) === repositoryOf(parseReference(name));
};

/** Removes what no image needs. */
const sweep = (store: Store): void =>
  collectGarbage(store, () => {
    const digests = new Set<string>();
    const diffIds = new Set<string>();
    for (const { digest, id, manifest, config } of listImages(store.root)) {
      for (const one of [digest, id, ...manifest.layers.map((layer) => layer.digest)]) digests.add(one);
      for (const one of config.diffIds) diffIds.add(one);
    }
    return { digests, diffIds };
  });

/** Letters for the layers' own paths, which leave some of the page that mount(2) takes for the other options. */
const MOST_LETTERS = 3500;

/** What a container is made of. */
export interface Usable {
  /** Directories for overlayfs, the uppermost first. */
  readonly layers: readonly string[];
  readonly run: RunConfig;
}

/** An image for `run`. Throws {@link HostError} where one of its layers is gone. */
export const usable = (root: string, image: Image): Usable => {
  const diffIds = [...new Set([...image.config.diffIds].reverse())];
  const layers = diffIds.map((diffId) => layerPath(root, diffId));
  for (const layer of layers) {
    const name = cString(layer);
    if (syscall("faccessat", AT_FDCWD, address(name), 0) < 0)
      throw new HostError(`${shown(image.name)}: the layer ${layer} is gone`, "nsk pull gets it again");
  }
  // Overlayfs wants a backslash before some letters.
  const isMuch = layers.join(":").replace(/[\\:,]/g, "..").length > MOST_LETTERS;
  return {
    layers: isMuch ? diffIds.map((diffId) => shortLayerPath(root, diffId)) : layers,
    run: image.config.run,
  };
};

/** A file as the stacked layers have it: the uppermost one that has it, or hides it, decides. */
export const readInLayers = (layers: readonly string[], path: string): string | undefined => {
  for (const layer of layers) {
    const root = open(layer, O.O_RDONLY | O_BY_ARCH[arch].O_DIRECTORY | O.O_CLOEXEC);
    if (root < 0) return undefined;
    try {
      const fd = openInRoot(root, path.replace(/^\/+/, ""), O.O_RDONLY | O.O_NONBLOCK);
      if (fd >= 0) {
        const empty = cString("");
        const found = statAt(fd, empty, AT.AT_EMPTY_PATH);
        const isFile = typeof found !== "number" && (found.mode & S.S_IFMT) === S.S_IFREG;
        const bytes = isFile ? readAll(fd) : 0;
        close(fd);
        return typeof bytes === "number" ? undefined : decode(bytes);
      }
      if (isHidden(root, path)) return undefined;
    } finally {
      close(root);
    }
  }
  return undefined;
};

/** Whether a layer hides what lower ones have at a path: by a whiteout on the way, or an opaque directory. */
const isHidden = (root: number, path: string): boolean => {
  let at = "";
  for (const part of path.split("/").filter(Boolean)) {
    const above = openInRoot(root, at, O.O_PATH | O_BY_ARCH[arch].O_DIRECTORY);
    if (above < 0) return false;
    const found = statAt(above, cString(part));
    close(above);
    if (found === -errno("ENOENT")) return at !== "" && isOpaque(root, at);
    if (typeof found === "number") return false;
    if (isWhiteout(found)) return true;
    at = at === "" ? part : `${at}/${part}`;
  }
  return false;
};

const isOpaque = (root: number, path: string): boolean => {
  const fd = openInRoot(root, path, O.O_RDONLY | O_BY_ARCH[arch].O_DIRECTORY);
  if (fd < 0) return false;
  const value = new Uint8Array(1);
  const has = (namespace: string): boolean => {
    const name = cString(`${namespace}.overlay.opaque`);
    return syscall("fgetxattr", fd, address(name), address(value), 1) === 1 && value[0] === 0x79;
  };
  const found = has("trusted") || has("user");
  close(fd);
  return found;
};
