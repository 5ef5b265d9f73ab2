// Two readings of all groups as a table: what each uses now, as a tree, the busiest first. Pure.

import type { Usage } from "./usage.ts";

/** One row. Rates are those between two readings; what no file tells is undefined. */
export interface TopRow {
  readonly path: string;
  readonly depth: number;
  /** Percent of one processor. */
  readonly cpu: number | undefined;
  /** What 100 % of its limit would be, in percent of one processor. */
  readonly cpuLimit: number | undefined;
  /** Percent of its periods in which it had to wait for the next one. */
  readonly throttled: number | undefined;
  /** Microseconds that it was kept waiting, since it was made. */
  readonly throttledTime: number | undefined;
  readonly memory: number | undefined;
  readonly memoryLimit: number | undefined;
  /** The largest of its pressures, in percent. */
  readonly pressure: number | undefined;
  readonly pids: number | undefined;
  readonly pidsLimit: number | undefined;
  readonly oomKills: number | undefined;
}

export type SortKey = "cpu" | "throttled" | "memory" | "pressure" | "pids" | "oom" | "path";

const keyOf: Readonly<Record<Exclude<SortKey, "path">, (row: TopRow) => number | undefined>> = {
  cpu: ({ cpu }) => cpu,
  throttled: ({ throttled }) => throttled,
  memory: ({ memory }) => memory,
  pressure: ({ pressure }) => pressure,
  pids: ({ pids }) => pids,
  oom: ({ oomKills }) => oomKills,
};

/**
 * The tree from the group `root` down. `seconds` lie between both readings; a group that was not there before has no
 * rates yet.
 */
export const topRows = (
  before: readonly Usage[],
  now: readonly Usage[],
  seconds: number,
  sort: SortKey,
  root = "/",
): TopRow[] => {
  const earlier = new Map(before.map((usage) => [usage.path, usage]));
  const rows = now.map((usage) => rowOf(earlier.get(usage.path), usage, seconds));
  return asTree(rows, sort, root);
};

const rowOf = (
  before: Usage | undefined,
  { path, cpu, memory, pids, pressure, oomKills }: Usage,
  seconds: number,
): TopRow => {
  const since = (now: number | undefined, then: number | undefined): number | undefined =>
    now === undefined || then === undefined || now < then ? undefined : now - then;
  const used = since(cpu.usage, before?.cpu.usage);
  const periods = since(cpu.periods, before?.cpu.periods);
  const throttled = since(cpu.throttledPeriods, before?.cpu.throttledPeriods);
  const pressures = [pressure.cpu, pressure.memory, pressure.io].filter((it) => it !== undefined);
  return {
    path,
    depth: path === "/" ? 0 : path.split("/").length - 1,
    cpu: used === undefined || seconds <= 0 ? undefined : used / seconds / 1e4,
    cpuLimit: cpu.limit === undefined ? undefined : cpu.limit * 100,
    throttled:
      cpu.limit === undefined || throttled === undefined
        ? undefined
        : periods
          ? (throttled / periods) * 100
          : 0,
    throttledTime: cpu.throttledTime,
    memory: memory.usage,
    memoryLimit: memory.limit,
    pressure: pressures.length ? Math.max(...pressures) : undefined,
    pids: pids.current,
    pidsLimit: pids.limit,
    oomKills,
  };
};

/** Groups beside one another are sorted; each is followed by those below it. */
const asTree = (rows: readonly TopRow[], sort: SortKey, root: string): TopRow[] => {
  const below = new Map<string, TopRow[]>();
  for (const row of rows) {
    if (row.path === "/") continue;
    const above = row.path.slice(0, row.path.lastIndexOf("/")) || "/";
    const siblings = below.get(above);
    if (siblings) siblings.push(row);
    else below.set(above, [row]);
  }
  const key = sort === "path" ? () => 0 : keyOf[sort];
  const compare = (a: TopRow, b: TopRow): number =>
    (key(b) ?? -1) - (key(a) ?? -1) || (a.path < b.path ? -1 : a.path > b.path ? 1 : 0);
  const sorted: TopRow[] = [];
  const visit = (row: TopRow): void => {
    sorted.push(row);
    for (const child of below.get(row.path)?.toSorted(compare) ?? []) visit(child);
  };
  for (const row of rows) if (row.path === root) visit(row);
  return sorted;
};

const columns: readonly { readonly title: string; readonly width: number; text(row: TopRow): string }[] = [
  { title: "CPU%", width: 7, text: ({ cpu }) => decimal(cpu) },
  { title: "LIMIT", width: 6, text: ({ cpuLimit }) => decimal(cpuLimit, 0) },
  { title: "THR%", width: 6, text: ({ throttled }) => decimal(throttled, 0) },
  { title: "MEMORY", width: 8, text: ({ memory }) => bytes(memory) },
  { title: "LIMIT", width: 7, text: ({ memoryLimit }) => bytes(memoryLimit) },
  { title: "PSI%", width: 6, text: ({ pressure }) => decimal(pressure) },
  { title: "PIDS", width: 6, text: ({ pids }) => whole(pids) },
  { title: "LIMIT", width: 7, text: ({ pidsLimit }) => whole(pidsLimit) },
  { title: "OOM", width: 5, text: ({ oomKills }) => whole(oomKills) },
];

const rest = columns.reduce((sum, { width }) => sum + width, 0);

/** Lines of `width` characters at most, the first the heading. A name that does not fit loses its middle. */
export const topLines = (rows: readonly TopRow[], width: number): string[] => {
  const names = Math.max(12, width - rest);
  const line = (name: string, cell: (column: (typeof columns)[number]) => string): string => {
    let text = fit(name, names).padEnd(names);
    for (const column of columns) text += cell(column).padStart(column.width);
    return text.slice(0, width).trimEnd();
  };
  return [
    line("GROUP", ({ title }) => title),
    ...rows.map((row) => line(nameOf(row, rows[0]!.depth), (column) => column.text(row))),
  ];
};

/** The first by its whole path, those below it by their last names. */
const nameOf = ({ path, depth }: TopRow, from: number): string =>
  depth === from
    ? printableName(path)
    : " ".repeat(depth - from) + printableName(path.slice(path.lastIndexOf("/") + 1));

/** A group's name may hold anything but a slash and a newline, an escape sequence too. */
const printableName = (name: string): string => name.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");

const fit = (text: string, width: number): string => {
  if (text.length <= width - 1) return text;
  const head = Math.ceil((width - 2) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (width - 2 - head))}`;
};

const decimal = (value: number | undefined, digits = 1): string =>
  value === undefined ? "-" : value.toFixed(value >= 1000 ? 0 : digits);

const whole = (value: number | undefined): string => (value === undefined ? "-" : String(value));

/** `12.3M`, four or five characters. */
export const bytes = (value: number | undefined): string => {
  if (value === undefined) return "-";
  let unit = 0;
  let amount = value;
  while (amount >= 1000 && unit < 6) {
    amount /= 1024;
    unit++;
  }
  return `${unit === 0 || amount >= 100 ? Math.round(amount) : amount.toFixed(1)}${"BKMGTPE"[unit]}`;
};
