// A registry as a source of images: the pull half of the distribution project's interface, resumed and retried. What a
// registry says is believed only as far as a digest or a limit holds it.
// @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md

import { HostError, StepError } from "../abi/errors.ts";
import { type ClientOptions, openClient, type Passing, readBody, reason } from "./client.ts";
import { checkDigest, digestOf, hasherLike } from "./digest.ts";
import { MEDIA, MOST_JSON_BYTES, parseManifest } from "./manifest.ts";
import { choosePlatform, type Platform } from "./platform.ts";
import { manifestName, type Reference } from "./reference.ts";
import type { Source } from "./source.ts";

export interface RegistryOptions extends ClientOptions {
  readonly platform: Platform;
}

const ACCEPT = [MEDIA.index, MEDIA.manifest, MEDIA.dockerList, MEDIA.dockerManifest].join(", ");

/** A registry's repository. Nothing is asked before the first call. */
export const openRegistry = (reference: Reference, options: RegistryOptions): Source => {
  const { name, path, request, persist } = openClient(reference, "pull", options);

  const getManifest = (which: string): Promise<{ mediaType: string; bytes: Uint8Array }> =>
    persist(async () => {
      const { response, done, url } = await request("image", `/v2/${path}/manifests/${which}`, {
        headers: { Accept: ACCEPT },
      });
      try {
        const bytes = await readBody(`${name}: its manifest`, response, MOST_JSON_BYTES);
        return { mediaType: (response.headers.get("content-type") ?? "").split(";")[0]!.trim(), bytes };
      } catch (error) {
        throw error instanceof HostError
          ? error
          : ({ passing: `${url.host}: ${reason(error)}` } satisfies Passing);
      } finally {
        done();
      }
    });

  const manifest = async () => {
    let which = manifestName(reference);
    // An index of indexes is possible, a chain of them is nonsense.
    for (let depth = 0; depth < 3; depth++) {
      const { mediaType, bytes } = await getManifest(which);
      const isDigest = which.includes(":");
      const hasher = hasherLike(which);
      hasher.update(bytes);
      if (isDigest) checkDigest(`${name}: its manifest`, which, hasher.digest());
      const parsed = parseManifest(`${name}: its manifest`, bytes);
      if (parsed.manifest) {
        const digest = isDigest ? which : digestOf(bytes);
        return { descriptor: { mediaType: mediaType || MEDIA.manifest, digest, size: bytes.length }, bytes };
      }
      which = choosePlatform(name, parsed.index, options.platform).digest;
    }
    throw new HostError(`${name}: indexes within indexes`);
  };

  const blob: Source["blob"] = ({ digest, size }, into, progress) =>
    persist(async () => {
      const from = into.written();
      if (from === size && size > 0) return;
      const headers: Record<string, string> = from ? { Range: `bytes=${from}-` } : {};
      const { response, touch, done, cancel, url } = await request("layer", `/v2/${path}/blobs/${digest}`, {
        headers,
      });
      try {
        const range = response.headers.get("content-range");
        if (response.status === 206 && !range?.startsWith(`bytes ${from}-`))
          throw new HostError(`${name}: ${url.host} sent another range than was asked for`);
        if (response.status !== 206 && from) into.restart();
        for await (const bytes of response.body ?? []) {
          touch();
          into.write(bytes);
          progress(into.written());
        }
      } catch (error) {
        cancel();
        // A full disk, or a registry that broke its word: no other attempt changes that.
        if (error instanceof HostError || error instanceof StepError) throw error;
        throw { passing: `${url.host}: ${reason(error)}` } satisfies Passing;
      } finally {
        done();
      }
      if (into.written() < size)
        throw { passing: `${url.host}: the connection ended early` } satisfies Passing;
    }, into.written);

  return { name, manifest, blob };
};
