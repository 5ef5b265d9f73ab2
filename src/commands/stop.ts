// nsk stop and nsk kill: an end for containers, asked for or not.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { parseSignal, SIG } from "../abi/flags.ts";
import { awaitEnd, awaitSupervisor, holdRecord, signalContainer } from "../backends/containers.ts";
import { wholeNumber } from "../containers/docker-limits.ts";
import { command } from "./command.ts";
import { forRunning } from "./containers.ts";

/** docker's. */
const SECONDS = 10;

const signalOption = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const signal = parseSignal(text);
  if (signal === undefined) throw new UsageError(`invalid signal: ${text}`);
  return signal;
};

export const stop = command({
  definition: {
    meta: {
      name: "stop",
      description: "Ask containers to end, by name or the beginning of the id, and kill those that do not.",
    },
    args: {
      signal: {
        type: "string",
        alias: "s",
        valueHint: "signal",
        description: "what asks it (SIGTERM, or as run said)",
      },
      timeout: {
        type: "string",
        alias: ["t", "time"] as string[],
        valueHint: "seconds",
        description: "how long it has (10, or as run said; -1: for ever)",
      },
    },
  },
  usage: "[options] <container>...",
  permute: true,
  failure: 1,
  run: ({ options, operands, host, name }) => {
    const signal = signalOption(options.signal);
    const seconds = wholeNumber("--timeout", options.timeout, -1);
    forRunning(
      operands,
      host,
      name,
      (it, process) => {
        const record = it.detached ? holdRecord(it.id, host) : undefined;
        signalContainer(process, signal ?? it.stopSignal ?? SIG.SIGTERM);
        const patience = seconds ?? it.stopTimeout ?? SECONDS;
        if (!awaitEnd(process, patience < 0 ? -1 : 1000 * patience)) {
          signalContainer(process, SIG.SIGKILL);
          if (!awaitEnd(process, 1000 * SECONDS)) throw new StepError(`stop ${it.id}`, 62); // ETIME
        }
        // So that who stops it finds it stopped.
        if (record !== undefined) awaitSupervisor(record);
      },
      () => {}, // as docker: what was asked for is the case
    );
    return 0;
  },
});

export const kill = command({
  definition: {
    meta: { name: "kill", description: "Send containers a signal, by name or the beginning of the id." },
    args: {
      signal: { type: "string", alias: "s", valueHint: "signal", description: "by name or number (SIGKILL)" },
    },
  },
  usage: "[options] <container>...",
  permute: true,
  failure: 1,
  run: ({ options, operands, host, name }) => {
    const signal = signalOption(options.signal) ?? SIG.SIGKILL;
    forRunning(
      operands,
      host,
      name,
      (_, process) => signalContainer(process, signal),
      ({ id }) => {
        throw new HostError(`cannot kill container ${id}: it is not running`);
      },
    );
    return 0;
  },
});
