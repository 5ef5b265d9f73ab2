// Settings that one version of control groups has and the other has not, in any form: what comes nearest there. What
// settings.ts translates is not here. Pure.

/** One setting, or several with a `*` at the end. */
interface Gap {
  readonly names: string;
  /** The version that has it. */
  readonly of: 1 | 2;
  /** What to use on the other, for a person to read. */
  readonly nearest: string;
}

const gaps: readonly Gap[] = [
  {
    names: "cpu.rt_*",
    of: 1,
    nearest: "nothing: cgroup v2 has no share of real-time; chrt sets it for a process",
  },
  { names: "cpuacct.usage_*", of: 1, nearest: "cpu.stat counts for all processors together" },
  {
    names: "memory.swappiness",
    of: 1,
    nearest: "memory.swap.max (0 keeps the group from swap), or vm.swappiness for all",
  },
  {
    names: "memory.oom_control",
    of: 1,
    nearest: "memory.high slows a group instead of killing; memory.oom.group kills it as a whole",
  },
  { names: "memory.kmem.*", of: 1, nearest: "memory.max counts the kernel's memory too" },
  { names: "memory.use_hierarchy", of: 1, nearest: "nothing to set: cgroup v2 always counts what is below" },
  { names: "memory.force_empty", of: 1, nearest: "memory.reclaim" },
  {
    names: "memory.move_charge_at_immigrate",
    of: 1,
    nearest: "nothing: memory stays with the group that used it first",
  },
  { names: "memory.pressure_level", of: 1, nearest: "memory.pressure, which can be polled" },
  { names: "blkio.leaf_weight*", of: 1, nearest: "io.weight of a group for them alone" },
  { names: "blkio.*", of: 1, nearest: "io.stat counts, io.max and io.weight limit" },
  { names: "cpuset.memory_*", of: 1, nearest: "cpuset.mems, which moves memory along by itself" },
  {
    names: "cpuset.mem_*",
    of: 1,
    nearest: "cpuset.mems of this group and its neighbours, kept apart by hand",
  },
  { names: "cpuset.sched_*", of: 1, nearest: "cpuset.cpus.partition" },
  {
    names: "devices.*",
    of: 1,
    nearest: "a BPF program on the group (systemd's DeviceAllow=); no file does it",
  },
  { names: "net_cls.*", of: 1, nearest: "the group's path in rules of the firewall (nft socket cgroupv2)" },
  { names: "net_prio.*", of: 1, nearest: "the group's path in rules of the firewall (nft socket cgroupv2)" },
  { names: "freezer.*", of: 1, nearest: "cgroup.events tells whether a group is frozen" },
  {
    names: "cgroup.clone_children",
    of: 1,
    nearest: "nothing to set: an empty cpuset of cgroup v2 has what the group above has",
  },
  { names: "cgroup.event_control", of: 1, nearest: "poll(2) on memory.events or memory.pressure" },
  { names: "cpu.uclamp.*", of: 2, nearest: "nothing: only cgroup v2 has it" },
  { names: "cpu.weight.nice", of: 2, nearest: "cpu.shares" },
  { names: "cpu.pressure", of: 2, nearest: "cpu.stat (nr_throttled), or /proc/pressure/cpu for all" },
  {
    names: "memory.high",
    of: 2,
    nearest:
      "memory.limit_in_bytes, which kills where this slows; memory.soft_limit_in_bytes, which only gives way",
  },
  { names: "memory.min", of: 2, nearest: "memory.soft_limit_in_bytes, which protects less" },
  { names: "memory.oom.group", of: 2, nearest: "nothing: cgroup v1 kills one process" },
  { names: "memory.reclaim", of: 2, nearest: "memory.force_empty" },
  { names: "memory.swap.high", of: 2, nearest: "memory.memsw.limit_in_bytes" },
  { names: "memory.zswap.*", of: 2, nearest: "nothing: only cgroup v2 has it" },
  { names: "memory.pressure", of: 2, nearest: "memory.pressure_level, or /proc/pressure/memory for all" },
  { names: "io.latency", of: 2, nearest: "blkio.weight" },
  { names: "io.cost.*", of: 2, nearest: "blkio.weight" },
  { names: "io.prio.class", of: 2, nearest: "ionice, for a process" },
  { names: "io.pressure", of: 2, nearest: "/proc/pressure/io, for all" },
  { names: "io.stat", of: 2, nearest: "blkio.throttle.io_service_bytes" },
  { names: "cpuset.cpus.exclusive*", of: 2, nearest: "cpuset.cpu_exclusive" },
  { names: "cgroup.kill", of: 2, nearest: "freezer.state=FROZEN, a signal to each in cgroup.procs, THAWED" },
  { names: "cgroup.max.*", of: 2, nearest: "nothing: only cgroup v2 has it" },
  {
    names: "cgroup.subtree_control",
    of: 2,
    nearest: "nothing to set: a group of cgroup v1 has the controllers of its hierarchy",
  },
  { names: "cgroup.type", of: 2, nearest: "nothing to set: threads move one by one through tasks" },
  { names: "cgroup.pressure", of: 2, nearest: "nothing: only cgroup v2 has it" },
];

/** What comes nearest on `version` to a setting that it does not have; undefined for a name that nothing knows. */
export const nearestOn = (version: 1 | 2, name: string): string | undefined => {
  for (const { names, of, nearest } of gaps) {
    if (of === version) continue;
    if (names.endsWith("*") ? name.startsWith(names.slice(0, -1)) : name === names) return nearest;
  }
  return undefined;
};
