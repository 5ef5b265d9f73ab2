// Masked and read-only paths of a bundle. Each place is looked up once and protected by the descriptor; what takes a
// masked file's place is checked to be the null device (CVE-2025-31133).

import { errno } from "../../abi/errno.ts";
import { MOUNT_ATTR, MS } from "../../abi/flags.ts";
import type { Host } from "../../host/host.ts";
import { type CallStep, slot } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Step } from "../../plan/plan.ts";
import * as steps from "../../plan/steps.ts";
import type { Bundle } from "./container.ts";

const place = slot("protected");
const nothing = slot("null");

export const protectPaths = (bundle: Bundle, host: Host): Step[] => {
  const { readonlyPaths, maskedPaths } = bundle.config.linux;
  const masked = maskedPaths.flatMap((path) => {
    const kind = kindOf(bundle, path, host);
    return kind === undefined ? [] : [{ path, isDirectory: kind === "directory" }];
  });
  return [
    ...readonlyPaths.flatMap((path) => (kindOf(bundle, path, host) ? readonlyPath(path) : [])),
    ...(masked.some(({ isDirectory }) => !isDirectory) ? openNull() : []),
    ...masked.flatMap(({ path, isDirectory }) => (isDirectory ? maskedDirectory(path) : maskedFile(path))),
    ...(masked.some(({ isDirectory }) => !isDirectory) ? [steps.close(nothing)] : []),
  ];
};

/** What is not there needs no protection. The kernel's own are as they are on the host, the rest is in the root. */
const kindOf = ({ config }: Bundle, path: string, host: Host): ReturnType<Host["kind"]> => {
  const isMounted = config.mounts.some(
    ({ destination, type }) =>
      (type === "proc" || type === "sysfs") && (path === destination || path.startsWith(`${destination}/`)),
  );
  if (isMounted) return host.kind(path);
  const bind = config.mounts.findLast(
    ({ destination }) => path === destination || path.startsWith(`${destination}/`),
  );
  if (bind?.type === "bind") return host.kind(`${bind.source}${path.slice(bind.destination.length)}`);
  return bind ? undefined : host.kind(`${config.root.path}${path}`);
};

const readonlyPath = (path: string): CallStep[] => {
  const title = `make ${path} read-only`;
  const copy = slot("copy");
  return [
    by.holdPath(path, place, { title }),
    by.copyMount(place, copy, title, { isRecursive: true }),
    steps.setMountAttributes(copy, { set: MOUNT_ATTR.MOUNT_ATTR_RDONLY, isRecursive: true }, { title }),
    by.attachTo(copy, place, title),
    steps.close(copy, { title }),
    steps.close(place, { title }),
  ];
};

/** Its number is in the inode: 1, 3. @see null(4) */
const openNull = (): Step[] => {
  const title = "use /dev/null";
  return [
    by.holdPath("/dev/null", nothing, { title, links: false }),
    enter.status(nothing, "null", title),
    {
      kind: "expect",
      found: enter.statusField("null", "rdev"),
      value: 0x103n,
      errno: errno("ENXIO"),
      title,
      hint: "/dev/null of the container is something else, and would not mask",
    },
  ];
};

const maskedFile = (path: string): CallStep[] => {
  const title = `mask ${path}`;
  const copy = slot("copy");
  return [
    by.holdPath(path, place, { title }),
    by.copyMount(nothing, copy, title),
    by.attachTo(copy, place, title),
    steps.close(copy, { title }),
    steps.close(place, { title }),
  ];
};

const maskedDirectory = (path: string): CallStep[] => {
  const title = `mask ${path}`;
  return [
    by.holdPath(path, place, { title }),
    enter.changeToOpen(place, title),
    steps.mount(
      {
        source: "tmpfs",
        target: ".",
        fstype: "tmpfs",
        flags: MS.MS_RDONLY,
        data: "size=0k,mode=755",
      },
      { title },
    ),
    steps.close(place, { title }),
    steps.chdir("/"),
  ];
};
