// nsk oci run: create and start, and in the foreground also wait and delete.

import { create } from "../../backends/oci/create.ts";
import { destroy } from "../../backends/oci/destroy.ts";
import { startContainer } from "../../backends/oci/start.ts";
import { setSubreaper, waitInForeground } from "../../backends/oci/foreground.ts";
import type { Bundle } from "../../containers/oci/container.ts";
import { writeAll } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { checkTerminal, createOptions, readBundle } from "./bundle.ts";
import { idFrom, logged } from "./global.ts";
import { ownerName } from "./owner.ts";

export const run = command({
  definition: {
    meta: { name: "oci run", description: "Make a container from a bundle and run its program." },
    args: {
      ...createOptions,
      detach: { type: "boolean", alias: "d", description: "go when the program runs" },
      keep: { type: "boolean", description: "do not delete the container when the program has ended" },
      noSubreaper: { type: "boolean", description: "accepted for runc's sake: only the foreground waits" },
    },
  },
  usage: "[options] <container-id>",
  failure: 1,
  run: logged(async ({ options, operands, host, name, root }) => {
    const id = idFrom(operands);
    const { detach, consoleSocket, pidFile } = options;
    const warn = (text: string): void => void writeAll(2, `${name}: ${text}\n`);
    if (!detach) setSubreaper(true);
    let master: number | undefined;
    const read = async (): Promise<Bundle> => {
      const bundle = await readBundle(id, options, root, host);
      checkTerminal(bundle, consoleSocket, detach);
      return bundle;
    };
    const takeTerminal = detach ? undefined : (fd: number): void => void (master = fd);
    const owner = ownerName(host);
    const made = await create({ root, id, read, name, owner, consoleSocket, pidFile, takeTerminal }, host);
    try {
      await startContainer(root, made.id, host, warn);
    } catch (error) {
      await destroy(root, made, host);
      throw error;
    }
    if (detach) return 0;
    setSubreaper(false);
    const cleanup = options.keep ? undefined : ["oci", "--root", root, "delete", "--force", made.id];
    return waitInForeground(name, made, master, cleanup, host);
  }),
});
