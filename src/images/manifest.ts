// Manifests, indexes and configs of images: text from strangers, so every field that is used is looked at. Pure.
// @see https://github.com/opencontainers/image-spec

import { HostError } from "../abi/errors.ts";
import { digestOf, parseDigest } from "./digest.ts";
import type { Platform } from "./platform.ts";

/** The most that a manifest, an index or a config may measure, as in the distribution project. */
export const MOST_JSON_BYTES = 4 * 2 ** 20;
/** overlayfs stacks so many and docker allows so many. */
const MOST_LAYERS = 127;

export const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layer: "application/vnd.oci.image.layer.v1.tar",
  dockerList: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  /** Bytes. */
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Manifest {
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}

/** What an image says of how to run it, and of its layers. */
export interface ImageConfig {
  readonly created?: string;
  readonly platform: Platform;
  /** Digests of the layers' tar archives without compression, the lowest first. */
  readonly diffIds: readonly string[];
  readonly run: RunConfig;
}

/** The part of a config that `run` applies. */
export interface RunConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: readonly string[];
  readonly workingDir: string;
  readonly user: string;
}

type Json = Readonly<Record<string, unknown>>;

const refuse = (what: string, why: string): never => {
  throw new HostError(`${what}: ${why}`);
};

const asObject = (what: string, value: unknown): Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Json)
    : refuse(what, "not an object");

const asList = (what: string, value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : refuse(what, "not a list");

const asText = (what: string, value: unknown): string =>
  typeof value === "string" ? value : refuse(what, "not a text");

/** Words for execve(2): a NUL would cut one short. */
const asWords = (what: string, value: unknown): readonly string[] =>
  (value === undefined || value === null ? [] : asList(what, value)).map((word) => asWord(what, word));

const asWord = (what: string, value: unknown): string => {
  const text = value === undefined || value === null ? "" : asText(what, value);
  return text.includes("\0") ? refuse(what, "a NUL byte inside") : text;
};

const parseObject = (what: string, bytes: Uint8Array): Json => {
  if (bytes.length > MOST_JSON_BYTES) refuse(what, `more than ${MOST_JSON_BYTES} bytes`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    refuse(what, "not JSON");
  }
  return asObject(what, value);
};

const asPlatform = (what: string, value: unknown): Platform => {
  const { os, architecture, variant } = asObject(what, value);
  return {
    os: asText(what, os),
    architecture: asText(what, architecture),
    ...(typeof variant === "string" && variant !== "" && { variant }),
  };
};

export const asDescriptor = (what: string, value: unknown): Descriptor => {
  const { mediaType, digest, size, platform, annotations } = asObject(what, value);
  if (typeof digest !== "string" || !parseDigest(digest)) refuse(what, `'${String(digest)}' is no digest`);
  if (!Number.isSafeInteger(size) || (size as number) < 0) refuse(what, `'${String(size)}' is no size`);
  return {
    mediaType: mediaType === undefined ? "" : asText(what, mediaType),
    digest: digest as string,
    size: size as number,
    ...(platform !== undefined && platform !== null && { platform: asPlatform(what, platform) }),
    ...(annotations !== undefined &&
      annotations !== null && { annotations: asObject(what, annotations) as Record<string, string> }),
  };
};

/** What a manifest says that it is; OCI's own need not say it. */
export const mediaTypeOf = (what: string, bytes: Uint8Array): string => {
  const { mediaType } = parseObject(what, bytes);
  return typeof mediaType === "string" && mediaType !== "" ? mediaType : MEDIA.manifest;
};

/** A manifest, or the manifests of an index, by what the text itself says it is. */
export const parseManifest = (
  what: string,
  bytes: Uint8Array,
): { manifest: Manifest; index?: never } | { index: readonly Descriptor[]; manifest?: never } => {
  const it = parseObject(what, bytes);
  if (it.schemaVersion === 1)
    refuse(what, "a manifest of schema 1, which nsk does not read: push the image anew");
  if (it.schemaVersion !== 2) refuse(what, "not a manifest of schema 2");
  // Both at once is what one reader could take for this and another for that (CVE-2021-41190).
  if (it.manifests !== undefined && (it.layers !== undefined || it.config !== undefined))
    refuse(what, "an index and a manifest in one");
  if (it.manifests !== undefined)
    return { index: asList(what, it.manifests).map((one) => asDescriptor(what, one)) };
  const layers = asList(`${what}: layers`, it.layers).map((layer) => asDescriptor(what, layer));
  if (layers.length > MOST_LAYERS) refuse(what, `${layers.length} layers, and the most is ${MOST_LAYERS}`);
  return { manifest: { config: asDescriptor(`${what}: config`, it.config), layers } };
};

/** An image's config. Throws {@link HostError} where it does not fit the manifest's `layers`. */
export const parseImageConfig = (what: string, bytes: Uint8Array, layers: number): ImageConfig => {
  const it = parseObject(what, bytes);
  const rootfs = asObject(`${what}: rootfs`, it.rootfs);
  const diffIds = asList(`${what}: rootfs.diff_ids`, rootfs.diff_ids).map((id) => asText(what, id));
  for (const id of diffIds) if (!parseDigest(id)) refuse(what, `'${id}' is no digest`);
  if (diffIds.length !== layers)
    refuse(what, `${diffIds.length} layers in the config, and ${layers} in the manifest`);
  const run = it.config === undefined || it.config === null ? {} : asObject(`${what}: config`, it.config);
  return {
    ...(typeof it.created === "string" && { created: it.created }),
    platform: asPlatform(what, { os: "linux", architecture: "", ...it }),
    diffIds,
    run: {
      entrypoint: asWords(`${what}: Entrypoint`, run.Entrypoint),
      cmd: asWords(`${what}: Cmd`, run.Cmd),
      env: asWords(`${what}: Env`, run.Env),
      workingDir: asWord(`${what}: WorkingDir`, run.WorkingDir),
      user: asWord(`${what}: User`, run.User),
    },
  };
};

/** A manifest's text, and what names it. */
export const makeManifest = (
  config: Descriptor,
  layers: readonly Descriptor[],
): { descriptor: Descriptor; bytes: Uint8Array } => {
  const text = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.manifest, config, layers });
  const bytes = new TextEncoder().encode(text);
  return { descriptor: { mediaType: MEDIA.manifest, digest: digestOf(bytes), size: bytes.length }, bytes };
};
