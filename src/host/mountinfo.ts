// The mount table of this process, as text and as rows. Pure.

/** One line of /proc/self/mountinfo. @see proc_pid_mountinfo(5) */
export interface Mount {
  readonly id: number;
  readonly parent: number;
  /** `major:minor`; two mounts of one filesystem share it. */
  readonly device: string;
  /** The directory of the filesystem that is mounted here. */
  readonly root: string;
  readonly mountPoint: string;
  /** Per mount point: `rw`, `nosuid`, … */
  readonly options: readonly string[];
  /** Propagation: `shared:N`, `master:N`, … */
  readonly optional: readonly string[];
  readonly fstype: string;
  readonly source: string;
  /** Per filesystem. */
  readonly superOptions: readonly string[];
}

/** The kernel writes space, tab, newline and backslash as three octal digits behind a backslash. */
const unescape = (text: string): string =>
  text.includes("\\")
    ? text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8)))
    : text;

/**
 * The rows in the order of the file, which is the order of mounting. A line that does not look like one is passed over.
 * `only` keeps rows whose filesystem type begins with it, and spares the work for all others.
 */
export const parseMountinfo = (text: string, only = ""): Mount[] => {
  // On the way of every cgexec: plain loops, because cold code pays for every function and iterator that it touches.
  const mounts: Mount[] = [];
  for (let start = 0, end: number; start < text.length; start = end + 1) {
    end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    const separator = text.indexOf(" - ", start);
    if (separator < 0) break;
    if (separator > end || !text.startsWith(only, separator + 3)) continue;
    const fields = text.slice(start, separator).split(" ");
    const filesystem = text.slice(separator + 3, end).split(" ");
    if (fields.length < 6 || filesystem.length < 3) continue;
    mounts.push({
      id: Number(fields[0]),
      parent: Number(fields[1]),
      device: fields[2]!,
      root: unescape(fields[3]!),
      mountPoint: unescape(fields[4]!),
      options: fields[5]!.split(","),
      optional: fields.slice(6),
      fstype: filesystem[0]!,
      source: unescape(filesystem[1]!),
      superOptions: unescape(filesystem[2]!).split(","),
    });
  }
  return mounts;
};
