// An image out of the store into a registry: the blobs that it lacks, several at once, and then the manifest, which makes
// an image of them. All goes as it is kept, byte for byte, so the digests are those that it came with.
// @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md#push

import { HostError } from "../abi/errors.ts";
import type { Asking, Client } from "./client.ts";
import { digestOf } from "./digest.ts";
import type { Image } from "./images.ts";
import { AT_ONCE, inParallel, type Report, readPieces } from "./import.ts";
import { type Descriptor, mediaTypeOf } from "./manifest.ts";
import { blobPath, hasBlob, readBlob, type Store } from "./store.ts";

export interface Pushed {
  readonly digest: string;
  /** Bytes of the manifest. */
  readonly size: number;
}

/**
 * Puts an image under `tag`. `sources` are repositories of the same registry that may have a blob already, by its digest.
 */
export const pushImage = async (
  store: Store,
  image: Image,
  client: Client,
  tag: string,
  sources: ReadonlyMap<string, string>,
  report: Report = () => {},
): Promise<Pushed> => {
  const { config, layers } = image.manifest;
  const blobs = [...new Map([...layers, config].map((it) => [it.digest, it])).values()];
  for (const { digest } of blobs)
    if (!hasBlob(store, digest))
      throw new HostError(`${digest} is not in the store`, "nsk pull gets it again");
  for (const { digest, size } of blobs) report(digest, "waiting", 0, size);
  await inParallel(blobs, AT_ONCE, (blob) => pushBlob(store, blob, client, sources.get(blob.digest), report));
  const bytes = readBlob(store, image.digest);
  const mediaType = mediaTypeOf(image.digest, bytes);
  await client.persist(() =>
    ask(client, "repository", `/v2/${client.path}/manifests/${tag}`, {
      method: "PUT",
      headers: { "Content-Type": mediaType },
      body: () => bytes as Uint8Array<ArrayBuffer>,
    }),
  );
  return { digest: digestOf(bytes), size: bytes.length };
};

/** A request of whose answer only the head counts. */
const ask = async (
  client: Client,
  what: string,
  way: string | URL,
  asking: Asking,
): Promise<{ readonly response: Response; readonly url: URL }> => {
  const { response, url, done } = await client.request(what, way, asking);
  done();
  await response.body?.cancel();
  return { response, url };
};

/** The content of a blob of the store, as a request sends it. */
const content = (path: string, on: (count: number) => void): ReadableStream<Uint8Array> => {
  const pieces = readPieces(path);
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      const { done, value } = await pieces.next();
      if (done) return controller.close();
      on(value.length);
      controller.enqueue(value);
    },
    cancel: async () => void (await pieces.return(undefined)),
  });
};

const pushBlob = async (
  store: Store,
  { digest, size }: Descriptor,
  client: Client,
  source: string | undefined,
  report: Report,
): Promise<void> => {
  const { path } = client;
  const { response } = await client.persist(() =>
    ask(client, "repository", `/v2/${path}/blobs/${digest}`, { method: "HEAD", accept: 404 }),
  );
  if (response.status === 200) return report(digest, "exists", size, size);
  const attempt = async (): Promise<"mounted" | "pushed"> => {
    const from = source === undefined || source === path ? "" : `?mount=${digest}&from=${source}`;
    const begun = await ask(client, "repository", `/v2/${path}/blobs/uploads/${from}`, { method: "POST" });
    // Otherwise it begins an upload, as without the question.
    if (begun.response.status === 201 && from !== "") return "mounted";
    const location = begun.response.headers.get("location");
    if (location === null || !URL.canParse(location, begun.url.href))
      throw new HostError(`${client.name}: ${client.host} names no place for an upload`);
    const to = new URL(location, begun.url);
    // Not by searchParams, which would write anew what the registry has written.
    to.search += `${to.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
    await ask(client, "upload", to, {
      method: "PUT",
      headers: { "Content-Type": "application/octet-stream", "Content-Length": String(size) },
      body: (touch) => {
        let sent = 0;
        return content(blobPath(store, digest), (count) => {
          touch();
          report(digest, "uploading", (sent += count), size);
        });
      },
    });
    return "pushed";
  };
  report(digest, "uploading", 0, size);
  report(digest, await client.persist(attempt), size, size);
};
