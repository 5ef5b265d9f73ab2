// The control-group tools on a machine whose control groups are of one version or both: what they do stands in the files
// afterwards, and where libcgroup's own tools work there, they say the same. The names on the command lines are those of
// version 1, as the tutorials have them.

import { expect } from "bun:test";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { librariesOf, realFile } from "../../scripts/vm/components.ts";
import type { Cgroups, Guest, Ran } from "../../scripts/vm/guest.ts";
import { type GuestTest, printed } from "./in-guest.ts";

const peers = ["lssubsys", "lscgroup", "cgget", "cgset", "cgexec"].map((tool) => `/usr/bin/${tool}`);
/** The guest has libcgroup's tools where this machine has them: with their libraries, because it has none itself. */
const hasPeers = peers.every((path) => existsSync(path));
const PLACE = "/usr/lib/peers";
const libraries = hasPeers ? [...new Set(peers.flatMap(librariesOf))] : [];
const loader = libraries.map((path) => basename(path)).find((name) => name.startsWith("ld-linux"));

export const guest = (cgroups: Cgroups): Guest => ({
  cgroups,
  files: Object.fromEntries(
    (hasPeers ? [...peers, ...libraries] : []).map((path) => [
      `${PLACE}/${basename(path)}`,
      { from: realFile(path) },
    ]),
  ),
});

/** Where a controller's groups are. */
const at = (cgroups: Cgroups, controller: string): string =>
  cgroups === "v2" ? "/sys/fs/cgroup" : `/sys/fs/cgroup/${controller}`;

const said =
  (stdout: string | RegExp) =>
  (ran: Ran): void => {
    expect(ran.status).toBe(0);
    if (typeof stdout === "string") expect(ran.stdout).toBe(stdout);
    else expect(ran.stdout).toMatch(stdout);
  };

