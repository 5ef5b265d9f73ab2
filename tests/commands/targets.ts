// Processes in namespaces of their own, for nsenter to enter.

import { readFileSync } from "node:fs";
import { PLAIN } from "./util-linux.ts";

export interface Target {
  /** Of the process inside. */
  readonly pid: number;
  end(): Promise<void>;
}

const isForked = (options: readonly string[]): boolean =>
  options.some((word) => word === "--fork" || /^-[a-zA-Z]*f/.test(word));

/** `unshare OPTIONS` that stays until it is ended. */
export const holdOpen = async (
  options: readonly string[],
  as?: "plain",
  env: Readonly<Record<string, string>> = {},
): Promise<Target> => {
  const child = Bun.spawn(
    [...(as ? PLAIN : []), "/usr/bin/unshare", ...options, "sh", "-c", "echo; exec sleep 1000"],
    { stdin: "ignore", stdout: "pipe", stderr: "ignore", env: { PATH: "/usr/bin:/bin:/usr/sbin", ...env } },
  );
  // A word of the process itself: by then it is where it is to be.
  await child.stdout.getReader().read();
  const pid = isForked(options)
    ? Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8"))
    : child.pid;
  return {
    pid,
    end: async () => {
      process.kill(pid, "SIGKILL");
      await child.exited;
    },
  };
};
