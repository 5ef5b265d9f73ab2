// The steps that make and remove what is kept of a container that nobody waits for.

import { O } from "../abi/flags.ts";
import { type CallStep, slot } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Container } from "./container.ts";
import { KEPT } from "./kept-files.ts";
import { directories, parentOf } from "./mounts.ts";
import { detailsText } from "./record.ts";

/** Longer than any line that tells of an end. */
const END_LENGTH = 80;

export const log = slot("log");
export const end = slot("end");

/** Makes the directory and opens what the supervisor writes to. */
export const keep = ({ background, details }: Container): CallStep[] => {
  if (!background) return [];
  const { directory } = background;
  const [above, store] = [parentOf(directory), parentOf(parentOf(directory))];
  const file = slot("details");
  const create = O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC;
  const path = (name: string): string => `${directory}/${name}`;
  const opened = (name: string, how: number, result: ReturnType<typeof slot>): CallStep =>
    steps.open(path(name), how, result, { mode: 0o600, undo: steps.unlink(path(name)) });
  return [
    ...directories(store),
    steps.ensureDirectory(above, 0o700),
    steps.mkdir(directory, 0o700, {
      reason: "what stays known of it when it has ended: nsk rm removes it",
      undo: steps.rmdir(directory),
    }),
    opened(KEPT.details, create, file),
    steps.write(file, detailsText(details), `write ${path(KEPT.details)}`),
    steps.close(file),
    opened(KEPT.log, create | O.O_APPEND, log),
    opened(KEPT.end, create, end),
    steps.write(end, " ".repeat(END_LENGTH), `write ${path(KEPT.end)}`, {
      reason: "room for how it will end, whatever becomes of the disk",
    }),
    steps.rewind(end),
  ];
};

/** Removes the directory with all that is in it. */
export const forget = (directory: string): CallStep[] => [
  ...Object.values(KEPT).map((name) => steps.unlink(`${directory}/${name}`)),
  steps.rmdir(directory),
];