export const tools = (it: GuestTest, cgroups: Cgroups): void => {
  const isV2 = cgroups === "v2";
  const [cpu, memory, cpuset, pids] = ["cpu", "memory", "cpuset", "pids"].map((name) => at(cgroups, name));
  const quiet = "2>/dev/null";

  it(
    "settings by the names of version 1, and what the files say then",
    `nsk cgcreate -g cpu,memory,pids:set
     nsk cgset -r cpu.cfs_quota_us=50% -r cpu.shares=512 -r memory.limit_in_bytes=64MiB -r pids.max=9 set ${quiet}
     cat ${isV2 ? `${cpu}/set/cpu.max ${cpu}/set/cpu.weight` : `${cpu}/set/cpu.cfs_quota_us ${cpu}/set/cpu.shares`}
     cat ${memory}/set/${isV2 ? "memory.max" : "memory.limit_in_bytes"} ${pids}/set/pids.max
     nsk cgget -nv -r cpu.cfs_quota_us -r cpu.shares -r memory.limit_in_bytes -r pids.max set
     nsk cgdelete cpu,memory,pids:set; nsk lscgroup | grep -c :/set || true`,
    said(
      `${isV2 ? "50000 100000\n59" : "50000\n512"}\n67108864\n9\n50000\n${isV2 ? 521 : 512}\n67108864\n9\n0\n`,
    ),
  );
  it(
    "settings by the names of version 2, with units",
    `nsk cgcreate -g cpu,memory:set2
     nsk cgset -r 'cpu.max=1.5 50ms' -r memory.max=25% set2 ${quiet}
     nsk cgget -nv -r cpu.max -r cpu.cfs_period_us set2
     all=$(grep MemTotal /proc/meminfo | tr -dc 0-9); half=$(nsk cgget -nv -r memory.max set2)
     [ $((half / 1024 - all / 4)) -le 4 ] && [ $((all / 4 - half / 1024)) -le 4 ]
     nsk cgdelete cpu,memory:set2`,
    said("75000 50000\n50000\n"),
  );
  it(
    "a cpuset is filled in an order that the kernel takes, and takes a process",
    `nsk cgcreate -g cpuset:sets
     nsk cgset -r cpuset.cpus=0 -r cpuset.mems=0 sets
     cat ${cpuset}/sets/cpuset.cpus ${cpuset}/sets/cpuset.mems
     nsk cgexec -g cpuset:sets grep Cpus_allowed_list /proc/self/status
     nsk cgdelete cpuset:sets`,
    said("0\n0\nCpus_allowed_list:\t0\n"),
  );
  it(
    "memory with swap goes down and up again, whichever is given first",
    `nsk cgcreate -g memory:swap
     both() { nsk cgset -r memory.memsw.limit_in_bytes=$2 -r memory.limit_in_bytes=$1 swap ${quiet}; }
     show() { nsk cgget -nv -r memory.limit_in_bytes -r memory.memsw.limit_in_bytes swap; }
     both 64M 96M; show; both 200M 300M; show; both 32M 40M; show
     nsk cgdelete memory:swap`,
    said([64, 96, 200, 300, 32, 40].map((size) => `${size * 1024 * 1024}\n`).join("")),
  );
  it(
    "-R, and groups listed, moved to, told and removed",
    `nsk cgcreate -g cpu,pids:tree/a/b -g cpu,pids:tree/c
     nsk cgset -R -r cpu.shares=100 tree ${quiet}
     nsk lscgroup cpu:tree | sed 's/.*://'
     sleep 60 & pid=$!
     nsk cgclassify -g cpu,pids:tree/a/b $pid
     grep -c /tree/a/b /proc/$pid/cgroup
     nsk cgset -r pids.max=5 tree/a
     nsk why $pid | grep binds
     nsk top --once -d 0.1 tree | wc -l
     nsk cgdelete -r cpu,pids:tree
     grep -c /tree /proc/$pid/cgroup || true`,
    said(
      new RegExp(
        `^/tree/\n(?:/tree/a\n/tree/a/b\n/tree/c\n|/tree/c\n/tree/a\n/tree/a/b\n)${isV2 ? 1 : 2}\n +processes +/tree/a: 5, 1 used  <- binds\n5\n0\n$`,
      ),
    ),
  );
  it(
    "cgconfig.conf in the words of version 1, and a snapshot that makes it again",
    `cat >groups.conf <<END
group conf { cpu { cpu.shares = 512; cpu.cfs_quota_us = 20000; } memory { memory.limit_in_bytes = 32M; } }
END
     nsk cgconfigparser -l groups.conf ${quiet}
     show() { nsk cgget -nv -r cpu.cfs_quota_us -r memory.limit_in_bytes conf; }
     show
     nsk cgsnapshot cpu memory >again.conf
     nsk cgdelete cpu,memory:conf
     nsk cgconfigparser -l again.conf
     show
     nsk cgdelete cpu,memory:conf`,
    said("20000\n33554432\n20000\n33554432\n"),
  );
  it(
    "cgrules.conf chooses, and a template makes the group",
    `nsk cgcreate -g pids:rules
     echo 'root:grep pids rules/%u' >/etc/cgrules.conf
     echo 'template rules/%u { pids { pids.max = 77; } }' >/etc/cgconfig.conf
     nsk cgexec grep -o '/rules/root' /proc/self/cgroup
     cat ${pids}/rules/root/pids.max
     rm /etc/cgrules.conf /etc/cgconfig.conf
     nsk cgdelete -r pids:rules`,
    printed("/rules/root\n77\n"),
  );
  it(
    "cgxget and cgxset speak one version",
    `nsk cgcreate -g cpu:words
     nsk cgxset -1 -r cpu.shares=1024 words ${quiet}; nsk cgxset -2 -r cpu.weight=100 words ${quiet}
     nsk cgxget -1 -nv -r cpu.shares words; nsk cgxget -2 -nv -r cpu.weight words
     nsk cgxset -1 -r cpu.weight=5 words 2>&1 >/dev/null | head -n 1
     nsk cgdelete cpu:words`,
    printed("1024\n100\nnsk cgxset: cpu.weight is no setting of cgroup v1\n"),
  );
  it(
    "cgget -m says what the machine has",
    "nsk cgget -m; nsk cgget -c | grep '^cpu\t'",
    printed(
      {
        v2: "Unified Mode (Cgroup v2 only).\ncpu\t2\n",
        v1: "Legacy Mode (Cgroup v1 only).\ncpu\t1\n",
        hybrid: "Hybrid Mode (Cgroup v1 and v2).\ncpu\t1\n",
        none: "",
      }[cgroups],
    ),
  );
  it(
    "what the version does not have is refused with what comes nearest",
    `nsk cgcreate -g memory:near
     nsk cgset -r ${isV2 ? "memory.swappiness=5" : "memory.high=5M"} near; s=$?; nsk cgdelete memory:near; exit $s`,
    ({ status, stderr }) => {
      expect(status).not.toBe(0);
      expect(stderr).toContain(
        isV2
          ? "cgroup v2 has no memory.swappiness\nhint: nearest to it is memory.swap.max"
          : "cgroup v1 has no memory.high\nhint: nearest to it is memory.limit_in_bytes",
      );
    },
  );

  owner(it, cgroups);
  if (isV2) unified(it);
  if (hasPeers) besidePeers(it, cgroups);
};

