// Scopes of a real systemd, which the guest's first process becomes: for root over the bus, for a plain user from her own
// manager.

import { expect, test } from "bun:test";
import { systemdDisk } from "../../scripts/vm/disk.ts";
import { needs } from "../support/needs.ts";
import { inGuest, printed } from "./in-guest.ts";

/** Goes on where the guest's init would have, as a service of systemd's. */
const PREPARE = `
cat >/run/guest/rest <<'END'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
job_disk=/dev/nvme0n2 result_disk=/dev/nvme0n3
say() { echo "@@ $*" >/dev/console; }
. /run/guest/setup
END
# What a script has left running stays: with it systemd's own processes would go.
sed -n '/^send()/,$p' /init | grep -v 'kill -9 -1' >>/run/guest/rest
mkdir -p /etc/systemd/system/multi-user.target.wants
cat >/etc/systemd/system/guest.service <<'END'
[Unit]
Wants=user@1000.service
After=user@1000.service dbus.socket
[Service]
Type=oneshot
ExecStart=/bin/busybox sh /run/guest/rest
END
ln -s ../guest.service /etc/systemd/system/multi-user.target.wants/guest.service
ln -s /dev/null /etc/systemd/system/serial-getty@ttyS0.service
exec /lib/systemd/systemd
`;

const reason = needs("root", "mmdebstrap");
const alice = { user: "alice", limit: 120 } as const;

if (reason) test.skip(`scopes of systemd (${reason})`, () => {});
else
  inGuest("systemd", { cgroups: "v2", disk: systemdDisk, prepare: PREPARE, patience: 300 }, (it) => {
    it(
      "alice: cgexec -c runs in a scope of her own",
      "nsk cgexec -c grep -o '/user@1000.service/app.slice/nsk-[0-9]*.scope$' /proc/self/cgroup | tr -d 0-9",
      printed("/user@.service/app.slice/nsk-.scope\n"),
      alice,
    );
    it(
      "alice: and in a group inside of it, whose limits are hers to set",
      `nsk cgexec -c -g memory,pids:limited/x sh -c '
         g=$(cut -d : -f 3 /proc/self/cgroup)
         echo "$g" | grep -o "[.]scope/.*"
         nsk cgset -r memory.max=64M -r pids.max=20 "$g"
         nsk cgget -nv -r memory.max -r pids.max "$g"'`,
      printed(".scope/limited/x\n67108864\n20\n"),
      alice,
    );
    it(
      "alice: cgcreate -c makes one that stays and hands controllers on",
      `p=$(nsk cgcreate -c -g memory,pids:lasting)
       cat "/sys/fs/cgroup$p/cgroup.subtree_control"
       nsk cgcreate -g memory:"$p/work"; nsk cgset -r memory.max=32M "$p/work"; nsk cgget -nv -r memory.max "$p/work"`,
      printed("memory pids\n33554432\n"),
      alice,
    );
    it(
      "alice: a process from outside is refused with the rule and what helps",
      `p=$(nsk cgcreate -c -g memory:outside); nsk cgcreate -g memory:"$p/work"
       nsk cgexec -g memory:"$p/work" true`,
      ({ status, stderr }) => {
        expect(status).toBe(96);
        expect(stderr).toContain("Permission denied\nhint: a plain user moves a process only within a group");
        expect(stderr).toContain("systemd-run --user --scope -p MemoryMax=64M PROGRAM");
      },
      alice,
    );
    it(
      "alice: the line that the hint names works",
      "XDG_RUNTIME_DIR=/run/user/1000 systemd-run --user --scope -p MemoryMax=64M sh -c 'cat /sys/fs/cgroup$(cut -d : -f 3 /proc/self/cgroup)/memory.max' 2>/dev/null",
      printed("67108864\n"),
      alice,
    );
    it(
      "alice: a container has her ranges of ids",
      "nsk run -- sh -c 'id -u; tr -s \" \" </proc/self/uid_map; chown 7:8 /tmp; stat -c %u:%g /tmp'",
      printed("0\n 0 1000 1\n 1 100000 65536\n7:8\n"),
      alice,
    );
    it(
      "alice: its limits are held to in a scope of her systemd's, which is gone when it ends",
      `nsk run -m 64m --pids-limit 20 --cpus 0.5 -- sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max /sys/fs/cgroup/cpu.max; cat /proc/self/cgroup'
       nsk run -m 32m -- tail /dev/zero || echo $?
       for i in 1 2 3 4 5 6 7 8 9 10; do [ -z "$(find /sys/fs/cgroup -name 'nsk-????????????.scope')" ] && break; sleep 1; done
       find /sys/fs/cgroup -name 'nsk-????????????*'; ls /run/user/1000/nsk`,
      ({ status, stdout, stderr }) => {
        expect([status, stdout]).toEqual([0, "67108864\n20\n50000 100000\n0::/\n137\n"]);
        expect(stderr).toContain("out of memory: the kernel killed a program of the container");
      },
      alice,
    );
    it(
      "alice: a limit that she has not been handed the controller for is refused, with what hands it on",
      "nsk run --blkio-weight 100 true",
      ({ status, stderr }) => {
        expect(status).toBe(125);
        expect(stderr).toBe(
          "nsk run: no limit for io here: user 1000 has not been handed this controller\n" +
            "hint: systemctl edit user@.service, and there: [Service] Delegate=cpu cpuset io memory pids\n",
        );
      },
      alice,
    );
    it(
      "root: a scope in a slice, of systemd's own",
      `nsk cgcreate -c -g cpu,memory:box.slice/box.scope
       systemctl show -P Slice box.scope; systemctl show -P Delegate box.scope
       nsk lscgroup memory:box.slice | sed 's/.*://'`,
      printed(
        "/box.slice/box.scope\nbox.slice\nyes\n/box.slice/\n/box.slice/box.scope\n/box.slice/box.scope/idle\n",
      ),
      { limit: 120 },
    );
    it(
      "root: a name that is taken is refused in systemd's words",
      `sleep 100 & nsk cgcreate -c -p $! -g memory:twice.scope >/dev/null; nsk cgcreate -c -p $! -g memory:twice.scope`,
      ({ status, stderr }) => {
        expect(status).toBe(96);
        expect(stderr).toStartWith(
          "nsk cgcreate: systemd does not make twice.scope: Unit twice.scope was already loaded",
        );
      },
      { limit: 120 },
    );
  });
