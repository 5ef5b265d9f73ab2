// Namespaces that a container shares with others, by docker's `container:NAME`.

import { HostError } from "../abi/errors.ts";
import { runningContainers } from "../backends/containers.ts";
import { type Flags, type Joined, SHARED } from "../containers/docker.ts";
import { NAMESPACE_FLAGS } from "../containers/plan.ts";
import { hold } from "../containers/hold.ts";
import { findContainer, type Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { slot } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Step } from "../plan/plan.ts";

/** What comes from others, and the steps that enter it. Throws {@link HostError} for an IPC namespace that is not to be shared. */
export const shareWith = (
  values: Pick<Flags, (typeof SHARED)[number]["option"]>,
  host: Host,
): { joined: Joined; joins: Step[] } => {
  const all = runningContainers(host);
  const joined: { -readonly [K in keyof Joined]: Joined[K] } = {};
  const kinds = new Map<Running, number>();
  for (const { option, type } of SHARED) {
    const word = /^container:(.*)$/s.exec(values[option] ?? "")?.[1];
    if (word === undefined) continue;
    const other = findContainer(all, word);
    if (type === "ipc" && other.ipc !== "shareable" && other.ipc !== "host")
      throw new HostError(
        `--ipc container:${word}: its IPC namespace is its own`,
        "nsk run --ipc shareable makes one that others may join",
      );
    joined[type] = {
      pid: other.first.pid,
      held: heldName(other),
      hostname: other.config.hostname ?? other.id,
    };
    kinds.set(other, (kinds.get(other) ?? 0) | NAMESPACE_FLAGS[type]);
  }
  return { joined, joins: [...kinds].flatMap(([other, flags]) => joinSteps(other, flags)) };
};

const heldName = ({ id }: Running): string => `first of ${id}`;

const joinSteps = (other: Running, flags: number): Step[] => {
  const { id, first } = other;
  const held = slot(heldName(other));
  return [
    ...hold(first, held, { reason: `the first process of container ${id}` }),
    enter.setns(held, flags, `enter namespaces of container ${id}`, {
      reason: "what is started from here on shares them",
    }),
  ];
};
