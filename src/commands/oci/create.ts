// nsk oci create.

import { create as createContainer } from "../../backends/oci/create.ts";
import type { Bundle } from "../../containers/oci/container.ts";
import { planCreate } from "../../containers/oci/plan.ts";
import { carryOut, explainOption } from "../carry-out.ts";
import { command } from "../command.ts";
import { checkTerminal, createOptions, readBundle } from "./bundle.ts";
import { idFrom, logged } from "./global.ts";
import { ownerName } from "./owner.ts";

export const create = command({
  definition: {
    meta: { name: "oci create", description: "Make a container from a bundle. Its program waits for start." },
    args: { ...createOptions, ...explainOption },
  },
  usage: "[options] <container-id>",
  failure: 1,
  run: logged(async ({ options, operands, host, name, root }) => {
    const id = idFrom(operands);
    const { consoleSocket, pidFile } = options;
    if (options.explain !== undefined) {
      const bundle = await readBundle(id, options, root, host);
      return carryOut(planCreate(name, bundle, host), options, host);
    }
    const read = async (): Promise<Bundle> => {
      const bundle = await readBundle(id, options, root, host);
      checkTerminal(bundle, consoleSocket, true);
      return bundle;
    };
    await createContainer({ root, id, read, name, owner: ownerName(host), consoleSocket, pidFile }, host);
    return 0;
  }),
});
