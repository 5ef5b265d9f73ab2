// nsk oci pause and resume.

import { HostError } from "../../abi/errors.ts";
import { freeze } from "../../backends/oci/destroy.ts";
import { needState, statusOf } from "../../backends/oci/store.ts";
import { command } from "../command.ts";
import { idFrom, logged } from "./global.ts";

export const pause = command({
  definition: {
    meta: { name: "oci pause", description: "Stop all processes of a container for a while." },
    args: {},
  },
  usage: "<container-id>",
  failure: 1,
  run: logged(({ operands, host, root }) => {
    const found = needState(root, idFrom(operands), host);
    const status = statusOf(root, found, host);
    if (status !== "running" && status !== "created") throw new HostError("container not running or created");
    freeze(found, "freeze", host);
    return 0;
  }),
});

export const resume = command({
  definition: { meta: { name: "oci resume", description: "Let a paused container go on." }, args: {} },
  usage: "<container-id>",
  failure: 1,
  run: logged(({ operands, host, root }) => {
    const found = needState(root, idFrom(operands), host);
    if (statusOf(root, found, host) !== "paused") throw new HostError("container not paused");
    freeze(found, "thaw", host);
    return 0;
  }),
});
