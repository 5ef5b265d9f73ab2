// nsk rm: forgets containers that have ended.

import { HostError } from "../abi/errors.ts";
import { removeContainer } from "../backends/leftovers.ts";
import { keptPath } from "../containers/kept-files.ts";
import { statePath } from "../containers/state-path.ts";
import { command } from "./command.ts";
import { noSuchContainer } from "../containers/record.ts";
import { forNamed, killAndWait, tidy } from "./containers.ts";
import { tell } from "./each.ts";
import { print } from "./output.ts";

export const rm = command({
  definition: {
    meta: {
      name: "rm",
      description: "Remove containers that have ended: the log, the exit status, the name.",
    },
    args: {
      force: { type: "boolean", alias: "f", description: "kill those that run" },
      volumes: {
        type: "boolean",
        alias: "v",
        description: "accepted for docker's sake: there are no volumes",
      },
    },
  },
  usage: "[options] <container>...",
  permute: true,
  failure: 1,
  truths: true,
  run: ({ options, operands, host, name }) => {
    tidy(host);
    forNamed(
      operands,
      host,
      name,
      (it, word) => {
        if (it.state === "running" && !options.force)
          throw new HostError(
            `cannot remove container ${word}: it is running`,
            `nsk stop ${word}, or nsk rm -f ${word}`,
          );
        if (it.state === "running") killAndWait(it, host);
        // The others have removed themselves.
        if (it.detached && !it.autoRemove) removeContainer(it, keptPath(host), statePath(host));
        print(`${word}\n`);
      },
      // docker: what was asked for is the case
      options.force ? (word) => tell(noSuchContainer(word), name) : undefined,
    );
    return 0;
  },
});
