// Coming to terms with the supervisor of a container in the background over its terminal.

import { errno } from "../abi/errno.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { type FirstProcess, parseStat } from "../containers/recognise.ts";
import type { Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { ATTACH } from "../plan/plan.ts";
import { close, syscall } from "../sys/linux.ts";
import { isSupervised } from "./containers.ts";

/** The supervisor of a container, and which descriptor of it is the master side of the container's terminal. */
export const terminalOf = (
  { id, first }: Running,
  host: Host,
): { readonly supervisor: FirstProcess; readonly master: number } => {
  // Without it the first process is the child of whoever takes in orphans, and that is not to be sent ATTACH.
  if (!isSupervised(id, host))
    throw new HostError(`nobody looks after container ${id} any more`, "nsk ps -a cleans up after it");
  const parent = Number(/\) \S (\d+) /.exec(host.read(`/proc/${first.pid}/stat`) ?? "")?.[1]);
  const supervisor = parseStat(host.read(`/proc/${parent}/stat`) ?? "");
  const master = (host.list(`/proc/${parent}/fd`) ?? []).find((fd) =>
    /ptmx$/.test(host.link(`/proc/${parent}/fd/${fd}`) ?? ""),
  );
  if (!supervisor || master === undefined) throw new HostError(`container ${id} has just ended`);
  return { supervisor, master: Number(master) };
};

/** Whether this process has the terminal from now on, for as long as it lives. */
export const askForTerminal = ({ pid, started }: FirstProcess, host: Host): boolean => {
  const process = syscall("pidfd_open", pid, 0);
  if (process < 0) throw new StepError("find the supervisor", -process);
  try {
    if (parseStat(host.read(`/proc/${pid}/stat`) ?? "")?.started !== started) return false;
    const result = syscall("pidfd_send_signal", process, ATTACH, 0, 0);
    if (result < 0 && result !== -errno("ESRCH")) throw new StepError("ask for the terminal", -result);
    // It holds who has the terminal by a pidfd.
    const own = `Pid:\t${syscall("getpid")}\n`;
    for (let i = 0; i < LOOKS; i++) {
      for (const fd of host.list(`/proc/${pid}/fdinfo`) ?? [])
        if (host.read(`/proc/${pid}/fdinfo/${fd}`)?.includes(own)) return true;
      Bun.sleepSync(EVERY);
    }
    return false;
  } finally {
    close(process);
  }
};

/** Milliseconds between two looks, and how many there are. */
const EVERY = 5;
const LOOKS = 100;
