// Mount options as fstab(5) and the OCI spec write them: flags by name, how mounts are passed on, attributes of a whole
// tree, and the rest for the filesystem. Pure.

import { MOUNT_ATTR, MS } from "../abi/flags.ts";

/** `[bits set, bits cleared]` @see mount(8), "Filesystem-independent mount options" */
const FLAGS: Readonly<Record<string, readonly [number, number]>> = {
  defaults: [0, 0],
  ro: [MS.MS_RDONLY, 0],
  rw: [0, MS.MS_RDONLY],
  nosuid: [MS.MS_NOSUID, 0],
  suid: [0, MS.MS_NOSUID],
  nodev: [MS.MS_NODEV, 0],
  dev: [0, MS.MS_NODEV],
  noexec: [MS.MS_NOEXEC, 0],
  exec: [0, MS.MS_NOEXEC],
  sync: [MS.MS_SYNCHRONOUS, 0],
  async: [0, MS.MS_SYNCHRONOUS],
  dirsync: [MS.MS_DIRSYNC, 0],
  mand: [MS.MS_MANDLOCK, 0],
  nomand: [0, MS.MS_MANDLOCK],
  nosymfollow: [MS.MS_NOSYMFOLLOW, 0],
  symfollow: [0, MS.MS_NOSYMFOLLOW],
  noatime: [MS.MS_NOATIME, 0],
  atime: [0, MS.MS_NOATIME],
  nodiratime: [MS.MS_NODIRATIME, 0],
  diratime: [0, MS.MS_NODIRATIME],
  relatime: [MS.MS_RELATIME, 0],
  norelatime: [0, MS.MS_RELATIME],
  strictatime: [MS.MS_STRICTATIME, 0],
  nostrictatime: [0, MS.MS_STRICTATIME],
  iversion: [MS.MS_I_VERSION, 0],
  noiversion: [0, MS.MS_I_VERSION],
  lazytime: [MS.MS_LAZYTIME, 0],
  nolazytime: [0, MS.MS_LAZYTIME],
  silent: [MS.MS_SILENT, 0],
  loud: [0, MS.MS_SILENT],
  bind: [MS.MS_BIND, 0],
  rbind: [MS.MS_BIND | MS.MS_REC, 0],
};

const PROPAGATION: Readonly<Record<string, number>> = {
  shared: MS.MS_SHARED,
  slave: MS.MS_SLAVE,
  private: MS.MS_PRIVATE,
  unbindable: MS.MS_UNBINDABLE,
};

