// The one file on machines without a libc that lack other things too, on the kernel of this Debian and on an older one.
// What needs no kernel of its own is in tests/static.

import { expect } from "bun:test";
import type { Guest } from "../../scripts/vm/guest.ts";
import { type GuestTest, inGuest, printed } from "./in-guest.ts";

const starts = (it: GuestTest): void => {
  it("there is no libc", "! ls /lib*/ld-* /lib/*/ld-* /usr/lib*/ld-* 2>/dev/null");
  it("a program is run", "nsk unshare -u sh -c 'hostname inside; hostname'", printed("inside\n"));
  it("by a plain user", "nsk unshare -Urpf --mount-proc sh -c 'echo $$'", printed("1\n"), { user: "alice" });
  it(
    "an emitted file needs nothing",
    "nsk unshare -Ur --emit /tmp/emitted id -u; /tmp/emitted",
    printed("0\n"),
    { user: "alice" },
  );
  it("a container", "nsk run -- sh -c 'echo $$; cd /proc; echo [0-9]*'", printed("1\n1\n"));
  it(
    "a file that may be executed and not be read",
    "chmod 0711 $(which nsk); su alice -c 'cat $(which nsk) >/dev/null 2>&1 || nsk unshare -Ur id -u'; chmod 0755 $(which nsk)",
    printed("0\n"),
  );
  it(
    "a file that is deleted",
    "ln $(which nsk) /usr/local/bin/gone; exec 8</usr/local/bin/gone; rm /usr/local/bin/gone; /proc/self/fd/8 unshare -u echo on",
    printed("on\n"),
  );
  it("16 descriptors", "ulimit -n 16; nsk unshare -u echo on", printed("on\n"));
  it(
    "no standard descriptors",
    "nsk unshare -u sh -c 'echo on >/tmp/on' 0<&- 1>&- 2>&-; cat /tmp/on",
    printed("on\n"),
  );
  it(
    "a root without /dev",
    "mkdir -p /mnt/proc /mnt/bin; cp /bin/busybox /mnt/bin/; touch /mnt/nsk; mount --bind $(which nsk) /mnt/nsk; mount -t proc proc /mnt/proc; chroot /mnt /nsk unshare -u /bin/busybox echo on",
    printed("on\n"),
  );
  it(
    "without /proc it says so",
    "umount -l /proc; /usr/local/bin/nsk --version; exit $?",
    ({ status, stderr }) => {
      expect(status).toBe(1);
      expect(stderr).toMatch(/^nsk: \/proc is not mounted.*\nhint: mount -t proc proc \/proc\n$/);
    },
  );
};

const guest = { cgroups: "none", memory: 256 } as const satisfies Guest;

inGuest("256 MB of memory", guest, (it) => {
  it("there are no more", "awk '/MemTotal/ { print $2 < 256 * 1024 }' /proc/meminfo", printed("1\n"));
  starts(it);
});

inGuest("Linux 5.10", { ...guest, memory: 512, kernel: "bullseye" }, (it) => {
  it("is what it is", "uname -r | cut -d. -f1,2", printed("5.10\n"));
  starts(it);
});
