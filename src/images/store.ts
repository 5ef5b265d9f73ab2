// Where images are kept: an OCI image layout (blobs by digest, index.json with the names), and beside it the unpacked
// layers. What is made here is made in `tmp` and renamed when it is whole, so a kill at any moment leaves nothing
// half-made; what it leaves in `tmp`, the next command removes.
// @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md

import { cString, decode } from "../abi/bytes.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { AT, AT_FDCWD, LOCK, O, O_BY_ARCH } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { address, arch, close, listDirectory, open, readFileOr, syscall, writeAll } from "../sys/linux.ts";
import { randomBytes } from "../sys/random.ts";
import { checkDigest, digestOf, type Hasher, hasherLike, parseDigest } from "./digest.ts";
import { storePath } from "../host/store-path.ts";
import { asDescriptor, type Descriptor, MEDIA, MOST_JSON_BYTES } from "./manifest.ts";
import { removeTree, statAt } from "./tree.ts";

const { O_DIRECTORY } = O_BY_ARCH[arch];

export interface Store {
  readonly root: string;
  /** Held as long as this process uses the store: shared, so that nobody takes for garbage what it is about to name. */
  readonly lock: number;
}

/** The annotation that holds an image's name. */
const NAME = "org.opencontainers.image.ref.name";

const check = (title: string, result: number, hint?: string): number => {
  if (result < 0) throw new StepError(title, -result, hint);
  return result;
};

const makeDirectory = (path: string, mode = 0o700): void => {
  const name = cString(path);
  const result = syscall("mkdirat", AT_FDCWD, address(name), mode);
  if (result < 0 && result !== -errno("EEXIST")) check(`make ${path}`, result);
};

const rename = (from: string, to: string): number => {
  const [old, now] = [cString(from), cString(to)];
  return syscall("renameat2", AT_FDCWD, address(old), AT_FDCWD, address(now), 0);
};

const syncDirectory = (path: string): void => {
  const fd = check(`open ${path}`, open(path, O.O_RDONLY | O_DIRECTORY | O.O_CLOEXEC));
  const result = syscall("fsync", fd);
  close(fd);
  check(`sync ${path}`, result);
};

/** Opens the store, makes it where there is none, and clears what killed commands have left in it. */
export const openStore = (host: Host): Store => {
  const root = storePath(host);
  const parents = root.split("/");
  for (let i = 2; i < parents.length; i++) {
    const above = parents.slice(0, i).join("/");
    if (above && host.kind(above) === undefined) makeDirectory(above, 0o755);
  }
  // Nobody else comes in: there are setuid programs in layers.
  for (const part of ["", "/blobs", "/blobs/sha256", "/blobs/sha512", "/layers", "/tmp"])
    makeDirectory(`${root}${part}`);
  const lock = check(`open ${root}/lock`, open(`${root}/lock`, O.O_RDWR | O.O_CREAT | O.O_CLOEXEC, 0o600));
  const store = { root, lock };
  if (syscall("flock", lock, LOCK.LOCK_EX | LOCK.LOCK_NB) === 0) {
    // Nobody else is at work, so nobody needs what lies there.
    for (const name of listOr(`${root}/tmp`)) discard(`${root}/tmp/${name}`);
  }
  check(`lock ${root}`, lockWaiting(lock, LOCK.LOCK_SH));
  if (host.kind(`${root}/oci-layout`) === undefined)
    replaceFile(store, `${root}/oci-layout`, '{"imageLayoutVersion":"1.0.0"}');
  return store;
};

const lockWaiting = (fd: number, how: number): number => {
  for (;;) {
    const result = syscall("flock", fd, how);
    if (result !== -errno("EINTR")) return result;
  }
};

const listOr = (path: string): string[] => {
  const names = listDirectory(path);
  return typeof names === "number" ? [] : names.map(decode);
};

/** Removes a file or a tree of the store. */
const discard = (path: string): number => {
  const name = cString(path);
  return removeTree(AT_FDCWD, name);
};

export const temporary = (store: Store): string => `${store.root}/tmp/${randomBytes(12).toHex()}`;

const openNew = (path: string): number =>
  check(`make ${path}`, open(path, O.O_RDWR | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, 0o600));

/** A small file of something that is not written through to the disk either. */
const writeNew = (path: string, content: string): void => {
  const fd = openNew(path);
  const result = writeAll(fd, content);
  close(fd);
  check(`write ${path}`, result);
};

