// Which container a process is in, told from the names of its control groups, which all engines make after the
// container's id, and from nsk's own records. Pure.

export interface Membership {
  /** `nsk`, `docker`, `podman`, … */
  readonly engine: string;
  /** As long as the engine makes it. */
  readonly id: string;
}

/** How engines name the group of a container, the name of one directory or the end of a path. */
const patterns: readonly (readonly [engine: string, pattern: RegExp])[] = [
  ["nsk", /(?:^|\/)nsk-([0-9a-f]{12})(?=\/|$)/g],
  // With systemd's driver a scope, with cgroupfs a directory below one of the engine's.
  ["docker", /\/docker(?:-|\/)([0-9a-f]{64})(?:\.scope)?(?=\/|$)/g],
  ["podman", /\/libpod-([0-9a-f]{64})(?:\.scope)?(?=\/|$)/g],
  ["cri-o", /\/crio-([0-9a-f]{64})(?:\.scope)?(?=\/|$)/g],
  ["containerd", /\/(?:nerdctl|cri-containerd)[-:/]([0-9a-f]{64})(?:\.scope)?(?=\/|$)/g],
  ["containerd", /\/(?:k8s\.io|default|moby)\/([0-9a-f]{64})(?=\/|$)/g],
  ["kubernetes", /\/kubepods\S*\/([0-9a-f]{64})(?=\/|$)/g],
  ["runc", /\/runc-([^/]+)\.scope(?=\/|$)/g],
  ["lxc", /\/lxc(?:\.payload\.|\.payload\/|\/)([^/]+)(?=\/|$)/g],
  ["nspawn", /\/systemd-nspawn@([^/]+)\.service(?=\/|$)/g],
];

/** The innermost container that these groups belong to, undefined for none. */
export const containerOf = (groups: readonly string[]): Membership | undefined => {
  let found: (Membership & { at: number }) | undefined;
  for (const group of groups) {
    for (const [engine, pattern] of patterns) {
      for (const match of group.matchAll(pattern))
        if (!found || match.index > found.at) found = { engine, id: match[1]!, at: match.index };
    }
  }
  return found && { engine: found.engine, id: found.id };
};

/** A record of nsk's: the container's first process, and when it started, in clock ticks. @see proc_pid_stat(5) */
export interface FirstProcess {
  readonly pid: number;
  readonly started: string;
}

/** The first process in a record; undefined before there is one. */
export const parseRecord = (text: string): FirstProcess | undefined => {
  const line = text.split("\n").find((it) => /^\d/.test(it));
  return line === undefined ? undefined : parseStat(line);
};

/** The id of a process, and when it started, from its line in /proc. */
export const parseStat = (line: string): FirstProcess | undefined => {
  const started = line.slice(line.lastIndexOf(")") + 2).split(" ")[19];
  return started === undefined ? undefined : { pid: Number.parseInt(line, 10), started };
};
