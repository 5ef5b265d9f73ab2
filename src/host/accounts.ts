// Users and groups of this machine, from its files.

import type { Host } from "./host.ts";

export interface User {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  readonly shell: string;
}

export interface Group {
  readonly name: string;
  readonly gid: number;
  readonly members: readonly string[];
}

const rows = (text: string | undefined, fields: number): string[][] =>
  (text ?? "")
    .split("\n")
    .map((line) => line.split(":"))
    .filter((row) => row.length >= fields && row[0] !== "");

/** @see passwd(5) */
export const parsePasswd = (text: string | undefined): User[] =>
  rows(text, 7).map(([name, , uid, gid, , home, shell]) => ({
    name: name!,
    uid: Number(uid),
    gid: Number(gid),
    home: home!,
    shell: shell!,
  }));

/** @see group(5) */
export const parseGroup = (text: string | undefined): Group[] =>
  rows(text, 4).map(([name, , gid, members]) => ({
    name: name!,
    gid: Number(gid),
    members: members ? members.split(",") : [],
  }));

export const users = (host: Host): User[] => parsePasswd(host.read("/etc/passwd"));
export const groups = (host: Host): Group[] => parseGroup(host.read("/etc/group"));

/** The id of a user or a group by its name, undefined for one that is not there. */
export const userByName =
  (host: Host) =>
  (name: string): number | undefined =>
    users(host).find((user) => user.name === name)?.uid;
export const groupByName =
  (host: Host) =>
  (name: string): number | undefined =>
    groups(host).find((group) => group.name === name)?.gid;

/** The largest id: (uid_t)-1 means "leave it". @see setreuid(2) */
const MAX_ID = 0xfffffffe;

/** A decimal uid or gid, undefined for anything else. @see credentials(7) */
export const parseId = (text: string): number | undefined =>
  /^\d{1,10}$/.test(text) && Number(text) <= MAX_ID ? Number(text) : undefined;

/** The name of a uid or gid, and the number where it has none. */
export const userName = (host: Host, uid: number): string =>
  users(host).find((it) => it.uid === uid)?.name ?? String(uid);
export const groupName = (host: Host, gid: number): string =>
  groups(host).find((it) => it.gid === gid)?.name ?? String(gid);
