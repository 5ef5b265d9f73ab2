// nsk oci create.

import { UsageError } from "../../abi/errors.ts";
import { create as createContainer } from "../../backends/oci/create.ts";
import { command } from "../command.ts";
import { createOptions, readBundle } from "./bundle.ts";
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
    const bundle = await readBundle(idFrom(operands), options, root, host);
    const { terminal } = bundle.config.process;
    const { consoleSocket, pidFile } = options;
    if (terminal && consoleSocket === undefined)
      throw new UsageError("cannot allocate tty if nsk will detach without setting console socket");
    if (!terminal && consoleSocket !== undefined)
      throw new UsageError("cannot use console socket if nsk will not detach or allocate tty");
    await createContainer({ root, bundle, name, owner: ownerName(host), consoleSocket, pidFile }, host);
    return 0;
  }),
});
