// The documents whose commands are run in guests, and how: each chapter is one script there.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../setup.ts";
import type { Guest } from "../vm/guest.ts";
import { type Chapter, parseDocument, type Version } from "./document.ts";

/** The commands of a document. In README.md blocks that nobody runs are allowed, and other commands' tests look at them. */
export const DOCUMENTS = ["docs/tutorial.md", "README.md"] as const;

export interface Numbered extends Chapter {
  readonly document: (typeof DOCUMENTS)[number];
  /** Where the guest finds it. */
  readonly file: string;
}

/** All chapters with something to run. */
export const chapters = (): readonly Numbered[] =>
  DOCUMENTS.flatMap((document) =>
    parseDocument(readFileSync(join(root, document), "utf8"))
      .filter(({ blocks }) => blocks.some(({ kind }) => kind === "commands"))
      .map((chapter, i) => ({
        ...chapter,
        document,
        file: `/opt/tutorial/${document.replace("/", "-")}.${i}.json`,
      })),
  );

/** What a guest needs for chapters, besides its own. */
export const filesFor = (list: readonly Numbered[]): NonNullable<Guest["files"]> => ({
  "/opt/tutorial/document.ts": { from: join(import.meta.dir, "document.ts") },
  "/opt/tutorial/terminal.ts": { from: join(import.meta.dir, "terminal.ts") },
  ...Object.fromEntries(list.map((chapter) => [chapter.file, JSON.stringify(chapter)])),
});

/** Lines for a guest's shell that type a chapter, and print what `terminal.ts` does. */
export const linesFor = ({ file }: Numbered, version: Version): string =>
  `nsk script /opt/tutorial/terminal.ts ${file} ${version}`;

/** The picture at the beginning of README.md, and the chapter that it shows. */
export const RECORDING = "docs/tour.svg";
export const recorded = (): Chapter => {
  const tour = chapters().find(
    ({ document, title }) => document === "README.md" && title === "A tour in a minute",
  );
  if (!tour) throw new Error("README.md has no tour");
  return tour;
};
