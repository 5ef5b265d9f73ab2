// The mounts of a bundle, in its order. A place is looked up once, links of /proc/PID not followed, and mounted on by the
// descriptor: what others exchange meanwhile does not lead elsewhere (CVE-2021-30465).

import { errno } from "../../abi/errno.ts";
import { CLONE, MOUNT_ATTR, MS, O } from "../../abi/flags.ts";
import { HostError } from "../../abi/errors.ts";
import { groupDirectory } from "../../cgroups/groups.ts";
import type { Host } from "../../host/host.ts";
import { kernelIs } from "../../host/kernel.ts";
import { type CallStep, type Slot, slot } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import { hasNamespace, type IdMapping, isEarly, type Mount } from "../config.ts";
import { type MountOptions, readMountOptions } from "../mount-options.ts";
import { controlGroups } from "../mounts.ts";
import { overlayPath } from "../root.ts";
import { volumeSlot } from "../volumes.ts";
import type { Bundle } from "./container.ts";

const target = slot("place");
const above = slot("above");

/** Where the kernel cannot change the mounts of a tree by descriptor, a bundle's binds cannot be made safely. */
export const refuseOldKernel = (host: Host): void => {
  if (!kernelIs(host, 5, 12))
    throw new HostError("bundles need Linux 5.12 or later, which has mount_setattr", "nsk run needs less");
};

const idsSlot = (n: number): Slot => slot(`ids${n}`);

/** User namespaces that only say which ids are which, for mounts with mappings. Outside, where /proc shows the helper. */
export const idMaps = ({ config }: Bundle): Step[] =>
  config.mounts.flatMap(({ uidMappings, gidMappings, destination }, n) =>
    uidMappings && gidMappings ? idMap(uidMappings, gidMappings, idsSlot(n), destination) : [],
  );

const idMap = (
  users: readonly IdMapping[],
  groups: readonly IdMapping[],
  result: Slot,
  destination: string,
): Step[] => {
  const [pid, wait, fd] = [slot("helper"), slot("wait"), slot("fd")];
  const title = `map the ids of ${destination}`;
  const lines = (map: readonly IdMapping[]): string =>
    map.map(({ containerID, hostID, size }) => `${containerID} ${hostID} ${size}\n`).join("");
  return [
    enter.pipe(wait, { reason: "a helper is in the user namespace until that is held" }),
    {
      kind: "fork",
      flags: CLONE.CLONE_NEWUSER,
      pid,
      child: [...enter.awaitEnd(wait), { kind: "exit" }],
    },
    ...enter.writeComposed(["/proc/", pid, "/uid_map"], lines(users), title, fd),
    ...enter.writeComposed(["/proc/", pid, "/gid_map"], lines(groups), title, fd),
    enter.openComposed(["/proc/", pid, "/ns/user"], result, title),
    ...enter.endWait(wait),
    { kind: "join", pid },
  ];
};

/** Takes hold of what is bound in from the host, as it is to be inside. */
export const openSources = (bundle: Bundle, host: Host): CallStep[] =>
  bundle.config.mounts.flatMap((mount, n) => {
    if (mount.type === "bind") return openSource(bundle, mount, n, host);
    return mount.type === "cgroup" && !hasNamespace(bundle.config.linux, "cgroup")
      ? openGroups(bundle, mount, n)
      : [];
  });

/** A relative one is in the bundle. */
export const sourceOf = ({ bundle }: Bundle, { source }: Mount): string =>
  source.startsWith("/") ? source : `${bundle}/${source}`;

const openSource = (bundle: Bundle, mount: Mount, n: number, host: Host): CallStep[] => {
  const { config } = bundle;
  const source = sourceOf(bundle, mount);
  const tree = volumeSlot(n);
  const options = readMountOptions(mount.options);
  const title = `mount ${source} on ${mount.destination}`;
  const isShared = config.linux.rootfsPropagation?.endsWith("shared") ?? false;
  const out: CallStep[] = [
    steps.openTree(
      source,
      tree,
      { title, hints: { [errno("ENOENT")]: `there is no ${source}` } },
      options.isRecursive ? "tree" : "mount",
    ),
    // As those of the container's own tree, unless the options say more.
    ...(isShared
      ? []
      : [steps.setMountAttributes(tree, { propagation: MS.MS_SLAVE, isRecursive: true }, { title })]),
  ];
  if (mount.uidMappings) {
    const isRecursive = mount.options.includes("ridmap");
    out.push(
      steps.setMountAttributes(
        tree,
        { set: MOUNT_ATTR.MOUNT_ATTR_IDMAP, userns: idsSlot(n), isRecursive },
        { title, hints: { [errno("EINVAL")]: "this file system has no idmapped mounts" } },
      ),
    );
  }
  // A device or socket that is bound needs what a file does.
  if (host.kind(source) === undefined && host.euid === 0)
    throw new HostError(`${title}: there is no ${source}`);
  return [...out, ...changes(tree, options, title)];
};

