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
  try {
    const first = await source.next();
    if (first.done) return;
    const compression = compressionOf(first.value);
    if (compression === "none") {
      for (let piece: IteratorResult<Uint8Array> = first; !piece.done; piece = await source.next())
        yield piece.value;
      return;
    }
    if (compression !== "gzip" && compression !== "zstd")
      throw new HostError(`compressed by ${compression}, which nsk does not read`, "gzip, zstd or none");
    let next: Promise<IteratorResult<Uint8Array>> | undefined = Promise.resolve(first);
    const compressed = new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull: async (controller) => {
        const { done, value } = await (next ?? source.next());
        next = undefined;
        if (done) controller.close();
        else controller.enqueue(value as Uint8Array<ArrayBuffer>);
      },
    });
    try {
      // TypeScript's own list of formats does not have Bun's zstd yet.
      yield* compressed.pipeThrough(new DecompressionStream(compression as "gzip"));
    } catch (error) {
      if (error instanceof HostError) throw error;
      throw new HostError(`damaged ${compression} data: ${error instanceof Error ? error.message : error}`);
    }
  } finally {
    await source.return?.(); // whoever stops early must not leave a file open
  }
}
