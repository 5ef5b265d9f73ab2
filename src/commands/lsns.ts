// lsns(8): list namespaces.

import { UsageError } from "../abi/errors.ts";
import { survey, type Survey } from "../backends/namespaces.ts";
import { commandLine, gatherNetworkIds, gatherProcess } from "../host/gather.ts";
import type { Host } from "../host/host.ts";
import { type Link, links, type Processes } from "../host/processes.ts";
import { columnsOf, parseFilter, passes } from "../namespaces/filter.ts";
import { linkOf, members, type Namespace } from "../namespaces/inventory.ts";
import { terminalColumns } from "../sys/linux.ts";
import { command, type Values } from "./command.ts";
import {
  chooseColumns,
  type Definition,
  definitionOf,
  listColumns,
  names,
  type Row,
  type Source,
} from "./lsns-columns.ts";
import { type Column, plant, renderListing, type Line, type Tree } from "./listing.ts";
import { isUtf8, namer, remembered } from "./listing-facts.ts";
import { print } from "./output.ts";

const options = {
  json: { type: "boolean", alias: "J", description: "print JSON" },
  list: { type: "boolean", alias: "l", description: "print a list, not a tree" },
  noheadings: { type: "boolean", alias: "n", description: "print no heading" },
  output: {
    type: "string",
    alias: "o",
    valueHint: "list",
    description: "the columns to print, or +<list> for more than the usual ones: see --list-columns",
  },
  outputAll: { type: "boolean", description: "print all columns" },
  persistent: {
    type: "boolean",
    alias: "P",
    description:
      "print only namespaces without processes: those that a mount or an open descriptor holds, and those that are only above others or own them",
  },
  task: {
    type: "string",
    alias: "p",
    valueHint: "pid",
    description: "print only the namespaces that this process is in",
  },
  filter: {
    type: "string",
    alias: "Q",
    valueHint: "expr",
    description:
      "print only namespaces that this is true of, e.g. 'NPROCS > 1 and USER != \"root\"': see scols-filter(5)",
  },
  raw: { type: "boolean", alias: "r", description: "print words separated by single spaces" },
  notruncate: { type: "boolean", alias: "u", description: "cut nothing to fit the terminal" },
  nowrap: {
    type: "boolean",
    alias: "W",
    description: "print one line for each namespace, lists with commas",
  },
  type: {
    type: "string",
    alias: "t",
    multiple: true,
    valueHint: "name",
    description:
      "print only this kind (mnt, net, ipc, user, pid, uts, cgroup or time); may be given several times",
  },
  tree: {
    type: "string",
    alias: "T",
    optional: true,
    valueHint: "rel",
    description:
      "print a tree: of parents and children (parent), of owners and what they own (owner, the default), or of processes (process, also without -T)",
  },
  listColumns: {
    type: "boolean",
    alias: "H",
    description: "print the columns that there are, with --json or --raw for programs",
  },
} as const;

type Options = Values<typeof options>;

export const lsns = command({
  definition: {
    meta: {
      name: "lsns",
      description:
        "List namespaces. With <namespace>, the inode number of one, list the processes in it. " +
        "Shown are those that processes are in, and, with NPROCS 0, those that only a mount or an open descriptor " +
        "keeps (PATH says which); those that live on only because others are below them show with --tree=owner, " +
        "--tree=parent and --persistent.",
    },
    args: options,
  },
  usage: "[options] [<namespace>]",
  permute: true,
  failure: 1,
  run: ({ options, operands, host }) => {
    print(options.listColumns ? listColumns(options) : listNamespaces(options, operands[0], host));
    return 0;
  },
});

/** As strtoul(3) reads it: space before the number, and a sign. */
const parseNumber = (text: string, what: string, largest: number): number => {
  if (!/^\s*[+-]?\d+$/.test(text)) throw new UsageError(`invalid ${what} argument: '${text}'`);
  const value = Number(text);
  if (Math.abs(value) > largest)
    throw new UsageError(`invalid ${what} argument: '${text}': Numerical result out of range`);
  return value;
};

const relations = ["owner", "parent", "process"] as const;

const parseTree = (
  { tree, list, outputAll }: Options,
  isAll: boolean,
): (typeof relations)[number] | undefined => {
  if (tree === true) return "owner";
  if (tree === undefined) return list || (outputAll && isAll) ? undefined : "process";
  const found = relations.find((relation) => relation === tree);
  if (!found) throw new UsageError(`unknown tree type: ${tree}`, `there are ${relations.join(", ")}`);
  return found;
};

const parseTypes = (types: readonly string[]): readonly Link[] => {
  for (const type of types)
    if (!(links as readonly string[]).includes(type))
      throw new UsageError(`unknown namespace type: ${type}`, `there are ${links.join(", ")}`);
  return types.length ? links.filter((link) => types.includes(link)) : links;
};

