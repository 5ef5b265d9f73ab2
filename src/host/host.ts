// What a plan may know about the machine it is for. Planners take a `Host` and nothing else: the real one
// (live.ts) reads lazily and keeps nothing, a test passes a fixture (fixture.ts).

import type { Arch } from "../abi/syscalls.ts";

/** A device node. */
export interface DeviceNode {
  /** Block or character. */
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  /** Permission bits. */
  readonly mode: number;
}

/** What a directory has under a name. */
export interface Entry {
  readonly type: "directory" | "link" | "other";
  readonly uid: number;
  /** Permission bits. */
  readonly mode: number;
}

export interface Host {
  readonly arch: Arch;
  /** Effective ids. @see credentials(7) */
  readonly euid: number;
  readonly egid: number;
  /** A variable of the environment. */
  env(name: string): string | undefined;
  /** The text of a file, undefined where it is not there or may not be read. */
  read(path: string): string | undefined;
  /**
   * The same of a file of a root that others have made, by its path there: no link leads out of the root, and what is no
   * plain file is not opened. A megabyte at most.
   */
  readIn(root: string, path: string): string | undefined;
  /** The names in a directory, undefined where it is none or may not be read. */
  list(path: string): string[] | undefined;
  /** The names of the directories in a directory, as {@link list}; for a tree of directories the fast way. */
  directories(path: string): string[] | undefined;
  /** The permission bits of what a path leads to; undefined for nothing. @see inode(7) */
  mode(path: string): number | undefined;
  /** What a symbolic link holds, undefined where there is none or it may not be read. @see readlink(2) */
  link(path: string): string | undefined;
  /** Who owns what a path leads to; undefined for nothing. */
  owner(path: string): { readonly uid: number; readonly gid: number } | undefined;
  /** What stands at a path itself, symbolic links not followed, by one look; undefined for nothing. @see lstat(2) */
  entry(path: string): Entry | undefined;
  /** The device that a path leads to, symbolic links followed; undefined for anything else. @see mknod(2) */
  device(path: string): DeviceNode | undefined;
  /** Whether a descriptor of the caller's is a terminal. */
  isTerminal(fd: number): boolean;
  /** What a path leads to, symbolic links followed; undefined for nothing. */
  kind(path: string): "file" | "directory" | "other" | undefined;
}
