// From a source into the store: manifest, config and layers, several at once, each checked, unpacked, and named only
// when all of it is there.

import { HostError } from "../abi/errors.ts";
import { O } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { hasOneId, isRootOfAll } from "../host/kernel.ts";
import { address, close, open, syscall } from "../sys/linux.ts";
import { compressionOf } from "./decompress.ts";
import { digestOf } from "./digest.ts";
import { unpackLayer } from "./layer.ts";
import {
  type Descriptor,
  type ImageConfig,
  makeManifest,
  MEDIA,
  MOST_JSON_BYTES,
  parseImageConfig,
  parseManifest,
} from "./manifest.ts";
import type { Platform } from "./platform.ts";
import type { Source } from "./source.ts";
import {
  blobPath,
  createBlob,
  hasBlob,
  hasLayer,
  nameImage,
  putBlob,
  putLayer,
  readBlob,
  type Store,
  withBlobLock,
} from "./store.ts";
import type { Powers } from "./tree.ts";

/** So many layers at once, as docker does. */
export const AT_ONCE = 3;

/** What a layer is at. `done` of `total` bytes. */
export type Phase =
  "waiting" | "downloading" | "unpacking" | "complete" | "exists" | "uploading" | "pushed" | "mounted";
export type Report = (digest: string, phase: Phase, done: number, total: number) => void;

export interface Imported {
  readonly manifest: Descriptor;
  readonly config: ImageConfig;
  /** The config's digest, docker's id of an image. */
  readonly id: string;
  /** Whether nothing of it was new. */
  readonly wasThere: boolean;
  /** Device nodes that were left out, for want of privilege. */
  readonly leftOut: number;
  /** Files of others than root, which are root's here. */
  readonly disowned: number;
}

/** What root may, or root of a user namespace, or a plain user. */
export const powersOf = (host: Host): Powers =>
  isRootOfAll(host)
    ? { owners: true, devices: true, overlay: "trusted" }
    : { owners: host.euid === 0 && !hasOneId(host), devices: false, overlay: "user" };

