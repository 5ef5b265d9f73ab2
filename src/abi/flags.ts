// Constants of the kernel's interface, by the names of the manual pages. Tables are in the order in which strace
// prints them, so that an explained flag word can be laid beside a traced one.

export type FlagTable = Readonly<Record<string, number>>;

/** @see clone(2), unshare(2), namespaces(7) */
export const CLONE = {
  CLONE_NEWTIME: 0x80,
  CLONE_PARENT: 0x8000,
  CLONE_NEWNS: 0x20000,
  CLONE_NEWCGROUP: 0x2000000,
  CLONE_NEWUTS: 0x4000000,
  CLONE_NEWIPC: 0x8000000,
  CLONE_NEWUSER: 0x10000000,
  CLONE_NEWPID: 0x20000000,
  CLONE_NEWNET: 0x40000000,
} as const;

/** @see mount(2) */
export const MS = {
  MS_RDONLY: 1,
  MS_NOSUID: 2,
  MS_NODEV: 4,
  MS_NOEXEC: 8,
  MS_SYNCHRONOUS: 16,
  MS_REMOUNT: 32,
  MS_MANDLOCK: 64,
  MS_DIRSYNC: 128,
  MS_NOSYMFOLLOW: 256,
  MS_NOATIME: 1024,
  MS_NODIRATIME: 2048,
  MS_BIND: 4096,
  MS_MOVE: 8192,
  MS_REC: 16384,
  MS_SILENT: 32768,
  MS_UNBINDABLE: 1 << 17,
  MS_PRIVATE: 1 << 18,
  MS_SLAVE: 1 << 19,
  MS_SHARED: 1 << 20,
  MS_RELATIME: 1 << 21,
  MS_I_VERSION: 1 << 23,
  MS_STRICTATIME: 1 << 24,
  MS_LAZYTIME: 1 << 25,
} as const;

/** @see umount2(2) */
export const MNT = { MNT_FORCE: 1, MNT_DETACH: 2, MNT_EXPIRE: 4, UMOUNT_NOFOLLOW: 8 } as const;

/** Values that differ between the two architectures carry both. @see open(2) */
export const O = {
  O_RDONLY: 0,
  O_WRONLY: 1,
  O_RDWR: 2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_NOCTTY: 0o400,
  O_TRUNC: 0o1000,
  O_APPEND: 0o2000,
  O_NONBLOCK: 0o4000,
  O_CLOEXEC: 0o2000000,
  O_PATH: 0o10000000,
} as const;

/** O_DIRECTORY and O_NOFOLLOW are not the same number everywhere. @see open(2), asm/fcntl.h */
export const O_BY_ARCH = {
  x64: { O_DIRECTORY: 0o200000, O_NOFOLLOW: 0o400000 },
  arm64: { O_DIRECTORY: 0o40000, O_NOFOLLOW: 0o100000 },
} as const;

/** "The current working directory" for the …at calls. @see openat(2) */
export const AT_FDCWD = -100;

/** @see mmap(2) */
export const PROT = { PROT_NONE: 0, PROT_READ: 1, PROT_WRITE: 2, PROT_EXEC: 4 } as const;
export const MAP = {
  MAP_PRIVATE: 0x02,
  MAP_FIXED: 0x10,
  MAP_ANONYMOUS: 0x20,
  MAP_NORESERVE: 0x4000,
} as const;

/** How rt_sigprocmask(2) changes the mask. */
export const SIG_SETMASK = 2;

/** @see openat(2), execveat(2), open_tree(2) */
export const AT = {
  AT_SYMLINK_NOFOLLOW: 0x100,
  AT_REMOVEDIR: 0x200,
  AT_SYMLINK_FOLLOW: 0x400,
  AT_EMPTY_PATH: 0x1000,
  AT_STATX_DONT_SYNC: 0x4000,
  AT_RECURSIVE: 0x8000,
} as const;

