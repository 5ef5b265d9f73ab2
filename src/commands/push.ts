// nsk push: an image of the store into a registry.

import { HostError, UsageError } from "../abi/errors.ts";
import { openClient } from "../images/client.ts";
import { findImages, listImages, repositoriesWith } from "../images/images.ts";
import { pushImage } from "../images/push.ts";
import { familiarName, parseReference, repositoryOf, withDefaultTag } from "../images/reference.ts";
import { openStore } from "../images/store.ts";
import { writeAll } from "../sys/linux.ts";
import { command } from "./command.ts";
import { clientOptions } from "../run/fetch.ts";
import { registryOptions } from "./registry-options.ts";
import { print } from "./output.ts";
import { openProgress } from "./progress.ts";

export const push = command({
  definition: {
    meta: {
      name: "push",
      description:
        "Put an image into a registry: under its own name, or under the one behind it. Its full name by digest is printed.",
    },
    args: {
      quiet: { type: "boolean", alias: "q", description: "no progress, also on a terminal" },
      tlsVerify: registryOptions.tlsVerify,
    },
  },
  usage: "[options] <image> [<name>[:<tag>]]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const [text, given, more] = operands;
    if (text === undefined || more !== undefined)
      throw new UsageError("one image, and at most one name behind it", `try '${name} --help'`);
    const store = openStore(host);
    const images = listImages(store.root);
    const [image] = findImages(images, text);
    if (!image) throw new HostError(`no such image: ${text}`);
    const named = given?.replace(/^docker:\/\//, "") ?? image.name;
    if (named === undefined)
      throw new UsageError(`${text} has no name to be pushed under`, `nsk push ${text} HOST/NAME:TAG`);
    const reference = withDefaultTag(parseReference(named));
    if (reference.digest !== undefined)
      throw new UsageError(`'${named}': a digest is nobody's choice`, "a name with a tag");
    const client = openClient(reference, "pull,push", clientOptions(options.tlsVerify, reference, host));
    const progress = openProgress(host, options.quiet);
    const sources = repositoriesWith(images, reference.domain);
    const { digest, size } = await pushImage(
      store,
      image,
      client,
      reference.tag!,
      sources,
      progress.report,
    ).finally(progress.finish);
    if (!options.quiet && host.isTerminal(2))
      writeAll(2, `${familiarName(reference)}: digest: ${digest} size: ${size}\n`);
    print(`${repositoryOf(reference)}@${digest}\n`);
    return 0;
  },
});
