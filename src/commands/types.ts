// nsk types DIR: the declarations of the API, where an editor looks for those of `import … from "nsk"`.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { writeWhole } from "../backends/file.ts";
import { perform } from "../backends/perform.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { ensureDirectory } from "../plan/steps.ts";
import { command } from "./command.ts";
import { print } from "./output.ts";

declare const NSK_VERSION: string | undefined;
/** Texts by their paths as JSON, deflated, in base64: the build puts them in. */
declare const NSK_TYPES: string | undefined;

export const types = command({
  definition: {
    meta: {
      name: "types",
      description:
        "Write the API's types for an editor. They go to node_modules/nsk below the directory, which is where editors look; running a script needs none of it.",
    },
    args: { dir: { type: "positional", description: "where the scripts are; . unless given" } },
  },
  usage: "[options] [<dir>]",
  permute: true,
  failure: 1,
  run: ({ operands, host, name }) => {
    const [dir = ".", more] = operands;
    if (more !== undefined) throw new UsageError(`one directory, and no '${more}' behind it`);
    if (typeof NSK_TYPES === "undefined") throw new HostError("only the built program has the types in it");
    if (host.kind(dir) !== "directory")
      throw new StepError(`write to ${dir}`, errno(host.kind(dir) ? "ENOTDIR" : "ENOENT"));
    const texts = JSON.parse(
      new TextDecoder().decode(Bun.gunzipSync(Uint8Array.fromBase64(NSK_TYPES))),
    ) as Readonly<Record<string, string>>;
    const place = `${dir.replace(/\/+$/, "")}/node_modules/nsk`;
    refuseForeign(place, host);
    perform(planDirectories(name, place, Object.keys(texts)));
    for (const [path, text] of Object.entries(texts)) writeWhole(`${place}/${path}`, text, 0o644);
    // Last: with it the package is there.
    writeWhole(`${place}/package.json`, manifest, 0o644);
    print(`${place}\n`);
    return 0;
  },
});

const MARK = "types for scripts of nsk, written by nsk types";

const manifest = `${JSON.stringify(
  {
    name: "nsk",
    version: typeof NSK_VERSION === "undefined" ? "0.0.0" : NSK_VERSION,
    description: MARK,
    private: true,
    type: "module",
    types: "./index.d.ts",
    exports: { ".": { types: "./index.d.ts" } },
  },
  null,
  2,
)}\n`;

/** The npm package, say, which has types of its own. */
const refuseForeign = (place: string, host: Host): void => {
  if (host.kind(place) === undefined) return;
  if (host.read(`${place}/package.json`)?.includes(MARK)) return;
  throw new HostError(
    `${place} is there, and was not made by nsk types`,
    "the npm package has its own types",
  );
};

const planDirectories = (name: string, place: string, paths: readonly string[]): Plan => {
  const directories = new Set([place.slice(0, place.lastIndexOf("/")), place]);
  for (const path of paths) {
    const names = path.split("/").slice(0, -1);
    names.forEach((_, i) => directories.add(`${place}/${names.slice(0, i + 1).join("/")}`));
  }
  return { name, failure: 1, steps: [...directories].map((path) => ensureDirectory(path, 0o755)) };
};
