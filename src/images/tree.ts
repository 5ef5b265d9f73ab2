// Writing a tree of files beneath a directory, by descriptors only, so that nothing that an archive names can lie
// outside: a path is resolved by the kernel as if the directory were the root (openat2(2)), and what is made is made
// by its last name in an open directory, never through a symbolic link.

import { cString } from "../abi/bytes.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { AT, O, O_BY_ARCH, RESOLVE, S } from "../abi/flags.ts";
import { address, arch, close, listOpen, syscall } from "../sys/linux.ts";
import type { Time } from "./pax.ts";

const { O_DIRECTORY, O_NOFOLLOW } = O_BY_ARCH[arch];
const [EEXIST, ENOENT, ENOSYS, EAGAIN, ENOTDIR, EISDIR, EINTR] = [
  errno("EEXIST"),
  errno("ENOENT"),
  errno("ENOSYS"),
  errno("EAGAIN"),
  errno("ENOTDIR"),
  errno("EISDIR"),
  errno("EINTR"),
];

/** What every kind of file has. */
export interface Attributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly xattrs: readonly (readonly [name: string, value: Uint8Array])[];
}

/** What the writer may do here. */
export interface Powers {
  /** Give files to their owners; otherwise all are the caller's. */
  readonly owners: boolean;
  /** Make device nodes; otherwise they are left out and counted. */
  readonly devices: boolean;
  /** The namespace of overlayfs's own attributes: `trusted`, or `user` for a plain user (mount option userxattr). */
  readonly overlay: "trusted" | "user";
}

/** Paths have no leading slash, no `.` and no `..` in them; the empty one is the tree itself. */
export interface Tree {
  directory(path: string, attributes: Attributes): void;
  /** An open regular file that {@link finishFile} must end. */
  file(path: string, attributes: Attributes): number;
  finishFile(fd: number, path: string, attributes: Attributes): void;
  symlink(path: string, target: string, attributes: Attributes): void;
  hardLink(path: string, target: string): void;
  /** `type` is one of `S_IFCHR`, `S_IFBLK`, `S_IFIFO`. */
  node(path: string, type: number, major: number, minor: number, attributes: Attributes): void;
  /** Hides what a lower layer has there. @see the kernel's documentation of overlayfs, "whiteouts and opaque directories" */
  whiteout(path: string): void;
  /** Hides all that lower layers have in a directory. */
  opaque(path: string): void;
  /** Sets what directories are to be in the end, once nothing more is made in them. */
  finish(): void;
  /** Closes descriptors; also after an error. */
  close(): void;
  /** Device nodes that were left out. */
  readonly leftOut: () => number;
}

/** So many directories stay open: entries of an archive lie beside one another. */
const MOST_OPEN = 64;

/** A directory that something is made in. */
interface OpenDirectory {
  readonly fd: number;
  /** Its time when it was opened, which what is made in it changes: of one that had been closed, the archive's. */
  readonly mtime: Status["mtime"];
  /** What its own entry says, which it gets when it is closed. */
  attributes?: Attributes;
}

const parentOf = (path: string): string => path.slice(0, Math.max(path.lastIndexOf("/"), 0));
const nameOf = (path: string): Uint8Array => cString(path.slice(path.lastIndexOf("/") + 1));

const fail = (what: string, path: string, result: number, hint?: string): never => {
  throw new StepError(`${what} ${path || "."}`, -result, hint);
};

/** Only in a user namespace are there ids that nobody can be. */
const ownerHint = (result: number, { uid, gid }: Attributes): string | undefined =>
  result === -errno("EINVAL")
    ? `${uid}:${gid} is beyond the ids of this user namespace: it takes larger ranges`
    : undefined;

const how = new BigUint64Array(3); // struct open_how { __u64 flags, mode, resolve; }
let hasOpenat2 = true;

/** Opens a path as if the directory `root` were `/`: links in it and `..` lead nowhere else. The descriptor or the negative error number. */
export const openInRoot = (root: number, path: string, flags: number): number => {
  const name = cString(path || ".");
  while (hasOpenat2) {
    how[0] = BigInt(flags | O.O_CLOEXEC);
    how[2] = BigInt(RESOLVE.RESOLVE_IN_ROOT | RESOLVE.RESOLVE_NO_MAGICLINKS);
    const fd = syscall("openat2", root, address(name), address(how), 24);
    if (fd === -ENOSYS) hasOpenat2 = false;
    // Somebody renames something meanwhile, and the kernel cannot say that `..` stays inside.
    else if (fd !== -EAGAIN) return fd;
  }
  return walk(root, path, flags);
};

