// The columns of lsns(8), and what they are filled from.

import { UsageError } from "../abi/errors.ts";
import type { Process } from "../host/processes.ts";
import { linkOf, type Namespace } from "../namespaces/inventory.ts";
import { type Column, plant, renderListing } from "./listing.ts";

/** A line: a namespace and the process that stands for it, or a process of the one namespace that was asked for. */
export interface Row {
  readonly namespace: Namespace;
  /** The process, undefined for a namespace without any. */
  readonly pid: number | undefined;
}

/** What columns are filled from. */
export interface Source {
  readonly process: (pid: number) => Process | undefined;
  readonly user: (uid: number) => string;
  readonly command: (pid: number) => string;
  readonly networkId: (namespace: Namespace) => string | undefined;
  readonly separator: string;
}

export type Definition = Omit<Column<Row>, "text"> & {
  text(row: Row, source: Source): string | number | undefined;
};

const uidOf = ({ namespace, pid }: Row, { process }: Source): number | undefined =>
  pid === undefined ? namespace.uid : process(pid)?.uid;

const number = { json: "number", right: true } as const;
const string = { json: "string" } as const;

const definitions: readonly Definition[] = [
  {
    name: "NS",
    description: "namespace identifier (inode number)",
    ...number,
    hint: 10,
    text: ({ namespace }) => namespace.id,
  },
  {
    name: "TYPE",
    description: "kind of namespace",
    ...string,
    hint: 5,
    text: ({ namespace }) => linkOf(namespace.kind),
  },
  {
    name: "PATH",
    description: "path to the namespace",
    ...string,
    text: ({ namespace, pid }) =>
      pid === undefined ? namespace.path : `/proc/${pid}/ns/${linkOf(namespace.kind)}`,
  },
  {
    name: "NPROCS",
    description: "number of processes in the namespace",
    ...number,
    hint: 5,
    text: ({ namespace }) => namespace.processes,
  },
  { name: "PID", description: "lowest PID in the namespace", ...number, hint: 5, text: ({ pid }) => pid },
  {
    name: "PPID",
    description: "PPID of the PID",
    ...number,
    hint: 5,
    text: ({ pid }, { process }) => (pid === undefined ? undefined : process(pid)?.parent),
  },
  {
    name: "COMMAND",
    description: "command line of the PID",
    ...string,
    truncate: true,
    text: ({ pid }, { command }) => (pid === undefined ? undefined : command(pid)),
  },
  { name: "UID", description: "UID of the PID", ...number, text: uidOf },
  {
    name: "USER",
    description: "username of the PID",
    ...string,
    text: (row, source) => {
      const uid = uidOf(row, source);
      return uid === undefined ? undefined : source.user(uid);
    },
  },
  {
    name: "NETNSID",
    description: "namespace ID as used by network subsystem",
    ...string,
    right: true,
    text: ({ namespace }, source) => (namespace.kind === "net" ? source.networkId(namespace) : undefined),
  },
  {
    name: "NSFS",
    description: "nsfs mountpoint (usually used network subsystem)",
    ...string,
    lines: true,
    text: ({ namespace }, { separator }) => namespace.mounts.join(separator),
  },
  {
    name: "PNS",
    description: "parent namespace identifier (inode number)",
    ...number,
    hint: 10,
    text: ({ namespace }) => namespace.parent,
  },
  {
    name: "ONS",
    description: "owner namespace identifier (inode number)",
    ...number,
    hint: 10,
    text: ({ namespace }) => namespace.owner,
  },
];

export const names = definitions.map(({ name }) => name);

export const definitionOf = (name: string): Definition => {
  const found = definitions.find((it) => it.name === name.toUpperCase());
  if (!found) throw new UsageError(`unknown column: ${name}`, `the columns are ${names.join(", ")}`);
  return found;
};

/** The options that choose columns. */
interface Chosen {
  readonly output?: string | undefined;
  readonly outputAll: boolean;
}

/** `-o LIST`, `-o +LIST`, `--output-all`, and what is usual. */
export const chooseColumns = ({ output, outputAll }: Chosen, usual: readonly string[]): Definition[] => {
  const base = outputAll ? names : usual;
  if (output === undefined) return base.map(definitionOf);
  const list = output.replace(/^\+/, "");
  if (list === "") throw new UsageError("no columns given", `the columns are ${names.join(", ")}`);
  return [...(output.startsWith("+") ? base : []), ...list.split(",")].map(definitionOf);
};

/** The columns that there are: for people, or with `--json` and `--raw` for programs. */
export const listColumns = ({
  json,
  raw,
  noheadings,
}: Readonly<Record<"json" | "raw" | "noheadings", boolean>>): string => {
  if (json && raw) throw new UsageError("mutually exclusive arguments: --json --raw");
  const planted = plant<Definition>();
  for (const it of definitions) planted.add(it);
  const type = ({ json }: Definition): string => (json === "number" ? "integer" : "string");
  const column = (name: string, text: (it: Definition) => string, right = false): Column<Definition> => ({
    name,
    description: "",
    json: "string",
    right,
    text,
  });
  return renderListing(
    planted,
    [
      column("HOLDER", ({ name }) => name, true),
      column("TYPE", (it) => (json || raw ? type(it) : `<${type(it)}>`)),
      column("DESCRIPTION", ({ description }) => description),
    ],
    {
      how: json ? "json" : raw ? "raw" : "table",
      name: "lsns-columns",
      headings: raw && !noheadings ? "always" : "never",
      unicode: false,
    },
  );
};