/** A subtree that root has given to alice, who then needs nobody. */
const owner = (it: GuestTest, cgroups: Cgroups): void => {
  it(
    "root gives alice a group with a shell in it; inside she makes, limits, enters and removes groups",
    `nsk cgcreate -a alice:alice -t alice:alice -g cpu,pids:alices/shell
     ${cgroups === "v2" ? "chown alice /sys/fs/cgroup/alices /sys/fs/cgroup/alices/cgroup.procs /sys/fs/cgroup/alices/cgroup.subtree_control" : "chown alice /sys/fs/cgroup/cpu/alices /sys/fs/cgroup/pids/alices"}
     cat >/tmp/as-alice <<'END'
     nsk cgcreate -g cpu,pids:alices/own/deep
     nsk cgset -r pids.max=20 alices/own/deep
     nsk cgexec -g pids:alices/own/deep grep -o /alices/own/deep /proc/self/cgroup
     nsk cgdelete -r cpu,pids:alices/own
END
     nsk cgexec -g cpu,pids:alices/shell su alice -s /bin/sh -c 'exec sh -eu /tmp/as-alice'
     nsk cgdelete -r cpu,pids:alices`,
    printed("/alices/own/deep\n"),
  );
};

/** What only version 2 forbids. */
const unified = (it: GuestTest): void => {
  it(
    "a plain user outside of her own subtree is told the rule of the common ancestor",
    `nsk cgcreate -a alice:alice -t alice:alice -g pids:hers
     su alice -s /bin/sh -c 'nsk cgexec -g pids:hers true' && s=0 || s=$?; nsk cgdelete pids:hers; exit $s`,
    ({ status, stderr }) => {
      expect(status).not.toBe(0);
      expect(stderr).toContain(
        "Permission denied\nhint: a plain user moves a process only within a group that is hers or his",
      );
    },
  );
  it(
    "processes that keep a group from handing controllers on are named",
    `nsk cgcreate -g pids:inner
     sleep 60 & nsk cgclassify -g pids:inner $!
     nsk cgcreate -g memory:inner/child && s=0 || s=$?
     kill $!; wait $! || true; nsk cgdelete -r pids:inner; exit $s`,
    ({ status, stderr }) => {
      expect(status).toBe(96);
      expect(stderr).toMatch(/Device or resource busy\nhint: .*it holds \d+ \(sleep\)/);
    },
  );
};

/** The same line through both, where libcgroup 2.0.2 does what its manual pages say. */
const besidePeers = (it: GuestTest, cgroups: Cgroups): void => {
  const same = (line: string, prepare = "true", clean = "true"): void =>
    it(
      `${line}: as libcgroup's`,
      `${prepare}
       ${PLACE}/${loader} --library-path ${PLACE} ${PLACE}/${line} >/tmp/theirs 2>/dev/null && theirs=0 || theirs=$?
       nsk ${line} >/tmp/ours 2>/dev/null && ours=0 || ours=$?
       ${clean}
       cat /tmp/theirs; echo "$theirs"; echo --; cat /tmp/ours; echo "$ours"`,
      ({ status, stdout }) => {
        const [theirs, ours] = stdout.split("--\n");
        expect([status, ours]).toEqual([0, theirs]);
      },
    );
  const [make, remove] = ["nsk cgcreate -g cpu,pids:peer/a", "nsk cgdelete -r cpu,pids:peer"];
  if (cgroups === "v1")
    for (const line of [
      "lssubsys",
      "lssubsys -a",
      "lssubsys -i",
      "lssubsys -m",
      "lssubsys -am",
      "lssubsys -ami",
      "lssubsys -M",
      "lssubsys cpu",
      "lssubsys -m cpu memory",
      "lssubsys -i cpuacct",
      "lscgroup",
    ])
      same(line);
  same("lscgroup cpu:peer", make, remove);
  same("cgget -r pids.max peer", make, remove);
  same("cgget -nv -r pids.max peer peer/a", make, remove);
  same(
    "cgset -r pids.max=7 peer",
    make,
    `cat ${at(cgroups, "pids")}/peer/pids.max >>/tmp/ours; echo 7 >>/tmp/theirs; ${remove}`,
  );
  same("cgget -r pids.nope peer", make, remove);
  same("cgexec -g pids:peer/a grep -o /peer/a /proc/self/cgroup", make, remove);
};
