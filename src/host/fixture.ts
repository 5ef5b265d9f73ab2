// A host that exists only in a table, for tests of planners.

import type { DeviceNode, Entry, Host } from "./host.ts";

export interface Fixture extends Partial<Pick<Host, "arch" | "euid" | "egid">> {
  env?: Record<string, string>;
  /** `path: text`; directories are implied by what lies in them, and a path that ends in `/` is an empty one. */
  files?: Record<string, string>;
  links?: Record<string, string>;
  devices?: Record<string, DeviceNode>;
  /** Where the owner and the mode matter. */
  entries?: Record<string, Entry>;
}

/** A {@link Host} that knows just what `fixture` says. Root on x86-64 unless told otherwise. */
export const fixtureHost = (fixture: Fixture = {}): Host => {
  const files = fixture.files ?? {};
  const list = (path: string): string[] | undefined => {
    const prefix = path.endsWith("/") ? path : `${path}/`;
    const names = new Set<string>();
    let found = false;
    for (const file of Object.keys(files)) {
      if (!file.startsWith(prefix)) continue;
      found = true;
      const name = file.slice(prefix.length).split("/")[0]!;
      if (name) names.add(name);
    }
    return found ? [...names].sort() : undefined;
  };
  return {
    arch: fixture.arch ?? "x64",
    euid: fixture.euid ?? 0,
    egid: fixture.egid ?? fixture.euid ?? 0,
    env: (name) => (fixture.env ?? { PATH: "/usr/bin:/bin", SHELL: "/bin/bash" })[name],
    read: (path) => files[path],
    readIn: (root, path) => files[`${root}${path}`],
    list,
    directories: (path) =>
      list(path)?.filter((name) => list(`${path.replace(/\/$/, "")}/${name}`) !== undefined),
    mode: (path) => (path in files ? 0o644 : list(path) ? 0o755 : undefined),
    link: (path) => fixture.links?.[path],
    owner: (path) => (path in files || list(path) ? { uid: 0, gid: 0 } : undefined),
    entry: (path) =>
      fixture.entries?.[path] ??
      (fixture.links?.[path] !== undefined
        ? { type: "link", uid: 0, mode: 0o777 }
        : list(path)
          ? { type: "directory", uid: 0, mode: 0o755 }
          : path in files
            ? { type: "other", uid: 0, mode: 0o644 }
            : undefined),
    device: (path) => fixture.devices?.[path],
    isTerminal: () => false,
    kind: (path) => (path in files ? "file" : list(path) ? "directory" : undefined),
  };
};