/** @see open_tree(2), move_mount(2) */
export const OPEN_TREE = { OPEN_TREE_CLONE: 1, OPEN_TREE_CLOEXEC: 0o2000000, AT_RECURSIVE: 0x8000 } as const;
export const MOVE_MOUNT = { MOVE_MOUNT_F_EMPTY_PATH: 4, MOVE_MOUNT_T_EMPTY_PATH: 0x40 } as const;

/** @see prctl(2) */
export const PR = {
  PR_SET_PDEATHSIG: 1,
  PR_SET_DUMPABLE: 4,
  PR_SET_KEEPCAPS: 8,
  PR_SET_NAME: 15,
  PR_CAPBSET_DROP: 24,
  PR_SET_CHILD_SUBREAPER: 36,
  PR_SET_NO_NEW_PRIVS: 38,
  PR_CAP_AMBIENT: 47,
  PR_CAP_AMBIENT_RAISE: 2,
} as const;

/** @see bpf(2) */
export const BPF = {
  BPF_PROG_LOAD: 5,
  BPF_PROG_ATTACH: 8,
  BPF_PROG_TYPE_CGROUP_DEVICE: 15,
  BPF_CGROUP_DEVICE: 6,
  BPF_F_ALLOW_MULTI: 2,
} as const;

/** @see keyctl(2) */
export const KEYCTL_JOIN_SESSION_KEYRING = 1;

/** @see seccomp(2) */
export const SECCOMP_SET_MODE_FILTER = 1;

/** @see signal(7); the same on x86-64 and arm64 */
export const SIG = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

/** Other names of the same. @see signal(7) */
const SYNONYMS: FlagTable = { SIGIOT: SIG.SIGABRT, SIGCLD: SIG.SIGCHLD, SIGPOLL: SIG.SIGIO };

/** What programs see: the C library keeps the two below for itself. @see signal(7) */
const [SIGRTMIN, SIGRTMAX] = [34, 64];

/**
 * A signal by name (`KILL`, `SIGKILL`, `RTMIN+1`, `RTMAX-1`, any case) or number (1 to 64); undefined for anything else.
 */
export const parseSignal = (text: string): number | undefined => {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = text.toUpperCase().replace(/^(?!SIG)/, "SIG");
  const realTime = /^SIGRT(?:MIN(\+\d+)?|MAX(-\d+)?)$/.exec(name);
  if (!realTime) return (SIG as FlagTable)[name] ?? SYNONYMS[name];
  const number =
    (name.startsWith("SIGRTMIN") ? SIGRTMIN : SIGRTMAX) + Number(realTime[1] ?? realTime[2] ?? 0);
  return number >= SIGRTMIN && number <= SIGRTMAX ? number : undefined;
};

/** `SIGKILL` for 9; `SIGRT_2` as strace prints real-time signals. @see signal(7) */
export const signalName = (number: number): string => {
  for (const [name, value] of Object.entries(SIG)) if (value === number) return name;
  return number >= 32 ? `SIGRT_${number - 32}` : String(number);
};

/** A set of signals as the kernel's 64-bit mask: bit n-1 is signal n. @see rt_sigprocmask(2) */
export const signalMask = (signals: readonly number[]): bigint => {
  let mask = 0n;
  for (const signal of signals) mask |= 1n << BigInt(signal - 1);
  return mask;
};

/** `MS_REC|MS_PRIVATE`: the names of the bits set, what no name covers in hexadecimal, `none` (0 unless given) when nothing is. */
export const flagText = (value: number, table: FlagTable, none = "0"): string => {
  const names: string[] = [];
  let rest = value >>> 0;
  for (const [name, bits] of Object.entries(table)) {
    if (bits !== 0 && (rest & bits) >>> 0 === bits >>> 0) {
      names.push(name);
      rest = (rest & ~bits) >>> 0;
    }
  }
  if (rest) names.push(`0x${rest.toString(16)}`);
  return names.join("|") || none;
};

/** @see fcntl(2) */
export const FD = {
  F_GETFD: 1,
  F_SETFD: 2,
  F_DUPFD_CLOEXEC: 1030,
  FD_CLOEXEC: 1,
  F_ADD_SEALS: 1033,
} as const;

