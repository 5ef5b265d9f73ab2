import { expect, test } from "bun:test";
import { Glob } from "bun";
import { differences } from "./differences.ts";

test("every difference that is claimed is shown by a test", async () => {
  let sources = "";
  for await (const file of new Glob("**/*.ts").scan(import.meta.dir))
    sources += await Bun.file(`${import.meta.dir}/${file}`).text();
  expect(Object.keys(differences).filter((key) => !sources.includes(`difference("${key}")`))).toEqual([]);
});
