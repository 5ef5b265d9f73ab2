// What is known of a running container: a file in STATE by its id, written by its plan and read by whoever asks. Its lines
// are the directories of its control groups, what its user said of it as JSON, and its first process as in /proc.

import { UsageError } from "../abi/errors.ts";
import type { Config } from "./config.ts";
import { type FirstProcess, parseRecord } from "./recognise.ts";

/**
 * Where root's records of running containers are, and where a container puts its root together in its own namespace;
 * state-path.ts has other users'.
 */
export const STATE = "/run/nsk";

/** Links to the records of those containers that have a name. */
export const namesIn = (state: string): string => `${state}/names`;

/** What its user said of it, and what others may ask for. */
export interface Details {
  /** Its name, where it was given one. */
  readonly name?: string | undefined;
  readonly image?: string | undefined;
  readonly command: readonly string[];
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** The number of the signal that asks it to end; SIGTERM unless given. */
  readonly stopSignal?: number | undefined;
  /** Seconds until it is killed then; 10 unless given. */
  readonly stopTimeout?: number | undefined;
  /** When it was asked for, as ISO 8601 has it. */
  readonly created: string;
  /** Nobody waits for it; then `autoRemove` says whether anything stays of it. */
  readonly detached: boolean;
  readonly autoRemove: boolean;
  readonly interactive: boolean;
  readonly privileged?: boolean | undefined;
  /** docker's word for its IPC namespace. */
  readonly ipc?: string | undefined;
  /** What it is, and what another program that is started in it gets. */
  readonly config: Config;
  /** The filter on its system calls in base64. */
  readonly filter?: string | undefined;
}

export interface Running extends Details {
  /** 12 hexadecimal digits. */
  readonly id: string;
  readonly first: FirstProcess;
  /** The directories of its control groups. */
  readonly groups: readonly string[];
}

/** How a container has ended. */
export interface End {
  /** As a shell has it: the program's, or 128 and the number of the signal. */
  readonly status: number;
  /** Whether the kernel had killed one of its programs for want of memory. */
  readonly outOfMemory: boolean;
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Bytes at the end of what it printed that the disk had no room for. */
  readonly lost: number;
}

/** The end in a record, or in the file of one that is kept; undefined before there is one. */
export const parseEnd = (text: string): End | undefined => {
  const found = /^ended (\d+) (\d+) (\d+) (\d+) (\d+)$/m.exec(text);
  if (!found) return undefined;
  const [wait, kills, seconds, nanoseconds, lost] = found.slice(1).map(Number) as Five;
  const signal = wait & 0x7f;
  return {
    status: signal ? 128 + signal : wait >> 8,
    outOfMemory: kills > 0,
    at: seconds * 1000 + Math.floor(nanoseconds / 1e6),
    lost,
  };
};

type Five = [number, number, number, number, number];

/** As it goes into the record: one line. */
export const detailsText = (details: Details): string => `${JSON.stringify(details)}\n`;

/** Undefined for one that has no process yet, or whose record is not nsk's. */
export const parseRunning = (id: string, text: string): Running | undefined => {
  const first = parseRecord(text);
  const details = parseDetails(text);
  if (!first || !details) return undefined;
  return { ...details, id, first, groups: text.split("\n").filter((line) => line.startsWith("/")) };
};

/** The line of {@link detailsText} in a text; undefined where there is none. */
export const parseDetails = (text: string): Details | undefined => {
  const line = text.split("\n").find((it) => it.startsWith("{"));
  if (line === undefined) return undefined;
  try {
    const details = JSON.parse(line) as Details;
    return isWhole(details) ? details : undefined;
  } catch {
    return undefined;
  }
};

/** Whether it is what nsk writes, and no other's words: who looks at one of many must not fail for all. */
const isWhole = ({ name, command, created, detached, config }: Details): boolean =>
  (name === undefined || typeof name === "string") &&
  Array.isArray(command) &&
  typeof created === "string" &&
  typeof detached === "boolean" &&
  Array.isArray(config?.process?.args) &&
  Array.isArray(config.mounts) &&
  Array.isArray(config.linux?.namespaces);

/** 12 hexadecimal digits. */
export const isId = (text: string): boolean => /^[0-9a-f]{12}$/.test(text);

/** docker's rule, which leaves no room for paths. */
export const isName = (text: string): boolean => /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);

/** Throws {@link UsageError} for what docker would not take either. */
export const checkName = (text: string): string => {
  if (isName(text) && text.length <= 200) return text;
  throw new UsageError(`invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
};

/** The one that `word` names: by its name, or by the beginning of its id. Throws {@link UsageError} for none and for several. */
export const findContainer = <T extends Named>(all: readonly T[], word: string): T => {
  const found = findContainerIfThere(all, word);
  if (!found) throw noSuchContainer(word);
  return found;
};

export const noSuchContainer = (word: string): UsageError =>
  new UsageError(`no such container: ${word}`, "nsk ps -a lists them");

/** {@link findContainer}, undefined for what names none. */
export const findContainerIfThere = <T extends Named>(all: readonly T[], word: string): T | undefined => {
  const named = all.find(({ name }) => name === word);
  if (named) return named;
  const [found, ...others] = word === "" ? [] : all.filter(({ id }) => id.startsWith(word));
  if (others.length)
    throw new UsageError(
      `'${word}' is the beginning of ${others.length + 1} containers' ids`,
      "nsk ps -a lists them",
    );
  return found;
};

interface Named {
  readonly id: string;
  readonly name?: string | undefined;
}
