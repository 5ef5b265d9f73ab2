// top: what every control group uses, against what it may use.

import { HostError, UsageError } from "../abi/errors.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { type SortKey, topLines, type TopRow, topRows } from "../cgroups/top.ts";
import { readUsages, type Sources, sourcesOf, type Usage } from "../cgroups/usage.ts";
import type { Host } from "../host/host.ts";
import { showLines, takeKeys, takeScreen, typed, windowSize } from "../sys/terminal.ts";
import { command, type OptionTable } from "./command.ts";
import { print, printJson } from "./output.ts";

const options = {
  once: { type: "boolean", description: "show one table and end" },
  iterations: { type: "string", alias: "n", valueHint: "number", description: "show so many tables and end" },
  delay: {
    type: "string",
    alias: "d",
    valueHint: "seconds",
    description: "the time between two readings; 1 unless given",
  },
  sort: {
    type: "enum",
    alias: "s",
    options: ["cpu", "throttled", "memory", "pressure", "pids", "oom", "path"],
    valueHint: "cpu|throttled|memory|pressure|pids|oom|path",
    description: "what groups beside one another are sorted by; cpu unless given",
  },
  json: { type: "boolean", description: "print JSON: with --once an array, otherwise one on each line" },
} as const satisfies OptionTable;

export const top = command({
  definition: {
    meta: {
      name: "top",
      description:
        "Show what control groups use and may use, as a tree. On a terminal q ends it; m, c, p sort by memory, processor, processes.",
    },
    args: options,
  },
  usage: "[options] [<path>]",
  failure: 1,
  run: async ({ options, operands, host }) => {
    if (operands.length > 1) throw new UsageError(`unexpected argument '${operands[1]}'`);
    const delay = Number(options.delay ?? "1");
    if (!(delay >= 0.05 && delay <= 3600))
      throw new UsageError(`'${options.delay}' is no delay`, "seconds, from 0.05 to 3600");
    const times = options.once ? 1 : options.iterations === undefined ? Infinity : Number(options.iterations);
    if (!(times >= 1) || (times !== Infinity && !Number.isInteger(times)))
      throw new UsageError(`'${options.iterations}' is no number of tables`);
    const watch: Watch = {
      host,
      sources: sourcesOf(readHierarchies(host)),
      path: `/${(operands[0] ?? "").replace(/^\/+|\/+$/g, "")}`,
      delay,
      times,
      sort: (options.sort as SortKey | undefined) ?? "cpu",
    };
    if (Object.values(watch.sources).every((it) => it === undefined))
      throw new HostError(
        "no control groups are mounted",
        "mount them: mount -t cgroup2 none /sys/fs/cgroup",
      );
    return host.isTerminal(1) && !options.json && !options.once
      ? showLive(watch)
      : printTables(watch, options);
  },
});

interface Watch {
  readonly host: Host;
  readonly sources: Sources;
  /** The group to begin with. */
  readonly path: string;
  readonly delay: number;
  readonly times: number;
  readonly sort: SortKey;
}

const pause = (seconds: number): Promise<void> => new Promise((done) => setTimeout(done, seconds * 1000));

/** One reading, and when it was. */
interface Reading {
  readonly at: number;
  readonly usages: readonly Usage[];
}

const read = ({ host, sources, path }: Watch): Reading => {
  const usages = readUsages(host, sources);
  if (!usages.some((usage) => usage.path === path))
    throw new HostError(`there is no group ${path}`, "nsk lscgroup lists all");
  return { at: performance.now(), usages };
};

const rowsBetween = ({ path }: Watch, before: Reading, now: Reading, sort: SortKey): TopRow[] =>
  topRows(before.usages, now.usages, (now.at - before.at) / 1000, sort, path);

/** For a pipe or a file: table after table. */
const printTables = async (
  watch: Watch,
  { json, once }: { readonly json: boolean; readonly once: boolean },
): Promise<number> => {
  let before = read(watch);
  for (let i = 0; i < watch.times; i++) {
    await pause(watch.delay);
    const now = read(watch);
    const rows = rowsBetween(watch, before, now, watch.sort);
    if (json && once) printJson(rows);
    else if (json) print(`${JSON.stringify(rows)}\n`);
    else {
      const width = watch.host.isTerminal(1) ? windowSize(1).columns : 80;
      print(`${i ? "\n" : ""}${topLines(rows, width).join("\n")}\n`);
    }
    before = now;
  }
  return 0;
};

const keys: Readonly<Record<string, SortKey>> = {
  c: "cpu",
  t: "throttled",
  m: "memory",
  i: "pressure",
  p: "pids",
  o: "oom",
  n: "path",
};

/** On a terminal, until `q` or a signal, which is handed on once the terminal is as it was. */
const showLive = async (watch: Watch): Promise<number> => {
  let ending: NodeJS.Signals | "quit" | undefined;
  const end = (signal: NodeJS.Signals): void => void (ending ??= signal);
  for (const signal of signals) process.on(signal, end);
  const hasKeys = watch.host.isTerminal(0);
  const restoreKeys = hasKeys ? takeKeys(0) : undefined;
  const restoreScreen = takeScreen(1);
  let sort = watch.sort;
  try {
    let before = read(watch);
    let now = before;
    let shown = "";
    let left = watch.times;
    while (left > 0 && ending === undefined) {
      const { rows: height, columns } = windowSize(1);
      const lines = topLines(rowsBetween(watch, before, now, sort), columns).slice(0, height);
      const text = `${height} ${lines.join("\n")}`;
      if (text !== shown && showLines(1, lines) < 0) break;
      shown = text;
      await pause(Math.min(KEYS_EVERY, watch.delay));
      for (const key of hasKeys ? keysTyped() : []) {
        if (key === "q" || key === "Q" || key === "\x03" || key === "\x04") ending = "quit";
        if (Object.hasOwn(keys, key)) sort = keys[key]!;
      }
      if (performance.now() - now.at < watch.delay * 1000) continue;
      before = now;
      now = read(watch);
      left--;
    }
  } finally {
    restoreScreen();
    restoreKeys?.();
    for (const signal of signals) process.off(signal, end);
  }
  if (ending !== undefined && ending !== "quit") process.kill(process.pid, ending);
  return 0;
};

/** Seconds between two looks at the keyboard. */
const KEYS_EVERY = 0.1;
const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const;

const keysTyped = (): string[] => {
  const bytes = typed(0);
  return bytes === "end" ? ["q"] : [...bytes].map((byte) => String.fromCharCode(byte));
};
