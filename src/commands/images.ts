// nsk images: what is in the store, in docker's columns.

import { UsageError } from "../abi/errors.ts";
import { columnsOf, type Image, listImages } from "../images/images.ts";
import { platformText } from "../images/platform.ts";
import { familiarRepository, parseReference } from "../images/reference.ts";
import { storePath } from "../host/store-path.ts";
import { command } from "./command.ts";
import { columns, humanAge, humanSize } from "./human.ts";
import { print } from "./output.ts";

export const images = command({
  definition: {
    meta: { name: "images", description: "List the images in the store, the newest first." },
    args: {
      quiet: { type: "boolean", alias: "q", description: "ids only" },
      noTrunc: { type: "boolean", description: "whole ids" },
      digests: { type: "boolean", description: "the manifests' digests too" },
      json: { type: "boolean", description: "as JSON, for programs" },
    },
  },
  usage: "[options] [<repository>[:<tag>]]",
  permute: true,
  failure: 1,
  run: ({ options, operands, host }) => {
    const [filter, more] = operands;
    if (more !== undefined) throw new UsageError(`one repository, and no '${more}' behind it`);
    const found = listImages(storePath(host)).filter(
      (image) => filter === undefined || matches(image, filter),
    );
    if (options.json) print(`${JSON.stringify(found.map(record), null, 2)}\n`);
    else if (options.quiet)
      print([...new Set(found.map(({ id }) => `${options.noTrunc ? id : shortId(id)}\n`))].join(""));
    else print(imageTable(found, Date.now() / 1000, options));
    return 0;
  },
});

const matches = ({ name }: Image, filter: string): boolean => {
  if (name === undefined) return false;
  const [reference, wanted] = [parseReference(name), parseReference(filter)];
  if (familiarRepository(reference) !== familiarRepository(wanted)) return false;
  return wanted.tag === undefined || wanted.tag === reference.tag;
};

export const shortId = (id: string): string => id.slice(id.indexOf(":") + 1).slice(0, 12);

/** Docker's list; `now` in seconds. */
export const imageTable = (
  found: readonly Image[],
  now: number,
  { noTrunc, digests }: { readonly noTrunc: boolean; readonly digests: boolean },
): string => {
  const head = ["REPOSITORY", "TAG", ...(digests ? ["DIGEST"] : []), "IMAGE ID", "CREATED", "SIZE"];
  const rows = found.map((image) => {
    const { repository, tag } = columnsOf(image.name);
    const id = noTrunc ? image.id : shortId(image.id);
    return [
      repository,
      tag,
      ...(digests ? [image.digest] : []),
      id,
      created(image, now),
      humanSize(image.size),
    ];
  });
  return columns([head, ...rows]);
};

const created = ({ config }: Image, now: number): string => {
  const seconds = Date.parse(config.created ?? "") / 1000;
  // Reproducible builds date their images to the epoch's begin, and docker shows no age for one without a date.
  return Number.isFinite(seconds) ? humanAge(Math.max(0, now - seconds)) : "N/A";
};

const record = (image: Image): Record<string, unknown> => ({
  ...columnsOf(image.name),
  name: image.name ?? null,
  id: image.id,
  digest: image.digest,
  created: image.config.created ?? null,
  size: image.size,
  platform: platformText(image.config.platform),
});
