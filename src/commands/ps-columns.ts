// The columns of `nsk ps`, by the names that ps(1) has for them.

import { UsageError } from "../abi/errors.ts";
import type { ProcessEntry } from "../backends/processes.ts";
import { containerOf } from "../containers/recognise.ts";
import { commandLine } from "../host/gather.ts";
import { type Link, links } from "../host/processes.ts";
import type { Column } from "./listing.ts";

export interface Source {
  readonly user: (uid: number) => string;
  /** Ids of containers in full, not as docker shows them to people. */
  readonly full: boolean;
}

export type Definition = Omit<Column<ProcessEntry>, "text"> & {
  /** Its name in `-o`, as ps(1) has it. */
  readonly key: string;
  text(row: ProcessEntry, source: Source): string | number | undefined;
};

const number = { json: "number", right: true } as const;
const string = { json: "string" } as const;

/** The group that says most: the one that names its container, or else the longest path. */
const groupOf = ({ groups }: ProcessEntry): string =>
  groups.find((it) => containerOf([it]) !== undefined) ??
  groups.reduce((longest, it) => (it.length > longest.length ? it : longest), "");

const shortId = (id: string): string => (/^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id);

export const definitions: readonly Definition[] = [
  ...links.map((link): Definition => ({
    name: `${link}ns`.toUpperCase(),
    key: `${link}ns`,
    description: `its ${link} namespace`,
    ...number,
    text: ({ namespaces }) => namespaces[link] || undefined,
  })),
  { name: "PID", key: "pid", description: "its id here", ...number, text: ({ pid }) => pid },
  {
    name: "NSPID",
    key: "nspid",
    description: "its id in its own PID namespace",
    ...number,
    text: ({ ids }) => ids.at(-1),
  },
  {
    name: "NSPIDS",
    key: "nspids",
    description: "its ids in all PID namespaces, from here inwards",
    ...string,
    text: ({ ids }) => ids.join(","),
  },
  { name: "PPID", key: "ppid", description: "its parent's id here", ...number, text: ({ parent }) => parent },
  { name: "UID", key: "uid", description: "its effective user's number", ...number, text: ({ uid }) => uid },
  {
    name: "USER",
    key: "user",
    description: "its effective user",
    ...string,
    text: ({ uid }, { user }) => user(uid),
  },
  {
    name: "ENGINE",
    key: "engine",
    description: "what runs its container",
    ...string,
    text: ({ container }) => container?.engine,
  },
  {
    name: "CONTAINER",
    key: "container",
    description: "the id of its container",
    ...string,
    text: ({ container }, { full }) => container && (full ? container.id : shortId(container.id)),
  },
  { name: "CGROUP", key: "cgroup", description: "its control group", ...string, text: groupOf },
  { name: "COMM", key: "comm", description: "the name of its program", ...string, text: ({ name }) => name },
  {
    name: "COMMAND",
    key: "args",
    description: "its command line",
    ...string,
    truncate: true,
    text: ({ pid, name }) => commandLine(pid) || name,
  },
];

/** Other names that ps(1) has for the same. */
const synonyms: Readonly<Record<string, string>> = {
  cmd: "args",
  command: "args",
  ucmd: "comm",
  ucomm: "comm",
  euid: "uid",
  euser: "user",
};

export const keys = definitions.map(({ key }) => key);

const definitionOf = (word: string): Definition => {
  const key = synonyms[word.toLowerCase()] ?? word.toLowerCase();
  const found = definitions.find((it) => it.key === key);
  if (!found) throw new UsageError(`unknown column: ${word}`, `the columns are ${keys.join(", ")}`);
  return found;
};

/** The options that choose columns. */
interface Chosen {
  readonly format: readonly string[];
  readonly json: boolean;
  readonly by?: string | undefined;
}

/** What `-o` asks for, or what is usual; what the list is sorted by stands first. */
export const chooseColumns = ({ format, json, by }: Chosen, link: Link): Definition[] => {
  const usual = [`${link}ns`, "pid", "nspid", "ppid", "user", "container", "args"];
  const words = format.flatMap((list) =>
    list
      .replace(/^\+/, "")
      .split(",")
      .map((it) => it.trim()),
  );
  const isMore = format.every((list) => list.startsWith("+"));
  const chosen = [...(isMore ? (json && !format.length ? keys : usual) : []), ...words].map(definitionOf);
  if (by === undefined || json) return chosen;
  const first = definitionOf(by === "namespace" ? `${link}ns` : by);
  return [first, ...chosen.filter((it) => it !== first)];
};