/** Before Linux 5.6: component by component, and no symbolic link on the way at all. */
export const walk = (root: number, path: string, flags: number): number => {
  const names = path.split("/").filter((name) => name !== "" && name !== ".");
  if (names.includes("..")) return -errno("EXDEV");
  const at = (fd: number, name: string, flags: number): number => {
    const word = cString(name);
    return syscall("openat", fd, address(word), flags | O_NOFOLLOW | O.O_CLOEXEC, 0);
  };
  const last = names.pop() ?? ".";
  let fd = root;
  for (const name of names) {
    const next = at(fd, name, O.O_PATH | O_DIRECTORY);
    if (fd !== root) close(fd);
    if (next < 0) return next;
    fd = next;
  }
  const opened = at(fd, last, flags);
  if (fd !== root) close(fd);
  return opened;
};

const stat = new Uint8Array(256);
const statView = new DataView(stat.buffer);

interface Status {
  readonly mode: number;
  readonly links: number;
  readonly device: bigint;
  readonly mtime: readonly [seconds: bigint, nanoseconds: bigint];
}

/** What stat says of a name, links not followed; of `fd` itself for an empty one and AT_EMPTY_PATH. @see stat(2) */
export const statAt = (
  fd: number,
  name: Uint8Array,
  flags: number = AT.AT_SYMLINK_NOFOLLOW,
): Status | number => {
  const result = syscall("newfstatat", fd, address(name), address(stat), flags);
  if (result < 0) return result;
  return {
    mode: statView.getUint32(arch === "x64" ? 24 : 16, true),
    links: statView.getUint32(arch === "x64" ? 16 : 20, true),
    device: statView.getBigUint64(arch === "x64" ? 40 : 32, true),
    mtime: [statView.getBigInt64(88, true), statView.getBigInt64(96, true)],
  };
};

/** Whether a name is overlayfs's whiteout. */
export const isWhiteout = (found: { mode: number; device: bigint }): boolean =>
  (found.mode & S.S_IFMT) === S.S_IFCHR && found.device === 0n;

/** Removes a name of an open directory, with everything in it. 0 or the negative error number. */
export const removeTree = (fd: number, name: Uint8Array): number => {
  const result = syscall("unlinkat", fd, address(name), 0);
  if (result !== -EISDIR) return result;
  const inner = syscall("openat", fd, address(name), O.O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O.O_CLOEXEC, 0);
  if (inner < 0) return inner;
  const names = listOpen(inner);
  let failed = typeof names === "number" ? names : 0;
  if (typeof names !== "number") {
    for (const one of names) {
      const word = new Uint8Array(one.length + 1);
      word.set(one);
      failed = removeTree(inner, word) || failed;
    }
  }
  close(inner);
  return failed || syscall("unlinkat", fd, address(name), AT.AT_REMOVEDIR);
};

/** Attributes that the kernel or this file system does not take are left out, as docker does. */
const mayBeRefused = [errno("EOPNOTSUPP"), errno("EPERM"), errno("EINVAL"), errno("ENOSYS")].map(
  (number) => -number,
);

