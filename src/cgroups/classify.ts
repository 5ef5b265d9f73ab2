// Moving processes that run already into groups.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { writeFile } from "../plan/steps.ts";
import type { Place } from "./groups.ts";
import { joinHints } from "./hints.ts";
import type { Subject } from "./rules.ts";

/** Moves each process into each group. What cannot be moved is reported, and the others are moved all the same. */
export const planClassify = (host: Host, places: readonly Place[], pids: readonly string[]): CallStep[] =>
  pids.flatMap((pid) =>
    places.flatMap((place, i) =>
      writeFile(`${place.directory}/${entrance(host, place, pid)}`, pid, {
        title: `move ${pid} to ${place.title} (${place.directory})`,
        hints: joinHints(host, place.hierarchy.version, place.title),
        ...(i === 0 && { reason: "what it uses from now on counts there; what it has used stays counted" }),
      }).map((step) => ({ ...step, onError: "warn" as const })),
    ),
  );

/**
 * The file to write to. `tasks` of version 1 moves one thread, and is what `cgcreate -t` gives away; a process with
 * several threads goes as a whole through cgroup.procs. A thread's own id moves that thread alone.
 */
const entrance = (host: Host, { hierarchy }: Place, pid: string): string => {
  if (hierarchy.version === 2) return "cgroup.procs";
  const status = host.read(`/proc/${pid}/status`) ?? "";
  const isLeader = field(status, "Tgid") === pid;
  return isLeader && Number(field(status, "Threads")) > 1 ? "cgroup.procs" : "tasks";
};

/** One line of /proc/PID/status: its first word. @see proc_pid_status(5) */
const field = (status: string, name: string): string | undefined =>
  new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1];

/** What cgrules.conf asks of a running process; undefined when it is not there. Its effective ids count. */
export const subjectOf = (host: Host, pid: string): Subject | undefined => {
  const status = host.read(`/proc/${pid}/status`);
  const ids = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+\\d+\\s+(\\d+)`, "m").exec(status!)?.[1]);
  if (status === undefined) return undefined;
  const [called = ""] = (host.read(`/proc/${pid}/cmdline`) ?? "").split("\0");
  // A path is what it was called by; what renamed itself (comm) is known by that.
  const program = called.startsWith("/") ? called : (host.read(`/proc/${pid}/comm`)?.trim() ?? called);
  return { uid: ids("Uid"), gid: ids("Gid"), pid, program };
};
