// nsk oci start.

import { startContainer } from "../../backends/oci/start.ts";
import { writeAll } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { idFrom, logged } from "./global.ts";

export const start = command({
  definition: {
    meta: { name: "oci start", description: "Let a created container's program run." },
    args: {},
  },
  usage: "<container-id>",
  failure: 1,
  run: logged(async ({ operands, host, name, root }) => {
    await startContainer(root, idFrom(operands), host, (text) => writeAll(2, `${name}: ${text}\n`));
    return 0;
  }),
});
