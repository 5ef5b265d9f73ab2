// cgrules.conf: which groups the processes of a user belong to. @see cgrules.conf(5)

import { HostError } from "../abi/errors.ts";
import { groups, users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { STATUS } from "./status.ts";

/** One line. */
export interface Rule {
  /** A user, `@GROUP`, `*`, or `%` for "as the line above". */
  readonly user: string;
  /** A program's name, or its path. */
  readonly process: string | undefined;
  readonly controllers: readonly string[];
  readonly destination: string;
  /** `ignore`: a process that this rule is for stays where it is. */
  readonly ignore: boolean;
}

/** The process that is to be placed. */
export interface Subject {
  readonly uid: number;
  readonly gid: number;
  readonly pid: string;
  /** As it was called: a name or a path. */
  readonly program: string;
}

/** Reads a file; `file` is for messages. */
export const parseRules = (text: string, file: string): Rule[] => {
  const rules: Rule[] = [];
  text.split("\n").forEach((line, i) => {
    const words = line.replace(/#.*/, "").trim().split(/\s+/).filter(Boolean);
    if (words.length === 0) return;
    const [who, controllers, destination, option, ...rest] = words;
    const bad = (why: string): never => {
      throw new HostError(
        `${file}:${i + 1}: ${why}`,
        "a rule is USER[:PROGRAM] CONTROLLERS DESTINATION [ignore] (cgrules.conf(5))",
        STATUS.noRules,
      );
    };
    if (destination === undefined) bad("a rule has three words");
    if (option !== undefined && option !== "ignore") bad(`there is no option '${option}'; ignore is one`);
    if (rest.length) bad(`'${rest[0]}' is one word too many`);
    if (who === "%" && rules.length === 0) bad("% has no line above it");
    const colon = who!.indexOf(":");
    rules.push({
      user: colon < 0 ? who! : who!.slice(0, colon),
      process: colon < 0 ? undefined : who!.slice(colon + 1),
      controllers: controllers!.split(","),
      destination: destination!,
      ignore: option !== undefined,
    });
  });
  return rules;
};

/** /etc/cgrules.conf and the files of /etc/cgrules.d by their names; undefined where there is neither. */
export const readRules = (host: Host): Rule[] | undefined => {
  const more = (host.list("/etc/cgrules.d") ?? []).toSorted().map((name) => `/etc/cgrules.d/${name}`);
  const found = ["/etc/cgrules.conf", ...more].flatMap((file) => {
    const text = host.read(file);
    return text === undefined ? [] : [{ file, text }];
  });
  return found.length ? found.flatMap(({ file, text }) => parseRules(text, file)) : undefined;
};

/** The rule that is the subject's: the first that fits, with the `%` lines that go on with it; none where it says `ignore`. */
export const rulesFor = (host: Host, rules: readonly Rule[], subject: Subject): readonly Rule[] => {
  const names = namesOf(host, subject);
  const first = rules.findIndex(
    ({ user, process }) => user !== "%" && isUser(user, names) && isProgram(process, subject),
  );
  if (first < 0 || rules[first]!.ignore) return [];
  let end = first + 1;
  while (rules[end]?.user === "%") end++;
  return rules.slice(first, end);
};

interface Names {
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** All groups that the user is in. */
  readonly groups: readonly string[];
}

const namesOf = (host: Host, { uid, gid }: Subject): Names => {
  const user = users(host).find((it) => it.uid === uid)?.name;
  const all = groups(host);
  return {
    user,
    group: all.find((it) => it.gid === gid)?.name,
    groups: all
      .filter((it) => it.gid === gid || (user !== undefined && it.members.includes(user)))
      .map(({ name }) => name),
  };
};

const isUser = (rule: string, { user, groups }: Names): boolean =>
  rule === "*" || (rule.startsWith("@") ? groups.includes(rule.slice(1)) : rule === user);

/** A path in a rule is the whole of it, a name any program of that name. */
const isProgram = (rule: string | undefined, { program }: Subject): boolean =>
  rule === undefined || rule === program || rule === program.slice(program.lastIndexOf("/") + 1);

/** Whether a destination depends on whose process it is: such a group is made when it is needed. */
export const isTemplate = (destination: string): boolean => /(?<!\\)%[uUgGpP]/.test(destination);

/**
 * The destination for one process: `%u` its user, `%U` the number, `%g` and `%G` the same of its group, `%p` the program,
 * `%P` the process. `\%` is a percent sign. That is what libcgroup does; its newer manual pages have it the other way
 * round.
 */
export const expandDestination = (host: Host, destination: string, subject: Subject): string => {
  const { user, group } = namesOf(host, subject);
  const { uid, gid, pid, program } = subject;
  const values: Readonly<Record<string, string>> = {
    u: user ?? String(uid),
    U: String(uid),
    g: group ?? String(gid),
    G: String(gid),
    p: program.slice(program.lastIndexOf("/") + 1),
    P: pid,
  };
  return destination.replace(/\\%|%([uUgGpP])/g, (_, key?: string) =>
    key === undefined ? "%" : values[key]!,
  );
};
