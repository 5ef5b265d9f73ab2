// Hosts that exist only here: version 1, hybrid and version 2, each as small as the planners' questions allow.

import { type Fixture, fixtureHost } from "../../src/host/fixture.ts";
import type { Host } from "../../src/host/host.ts";

const mountinfo = (rows: readonly string[]): string =>
  ["22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw", ...rows].map((row) => `${row}\n`).join("");

const header = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";

/** Files as a directory of a group has them. */
const group = (directory: string, files: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${directory}/${name}`, text]));

const merge = (base: Record<string, string>, more: Fixture): Host =>
  fixtureHost({ ...more, files: { ...base, ...more.files } });

/** As systemd mounts version 1: cpu and cpuacct together, and a named tree. */
export const v1 = (more: Fixture = {}): Host =>
  merge(
    {
      "/proc/self/mountinfo": mountinfo([
        "30 22 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755",
        "31 30 0:27 / /sys/fs/cgroup/systemd rw shared:10 - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd",
        "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct",
        "33 30 0:29 / /sys/fs/cgroup/memory rw shared:12 - cgroup cgroup rw,memory",
        "34 30 0:30 / /sys/fs/cgroup/cpuset rw shared:13 - cgroup cgroup rw,cpuset,clone_children",
        "35 30 0:31 / /sys/fs/cgroup/blkio rw shared:14 - cgroup cgroup rw,blkio",
        "36 30 0:32 / /sys/fs/cgroup/freezer rw shared:15 - cgroup cgroup rw,freezer",
        "37 30 0:33 / /sys/fs/cgroup/pids rw shared:16 - cgroup cgroup rw,pids",
      ]),
      "/proc/cgroups": `${header}cpuset\t3\t1\t1\ncpu\t1\t1\t1\ncpuacct\t1\t1\t1\nmemory\t4\t1\t1\nnet_cls\t0\t1\t1\nrdma\t0\t1\t0\n`,
      ...group("/sys/fs/cgroup/cpu,cpuacct", { "cgroup.procs": "1\n", tasks: "1\n", "cpu.shares": "1024\n" }),
      ...group("/sys/fs/cgroup/cpuset", { "cpuset.cpus": "0-3\n", "cpuset.mems": "0\n" }),
      ...group("/sys/fs/cgroup/memory", { "memory.limit_in_bytes": "9223372036854771712\n" }),
      ...group("/sys/fs/cgroup/memory", { "memory.memsw.limit_in_bytes": "9223372036854771712\n" }),
      "/sys/fs/cgroup/pids/tasks": "1\n",
      "/sys/fs/cgroup/freezer/tasks": "1\n",
      "/sys/fs/cgroup/blkio/tasks": "1\n",
    },
    more,
  );

/** Controllers one by one on version 1, and version 2 beside them with what is left. */
export const hybrid = (more: Fixture = {}): Host =>
  merge(
    {
      "/proc/self/mountinfo": mountinfo([
        "32 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu",
        "33 30 0:29 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct",
        "34 30 0:30 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory",
        "41 30 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
      ]),
      "/proc/cgroups": `${header}cpu\t1\t1\t1\ncpuacct\t2\t1\t1\nmemory\t4\t1\t1\nhugetlb\t0\t1\t1\n`,
      "/sys/fs/cgroup/cpu/tasks": "1\n",
      "/sys/fs/cgroup/cpuacct/tasks": "1\n",
      "/sys/fs/cgroup/memory/tasks": "1\n",
      ...group("/sys/fs/cgroup/unified", {
        "cgroup.controllers": "hugetlb\n",
        "cgroup.subtree_control": "\n",
      }),
    },
    more,
  );

/** Version 2 alone, as systemd leaves it: memory and pids are handed on by the root. */
export const v2 = (more: Fixture = {}): Host =>
  merge(
    {
      "/proc/self/mountinfo": mountinfo([
        "30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot",
      ]),
      "/proc/cgroups": `${header}cpuset\t0\t9\t1\ncpu\t0\t9\t1\ncpuacct\t0\t9\t1\nblkio\t0\t9\t1\nmemory\t0\t9\t1\ndevices\t0\t9\t1\n`,
      ...group("/sys/fs/cgroup", {
        "cgroup.controllers": "cpuset cpu io memory hugetlb pids rdma misc\n",
        "cgroup.subtree_control": "memory pids\n",
        "cgroup.procs": "1\n2\n",
        "cpu.stat": "usage_usec 9\n",
        "memory.stat": "anon 0\n",
      }),
    },
    more,
  );

/** A group of version 2 named `limited`, with the settings that a new one has. */
export const limitedOnV2: Record<string, string> = group("/sys/fs/cgroup/limited", {
  "cgroup.controllers": "cpu io memory pids\n",
  "cgroup.subtree_control": "\n",
  "cgroup.procs": "",
  "cgroup.freeze": "0\n",
  "cpu.weight": "100\n",
  "cpu.max": "max 100000\n",
  "cpu.stat": "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n",
  "memory.max": "max\n",
  "memory.low": "0\n",
  "memory.current": "4096\n",
  "memory.swap.max": "max\n",
  "memory.swap.current": "1000\n",
  "io.max": "",
  "io.weight": "default 100\n",
  "pids.max": "max\n",
});