/** Writes into the open directory `root`, which stays the caller's. The umask of this process must be 0. */
export const openTree = (root: number, powers: Powers): Tree => {
  const open = new Map<string, OpenDirectory>();
  /** Directories that get what their entries say in the very end: until then it would change what is made in them. */
  const late = new Map<string, Attributes>();
  const times = new BigInt64Array(4); // struct timespec[2]
  const [own, ownGroup] = [syscall("geteuid"), syscall("getegid")];
  let leftOut = 0;

  /** To be called before an entry is begun, never within: descriptors of open directories are at hand there. */
  const trim = (): void => {
    if (open.size >= MOST_OPEN) closeAll();
  };

  /** Closes all directories. Thus what an archive takes of memory does not grow with it. */
  const closeAll = (): void => {
    // One directory may be open by two paths, of which a link is one: then its entry counts, else the first time read.
    for (const { fd, mtime } of [...open.values()].reverse()) {
      [times[0], times[1]] = [times[2], times[3]] = mtime as [bigint, bigint];
      syscall("utimensat", fd, 0, address(times), 0);
    }
    for (const [path, { fd, attributes }] of open) if (attributes) dress(fd, path, attributes, false);
    forget();
  };

  const forget = (): void => {
    for (const { fd } of open.values()) close(fd);
    open.clear();
  };

  /** The directory that an entry lies in; made where it is missing, as docker does. */
  const enter = (path: string, make = true): number => {
    if (path === "") return root;
    const known = open.get(path);
    if (known !== undefined) return known.fd;
    let fd = openInRoot(root, path, O.O_RDONLY | O_DIRECTORY);
    if (fd === -ENOENT && make) {
      const above = enter(parentOf(path));
      const name = nameOf(path);
      const made = syscall("mkdirat", above, address(name), 0o755);
      if (made < 0 && made !== -EEXIST) fail("make", path, made);
      fd = openInRoot(root, path, O.O_RDONLY | O_DIRECTORY);
    }
    if (fd < 0) fail("open", path, fd);
    const found = statAt(fd, cString(""), AT.AT_EMPTY_PATH);
    if (typeof found === "number") return fail("look at", path, found);
    open.set(path, { fd, mtime: found.mtime });
    return fd;
  };

  /**
   * Whether attributes of a directory must wait for the end: its group would become that of what is made in it, a default
   * ACL likewise, and its user could not come in again.
   */
  const isLate = ({ mode, xattrs }: Attributes): boolean =>
    (mode & 0o2000) !== 0 || xattrs.length > 0 || (mode & 0o700) !== 0o700;

  /** Makes a name, in the place of whatever is there. */
  const make = (what: string, path: string, call: (fd: number, name: Uint8Array) => number): number => {
    trim();
    const fd = enter(parentOf(path));
    const name = nameOf(path);
    let result = call(fd, name);
    if (result === -EEXIST) {
      clear(path, fd, name);
      result = call(enter(parentOf(path)), name);
    }
    if (result < 0) fail(what, path, result);
    return result;
  };

  /** Takes away what an earlier entry made: the last one counts. */
  const clear = (path: string, fd: number, name: Uint8Array): void => {
    const found = statAt(fd, name);
    if (typeof found === "number") return;
    const removed = removeTree(fd, name);
    if (removed < 0) fail("replace", path, removed);
    const type = found.mode & S.S_IFMT;
    if (type !== S.S_IFDIR && type !== S.S_IFLNK) return;
    closeAll(); // paths below may lead elsewhere from now on
    for (const key of late.keys()) if (key === path || key.startsWith(`${path}/`)) late.delete(key);
  };

  const isOwn = ({ uid, gid }: Attributes): boolean => !powers.owners || (uid === own && gid === ownGroup);

  const setTimes = ({ mtime }: Attributes): number => {
    times[0] = times[2] = BigInt(mtime.seconds);
    times[1] = times[3] = BigInt(mtime.nanoseconds);
    return address(times);
  };

  /** Owner, mode, attributes and time of an open file; in this order, for a change of owner takes some of the others away. */
  const dress = (fd: number, path: string, it: Attributes, modeIsSet: boolean): void => {
    if (!isOwn(it)) {
      const result = syscall("fchown", fd, it.uid, it.gid);
      if (result < 0) fail("change the owner of", path, result, ownerHint(result, it));
    }
    if (!modeIsSet || !isOwn(it)) {
      const result = syscall("fchmod", fd, it.mode);
      if (result < 0) fail("change the mode of", path, result);
    }
    for (const [key, value] of it.xattrs) {
      const name = cString(key);
      const data = value.length ? address(value) : 0;
      const result = syscall("fsetxattr", fd, address(name), data, value.length, 0);
      if (result < 0 && !mayBeRefused.includes(result)) fail(`set ${key} of`, path, result);
    }
    const result = syscall("utimensat", fd, 0, setTimes(it), 0);
    if (result < 0) fail("set the time of", path, result);
  };

  /** The same of a name that is not opened: a link or a node. */
  const dressName = (path: string, it: Attributes): void => {
    const fd = enter(parentOf(path));
    const name = nameOf(path);
    if (!isOwn(it)) {
      const result = syscall("fchownat", fd, address(name), it.uid, it.gid, AT.AT_SYMLINK_NOFOLLOW);
      if (result < 0) fail("change the owner of", path, result, ownerHint(result, it));
    }
    if (it.xattrs.length) {
      // The descriptor's magic link leads to the open directory itself, and the last name is not followed.
      const place = cString(`/proc/self/fd/${fd}/${path.slice(path.lastIndexOf("/") + 1)}`);
      for (const [key, value] of it.xattrs) {
        const attribute = cString(key);
        const data = value.length ? address(value) : 0;
        const result = syscall("lsetxattr", address(place), address(attribute), data, value.length, 0);
        if (result < 0 && !mayBeRefused.includes(result)) fail(`set ${key} of`, path, result);
      }
    }
    const result = syscall("utimensat", fd, address(name), setTimes(it), AT.AT_SYMLINK_NOFOLLOW);
    if (result < 0) fail("set the time of", path, result);
  };

  const opaque = (path: string): void => {
    enter(path);
    const fd = openInRoot(root, path, O.O_RDONLY | O_DIRECTORY);
    if (fd < 0) fail("open", path, fd);
    const name = cString(`${powers.overlay}.overlay.opaque`);
    const value = Uint8Array.of(0x79); // "y"
    const result = syscall("fsetxattr", fd, address(name), address(value), 1, 0);
    close(fd);
    if (result < 0)
      fail(
        "make opaque",
        path,
        result,
        "the file system of the store has no extended attributes for overlayfs",
      );
  };

  return {
    directory: (path, attributes) => {
      trim();
      if (path !== "") {
        const fd = enter(parentOf(path));
        const name = nameOf(path);
        const make = (): number => syscall("mkdirat", fd, address(name), 0o700);
        const made = make();
        if (made < 0 && made !== -EEXIST) fail("make", path, made);
        if (made < 0) {
          const found = statAt(fd, name);
          const isThere = typeof found !== "number" && (found.mode & S.S_IFMT) === S.S_IFDIR;
          if (typeof found !== "number" && !isThere) {
            const result = syscall("unlinkat", fd, address(name), 0) || make();
            if (result < 0) fail("make", path, result);
            // What lay below the whiteout stays hidden.
            if (isWhiteout(found)) opaque(path);
            if ((found.mode & S.S_IFMT) === S.S_IFLNK) closeAll();
          }
        }
      }
      if (path === "" || isLate(attributes)) late.set(path, attributes);
      else {
        enter(path);
        open.get(path)!.attributes = attributes;
        late.delete(path);
      }
    },
    file: (path, attributes) =>
      make("make", path, (fd, name) =>
        // Without setuid bits until the file is whole; finishFile() sets them.
        syscall(
          "openat",
          fd,
          address(name),
          O.O_WRONLY | O.O_CREAT | O.O_EXCL | O_NOFOLLOW | O.O_CLOEXEC,
          attributes.mode & 0o777,
        ),
      ),
    finishFile: (fd, path, attributes) => {
      dress(fd, path, attributes, (attributes.mode & 0o7000) === 0);
      close(fd);
    },
    symlink: (path, target, attributes) => {
      const to = cString(target);
      make("make", path, (fd, name) => syscall("symlinkat", address(to), fd, address(name)));
      dressName(path, attributes);
    },
    hardLink: (path, target) => {
      if (path === target) return;
      const name = nameOf(target);
      make(`link ${target} to`, path, (fd, newName) =>
        syscall("linkat", enter(parentOf(target), false), address(name), fd, address(newName), 0),
      );
    },
    node: (path, type, major, minor, attributes) => {
      if (!powers.devices && type !== S.S_IFIFO) {
        leftOut++;
        return;
      }
      if (major > 0xfff || minor > 0xfffff)
        throw new HostError(`${path}: there is no device ${major}:${minor}`);
      const device = ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
      make("make", path, (fd, name) =>
        syscall("mknodat", fd, address(name), type | (attributes.mode & 0o7777), device),
      );
      dressName(path, attributes);
    },
    whiteout: (path) => {
      trim();
      const fd = enter(parentOf(path));
      const name = nameOf(path);
      const result = syscall("mknodat", fd, address(name), S.S_IFCHR, 0);
      if (result === -EEXIST) {
        // The layer brings its own: only what lies below is hidden, which an upper file does by itself.
        const found = statAt(fd, name);
        if (typeof found !== "number" && (found.mode & S.S_IFMT) === S.S_IFDIR) opaque(path);
      } else if (result < 0) fail("make", path, result, "a plain user makes whiteouts from Linux 5.8 on");
    },
    opaque: (path) => {
      trim();
      opaque(path);
    },
    finish: () => {
      closeAll();
      // Children before their parents: a directory that may not be searched is closed last.
      for (const path of [...late.keys()].sort().reverse()) {
        const fd = openInRoot(root, path, O.O_RDONLY | O_DIRECTORY);
        // An earlier name of a directory that was replaced under another one.
        if (fd === -ENOENT || fd === -ENOTDIR) continue;
        if (fd < 0) fail("open", path, fd);
        dress(fd, path, late.get(path)!, false);
        close(fd);
      }
    },
    close: forget,
    leftOut: () => leftOut,
  };
};

/** Writes bytes to a place in a file: `length` from memory at `from`. @see pwrite(2) */
export const writeAt = (fd: number, path: string, from: number, length: number, offset: number): void => {
  for (let done = 0; done < length;) {
    const count = syscall("pwrite64", fd, from + done, length - done, offset + done);
    if (count >= 0) done += count;
    else if (count !== -EINTR) fail("write", path, count);
  }
};