/** Puts a file in the place of another, or where there is none: whole, and on the disk. */
const replaceFile = (store: Store, path: string, content: string | Uint8Array): void => {
  const made = temporary(store);
  const fd = openNew(made);
  const result = writeAll(fd, content) || syscall("fsync", fd);
  close(fd);
  check(`write ${path}`, result);
  check(`write ${path}`, rename(made, path));
  syncDirectory(path.slice(0, path.lastIndexOf("/")));
};

// Blobs

export const blobPath = (store: Store, digest: string): string => {
  const parsed = parseDigest(digest);
  if (!parsed) throw new HostError(`'${digest}' is no digest`);
  return `${store.root}/blobs/${parsed.algorithm}/${parsed.hex}`;
};

const exists = (path: string): boolean => {
  const name = cString(path);
  return syscall("faccessat", AT_FDCWD, address(name), 0) === 0;
};

export const hasBlob = (store: Store, digest: string): boolean => exists(blobPath(store, digest));

/** A blob that is being written. One of {@link commit} and {@link abort} ends it. */
export interface BlobWriter {
  /** Throws {@link HostError} for more than was announced. */
  write(bytes: Uint8Array): void;
  /** Bytes so far. */
  written(): number;
  /** From the first byte again. */
  restart(): void;
  /** Gives it its name. Throws {@link HostError} when size or digest are not those announced. */
  commit(): { digest: string; size: number };
  abort(): void;
}

export const createBlob = (
  store: Store,
  what: string,
  expected?: { readonly digest: string; readonly size: number },
): BlobWriter => {
  const path = temporary(store);
  const fd = openNew(path);
  let hasher: Hasher = hasherLike(expected?.digest);
  let size = 0;
  let isOpen = true;
  const abort = (): void => {
    if (!isOpen) return;
    isOpen = false;
    close(fd);
    discard(path);
  };
  return {
    write: (bytes) => {
      if (expected && size + bytes.length > expected.size)
        throw new HostError(`${what}: more than the ${expected.size} bytes that it was announced with`);
      size += bytes.length;
      hasher.update(bytes);
      check(`write ${what}`, writeAll(fd, bytes));
    },
    written: () => size,
    restart: () => {
      check(`write ${what}`, syscall("ftruncate", fd, 0) || syscall("lseek", fd, 0, 0));
      hasher = hasherLike(expected?.digest);
      size = 0;
    },
    commit: () => {
      const digest = hasher.digest();
      try {
        if (expected && size !== expected.size)
          throw new HostError(`${what}: ${size} bytes, and ${expected.size} were announced`);
        if (expected) checkDigest(what, expected.digest, digest);
        const to = blobPath(store, digest);
        check(`write ${what}`, syscall("fsync", fd));
        check(`write ${what}`, rename(path, to));
        isOpen = false;
        close(fd);
        syncDirectory(to.slice(0, to.lastIndexOf("/")));
      } finally {
        abort();
      }
      return { digest, size };
    },
    abort,
  };
};

/** A small blob, in one go. */
export const putBlob = (store: Store, bytes: Uint8Array, digest = digestOf(bytes)): void => {
  if (!hasBlob(store, digest)) replaceFile(store, blobPath(store, digest), bytes);
};

/** A manifest or a config, looked at once more: what lies on a disk may have changed. */
export const readBlob = (store: Store, digest: string): Uint8Array => {
  const bytes = readFileOr(blobPath(store, digest));
  if (typeof bytes === "number") throw new StepError(`read ${digest}`, -bytes, "nsk pull gets it again");
  if (bytes.length > MOST_JSON_BYTES) throw new HostError(`${digest}: more than ${MOST_JSON_BYTES} bytes`);
  const hasher = hasherLike(digest);
  hasher.update(bytes);
  checkDigest(blobPath(store, digest), digest, hasher.digest());
  return bytes;
};

/** Milliseconds between two looks whether somebody else has got a blob. */
const PAUSE = 50;

/**
 * Does what only one process at a time shall do about a blob. Nobody's lock outlives its process; it is asked for again
 * and again, because to wait in flock(2) would stop what else this process gets, which others may wait for.
 */
