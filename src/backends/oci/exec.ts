// Starts a process in a container and leaves it to whoever called.

import type { ExecRequest } from "../../containers/oci/exec.ts";
import { planExec } from "../../containers/oci/exec.ts";
import type { Host } from "../../host/host.ts";
import { close } from "../../sys/linux.ts";
import { connectTo, sendDescriptor } from "./console-socket.ts";
import { launch, readByte, readWord, takeDescriptor, tell } from "./launch.ts";
import { replaceFile } from "./store.ts";

/** Its process id, once it is about to become the program. */
export const execDetached = async (
  name: string,
  request: ExecRequest,
  options: { readonly consoleSocket?: string | undefined; readonly pidFile?: string | undefined },
  host: Host,
): Promise<number> => {
  const plan = planExec(name, request, host);
  const socket = options.consoleSocket === undefined ? undefined : connectTo(options.consoleSocket);
  const started = launch(plan, request.bundle.preserved);
  const { channel } = started;
  try {
    if (request.bundle.config.process.terminal) {
      const number = readWord(channel) ?? (await started.fail());
      const master = takeDescriptor(started.pid, Number(number));
      if (socket !== undefined) sendDescriptor(socket, master, "/dev/ptmx");
      close(master);
      tell(channel);
    }
    const pid = Number(readWord(channel) ?? (await started.fail()));
    await started.exited;
    // Written before the program runs: who reads it may wait for nothing else.
    if (options.pidFile !== undefined) replaceFile(options.pidFile, String(pid), 0o644);
    tell(channel);
    if (!readByte(channel)) await started.fail();
    return pid;
  } finally {
    started.dispose();
    if (socket !== undefined) close(socket);
  }
};
