// The processes of this machine, the namespaces and the container that each is in.

import { type Membership, containerOf, parseRecord, parseStat } from "../containers/recognise.ts";
import { ownStatePath } from "../containers/state-path.ts";
import { gatherProcesses, gatherStatus } from "../host/gather.ts";
import type { Host } from "../host/host.ts";
import type { Link, Status } from "../host/processes.ts";

export interface ProcessEntry extends Status {
  /** Inode numbers of its namespaces, of the kinds that were asked for; 0 where they may not be seen. */
  readonly namespaces: Readonly<Partial<Record<Link, number>>>;
  readonly container: Membership | undefined;
}

/** All processes that /proc shows, in the order of their ids; their control groups and containers only on demand. */
export const processes = (host: Host, links: readonly Link[], groups: boolean): ProcessEntry[] => {
  const { pids, namespaces } = gatherProcesses({ links, descriptors: false }).processes;
  const records = groups ? firstProcesses(host) : new Map<number, string>();
  const memberships = new Map<number, Membership | undefined>();
  const statuses = new Map<number, Status>();
  for (const pid of pids) {
    const status = gatherStatus(pid, groups);
    if (status) statuses.set(pid, status);
  }
  /**
   * A container without limits has no groups of its own, and perhaps those of a container around it: then its first
   * process says it for all below.
   */
  const membership = (pid: number, depth = 0): Membership | undefined => {
    const status = statuses.get(pid);
    // While one reads, numbers may be used again, and parents seem to go round in a circle.
    if (!status || depth > statuses.size) return undefined;
    if (!memberships.has(pid)) {
      const record = records.get(pid);
      const own = containerOf(status.groups);
      const parents = containerOf(statuses.get(status.parent)?.groups ?? []);
      const isNew = own !== undefined && own.id !== parents?.id;
      memberships.set(
        pid,
        record !== undefined
          ? { engine: "nsk", id: record }
          : isNew
            ? own
            : (membership(status.parent, depth + 1) ?? own),
      );
    }
    return memberships.get(pid);
  };
  return pids.flatMap((pid, i) => {
    const status = statuses.get(pid);
    if (!status) return [];
    const own: Partial<Record<Link, number>> = {};
    for (const link of links) own[link] = namespaces[link]![i]!;
    return [{ ...status, namespaces: own, container: groups ? membership(pid) : undefined }];
  });
};

/** The first processes of nsk's containers, as their records say; one whose number is used again by another is none. */
const firstProcesses = (host: Host): Map<number, string> => {
  const found = new Map<number, string>();
  const state = ownStatePath(host);
  if (state === undefined) return found;
  for (const id of host.list(state) ?? []) {
    const first = /^[0-9a-f]{12}$/.test(id) ? parseRecord(host.read(`${state}/${id}`) ?? "") : undefined;
    if (!first) continue;
    const now = parseStat(host.read(`/proc/${first.pid}/stat`) ?? "");
    if (now?.started === first.started) found.set(first.pid, id);
  }
  return found;
};
