// What a cgconfig.conf asks for, as steps: mounts, groups, their settings, and to whom they belong.

import { errno } from "../abi/errno.ts";
import { MS } from "../abi/flags.ts";
import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { mkdir, mount, rmdir, umount } from "../plan/steps.ts";
import type { Config, ConfiguredGroup, ConfiguredMount, PermissionPart, Permissions } from "./config.ts";
import { type Draft, draft, planGroup } from "./create.ts";
import { type Place, placesOf } from "./groups.ts";
import { type Hierarchies, type Hierarchy, locate, readHierarchies } from "./hierarchies.ts";
import { findOwner, type Owner, type Ownership, parseMode } from "./ownership.ts";
import { STATUS } from "./status.ts";
import { planSettings } from "./write.ts";

export interface ConfigPlan {
  /** Makes everything. Takes back what was made when a step fails. */
  readonly steps: readonly CallStep[];
  /** To whom the groups belong, which shows in full once they are there. */
  readonly owners: readonly { readonly places: readonly Place[]; readonly ownership: Ownership }[];
  readonly notes: readonly string[];
}

/** `fallback` is the ownership of groups for which the file has none. */
export const planConfig = (host: Host, config: Config, fallback: Ownership): ConfigPlan => {
  const { steps: mounts, hierarchies, notes } = planMounts(readHierarchies(host), config.mounts);
  const on = draft(host);
  const parts = config.groups.map((group) => planConfigured(on, hierarchies, group));
  const defaults = config.defaults && ownershipOf(host, config.defaults);
  return {
    steps: [...mounts, ...parts.flatMap(({ steps }) => steps)],
    owners: parts.map(({ places, group }) => ({
      places,
      ownership: group.permissions ? ownershipOf(host, group.permissions) : (defaults ?? fallback),
    })),
    notes: [...notes, ...parts.flatMap((part) => part.notes)],
  };
};

interface ConfiguredPlan {
  readonly group: ConfiguredGroup;
  readonly places: readonly Place[];
  readonly steps: readonly CallStep[];
  readonly notes: readonly string[];
}

/** One group: its directories, and then its settings in them. */
export const planConfigured = (
  on: Draft,
  hierarchies: Hierarchies,
  group: ConfiguredGroup,
): ConfiguredPlan => {
  const path = group.name === "." ? "/" : group.name;
  const controllers = group.controllers.map(({ name }) => name);
  const places = placesOf(on.host, hierarchies, { controllers, path });
  const create = places.flatMap((place) => planGroup(on, place));
  const { steps, notes } = planSettings(on.host, hierarchies, {
    groups: [path],
    settings: group.controllers.flatMap(({ settings }) => settings),
    draft: on,
  });
  return { group, places, steps: [...create, ...steps], notes };
};

/** A mount that is there is left alone, wherever it is; so is a controller of version 2, which needs none of its own. */
const planMounts = (
  hierarchies: Hierarchies,
  mounts: readonly ConfiguredMount[],
): { steps: CallStep[]; hierarchies: Hierarchies; notes: string[] } => {
  const notes: string[] = [];
  const wanted = new Map<string, string[]>();
  for (const { words, path } of mounts) {
    const [controller] = words.filter((word) => !(word in mountFlags));
    const there = controller === undefined ? undefined : locate(hierarchies, controller);
    if (!there) wanted.set(path, [...(wanted.get(path) ?? []), ...words]);
    else if (there.hierarchy.mountPoint !== path)
      notes.push(
        `${controller} is mounted on ${there.hierarchy.mountPoint} (cgroup v${there.hierarchy.version}), and not on ${path} as well`,
      );
  }
  const more: Hierarchy[] = [];
  const steps = [...wanted].flatMap(([path, words]) => {
    const controllers = words.filter((word) => !(word in mountFlags) && !word.startsWith("name="));
    const name = words.find((word) => word.startsWith("name="));
    more.push({ version: 1, mountPoint: path, controllers, ...(name && { name: name.slice(5) }) });
    const flags = words.reduce((all, word) => all | (mountFlags[word] ?? 0), 0);
    const data = [...(controllers.length ? controllers : ["none"]), ...(name ? [name] : [])].join(",");
    const about = { status: STATUS.mountFailed };
    return [
      mkdir(path, 0o755, { ...about, tolerate: [errno("EEXIST")], undo: rmdir(path) }),
      mount(
        { source: "cgroup", target: path, fstype: "cgroup", flags, data },
        {
          ...about,
          title: `mount ${data} on ${path}`,
          undo: umount(path, 0),
          hints: {
            [errno("EBUSY")]: "cgroup v2 has the controller, or it is mounted with others: nsk lssubsys -am",
          },
        },
      ),
    ];
  });
  return { steps, hierarchies: [...hierarchies, ...more], notes };
};

const mountFlags: Readonly<Record<string, number>> = {
  nosuid: MS.MS_NOSUID,
  noexec: MS.MS_NOEXEC,
  nodev: MS.MS_NODEV,
};

/** A `perm` section with names and modes looked up. */
export const ownershipOf = (host: Host, { task, admin }: Permissions): Ownership => ({
  all: owner(host, admin),
  tasks: owner(host, task),
  directoryMode: mode(admin.dperm),
  fileMode: mode(admin.fperm),
  tasksMode: mode(task.fperm),
});

const owner = (host: Host, { uid, gid }: PermissionPart): Owner | undefined =>
  uid === undefined && gid === undefined ? undefined : findOwner(host, uid, gid, bad);

const mode = (text: string | undefined): number | undefined =>
  text === undefined ? undefined : parseMode(text, bad);

const bad = (message: string, hint?: string): HostError => new HostError(message, hint, STATUS.badConfig);
