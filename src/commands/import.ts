// nsk import: images out of files. What docker has `load` and `import` for is one command here, because the file says
// which it is.

import { UsageError } from "../abi/errors.ts";
import { parseChanges } from "../images/changes.ts";
import { type Imported, importImage, importRoot, powersOf } from "../images/import.ts";
import { openLocal } from "../images/local.ts";
import {
  fullName,
  parseReference,
  type Reference,
  referenceOr,
  withDefaultTag,
} from "../images/reference.ts";
import { openStore } from "../images/store.ts";
import { command } from "./command.ts";
import { platformOf, tellLeftOut } from "../run/fetch.ts";
import { registryOptions } from "./registry-options.ts";
import { print } from "./output.ts";
import { openProgress } from "./progress.ts";

export const importCommand = command({
  definition: {
    meta: {
      name: "import",
      description:
        "Make images of a file: what 'docker save' wrote, an OCI layout (a directory or its tar), or the tar of a root " +
        "file system; plain, gzip or zstd. The names or ids are printed.",
    },
    args: {
      change: {
        type: "string",
        alias: "c",
        multiple: true,
        valueHint: "instruction",
        description: "for the tar of a root: CMD, ENTRYPOINT, ENV, USER or WORKDIR as in a Dockerfile",
      },
      message: {
        type: "string",
        alias: "m",
        valueHint: "text",
        description: "for the tar of a root: a comment",
      },
      platform: registryOptions.platform,
      quiet: { type: "boolean", alias: "q", description: "no progress, also on a terminal" },
      json: { type: "boolean", description: "say what was made as JSON, for programs" },
    },
  },
  usage: "[options] <file>|<directory>|- [<name>[:<tag>]]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const [path, given, more] = operands;
    if (path === undefined || more !== undefined)
      throw new UsageError("one file, and at most one name behind it", `try '${name} --help'`);
    const wanted = given === undefined ? undefined : withDefaultTag(parseReference(given));
    if (wanted?.digest !== undefined) throw new UsageError(`'${given}': a digest is nobody's choice`);
    const config = parseChanges(options.change);
    const platform = platformOf(options.platform, host);
    if (host.euid !== 0) (await import("../run/with-owners.ts")).becomeWithOwners(name, host);
    const store = openStore(host);
    const { root, images = [] } = await openLocal(store, path, host, platform);
    if (wanted && images.length > 1)
      throw new UsageError(
        `${path} has ${images.length} images: one name is not enough`,
        "leave the name out",
      );
    if (options.change.length && root === undefined)
      throw new UsageError(`--change is for the tar of a root, and ${path} has a config of its own`);
    const progress = openProgress(host, options.quiet);
    const powers = powersOf(host);
    const made: { name: string | null; id: string; digest: string }[] = [];
    const add = (full: string | undefined, image: Imported): void => {
      tellLeftOut(name, image);
      made.push({ name: full ?? null, id: image.id, digest: image.manifest.digest });
    };
    try {
      if (root !== undefined) {
        const full = wanted && fullName(wanted);
        const said = { platform, config, message: options.message ?? `Imported from ${path}` };
        add(full, await importRoot(store, root, full, powers, said, progress.report));
      }
      for (const { source, names } of images) {
        const all = (wanted ? [wanted] : names.flatMap(asName)).map(fullName);
        for (const full of all.length ? all : [undefined])
          add(full, await importImage(store, source, full, powers, progress.report));
      }
    } finally {
      progress.finish();
    }
    if (options.json) print(`${JSON.stringify(made, null, 2)}\n`);
    else print(made.map(({ name, id }) => `${name ?? id}\n`).join(""));
    return 0;
  },
});

/** A layout may call an image by a tag alone, which names nothing here. */
const asName = (text: string): Reference[] => {
  const reference = /[/:]/.test(text) ? referenceOr(text) : undefined;
  return reference ? [withDefaultTag(reference)] : [];
};
