// nsk rm: forgets containers that have ended.

import { HostError } from "../abi/errors.ts";
import { removeContainer } from "../backends/leftovers.ts";
import { keptPath } from "../containers/kept-files.ts";
import { statePath } from "../containers/state-path.ts";
import { command } from "./command.ts";
import { killAndWait, named, tidy } from "./containers.ts";
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
  run: ({ options, operands, host }) => {
    tidy(host);
    const all = named(operands, host);
    const running = all.find(([{ state }]) => state === "running");
    if (running && !options.force)
      throw new HostError(
        `cannot remove container ${running[1]}: it is running`,
        `nsk stop ${running[1]}, or nsk rm -f ${running[1]}`,
      );
    for (const [it, word] of all) {
      if (it.state === "running") killAndWait(it, host);
      // The others have removed themselves.
      if (it.detached && !it.autoRemove) removeContainer(it, keptPath(host), statePath(host));
      print(`${word}\n`);
    }
    return 0;
  },
});
