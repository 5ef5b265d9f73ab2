// The shape of the source tree: imports point down only, what is to be pure is pure, and what a start of nsk loads.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const src = join(import.meta.dir, "../src");
const files = [...new Bun.Glob("**/*.ts").scanSync(src)].sort();
const source = (file: string): string => readFileSync(join(src, file), "utf8");

/** From the top to the bottom; a file may import from its own layer's directory and from every layer below. */
const layers: readonly (readonly string[])[] = [
  ["main.ts"],
  ["cli"],
  ["commands"],
  ["index.ts"],
  ["api"],
  ["run"],
  ["backends"],
  ["containers", "images"],
  ["cgroups", "namespaces"],
  ["plan"],
  ["host"],
  ["sys"],
  ["abi"],
];

interface Import {
  readonly from: string;
  /** A path inside src, or a package's name. */
  readonly to: string;
  readonly lazy: boolean;
  readonly typeOnly: boolean;
}

/** Comments are cut away first: they may name anything. */
const code = (file: string): string => source(file).replace(/\/\*[\s\S]*?\*\/|(?<![:"'`\w])\/\/.*$/gm, "");

const imports = (file: string): Import[] => {
  const found: Import[] = [];
  const add = (specifier: string, lazy: boolean, typeOnly: boolean): void => {
    const to = specifier.startsWith(".") ? relative(src, join(src, dirname(file), specifier)) : specifier;
    found.push({ from: file, to, lazy, typeOnly });
  };
  for (const [, type, specifier] of code(file).matchAll(
    /^(?:import|export)\b(\s+type\b)?(?:[^;"']*?\bfrom)?\s*["']([^"']+)["']/gm,
  ))
    add(specifier!, false, Boolean(type));
  for (const [, specifier] of code(file).matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g))
    add(specifier!, true, false);
  return found;
};

/** Texts that travel with the program are no code, and no layer's. */
const isText = ({ to }: Import): boolean => to.endsWith(".txt") || to === "../LICENSE";

const all = files.flatMap(imports).filter((it) => !isText(it));
const arrow = ({ from, to }: Import): string => `${from} -> ${to}`;
const isPackage = ({ to }: Import): boolean => !files.includes(to);
const layerOf = (file: string): string => file.split("/")[0]!;
const rank = (layer: string): number => layers.findIndex((names) => names.includes(layer));

test("every import that the runtime sees is seen here", () => {
  const transpiler = new Bun.Transpiler({ loader: "ts" });
  const seen = new Set(files.flatMap(imports).map(arrow));
  for (const file of files)
    for (const { path } of transpiler.scanImports(source(file))) {
      const to = path.startsWith(".") ? relative(src, join(src, dirname(file), path)) : path;
      expect(seen).toContain(`${file} -> ${to}`);
    }
});

test("every file belongs to a layer", () => {
  expect(files.filter((file) => rank(layerOf(file)) < 0)).toEqual([]);
});

test("every import leads to a file of src or to a package", () => {
  expect(all.filter((it) => isPackage(it) && it.to.includes("/")).map(arrow)).toEqual([]);
});

test("imports point down", () => {
  const up = all.filter((it) => {
    if (isPackage(it)) return false;
    const [from, to] = [layerOf(it.from), layerOf(it.to)];
    return from !== to && rank(to) <= rank(from);
  });
  expect(up.map(arrow)).toEqual([]);
});

/** Who may import which package, and how. */
const packages: Readonly<Record<string, (it: Import) => boolean>> = {
  // System calls are made in one place.
  "bun:ffi": ({ from }) => layerOf(from) === "sys",
  citty: ({ from }) => from === "commands/command.ts",
  // 7 ms at the start of a process: only where something is about to be shown at length.
  consola: ({ lazy }) => lazy,
  tar: ({ from }) => layerOf(from) === "images",
};

test("packages are imported where they belong, and nothing of node is", () => {
  expect(all.filter((it) => isPackage(it) && !packages[it.to]?.(it)).map(arrow)).toEqual([]);
});

/** Of the facts, the files that gather them. */
const impureFacts = ["host/live.ts", "host/gather.ts"];

describe("what is pure knows neither the system nor the machine it runs on", () => {
  for (const layer of ["abi", "plan", "cgroups", "namespaces", "containers"]) {
    const own = all.filter(({ from }) => layerOf(from) === layer);
    test(layer, () => {
      const impure = own.filter(
        (it) => layerOf(it.to) === "sys" || impureFacts.includes(it.to) || isPackage(it),
      );
      expect(impure.map(arrow)).toEqual([]);
      // `process` is not looked for: the OCI configuration has a part of that name.
      const globals =
        /\b(?:Bun|Deno|console|performance)\.|\b(?:Date\.now|new Date|Math\.random|fetch|setTimeout)\(/g;
      const used = files
        .filter((file) => layerOf(file) === layer)
        .flatMap((file) => [...code(file).matchAll(globals)].map(([global]) => `${file}: ${global}`));
      expect(used).toEqual([]);
    });
  }
});

describe("what a start loads", () => {
  /** The files and packages that come along with `entry` before anything is asked for. */
  const closure = (entry: string): string[] => {
    const found = new Set<string>();
    const visit = (file: string): void => {
      if (found.has(file)) return;
      found.add(file);
      for (const { to, lazy, typeOnly } of files.includes(file) ? imports(file) : [])
        if (!lazy && !typeOnly) visit(to);
    };
    visit(entry);
    return [...found];
  };

  test("no command, no help and no package but bun:ffi before the command is known", () => {
    const loaded = closure("main.ts");
    expect(loaded.filter((file) => !files.includes(file))).toEqual(["bun:ffi"]);
    expect(loaded.filter((file) => file.startsWith("commands/")).sort()).toEqual([
      "commands/mirrored.ts",
      "commands/output.ts",
    ]);
    expect(loaded).not.toContain("cli/help.ts");
  });

  test("neither consola nor tar with any command, and nothing that only --explain or --emit need", () => {
    for (const { to } of all.filter(({ from, lazy }) => from === "cli/table.ts" && lazy)) {
      const loaded = closure(to);
      const unwanted = ["consola", "tar", "backends/explain.ts", "backends/emit.ts"];
      expect([to, loaded.filter((file) => unwanted.includes(file))]).toEqual([to, []]);
    }
  });
});

describe("house rules", () => {
  const offenders = (rule: RegExp): string[] => files.filter((file) => rule.test(code(file)));

  test("no default exports", () => expect(offenders(/^export default\b|\bas default\b/m)).toEqual([]));
  test("no utils.ts", () => expect(files.filter((file) => /\butils?\.ts$/.test(file))).toEqual([]));
  test("no classes but errors", () => {
    const classes = files.flatMap((file) =>
      [...code(file).matchAll(/\bclass (\w+)(?: extends (\w+))?/g)]
        .filter(([, , parent]) => parent !== "Error")
        .map(([text]) => `${file}: ${text}`),
    );
    expect(classes).toEqual([]);
  });
  test("nothing is printed behind the back of src/sys", () => {
    // Touching process.stdout makes a pipe non-blocking for everybody who holds it.
    expect(offenders(/\bconsole\.\w|\bprocess\.std(?:in|out|err)\b/)).toEqual([]);
  });
  test("every file says first what it is for", () => {
    expect(files.filter((file) => !source(file).startsWith("// "))).toEqual([]);
  });
});
