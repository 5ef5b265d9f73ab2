// nsk stats: what containers use, from their control groups.

import { HostError, UsageError } from "../abi/errors.ts";
import { knownContainers, runningContainers } from "../backends/containers.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { readUsage, type Sources, sourcesOf, type Usage } from "../cgroups/usage.ts";
import { findContainer, type Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { command } from "./command.ts";
import { columns } from "./human.ts";
import { print, printJson } from "./output.ts";

export const stats = command({
  definition: {
    meta: {
      name: "stats",
      description:
        "Show what containers use, all that run unless some are named, every second. Of those started without -d " +
        "cgroup v1 counts only what they have a limit on.",
    },
    args: {
      noStream: { type: "boolean", description: "show one table and end" },
      json: { type: "boolean", description: "print JSON, an array for each reading" },
    },
  },
  usage: "[options] [<container>...]",
  permute: true,
  failure: 1,
  truths: true,
  run: async ({ options, operands, host }) => {
    const sources = sourcesOf(readHierarchies(host));
    const chosen = (): Running[] => choose(operands, host);
    if (operands.length > 0) chosen(); // who is not there is told at once
    let before = read(chosen(), sources, host);
    for (let first = true; ; first = false) {
      await new Promise((done) => setTimeout(done, SECOND));
      let now: Reading;
      try {
        now = read(chosen(), sources, host);
      } catch (error) {
        if (!first && (error instanceof HostError || error instanceof UsageError)) return 0; // they have ended
        throw error;
      }
      const rows = now.all.map((one) => rowOf(one, before, now));
      before = now;
      if (options.json && options.noStream) printJson(rows);
      else if (options.json) print(`${JSON.stringify(rows)}\n`);
      else print(`${host.isTerminal(1) && !options.noStream ? CLEAR : ""}${table(rows)}`);
      if (options.noStream) return 0;
    }
  },
});

const SECOND = 1000;
const CLEAR = "\x1b[H\x1b[J";

const choose = (operands: readonly string[], host: Host): Running[] => {
  if (operands.length === 0) return runningContainers(host);
  const all = knownContainers(host);
  return operands.map((word) => {
    const found = findContainer(all, word);
    if (found.state !== "running") throw new HostError(`container ${word} is not running`);
    return found;
  });
};

interface Reading {
  /** Milliseconds. */
  readonly at: number;
  readonly all: readonly { readonly container: Running; readonly usage: Usage }[];
}

const read = (all: readonly Running[], sources: Sources, host: Host): Reading => ({
  at: performance.now(),
  all: all.map((container) => ({ container, usage: readUsage(host, sources, `/nsk-${container.id}`) })),
});

interface Row {
  readonly id: string;
  readonly name: string | null;
  /** Percent of one processor; null where nothing counts it, as the others. */
  readonly cpu: number | null;
  /** Bytes. */
  readonly memory: number | null;
  readonly memoryLimit: number | null;
  readonly pids: number | null;
  readonly pidsLimit: number | null;
}

const rowOf = (
  { container: { id, name }, usage }: Reading["all"][number],
  before: Reading,
  now: Reading,
): Row => {
  const then = before.all.find(({ container }) => container.id === id)?.usage.cpu.usage;
  const used = usage.cpu.usage;
  return {
    id,
    name: name ?? null,
    // microseconds in milliseconds
    cpu:
      used === undefined || then === undefined
        ? null
        : Math.round((10 * Math.max(0, used - then)) / (now.at - before.at)) / 100,
    memory: usage.memory.usage ?? null,
    memoryLimit: usage.memory.limit ?? null,
    pids: usage.pids.current ?? null,
    pidsLimit: usage.pids.limit ?? null,
  };
};

const NONE = "--";

const table = (rows: readonly Row[]): string =>
  columns([
    ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "PIDS"],
    ...rows.map(({ id, name, cpu, memory, memoryLimit, pids }) => [
      id,
      name ?? NONE,
      cpu === null ? NONE : `${cpu.toFixed(2)}%`,
      `${size(memory)} / ${size(memoryLimit)}`,
      memory === null || memoryLimit === null ? NONE : `${((100 * memory) / memoryLimit).toFixed(2)}%`,
      pids === null ? NONE : String(pids),
    ]),
  ]);

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** As docker's stats: four digits, binary units. */
const size = (bytes: number | null): string => {
  if (bytes === null) return NONE;
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < BINARY.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(4))}${BINARY[unit]}`;
};
