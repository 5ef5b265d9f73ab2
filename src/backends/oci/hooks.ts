// Hooks of the runtime: run by nsk itself, in its own namespaces, with the container's state on standard input.

import { HostError } from "../../abi/errors.ts";
import { SIG } from "../../abi/flags.ts";
import type { Hook, HookName, Hooks } from "../../containers/config.ts";
import { hookFailure } from "../../containers/oci/hooks.ts";
import { spawn } from "../spawn.ts";

/** Runs them one after the other. Throws {@link HostError} at the first that fails or takes too long. */
export const runHooks = async (name: HookName, hooks: Hooks, state: string): Promise<void> => {
  for (const [i, hook] of (hooks[name] ?? []).entries()) await runHook(name, i, hook, state);
};

/** The same where a failure is only told: the container is what it is. */
export const tryHooks = async (
  name: HookName,
  hooks: Hooks,
  state: string,
  warn: (text: string) => void,
): Promise<void> => {
  for (const [i, hook] of (hooks[name] ?? []).entries())
    try {
      await runHook(name, i, hook, state);
    } catch (error) {
      if (!(error instanceof HostError)) throw error;
      warn(error.message);
    }
};

const runHook = async (name: HookName, i: number, hook: Hook, state: string): Promise<void> => {
  const fail = (what: string): never => {
    throw new HostError(`${hookFailure(name, i, hook)}: ${what}`);
  };
  const child = spawn(
    {
      name: "nsk oci",
      failure: 1,
      descriptors: "standard",
      steps: [{ kind: "exec", program: hook.path, argv: hook.args, candidates: [hook.path], env: hook.env }],
    },
    { stdin: "pipe", stdout: "ignore", stderr: "pipe" },
  );
  let isLate = false;
  const timer =
    hook.timeout === undefined
      ? undefined
      : setTimeout(() => {
          isLate = true;
          child.kill(SIG.SIGKILL);
        }, hook.timeout * 1000);
  try {
    child.stdin!.write(state);
    await child.stdin!.end();
  } catch {
    // One that reads nothing may have ended by now; how is what counts.
  }
  const exit = await child.exited;
  clearTimeout(timer);
  if (isLate) fail(`it took longer than ${hook.timeout} seconds`);
  if ("signal" in exit) fail(`signal ${exit.signal} ended it`);
  else if (exit.status !== 0) {
    // A process that it has left behind may hold the pipe: what is there by now has to do.
    const said = child.stderr ? await firstOf(child.stderr) : "";
    fail(`exit status ${exit.status}${said && `, stderr: ${said}`}`);
  }
};

const firstOf = async (stream: ReadableStream<Uint8Array>): Promise<string> => {
  const reader = stream.getReader();
  const chunk = await Promise.race([reader.read(), Bun.sleep(100)]);
  void reader.cancel();
  return chunk?.value ? new TextDecoder().decode(chunk.value).trim() : "";
};