/** @see memfd_create(2) */
export const MFD = { MFD_CLOEXEC: 1, MFD_ALLOW_SEALING: 2, MFD_EXEC: 16 } as const;

/** F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW and F_SEAL_WRITE. @see fcntl(2) */
export const ALL_SEALS = 15;

/** @see getrlimit(2) */
export const RLIMIT = {
  RLIMIT_CPU: 0,
  RLIMIT_FSIZE: 1,
  RLIMIT_DATA: 2,
  RLIMIT_STACK: 3,
  RLIMIT_CORE: 4,
  RLIMIT_RSS: 5,
  RLIMIT_NPROC: 6,
  RLIMIT_NOFILE: 7,
  RLIMIT_MEMLOCK: 8,
  RLIMIT_AS: 9,
  RLIMIT_LOCKS: 10,
  RLIMIT_SIGPENDING: 11,
  RLIMIT_MSGQUEUE: 12,
  RLIMIT_NICE: 13,
  RLIMIT_RTPRIO: 14,
  RLIMIT_RTTIME: 15,
} as const;

/** @see poll(2) */
export const POLL = { POLLIN: 1, POLLPRI: 2, POLLOUT: 4, POLLERR: 8, POLLHUP: 16, POLLNVAL: 32 } as const;

/** The same numbers on x86-64 and arm64. @see ioctl_tty(2), termios(3) */
export const TTY = {
  TCGETS: 0x5401,
  TCSETSW: 0x5403,
  TIOCSCTTY: 0x540e,
  TIOCGPGRP: 0x540f,
  TIOCGWINSZ: 0x5413,
  TIOCSWINSZ: 0x5414,
  TIOCSPTLCK: 0x40045431,
  TIOCGPTPEER: 0x5441,
  IGNBRK: 0o1,
  BRKINT: 0o2,
  PARMRK: 0o10,
  ISTRIP: 0o40,
  INLCR: 0o100,
  IGNCR: 0o200,
  ICRNL: 0o400,
  IXON: 0o2000,
  OPOST: 0o1,
  CSIZE: 0o60,
  CS8: 0o60,
  PARENB: 0o400,
  ISIG: 0o1,
  ICANON: 0o2,
  ECHO: 0o10,
  ECHONL: 0o100,
  IEXTEN: 0o100000,
  VTIME: 5,
  VMIN: 6,
} as const;

/** A file without a name; it includes O_DIRECTORY, hence a number for each processor. @see open(2) */
export const O_TMPFILE = { x64: 0o20200000, arm64: 0o20040000 } as const;

/** Capabilities by name and bit number. @see capabilities(7) */
export const CAP = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_KILL: 5,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_SETPCAP: 8,
  CAP_LINUX_IMMUTABLE: 9,
  CAP_NET_BIND_SERVICE: 10,
  CAP_NET_BROADCAST: 11,
  CAP_NET_ADMIN: 12,
  CAP_NET_RAW: 13,
  CAP_IPC_LOCK: 14,
  CAP_IPC_OWNER: 15,
  CAP_SYS_MODULE: 16,
  CAP_SYS_RAWIO: 17,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_PTRACE: 19,
  CAP_SYS_PACCT: 20,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_BOOT: 22,
  CAP_SYS_NICE: 23,
  CAP_SYS_RESOURCE: 24,
  CAP_SYS_TIME: 25,
  CAP_SYS_TTY_CONFIG: 26,
  CAP_MKNOD: 27,
  CAP_LEASE: 28,
  CAP_AUDIT_WRITE: 29,
  CAP_AUDIT_CONTROL: 30,
  CAP_SETFCAP: 31,
  CAP_MAC_OVERRIDE: 32,
  CAP_MAC_ADMIN: 33,
  CAP_SYSLOG: 34,
  CAP_WAKE_ALARM: 35,
  CAP_BLOCK_SUSPEND: 36,
  CAP_AUDIT_READ: 37,
  CAP_PERFMON: 38,
  CAP_BPF: 39,
  CAP_CHECKPOINT_RESTORE: 40,
} as const;

