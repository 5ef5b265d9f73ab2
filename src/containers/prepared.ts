// The parts of a plan that are the same for every container that leaves docker's defaults as they are. Their machine
// code is made when nsk is built (backends/launcher/prepared.ts).

import { errno } from "../abi/errno.ts";
import { SIG } from "../abi/flags.ts";
import type { CallStep } from "../plan/call.ts";
import type { PreparedStep } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { mask, record, signals, supervisor, umask } from "./container.ts";
import {
  CAPABILITIES,
  DEVICES,
  MASKED_DIRECTORIES,
  MASKED_PATHS,
  MOUNTS,
  READONLY_PATHS,
} from "./defaults.ts";
import { deviceNodes, maskedPath, readonlyPath } from "./devices.ts";
import { fileSystem } from "./mounts.ts";
import { boundingSet } from "./privileges.ts";

/** The calls of each part, by a name for it. */
export const preparedCalls = {
  signals: () => [
    steps.setName("nsk"),
    steps.defaultSignal(SIG.SIGCHLD, {
      reason: "a caller that ignores it would leave nothing to wait for",
    }),
    steps.blockSignals("all", mask, {
      reason: "the supervisor reads signals from a descriptor instead, once there is a container",
    }),
    steps.signalDescriptor(signals),
  ],
  child: () => [
    ...steps.dieWithParent(SIG.SIGKILL, supervisor),
    ...steps.appendIdentity(record, {
      reason: "whom the next run ends, should the supervisor be killed and this live on",
    }),
    steps.setsid({ reason: "signals of the caller's terminal go to the supervisor alone" }),
  ],
  "file systems": () => MOUNTS.flatMap((mount) => fileSystem(mount, [])),
  devices: () => deviceNodes(DEVICES),
  loopback: () => steps.loopbackUp(),
  // On another kernel others of these are not there, and what is not there needs no protection.
  protections: () => [
    ...READONLY_PATHS.flatMap((path) => readonlyPath(path, ABSENT)),
    ...MASKED_PATHS.map((path) => maskedPath(path, MASKED_DIRECTORIES.includes(path), ABSENT)),
  ],
  "no input": () => steps.readNothing(),
  "bounding set": () => boundingSet(CAPABILITIES),
  "last calls": () => lastCalls(3),
} as const satisfies Readonly<Record<string, () => CallStep[]>>;

/** All descriptors from `from` on are closed. */
export const lastCalls = (from: number): CallStep[] => [
  steps.parentDeathSignal(SIG.SIGKILL, { reason: "again: a change of user has cleared it" }),
  steps.restoreUmask(umask),
  steps.closeFrom(from, { reason: "no descriptor of the host gets in" }),
];

const ABSENT = { tolerate: [errno("ENOENT")] };

export const prepared = (name: keyof typeof preparedCalls): PreparedStep => ({
  kind: "prepared",
  name,
  calls: preparedCalls[name],
});
