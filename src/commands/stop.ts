// nsk stop and nsk kill: an end for containers, asked for or not.

import { StepError, UsageError } from "../abi/errors.ts";
import { parseSignal, SIG } from "../abi/flags.ts";
import { awaitEnd, holdContainer, runningContainers, signalContainer } from "../backends/containers.ts";
import { wholeNumber } from "../containers/docker-limits.ts";
import { findRunning, type Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { close } from "../sys/linux.ts";
import { command } from "./command.ts";
import { print } from "./output.ts";

/** docker's. */
const SECONDS = 10;

const signalOption = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined;
  const signal = parseSignal(text);
  if (signal === undefined) throw new UsageError(`invalid signal: ${text}`);
  return signal;
};

/** All are looked up before anything happens to one of them. */
const forEach = (
  operands: readonly string[],
  host: Host,
  what: (it: Running, process: number) => void,
): number => {
  if (operands.length === 0) throw new UsageError("no container given", "nsk ps -a lists them");
  const all = runningContainers(host);
  for (const [it, word] of operands.map((word) => [findRunning(all, word), word] as const)) {
    const process = holdContainer(it, host);
    if (process !== undefined) {
      what(it, process);
      close(process);
    }
    print(`${word}\n`);
  }
  return 0;
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
  run: ({ options, operands, host }) => {
    const signal = signalOption(options.signal);
    const seconds = wholeNumber("--timeout", options.timeout, -1);
    return forEach(operands, host, (it, process) => {
      signalContainer(process, signal ?? it.stopSignal ?? SIG.SIGTERM);
      const patience = seconds ?? it.stopTimeout ?? SECONDS;
      if (awaitEnd(process, patience < 0 ? -1 : 1000 * patience)) return;
      signalContainer(process, SIG.SIGKILL);
      if (!awaitEnd(process, 1000 * SECONDS)) throw new StepError(`stop ${it.id}`, 62); // ETIME
    });
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
  run: ({ options, operands, host }) => {
    const signal = signalOption(options.signal) ?? SIG.SIGKILL;
    return forEach(operands, host, (_, process) => signalContainer(process, signal));
  },
});