/** @see socket(2), netdevice(7) */
export const NET = {
  AF_UNIX: 1,
  SOCK_STREAM: 1,
  AF_INET: 2,
  SOCK_DGRAM: 2,
  SOCK_CLOEXEC: 0o2000000,
  SIOCSIFFLAGS: 0x8914,
  IFF_UP: 1,
  IFF_LOOPBACK: 8,
  IFF_RUNNING: 0x40,
} as const;

/** Questions to a namespace or a socket; most answer with a new descriptor. @see ioctl_nsfs(2), linux/sockios.h */
export const NAMESPACE = {
  NS_GET_USERNS: 0xb701,
  NS_GET_PARENT: 0xb702,
  NS_GET_NSTYPE: 0xb703,
  NS_GET_OWNER_UID: 0xb704,
  SIOCGSKNS: 0x894c,
} as const;

/** Where a namespace's file handle is opened, and the type of such a handle. @see linux/fcntl.h, linux/exportfs.h */
export const FD_NSFS_ROOT = -10003;
export const FILEID_NSFS = 0xf1;

/** @see mount_setattr(2) */
export const MOUNT_ATTR = {
  MOUNT_ATTR_RDONLY: 1,
  MOUNT_ATTR_NOSUID: 2,
  MOUNT_ATTR_NODEV: 4,
  MOUNT_ATTR_NOEXEC: 8,
  MOUNT_ATTR_NOATIME: 0x10,
  MOUNT_ATTR_STRICTATIME: 0x20,
  MOUNT_ATTR_NODIRATIME: 0x80,
  MOUNT_ATTR_IDMAP: 0x100000,
  MOUNT_ATTR_NOSYMFOLLOW: 0x200000,
  /** Which is what neither of the two is. */
  MOUNT_ATTR_RELATIME: 0,
  /** All three. */
  MOUNT_ATTR__ATIME: 0x70,
} as const;

/** @see close_range(2) */
export const CLOSE_RANGE_CLOEXEC = 4;

/** @see flock(2) */
export const LOCK = { LOCK_SH: 1, LOCK_EX: 2, LOCK_NB: 4, LOCK_UN: 8 } as const;

/** @see statx(2) */
export const STATX_INO = 0x100;

/** Which id one network namespace has for another. @see rtnetlink(7), linux/net_namespace.h */
export const NETLINK = {
  AF_NETLINK: 16,
  SOCK_RAW: 3,
  NETLINK_ROUTE: 0,
  NLM_F_REQUEST: 1,
  RTM_NEWNSID: 88,
  RTM_GETNSID: 90,
  NETNSA_NSID: 1,
  NETNSA_FD: 3,
} as const;

/** File type bits of mknod(2) and stat(2). @see inode(7) */
export const S = {
  S_IFIFO: 0o010000,
  S_IFCHR: 0o020000,
  S_IFDIR: 0o040000,
  S_IFBLK: 0o060000,
  S_IFREG: 0o100000,
  S_IFLNK: 0o120000,
  S_IFMT: 0o170000,
} as const;

/** How a path is resolved. @see openat2(2) */
export const RESOLVE = {
  RESOLVE_NO_XDEV: 1,
  RESOLVE_NO_MAGICLINKS: 2,
  RESOLVE_NO_SYMLINKS: 4,
  RESOLVE_BENEATH: 8,
  RESOLVE_IN_ROOT: 16,
} as const;

/** What statfs(2) says of a proc. @see linux/magic.h */
export const PROC_SUPER_MAGIC = 0x9fa0;

/** @see personality(2) */
export const PER = { PER_LINUX: 0, PER_LINUX32: 8 } as const;

/** @see ioprio_set(2) */
export const IOPRIO = { IOPRIO_WHO_PROCESS: 1, IOPRIO_CLASS_SHIFT: 13 } as const;
