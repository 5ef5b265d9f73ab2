// The program of unshare(1) and nsenter(1): what the operands name, or else a shell.

import { users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import type { ExecStep } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";

/** What the program is given. */
export interface Given {
  /** Its environment, where that is not the caller's. */
  readonly env?: readonly string[] | undefined;
  /** The user that it runs as, inside. */
  readonly user: number;
}

type Program = Pick<ExecStep, "program" | "argv" | "candidates" | "env">;

/**
 * The program that the operands name, searched along the PATH that it is given; without operands $SHELL as a login
 * shell, else that of passwd(5), else sh. @see unshare(1), nsenter(1)
 */
export const programOrShell = (operands: readonly string[], host: Host, { env, user }: Given): Program => {
  const variable = (name: string): string | undefined => {
    if (!env) return host.env(name);
    for (const word of env) if (word.startsWith(`${name}=`)) return word.slice(name.length + 1);
    return undefined;
  };
  const given = env ? { env } : {};
  const [program] = operands;
  if (program !== undefined)
    return { program, argv: operands, candidates: programCandidates(program, variable("PATH")), ...given };
  const shell = variable("SHELL") ?? (shellOf(user, host) || "/bin/sh");
  return {
    program: shell,
    argv: [`-${shell.slice(shell.lastIndexOf("/") + 1)}`],
    candidates: [shell],
    ...given,
  };
};

const shellOf = (uid: number, host: Host): string | undefined => {
  for (const user of users(host)) if (user.uid === uid) return user.shell;
  return undefined;
};
