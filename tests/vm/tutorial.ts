// The tutorial on containers, command by command, as a person types it on a fresh machine: what is typed, and what must
// be seen. A row may go on from what those before it have made, but their processes have ended.

import { expect } from "bun:test";
import type { Cgroups, Ran, Script } from "../../scripts/vm/guest.ts";
import { type GuestTest, printed } from "./in-guest.ts";

interface Row {
  readonly title: string;
  readonly typed: string;
  readonly seen: (ran: Ran, cgroups: Cgroups) => void;
  readonly user?: Script["user"];
}

/**
 * Shell functions for rows that watch something run. `in_use GROUP`: its processor time in microseconds and the clock in
 * 10 ms, read from the files themselves, for nsk would take its share of what is measured. `held GROUP LIMIT`: what it
 * uses of a thousandth of a processor, until that is near to the limit, for a busy machine may leave it less.
 */
const TOOLS = `
until_true() { n=0; until "$@"; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.1; done; }
in_use() {
  if [ -e /sys/fs/cgroup/cpuacct ]; then used=$(($(cat /sys/fs/cgroup/cpuacct/$1/cpuacct.usage) / 1000))
  else read name used </sys/fs/cgroup/$1/cpu.stat; fi
  read clock rest </proc/uptime
  echo $used \${clock/./}
}
throttled() { nsk cgget -nv -r cpu.stat "$1" | grep -o 'nr_throttled [0-9]*'; }
held() {
  for window in 1 2 3 4 5 6 7 8 9 10; do
    set -- $1 $2 $(in_use $1); sleep 3; set -- $1 $2 $3 $4 $(in_use $1)
    share=$((($5 - $3) / (($6 - $4) * 10)))
    echo $share
    [ $share -lt $(($2 * 8 / 10)) ] || break
  done
  throttled $1
}
`;

/** The lines of `held` for a load that wants more than it may have: `limit` is in thousandths of a processor. */
const heldTo =
  (limit: number) =>
  ({ status, stdout, stderr }: Ran): void => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout.trim().split("\n");
    const stops = Number(lines.pop()!.split(" ")[1]);
    const shares = lines.map(Number);
    expect(Math.max(...shares)).toBeLessThan(limit * 1.2);
    expect(shares.at(-1)).toBeGreaterThanOrEqual(limit * 0.8);
    expect(stops).toBeGreaterThan(0);
  };

/** On cgroup v2 a name of v1 is translated, and it is said how; on v1 there is nothing to say. */
const translated =
  (note: string) =>
  ({ status, stdout, stderr }: Ran, cgroups: Cgroups): void =>
    expect({ status, stdout, stderr }).toEqual({
      status: 0,
      stdout: "",
      stderr: cgroups === "v2" ? `nsk cgset: ${note} on cgroup v2\n` : "",
    });

/** The ids of the containers that run, from their records. */
const CONTAINER = "ls /run/nsk | grep -v root";

/** Until the two that were started are programs of their own. */
const STARTED = "until [ $(ps -o args | grep -c sleep.360.$) = 2 ]; do sleep 0.1; done";

/** What ps shows inside of a PID namespace: a shell and the two that it has started. */
const INSIDE =
  /^ *PID +COMMAND\n +1 (\{\w+\} )?\/bin\/sh -c .*\n +2 (\{exe\} )?sleep 3600\n +3 (\{exe\} )?sleep 3601\n/;

