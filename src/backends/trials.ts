// Finding out what a machine can do by trying it: calls with arguments that change nothing, and children that end as soon
// as they have tried.

import { errno } from "../abi/errno.ts";
import type { SyscallName } from "../abi/syscalls.ts";
import type { Step } from "../plan/plan.ts";
import { syscall } from "../sys/linux.ts";
import { spawn } from "./spawn.ts";

/** How a trial went: undefined for well, or what the child said of the call that failed. */
export type Trial = { readonly reason: string; readonly hint: string | undefined } | undefined;

/** Has a child make these steps and end. */
export const tryInChild = async (steps: readonly Step[]): Promise<Trial> => {
  const plan = { name: "trial", failure: 1, steps: [...steps, { kind: "exit" } as const] };
  const child = spawn(plan, { stdin: "ignore", stdout: "ignore", stderr: "pipe" });
  const said = await new Response(child.stderr).text();
  const { status, signal } = await child.exited;
  if (status === 0) return undefined;
  const [first = "", second = ""] = said.split("\n");
  return {
    reason: first.replace(/^trial: /, "") || `the child ended with ${status ?? `signal ${signal}`}`,
    hint: second.startsWith("hint: ") ? second.slice("hint: ".length) : undefined,
  };
};

/** Whether the kernel has a call. It is made with descriptors that are none, and so does nothing. */
export const knowsCall = (name: SyscallName): boolean =>
  syscall(name, -1, -1, -1, -1, -1) !== -errno("ENOSYS");
