// The containers that run, and signals to them.

import { errno } from "../abi/errno.ts";
import { StepError } from "../abi/errors.ts";
import { POLL } from "../abi/flags.ts";
import { ownStatePath } from "../containers/state-path.ts";
import { parseStat } from "../containers/recognise.ts";
import { parseRunning, type Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { address, close, syscall } from "../sys/linux.ts";

/** Those whose first process is there, oldest first. */
export const runningContainers = (host: Host): Running[] => {
  const all: Running[] = [];
  const state = ownStatePath(host);
  if (state === undefined) return all;
  for (const id of host.list(state) ?? []) {
    if (!/^[0-9a-f]{12}$/.test(id)) continue;
    const found = parseRunning(id, host.read(`${state}/${id}`) ?? "");
    if (found && isThere(found, host)) all.push(found);
  }
  return all.toSorted((one, other) => Number(one.first.started) - Number(other.first.started));
};

/** The recorded process, and not another that has got its number. */
const isThere = ({ first }: Running, host: Host): boolean =>
  parseStat(host.read(`/proc/${first.pid}/stat`) ?? "")?.started === first.started;

/** A hold on a container's first process, for {@link signalContainer}; undefined when it has ended. */
export const holdContainer = (container: Running, host: Host): number | undefined => {
  const process = syscall("pidfd_open", container.first.pid, 0);
  if (process === -errno("ESRCH")) return undefined;
  if (process < 0) throw new StepError(`find process ${container.first.pid}`, -process);
  // From here on the number cannot become another process unseen.
  if (isThere(container, host)) return process;
  close(process);
  return undefined;
};

/** Throws {@link StepError} when that is not allowed; one that has ended is no failure. */
export const signalContainer = (process: number, signal: number): void => {
  const result = syscall("pidfd_send_signal", process, signal, 0, 0);
  if (result < 0 && result !== -errno("ESRCH")) throw new StepError("send the signal", -result);
};

/** Whether it ends within so many milliseconds; -1 waits for ever. */
export const awaitEnd = (process: number, milliseconds: number): boolean => {
  const poll = Int32Array.of(process, POLL.POLLIN); // struct pollfd
  const time = BigInt64Array.of(
    BigInt(Math.floor(milliseconds / 1000)),
    BigInt(milliseconds % 1000) * 1_000_000n,
  );
  return syscall("ppoll", address(poll), 1, milliseconds < 0 ? 0 : address(time), 0, 0) === 1;
};
