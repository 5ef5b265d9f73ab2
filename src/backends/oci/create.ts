// Makes a bundle's container: a launcher that puts it together, hooks of the runtime in between, and its state. When
// anything fails nothing is left; afterwards nothing of nsk runs.

import { cString, decode } from "../../abi/bytes.ts";
import { errno } from "../../abi/errno.ts";
import { HostError, StepError } from "../../abi/errors.ts";
import { FD, MFD, NET } from "../../abi/flags.ts";
import { type Bundle, CREATED, CREATING } from "../../containers/oci/container.ts";
import { planCreate } from "../../containers/oci/plan.ts";
import { type State, stateForHooks } from "../../containers/oci/state.ts";
import { parseStat } from "../../containers/recognise.ts";
import type { Host } from "../../host/host.ts";
import type { Plan } from "../../plan/plan.ts";
import { address, close, readAll, syscall } from "../../sys/linux.ts";
import { spawn } from "../spawn.ts";
import { connectTo, sendDescriptor } from "./console.ts";
import { runHooks } from "./hooks.ts";
import { destroy } from "./destroy.ts";
import {
  claim,
  directoryOf,
  loadState,
  makeFiles,
  replaceFile,
  saveState,
  statusOf,
  writeFile,
} from "./store.ts";

export interface CreateRequest {
  /** Where states are. */
  readonly root: string;
  readonly bundle: Bundle;
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
  const { root, bundle, name } = request;
  const { config, id } = bundle;
  refuseUsedGroups(bundle, host);
  const plan = planCreate(name, bundle, host);
  // Before anything is made: nobody would hear of the terminal.
  const socket = request.consoleSocket === undefined ? undefined : connectTo(request.consoleSocket);
  if (!claim(root, id) && !(await reclaim(root, id, host)))
    throw new HostError("container with given ID already exists");
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
    saveState(root, state);
    makeFiles(directoryOf(root, id));
    const started = start(plan, bundle);
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
  } finally {
    if (socket !== undefined) close(socket);
  }
};

/** What a creator has left that was killed. */
const reclaim = async (root: string, id: string, host: Host): Promise<boolean> => {
  const left = loadState(root, id, host);
  if (!left?.creator || statusOf(root, left, host) !== "stopped") return false;
  await destroy(root, left, host);
  return claim(root, id);
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

interface Started {
  /** The socket to the container's first process. */
  readonly channel: number;
  /** The launcher's end. */
  readonly exited: Promise<unknown>;
  /** Throws what the container's processes have said before they ended. */
  fail(): Promise<never>;
  dispose(): void;
}

/** Descriptors of ours are above those that are handed over under other numbers. */
const ABOVE = 300;

const moved = (fd: number, title: string): number => {
  if (fd < 0) throw new StepError(title, -fd);
  const result = syscall("fcntl", fd, FD.F_DUPFD_CLOEXEC, ABOVE);
  if (result < 0) throw new StepError(title, -result);
  return result;
};

const start = (plan: Plan, bundle: Bundle): Started => {
  const pair = new Int32Array(2);
  const made = syscall("socketpair", NET.AF_UNIX, NET.SOCK_STREAM | NET.SOCK_CLOEXEC, 0, address(pair));
  if (made < 0) throw new StepError("socketpair", -made);
  const channel = pair[0]!;
  const theirs = moved(pair[1]!, "socketpair");
  close(pair[1]!);
  const name = cString("nsk");
  const memory = syscall("memfd_create", address(name), MFD.MFD_CLOEXEC);
  const errors = moved(memory, "memfd_create");
  close(memory);
  const ownErrors = moved(2, "use standard error");
  const preserved = Array.from({ length: bundle.preserved }, (_, i) =>
    moved(3 + i, `preserve descriptor ${3 + i}`),
  );
  let launcher: ReturnType<typeof spawn>;
  try {
    launcher = spawn(plan, { stderr: errors, descriptors: [...preserved, theirs, ownErrors] });
  } finally {
    for (const fd of [theirs, ownErrors, ...preserved]) close(fd);
  }
  return {
    channel,
    exited: launcher.exited,
    fail: async () => {
      await launcher.exited;
      throw failureFrom(saidIn(errors), plan.name);
    },
    dispose: () => {
      close(channel);
      close(errors);
    },
  };
};

const saidIn = (memory: number): string => {
  syscall("lseek", memory, 0, 0);
  const bytes = readAll(memory);
  return typeof bytes === "number" ? "" : decode(bytes).trim();
};

/** The launcher's own words as an error: its line, and the hint behind it. */
const failureFrom = (text: string, name: string): HostError => {
  const lines = text.split("\n").filter(Boolean);
  const prefix = `${name}: `;
  const hint = lines.at(-1)?.startsWith("hint: ") ? lines.pop()!.slice("hint: ".length) : undefined;
  // A hook's failure is told by the hint, behind what the hook itself has said.
  if (hint?.startsWith("error running "))
    return new HostError(lines.length ? `${hint}: ${lines.join("; ")}` : hint);
  const line = lines.findLast((it) => it.startsWith(prefix))?.slice(prefix.length);
  const program = /^find (.*) failed: (.*)$/s.exec(line ?? "");
  if (program) return notFound(program[1]!, program[2]!);
  return new HostError(line ?? (lines.join("; ") || "the container's first process ended"), hint);
};

/** In the words that engines look for. */
const notFound = (program: string, why: string): HostError => {
  const quoted = JSON.stringify(program);
  if (why === "No such file or directory")
    return new HostError(
      program.includes("/")
        ? `exec: ${quoted}: stat ${program}: no such file or directory`
        : `exec: ${quoted}: executable file not found in $PATH`,
    );
  return new HostError(`exec: ${quoted}: ${why === "Permission denied" ? "permission denied" : why}`);
};

const read = (fd: number, bytes: Uint8Array): boolean => {
  for (let done = 0; done < bytes.length;) {
    const count = syscall("read", fd, address(bytes) + done, bytes.length - done);
    if (count === -errno("EINTR")) continue;
    if (count <= 0) return false;
    done += count;
  }
  return true;
};

const readWord = (fd: number): bigint | undefined => {
  const word = new BigInt64Array(1);
  return read(fd, new Uint8Array(word.buffer)) ? word[0] : undefined;
};

const readByte = (fd: number): boolean => read(fd, new Uint8Array(1));

const tell = (fd: number): void => {
  const byte = Uint8Array.of(0x2e);
  // Who is not there any more is found out by the next read.
  syscall("write", fd, address(byte), 1);
};

const takeDescriptor = (pid: number, number: number): number => {
  const process = syscall("pidfd_open", pid, 0);
  if (process < 0) throw new StepError("take the terminal", -process);
  const fd = syscall("pidfd_getfd", process, number, 0);
  close(process);
  if (fd < 0) throw new StepError("take the terminal", -fd);
  return fd;
};
