// What lists of namespaces and processes want to know besides: names of users, the terminal's language.

import { users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";

/** A user's name by its number, the number where it has none. */
export const namer = (host: Host): ((uid: number) => string) => {
  let byNumber: Map<number, string> | undefined;
  return (uid) => {
    // The first of several lines with one number wins, as for getpwuid(3).
    byNumber ??= new Map(
      users(host)
        .toReversed()
        .map((user) => [user.uid, user.name]),
    );
    return byNumber.get(uid) ?? String(uid);
  };
};

/** Several columns and rows want the same process's. */
export const remembered = <T>(read: (pid: number) => T): ((pid: number) => T) => {
  const known = new Map<number, T>();
  return (pid) => {
    if (!known.has(pid)) known.set(pid, read(pid));
    return known.get(pid)!;
  };
};

/** Whether text for people is UTF-8. @see setlocale(3) */
export const isUtf8 = (host: Host): boolean => {
  const locale = host.env("LC_ALL") || host.env("LC_CTYPE") || host.env("LANG") || "";
  return /utf-?8/i.test(locale);
};
