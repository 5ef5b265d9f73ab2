// `nsk ps`: which processes are in which namespaces and containers, with their ids outside and inside. Its options are
// those that ps(1) and lsns(8) have for the same; `-a` is docker's list of containers.

import { UsageError } from "../abi/errors.ts";
import { type ProcessEntry, processes } from "../backends/processes.ts";
import { ownNamespace } from "../host/gather.ts";
import type { Host } from "../host/host.ts";
import { type Link, links } from "../host/processes.ts";
import { columnsOf, parseFilter, passes } from "../namespaces/filter.ts";
import { terminalColumns } from "../sys/linux.ts";
import { command, type Values } from "./command.ts";
import { isUtf8, namer } from "./listing-facts.ts";
import { type Column, type Line, plant, renderListing, type Tree } from "./listing.ts";
import { print } from "./output.ts";
import { chooseColumns, type Definition, definitions, keys, type Source } from "./ps-columns.ts";

const options = {
  all: {
    type: "boolean",
    alias: "a",
    description:
      "list nsk's own containers, as docker does: those that run, and those of run -d that have ended",
  },
  every: {
    type: "boolean",
    alias: ["e", "A"] as string[],
    description: "list all processes, not only those in containers and in other namespaces than this command",
  },
  type: {
    type: "string",
    alias: "t",
    valueHint: "kind",
    description:
      "the kind of namespace that counts and is shown: mnt, net, ipc, user, pid (unless given), uts, cgroup or time",
  },
  pid: { type: "string", alias: "p", multiple: true, valueHint: "list", description: "list these processes" },
  container: {
    type: "string",
    alias: "c",
    valueHint: "container",
    description: "list the processes of this container, by the beginning of its id; nsk's own by name, too",
  },
  cgroup: {
    type: "string",
    alias: "g",
    valueHint: "path",
    description: "list the processes in this control group and below it",
  },
  filter: {
    type: "string",
    alias: "Q",
    valueHint: "expr",
    description: "list the processes that this is true of, e.g. 'NSPID == 1': see scols-filter(5)",
  },
  by: {
    type: "enum",
    options: ["namespace", "container", "cgroup"] as string[],
    description: "sort by this, and show it first",
  },
  tree: {
    type: "boolean",
    alias: ["H", "forest"] as string[],
    description: "print children below their parents",
  },
  format: {
    type: "string",
    alias: ["o", "output"] as string[],
    multiple: true,
    valueHint: "list",
    description: "the columns to print, or +<list> for more than the usual ones",
  },
  quiet: { type: "boolean", alias: "q", description: "with -a: ids alone" },
  noheadings: { type: "boolean", alias: "n", description: "print no heading" },
  raw: { type: "boolean", alias: "r", description: "print words separated by single spaces" },
  notruncate: {
    type: "boolean",
    alias: ["w", "no-trunc"] as string[],
    description: "cut nothing to fit the terminal",
  },
  json: {
    type: "boolean",
    alias: "J",
    description: "print JSON, with all columns unless some are asked for",
  },
} as const;

type Options = Values<typeof options>;

export const ps = command({
  definition: {
    meta: {
      name: "ps",
      description:
        "List processes by namespace and container, with their ids outside and inside. " +
        "Without options those in containers (of nsk, docker, podman, containerd and others, told by their control " +
        "groups) and those in another PID namespace than this command; with <namespace> those in it. " +
        `Columns for -o: ${keys.join(", ")}.`,
    },
    args: options,
  },
  usage: "[options] [<namespace> ...]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host }) => {
    if (options.all) {
      refuseBeside(options, operands);
      const { listContainers } = await import("./ps-containers.ts");
      print(listContainers(host, options));
      return 0;
    }
    if (options.quiet) throw new UsageError("--quiet lists the ids of containers: it goes with --all");
    const container = options.container && (await idOf(options.container, host));
    print(listProcesses({ ...options, container }, operands, host));
    return 0;
  },
});

/** What chooses among processes, or shows them, has no meaning for a list of containers. */
const refuseBeside = (options: Options, operands: readonly string[]): void => {
  const { all: _, noheadings: _n, notruncate: _w, json: _j, quiet: _q, ...others } = options;
  for (const [key, value] of Object.entries(others))
    if (value !== undefined && value !== false && !(Array.isArray(value) && value.length === 0))
      throw new UsageError(
        `--all lists containers, and --${key} is for processes`,
        "nsk ps -a --json has all that is known of them",
      );
  if (operands.length) throw new UsageError(`unexpected argument '${operands[0]}': --all lists containers`);
};

/** The id of the container of nsk's that runs under a name; else the word, the beginning of an id of anybody's. */
const idOf = async (word: string, host: Host): Promise<string> => {
  const { runningContainers } = await import("../backends/containers.ts");
  return runningContainers(host).find(({ name }) => name === word)?.id ?? word;
};

const parseKind = (type: string | undefined): Link => {
  const found = links.find((link) => link === (type ?? "pid"));
  if (!found) throw new UsageError(`unknown namespace type: ${type}`, `there are ${links.join(", ")}`);
  return found;
};

const parseNumbers = (words: readonly string[], what: string): number[] =>
  words.map((word) => {
    if (!/^\d+$/.test(word)) throw new UsageError(`invalid ${what} argument: '${word}'`);
    return Number(word);
  });