/** What the options change of a mount that is there. */
const changes = (mount: Slot, { own, tree, propagation }: MountOptions, title: string): CallStep[] => {
  const out: CallStep[] = [];
  const { set, cleared } = own;
  if (set || cleared) out.push(steps.setMountAttributes(mount, { set, cleared }, { title }));
  return [...out, ...treeChanges(mount, { tree, propagation }, title)];
};

const treeChanges = (
  mount: Slot,
  { tree, propagation }: Pick<MountOptions, "tree" | "propagation">,
  title: string,
): CallStep[] => {
  const out: CallStep[] = [];
  if (tree.set || tree.cleared)
    out.push(steps.setMountAttributes(mount, { ...tree, isRecursive: true }, { title }));
  if (propagation)
    out.push(
      steps.setMountAttributes(
        mount,
        { propagation: propagation & ~MS.MS_REC, isRecursive: (propagation & MS.MS_REC) !== 0 },
        { title },
      ),
    );
  return out;
};

/** Inside, with the new root as the root. */
export const mountAll = (bundle: Bundle, host: Host): Step[] =>
  bundle.config.mounts.flatMap((mount, n) => attach(bundle, mount, n, host));

const attach = (bundle: Bundle, mount: Mount, n: number, host: Host): Step[] => {
  const { destination } = mount;
  const title = `mount ${destination}`;
  const isTree = mount.type === "bind" || (bundle.users !== undefined && isEarly(mount));
  const kind = mount.type === "bind" ? host.kind(sourceOf(bundle, mount)) : "directory";
  const place = placeFor(
    destination,
    kind === "directory" ? "directory" : "file",
    SOLID.includes(mount.type),
  );
  // The kernel's own names below /proc are no way in for what the container's image or another container put there.
  const isProc = destination === "/proc" || destination.startsWith("/proc/");
  const inProc = isProc ? [] : by.refuseProc(target, title, `${destination} leads into a proc by a link`);
  if (isTree)
    return [
      ...place,
      ...inProc,
      by.attachTo(volumeSlot(n), target, title),
      steps.close(volumeSlot(n), { title }),
      steps.close(target, { title }),
    ];
  const options = readMountOptions(mount.options);
  const { flags, data } = options;
  if (mount.type === "cgroup")
    return [
      ...place,
      ...inProc,
      steps.close(target, { title }),
      ...(hasNamespace(bundle.config.linux, "cgroup")
        ? controlGroups(destination, flags, bundle.limits.hierarchies)
        : attachGroups(bundle, mount, n)),
    ];
  const labelled = bundle.config.linux.mountLabel;
  const context = labelled === undefined ? [] : [`context="${labelled}"`];
  const all = [...(data === null ? [] : [data]), ...context].join(",");
  return [
    ...place,
    ...inProc,
    enter.changeToOpen(target, title, {
      reason: "so that . is the place, whatever its path leads to by now",
    }),
    steps.mount(
      { source: mount.source, target: ".", fstype: mount.type, flags, data: all || null },
      {
        title,
        // A kernel without POSIX message queues has no mqueue to mount, and nothing else misses it.
        ...(mount.type === "mqueue" && { tolerate: [errno("ENODEV")] }),
        hints: { [errno("ENODEV")]: `the kernel has no file system ${mount.type}` },
      },
    ),
    steps.close(target, { title }),
    ...(mount.options.includes("tmpcopyup") && hasFiles(bundle, destination, host)
      ? overImage(destination, flags, title)
      : []),
    steps.chdir("/"),
    ...(options.propagation || options.tree.set || options.tree.cleared
      ? [
          by.holdPath(destination, target, { title }),
          ...treeChanges(target, options, title),
          steps.close(target, { title }),
        ]
      : []),
  ];
};

const hasFiles = ({ config }: Bundle, destination: string, host: Host): boolean =>
  (host.list(`${config.root.path}${destination}`) ?? []).length > 0;

