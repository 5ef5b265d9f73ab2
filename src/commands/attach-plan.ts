// From a container to the plan of attaching to it, for attach and for run.

import { HostError } from "../abi/errors.ts";
import { askForTerminal, terminalOf } from "../backends/attach.ts";
import { planAttach } from "../containers/attach.ts";
import { keptPath } from "../containers/kept-files.ts";
import type { Running } from "../containers/record.ts";
import { statePath } from "../containers/state-path.ts";
import type { Host } from "../host/host.ts";
import type { Plan } from "../plan/plan.ts";
import { outOfMemory } from "./containers.ts";

export interface Attaching {
  readonly name: string;
  readonly input: boolean;
  readonly keys: readonly number[];
  /** Whether the container ends with this process's terminal. */
  readonly endsIt: boolean;
  /** Whether this process has the terminal from now on; not for a plan that is only shown. */
  readonly asks: boolean;
}

/** Throws {@link HostError} for a container that nobody can attach to now. */
export const planAttachTo = (
  it: Running,
  { name, input, keys, endsIt, asks }: Attaching,
  host: Host,
): Plan => {
  const { id, first } = it;
  if (!it.config.process.terminal)
    throw new HostError(`${id} has no terminal`, `nsk logs -f ${id} shows what it prints`);
  if (!it.detached)
    throw new HostError(
      `the terminal of ${id} is carried by the nsk that waits for it`,
      "run -it at a terminal, or run -dit, is for this",
    );
  const terminal = terminalOf(it, host);
  if (asks && !askForTerminal(terminal.supervisor, host))
    throw new HostError(
      `somebody else is attached to ${id}`,
      "its terminal is carried to one place at a time",
    );
  return planAttach(name, {
    ...terminal,
    first: first.pid,
    directory: `${keptPath(host)}/${id}`,
    removes: it.autoRemove,
    record: `${statePath(host)}/${id}`,
    input,
    keys,
    endsIt,
    outOfMemory: outOfMemory(it),
  });
};
