// nsk oci kill.

import { HostError, UsageError } from "../../abi/errors.ts";
import { parseSignal, SIG } from "../../abi/flags.ts";
import { holdFirst, sendSignal, signalAll } from "../../backends/oci/destroy.ts";
import { needState, statusOf } from "../../backends/oci/store.ts";
import { close } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { idFrom, logged } from "./global.ts";

export const kill = command({
  definition: {
    meta: {
      name: "oci kill",
      description: "Send a container's first process a signal (SIGTERM unless given).",
    },
    args: {
      all: { type: "boolean", alias: "a", description: "send it to all processes of the container" },
    },
  },
  usage: "[options] <container-id> [<signal>]",
  permute: true,
  failure: 1,
  run: logged(({ options, operands, host, root }) => {
    const found = needState(root, idFrom(operands, 2), host);
    const word = operands[1];
    const signal = word === undefined ? SIG.SIGTERM : parseSignal(word);
    if (signal === undefined) throw new UsageError(`unknown signal ${JSON.stringify(word)}`);
    if (options.all) {
      signalAll(found, signal, host);
      return 0;
    }
    const process = statusOf(root, found, host) === "stopped" ? undefined : holdFirst(found, host);
    if (process === undefined) throw new HostError("container not running");
    sendSignal(process, signal);
    close(process);
    return 0;
  }),
});
