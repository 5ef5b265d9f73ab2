// Which namespaces there are, who is in them, what keeps them, and how they are related: made of facts, pure.

import type { Holder, Link, Processes, Relation } from "../host/processes.ts";
import type { Kind } from "./kinds.ts";

/** A namespace, as somebody sees it from outside. */
export interface Namespace {
  readonly kind: Kind;
  /** The inode number, which is its name for people. */
  readonly id: number;
  /** How many processes are in it. */
  readonly processes: number;
  /** The lowest id among them, undefined for a namespace without any. */
  readonly pid: number | undefined;
  /** A path that leads into it: of a process, a mount, or a descriptor that holds it; undefined where nothing does. */
  readonly path: string | undefined;
  /** Where it is mounted, in the order of mounting. */
  readonly mounts: readonly string[];
  /** The namespace above it, of user and pid namespaces; 0 where there is none or it cannot be seen. */
  readonly parent: number;
  /** The user namespace that owns it; 0 where it cannot be seen. */
  readonly owner: number;
  /** Who made it, or the user namespace that owns it; undefined where nobody asked or knows. */
  readonly uid: number | undefined;
}

/** `mnt` of /proc/PID/ns is a mount namespace. */
export const kindOf = (link: Link): Kind => (link === "mnt" ? "mount" : link);
export const linkOf = (kind: Kind): Link => (kind === "mount" ? "mnt" : kind);

type Draft = { -readonly [K in keyof Namespace]: Namespace[K] } & { mounts: string[] };

const draft = (link: Link, id: number): Draft => ({
  kind: kindOf(link),
  id,
  processes: 0,
  pid: undefined,
  path: undefined,
  mounts: [],
  parent: 0,
  owner: 0,
  uid: undefined,
});

/** The namespaces that processes are in or something else holds, in the order of their ids. */
export const inventory = (
  { pids, namespaces }: Processes,
  holders: readonly Holder[],
  wanted: readonly Link[],
): Namespace[] => {
  const found = new Map<number, Draft>();
  for (const link of wanted) {
    const ids = namespaces[link] ?? [];
    // Most processes share the namespace of the one before, which spares a look into the map.
    let last: Draft | undefined;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (id === 0) continue;
      if (last?.id !== id) {
        last = found.get(id);
        if (!last) found.set(id, (last = draft(link, id)));
      }
      last.processes++;
      if (last.pid === undefined || pids[i]! < last.pid) last.pid = pids[i]!;
    }
  }
  for (const { link, id, path, by } of holders) {
    if (!wanted.includes(link)) continue;
    let it = found.get(id);
    if (!it) found.set(id, (it = draft(link, id)));
    if (by === "mount") it.mounts.push(path);
    // A mount is there for longer than a descriptor.
    if (by === "mount" ? it.mounts.length === 1 : it.path === undefined) it.path = path;
  }
  for (const it of found.values())
    if (it.pid !== undefined) it.path = `/proc/${it.pid}/ns/${linkOf(it.kind)}`;
  return [...found.values()].sort((a, b) => a.id - b.id);
};

/**
 * The same namespaces with their relations. With `missing`, also those that live on for no reason but to be above or to
 * own one of these; `holders` say where they are mounted.
 */
export const related = (
  namespaces: readonly Namespace[],
  relations: ReadonlyMap<number, Relation>,
  missing: boolean,
  holders: readonly Holder[] = [],
): Namespace[] => {
  const known = new Set<number>();
  const all: Namespace[] = namespaces.map((it) => {
    known.add(it.id);
    const { parent = 0, owner = 0, uid } = relations.get(it.id) ?? {};
    return { ...it, parent, owner, uid };
  });
  if (!missing) return all;
  for (const { link, id, parent, owner, uid } of relations.values()) {
    if (known.has(id)) continue;
    const mounts = holders.filter((it) => it.id === id && it.by === "mount").map(({ path }) => path);
    all.push({ ...draft(link, id), mounts, path: mounts[0], parent, owner, uid });
  }
  return all.sort((a, b) => a.id - b.id);
};

/** The processes in a namespace. */
export const members = (
  { pids, namespaces }: Processes,
  { kind, id }: Pick<Namespace, "kind" | "id">,
): number[] => {
  const ids = namespaces[linkOf(kind)] ?? [];
  return pids.filter((_, i) => ids[i] === id);
};
