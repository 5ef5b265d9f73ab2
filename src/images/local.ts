// Images in files: an OCI layout (a directory or a tar of one), what `docker save` writes, and the tar of a root file
// system; each of the tars plain, by gzip or by zstd. Which of them it is shows in the content.

import { HostError } from "../abi/errors.ts";
import { close, open, writeAll } from "../sys/linux.ts";
import { O } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { readArchive } from "./archive.ts";
import { compressionOf, decompress } from "./decompress.ts";
import { checkDigest, hasherLike } from "./digest.ts";
import { readPieces } from "./import.ts";
import { cleanPath } from "./layer.ts";
import {
  asDescriptor,
  type Descriptor,
  makeManifest,
  MEDIA,
  MOST_JSON_BYTES,
  parseManifest,
} from "./manifest.ts";
import { choosePlatform, type Platform } from "./platform.ts";
import type { Source } from "./source.ts";
import { type Store, temporary } from "./store.ts";

/** What a file is: images, with the names that the file has for them; or the tar of a root, which says nothing of itself. */
export type Found =
  | {
      readonly images: readonly { readonly source: Source; readonly names: readonly string[] }[];
      readonly root?: never;
    }
  | { readonly root: string; readonly images?: never };

type Images = NonNullable<Found["images"]>;

/** Files by their names, wherever they lie. */
interface Files {
  readonly name: string;
  has(path: string): boolean;
  size(path: string): number;
  read(path: string): AsyncIterable<Uint8Array>;
}

/** So many names an archive of images may have. */
const MOST_NAMES = 20_000;

/** Names that only the top of an image's archive has. */
const isPartOfImage = (path: string): boolean =>
  /^(?:blobs(?:\/.*)?|oci-layout|index\.json|manifest\.json|repositories|[0-9a-f]{64}(?:\/.*|\.json|\.tar(?:\.gz)?)?|sha256:[0-9a-f]{64})$/.test(
    path,
  ) || path === "";

/**
 * Looks what a file or directory holds; `-` is standard input. Throws {@link HostError} for a directory that is no image;
 * what is wrong with a file may show later.
 */
export const openLocal = async (
  store: Store,
  path: string,
  host: Host,
  platform: Platform,
): Promise<Found> => {
  if (path === "-")
    return openArchive(store, await spool(store, readPiecesOf(0)), "standard input", platform);
  const kind = host.kind(path);
  if (kind === undefined) throw new HostError(`${path}: no such file`);
  if (kind === "other") return openArchive(store, await spool(store, readPieces(path)), path, platform);
  if (kind === "file") return openArchive(store, path, path, platform);
  if (host.kind(`${path}/oci-layout`) === "file")
    return { images: await readLayout(directoryFiles(path, host), platform) };
  throw new HostError(
    `${path} is a directory, and no OCI layout`,
    "its files become an image by: tar -C DIR -c . | nsk import - NAME",
  );
};

/** A stream kept in a file of the store, for those who must go back and forth in it; the next command clears it away. */
const spool = async (store: Store, pieces: AsyncIterable<Uint8Array>): Promise<string> => {
  const path = temporary(store);
  const fd = open(path, O.O_RDWR | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, 0o600);
  if (fd < 0) throw new HostError(`${path} cannot be made`);
  try {
    for await (const piece of pieces)
      if (writeAll(fd, piece) < 0) throw new HostError(`${path} cannot be written: is the disk full?`);
  } finally {
    close(fd);
  }
  return path;
};

/** Standard input, which has no path. */
async function* readPiecesOf(fd: number): AsyncGenerator<Uint8Array> {
  yield* Bun.file(fd).stream();
}

const openArchive = async (store: Store, path: string, name: string, platform: Platform): Promise<Found> => {
  const entries = await listArchive(path);
  if (!entries) return { root: path };
  let first: Uint8Array | undefined;
  for await (const piece of readPieces(path)) {
    first = piece;
    break;
  }
  const plain = compressionOf(first!) === "none" ? path : await spool(store, decompress(readPieces(path)));
  const files = archiveFiles(plain, name, entries);
  if (files.has("oci-layout") && files.has("index.json"))
    return { images: await readLayout(files, platform) };
  if (files.has("manifest.json")) return { images: await readSaved(files) };
  throw new HostError(`${name}: neither an OCI layout nor what docker save writes`);
};

type Entries = ReadonlyMap<
  string,
  { readonly offset: number; readonly size: number; readonly target?: string }
>;

/** Where the files of an archive of images lie in it; undefined as soon as it shows that it is none. */
const listArchive = async (path: string): Promise<Entries | undefined> => {
  const entries = new Map<string, { offset: number; size: number; target?: string }>();
  let isImage = true;
  const reader = await readArchive({
    entry: ({ name, type, offset, size, target, sparseSize }) => {
      const clean = cleanPath(name);
      if (!isPartOfImage(clean)) isImage = false;
      if (entries.size > MOST_NAMES || sparseSize !== undefined) isImage = false;
      if (type === "file") entries.set(clean, { offset, size });
      // Old versions of docker keep equal layers once.
      else if (type === "symlink") entries.set(clean, { offset, size, target: beside(clean, target) });
      else if (type === "link") entries.set(clean, { offset, size, target: cleanPath(target) });
    },
    data: () => {},
    end: () => {},
  });
  for await (const piece of decompress(readPieces(path))) {
    reader.write(piece);
    if (!isImage) return undefined;
  }
  reader.end();
  return isImage && (entries.has("manifest.json") || entries.has("oci-layout")) ? entries : undefined;
};

/** A link's target, seen from the top of the archive; a link that leads out of it leads nowhere. */
const beside = (path: string, target: string): string => {
  const parts = path.split("/").slice(0, -1);
  for (const part of target.split("/"))
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  return parts.join("/");
};

