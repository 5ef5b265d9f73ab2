// nsk oci run: create and start, and in the foreground also wait and delete.

import { UsageError } from "../../abi/errors.ts";
import { create } from "../../backends/oci/create.ts";
import { destroy } from "../../backends/oci/destroy.ts";
import { startContainer } from "../../backends/oci/start.ts";
import { setSubreaper, waitInForeground } from "../../backends/oci/foreground.ts";
import { writeAll } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { createOptions, readBundle } from "./bundle.ts";
import { idFrom, logged } from "./global.ts";
import { ownerName } from "./owner.ts";

export const run = command({
  definition: {
    meta: { name: "run", description: "Make a container from a bundle and run its program." },
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
    const bundle = await readBundle(idFrom(operands), options, root, host);
    const { terminal } = bundle.config.process;
    const { detach, consoleSocket, pidFile } = options;
    if (terminal && detach && consoleSocket === undefined)
      throw new UsageError("cannot allocate tty if nsk will detach without setting console socket");
    if (consoleSocket !== undefined && !(terminal && detach))
      throw new UsageError("cannot use console socket if nsk will not detach or allocate tty");
    const warn = (text: string): void => void writeAll(2, `${name}: ${text}\n`);
    if (!detach) setSubreaper(true);
    let master: number | undefined;
    const takeTerminal = terminal && !detach ? (fd: number): void => void (master = fd) : undefined;
    const made = await create(
      { root, bundle, name, owner: ownerName(host), consoleSocket, pidFile, takeTerminal },
      host,
    );
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
