// `-c` of cgcreate and cgexec: groups inside of a scope that systemd makes and hands over, which needs no root.

import { HostError, UsageError } from "../abi/errors.ts";
import { spawn } from "../backends/spawn.ts";
import { startScope } from "../backends/systemd.ts";
import { planHandOn } from "../cgroups/create.ts";
import { parseGroupSpec, relativePath } from "../cgroups/groups.ts";
import { type Hierarchy, locate, readHierarchies } from "../cgroups/hierarchies.ts";
import { missingController } from "../cgroups/missing.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { programCandidates } from "../plan/program.ts";
import { mkdir, setsid, writeFile } from "../plan/steps.ts";
import { errno } from "../abi/errno.ts";

/** Controllers and the path below the scope, from one `-g`. */
interface Wanted {
  readonly unified: Hierarchy;
  readonly controllers: readonly string[];
  readonly path: string;
}

const wanted = (host: Host, text: string): Wanted => {
  const hierarchies = readHierarchies(host);
  const unified = hierarchies.find(({ version }) => version === 2);
  if (!unified || hierarchies.some(({ version, controllers }) => version === 1 && controllers.length))
    throw new HostError(
      "-c needs cgroup v2 alone: on v1 systemd hands nothing over",
      undefined,
      STATUS.other,
    );
  const spec = parseGroupSpec(text);
  const controllers = spec.controllers.map((name) => {
    const location = locate(hierarchies, name);
    if (!location) throw missingController(host, hierarchies, name);
    return location.controller;
  });
  return { unified, controllers, path: relativePath(spec.path) };
};

/**
 * Moves this very process into a scope of its own, and plans the way into a group there. The group is entered before
 * controllers are handed on to it: the scope must be empty by then.
 */
export const planInScope = async (host: Host, groups: readonly string[]): Promise<CallStep[]> => {
  if (groups.length > 1) throw new UsageError("-c takes one -g: one scope has one tree of groups");
  const asked = groups[0] === undefined ? undefined : wanted(host, groups[0]);
  const [pid = ""] = (host.read("/proc/self/stat") ?? "").split(" ");
  const path = await startScope(host, { name: `nsk-${pid}.scope`, pids: [Number(pid)] });
  if (!asked) return [];
  const scope = `${asked.unified.mountPoint}${path}`;
  const names = asked.path.split("/");
  const tree = names.map((_, i) => [scope, ...names.slice(0, i + 1)].join("/"));
  const group = tree.at(-1)!;
  return [
    ...tree.map((directory) =>
      mkdir(directory, 0o775, { tolerate: [errno("EEXIST")], status: STATUS.other }),
    ),
    ...writeFile(`${group}/cgroup.procs`, "0", { title: `join ${group}`, status: STATUS.other }),
    ...[scope, ...tree.slice(0, -1)].flatMap((directory) => planHandOn(host, directory, asked.controllers)),
  ];
};

/**
 * Makes a scope `[SLICE.slice/]NAME.scope` for a process, or for one that waits where none is given; returns its path. The
 * waiting one is put in a group of its own, so that the scope can hand controllers on.
 */
export const createScope = async (
  host: Host,
  text: string,
  pid: number | undefined,
): Promise<{ path: string; steps: CallStep[] }> => {
  const { unified, controllers, path: name } = wanted(host, text);
  const parts = name.split("/");
  const scope = parts.pop()!;
  const slice = parts.pop();
  if (parts.length || (slice !== undefined && !slice.endsWith(".slice")))
    throw new UsageError(`'${name}' is no scope`, "a scope is [SLICE.slice/]NAME.scope", STATUS.usage);
  const own = pid ?? startWaiting(host);
  try {
    const path = await startScope(host, {
      name: scope.endsWith(".scope") ? scope : `${scope}.scope`,
      slice,
      pids: [own],
    });
    if (pid !== undefined) return { path, steps: [] };
    const directory = `${unified.mountPoint}${path}`;
    const idle = `${directory}/idle`;
    const steps = [
      mkdir(idle, 0o775, { reason: "who keeps the scope waits in a group of its own" }),
      ...writeFile(`${idle}/cgroup.procs`, String(own), { title: `move ${own} to ${idle}` }),
      ...planHandOn(host, directory, controllers),
    ];
    return { path, steps };
  } catch (error) {
    if (pid === undefined) process.kill(own, "SIGKILL");
    throw error;
  }
};

/** A process that does nothing, in a session of its own: a scope ends with its last process. */
const startWaiting = (host: Host): number =>
  spawn(
    {
      name: "nsk",
      failure: 1,
      descriptors: "standard",
      steps: [
        setsid(),
        {
          kind: "exec",
          program: "sleep",
          argv: ["sleep", "infinity"],
          candidates: programCandidates("sleep", host.env("PATH")),
        },
      ],
    },
    { stdin: "ignore", stdout: "ignore", stderr: "ignore" },
  ).pid;