export const withBlobLock = async <T>(store: Store, digest: string, work: () => Promise<T>): Promise<T> => {
  const { hex } = parseDigest(digest)!;
  const path = `${store.root}/tmp/${hex}.lock`;
  for (;;) {
    const lock = check(`open ${path}`, open(path, O.O_RDWR | O.O_CREAT | O.O_CLOEXEC, 0o600));
    try {
      for (;;) {
        const result = syscall("flock", lock, LOCK.LOCK_EX | LOCK.LOCK_NB);
        if (result === 0) break;
        if (result !== -errno("EAGAIN") && result !== -errno("EINTR")) check(`lock ${path}`, result);
        await Bun.sleep(PAUSE);
      }
      // Whoever had it before has taken the file away, and somebody else may hold a new one.
      const found = statAt(lock, cString(""), AT.AT_EMPTY_PATH);
      if (typeof found === "number" || found.links === 0) continue;
      try {
        return await work();
      } finally {
        discard(path);
      }
    } finally {
      close(lock);
    }
  }
};

// Unpacked layers

const layerDirectory = (root: string, diffId: string): string => {
  const parsed = parseDigest(diffId);
  if (!parsed) throw new HostError(`'${diffId}' is no digest`);
  return `${root}/layers/${parsed.hex}`;
};

/** The directory that overlayfs takes for a layer. */
export const layerPath = (root: string, diffId: string): string => `${layerDirectory(root, diffId)}/diff`;

/** Under this name a layer has a short path as well: 128 bits of its digest. */
const shortName = (hex: string): string => Buffer.from(hex.slice(0, 32), "hex").toString("base64url");

/**
 * A path of a layer that 127 of fit on the page that mount(2) takes, once they are written without their directory:
 * `l/NAME`, a symbolic link. It is made with the layer; where a kill or an older nsk left none, now.
 */
export const shortLayerPath = (root: string, diffId: string): string => {
  const { hex } = parseDigest(diffId)!;
  const path = `${root}/l/${shortName(hex)}`;
  const [name, target] = [cString(path), cString(`../layers/${hex}/diff`)];
  makeDirectory(`${root}/l`);
  const result = syscall("symlinkat", address(target), AT_FDCWD, address(name));
  if (result === -errno("EEXIST")) {
    const found = new Uint8Array(target.length + 1);
    const length = syscall("readlinkat", AT_FDCWD, address(name), address(found), found.length);
    // Two digests that begin alike are nobody's accident.
    if (length !== target.length - 1 || !target.subarray(0, length).every((byte, i) => byte === found[i]))
      throw new HostError(`${path} leads to another layer than ${diffId}`);
  } else check(`make ${path}`, result);
  return path;
};

export const hasLayer = (store: Store, diffId: string): boolean => exists(layerPath(store.root, diffId));

/**
 * Makes a layer: `unpack` fills the open directory, and what comes out of it is checked against the layer's name.
 * Throws {@link HostError} when it is another one.
 */
export const putLayer = async <T extends { readonly diffId: string; readonly size: number }>(
  store: Store,
  diffId: string | undefined,
  unpack: (directory: number) => Promise<T>,
): Promise<T> => {
  const made = temporary(store);
  makeDirectory(made);
  try {
    // What an archive says nothing of is root's, and anybody may look.
    makeDirectory(`${made}/diff`, 0o755);
    const fd = check(`open ${made}/diff`, open(`${made}/diff`, O.O_RDONLY | O_DIRECTORY | O.O_CLOEXEC));
    let unpacked: T;
    try {
      syscall("fchmod", fd, 0o755);
      unpacked = await unpack(fd);
    } finally {
      close(fd);
    }
    if (diffId !== undefined) checkDigest("an unpacked layer", diffId, unpacked.diffId);
    writeNew(`${made}/size`, `${unpacked.size}\n`);
    const to = layerDirectory(store.root, unpacked.diffId);
    const result = rename(made, to);
    // Somebody else was faster with the same layer.
    if (result !== -errno("EEXIST") && result !== -errno("ENOTEMPTY")) check(`make ${to}`, result);
    shortLayerPath(store.root, unpacked.diffId);
    return unpacked;
  } finally {
    discard(made);
  }
};

/** The bytes in a layer's files, 0 for one that is not there. */
export const layerSize = (root: string, diffId: string): number => {
  const bytes = readFileOr(`${layerDirectory(root, diffId)}/size`);
  return typeof bytes === "number" ? 0 : Number(decode(bytes));
};

// Names

/** A manifest in the store, and the full name of the image, if it has one. */
export interface Named {
  readonly name: string | undefined;
  readonly manifest: Descriptor;
}

