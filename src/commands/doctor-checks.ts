// What may be wrong with a machine for nsk: each check by a stable id, from the facts of the host and the outcome of
// trials. Pure.

import type { Trial } from "../backends/trials.ts";
import { knownControllers, modeOf, readHierarchies } from "../cgroups/hierarchies.ts";
import { mayAdminister } from "../containers/privileges.ts";
import { users } from "../host/accounts.ts";
import type { Host } from "../host/host.ts";
import { findProgram } from "../namespaces/helper.ts";
import { type Kind, kinds } from "../namespaces/kinds.ts";
import { userNamespacesForbidden } from "../namespaces/refusals.ts";

/** `error`: a part of nsk does not work. `warning`: it works less well, or not for everybody. `note`: good to know. */
export type Severity = "ok" | "note" | "warning" | "error";

/** What `--fix` can do: a value for a file of /proc/sys, until the next boot, or a module to load. */
export type Fix = { readonly sysctl: string; readonly value: string } | { readonly module: string };

export interface Finding {
  /** Stable: scripts look for it. */
  readonly id: string;
  readonly severity: Severity;
  /** What was found. */
  readonly reason: string;
  /** What to do about it, as a command where there is one. */
  readonly mend?: string;
  readonly fix?: Fix;
}

/** Outcomes of what was tried. */
export interface Trials {
  readonly namespaces: Readonly<Record<Kind, Trial>>;
  /** An overlay in a mount namespace of its own. */
  readonly overlay: Trial;
  /** A program in a memfd. */
  readonly memory: Trial;
  /** A control group of its own, next to this process's. */
  readonly group: Trial;
  /** Calls of the kernel by their names, and whether it has them. */
  readonly calls: Readonly<Record<string, boolean>>;
}

/** All checks, in the order in which they are shown. */
export const diagnose = (host: Host, trials: Trials): Finding[] => [
  privileges(host),
  ...Object.entries(trials.namespaces).map(([kind, trial]) => namespace(kind as Kind, trial)),
  plainUsers(host),
  ...subordinateIds(host),
  networkPrograms(host),
  ...groups(host, trials.group),
  overlay(host, trials.overlay),
  seccomp(host),
  memory(host, trials.memory),
  ...proc(host),
  apparmor(host),
  selinux(host),
  ...Object.entries(trials.calls).map(([name, isThere]) => call(name, isThere)),
];

const ok = (id: string, reason: string): Finding => ({ id, severity: "ok", reason });

const privileges = (host: Host): Finding => {
  const id = "privileges";
  if (host.euid !== 0)
    return {
      id,
      severity: "note",
      reason: `user ${host.euid}: namespaces begin with a user namespace, control groups need delegation`,
      mend: "sudo nsk doctor tells what root can do",
    };
  return mayAdminister(host)
    ? ok(id, "root, with CAP_SYS_ADMIN")
    : {
        id,
        severity: "error",
        reason: "root without CAP_SYS_ADMIN: this is a container, or a service that is confined",
        mend: "run nsk outside; docker's and podman's containers get it by --privileged",
      };
};

/** Kinds without which nothing of use works. */
const ESSENTIAL: readonly Kind[] = ["mount", "pid", "uts", "ipc", "net"];

const namespace = (kind: Kind, trial: Trial): Finding => {
  const id = `namespace.${kind}`;
  if (!trial) return ok(id, `can be made: its own ${kinds[kind].isolates}`);
  const { reason, hint } = trial;
  return {
    id,
    severity: ESSENTIAL.includes(kind) ? "error" : "warning",
    reason,
    ...(hint !== undefined && { mend: hint }),
  };
};

