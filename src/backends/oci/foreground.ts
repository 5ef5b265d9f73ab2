// `run` in the foreground: what waits is a launcher, and no nsk.

import { HostError, StepError } from "../../abi/errors.ts";
import { FD, PR } from "../../abi/flags.ts";
import { planForeground, planGuardian } from "../../containers/oci/foreground.ts";
import type { State } from "../../containers/oci/state.ts";
import type { Host } from "../../host/host.ts";
import { address, close, syscall } from "../../sys/linux.ts";
import { execute } from "../execute.ts";
import * as parts from "../launcher/parts.ts";
import { type Spawned, spawn } from "../spawn.ts";
import { moved } from "./launch.ts";

/** Whether orphans become this process's children: the container's first process is one. @see PR_SET_CHILD_SUBREAPER(2const) */
export const setSubreaper = (isOne: boolean): void => {
  const result = syscall("prctl", PR.PR_SET_CHILD_SUBREAPER, isOne ? 1 : 0);
  if (result < 0) throw new StepError("become a subreaper", -result);
};

/** Becomes what waits for the container, and ends as it ends. `cleanup` are the words of the nsk that deletes it. */
export const waitInForeground = (
  name: string,
  state: State,
  master: number | undefined,
  cleanup: readonly string[] | undefined,
  host: Host,
): never => {
  const { pid } = state.first!;
  const guardian = cleanup && startGuardian(name, pid, [program(host), ...script(), ...cleanup]);
  const pair = new Int32Array(2);
  const made = syscall("pipe2", address(pair), 0);
  if (made < 0) throw new StepError("pipe", -made);
  const word = BigInt64Array.of(BigInt(pid));
  syscall("write", pair[1]!, address(word), 8);
  if (master !== undefined) syscall("fcntl", master, FD.F_SETFD, 0);
  return execute(planForeground(name, pair[0]!, master, guardian?.pid), host.arch, { parts });
};

/** The container's first process is a child that nobody has waited for yet, so its number is its own. */
const startGuardian = (name: string, pid: number, argv: readonly [string, ...string[]]): Spawned => {
  const process = syscall("pidfd_open", pid, 0);
  if (process < 0) throw new StepError(`find process ${pid}`, -process);
  const descriptor = moved(process, `find process ${pid}`, 4);
  const guardian = spawn(planGuardian(name, argv), { stdin: "ignore", descriptors: [descriptor] });
  close(process);
  close(descriptor);
  return guardian;
};

const program = (host: Host): string => {
  const path = host.link("/proc/self/exe");
  if (path === undefined) throw new HostError("/proc/self/exe cannot be read", "is there no /proc?");
  return path;
};

/** From its sources nsk is Bun's, and behind Bun stands the script. */
const script = (): string[] => {
  const [, first] = process.argv;
  return first?.endsWith("/src/main.ts") ? [first] : [];
};
