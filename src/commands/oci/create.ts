// nsk oci create.

import { create as createContainer } from "../../backends/oci/create.ts";
import type { Bundle } from "../../containers/oci/container.ts";
import { command } from "../command.ts";
import { checkTerminal, createOptions, readBundle } from "./bundle.ts";
import { idFrom, logged } from "./global.ts";
import { ownerName } from "./owner.ts";

export const create = command({
  definition: {
    meta: { name: "create", description: "Make a container from a bundle. Its program waits for start." },
    args: createOptions,
  },
  usage: "[options] <container-id>",
  failure: 1,
  run: logged(async ({ options, operands, host, name, root }) => {
    const id = idFrom(operands);
    const { consoleSocket, pidFile } = options;
    const read = async (): Promise<Bundle> => {
      const bundle = await readBundle(id, options, root, host);
      checkTerminal(bundle, consoleSocket, true);
      return bundle;
    };
    await createContainer({ root, id, read, name, owner: ownerName(host), consoleSocket, pidFile }, host);
    return 0;
  }),
});
