// The declarations of the API, made by the TypeScript compiler of what src/index.ts leads to: for `nsk types`, and for
// the npm package.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, normalize } from "node:path";
import { root } from "./setup.ts";

/** Texts by their paths: `index.d.ts`, and the files that it imports. Throws what the compiler says of an error. */
export const declarations = (): Record<string, string> => {
  const scratch = mkdtempSync(join(tmpdir(), "nsk-types-"));
  try {
    const project = join(scratch, "tsconfig.json");
    const made = join(scratch, "made");
    writeFileSync(
      project,
      JSON.stringify({
        extends: join(root, "tsconfig.json"),
        files: [join(root, "src/index.ts")],
        include: [],
        compilerOptions: {
          rootDir: join(root, "src"),
          outDir: made,
          noEmit: false,
          declaration: true,
          emitDeclarationOnly: true,
          typeRoots: [join(root, "node_modules/@types")],
        },
      }),
    );
    const { exitCode, stdout } = Bun.spawnSync([join(root, "node_modules/.bin/tsc"), "-p", project], {
      stdin: "ignore",
      stderr: "inherit",
    });
    if (exitCode !== 0) throw new Error(`the declarations cannot be made\n${stdout}`);
    return closure((path) => readFileSync(join(made, path), "utf8"), "index.d.ts");
  } finally {
    rmSync(scratch, { recursive: true });
  }
};

/** A file and what it imports, with the names of files that declare in the place of those that do. */
const closure = (read: (path: string) => string, entry: string): Record<string, string> => {
  const found: Record<string, string> = {};
  const visit = (path: string): void => {
    if (path in found) return;
    const text = read(path);
    found[path] = text.replace(/(\bfrom |\bimport\()"(\.[^"]*)\.ts"/g, '$1"$2.js"');
    for (const [, to] of text.matchAll(/(?:\bfrom |\bimport\()"(\.[^"]*)\.ts"/g))
      visit(normalize(join(dirname(path), `${to}.d.ts`)));
  };
  visit(entry);
  return found;
};
