// Platforms in docker's notation, `linux/arm64/v8`, and which image of several is for one. Pure.

import { HostError, UsageError } from "../abi/errors.ts";
import type { Arch } from "../abi/syscalls.ts";
import type { Descriptor } from "./manifest.ts";

export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

/** Other names of architectures. @see containerd's platforms package */
const ALIASES: Readonly<Record<string, string>> = {
  x86_64: "amd64",
  "x86-64": "amd64",
  i386: "386",
  aarch64: "arm64",
  armhf: "arm/v7",
  armel: "arm/v6",
};

export const hostPlatform = (arch: Arch): Platform => ({
  os: "linux",
  architecture: arch === "arm64" ? "arm64" : "amd64",
});

/** `OS/ARCH[/VARIANT]`, or `ARCH` alone. Throws {@link UsageError}. */
export const parsePlatform = (text: string): Platform => {
  const words = text.toLowerCase().split("/");
  if (words.length > 3 || words.some((word) => !/^[a-z0-9_.-]+$/.test(word)))
    throw new UsageError(`invalid --platform '${text}': OS/ARCH[/VARIANT], e.g. linux/arm64`);
  const [os, name, variant] =
    words.length === 1 ? ["linux", words[0]!] : (words as [string, string, string?]);
  const [architecture, usual] = (ALIASES[name] ?? name).split("/") as [string, string?];
  const chosen = variant ?? usual;
  return { os, architecture, ...(chosen !== undefined && { variant: chosen }) };
};

export const platformText = ({ os, architecture, variant }: Platform): string =>
  variant === undefined ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;

/** What an architecture's plain name means. */
const usualVariant = ({ architecture, variant }: Platform): string | undefined =>
  variant ?? (architecture === "arm64" ? "v8" : architecture === "arm" ? "v7" : undefined);

export const isFor = (wanted: Platform, offered: Platform): boolean =>
  offered.os === wanted.os &&
  offered.architecture === wanted.architecture &&
  usualVariant(offered) === usualVariant(wanted);

/** The image for a platform among those of an index. Throws {@link HostError} that names those there are. */
export const choosePlatform = (
  name: string,
  manifests: readonly Descriptor[],
  wanted: Platform,
): Descriptor => {
  const found = manifests.find(({ platform }) => platform && isFor(wanted, platform));
  if (found) return found;
  // An index of one image that does not say what it is for.
  if (manifests.length === 1 && !manifests[0]!.platform) return manifests[0]!;
  const offered = manifests
    .flatMap(({ platform }) => (platform && platform.os !== "unknown" ? [platformText(platform)] : []))
    .join(", ");
  throw new HostError(`${name}: no image for ${platformText(wanted)}`, `it has ${offered || "none at all"}`);
};
