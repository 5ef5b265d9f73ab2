// Why this host may refuse a namespace, as hints by error number. Only a caller without privilege is asked further
// questions about, since they cost reading files.

import { errno } from "../abi/errno.ts";
import type { Host } from "../host/host.ts";
import type { Kind } from "./kinds.ts";

type Hints = Readonly<Record<number, string>>;

const number = (host: Host, path: string): number | undefined => {
  const text = host.read(path);
  return text === undefined ? undefined : Number.parseInt(text, 10);
};

/** Who forbids user namespaces to plain users here, and what root does about it; undefined if nobody is known to. @see user_namespaces(7) */
export const userNamespacesForbidden = (host: Host): string | undefined => {
  if (number(host, "/proc/sys/user/max_user_namespaces") === 0)
    return "user namespaces are switched off here; root switches them on: sysctl -w user.max_user_namespaces=10000";
  if (number(host, "/proc/sys/kernel/unprivileged_userns_clone") === 0)
    return "only root may make user namespaces here; root lets others: sysctl -w kernel.unprivileged_userns_clone=1";
  if (number(host, "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === 1)
    return "AppArmor restricts user namespaces here; root gives nsk a profile with 'userns,', or all of them: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0";
  return undefined;
};

/** Hints for `unshare(2)` and `clone(2)` with these kinds. */
export const unshareHints = (host: Host, of: readonly Kind[]): Hints => {
  const hints: Record<number, string> = {
    [errno("ENOSPC")]:
      "the limit on namespaces is reached: see the max_*_namespaces files in /proc/sys/user, and namespaces nested 32 deep",
    [errno("EINVAL")]: "this kernel does not know one of these kinds of namespaces",
  };
  if (of.includes("user")) {
    const forbidden = host.euid !== 0 ? userNamespacesForbidden(host) : undefined;
    if (forbidden !== undefined) hints[errno("ENOSPC")] = forbidden; // a limit of 0 is reached
    hints[errno("EPERM")] =
      forbidden ??
      "a process in a chroot cannot make a user namespace, and a seccomp filter may forbid it (containers have one)";
    hints[errno("EUSERS")] = "user namespaces are nested 32 deep already";
  } else {
    hints[errno("EPERM")] =
      host.euid === 0
        ? "this needs CAP_SYS_ADMIN, which root does not have here: inside a container, add --user --map-root-user"
        : "only root may do this; a plain user adds --user --map-root-user (-Ur)";
  }
  return hints;
};

/** Hints for writing `uid_map` and `gid_map`. */
export const mapHints = (host: Host): Hints => ({
  [errno("EPERM")]:
    (host.euid !== 0 ? userNamespacesForbidden(host) : undefined) ??
    "the kernel lets a plain user map only its own id, and root none that its own namespace lacks (user_namespaces(7))",
});