const ROWS: readonly Row[] = [
  // User namespaces.
  {
    title: "touch /home/alice/you-can-see-me",
    typed:
      "touch /home/alice/you-can-see-me; chown alice:alice /home/alice/you-can-see-me; chmod 600 /home/alice/you-can-see-me",
    seen: printed(""),
  },
  {
    title: "unshare -U: alice is nobody, and so is the owner of her files",
    typed: "nsk unshare -U /bin/sh -c 'id -u; id -g; stat -c %U:%G you-can-see-me; cat you-can-see-me'",
    user: "alice",
    seen: printed("65534\n65534\nnobody:nogroup\n"),
  },
  {
    title:
      "echo 0 1000 65335 > /proc/PID/uid_map: root maps alice to the root of her namespace, from outside",
    typed: `${TOOLS}
      mkfifo -m 666 /tmp/go
      su alice -c 'exec nsk unshare -U /bin/sh -c "read x </tmp/go; cd /home/alice; id -u; id -g; touch hello-from-inside; stat -c %U:%G hello-from-inside you-can-see-me"' &
      inside() { [ "$(readlink /proc/$!/ns/user)" != "$(readlink /proc/self/ns/user)" ]; }
      until_true inside
      echo "0 1000 65335" >/proc/$!/uid_map
      echo "0 1000 65335" >/proc/$!/gid_map
      echo go >/tmp/go
      wait
      stat -c %U:%G /home/alice/hello-from-inside`,
    seen: printed("0\n0\nroot:root\nroot:root\nalice:alice\n"),
  },
  {
    title: "lsns | grep user: the new user namespace, with its shell",
    typed: `su alice -c 'exec nsk unshare -U sleep 60' &
      n=0; until nsk lsns | grep user | grep -q "$! alice"; do n=$((n + 1)); [ $n -lt 60 ]; sleep 0.1; done
      nsk lsns | grep -c user`,
    seen: printed("2\n"),
  },
  {
    title: "unshare -U --map-user=0, --map-root-user",
    typed: "nsk unshare -U --map-user=0 id -u; nsk unshare -U --map-root-user id -u",
    user: "alice",
    seen: printed("0\n0\n"),
  },
  // UTS namespaces.
  {
    title: "unshare --fork --mount --uts: a host name of its own",
    typed: `nsk unshare --fork --mount --uts /bin/sh -c 'mount -t tmpfs tmpfs /run; hostname uts-demo; hostname; ls /run'
      hostname
      ls -d /run/guest`,
    seen: printed("uts-demo\nguest\n/run/guest\n"),
  },
  {
    title: "lsns | grep uts, nsenter -t PID -a: into the namespaces of the one that was made",
    typed: `nsk unshare --fork --mount --uts /bin/sh -c 'mount -t tmpfs tmpfs /mnt; hostname uts-demo; sleep 60; :' &
      n=0; until nsk lsns -t uts -n -o PID,COMMAND | grep -q sleep.60; do n=$((n + 1)); [ $n -lt 60 ]; sleep 0.1; done
      pid=$(nsk lsns -t uts -n -o PID,COMMAND | grep sleep.60 | awk '{ print $1 }')
      nsk nsenter -t $pid -a /bin/sh -c 'hostname; grep -c " /mnt " /proc/mounts'
      hostname`,
    seen: printed("uts-demo\n1\nguest\n"),
  },
  // PID namespaces.
  {
    title: "unshare --pid --fork --mount-proc: ps shows what is inside",
    typed: `nsk unshare --pid --fork --mount-proc /bin/sh -c 'sleep 3600 & sleep 3601 & ${STARTED}; ps -o pid,args'`,
    seen: ({ status, stdout }) => {
      expect(status).toBe(0);
      expect(stdout).toMatch(INSIDE);
    },
  },
  {
    title: "lsns -t pid, ps -e -o pidns,pid,ppid,args: the namespace and its processes from outside",
    typed: `nsk lsns -t pid -n | wc -l
      nsk unshare --pid --fork --mount-proc /bin/sh -c 'sleep 3600 & sleep 3601 & wait' &
      n=0; until [ "$(nsk ps -e -o pidns,pid,ppid,args | grep -c sleep.360.$)" = 2 ]; do n=$((n + 1)); [ $n -lt 60 ]; sleep 0.1; done
      nsk lsns -t pid -n -o NS,NPROCS | tail -n 1 | awk '{ print $2 }'
      ns=$(nsk lsns -t pid -n -o NS | tail -n 1 | tr -d ' ')
      nsk ps -e -o pidns,pid,ppid,args | grep -c "^ *$ns .*sleep.360.$"`,
    seen: printed("1\n3\n2\n"),
  },
  // A running container.
  {
    title: "run --rm: a container has processes of its own, and nothing of it is left",
    typed: `nsk run --rm -- /bin/sh -c 'sleep 3600 & sleep 3601 & ${STARTED}; ps -o pid,args; echo made >/root/made'
      [ ! -e /root/made ]
      ${CONTAINER} | wc -l`,
    seen: ({ status, stdout }) => {
      expect(status).toBe(0);
      expect(stdout).toMatch(INSIDE);
      expect(stdout).toEndWith("\n0\n");
    },
  },
  // Control groups.
  {
    title: "lssubsys -am: the controllers, and where they are mounted",
    typed: "nsk lssubsys -am",
    seen: ({ status, stdout }, cgroups) => {
      expect(status).toBe(0);
      const lines = stdout.split("\n");
      if (cgroups !== "v2") expect(lines).toContain("cpu,cpuacct /sys/fs/cgroup/cpu,cpuacct");
      else expect(lines.find((line) => line.endsWith(" /sys/fs/cgroup"))).toContain("cpu,");
      // A controller that is not mounted is listed by its name.
      if (cgroups === "v2") expect(lines).toContain("cpuacct");
    },
  },
  {
    title: "cgcreate -g cpu:/cpulimited",
    typed: "nsk cgcreate -g cpu:/cpulimited; find /sys/fs/cgroup -name cpulimited",
    seen: (ran, cgroups) =>
      printed(cgroups === "v2" ? "/sys/fs/cgroup/cpulimited\n" : "/sys/fs/cgroup/cpu,cpuacct/cpulimited\n")(
        ran,
      ),
  },
  {
    title: "lscgroup | grep cpu: the new group is listed with the root",
    typed: "nsk lscgroup | grep 'cpu,'",
    seen: ({ status, stdout }) => {
      expect(status).toBe(0);
      expect(stdout).toMatch(/^(\S*cpu,\S*):\/\n\1:\/cpulimited\n$/);
    },
  },
  {
    title: "cgset -r cpu.cfs_quota_us=-1 cpulimited",
    typed: "nsk cgset -r cpu.cfs_quota_us=-1 cpulimited",
    seen: translated('cpu.cfs_quota_us=-1 is cpu.max "max 100000"'),
  },
  {
    title: "cgget -r cpu.cfs_quota_us cpulimited: no limit",
    typed: "nsk cgget -r cpu.cfs_quota_us cpulimited",
    seen: printed("cpulimited:\ncpu.cfs_quota_us: -1\n\n"),
  },
  {
    title: "cgexec -g cpu:cpulimited stress-ng: is never stopped without a limit",
    typed: `${TOOLS}
      nsk cgexec -g cpu:cpulimited stress-ng --quiet --matrix 0 -t 1
      throttled cpulimited`,
    seen: printed("nr_throttled 0\n"),
  },
  {
    title: "cgset -r cpu.cfs_quota_us=200000 cpulimited: two processors",
    typed: "nsk cgset -r cpu.cfs_quota_us=200000 cpulimited",
    seen: translated('cpu.cfs_quota_us=200000 is cpu.max "200000 100000"'),
  },
  {
    title: "cgget -r cpu.cfs_quota_us cpulimited: two processors",
    typed: "nsk cgget -r cpu.cfs_quota_us cpulimited",
    seen: printed("cpulimited:\ncpu.cfs_quota_us: 200000\n\n"),
  },
  {
    title: "stress-ng in cpulimited is held to half a processor",
    typed: `${TOOLS}
      nsk cgset -r cpu.cfs_quota_us=50000 cpulimited 2>/dev/null
      nsk cgexec -g cpu:cpulimited stress-ng --quiet --matrix 2 -t 60 2>/dev/null &
      sleep 1; held cpulimited 500`,
    seen: heldTo(500),
  },
  {
    title: "cgdelete cpu,cpuacct:/cpulimited",
    typed: "nsk cgdelete cpu,cpuacct:/cpulimited; find /sys/fs/cgroup -name cpulimited",
    seen: printed(""),
  },
  // docker's flags.
  {
    title: "run --cpu-shares 768 gets more than run --cpu-shares 256, by their weights",
    typed: `${TOOLS}
      nsk run --rm --cpuset-cpus 0 --cpu-shares 256 -- stress-ng --quiet --matrix 1 -t 60 2>/dev/null &
      until_true sh -c '${CONTAINER} | grep -q .'
      less=nsk-$(${CONTAINER})
      nsk run --rm --cpuset-cpus 0 --cpu-shares=768 -- stress-ng --quiet --matrix 1 -t 60 2>/dev/null &
      until_true sh -c '[ $(${CONTAINER} | wc -l) = 2 ]'
      more=nsk-$(${CONTAINER} | grep -v \${less#nsk-})
      sleep 2; in_use $less; in_use $more; sleep 5; in_use $less; in_use $more
      killall stress-ng; wait`,
    seen: ({ status, stdout }, cgroups) => {
      expect(status).toBe(0);
      const used = stdout
        .trim()
        .split("\n")
        .map((line) => Number(line.split(" ")[0]));
      const [less0, more0, less1, more1] = used as [number, number, number, number];
      // Shares are weights of 35 and 80 on version 2: runc's formula keeps 1024 at 100, and no ratio.
      const expected = cgroups === "v2" ? 80 / 35 : 3;
      const ratio = (more1 - more0) / (less1 - less0);
      expect(ratio).toBeGreaterThan(expected * 0.75);
      expect(ratio).toBeLessThan(expected * 1.25);
    },
  },
  {
    title: "run --cpus 0.25 stress-ng is held to a quarter of a processor",
    typed: `${TOOLS}
      nsk run --cpus="0.25" -- stress-ng --quiet --matrix 2 -t 60 2>/dev/null &
      until_true sh -c '${CONTAINER} | grep -q .'
      group=nsk-$(${CONTAINER})
      sleep 2; held $group 250
      killall stress-ng; wait`,
    seen: heldTo(250),
  },
];

/** The tutorial in a guest, in order. */
export const tutorial = (it: GuestTest, cgroups: Cgroups): void => {
  for (const { title, typed, seen, user = "root" } of ROWS)
    it(`tutorial: ${title}`, typed, (ran) => seen(ran, cgroups), { user });
};
