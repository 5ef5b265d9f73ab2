// nsk rmi: images out of the store, and what only they needed.

import { UsageError } from "../abi/errors.ts";
import { removeImage } from "../images/images.ts";
import { openStore } from "../images/store.ts";
import { command } from "./command.ts";
import { forEach } from "./each.ts";
import { print, printJson } from "./output.ts";

export const rmi = command({
  definition: {
    meta: {
      name: "rmi",
      description:
        "Remove images by name or id. Layers that another image needs, or a running container, stay.",
    },
    args: {
      force: { type: "boolean", alias: "f", description: "by id also where the image has several names" },
      json: { type: "boolean", description: "say what was removed as JSON, for programs" },
    },
  },
  usage: "[options] <image>...",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    if (operands.length === 0) throw new UsageError("no image given", `try '${name} --help'`);
    if (host.euid !== 0) (await import("../run/with-owners.ts")).becomeWithOwners(name, host);
    const store = openStore(host);
    const [untagged, deleted]: [string[], string[]] = [[], []];
    const remove = (image: string): void => {
      const removed = removeImage(store, image, options.force);
      untagged.push(...removed.untagged);
      deleted.push(...removed.deleted);
      if (options.json) return;
      print(removed.untagged.map((it) => `Untagged: ${it}\n`).join(""));
      print(removed.deleted.map((it) => `Deleted: ${it}\n`).join(""));
    };
    try {
      forEach(operands, name, remove);
    } finally {
      if (options.json) printJson({ untagged, deleted });
    }
    return 0;
  },
});
