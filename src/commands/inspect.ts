// nsk inspect: what is known of containers, by docker's names for it.

import type { Known } from "../backends/containers.ts";
import { KEPT, keptPath } from "../containers/kept-files.ts";
import { hasNamespace, type NamespaceType } from "../containers/config.ts";
import { CGROUP_MOUNT, MOUNTS } from "../containers/defaults.ts";
import { findContainer, findContainerIfThere } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { signalName } from "../abi/flags.ts";
import { command } from "./command.ts";
import { knownBy, settled } from "./containers.ts";
import { forEach } from "./each.ts";
import { printJson } from "./output.ts";

export const inspect = command({
  definition: {
    meta: { name: "inspect", description: "Print all that is known of containers, as JSON." },
    args: {},
  },
  usage: "<container>...",
  failure: 1,
  run: ({ operands, host, name }) => {
    const all = knownBy(operands, host);
    const found = operands.flatMap((word) => findContainerIfThere(all, word) ?? []);
    printJson(found.map((it) => inspected(settled(it, host), host)));
    forEach(operands, name, (word) => findContainer(all, word));
    return 0;
  },
});

/** File systems that every container has. */
const OWN: readonly string[] = [...MOUNTS, CGROUP_MOUNT].map(({ destination }) => destination);

/** docker's for a time that there is none of. */
const NEVER = "0001-01-01T00:00:00Z";

const inspected = (it: Known, host: Host): object => {
  const { config } = it;
  const { process, root, linux } = config;
  const end = it.state === "running" ? undefined : it.end;
  const { resources } = linux;
  const { cpu = {}, memory = {} } = resources;
  const mode = (type: NamespaceType, own: string): string => {
    const path = linux.namespaces.find((namespace) => namespace.type === type)?.path;
    return path ?? (hasNamespace(linux, type) ? own : "host");
  };
  return {
    Id: it.id,
    Created: it.created,
    Path: process.args[0],
    Args: process.args.slice(1),
    State: {
      Status: it.state === "between" ? "created" : it.state,
      Running: it.state === "running",
      Paused: false,
      Restarting: false,
      OOMKilled: end?.outOfMemory ?? false,
      Dead: it.state === "dead",
      Pid: it.state === "running" ? it.first.pid : 0,
      ExitCode: end?.status ?? 0,
      Error: it.state === "dead" ? "its supervisor was killed: nobody knows how it ended" : "",
      StartedAt: it.created,
      FinishedAt: end ? new Date(end.at).toISOString() : NEVER,
    },
    Image: it.image ?? "",
    LogPath: it.detached ? `${keptPath(host)}/${it.id}/${KEPT.log}` : "",
    Name: it.name === undefined ? "" : `/${it.name}`,
    Mounts: config.mounts
      .filter(({ type, destination }) => type === "bind" || (type === "tmpfs" && !OWN.includes(destination)))
      .map(({ type, source, destination, options }) => ({
        Type: type,
        Source: type === "bind" ? source : "",
        Destination: destination,
        Mode: options.join(","),
        RW: !options.includes("ro"),
      })),
    HostConfig: {
      AutoRemove: it.autoRemove,
      NetworkMode: mode("network", "none"),
      PidMode: mode("pid", ""),
      IpcMode: it.ipc || "private",
      UTSMode: mode("uts", ""),
      Privileged: it.privileged ?? false,
      ReadonlyRootfs: root.readonly,
      CpuShares: cpu.shares ?? 0,
      CpuPeriod: cpu.period ?? 0,
      CpuQuota: cpu.quota ?? 0,
      CpusetCpus: cpu.cpus ?? "",
      CpusetMems: cpu.mems ?? "",
      Memory: memory.limit ?? 0,
      MemorySwap: memory.swap ?? 0,
      BlkioWeight: resources.blockIO?.weight ?? 0,
      PidsLimit: resources.pids?.limit ?? null,
      OomScoreAdj: process.oomScoreAdj ?? 0,
      Sysctls: linux.sysctl,
      Ulimits: process.rlimits.map(({ type, soft, hard }) => ({
        Name: type.slice("RLIMIT_".length).toLowerCase(),
        Soft: soft,
        Hard: hard,
      })),
      MaskedPaths: linux.maskedPaths,
      ReadonlyPaths: linux.readonlyPaths,
    },
    Config: {
      Hostname: config.hostname,
      User: `${process.user.uid}:${process.user.gid}`,
      Tty: process.terminal,
      OpenStdin: it.interactive,
      Env: process.env,
      Cmd: process.args,
      Image: it.image ?? "",
      WorkingDir: process.cwd,
      Labels: it.labels ?? {},
      ...(it.stopSignal !== undefined && { StopSignal: signalName(it.stopSignal) }),
      ...(it.stopTimeout !== undefined && { StopTimeout: it.stopTimeout }),
      Capabilities: process.capabilities,
      NoNewPrivileges: process.noNewPrivileges,
    },
  };
};
