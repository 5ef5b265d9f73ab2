// The scripting API: what `import … from "nsk"` gives. It re-exports and does nothing itself.

export { HostError, StepError, UsageError } from "./abi/errors.ts";
export type { Arch } from "./abi/syscalls.ts";
export { type Cgroup, cgroup, type CgroupEvents, type CgroupStat, type Settings } from "./api/cgroup.ts";
export { container, type ContainerOptions, type Volume } from "./api/container.ts";
export { emit } from "./api/plans.ts";
export {
  type ChildOptions,
  exec,
  type Output,
  type Process,
  program,
  run,
  type RunOptions,
  type Signal,
  spawn,
  type SpawnOptions,
  type Terminal,
} from "./api/process.ts";
export type { GroupName, Mount, Program, ProgramOptions, ResourceLimits } from "./api/program.ts";
export { explain, explainJson } from "./backends/explain.ts";
export { namespaces } from "./backends/namespaces.ts";
export { perform } from "./backends/perform.ts";
export type { Exit, Stdio } from "./backends/child.ts";
export { type Host } from "./host/host.ts";
export { liveHost } from "./host/live.ts";
export { type IdRange } from "./namespaces/id-maps.ts";
export { type Kind } from "./namespaces/kinds.ts";
export { type NamespaceSource, type NsenterRequest, planNsenter } from "./namespaces/nsenter.ts";
export type { Namespace } from "./namespaces/inventory.ts";
export { planUnshare, type UnshareRequest } from "./namespaces/unshare.ts";
export { checkPlan } from "./plan/check.ts";
export type { CallStep, Slot } from "./plan/call.ts";
export type { ExecStep, ForkStep, Plan, Step, SuperviseStep, WaitStep } from "./plan/plan.ts";
export { programCandidates } from "./plan/program.ts";
export * as steps from "./plan/steps.ts";
