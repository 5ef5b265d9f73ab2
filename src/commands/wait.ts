// nsk wait: until containers have ended, and how they did.

import { HostError } from "../abi/errors.ts";
import { findContainerIfThere, noSuchContainer } from "../containers/record.ts";
import { command } from "./command.ts";
import { knownBy, settled, tellOutOfMemory, watchEnd } from "./containers.ts";
import { forEach } from "./each.ts";
import { print } from "./output.ts";

export const wait = command({
  definition: {
    meta: { name: "wait", description: "Wait until containers have ended, and print their exit statuses." },
    args: {},
  },
  usage: "<container>...",
  failure: 1,
  run: ({ operands, host, name }) => {
    const all = knownBy(operands, host);
    // Held before the first is waited for, so that none ends unseen.
    const held = operands.map((word) => {
      const found = findContainerIfThere(all, word);
      const it = found && settled(found, host);
      return { word, it, awaitEnd: it && watchEnd(it, host) };
    });
    forEach(held, name, ({ word, it, awaitEnd }) => {
      if (!it) throw noSuchContainer(word);
      const end = awaitEnd!();
      if (!end)
        throw new HostError(
          `nobody knows how ${word} ended`,
          "the nsk that waited for it was killed as well",
        );
      print(`${end.status}\n`);
      tellOutOfMemory(it, end, `${name}: ${word}`);
    });
    return 0;
  },
});