/** What a mount's attribute is for a flag, without its negation. @see mount_setattr(2) */
const ATTRIBUTES: Readonly<Record<string, readonly [set: number, cleared: number]>> = {
  ro: [MOUNT_ATTR.MOUNT_ATTR_RDONLY, 0],
  rw: [0, MOUNT_ATTR.MOUNT_ATTR_RDONLY],
  nosuid: [MOUNT_ATTR.MOUNT_ATTR_NOSUID, 0],
  suid: [0, MOUNT_ATTR.MOUNT_ATTR_NOSUID],
  nodev: [MOUNT_ATTR.MOUNT_ATTR_NODEV, 0],
  dev: [0, MOUNT_ATTR.MOUNT_ATTR_NODEV],
  noexec: [MOUNT_ATTR.MOUNT_ATTR_NOEXEC, 0],
  exec: [0, MOUNT_ATTR.MOUNT_ATTR_NOEXEC],
  nodiratime: [MOUNT_ATTR.MOUNT_ATTR_NODIRATIME, 0],
  diratime: [0, MOUNT_ATTR.MOUNT_ATTR_NODIRATIME],
  // One of three; the kernel wants the others cleared.
  relatime: [MOUNT_ATTR.MOUNT_ATTR_RELATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  norelatime: [MOUNT_ATTR.MOUNT_ATTR_STRICTATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  noatime: [MOUNT_ATTR.MOUNT_ATTR_NOATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  atime: [MOUNT_ATTR.MOUNT_ATTR_RELATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  strictatime: [MOUNT_ATTR.MOUNT_ATTR_STRICTATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  nostrictatime: [MOUNT_ATTR.MOUNT_ATTR_RELATIME, MOUNT_ATTR.MOUNT_ATTR__ATIME],
  nosymfollow: [MOUNT_ATTR.MOUNT_ATTR_NOSYMFOLLOW, 0],
  symfollow: [0, MOUNT_ATTR.MOUNT_ATTR_NOSYMFOLLOW],
};

/** The flag word for mount(2), and what is left for the filesystem, null for nothing. */
export const parseMountOptions = (options: readonly string[]): { flags: number; data: string | null } => {
  let flags = 0;
  const rest: string[] = [];
  for (const option of options) {
    const known = FLAGS[option];
    if (known) flags = (flags | known[0]) & ~known[1];
    else rest.push(option);
  }
  return { flags, data: rest.length ? rest.join(",") : null };
};

/** A change of a mount's attributes, of itself alone or of its whole tree. */
export interface Attributes {
  readonly set: number;
  readonly cleared: number;
}

/** All that the spec's options say of one mount. */
export interface MountOptions {
  /** For mount(2) of a filesystem. */
  readonly flags: number;
  readonly data: string | null;
  /** For a bind mount: of the mount itself. */
  readonly own: Attributes;
  /** `rro`, `rnoexec`, …: of all mounts of the tree. */
  readonly tree: Attributes;
  /** MS_SHARED, …, with MS_REC for the tree; 0 for as it comes. */
  readonly propagation: number;
  readonly isRecursive: boolean;
}

export const readMountOptions = (options: readonly string[]): MountOptions => {
  const rest: string[] = [];
  let propagation = 0;
  const change = (before: Attributes, [set, cleared]: readonly [number, number]): Attributes => ({
    set: (before.set & ~cleared) | set,
    cleared: (before.cleared & ~set) | cleared,
  });
  let [own, tree]: [Attributes, Attributes] = [
    { set: 0, cleared: 0 },
    { set: 0, cleared: 0 },
  ];
  for (const option of options) {
    const bits = propagationOf(option);
    if (bits !== undefined) propagation = bits;
    else if (option !== "rbind" && option.startsWith("r") && ATTRIBUTES[option.slice(1)])
      tree = change(tree, ATTRIBUTES[option.slice(1)]!);
    else if (!IGNORED.includes(option)) {
      if (ATTRIBUTES[option]) own = change(own, ATTRIBUTES[option]!);
      rest.push(option);
    }
  }
  return {
    ...parseMountOptions(rest),
    own,
    tree,
    propagation,
    isRecursive: options.includes("rbind"),
  };
};

/** Whether they are idmapped or copied is said elsewhere, or is refused. */
const IGNORED: readonly string[] = ["idmap", "ridmap", "tmpcopyup"];

const propagationOf = (option: string): number | undefined => {
  const plain = PROPAGATION[option];
  if (plain !== undefined) return plain;
  const recursive = option.startsWith("r") ? PROPAGATION[option.slice(1)] : undefined;
  return recursive === undefined ? undefined : recursive | MS.MS_REC;
};

/** All that are no filesystem's own. */
export const MOUNT_OPTIONS: readonly string[] = [
  ...Object.keys(FLAGS),
  ...Object.keys(PROPAGATION).flatMap((name) => [name, `r${name}`]),
  ...Object.keys(ATTRIBUTES).map((name) => `r${name}`),
  ...IGNORED,
];

/** What nsk has not, in words; undefined where there is nothing to say against the options. */
export const checkMountOptions = (options: readonly string[], type: string): string | undefined => {
  const isBind = type === "bind";
  for (const option of options) {
    if (option === "tmpcopyup" && type !== "tmpfs") return "has 'tmpcopyup', and is no tmpfs";
    if (option === "copy-symlink") return "has 'copy-symlink', which nsk has not";
    if (option === "remount") return "has 'remount', which is no mount";
    if (!isBind) continue;
    const isKnown =
      FLAGS[option] !== undefined ||
      propagationOf(option) !== undefined ||
      IGNORED.includes(option) ||
      (option.startsWith("r") && ATTRIBUTES[option.slice(1)] !== undefined);
    if (isKnown && BIND_HAS_NOT.includes(option)) return `has '${option}', which a bind mount cannot have`;
  }
  return undefined;
};

/** They belong to a filesystem, and a bind mount is of one that is mounted. */
const BIND_HAS_NOT: readonly string[] = ["mand"];