/** A file in large pieces, for somebody who is done with one before he asks for the next. */
export async function* readPieces(path: string, offset = 0, length = Infinity): AsyncGenerator<Uint8Array> {
  const fd = open(path, O.O_RDONLY | O.O_CLOEXEC);
  if (fd < 0) throw new HostError(`${path} cannot be read`);
  try {
    for (let left = length; left > 0;) {
      // A new one each time: streams hold on to what they are given.
      const buffer = new Uint8Array(256 * 1024);
      const count = syscall("pread64", fd, address(buffer), Math.min(buffer.length, left), offset);
      if (count < 0) throw new HostError(`${path} cannot be read`);
      if (count === 0) {
        if (Number.isFinite(length)) throw new HostError(`${path} ends too early`);
        return;
      }
      offset += count;
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    close(fd);
  }
}

/** Gets an image. `name` is its full name, none for one that only its digest names. */
export const importImage = async (
  store: Store,
  source: Source,
  name: string | undefined,
  powers: Powers,
  report: Report = () => {},
): Promise<Imported> => {
  const { descriptor, bytes } = await source.manifest();
  const { manifest } = parseManifest(`${source.name}: its manifest`, bytes);
  if (!manifest) throw new HostError(`${source.name}: an index in the place of a manifest`);
  let wasThere = hasBlob(store, descriptor.digest);

  const fetchBlob = async (what: string, it: Descriptor, on: (done: number) => void): Promise<void> => {
    if (hasBlob(store, it.digest)) return;
    wasThere = false;
    const blob = createBlob(store, `${source.name}: ${what}`, it);
    try {
      await source.blob(it, blob, on);
      blob.commit();
    } finally {
      blob.abort();
    }
  };

  if (manifest.config.size > MOST_JSON_BYTES)
    throw new HostError(`${source.name}: a config of ${manifest.config.size} bytes`);
  await fetchBlob("its config", manifest.config, () => {});
  const config = parseImageConfig(
    `${source.name}: its config`,
    readBlob(store, manifest.config.digest),
    manifest.layers.length,
  );

  let [leftOut, disowned] = [0, 0];
  const isThere = (digest: string, diffId: string): boolean =>
    hasLayer(store, diffId) && hasBlob(store, digest);
  const one = async (layer: Descriptor, diffId: string): Promise<void> => {
    const { digest, size } = layer;
    if (!isThere(digest, diffId)) return withBlobLock(store, digest, () => get(layer, diffId));
    report(digest, "exists", size, size);
  };
  const get = async (layer: Descriptor, diffId: string): Promise<void> => {
    const { digest, size } = layer;
    // Somebody else was at it until now.
    if (isThere(digest, diffId)) return report(digest, "exists", size, size);
    report(digest, "downloading", 0, size);
    await fetchBlob("a layer", layer, (done) => report(digest, "downloading", done, size));
    if (!hasLayer(store, diffId)) {
      wasThere = false;
      let done = 0;
      const blob = async function* (): AsyncGenerator<Uint8Array> {
        for await (const piece of readPieces(blobPath(store, digest))) {
          done += piece.length;
          report(digest, "unpacking", done, size);
          yield piece;
        }
      };
      const made = await putLayer(store, diffId, (directory) => unpackLayer(blob(), directory, powers));
      leftOut += made.leftOut;
      disowned += made.disowned;
    }
    report(digest, "complete", size, size);
  };

  const jobs = uniqueLayers(manifest.layers, config.diffIds);
  for (const { layer } of jobs) report(layer.digest, "waiting", 0, layer.size);
  await inParallel(jobs, AT_ONCE, ({ layer, diffId }) => one(layer, diffId));

  // The text as it came: its digest is the image's.
  putBlob(store, bytes, descriptor.digest);
  const named = { ...descriptor, platform: config.platform };
  nameImage(store, name, named);
  return { manifest: named, config, id: manifest.config.digest, wasThere, leftOut, disowned };
};

/** What an image made of a root's tar says of itself. */
export interface RootOptions {
  readonly platform: Platform;
  /** The `config` part of an image's config, in its spelling. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly message: string;
}

/** An image of one layer, which the archive at `path` is as it is: kept, digested and unpacked in one pass. */
export const importRoot = async (
  store: Store,
  path: string,
  name: string | undefined,
  powers: Powers,
  { platform, config, message }: RootOptions,
  report: Report = () => {},
): Promise<Imported> => {
  const total = Bun.file(path).size;
  const blob = createBlob(store, path);
  try {
    let compression = "none";
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of readPieces(path)) {
        if (blob.written() === 0) compression = compressionOf(piece);
        blob.write(piece);
        report(path, "unpacking", blob.written(), total);
        yield piece;
      }
    };
    const { diffId, leftOut, disowned } = await putLayer(store, undefined, (directory) =>
      unpackLayer(pieces(), directory, powers),
    );
    report(path, "complete", total, total);
    const suffix = compression === "none" ? "" : `+${compression}`;
    const layer = { mediaType: `${MEDIA.layer}${suffix}`, ...blob.commit() };
    const created = new Date().toISOString();
    const text = JSON.stringify({
      created,
      ...platform,
      config,
      rootfs: { type: "layers", diff_ids: [diffId] },
      history: [{ created, comment: message }],
    });
    const configBytes = new TextEncoder().encode(text);
    const id = digestOf(configBytes);
    putBlob(store, configBytes, id);
    const { descriptor, bytes } = makeManifest(
      { mediaType: MEDIA.config, digest: id, size: configBytes.length },
      [layer],
    );
    putBlob(store, bytes, descriptor.digest);
    const manifest = { ...descriptor, platform };
    nameImage(store, name, manifest);
    const said = parseImageConfig(path, configBytes, 1);
    return { manifest, config: said, id, wasThere: false, leftOut, disowned };
  } finally {
    blob.abort();
  }
};

/** A layer that an image has twice is needed once. */
const uniqueLayers = (
  layers: readonly Descriptor[],
  diffIds: readonly string[],
): { layer: Descriptor; diffId: string }[] => {
  const seen = new Set<string>();
  return layers
    .map((layer, i) => ({ layer, diffId: diffIds[i]! }))
    .filter(({ layer, diffId }) => {
      const key = `${layer.digest} ${diffId}`;
      return !seen.has(key) && Boolean(seen.add(key));
    });
};

/** Waits for all that have begun, also when one fails: what they have open is theirs to close. */
export const inParallel = async <T>(
  list: readonly T[],
  atOnce: number,
  work: (one: T) => Promise<void>,
): Promise<void> => {
  const rest = [...list];
  const failures: unknown[] = [];
  const worker = async (): Promise<void> => {
    for (let one = rest.shift(); one !== undefined && !failures.length; one = rest.shift())
      await work(one).catch((error) => void failures.push(error));
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, list.length) }, worker));
  if (failures.length) throw failures[0];
};
