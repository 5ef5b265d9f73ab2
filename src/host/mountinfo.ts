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
  const mounts: Mount[] = [];
  for (const line of text.split("\n")) {
    const separator = line.indexOf(" - ");
    if (separator < 0 || !line.startsWith(only, separator + 3)) continue;
    const [id, parent, device, root, mountPoint, options, ...optional] = line.slice(0, separator).split(" ");
    const [fstype, source, superOptions] = line.slice(separator + 3).split(" ");
    if (mountPoint === undefined || fstype === undefined) continue;
    mounts.push({
      id: Number(id),
      parent: Number(parent),
      device: device!,
      root: unescape(root!),
      mountPoint: unescape(mountPoint),
      options: options?.split(",") ?? [],
      optional,
      fstype,
      source: unescape(source ?? ""),
      superOptions: superOptions?.split(",").map(unescape) ?? [],
    });
  }
  return mounts;
};