const listNamespaces = (options: Options, operand: string | undefined, host: Host): string => {
  const { json, raw, task, type, persistent, filter } = options;
  if (json && raw) throw new UsageError("mutually exclusive arguments: --json --raw");
  const types = parseTypes(type);
  const pid = task === undefined ? 0 : parseNumber(task, "PID", 2 ** 31 - 1);
  const id = operand === undefined ? undefined : parseNumber(operand, "namespace", 2 ** 64);
  if (id !== undefined && task !== undefined)
    throw new UsageError("--task is mutually exclusive with <namespace>");
  const tree = parseTree(options, id === undefined);
  const usual = id !== undefined ? "PID PPID USER COMMAND" : usualColumns(type);
  const columns = chooseColumns(options, usual.split(" "));
  const condition = filter === undefined ? undefined : parseFilter(filter, names);
  const needed = new Set([...columns.map(({ name }) => name), ...(condition ? columnsOf(condition) : [])]);

  const isForest = tree === "owner" || tree === "parent";
  const found = survey({
    links: types,
    held: true,
    relations: isForest || persistent || needed.has("PNS") || needed.has("ONS"),
    missing: id === undefined && (isForest || persistent),
  });
  const source: Source = {
    process: remembered(gatherProcess),
    user: namer(host),
    command: remembered(commandLine),
    networkId: needed.has("NETNSID") ? networkIds(found.namespaces) : () => undefined,
    separator: raw || options.nowrap ? "," : "\n",
  };
  const bind = (it: Definition): Column<Row> => ({ ...it, text: (row) => it.text(row, source) });
  const cells = new Map(names.map((name) => [name, bind(definitionOf(name))]));
  const isShown = (row: Row): boolean =>
    condition === undefined || passes(condition, (column) => cells.get(column)!.text(row));

  // Of a list, and where the tree would not show, nobody asks for parents.
  const parent = (of: number): number =>
    tree === "process" && needed.has("COMMAND") ? (source.process(of)?.parent ?? 0) : 0;
  const lines =
    id === undefined
      ? plantNamespaces(found, { tree, pid, persistent, isShown, parent })
      : plantProcesses(found, id, isShown, parent);
  const treeColumn = tree === "process" ? "COMMAND" : isForest && id === undefined ? "NS" : undefined;
  return renderListing(
    lines,
    // The tree stands to the left in a column of numbers, too.
    columns.map((it) => ({ ...bind(it), ...(it.name === treeColumn && { right: false }) })),
    {
      how: json ? "json" : raw ? "raw" : "table",
      name: "namespaces",
      headings: options.noheadings ? "never" : "withLines",
      tree: treeColumn,
      width: options.notruncate ? undefined : terminalColumns(1),
      unicode: isUtf8(host),
    },
  );
};

const usualColumns = (types: readonly string[]): string =>
  `NS TYPE NPROCS PID USER ${types.includes("net") ? "NETNSID NSFS " : ""}COMMAND`;

const networkIds = (namespaces: readonly Namespace[]): Source["networkId"] => {
  const ids = gatherNetworkIds(
    namespaces.flatMap(({ kind, id, path }) => (kind === "net" && path !== undefined ? [{ id, path }] : [])),
  );
  return ({ id }) => {
    const known = ids.get(id);
    return known === undefined || known >= 0 ? known?.toString() : "unassigned";
  };
};

interface Choice {
  readonly tree: "owner" | "parent" | "process" | undefined;
  /** The process whose namespaces are wanted, 0 for all. */
  readonly pid: number;
  readonly persistent: boolean;
  readonly isShown: (row: Row) => boolean;
  readonly parent: (pid: number) => number;
}

/** One line for each namespace, below the line of what the tree is about. */
const plantNamespaces = (found: Survey, choice: Choice): Tree<Row> => {
  const { tree, isShown, parent } = choice;
  const planted = plant<Row>();
  const byId = new Map(found.namespaces.map((it) => [it.id, it]));
  /** By the ids of namespaces, or of processes for a tree of these. */
  const lines = new Map<number, Line<Row>>();
  const added = new Set<number>();
  const add = (it: Namespace): void => {
    if (added.has(it.id)) return;
    added.add(it.id);
    // What a line is to stand below comes first; in a tree of parents the owner of one without a parent does, too.
    const owner = byId.get(it.owner);
    const above = tree === "owner" ? owner : tree === "parent" ? (byId.get(it.parent) ?? owner) : undefined;
    if (above) add(above);
    const row: Row = { namespace: it, pid: it.pid };
    if (!isShown(row)) return;
    if (tree === "process") {
      const line = planted.add(row, it.pid === undefined ? undefined : lines.get(parent(it.pid)));
      if (it.pid !== undefined) lines.set(it.pid, line);
    } else {
      const below = tree === "owner" ? it.owner : tree === "parent" ? it.parent : 0;
      lines.set(it.id, planted.add(row, lines.get(below)));
    }
  };
  for (const it of found.namespaces) if (isWanted(it, found.processes, choice)) add(it);
  return planted;
};

const isWanted = (it: Namespace, { pids, namespaces }: Processes, { pid, persistent }: Choice): boolean => {
  // Of kinds that nobody reads the processes are not known; they show where a tree leads to them.
  const known = namespaces[linkOf(it.kind)];
  if (persistent && (it.processes > 0 || known === undefined)) return false;
  return pid === 0 || known?.[pids.indexOf(pid)] === it.id;
};

/** The processes in one namespace, below their parents. Throws {@link UsageError} where there is no such namespace. */
const plantProcesses = (
  { processes, namespaces }: Survey,
  id: number,
  isShown: (row: Row) => boolean,
  parent: (pid: number) => number,
): Tree<Row> => {
  const namespace = namespaces.find((it) => it.id === id);
  if (!namespace) throw new UsageError(`not found namespace: ${id}`);
  const planted = plant<Row>();
  const own = new Set(members(processes, namespace));
  const lines = new Map<number, Line<Row> | undefined>();
  const add = (pid: number): void => {
    if (lines.has(pid)) return;
    lines.set(pid, undefined);
    // Numbers are used again: a child's may be the lower one.
    const above = parent(pid);
    if (own.has(above)) add(above);
    const row: Row = { namespace, pid };
    if (isShown(row)) lines.set(pid, planted.add(row, lines.get(above)));
  };
  own.forEach(add);
  return planted;
};
