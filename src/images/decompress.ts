// Compressed streams: which compression it is shows in the first bytes, not in what somebody says of it.

import { HostError } from "../abi/errors.ts";

export type Compression = "gzip" | "zstd" | "none" | "bzip2" | "xz";

const MAGIC: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["zstd", [0x50, 0x2a, 0x4d, 0x18]], // a skippable frame, which zstd:chunked may begin with
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
];

export const compressionOf = (start: Uint8Array): Compression =>
  MAGIC.find(([, magic]) => magic.every((byte, i) => start[i] === byte))?.[0] ?? "none";

/** The stream without its compression. Throws {@link HostError} for damaged data and for what nsk does not read. */
export async function* decompress(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const source = stream[Symbol.asyncIterator]();
  const first = await source.next();
  if (first.done) return;
  const compression = compressionOf(first.value);
  const rest = async function* (): AsyncGenerator<Uint8Array> {
    yield first.value;
    for (;;) {
      const { done, value } = await source.next();
      if (done) return;
      yield value;
    }
  };
  if (compression === "none") return yield* rest();
  if (compression !== "gzip" && compression !== "zstd")
    throw new HostError(`compressed by ${compression}, which nsk does not read`, "gzip, zstd or none");
  const chunks = rest();
  const compressed = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const { done, value } = await chunks.next();
      if (done) controller.close();
      else controller.enqueue(value as Uint8Array<ArrayBuffer>);
    },
  });
  // TypeScript's own list of formats does not have Bun's zstd yet.
  const plain = compressed.pipeThrough(new DecompressionStream(compression as "gzip"));
  try {
    for await (const chunk of plain) yield chunk;
  } catch (error) {
    if (error instanceof HostError) throw error;
    throw new HostError(`damaged ${compression} data: ${error instanceof Error ? error.message : error}`);
  }
}