const listProcesses = (options: Options, operands: readonly string[], host: Host): string => {
  if (options.json && options.raw) throw new UsageError("mutually exclusive arguments: --json --raw");
  const link = parseKind(options.type);
  const columns = chooseColumns(options, link);
  const names = definitions.map(({ name }) => name);
  const condition = options.filter === undefined ? undefined : parseFilter(options.filter, names);
  const wanted = {
    pids: parseNumbers(
      options.pid.flatMap((list) => list.split(/[ ,]+/)),
      "process id",
    ),
    namespaces: parseNumbers(operands, "namespace"),
  };

  const needed = new Set([...columns.map(({ name }) => name), ...(condition ? columnsOf(condition) : [])]);
  const groups =
    !options.every ||
    [options.container, options.cgroup, options.by].some((it) => it !== undefined) ||
    ["ENGINE", "CONTAINER", "CGROUP"].some((it) => needed.has(it));
  const all = processes(
    host,
    operands.length ? links : links.filter((it) => it === link || needed.has(`${it}ns`.toUpperCase())),
    groups,
  );
  const source: Source = { user: namer(host), full: options.json || options.notruncate };
  const bind = (it: Definition): Column<ProcessEntry> => ({ ...it, text: (row) => it.text(row, source) });
  const cells = new Map(definitions.map((it) => [it.name, bind(it)]));
  const chosen = choose(all, options, wanted, link).filter(
    (row) => condition === undefined || passes(condition, (column) => cells.get(column)!.text(row)),
  );
  const key = (row: ProcessEntry): string =>
    options.by === undefined ? "" : String(cells.get(columnOf(options.by, link))!.text(row) ?? "");
  return renderListing(arrange(chosen, options.tree, key), columns.map(bind), {
    how: options.json ? "json" : options.raw ? "raw" : "table",
    name: "processes",
    headings: options.noheadings ? "never" : "always",
    tree: options.tree ? "COMMAND" : undefined,
    width: options.notruncate ? undefined : terminalColumns(1),
    unicode: isUtf8(host),
  });
};

const columnOf = (by: string, link: Link): string => (by === "namespace" ? `${link}ns` : by).toUpperCase();

interface Wanted {
  readonly pids: readonly number[];
  readonly namespaces: readonly number[];
}

/** The processes that the options ask for. Throws {@link UsageError} for one, or a place, that there is none of. */
const choose = (
  all: readonly ProcessEntry[],
  { every, container, cgroup }: Options,
  { pids, namespaces }: Wanted,
  link: Link,
): ProcessEntry[] => {
  let chosen: readonly ProcessEntry[] = all;
  const narrow = (what: string, isWanted: (row: ProcessEntry) => boolean): void => {
    chosen = chosen.filter(isWanted);
    if (chosen.length === 0) throw new UsageError(`no process ${what}`);
  };
  for (const pid of pids) if (!all.some((it) => it.pid === pid)) throw new UsageError(`no process ${pid}`);
  if (pids.length) narrow(`${pids.join(",")}`, ({ pid }) => pids.includes(pid));
  for (const id of namespaces)
    if (!all.some((it) => Object.values(it.namespaces).includes(id)))
      throw new UsageError(`not found namespace: ${id}`);
  if (namespaces.length)
    narrow(`in ${namespaces.join(" and ")}`, (it) =>
      namespaces.every((id) => Object.values(it.namespaces).includes(id)),
    );
  if (container !== undefined) {
    if (container === "") throw new UsageError("--container wants the beginning of an id");
    narrow(`in a container ${container}`, (it) => it.container?.id.startsWith(container) ?? false);
  }
  if (cgroup !== undefined) {
    const path = `/${cgroup.replace(/^\/+|\/+$/g, "")}`;
    narrow(`in the control group ${path}`, ({ groups }) =>
      groups.some((it) => path === "/" || it === path || it.startsWith(`${path}/`)),
    );
  }
  if (every || chosen !== all) return [...chosen];
  const own = ownNamespace(link);
  return chosen.filter(
    ({ namespaces, container: member }) => member !== undefined || (namespaces[link] || own) !== own,
  );
};

/** Lines in the order of their groups and ids, children below their parents where both are in one group. */
const arrange = (
  rows: readonly ProcessEntry[],
  isTree: boolean,
  key: (row: ProcessEntry) => string,
): Tree<ProcessEntry> => {
  const planted = plant<ProcessEntry>();
  const keys = new Map(rows.map((row) => [row.pid, key(row)]));
  const byPid = new Map(rows.map((row) => [row.pid, row]));
  const lines = new Map<number, Line<ProcessEntry> | undefined>();
  const add = (row: ProcessEntry): void => {
    if (lines.has(row.pid)) return;
    lines.set(row.pid, undefined);
    const parent = isTree ? byPid.get(row.parent) : undefined;
    const above = parent && keys.get(parent.pid) === keys.get(row.pid) ? parent : undefined;
    if (above) add(above);
    lines.set(row.pid, planted.add(row, above && lines.get(above.pid)));
  };
  const order = (a: ProcessEntry, b: ProcessEntry): number => {
    const [x, y] = [keys.get(a.pid)!, keys.get(b.pid)!];
    return x < y ? -1 : x > y ? 1 : a.pid - b.pid;
  };
  for (const row of rows.toSorted(order)) add(row);
  return planted;
};
