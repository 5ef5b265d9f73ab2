// What the commands for containers have in common: finding those that are named, and settling those between two states.

import { UsageError } from "../abi/errors.ts";
import {
  awaitSupervisor,
  holdContainer,
  holdRecord,
  type Known,
  knownContainers,
  signalContainer,
} from "../backends/containers.ts";
import { SIG } from "../abi/flags.ts";
import { removeLeftovers, sweepKept } from "../backends/leftovers.ts";
import {
  type End,
  findContainer,
  findContainerIfThere,
  noSuchContainer,
  type Running,
} from "../containers/record.ts";
import { ownStatePath } from "../containers/state-path.ts";
import { findKeptPath } from "../containers/kept-files.ts";
import type { Host } from "../host/host.ts";
import { close, writeAll } from "../sys/linux.ts";
import { forEach } from "./each.ts";
import { print } from "./output.ts";

/** The one container that a command is about. */
export const theOne = (operands: readonly string[], host: Host): Known => {
  if (operands.length > 1) throw new UsageError(`unexpected argument '${operands[1]}'`);
  return settled(findContainer(knownBy(operands, host), operands[0]!), host);
};

/** Does something with each container that is named, whatever becomes of the others. */
export const forNamed = (
  operands: readonly string[],
  host: Host,
  name: string,
  what: (it: Known, word: string) => void,
  whenMissing = (word: string): void => {
    throw noSuchContainer(word);
  },
): void => {
  const all = knownBy(operands, host);
  forEach(operands, name, (word) => {
    const it = findContainerIfThere(all, word);
    if (it) what(settled(it, host), word);
    else whenMissing(word);
  });
};

/** Those among which words are to name some. */
export const knownBy = (words: readonly string[], host: Host): Known[] => {
  if (words.length === 0) throw new UsageError("no container given", "nsk ps -a lists them");
  return knownContainers(host);
};

/** A container that starts or ends at this very moment, once it has done so. */
export const settled = (it: Known, host: Host): Known => {
  for (let i = 0; it.state === "between" && i < LOOKS; i++) {
    Bun.sleepSync(EVERY);
    const { id } = it;
    const now = knownContainers(host).find((other) => other.id === id);
    if (!now) throw new UsageError(`no such container: ${id}`, "it has just been removed");
    it = now;
  }
  return it;
};

/** Milliseconds between two looks, and how many there are: ten seconds. */
const EVERY = 10;
const LOOKS = 1000;

/** Does something with each that runs, by a hold on its first process, and prints the words that named them. */
export const forRunning = (
  operands: readonly string[],
  host: Host,
  name: string,
  what: (it: Running, process: number) => void,
  whenEnded: (it: Known) => void,
): void =>
  forNamed(operands, host, name, (it, word) => {
    const process = it.state === "running" ? holdContainer(it, host) : undefined;
    if (it.state === "running" && process !== undefined) {
      try {
        what(it, process);
      } finally {
        close(process);
      }
    } else whenEnded(it);
    print(`${word}\n`);
  });

/**
 * What waits for the end of a container; the hold on it is taken at once. Undefined comes when nobody was there to tell
 * how it ended.
 */
export const watchEnd = (it: Known, host: Host): (() => End | undefined) => {
  if (it.state !== "running") return () => it.end;
  const record = holdRecord(it.id, host);
  return () => (record === undefined ? endOf(it.id, host) : awaitSupervisor(record));
};

/** Of one that has ended since it was found. */
const endOf = (id: string, host: Host): End | undefined => {
  const now = knownContainers(host).find((it) => it.id === id);
  return now && now.state !== "running" ? now.end : undefined;
};

/** Says on standard error that the kernel had killed a program of it for want of memory, and at which limit. */
export const tellOutOfMemory = (it: Known, end: End | undefined, who: string): void => {
  if (end?.outOfMemory) writeAll(2, `${who}: ${outOfMemory(it)}\n`);
};

/** What there is to be said of one that has run out of it. */
export const outOfMemory = ({ config }: Pick<Known, "config">): string => {
  const { limit } = config.linux.resources.memory ?? {};
  const which = limit === undefined ? "" : `, whose limit is ${limit} bytes`;
  return `out of memory: the kernel killed a program of the container${which}`;
};

/** Kills one that runs, and returns when its supervisor has cleaned up. */
export const killAndWait = (it: Running, host: Host): void => {
  const record = holdRecord(it.id, host);
  const process = holdContainer(it, host);
  if (process !== undefined) {
    signalContainer(process, SIG.SIGKILL);
    close(process);
  }
  if (record !== undefined) awaitSupervisor(record);
};

/** Cleans up after supervisors that were killed, before anybody is told what there is. */
export const tidy = (host: Host): void => {
  const [state, kept] = [ownStatePath(host), findKeptPath(host)];
  if (state === undefined) return;
  removeLeftovers(state, kept);
  if (kept !== undefined) sweepKept(kept, state);
};
