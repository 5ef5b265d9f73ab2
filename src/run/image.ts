// Which root `run` is asked for: this machine's, a directory, or an image, and then which one. Docker's habit is that
// the first operand is an image; nsk's is that it is a program of this machine. Both hold, by the rule below.

import { UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { findImage, type Image, namedImage, readInLayers, usable, type Usable } from "../images/images.ts";
import { storePath } from "../host/store-path.ts";
import { referenceOr } from "../images/reference.ts";
import { programCandidates } from "../plan/program.ts";
import type { Progress } from "./fetch.ts";
import { bareName, isFile, isOnlyImage } from "./image-words.ts";

/**
 * Whether the first operand of `run` is an image: what is written as only an image can be (`docker://…`, `name:tag`,
 * `name@digest`, `oci:…`, `docker-archive:…`), what the store has by that name, and what is no program of this machine.
 * `has` tells whether the store has it.
 */
export const isImageOperand = (word: string, host: Host, has: (word: string) => boolean): boolean => {
  if (isOnlyImage(word)) return true;
  if (isFile(word) || referenceOr(word) === undefined) return false;
  if (has(word)) return true;
  if (programCandidates(word, host.env("PATH")).some((path) => host.kind(path) === "file")) return false;
  return true;
};

export interface Choice {
  readonly image: Usable;
  /** What is behind the image's name. */
  readonly operands: readonly string[];
}

export interface ImageOptions {
  readonly image?: string | undefined;
  readonly rootfs?: string | undefined;
  /** `always`, `missing` or `never`. */
  readonly pull?: string | undefined;
  readonly platform?: string | undefined;
  /** Nothing is to be done, so nothing may be pulled. */
  readonly explain: boolean;
  /** Somebody who is shown how far a pull has come. */
  readonly progress?: (() => Promise<Progress>) | undefined;
}

/** The image that a command line asks for, pulled where that is due; undefined where it asks for none. */
export const chooseImage = async (
  options: ImageOptions,
  operands: readonly string[],
  dashed: boolean,
  host: Host,
  name: string,
): Promise<Choice | undefined> => {
  const { image, rootfs } = options;
  const [first, ...rest] = operands;
  const ofImages = (["pull", "platform"] as const).find((key) => options[key] !== undefined);
  if (image !== undefined) {
    if (rootfs !== undefined) throw new UsageError("--image and --rootfs are two roots for one container");
    return { image: await getImage(image, options, host, name), operands };
  }
  if (ofImages && (rootfs !== undefined || dashed))
    throw new UsageError(`--${ofImages} is for images, and none is named`);
  if (rootfs !== undefined || dashed || first === undefined) return undefined;
  // Who says how to get an image means one.
  let there: Image | undefined;
  const has = (word: string): boolean => (there = namedImage(storePath(host), word)) !== undefined;
  if (!ofImages && !isImageOperand(first, host, has)) return undefined;
  const root = storePath(host);
  return {
    image: there ? usable(root, there) : await getImage(first, options, host, name),
    operands: rest,
  };
};

/** What is here already takes no more than the store; all else has a file of its own, which loads what pulls. */
const getImage = async (text: string, options: ImageOptions, host: Host, name: string): Promise<Usable> => {
  if (options.pull === undefined && options.platform === undefined && !isFile(text)) {
    const root = storePath(host);
    const there = findImage(root, bareName(text));
    if (there) return usable(root, there);
  }
  return (await import("./obtain.ts")).obtainImage(text, options, host, name);
};

/** What an image decides about a container, unless its user does. As docker's. */
export const applyImage = <
  T extends { env: readonly string[]; workdir?: string | undefined; user?: string | undefined },
>(
  flags: T,
  { run }: Usable,
  operands: readonly string[],
): { flags: T; args: readonly string[] } => {
  const args = [...run.entrypoint, ...(operands.length ? operands : run.cmd)];
  if (args.length === 0) throw new UsageError("no program given, and the image names none");
  return {
    args,
    flags: {
      ...flags,
      env: [...run.env, ...flags.env],
      workdir: flags.workdir ?? (run.workingDir || undefined),
      user: flags.user ?? (run.user || undefined),
    },
  };
};

/** A host on which the files of an image's root, for the planner at the path of its uppermost layer, are the merged ones. */
export const imageHost = (host: Host, { layers }: Usable): Host => {
  const prefix = `${layers[0]}/`;
  const read: Host["read"] = (path) =>
    path.startsWith(prefix) ? readInLayers(layers, path.slice(prefix.length)) : host.read(path);
  return Object.create(host, { read: { value: read } }) as Host;
};
