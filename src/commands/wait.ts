// nsk wait: until containers have ended, and how they did.

import { HostError } from "../abi/errors.ts";
import { command } from "./command.ts";
import { named, tellOutOfMemory, watchEnd } from "./containers.ts";
import { print } from "./output.ts";

export const wait = command({
  definition: {
    meta: { name: "wait", description: "Wait until containers have ended, and print their exit statuses." },
    args: {},
  },
  usage: "<container>...",
  failure: 1,
  run: ({ operands, host, name }) => {
    const all = named(operands, host).map(([it, word]) => [watchEnd(it, host), it, word] as const);
    for (const [awaitEnd, it, word] of all) {
      const end = awaitEnd();
      if (!end)
        throw new HostError(
          `nobody knows how ${word} ended`,
          "the nsk that waited for it was killed as well",
        );
      print(`${end.status}\n`);
      tellOutOfMemory(it, end, `${name}: ${word}`);
    }
    return 0;
  },
});
