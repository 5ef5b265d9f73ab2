// The device nodes of a container, and what of /proc and /sys is kept from it.

import { MS } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import * as steps from "../plan/steps.ts";
import type { Device, Linux } from "./config.ts";
import { DEVICE_LINKS } from "./defaults.ts";
import { directories, parentOf, remountReadonly } from "./mounts.ts";

export const deviceNodes = (devices: readonly Device[]): CallStep[] => [
  ...devices.flatMap(deviceNode),
  ...DEVICE_LINKS.map(([link, target]) => steps.symlink(target, link)),
];

/** Bound by its number: it is the first of a devpts that nobody else has seen yet. */
export const terminalAsConsole = (): CallStep[] => [
  steps.ensureFile("/dev/console", 0o600),
  steps.mount(
    { source: "/dev/pts/0", target: "/dev/console", fstype: null, flags: MS.MS_BIND, data: null },
    { title: "make /dev/console", reason: "the terminal is the console, too, as docker has it" },
  ),
];

const deviceNode = (device: Device): CallStep[] => {
  const parent = parentOf(device.path);
  const { uid = 0, gid = 0 } = device;
  return [
    ...(parent === "/dev" ? [] : directories(parent)),
    steps.makeDevice(device),
    ...(uid === 0 && gid === 0 ? [] : [steps.chown(device.path, uid, gid)]),
  ];
};

/** What is not there on this kernel needs no protection. */
export const protections = ({ readonlyPaths, maskedPaths }: Linux, host: Host): CallStep[] => {
  const out: CallStep[] = [];
  for (const path of readonlyPaths) if (host.kind(path)) out.push(...readonlyPath(path));
  for (const path of maskedPaths) {
    const kind = host.kind(path);
    if (kind) out.push(maskedPath(path, kind === "directory"));
  }
  return out;
};

export const readonlyPath = (path: string, about?: Pick<steps.About, "tolerate">): CallStep[] => [
  steps.mount(
    { source: path, target: path, fstype: null, flags: MS.MS_BIND | MS.MS_REC, data: null },
    { title: `make ${path} read-only`, ...about },
  ),
  remountReadonly(path, MS.MS_NOSUID | MS.MS_NODEV | MS.MS_NOEXEC, about),
];

/** An empty read-only directory over a directory, the null device over a file. */
export const maskedPath = (
  path: string,
  isDirectory: boolean,
  about?: Pick<steps.About, "tolerate">,
): CallStep =>
  steps.mount(
    isDirectory
      ? { source: "tmpfs", target: path, fstype: "tmpfs", flags: MS.MS_RDONLY, data: "size=0k,mode=755" }
      : { source: "/dev/null", target: path, fstype: null, flags: MS.MS_BIND, data: null },
    { title: `mask ${path}`, ...about },
  );
