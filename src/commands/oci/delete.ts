// nsk oci delete.

import { HostError } from "../../abi/errors.ts";
import { destroy } from "../../backends/oci/destroy.ts";
import { tryHooks } from "../../backends/oci/hooks.ts";
import { directoryOf, loadState, needState, removeState, statusOf } from "../../backends/oci/store.ts";
import { stateForHooks } from "../../containers/oci/state.ts";
import { writeAll } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { idFrom, logged } from "./global.ts";

export const deleteCommand = command({
  definition: {
    meta: { name: "oci delete", description: "Remove a container that has stopped, or was never started." },
    args: { force: { type: "boolean", alias: "f", description: "end it first when it runs" } },
  },
  usage: "[options] <container-id>",
  permute: true,
  failure: 1,
  run: logged(async ({ options, operands, host, name, root }) => {
    const id = idFrom(operands);
    if (options.force && !loadState(root, id, host)) {
      // What a kill left before there was a state.
      if (host.kind(directoryOf(root, id)) !== undefined) removeState(root, id);
      return 0;
    }
    const found = needState(root, id, host);
    const status = statusOf(root, found, host);
    if (!options.force && status !== "stopped" && status !== "created")
      throw new HostError(`cannot delete container ${id} that is not stopped: ${status}`);
    await destroy(root, found, host);
    await tryHooks("poststop", found.hooks, stateForHooks(found, "stopped"), (text) =>
      writeAll(2, `${name}: ${text}\n`),
    );
    return 0;
  }),
});
