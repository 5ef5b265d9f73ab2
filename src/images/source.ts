// What images come from, as the one who stores them sees it.

import type { Descriptor } from "./manifest.ts";
import type { BlobWriter } from "./store.ts";

export interface Source {
  /** What errors begin with: `docker.io/library/alpine:latest`, or a file's name. */
  readonly name: string;
  /** The manifest of one image. */
  manifest(): Promise<{ readonly descriptor: Descriptor; readonly bytes: Uint8Array }>;
  /** Writes a blob's bytes, all of them; checking them is the writer's. */
  blob(descriptor: Descriptor, into: BlobWriter, progress: (written: number) => void): Promise<void>;
}