/** The images of the store at `root`, the newest first; none where there is no store. */
export const readIndex = (root: string): Named[] => {
  const bytes = readFileOr(`${root}/index.json`);
  if (bytes === -errno("ENOENT")) return [];
  if (typeof bytes === "number") throw new StepError(`read ${root}/index.json`, -bytes);
  let manifests: unknown;
  try {
    ({ manifests } = JSON.parse(decode(bytes)));
  } catch {
    throw new HostError(`${root}/index.json is not JSON`);
  }
  if (!Array.isArray(manifests)) throw new HostError(`${root}/index.json has no list of manifests`);
  return manifests.map((one) => {
    const manifest = asDescriptor(`${root}/index.json`, one);
    return { name: manifest.annotations?.[NAME], manifest };
  });
};

/** Changes the index; nobody else does meanwhile. What `change` returns takes its place. */
export const changeIndex = (store: Store, change: (images: readonly Named[]) => readonly Named[]): void => {
  const path = `${store.root}/index.lock`;
  const lock = check(`open ${path}`, open(path, O.O_RDWR | O.O_CREAT | O.O_CLOEXEC, 0o600));
  try {
    check(`lock ${path}`, lockWaiting(lock, LOCK.LOCK_EX));
    const images = change(readIndex(store.root));
    const manifests = images.map(({ name, manifest: { annotations, ...rest } }) => {
      const { [NAME]: _, ...others } = annotations ?? {};
      const all = name === undefined ? others : { ...others, [NAME]: name };
      return Object.keys(all).length ? { ...rest, annotations: all } : rest;
    });
    const index = { schemaVersion: 2, mediaType: MEDIA.index, manifests };
    replaceFile(store, `${store.root}/index.json`, JSON.stringify(index, null, 1));
  } finally {
    close(lock);
  }
};

/** Gives a name to an image. Another one that had it stays, without a name. */
export const nameImage = (store: Store, name: string | undefined, manifest: Descriptor): void =>
  changeIndex(store, (images) => {
    const same = (it: Named): boolean => it.manifest.digest === manifest.digest;
    const kept = images
      .filter((it) => !same(it) || (it.name !== undefined && it.name !== name))
      .map((it) => (it.name !== undefined && it.name === name ? { ...it, name: undefined } : it));
    // An image with a name needs no entry without one.
    if (name === undefined && kept.some(same)) return kept;
    const seen = new Set(kept.filter((it) => it.name !== undefined).map((it) => it.manifest.digest));
    return [
      { name, manifest },
      ...kept.filter((it) => it.name !== undefined || !seen.has(it.manifest.digest)),
    ];
  });

/**
 * Removes blobs and layers that `keep` does not name, unless somebody else is at work in the store: then the next one
 * who asks does it. Layers that are mounted stay.
 */
export const collectGarbage = (
  store: Store,
  keep: () => { readonly digests: ReadonlySet<string>; readonly diffIds: ReadonlySet<string> },
): void => {
  try {
    // Where this fails the shared lock is lost as well. @see flock(2)
    if (syscall("flock", store.lock, LOCK.LOCK_EX | LOCK.LOCK_NB) !== 0) return;
    const { digests, diffIds } = keep();
    for (const algorithm of ["sha256", "sha512"])
      for (const hex of listOr(`${store.root}/blobs/${algorithm}`))
        if (!digests.has(`${algorithm}:${hex}`)) discard(`${store.root}/blobs/${algorithm}/${hex}`);
    const kept = new Set([...diffIds].map((id) => parseDigest(id)?.hex));
    const mounted = mountedLayers();
    for (const hex of listOr(`${store.root}/layers`)) {
      if (kept.has(hex) || mounted(hex)) continue;
      discard(`${store.root}/l/${shortName(hex)}`);
      // Out of the way first: a kill in the middle must not leave half a layer under its name.
      const away = temporary(store);
      if (rename(`${store.root}/layers/${hex}`, away) === 0) discard(away);
    }
  } finally {
    lockWaiting(store.lock, LOCK.LOCK_SH);
  }
};

/**
 * Whether an overlay of any process is made of a layer: of any store's, for a path may be written there in several ways.
 * @see proc_pid_mountinfo(5)
 */
export const mountedLayers = (): ((hex: string) => boolean) => {
  const found = new Set<string>();
  for (const pid of listOr("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    const bytes = readFileOr(`/proc/${pid}/mountinfo`);
    if (typeof bytes === "number") continue; // it has ended
    const text = decode(bytes);
    for (const [, hex] of text.matchAll(/\/layers\/([0-9a-f]{64,128})\/diff/g)) found.add(hex!);
    // The short names, which may stand there without their directory.
    for (const [, name] of text.matchAll(/(?<=[=:/])([\w-]{22})(?=[:,\s])/g)) found.add(name!);
  }
  return (hex) => found.has(hex) || found.has(shortName(hex));
};
