// What npm runs before it packs. Below dist/npm it makes the API and the program of the sources, because Bun runs no
// macro of a package's, and the declarations.

import { chmodSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./setup.ts";
import { declarations } from "./types.ts";

const place = join(root, "dist/npm");

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(place, path)), { recursive: true });
  writeFileSync(join(place, path), text);
};

rmSync(place, { recursive: true, force: true });
for (const [path, text] of Object.entries(declarations())) write(path, text);
const { success, logs } = await Bun.build({
  entrypoints: [join(root, "src/index.ts"), join(root, "src/main.ts")],
  outdir: place,
  target: "bun",
  format: "esm",
  splitting: true,
  packages: "external",
});
if (!success) throw new AggregateError(logs, "the package cannot be built");
write("nsk.js", '#!/usr/bin/env bun\nimport "./main.js";\n');
chmodSync(join(place, "nsk.js"), 0o755);
