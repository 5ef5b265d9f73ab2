// why: what holds a process back, by its namespaces, its control groups and the limits that are in force for it.

import { HostError, UsageError } from "../abi/errors.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import { bytes } from "../cgroups/top.ts";
import { type Limit, processors, readWhy, type Why } from "../cgroups/why.ts";
import { userName } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { links } from "../host/processes.ts";
import { command } from "./command.ts";
import { jsonOption, print, printJson } from "./output.ts";

const options = { ...jsonOption } as const;

export const why = command({
  definition: {
    meta: {
      name: "why",
      description:
        "Say what a process is held back by: its namespaces, its control groups, the limits in force from there to the root and the one that binds, throttling, and processes killed for want of memory.",
    },
    args: options,
  },
  usage: "[options] <pid>",
  permute: true,
  failure: 1,
  run: ({ options, operands, host }) => {
    const [pid, more] = operands;
    if (pid === undefined) throw new UsageError("no process is given", "e.g. nsk why $$");
    if (more !== undefined) throw new UsageError(`unexpected argument '${more}'`);
    if (!/^[1-9]\d*$/.test(pid)) throw new UsageError(`'${pid}' is no process id`);
    const story = readStory(host, pid);
    if (options.json) printJson(story);
    else print(tell(story));
    return 0;
  },
});

export interface Story extends Why {
  readonly pid: number;
  readonly name: string;
  readonly user: string;
  /** Kinds of namespaces by name: its identifier, and whether nsk itself is in it. Missing what may not be looked at. */
  readonly namespaces: Readonly<Record<string, { readonly id: string; readonly shared: boolean }>>;
}

/** Everything that is to be told. Throws {@link HostError} for a process that is not there. */
export const readStory = (host: Host, pid: string): Story => {
  const found = readWhy(host, readHierarchies(host), pid);
  if (!found)
    throw new HostError(
      `there is no process ${pid}`,
      "one that was killed for want of memory stands in the kernel's log: dmesg | grep -i 'killed process'; nsk top shows the group that counts it",
    );
  const status = host.read(`/proc/${pid}/status`) ?? "";
  const field = (name: string): string => new RegExp(`^${name}:\\s+(\\S+)`, "m").exec(status)?.[1] ?? "";
  return {
    pid: Number(pid),
    name: host.read(`/proc/${pid}/comm`)?.trim() ?? field("Name"),
    user: field("Uid") === "" ? "" : userName(host, Number(field("Uid"))),
    namespaces: namespacesOf(host, pid),
    ...found,
  };
};

const namespacesOf = (host: Host, pid: string): Story["namespaces"] => {
  const found: Record<string, { id: string; shared: boolean }> = {};
  for (const kind of links) {
    const id = host.link(`/proc/${pid}/ns/${kind}`);
    if (id !== undefined) found[kind] = { id, shared: id === host.link(`/proc/self/ns/${kind}`) };
  }
  return found;
};

/** For a person. */
export const tell = (story: Story): string => {
  const { pid, name, user, memberships, limits, findings } = story;
  const lines = [
    `process ${pid} (${name})${user && ` of ${user}`}`,
    "",
    "namespaces",
    ...tellNamespaces(story.namespaces),
    "",
    "control groups",
    ...memberships.map(
      ({ version, controllers, path }) => `  v${version}  ${controllers.join(",") || "-"}:${path}`,
    ),
    "",
    "limits in force, from its own group up",
    ...(limits.length ? limits.map(tellLimit) : ["  none"]),
    "",
    "what holds it back",
    ...(findings.length
      ? findings.map((finding) => `  ${finding}`)
      : ["  nothing that a control group knows of"]),
  ];
  return lines.map((line) => `${line}\n`).join("");
};

const tellNamespaces = (namespaces: Story["namespaces"]): string[] => {
  const all = Object.entries(namespaces);
  if (all.length === 0) return ["  may not be looked at (it is another user's process, or protected)"];
  const own = all.filter(([, { shared }]) => !shared);
  const shared = all.filter(([, it]) => it.shared).map(([kind]) => kind);
  return [
    ...(own.length ? [`  of its own: ${own.map(([, { id }]) => id).join(" ")}`] : []),
    ...(shared.length ? [`  shared with nsk: ${shared.join(" ")}`] : []),
  ];
};

const titles: Readonly<Record<Limit["what"], string>> = {
  cpu: "processor time",
  memory: "memory",
  pids: "processes",
};

const tellLimit = ({ what, group, limit, usage, binds }: Limit): string => {
  const amount = what === "cpu" ? processors(limit) : what === "memory" ? bytes(limit) : String(limit);
  const used = usage === undefined ? "" : `, ${what === "memory" ? bytes(usage) : usage} used`;
  return `  ${titles[what].padEnd(15)} ${group}: ${amount}${used}${binds ? "  <- binds" : ""}`;
};
