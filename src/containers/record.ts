// What is known of a running container: a file in STATE by its id, written by its plan and read by whoever asks. Its lines
// are the directories of its control groups, what its user said of it as JSON, and its first process as in /proc.

import { UsageError } from "../abi/errors.ts";
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
}

export interface Running extends Details {
  /** 12 hexadecimal digits. */
  readonly id: string;
  readonly first: FirstProcess;
}

/** As it goes into the record: one line. */
export const detailsText = (details: Details): string => `${JSON.stringify(details)}\n`;

/** Undefined for one that has no process yet, or whose record is not nsk's. */
export const parseRunning = (id: string, text: string): Running | undefined => {
  const first = parseRecord(text);
  const line = text.split("\n").find((it) => it.startsWith("{"));
  if (!first || line === undefined) return undefined;
  try {
    return { ...(JSON.parse(line) as Details), id, first };
  } catch {
    return undefined;
  }
};

/** docker's rule, which leaves no room for paths. */
export const isName = (text: string): boolean => /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(text);

/** Throws {@link UsageError} for what docker would not take either. */
export const checkName = (text: string): string => {
  if (isName(text) && text.length <= 200) return text;
  throw new UsageError(`invalid container name (${text}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`);
};

/** The one that `word` names: by its name, or by the beginning of its id. Throws {@link UsageError} for none and for several. */
export const findRunning = (all: readonly Running[], word: string): Running => {
  const named = all.find(({ name }) => name === word);
  if (named) return named;
  const found = word === "" ? [] : all.filter(({ id }) => id.startsWith(word));
  if (found.length === 1) return found[0]!;
  throw found.length
    ? new UsageError(`'${word}' is the beginning of ${found.length} containers' ids`, "nsk ps -a lists them")
    : new UsageError(`no such container: ${word}`, "nsk ps -a lists those that run");
};
