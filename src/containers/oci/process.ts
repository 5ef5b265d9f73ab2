// The last part of what makes a process in a container, its first or one that joins it: streams, limits, identity,
// directory, confinement, and the program.

import { errno } from "../../abi/errno.ts";
import { HostError } from "../../abi/errors.ts";
import type { Host } from "../../host/host.ts";
import { type CallStep, slot, valueOf } from "../../plan/call.ts";
import * as by from "../../plan/container-steps.ts";
import * as enter from "../../plan/namespace-steps.ts";
import type { Step } from "../../plan/plan.ts";
import { programCandidates } from "../../plan/program.ts";
import * as steps from "../../plan/steps.ts";
import type { Config } from "../config.ts";
import { umask } from "../container.ts";
import { boundingSet, identity } from "../privileges.ts";
import { become, variable } from "../program.ts";
import { type Bundle, channel, ownErrors } from "./container.ts";

/** What the program is to be, while this process may still change it; whether there is such a program is known then. */
export const prepareProgram = (bundle: Bundle, host: Host): Step[] => {
  const { process, linux } = bundle.config;
  return [
    ...process.rlimits.map(({ type, soft, hard }) => steps.limitResource(type, soft, hard)),
    ...(process.ioPriority ? [by.setIoPriority(process.ioPriority.class, process.ioPriority.priority)] : []),
    ...(linux.personality ? [by.setPersonality(linux.personality.domain)] : []),
    ...boundingSet(process.capabilities.bounding),
    ...identity(bundle, host),
    ...enterDirectory(process.cwd),
    steps.setUmask(process.user.umask ?? 0o022, umask, { reason: "the bundle's, or runc's usual one" }),
    ...findProgram(bundle.config),
  ];
};

/** Tells nsk, which may go, and gives the program its own standard error. */
export const tellReady = (): CallStep[] => [
  ...by.tellByte(channel, "all is ready: nsk may go"),
  steps.close(channel),
  by.duplicate(ownErrors, 2, "use standard error", { reason: "from here on it is the program's" }),
];

/** The last steps. `confine` is empty where that has been done. */
export const becomeProgram = (bundle: Bundle, confine: readonly CallStep[]): Step[] => [
  steps.closeFrom(3 + bundle.preserved, {
    reason: "no descriptor of the host gets in but those it was given",
  }),
  ...confine,
  become(bundle.config.process),
];

/** What is asked of a security module that is not there would go unheeded. */
export const refuseMissingModules = ({ process, linux }: Config, host: Host): void => {
  const { apparmorProfile, selinuxLabel } = process;
  if (apparmorProfile !== undefined && apparmorProfile !== "unconfined" && !hasApparmor(host))
    throw new HostError(`process.apparmorProfile '${apparmorProfile}': AppArmor is not enabled here`);
  if ((selinuxLabel ?? linux.mountLabel) !== undefined && !hasSelinux(host))
    throw new HostError(
      `'${selinuxLabel ?? linux.mountLabel}' is a label of SELinux, which is not enabled here`,
    );
};

export const hasApparmor = (host: Host): boolean =>
  host.read("/sys/module/apparmor/parameters/enabled")?.startsWith("Y") ?? false;

export const hasSelinux = (host: Host): boolean => host.kind("/sys/fs/selinux/enforce") !== undefined;

/** Written now, and in force from the next execve(2) on. @see proc_pid_attr(5) */
export const securityModules = ({ process }: Config, host: Host): CallStep[] => {
  const { apparmorProfile, selinuxLabel } = process;
  const out: CallStep[] = [];
  if (apparmorProfile !== undefined && hasApparmor(host)) {
    const own = "/proc/self/attr/apparmor/exec";
    out.push(
      ...steps.writeFile(host.kind(own) ? own : "/proc/self/attr/exec", `exec ${apparmorProfile}`, {
        title: `use the AppArmor profile ${apparmorProfile}`,
        hints: { [errno("ENOENT")]: "no such profile is loaded: aa-status lists those that are" },
      }),
    );
  }
  if (selinuxLabel !== undefined)
    out.push(
      ...steps.writeFile("/proc/self/attr/exec", selinuxLabel, {
        title: `use the SELinux context ${selinuxLabel}`,
      }),
    );
  return out;
};

/** No link of /proc/PID is followed: one to a descriptor would lead out (CVE-2024-21626). */
const enterDirectory = (path: string): CallStep[] => {
  const title = `change the working directory to ${path}`;
  const fd = slot("cwd");
  return [by.holdPath(path, fd, { title }), enter.changeToOpen(fd, title), steps.close(fd, { title })];
};

/** Who is to be the program may open its own standard streams anew, as /dev/stdout and the like. */
export const giveStandard = ({ config }: Bundle, host: Host, isTold: boolean): CallStep[] => {
  const { uid } = config.process.user;
  if (uid === 0) return [];
  const tolerate = [errno("EINVAL"), errno("EPERM"), errno("EROFS")];
  return [0, 1, 2].flatMap((fd) => {
    // The null device is everybody's.
    const isOthers = !config.process.terminal && host.device(`/proc/self/fd/${fd}`) !== undefined;
    if (isOthers) return [];
    const to =
      isTold && fd === 2 && !config.process.terminal
        ? valueOf(ownErrors)
        : ({ type: "int", value: fd } as const);
    return [
      steps.call(
        "fchown",
        [to, { type: "int", value: uid }, { type: "int", value: -1 }],
        "give the streams away",
        {
          tolerate,
        },
      ),
    ];
  });
};

/** Whether there is such a program: `create` tells, and not the start. */
const findProgram = ({ process }: Config): CallStep[] => {
  const program = process.args[0]!;
  const candidates = programCandidates(program, variable(process.env, "PATH"));
  const found = slot("program");
  const title = `find ${program}`;
  return candidates.map((path, i) =>
    by.mayExecute(path, title, {
      result: found,
      ...(i > 0 && { unless: found }),
      ...(i < candidates.length - 1 && { onError: "ignore" }),
    }),
  );
};
