// A layer's archive becomes a directory for overlayfs: whiteouts and opaque directories in its form, everything else
// as it is.
// @see https://github.com/opencontainers/image-spec/blob/main/layer.md

import { HostError } from "../abi/errors.ts";
import { S } from "../abi/flags.ts";
import { close, syscall } from "../sys/linux.ts";
import { type Entry, type Limits, readArchive } from "./archive.ts";
import { decompress } from "./decompress.ts";
import { hasherLike } from "./digest.ts";
import { type Attributes, openTree, type Powers, writeAt } from "./tree.ts";

export interface Unpacked {
  /** The digest of the archive without compression. */
  readonly diffId: string;
  /** Bytes in its files. */
  readonly size: number;
  /** Device nodes that a plain user could not make. */
  readonly leftOut: number;
  /** What belongs to others than root in the archive, and to the plain user who unpacked it here. */
  readonly disowned: number;
}

/** What an entry is in overlayfs's terms, with its path cleaned. */
export type Place =
  | { readonly kind: "entry" | "whiteout" | "opaque"; readonly path: string }
  /** A note of aufs's, which means nothing here. */
  | { readonly kind: "nothing" };

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
const AUFS = ".wh..wh.";

/**
 * A name in an archive as a path beneath the root: leading slashes, `.` and doubled slashes go, as docker and tar do.
 * Throws {@link HostError} for `..`, which neither of them follows.
 */
export const cleanPath = (name: string): string => {
  // Nearly every name is clean, or is so behind its `./`.
  const start = name.startsWith("./") ? 2 : 0;
  const rest = name.endsWith("/") ? name.slice(start, -1) : name.slice(start);
  if (rest !== "" && !/(?:^|\/)\.{0,2}(?:\/|$)|\0/.test(rest)) return rest;
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new HostError(`bad archive: '${name}' leads out of the root`);
  if (name.includes("\0")) throw new HostError("bad archive: a name with a NUL byte");
  return parts.join("/");
};

/** Tells whiteouts from other entries. Throws {@link HostError} for one that would hide what is not in its directory. */
export const placeOf = (name: string): Place => {
  const path = cleanPath(name);
  const slash = path.lastIndexOf("/");
  if (!path.startsWith(WHITEOUT, slash + 1)) return { kind: "entry", path };
  const last = path.slice(slash + 1);
  if (last === OPAQUE) return { kind: "opaque", path: path.slice(0, Math.max(slash, 0)) };
  if (last.startsWith(AUFS)) return { kind: "nothing" };
  const hidden = last.slice(WHITEOUT.length);
  if (hidden === "" || hidden === "." || hidden === "..")
    throw new HostError(`bad archive: the whiteout '${name}' hides '${hidden}'`);
  return { kind: "whiteout", path: path.slice(0, slash + 1) + hidden };
};

/**
 * Attributes that a layer may bring. Those of overlayfs's own are not: by them a file could show another one of the
 * layers below, or hide what is there.
 */
export const isAllowed = (attribute: string): boolean =>
  (attribute.startsWith("user.") && !attribute.startsWith("user.overlay.")) ||
  attribute === "security.capability" ||
  attribute === "system.posix_acl_access" ||
  attribute === "system.posix_acl_default";

const attributesOf = (entry: Entry): Attributes =>
  entry.xattrs.every(([name]) => isAllowed(name))
    ? entry
    : { ...entry, xattrs: entry.xattrs.filter(([name]) => isAllowed(name)) };

const TYPE = { character: S.S_IFCHR, block: S.S_IFBLK, fifo: S.S_IFIFO } as const;

// Modes are meant as they are written, so there is no umask while anything is unpacked: it is the whole process's, and
// several layers are unpacked at once. What nsk makes beside them says its mode itself.
let unpacking = 0;
let umask = 0;

const enterUmask = (): void => {
  if (unpacking++ === 0) umask = syscall("umask", 0);
};
const leaveUmask = (): void => {
  if (--unpacking === 0) syscall("umask", umask);
};

/**
 * Unpacks an archive (plain, gzip or zstd) into the open directory `root`, in one pass and with bounded memory.
 * Throws {@link HostError} for a bad archive and {@link StepError} for what could not be written; what is there by then
 * is the caller's to remove.
 */
export const unpackLayer = async (
  archive: AsyncIterable<Uint8Array>,
  root: number,
  powers: Powers,
  { limits, progress }: { limits?: Limits; progress?: (bytes: number) => void } = {},
): Promise<Unpacked> => {
  const tree = openTree(root, powers);
  const hasher = hasherLike();
  let size = 0;
  let disowned = 0;
  let current: Entry | undefined;
  let path = "";
  let fd = -1;

  const reader = await readArchive(
    {
      entry: (entry) => {
        const place = placeOf(entry.name);
        if (place.kind === "whiteout") tree.whiteout(place.path);
        else if (place.kind === "opaque") tree.opaque(place.path);
        if (place.kind !== "entry") return;
        ({ path } = place);
        const attributes = attributesOf(entry);
        if (!powers.owners && (attributes.uid !== 0 || attributes.gid !== 0)) disowned++;
        if (path === "" && entry.type !== "directory")
          throw new HostError(`bad archive: the root itself is a ${entry.type}`);
        switch (entry.type) {
          case "directory":
            return tree.directory(path, attributes);
          case "symlink":
            return tree.symlink(path, entry.target, attributes);
          case "link":
            return tree.hardLink(path, cleanPath(entry.target));
          case "file":
            current = entry;
            fd = tree.file(path, attributes);
            return;
          default:
            return tree.node(path, TYPE[entry.type], entry.major, entry.minor, attributes);
        }
      },
      data: (from, length, at) => {
        if (fd < 0) return;
        writeAt(fd, path, from, length, at);
        size += length;
      },
      end: () => {
        if (!current) return;
        if (current.sparseSize !== undefined) syscall("ftruncate", fd, current.sparseSize);
        const open = fd;
        fd = -1;
        tree.finishFile(open, path, attributesOf(current));
        current = undefined;
      },
    },
    limits,
  );
  // nsk starts with a policy for commands that live for milliseconds; the same few functions run for each entry here.
  Bun.unsafe.setJITPolicy(1);
  enterUmask();
  try {
    for await (const chunk of decompress(archive)) {
      hasher.update(chunk);
      reader.write(chunk);
      progress?.(chunk.length);
    }
    reader.end();
    tree.finish();
    return { diffId: hasher.digest(), size, leftOut: tree.leftOut(), disowned };
  } finally {
    leaveUmask();
    if (fd >= 0) close(fd);
    tree.close();
  }
};
