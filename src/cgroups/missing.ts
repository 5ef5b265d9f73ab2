// Why a controller is not to be had, for the person who asked for it.

import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import { allControllers, type Hierarchies, knownControllers } from "./hierarchies.ts";
import { STATUS } from "./status.ts";

/** The error for a controller that no tree has. `/proc/cgroups` tells an unknown one from one that is not in use. */
export const missingController = (
  host: Host,
  hierarchies: Hierarchies,
  controller: string,
  status: number = STATUS.notMounted,
): HostError => {
  const error = (message: string, hint: string): HostError => new HostError(message, hint, status);
  if (hierarchies.length === 0) {
    return host.read("/proc/self/mountinfo") === undefined
      ? error("/proc is not mounted", "mount it: mount -t proc proc /proc")
      : error("no control groups are mounted", "mount them: mount -t cgroup2 none /sys/fs/cgroup");
  }
  if (controller.startsWith("name=")) {
    return error(`no hierarchy ${controller} is mounted`, `mounted are ${present(hierarchies)}`);
  }
  const row = knownControllers(host).find(({ name }) => name === controller);
  const version2 = hierarchies.some(({ version }) => version === 2);
  if (row?.enabled === false) {
    return error(
      `the controller ${controller} is switched off`,
      `the kernel was started with cgroup_disable=${controller}`,
    );
  }
  if (version2 && noFiles[controller]) {
    return error(`cgroup v2 has no controller ${controller}`, noFiles[controller]);
  }
  if (row) {
    return error(
      `the controller ${controller} is not mounted`,
      `mount it: mount -t cgroup -o ${controller} none /sys/fs/cgroup/${controller}`,
    );
  }
  return error(`there is no controller ${controller}`, `mounted are ${present(hierarchies)}`);
};

/** What version 2 does without a controller, and so without files to write. @see Documentation/admin-guide/cgroup-v2.rst */
const noFiles: Readonly<Record<string, string>> = {
  devices: "devices are kept from a group by a BPF program there, not by a file",
  net_cls: "packets are told apart by their group itself there (iptables -m cgroup --path)",
  net_prio: "packets are told apart by their group itself there (iptables -m cgroup --path)",
};

const present = (hierarchies: Hierarchies): string => allControllers(hierarchies).join(", ");
