// The program of a container: its settings, standard input and working directory, and who starts it.

import { errno } from "../abi/errno.ts";
import { SIG, TTY } from "../abi/flags.ts";
import { type CallStep, slot, valueOf } from "../plan/call.ts";
import { type ExecStep, FAILED, type Step } from "../plan/plan.ts";
import { programCandidates } from "../plan/program.ts";
import * as steps from "../plan/steps.ts";
import type { Process } from "./config.ts";
import { type Container, mask, REPORT } from "./container.ts";
import { directories } from "./mounts.ts";

/** What is set by files of /proc, while they can be written; of a `process` that joins what is its own. */
export const settings = (
  { config: { process, linux }, users }: Pick<Container, "config" | "users">,
  of: "container" | "process" = "container",
): CallStep[] => {
  const out: CallStep[] = [];
  if (process.oomScoreAdj !== undefined && !users?.isRoots)
    out.push(
      ...steps.writeFile("/proc/self/oom_score_adj", String(process.oomScoreAdj), {
        hints: { [errno("EACCES")]: "only root may go below what the caller has" },
      }),
    );
  if (of === "process") return out;
  for (const name in linux.sysctl)
    out.push(
      ...steps.writeFile(`/proc/sys/${sysctlPath(name)}`, linux.sysctl[name]!, {
        title: `set ${name}`,
      }),
    );
  return out;
};

/** The last word of a child that has failed, where somebody heeds it. */
export const failedMark = (): CallStep => steps.tell(REPORT, FAILED);

/** A slash in a name stands for a dot in a part of it, such as a device's name. @see sysctl(8) */
const sysctlPath = (name: string): string => name.replace(/[./]/g, (it) => (it === "." ? "/" : "."));

/** The size that the new terminal has from the start. @see TIOCSWINSZ(2const) */
export const windowSize = ({ consoleSize }: Process): CallStep[] => {
  if (!consoleSize || (consoleSize.height === 0 && consoleSize.width === 0)) return [];
  const { height, width } = consoleSize;
  const value = new Uint8Array(Uint16Array.of(height, width, 0, 0).buffer); // struct winsize
  return [
    steps.call(
      "ioctl",
      [
        valueOf(steps.terminal),
        { type: "int", value: TTY.TIOCSWINSZ, text: "TIOCSWINSZ" },
        { type: "bytes", value, text: `{ws_row=${height}, ws_col=${width}}` },
      ],
      "set the size of the terminal",
    ),
  ];
};

export const workingDirectory = (cwd: string, readonlyRoot: boolean): CallStep[] => [
  ...(cwd === "/" || readonlyRoot ? [] : directories(cwd)),
  steps.chdir(cwd),
];

export const become = ({ args, env }: Process): ExecStep => ({
  kind: "exec",
  program: args[0]!,
  argv: args,
  candidates: programCandidates(args[0]!, variable(env, "PATH")),
  env,
  reason: "become the program",
});

/** All that can be passed on: not what a process cannot take, and not what tells of a child or of its own mistakes. */
const PASSED_ON = Array.from({ length: 64 }, (_, i) => i + 1).filter(
  (signal) =>
    ![
      SIG.SIGKILL,
      SIG.SIGSTOP,
      SIG.SIGCHLD,
      SIG.SIGSEGV,
      SIG.SIGBUS,
      SIG.SIGFPE,
      SIG.SIGILL,
      SIG.SIGTRAP,
    ].some((other) => other === signal),
);

/** The kernel gives a namespace's first process no signal that it has no handler for, and orphans for it to wait for. */
export const behindInit = (process: Process, isHeeded: boolean): Step[] => {
  const pid = slot("program");
  const undo = isHeeded ? { undo: failedMark() } : {};
  return [
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: "the program is process 2; this one stays",
      child: [steps.restoreSignals(mask, undo), become(process)],
    },
    ...(isHeeded ? [steps.closeNumber(REPORT)] : []),
    {
      kind: "wait",
      pid,
      signaled: "status",
      forward: PASSED_ON,
      reaps: true,
      cleanup: [],
      reason: "wait for it and for orphans, and end as it ended",
    },
  ];
};

export const variable = (env: readonly string[], name: string): string | undefined =>
  env.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
