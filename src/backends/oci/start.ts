// Lets a created container's program run.

import { HostError, StepError } from "../../abi/errors.ts";
import { O } from "../../abi/flags.ts";
import { START } from "../../containers/oci/container.ts";
import { type State, stateForHooks } from "../../containers/oci/state.ts";
import type { Host } from "../../host/host.ts";
import { address, close, open, remove, syscall } from "../../sys/linux.ts";
import { tryHooks } from "./hooks.ts";
import { directoryOf, locked, needState, statusOf } from "./store.ts";

/** Of two at once one wins. `warn` is told which hooks failed: by then the program runs. */
export const startContainer = async (
  root: string,
  id: string,
  host: Host,
  warn: (text: string) => void,
): Promise<State> => {
  needState(root, id, host);
  const state = locked(root, id, () => {
    const found = needState(root, id, host);
    const status = statusOf(root, found, host);
    if (status === "stopped") throw new HostError("cannot start a container that has stopped");
    if (status !== "created") throw new HostError("cannot start an already running container");
    const path = `${directoryOf(root, id)}/${START}`;
    // Without a reader at its other end the container has ended.
    const fifo = open(path, O.O_WRONLY | O.O_NONBLOCK | O.O_CLOEXEC);
    if (fifo < 0) throw new HostError("cannot start a container that has stopped");
    const byte = Uint8Array.of(0x2e);
    // First it is no created one any more, so that nobody else starts it.
    remove(path);
    const written = syscall("write", fifo, address(byte), 1);
    close(fifo);
    if (written < 0) throw new StepError("start the container", -written);
    return found;
  });
  await tryHooks("poststart", state.hooks, stateForHooks(state, "running"), warn);
  return state;
};
