// What a plain user may do on a fresh machine, and what is said where the machine forbids it.

import { expect } from "bun:test";
import type { Cgroups, Ran } from "../../scripts/vm/guest.ts";
import { type GuestTest, printed } from "./in-guest.ts";

const refused =
  (status: number, message: string, hint: string) =>
  (ran: Ran): void =>
    expect({ ...ran, stdout: "" }).toEqual({ status, stdout: "", stderr: `${message}\nhint: ${hint}\n` });

/** alice has ranges of ids in /etc/subuid and /etc/subgid, bob has none: what follows needs none. */
const PLAIN = [
  ["alice", 1000],
  ["bob", 1001],
] as const;

/** What does not depend on control groups. */
export const users = (it: GuestTest): void => {
  for (const [user, uid] of PLAIN) {
    const as = { user };
    it(`${user}: unshare -Ur is root inside`, "nsk unshare -Ur sh -c 'id -u; id -g'", printed("0\n0\n"), as);
    it(
      `${user}: unshare -Urpf --mount-proc has processes of its own`,
      "nsk unshare -Urpf --mount-proc sh -c 'echo $$'",
      printed("1\n"),
      as,
    );
    it(
      `${user}: unshare -Urmn mounts and has a network of its own`,
      "nsk unshare -Urmn sh -c 'mount -t tmpfs tmpfs /mnt; ip link show | grep -c :.lo:; ip link set lo up'",
      printed("1\n"),
      as,
    );
    it(`${user}: unshare -c keeps the ids`, `nsk unshare -c id -u`, printed(`${uid}\n`), as);
    it(
      `${user}: unshare -m needs a user namespace`,
      "nsk unshare -m true",
      refused(
        1,
        "nsk unshare: unshare failed: Operation not permitted",
        "only root may do this; a plain user adds --user --map-root-user (-Ur)",
      ),
      as,
    );
    it(
      `${user}: run needs no root: a container over this machine's own, and nothing is left`,
      `nsk run -- sh -c 'id -u; echo $$; echo x >/x && cat /x; ls /sys/class/net' && ls /tmp/nsk-${uid} | grep -E '^[0-9a-f]{12}$' || echo none`,
      printed("0\n1\nx\nlo\nnone\n"),
      as,
    );
    it(
      `${user}: her own files may be changed in a container, and are as they were; what she removed is made anew from Linux 6.6 on`,
      "mkdir ~/d; echo x >~/f; nsk run -- sh -c 'cd /home/$0; echo y >f; cat f; rmdir d; mkdir d || uname -r' " +
        user +
        "; cat ~/f; rm -r ~/d ~/f",
      ({ status, stdout, stderr }) => {
        const old = /^6\.[0-5]\.|^5\./m.test(stdout);
        expect([status, stdout.replace(/^\d+\.\d+\.\S+\n/m, "")]).toEqual([0, "y\nx\n"]);
        expect(stderr).toMatch(old ? /mkdir: .* (?:I\/O|Input\/output) error/ : /^$/);
      },
      as,
    );
    it(
      `${user}: cgcreate is root's, or of whom root gives a group`,
      "nsk cgcreate -g cpu:mine",
      ({ status, stderr }) => {
        expect(status).toBe(87);
        expect(stderr).toContain(
          "Permission denied\nhint: run it as root, or let root give you a group: nsk cgcreate -a USER",
        );
      },
      as,
    );
  }

  it(
    "sysctl user.max_user_namespaces=0 forbids user namespaces: root's mend is told",
    "sysctl -q -w user.max_user_namespaces=0; s=0; su alice -c 'nsk unshare -Ur id' || s=$?; sysctl -q -w user.max_user_namespaces=4000; exit $s",
    refused(
      1,
      "nsk unshare: unshare failed: No space left on device",
      "user namespaces are switched off here; root switches them on: sysctl -w user.max_user_namespaces=10000",
    ),
  );
  it(
    "sysctl kernel.unprivileged_userns_clone=0 forbids them to all but root: root's mend is told",
    "sysctl -q -w kernel.unprivileged_userns_clone=0; nsk unshare -U true; s=0; su alice -c 'nsk unshare -Ur id' || s=$?; sysctl -q -w kernel.unprivileged_userns_clone=1; exit $s",
    refused(
      1,
      "nsk unshare: unshare failed: Operation not permitted",
      "only root may make user namespaces here; root lets others: sysctl -w kernel.unprivileged_userns_clone=1",
    ),
  );
};

/** Root gives alice a group, with one in it for her shell to be in: on version 2 she moves processes only below it. */
export const delegation = (it: GuestTest, cgroups: Cgroups): void => {
  const controllers = "cpu,memory,pids";
  const given = (lines: string): string => `
    nsk cgcreate -a alice:alice -t alice:alice -g ${controllers}:alice -g ${controllers}:alice/shell
    nsk cgexec -g ${controllers}:alice/shell su alice -c '${lines}'
    nsk cgdelete -r ${controllers}:alice`;
  it(
    "alice, in a group that root gave her: makes groups, limits them, runs in them, removes them",
    given(`set -e
      nsk cgcreate -g cpu,memory:alice/job
      nsk cgset -r memory.limit_in_bytes=32M alice/job
      nsk cgget -nv -r memory.limit_in_bytes alice/job
      nsk cgexec -g cpu,memory:alice/job grep -E "^0::|memory" /proc/self/cgroup
      nsk cgexec -g memory:alice/job tail /dev/zero || echo $?
      nsk cgdelete -g cpu,memory:alice/job`),
    ({ status, stdout }) => {
      const where =
        cgroups === "v2"
          ? "0::/alice/job\n"
          : cgroups === "v1"
            ? "4:memory:/alice/job\n"
            : "4:memory:/alice/job\n0::/\n";
      expect([status, stdout]).toEqual([0, `33554432\n${where}137\n`]);
    },
  );
  it(
    "alice, in a group that root gave her: a container has limits there, and the group goes with it",
    given(`nsk run -m 32m --pids-limit 20 -- sh -c "grep -E \\"^0::|memory\\" /proc/self/cgroup; tail /dev/zero" || echo $?
      find /sys/fs/cgroup/ -name "nsk-*" -type d`),
    ({ status, stdout, stderr }) => {
      const where = cgroups === "v2" ? "0::/\n" : cgroups === "v1" ? "4:memory:/\n" : "4:memory:/\n0::/\n";
      expect([status, stdout]).toEqual([0, `${where}137\n`]);
      expect(stderr).toContain("out of memory: the kernel killed a program of the container");
    },
  );
  it(
    "alice without one: limits are refused on version 2, and told not to be held to on others",
    "s=0; nsk run -m 32m true || s=$?; exit $s",
    ({ status, stderr }) => {
      const refused = cgroups === "v2";
      expect(status).toBe(refused ? 125 : 0);
      expect(stderr).toStartWith(refused ? "nsk run: no limits here: " : "nsk run: limits are not held to: ");
    },
    { user: "alice" },
  );
  it(
    "alice may not leave it, nor raise what root set for it",
    given(`
      nsk cgset -r memory.limit_in_bytes=-1 alice/shell && echo her own
      nsk cgcreate -g cpu:other; echo $?
      nsk cgset -r cpu.shares=9 /; echo $?`),
    ({ status, stdout, stderr }) => {
      expect([status, stdout]).toEqual([0, "her own\n87\n95\n"]);
      expect(stderr).toContain("/other failed: Permission denied");
    },
  );
};
