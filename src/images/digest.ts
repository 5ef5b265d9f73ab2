// Digests of content: `sha256:` and 64 hexadecimal digits. The only place that decides which algorithms are taken, so
// that what names a file in the store has been looked at.

import { HostError } from "../abi/errors.ts";

export interface Digest {
  readonly algorithm: "sha256" | "sha512";
  readonly hex: string;
}

/** @see https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests */
export const parseDigest = (text: string): Digest | undefined => {
  const found = /^(?:(sha256):([a-f0-9]{64})|(sha512):([a-f0-9]{128}))$/.exec(text);
  if (!found) return undefined;
  return found[1] ? { algorithm: "sha256", hex: found[2]! } : { algorithm: "sha512", hex: found[4]! };
};

export const digestOf = (bytes: Uint8Array): string =>
  `sha256:${new Bun.CryptoHasher("sha256").update(bytes).digest("hex")}`;

/** Takes bytes as they come by. */
export interface Hasher {
  update(bytes: Uint8Array): void;
  /** `sha256:…` of all so far; the last call. */
  digest(): string;
}

/** A hasher of the algorithm that `like`, a digest, is of. */
export const hasherLike = (like = "sha256:"): Hasher => {
  const algorithm = like.startsWith("sha512:") ? "sha512" : "sha256";
  const hasher = new Bun.CryptoHasher(algorithm);
  return {
    update: (bytes) => void hasher.update(bytes),
    digest: () => `${algorithm}:${hasher.digest("hex")}`,
  };
};

/** Throws {@link HostError} unless `actual` is what was promised of `what`. */
export const checkDigest = (what: string, expected: string, actual: string): void => {
  if (actual !== expected)
    throw new HostError(
      `${what}: the digest is ${actual}, not ${expected}`,
      "what came is not what was named: a broken or a lying source",
    );
};