/**
 * What the image has there shows through the new tmpfs, which takes what is written: as if it had been copied up. The
 * working directory is still the one below.
 */
const overImage = (destination: string, flags: number, title: string): CallStep[] => {
  const [upper, work] = [`${destination}/upper`, `${destination}/work`];
  return [
    steps.mkdir(upper, 0o755, { title }),
    steps.mkdir(work, 0o700, { title }),
    steps.mount(
      {
        source: "overlay",
        target: destination,
        fstype: "overlay",
        flags,
        data: `lowerdir=.,upperdir=${overlayPath(upper)},workdir=${overlayPath(work)}`,
      },
      { title, reason: "the image's files, and above them the tmpfs" },
    ),
  ];
};

/** No link at all may lead to these: what protects the container would lie elsewhere (CVE-2019-19921). */
const SOLID: readonly string[] = ["proc", "sysfs"];

/** Makes a directory where there is none; as root, so that a user who may not finds it there. */
export const ensureDirectory = (path: string): CallStep[] =>
  path.split("/").some((name) => name !== "" && name !== ".")
    ? [...placeFor(path, "directory", false, `make ${path}`), steps.close(target, { title: `make ${path}` })]
    : [];

/** Leaves a hold on the place in {@link target}, which is made, with what is above it, where it is not there. */
const placeFor = (
  destination: string,
  kind: "directory" | "file",
  isSolid: boolean,
  title = `mount ${destination}`,
): CallStep[] => {
  const names = destination.split("/").filter(Boolean);
  const hints = {
    [errno("ELOOP")]: isSolid
      ? `${destination} of the root must be a directory, and no link`
      : `${destination} leads out of the root by a link of /proc`,
    [errno("ENOENT")]: `there is no ${destination} in the root, and it could not be made`,
  };
  const unless = target;
  const tolerate = [errno("EEXIST"), errno("EROFS")];
  const out: CallStep[] = [
    by.holdPath(destination, target, { title, onError: "ignore", links: !isSolid }),
    steps.open("/", O.O_PATH | O.O_CLOEXEC, above, { title, unless }),
  ];
  names.forEach((name, i) => {
    const path = `/${names.slice(0, i + 1).join("/")}`;
    const isLast = i === names.length - 1;
    out.push(
      isLast && kind === "file"
        ? by.mkfileIn(above, name, 0o644, title, { tolerate, unless })
        : by.mkdirIn(above, name, 0o755, title, { tolerate, unless }),
      steps.close(above, { title, unless }),
    );
    if (!isLast) out.push(by.holdPath(path, above, { title, unless, hints }));
  });
  out.push(by.holdPath(destination, target, { title, unless, hints, links: !isSolid }));
  return out;
};

const groupSlot = (n: number, i: number): Slot => slot(`group${n}.${i}`);

/** Without a cgroup namespace it sees its own groups all the same, as with runc. */
const openGroups = ({ limits }: Bundle, { destination }: Mount, n: number): CallStep[] =>
  limits.groups.map((group, i) =>
    steps.openTree(group, groupSlot(n, i), { title: `mount ${destination}` }, "mount"),
  );

const attachGroups = ({ limits }: Bundle, { destination, options }: Mount, n: number): CallStep[] => {
  const title = `mount ${destination}`;
  const { own, flags } = readMountOptions(options);
  const { hierarchies } = limits;
  const attachOne = (i: number, path: string): CallStep[] => [
    steps.setMountAttributes(groupSlot(n, i), own, { title }),
    steps.attachTree(groupSlot(n, i), path, { title }),
    steps.close(groupSlot(n, i), { title }),
  ];
  if (hierarchies.length === 0) return [];
  if (hierarchies.length === 1 && hierarchies[0]!.version === 2) return attachOne(0, destination);
  return [
    steps.mount(
      {
        source: "tmpfs",
        target: destination,
        fstype: "tmpfs",
        flags: flags & ~MS.MS_RDONLY,
        data: "mode=755",
      },
      { title },
    ),
    ...hierarchies.flatMap((hierarchy, i) => {
      const root = groupDirectory(hierarchy, "");
      const path = `${destination}${root.slice(root.lastIndexOf("/"))}`;
      return [steps.mkdir(path, 0o755), ...attachOne(i, path)];
    }),
    steps.mount(
      {
        source: null,
        target: destination,
        fstype: null,
        flags: flags | MS.MS_REMOUNT | MS.MS_BIND,
        data: null,
      },
      { title },
    ),
  ];
};
