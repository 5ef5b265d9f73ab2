// nsk pull: an image out of a registry into the store, with docker's words.

import { UsageError } from "../abi/errors.ts";
import { familiarName, fullName, parseReference, withDefaultTag } from "../images/reference.ts";
import { writeAll } from "../sys/linux.ts";
import { command } from "./command.ts";
import { fetchImage, tellLeftOut } from "../run/fetch.ts";
import { openProgress } from "./progress.ts";
import { registryOptions } from "./registry-options.ts";
import { print } from "./output.ts";

export const pull = command({
  definition: {
    meta: {
      name: "pull",
      description: "Get an image from a registry. Its full name is printed when all of it is there.",
    },
    args: {
      quiet: { type: "boolean", alias: "q", description: "no progress, also on a terminal" },
      ...registryOptions,
    },
  },
  usage: "[options] <name>[:<tag>|@<digest>]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const [text, more] = operands;
    if (text === undefined || more !== undefined)
      throw new UsageError("one image's name is needed", `try '${name} --help'`);
    const reference = withDefaultTag(parseReference(text.replace(/^docker:\/\//, "")));
    if (host.euid !== 0) (await import("../run/with-owners.ts")).becomeWithOwners(name, host);
    const isTalking = !options.quiet && host.isTerminal(2);
    const image = await fetchImage(
      reference,
      { ...options, progress: openProgress(host, options.quiet) },
      host,
    );
    tellLeftOut(name, image);
    if (isTalking) {
      const status = image.wasThere ? "Image is up to date for" : "Downloaded newer image for";
      writeAll(2, `Digest: ${image.manifest.digest}\nStatus: ${status} ${familiarName(reference)}\n`);
    }
    print(`${fullName(reference)}\n`);
    return 0;
  },
});
