// Which ids outside of a user namespace are which inside: ranges as unshare(1) takes them, and those that a machine's
// files give a user. Pure. @see user_namespaces(7), subuid(5)

import { HostError, UsageError } from "../abi/errors.ts";
import { parseId, users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";

/** `count` ids from `outer` on are those from `inner` on inside; the order is that of uid_map. */
export interface IdRange {
  readonly inner: number;
  readonly outer: number;
  readonly count: number;
}

/** Users or groups. */
export type Sort = "user" | "group";

/** `inner:outer:count`, `outer,inner,count` as before util-linux 2.39, or a word for what the machine has. */
export const parseRanges = (text: string, sort: Sort, host: Host): IdRange[] => {
  if (text === "auto") {
    const { outer, count } = subordinate(sort, host);
    return [{ inner: 0, outer, count }];
  }
  if (text === "subids") {
    const { outer, count } = subordinate(sort, host);
    return [{ inner: outer, outer, count }];
  }
  if (text === "all") return available(sort, host);
  const isOld = text.includes(",");
  const words = text.split(isOld ? "," : ":");
  const [first, second] = [parseId(words[0]!), parseId(words[1] ?? "")];
  const count = parseCount(words[2] ?? "");
  if (words.length !== 3 || first === undefined || second === undefined || !count) throw badRange(text, sort);
  return [isOld ? { inner: second, outer: first, count } : { inner: first, outer: second, count }];
};

/** All ids are one more than the highest, which parseId() takes. */
const parseCount = (text: string): number | undefined => (text === "4294967295" ? 0xffffffff : parseId(text));

const badRange = (text: string, sort: Sort): UsageError =>
  new UsageError(
    `'${text}' is no range of ${sort}s`,
    "a range is INNER:OUTER:COUNT, e.g. 0:100000:65536, or auto, subids or all",
  );

/** The first range that the user has been given. */
const subordinate = (sort: Sort, host: Host): Pick<IdRange, "outer" | "count"> => {
  const [first] = subordinateRanges(sort, nameOf(host), host);
  if (first) return first;
  const [file, option] =
    sort === "user" ? ["/etc/subuid", "--add-subuids"] : ["/etc/subgid", "--add-subgids"];
  const [name = String(host.euid)] = nameOf(host);
  throw new HostError(
    `${file} has no range for ${/^\d/.test(name) ? `user ${name}` : name}`,
    `give one: usermod ${option} 100000-165535 ${name}`,
  );
};

/** What the files may call the user. */
const nameOf = (host: Host): string[] => {
  const uid = String(host.euid);
  const name = users(host).find((user) => String(user.uid) === uid)?.name;
  return name === undefined ? [uid] : [name, uid];
};

/** All ranges that /etc/subuid or /etc/subgid gives an owner, who is called one of `names`. @see subuid(5) */
const subordinateRanges = (
  sort: Sort,
  names: readonly string[],
  host: Host,
): Pick<IdRange, "outer" | "count">[] => {
  const found: Pick<IdRange, "outer" | "count">[] = [];
  for (const line of (host.read(sort === "user" ? "/etc/subuid" : "/etc/subgid") ?? "").split("\n")) {
    const [owner = "", start, length] = line.split(":");
    if (!names.includes(owner)) continue;
    const [outer, count] = [parseId(start ?? ""), parseCount(length ?? "")];
    if (outer !== undefined && count) found.push({ outer, count });
  }
  return found;
};

/** The caller's own id is 0 inside, and the caller's ranges follow from 1 on; without any there is but the one. */
export const rootAndRanges = (sort: Sort, host: Host): IdRange[] => {
  const map: IdRange[] = [{ inner: 0, outer: sort === "user" ? host.euid : host.egid, count: 1 }];
  let inner = 1;
  for (const { outer, count } of subordinateRanges(sort, nameOf(host), host)) {
    map.push({ inner, outer, count });
    inner += count;
  }
  return map;
};

/** The caller's own id is `kept` inside, and the caller's ranges are around it from 0 on. */
export const rangesAround = (kept: number, sort: Sort, host: Host): IdRange[] => {
  const map: IdRange[] = [{ inner: kept, outer: sort === "user" ? host.euid : host.egid, count: 1 }];
  let inner = 0;
  for (let { outer, count } of subordinateRanges(sort, nameOf(host), host)) {
    if (inner < kept && inner + count > kept) {
      const before = kept - inner;
      map.push({ inner, outer, count: before });
      [inner, outer, count] = [kept, outer + before, count - before];
    }
    if (inner === kept) inner++;
    map.push({ inner, outer, count });
    inner += count;
  }
  return map;
};

/** Every id that the caller's own user namespace has, passed through. @see uid_map in user_namespaces(7) */
export const available = (sort: Sort, host: Host): IdRange[] => {
  const file = sort === "user" ? "/proc/self/uid_map" : "/proc/self/gid_map";
  const ranges: IdRange[] = [];
  for (const line of (host.read(file) ?? "").split("\n")) {
    const [inner, , count] = line.trim().split(/ +/).map(Number);
    if (inner !== undefined && count) ranges.push({ inner, outer: inner, count });
  }
  if (ranges.length === 0) throw new HostError(`${file} has no ranges`, "is /proc mounted?");
  return ranges;
};

/**
 * A range without one pair of ids that is mapped by itself: both sequences leave their id out and close the gap, so
 * that the highest id of the longer one may be left over. @see unshare(1), --map-users
 */
export const withoutHole = (range: IdRange, hole: Pick<IdRange, "inner" | "outer">): IdRange[] => {
  const inner = sequence(range.inner, range.count, hole.inner);
  const outer = sequence(range.outer, range.count, hole.outer);
  const out: IdRange[] = [];
  let [i, o] = [0, 0];
  let [usedInner, usedOuter] = [0, 0];
  while (i < inner.length && o < outer.length) {
    const count = Math.min(inner[i]!.count - usedInner, outer[o]!.count - usedOuter);
    out.push({ inner: inner[i]!.start + usedInner, outer: outer[o]!.start + usedOuter, count });
    usedInner += count;
    usedOuter += count;
    if (usedInner === inner[i]!.count) [i, usedInner] = [i + 1, 0];
    if (usedOuter === outer[o]!.count) [o, usedOuter] = [o + 1, 0];
  }
  return out;
};

/** `count` numbers from `start` on, in one or two runs: without `left`, when it is among them. */
const sequence = (start: number, count: number, left: number): { start: number; count: number }[] => {
  if (left < start || left >= start + count) return [{ start, count }];
  const runs = [
    { start, count: left - start },
    { start: left + 1, count: start + count - left - 1 },
  ];
  return runs.filter((run) => run.count > 0);
};

/** All extents of a map: the caller's own id first, when it is mapped by itself, then the ranges around it. */
export const extents = (inner: number | undefined, outer: number, ranges: readonly IdRange[]): IdRange[] => {
  if (inner === undefined) return [...ranges];
  const own = { inner, outer, count: 1 };
  const out: IdRange[] = [own];
  for (const range of ranges) out.push(...withoutHole(range, own));
  return out;
};
