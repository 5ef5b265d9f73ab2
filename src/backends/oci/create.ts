// Makes a bundle's container: a launcher that puts it together, hooks of the runtime in between, and its state. When
// anything fails nothing is left; afterwards nothing of nsk runs.

import { HostError } from "../../abi/errors.ts";
import { type Bundle, CREATED, CREATING } from "../../containers/oci/container.ts";
import { planCreate } from "../../containers/oci/plan.ts";
import { type State, stateForHooks } from "../../containers/oci/state.ts";
import { parseStat } from "../../containers/recognise.ts";
import type { Host } from "../../host/host.ts";
import type { Plan } from "../../plan/plan.ts";
import { close } from "../../sys/linux.ts";
import { connectTo, sendDescriptor } from "./console-socket.ts";
import { runHooks } from "./hooks.ts";
import { launch, readByte, readWord, takeDescriptor, tell } from "./launch.ts";
import { destroy } from "./destroy.ts";
import {
  claim,
  directoryOf,
  loadState,
  makeFiles,
  removeState,
  replaceFile,
  saveForExec,
  saveState,
  statusOf,
  writeFile,
} from "./store.ts";

export interface CreateRequest {
  /** Where states are. */
  readonly root: string;
  readonly id: string;
  /** Reads the bundle, once its id is this container's. */
  read(): Promise<Bundle>;
  /** What errors begin with. */
  readonly name: string;
  readonly owner: string;
  readonly consoleSocket?: string | undefined;
  /** Called with the terminal's master instead of a console socket. */
  readonly takeTerminal?: ((master: number) => void) | undefined;
  readonly pidFile?: string | undefined;
}

/** The state of the container, which waits for its start. Throws for what failed, with nothing left. */
export const create = async (request: CreateRequest, host: Host): Promise<State> => {
  const { root, id } = request;
  // First of all: what somebody else has under this id, or has left, is not planned around.
  const held = await take(root, id, host);
  let bundle: Bundle;
  let plan: Plan;
  let socket: number | undefined;
  try {
    bundle = await request.read();
    refuseUsedGroups(bundle, host);
    plan = planCreate(request.name, bundle, host);
    // Before anything is made: nobody would hear of the terminal.
    if (request.consoleSocket !== undefined) socket = connectTo(request.consoleSocket);
  } catch (error) {
    removeState(root, id);
    close(held);
    throw error;
  }
  try {
    return await make(request, bundle, plan, held, socket, host);
  } finally {
    if (socket !== undefined) close(socket);
  }
};

const make = async (
  request: CreateRequest,
  bundle: Bundle,
  plan: Plan,
  held: number,
  socket: number | undefined,
  host: Host,
): Promise<State> => {
  const { root, id } = request;
  const { config } = bundle;
  const self = parseStat(host.read("/proc/self/stat") ?? "");
  let state: State = {
    id,
    bundle: bundle.bundle,
    rootfs: config.root.path,
    created: new Date().toISOString(),
    owner: request.owner,
    annotations: config.annotations ?? {},
    creator: self,
    groups: bundle.limits.groups,
    hooks: config.hooks ?? {},
  };
  try {
    try {
      saveState(root, state);
    } finally {
      close(held);
    }
    makeFiles(directoryOf(root, id));
    saveForExec(directoryOf(root, id), bundle);
    const started = launch(plan, bundle.preserved);
    try {
      const { channel } = started;
      const pid = Number(readWord(channel) ?? (await started.fail()));
      const first = parseStat(host.read(`/proc/${pid}/stat`) ?? "");
      if (!first) return await started.fail();
      state = { ...state, first };
      saveState(root, state);
      const directory = directoryOf(root, id);
      writeFile(`${directory}/${CREATING}`, stateForHooks(state, "creating"));
      writeFile(`${directory}/${CREATED}`, stateForHooks(state, "created"));
      await started.exited;
      tell(channel);
      if (config.process.terminal) {
        const number = readWord(channel) ?? (await started.fail());
        const master = takeDescriptor(pid, Number(number));
        if (socket !== undefined) sendDescriptor(socket, master, "/dev/ptmx");
        if (request.takeTerminal) request.takeTerminal(master);
        else close(master);
        tell(channel);
      }
      const hooks = config.hooks ?? {};
      if (hooks.prestart ?? hooks.createRuntime ?? hooks.createContainer) {
        if (!readByte(channel)) await started.fail();
        const text = stateForHooks(state, "creating");
        await runHooks("prestart", hooks, text);
        await runHooks("createRuntime", hooks, text);
        tell(channel);
      }
      if (!readByte(channel)) await started.fail();
    } finally {
      started.dispose();
    }
    const { creator: _, ...made } = state;
    if (request.pidFile !== undefined) replaceFile(request.pidFile, String(made.first!.pid), 0o644);
    saveState(root, made);
    return made;
  } catch (error) {
    await destroy(root, state, host);
    throw error;
  }
};

/** Takes the id, and away what a creator has left that was killed. */
const take = async (root: string, id: string, host: Host): Promise<number> => {
  for (;;) {
    const held = claim(root, id);
    const left = loadState(root, id, host);
    // Without a state its creator was killed at once, and nothing is in it; a broken one is somebody's.
    if (!left && host.kind(`${directoryOf(root, id)}/state.json`) === undefined) return held;
    try {
      if (!left?.creator || statusOf(root, left, host) !== "stopped")
        throw new HostError("container with given ID already exists");
      await destroy(root, left, host);
    } finally {
      close(held);
    }
  }
};

/** Its end would be theirs. */
const refuseUsedGroups = ({ limits }: Bundle, host: Host): void => {
  for (const group of limits.groups)
    if ((host.read(`${group}/cgroup.procs`) ?? "").trim() !== "")
      throw new HostError(
        `the control group ${group} has processes in it`,
        "a container needs groups of its own",
      );
};
