// run -it at a terminal: a container in the background, whose terminal is carried here from its start.

import { cString, decode } from "../abi/bytes.ts";
import { HostError } from "../abi/errors.ts";
import { AT_FDCWD, SIG } from "../abi/flags.ts";
import { knownContainers } from "../backends/containers.ts";
import { removeKept } from "../backends/leftovers.ts";
import { spawn } from "../backends/spawn.ts";
import { findKeptPath, KEPT, keptPath } from "../containers/kept-files.ts";
import { parseFrames } from "../containers/log.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { callerState } from "../sys/caller.ts";
import { address, readFile, syscall, writeAll } from "../sys/linux.ts";
import { planAttachTo } from "./attach-plan.ts";
import { carryOut } from "./carry-out.ts";
import { killAndWait, tellOutOfMemory, watchEnd } from "./containers.ts";

/** Whether there is a place for what has to be kept of a container that somebody may leave. */
export const mayKeep = (host: Host): boolean => {
  let path = findKeptPath(host);
  if (path === undefined) return false;
  while (path !== "" && host.kind(path) === undefined) path = path.slice(0, path.lastIndexOf("/"));
  const name = cString(path || "/");
  return syscall("faccessat", AT_FDCWD, address(name), W_OK) === 0;
};

const W_OK = 2;

/** What ends this process, and is to end the container that it is starting. */
const ENDING = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Ending = (typeof ENDING)[number];

/** Starts what `plan` is of, and shows what it has printed before this process had its terminal. */
export const runAttached = async (
  plan: Plan,
  keys: readonly number[],
  host: Host,
  name: string,
): Promise<number> => {
  let by: Ending | undefined;
  const note = (signal: Ending): void => void (by = signal);
  const { ignored } = callerState();
  const heard = ENDING.filter((signal) => !ignored.includes(SIG[signal]));
  for (const signal of heard) process.on(signal, note);
  const child = spawn(plan, { stdin: "ignore", stdout: "pipe" });
  const said = await new Response(child.stdout).bytes();
  const { status, signal } = await child.exited;
  for (const signal of heard) process.off(signal, note);
  if (status !== 0) return status ?? 128 + (signal ?? 0);
  const id = decode(said).trim();
  const directory = `${keptPath(host)}/${id}`;
  const it = knownContainers(host).find((known) => known.id === id);
  if (by) {
    if (it?.state === "running") killAndWait(it, host);
    removeKept(directory);
    process.kill(process.pid, by);
  }
  let attach: Plan | undefined;
  if (it?.state === "running") {
    try {
      attach = planAttachTo(it, { name, input: true, keys, endsIt: true, asks: true }, host);
    } catch (error) {
      if (knownContainers(host).some((known) => known.id === id && known.state === "running")) throw error;
    }
  }
  const shown = host.isTerminal(1) ? withoutReturns : (bytes: Uint8Array) => bytes;
  for (const { bytes } of parseFrames(readFile(`${directory}/${KEPT.log}`) ?? new Uint8Array()).frames)
    writeAll(1, shown(bytes));
  if (attach) return carryOut(attach, { explain: undefined }, host);
  const end = it && watchEnd(it, host)();
  if (it?.autoRemove) removeKept(directory);
  if (it) tellOutOfMemory(it, end, name);
  if (!end) throw new HostError(`nobody knows how ${id} ended`, "its supervisor was killed");
  return end.status;
};

/** The caller's terminal, not yet in raw mode, puts one before each newline itself, as the container's has done. */
const withoutReturns = (bytes: Uint8Array): Uint8Array =>
  bytes.filter((byte, i) => !(byte === 13 && bytes[i + 1] === 10));
