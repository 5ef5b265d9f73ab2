// `bun run tutorial`: types the commands of docs/tutorial.md and README.md on fresh machines, with cgroup v2 and v1, and
// writes what they print into the documents where it is not what stands there. Nothing of it is ever typed by hand.
//
//     bun run tutorial                  all chapters
//     bun run tutorial -- Memory CPU    those with one of these words in their titles

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installDependencies, root, run } from "./setup.ts";
import { blocksFor, type Difference, differences, rewrite, type Version } from "./tutorial/document.ts";
import {
  chapters,
  DOCUMENTS,
  filesFor,
  linesFor,
  type Numbered,
  RECORDING,
  recorded,
} from "./tutorial/guest.ts";
import { recordingOf } from "./tutorial/recording.ts";
import { boot } from "./vm/guest.ts";

/** What a machine prints that is not what the chapters show. */
const changesOn = async (
  version: Version,
  list: readonly Numbered[],
): Promise<ReadonlyMap<Numbered, readonly Difference[]>> => {
  const scripts = list.map((chapter) => ({
    title: chapter.file,
    lines: linesFor(chapter, version),
    limit: 150,
  }));
  const outcomes = await boot(
    {
      cgroups: version,
      cpus: 2,
      prepare: "echo 0 >/sys/devices/system/cpu/cpu1/online",
      files: filesFor(list),
    },
    scripts,
  );
  const found = new Map<Numbered, readonly Difference[]>();
  for (const chapter of list) {
    const outcome = outcomes.get(chapter.file);
    if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error("was not run");
    if (outcome.status !== 0) {
      console.error(`${version}: ${chapter.title}: ${outcome.stderr}`);
      process.exitCode = 1;
      continue;
    }
    found.set(chapter, differences(blocksFor(chapter, version), JSON.parse(outcome.stdout)));
  }
  return found;
};

const main = async (words: readonly string[]): Promise<void> => {
  installDependencies();
  if (run([process.execPath, "scripts/build.ts"]) !== 0) throw new Error("the build failed");
  // What both print is written as version 2 has it; where version 1 then differs, the document has to say so.
  for (const version of ["v2", "v1"] as const) {
    const wanted = chapters().filter(
      (chapter) =>
        (words.length === 0 || words.some((word) => chapter.title.includes(word))) &&
        blocksFor(chapter, version).some(({ kind }) => kind === "commands"),
    );
    const changes =
      wanted.length > 0 ? await changesOn(version, wanted) : new Map<Numbered, readonly Difference[]>();
    for (const document of DOCUMENTS) {
      const found = [...changes]
        .filter(([chapter]) => chapter.document === document)
        .flatMap(([, list]) => list);
      for (const { command, printed } of found)
        console.log(
          `${document}:${command.from}: ${version}: ${command.typed[0]}\n${printed.map((line) => `    ${line}\n`).join("")}`,
        );
      const file = join(root, document);
      const isOwn = ({ command }: Difference): boolean =>
        version === "v2" ||
        wanted.some(({ blocks }) =>
          blocks.some(
            (block) => block.kind === "commands" && block.only === "v1" && block.commands.includes(command),
          ),
        );
      if (found.some((it) => !isOwn(it))) process.exitCode = 1;
      writeFileSync(file, rewrite(readFileSync(file, "utf8"), found.filter(isOwn)));
    }
  }
  writeFileSync(join(root, RECORDING), recordingOf(recorded()));
};

try {
  process.chdir(root);
  await main(process.argv.slice(2));
} catch (error) {
  console.error(`tutorial: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