/** The files by which root forbids user namespaces, the value that forbids, and one that does not. */
const SWITCHES = [
  ["/proc/sys/user/max_user_namespaces", "0", "10000"],
  ["/proc/sys/kernel/unprivileged_userns_clone", "0", "1"],
  ["/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "0"],
] as const;

const plainUsers = (host: Host): Finding => {
  const id = "userns.unprivileged";
  const forbidden = userNamespacesForbidden(host);
  if (forbidden === undefined) return ok(id, "nothing is known that forbids plain users user namespaces");
  const [reason = "", mend = ""] = forbidden.split("; ");
  const by = SWITCHES.find(([path, value]) => host.read(path)?.trim() === value);
  return {
    id,
    severity: "warning",
    reason,
    mend,
    ...(by && { fix: { sysctl: by[0], value: by[2] } }),
  };
};

const S_ISUID = 0o4000;

const subordinateIds = (host: Host): Finding[] => {
  const name = users(host).find(({ uid }) => uid === host.euid)?.name ?? String(host.euid);
  const isListed = (path: string): boolean =>
    (host.read(path) ?? "")
      .split("\n")
      .some((line) =>
        host.euid === 0
          ? line.includes(":")
          : line.startsWith(`${name}:`) || line.startsWith(`${host.euid}:`),
      );
  const missing = ["/etc/subuid", "/etc/subgid"].filter((path) => !isListed(path));
  const ranges: Finding =
    missing.length === 0
      ? ok("subid.ranges", "/etc/subuid and /etc/subgid have ranges")
      : {
          id: "subid.ranges",
          severity: host.euid === 0 ? "note" : "warning",
          reason: `${missing.join(" and ")} ${missing.length > 1 ? "have" : "has"} no range ${host.euid === 0 ? "for anybody" : `for ${name}`}: --map-auto and --map-users map nothing for plain users, and their containers have one id`,
          mend: `usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${host.euid === 0 ? "USER" : name}`,
        };
  const helpers = ["newuidmap", "newgidmap"].map((program): Finding => {
    const id = `subid.${program}`;
    const path = ["/usr/bin", "/bin", "/usr/local/bin"]
      .map((directory) => `${directory}/${program}`)
      .find((path) => host.kind(path) === "file");
    if (path === undefined)
      return {
        id,
        severity: host.euid === 0 ? "note" : "warning",
        reason: `${program} is not there: only root maps ranges of ids`,
        mend: "apt install uidmap (shadow-utils on Fedora)",
      };
    const mode = host.mode(path) ?? 0;
    return mode & S_ISUID
      ? ok(id, `${path} is set-user-ID root`)
      : {
          id,
          severity: "note",
          reason: `${path} is not set-user-ID root; it works if it has file capabilities instead (getcap ${path})`,
          mend: `chmod u+s ${path}`,
        };
  });
  return [ranges, ...helpers];
};

/** What `run --network` starts for plain users. */
const networkPrograms = (host: Host): Finding => {
  const id = "network.programs";
  const there = ["pasta", "slirp4netns"].filter(
    (program) => host.kind(findProgram(host, program)) === "file",
  );
  return there.length
    ? ok(id, `${there.join(" and ")}: a way to the network for plain users' containers`)
    : {
        id,
        severity: "note",
        reason:
          "neither pasta nor slirp4netns is there: plain users' containers have loopback or the host's network",
        mend: "apt install passt",
      };
};

/** Controllers that nsk has flags or settings for. */
const WANTED = ["cpu", "memory", "pids", "cpuset"];

const groups = (host: Host, trial: Trial): Finding[] => {
  const hierarchies = readHierarchies(host);
  const mode = modeOf(hierarchies);
  if (mode === undefined)
    return [
      {
        id: "cgroup.mounted",
        severity: "error",
        reason: "no hierarchy of control groups is mounted",
        mend: "mount -t cgroup2 none /sys/fs/cgroup",
      },
    ];
  const version = {
    legacy: "version 1",
    hybrid: "version 1 and an empty version 2 beside it",
    unified: "version 2",
  };
  const there = hierarchies.flatMap(({ controllers }) => controllers);
  const missing = WANTED.filter((name) => !there.includes(name));
  const isOff = knownControllers(host).length > 0;
  return [
    ok("cgroup.mounted", version[mode]),
    missing.length === 0
      ? ok("cgroup.controllers", WANTED.join(", "))
      : {
          id: "cgroup.controllers",
          severity: "warning",
          reason: `no hierarchy has ${missing.join(", ")}${isOff ? "" : ": the kernel tells nothing of any"}`,
          mend:
            mode === "unified"
              ? "the kernel lacks them, or the command line has cgroup_disable=: see /proc/cmdline and /proc/cgroups"
              : `mount -t cgroup -o ${missing[0]} none /sys/fs/cgroup/${missing[0]}`,
        },
    trial
      ? {
          id: "cgroup.delegation",
          severity: host.euid === 0 ? "error" : "warning",
          reason: trial.reason,
          mend:
            host.euid === 0
              ? (trial.hint ?? "the hierarchy is mounted read-only: this is a container")
              : "nsk cgcreate -c asks systemd for a scope of one's own; or root gives a group away: nsk cgcreate -a USER -t USER -g cpu:GROUP",
        }
      : ok("cgroup.delegation", "groups can be made"),
  ];
};

const overlay = (host: Host, trial: Trial): Finding => {
  const id = "overlay";
  if (!trial) return ok(id, "can be mounted");
  const isKnown = /\toverlay$/m.test(host.read("/proc/filesystems") ?? "");
  return {
    id,
    severity: "warning",
    reason: trial.reason,
    mend: isKnown ? (trial.hint ?? "nsk run --rootfs DIR needs no overlay") : "modprobe overlay",
    ...(!isKnown && { fix: { module: "overlay" } }),
  };
};

const seccomp = (host: Host): Finding => {
  const id = "seccomp";
  const mode = /^Seccomp:\s+(\d)/m.exec(host.read("/proc/self/status") ?? "")?.[1];
  if (mode === undefined)
    return {
      id,
      severity: "warning",
      reason: "this kernel has no seccomp, or /proc does not tell",
      mend: "a kernel with CONFIG_SECCOMP_FILTER=y",
    };
  return mode === "0"
    ? ok(id, "the kernel has it, and no filter is on this process")
    : {
        id,
        severity: "note",
        reason: "a filter is on this process: calls may be refused that the kernel would make",
        mend: "docker run --security-opt seccomp=unconfined, for a container of docker's",
      };
};

const memory = (host: Host, trial: Trial): Finding => {
  const id = "memfd.exec";
  const value = host.read("/proc/sys/vm/memfd_noexec")?.trim();
  if (value === "2")
    return {
      id,
      severity: "note",
      reason:
        "vm.memfd_noexec=2: programs in memory are forbidden, and nsk uses a file without a name instead",
      mend: "sysctl -w vm.memfd_noexec=1",
      fix: { sysctl: "/proc/sys/vm/memfd_noexec", value: "1" },
    };
  if (!trial) return ok(id, "programs in memory can be executed");
  return {
    id,
    severity: "error",
    reason: trial.reason,
    mend: "a directory without noexec: /tmp, /dev/shm, /run or /var/tmp",
  };
};

const proc = (host: Host): Finding[] => {
  const lines = (host.read("/proc/self/mountinfo") ?? "").split("\n").map((line) => line.split(" "));
  const own = lines.filter(([, , , , path]) => path === "/proc").at(-1);
  const options = own?.at(-1) ?? "";
  const hidden = /\bhidepid=(\w+)/.exec(options)?.[1];
  const over = lines.flatMap(([, , , , path]) => (path?.startsWith("/proc/") ? [path] : []));
  const covered = over.filter((path) => path !== "/proc/sys/fs/binfmt_misc");
  return [
    hidden === undefined || hidden === "0" || hidden === "off"
      ? ok("proc.hidden", "/proc shows all processes")
      : {
          id: "proc.hidden",
          severity: host.euid === 0 ? "note" : "warning",
          reason: `/proc is mounted with hidepid=${hidden}: plain users see their own processes only`,
          mend: "mount -o remount,hidepid=0 /proc",
        },
    covered.length === 0
      ? ok("proc.covered", "nothing is mounted over parts of /proc")
      : {
          id: "proc.covered",
          severity: "warning",
          reason: `something is mounted over ${covered.slice(0, 3).join(", ")}${covered.length > 3 ? ", …" : ""}: in a user namespace no other proc can be mounted`,
          mend: "this is a container: docker run --security-opt systempaths=unconfined",
        },
  ];
};

const apparmor = (host: Host): Finding => {
  const id = "lsm.apparmor";
  if (host.read("/sys/module/apparmor/parameters/enabled")?.trim() !== "Y") return ok(id, "not enabled");
  const profile = host.read("/proc/self/attr/current")?.replace(/\0?\n?$/, "");
  return profile === undefined || profile === "" || profile.startsWith("unconfined")
    ? ok(id, "enabled, and this process is not confined")
    : {
        id,
        severity: "warning",
        reason: `this process is confined by the profile ${profile}`,
        mend: "journalctl -k --grep apparmor tells what it denies; docker run --security-opt apparmor=unconfined",
      };
};

const selinux = (host: Host): Finding => {
  const id = "lsm.selinux";
  const enforced = host.read("/sys/fs/selinux/enforce")?.trim();
  if (enforced === undefined) return ok(id, "not enabled");
  if (enforced === "0") return ok(id, "permissive");
  return {
    id,
    severity: "note",
    reason: "enforcing: what it denies looks like a missing permission",
    mend: "ausearch -m avc -ts recent tells what was denied",
  };
};

/** Since when the kernel has a call, and what is without it. */
const WITHOUT: Readonly<Record<string, string>> = {
  pidfd_open: "Linux 5.3; a process is known by its number alone, which may be used again",
  pidfd_getfd: "Linux 5.6; run -t cannot take the container's terminal",
  open_tree: "Linux 5.2; run -v cannot bind volumes",
  mount_setattr: "Linux 5.12; of a volume's mounts only the first is made read-only",
};

const call = (name: string, isThere: boolean): Finding => {
  const id = `kernel.${name}`;
  if (isThere) return ok(id, "the kernel has it");
  const [since, effect] = (WITHOUT[name] ?? "").split("; ");
  return {
    id,
    severity: "warning",
    reason: `the kernel does not have ${name}(2)${effect ? `: ${effect}` : ""}`,
    mend: `a kernel of ${since} or later, or a seccomp filter that lets it pass`,
  };
};