const archiveFiles = (path: string, name: string, entries: Entries): Files => {
  const find = (wanted: string) => {
    let entry = entries.get(wanted);
    for (let hops = 0; entry?.target !== undefined && hops < 4; hops++) entry = entries.get(entry.target);
    return entry?.target === undefined ? entry : undefined;
  };
  const must = (wanted: string) => {
    const entry = find(wanted);
    if (!entry) throw new HostError(`${name}: there is no ${wanted} in it`);
    return entry;
  };
  return {
    name,
    has: (wanted) => find(wanted) !== undefined,
    size: (wanted) => must(wanted).size,
    read: (wanted) => {
      const { offset, size } = must(wanted);
      return readPieces(path, offset, size);
    },
  };
};

const directoryFiles = (directory: string, host: Host): Files => {
  const must = (path: string): string => {
    if (host.kind(`${directory}/${path}`) !== "file")
      throw new HostError(`${directory}: there is no ${path} in it`);
    return `${directory}/${path}`;
  };
  return {
    name: directory,
    has: (path) => host.kind(`${directory}/${path}`) === "file",
    size: (path) => Bun.file(must(path)).size,
    read: (path) => readPieces(must(path)),
  };
};

/** A small file, whole. */
const readSmall = async (files: Files, path: string): Promise<Uint8Array> => {
  if (files.size(path) > MOST_JSON_BYTES)
    throw new HostError(`${files.name}: ${path} has more than ${MOST_JSON_BYTES} bytes`);
  const parts: Uint8Array[] = [];
  for await (const part of files.read(path)) parts.push(part);
  return Buffer.concat(parts);
};

const readJson = async (files: Files, path: string): Promise<any> => {
  try {
    return JSON.parse(new TextDecoder().decode(await readSmall(files, path)));
  } catch (error) {
    if (error instanceof SyntaxError) throw new HostError(`${files.name}: ${path} is not JSON`);
    throw error;
  }
};

/** Copies a file into a blob. */
const copy = async (
  files: Files,
  path: string,
  into: Parameters<Source["blob"]>[1],
  progress: (written: number) => void,
): Promise<void> => {
  for await (const piece of files.read(path)) {
    into.write(piece);
    progress(into.written());
  }
};

/** @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md */
const readLayout = async (files: Files, platform: Platform): Promise<Images> => {
  const what = `${files.name}: index.json`;
  const { manifests } = (await readJson(files, "index.json")) ?? {};
  if (!Array.isArray(manifests)) throw new HostError(`${what} has no list of manifests`);
  const blobOf = (digest: string): string => `blobs/${digest.replace(":", "/")}`;
  const named = manifests.map((one) => asDescriptor(what, one));
  // Several without names are one image for several platforms.
  const chosen =
    named.length > 1 && !named.some(nameIn) ? [choosePlatform(files.name, named, platform)] : named;
  return chosen.map((top) => ({
    names: [nameIn(top)].filter((name) => name !== undefined),
    source: {
      name: files.name,
      manifest: async () => {
        let descriptor: Descriptor = top;
        for (let depth = 0; depth < 3; depth++) {
          const bytes = await readSmall(files, blobOf(descriptor.digest));
          const hasher = hasherLike(descriptor.digest);
          hasher.update(bytes);
          checkDigest(`${files.name}: a manifest`, descriptor.digest, hasher.digest());
          const parsed = parseManifest(`${files.name}: a manifest`, bytes);
          const { mediaType, digest } = descriptor;
          if (parsed.manifest)
            return {
              descriptor: { mediaType: mediaType || MEDIA.manifest, digest, size: bytes.length },
              bytes,
            };
          descriptor = choosePlatform(files.name, parsed.index, platform);
        }
        throw new HostError(`${files.name}: indexes within indexes`);
      },
      blob: ({ digest }, into, progress) => copy(files, blobOf(digest), into, progress),
    },
  }));
};

const nameIn = ({ annotations }: Descriptor): string | undefined =>
  annotations?.["io.containerd.image.name"] ?? annotations?.["org.opencontainers.image.ref.name"];

/** What `docker save` and `podman save` write: `manifest.json` names configs and layers. */
const readSaved = async (files: Files): Promise<Images> => {
  const list = await readJson(files, "manifest.json");
  if (!Array.isArray(list) || list.length === 0)
    throw new HostError(`${files.name}: manifest.json lists no image`);
  return list.map((one): Images[number] => {
    const { Config, RepoTags, Layers } = one ?? {};
    if (
      typeof Config !== "string" ||
      !Array.isArray(Layers) ||
      Layers.some((layer) => typeof layer !== "string")
    )
      throw new HostError(`${files.name}: manifest.json makes no sense`);
    const paths = new Map<string, string>();
    const describe = async (path: string, mediaType: string): Promise<Descriptor> => {
      const hasher = hasherLike();
      for await (const piece of files.read(path)) hasher.update(piece);
      const digest = hasher.digest();
      paths.set(digest, path);
      return { mediaType, digest, size: files.size(path) };
    };
    const manifest: Source["manifest"] = async () => {
      const layers: Descriptor[] = [];
      for (const layer of Layers as string[]) layers.push(await describe(cleanPath(layer), MEDIA.layer));
      return makeManifest(await describe(cleanPath(Config), MEDIA.config), layers);
    };
    return {
      names: Array.isArray(RepoTags) ? RepoTags.filter((tag) => typeof tag === "string") : [],
      source: {
        name: files.name,
        manifest,
        blob: ({ digest }, into, progress) => copy(files, paths.get(digest)!, into, progress),
      },
    };
  });
};
