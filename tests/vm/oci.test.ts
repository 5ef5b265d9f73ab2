// Bundles on machines with one version of control groups: limits, devices, and the whole life of a container.

import { expect } from "bun:test";
import { inGuest, printed } from "./in-guest.ts";

/** A bundle of busybox in $B, with the lines of a script and a change of spec's config by sed. */
const bundle = (script: string, ...changes: readonly string[]): string => `
  B=$(mktemp -d); mkdir -p $B/rootfs/bin $B/rootfs/proc $B/rootfs/dev $B/rootfs/sys; cp /proc/self/exe $B/rootfs/bin/busybox
  for n in sh cat sleep ls mknod grep id; do ln -s busybox $B/rootfs/bin/$n; done
  nsk oci spec -b $B
  sed -i -e 's/"terminal": true/"terminal": false/' -e 's/"readonly": true/"readonly": false/' -e '/"sh"$/s#.*#"sh", "-c", "${script}"#' ${changes.map((it) => `-e '${it}'`).join(" ")} $B/config.json`;

const limits = `s/"resources": {/"cgroupsPath": "\\/box\\/one", "resources": { "memory": { "limit": 67108864, "swap": 67108864 }, "pids": { "limit": 20 }, "cpu": { "quota": 25000, "period": 50000, "shares": 512 }, "unified": { "memory.high": "50331648" },/`;

inGuest("bundles with cgroup v2", { cgroups: "v2" }, (it) => {
  it(
    "have the limits of their config",
    `${bundle("sleep 60", limits)}
    nsk oci run -d -b $B one </dev/null >/dev/null 2>&1; cd /sys/fs/cgroup/box/one
    cat memory.max memory.swap.max memory.high pids.max cpu.max cpu.weight; nsk oci pause one; nsk oci list -f json | grep -o paused; nsk oci resume one
    nsk oci delete -f one; ls -d /sys/fs/cgroup/box/one || true`,
    ({ stdout }) => expect(stdout).toBe("67108864\n0\n50331648\n20\n25000 50000\n59\npaused\n"),
  );
  it(
    "open the devices that they are allowed, and no others",
    `${bundle("mknod /dev/mem2 c 1 1; cat /dev/mem2; cat /dev/null; echo null", 's/"CAP_KILL"/"CAP_KILL", "CAP_MKNOD"/')}
    nsk oci run -b $B two </dev/null 2>&1`,
    printed("cat: can't open '/dev/mem2': Operation not permitted\nnull\n"),
  );
  it(
    "see their own groups alone",
    `${bundle("cat /proc/self/cgroup; ls /sys/fs/cgroup | grep -c memory.max")}
    nsk oci run -b $B three </dev/null`,
    printed("0::/\n1\n"),
  );
});

inGuest("bundles with cgroup v1", { cgroups: "v1" }, (it) => {
  it(
    "have the limits of their config",
    `${bundle("sleep 60", limits.replace(/, "unified": \{[^}]*\}/, ""))}
    nsk oci run -d -b $B one </dev/null >/dev/null 2>&1
    cat /sys/fs/cgroup/memory/box/one/memory.limit_in_bytes /sys/fs/cgroup/pids/box/one/pids.max /sys/fs/cgroup/cpu*/box/one/cpu.cfs_quota_us | sort -u
    nsk oci exec one cat /proc/self/cgroup | grep -c box/one >/dev/null; nsk oci kill --all one KILL; nsk oci delete -f one`,
    ({ stdout }) => expect(stdout).toBe("20\n25000\n67108864\n"),
  );
});
