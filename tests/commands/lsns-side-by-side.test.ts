// The same command line through util-linux's lsns and through nsk's, in set-ups where nothing but the test's own
// namespaces and processes is to be seen: the same bytes, and how it ends.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import { difference } from "../differences.ts";
import { asPlain, cannotRig, type How, live, type Rig, startRig } from "./rig.ts";

/** Kinds of all sorts, nested; command lines that are hard to show; namespaces that are mounted besides. */
const ROOT = `
  unshare -n sleep 100 & N=$!
  unshare -u sh -c 'unshare -n sleep 101 & exec sleep 102' & U=$!
  ${asPlain} sh -c 'exec unshare -Ur sh -c "exec unshare -Urn sleep 103"' & R=$!
  ${asPlain} perl -e 'exec {"/bin/sleep"} "a\\tb\\x01\\xff\\x7f é 日本 \\\\x41 \\\\ \\xe2\\x80\\xa8\\xcc\\x88 ", "200"' &
  unshare -i perl -e 'exec {"/bin/sleep"} "long", ("0") x 90, "300"' &
  unshare -fp sh -c 'sleep 104 & exec sleep 105' &
  unshare -T sleep 106 &
  unshare -C sleep 107 &
  unshare -Um perl -e 'exec {"/bin/sleep"} "", "108"' &
  unshare -m sh -c 'sleep 109 &
# "q" \\x
wait' &
`;
const ROOT_NAMES = `
  touch $D/a $D/b "$D/c d" $D/u $D/v
  mount --bind /proc/$N/ns/net $D/a
  mount --bind /proc/$N/ns/net $D/b
  mount --bind /proc/1/ns/net "$D/c d"
  mount --bind /proc/$R/ns/user $D/u
  mount --bind /proc/$R/ns/user $D/v
  ip link add v0 type veth peer name v1 netns $N
  echo N=$N; echo R=$R; echo U=$U
  echo PIDNS=$(stat -L -c %i /proc/1/ns/pid)
  echo UTSNS=$(stat -L -c %i /proc/$U/ns/uts)
  echo USERNS=$(stat -L -c %i /proc/$R/ns/user)
`;
/** Processes of two users, and no mounts: what a plain user does not see is not held by anything else either. */
const PLAIN = `
  unshare -n sleep 100 & N=$!
  ${asPlain} sh -c 'exec unshare -Ur sh -c "exec unshare -Urnm sleep 101"' & R=$!
  ${asPlain} sh -c 'sleep 102 & exec sleep 103' &
`;
const PLAIN_NAMES = `
  echo N=$N; echo R=$R; echo PIDNS=$(stat -L -c %i /proc/1/ns/pid)
  echo NETNS=$(stat -L -c %i /proc/$N/ns/net)
`;

let root: Rig;
let plain: Rig;
beforeAll(async () => {
  if (cannotRig) return;
  root = await startRig(ROOT, 12, ROOT_NAMES);
  plain = await startRig(PLAIN, 4, PLAIN_NAMES);
});
afterAll(() => {
  root?.end();
  plain?.end();
});

/** The same on both sides; `status` must be so, lest both fail for one reason. */
const same = (rig: () => Rig, line: string, how: How = {}, status = 0): void =>
  live(`${how.as ? "$" : "#"} lsns ${line}`, () => {
    const { theirs, ours } = rig().both(line, how);
    expect(ours.stdout).toBe(theirs.stdout);
    expect([ours.status, theirs.status]).toEqual([status, status]);
    if (status === 0) expect(ours.stderr).toBe("");
    else expect(ours.stderr).toMatch(/^nsk lsns: .*\n(hint: .*\n)?$/);
  });

/** What may be asked for without a name of the set-up. */
const LINES = `

-l
-T
-Tparent
-Tprocess
-Towner
--tree
--tree=parent
-l -T
-T -l
-l -Tparent
-J
-JT
-J -Tparent
-J -l
-J -n
-r
-rT
-r -l
-r -n
-r -Tparent
-n
-u
-W
-t net
-t net -W
-t net -r
-t net -rW
-t net -J
-t net -JW
-t net -T
-t net -Tparent
-t net -l -n
-t user
-t user -T -o +UID,NSFS
-t user -Tparent -o +NSFS,PATH
-t mnt
-t ipc
-t pid
-t pid -T
-t uts
-t uts -Tparent -o +ONS
-t cgroup -o TYPE,NETNSID,NSFS
-t time
-t uts -t net
-t uts -t uts
--type uts --noheadings --notruncate
--output-all
--output-all -T
--output-all -Tprocess
--output-all -J
--output-all -r
--output-all -n -t net
--output-all -o NS
--output-all -o +NSFS
-o +PATH
-o +NSFS
-o +NSFS -T
-o +UID,PPID,PNS,ONS,NETNSID,NSFS,PATH
-o NS -o TYPE
-o ns,type
-o COMMAND
-o COMMAND,NS
-o NS,COMMAND -l
-o NS,NS,COMMAND,COMMAND
-o USER,NSFS,TYPE -r
-t net -o NSFS,NS
-t net -o NSFS,COMMAND,NS
-T -o TYPE,PID
-T -o TYPE,NS
-T -o TYPE,PID,NS,ONS,PNS,NSFS
-JT -o TYPE,PID
-J -o NS,NETNSID
-J -o COMMAND,NS
-p 1
-p 1 -t net -o +NSFS
-p 999999
-p 999999 -J
-p 999999 -r
-p 0
-p -1
-p +1
--task=1 --raw
$PIDNS
$PIDNS -l
$PIDNS -T
$PIDNS -J
$PIDNS -r
$PIDNS -n
$PIDNS -o +NS
$PIDNS -o +PATH,TYPE,NPROCS,UID,PNS,ONS
$PIDNS --output-all
$PIDNS -- -l`
  .split("\n")
  .slice(1);

/** What must be a mistake to both. */
const MISTAKES = `
99999
abc
''
5x
0x10
99999999999999999999999
-p ''
-p abc
-p 99999999999
$PIDNS -p 1
$PIDNS -t net
-o FOO
-o NS,FOO
-o ''
-o +
-o NS,
-o ,NS
-t foo
-t ''
-t MNT
-t mnt,net
-Tfoo
--tree=
-T parent
-J -r
--nope
-Z
--no
--out NS
--json=x
-o`
  .split("\n")
  .slice(1);

describe("as root", () => {
  for (const line of LINES) same(() => root, line);
  for (const line of [
    "-p $N -T",
    "-p $N -Tparent -o +NSFS",
    "-p $R -T",
    "-p $R -t user -o +NSFS",
    "-p $R -J",
    "$UTSNS",
    "$UTSNS -J",
    "$UTSNS -t uts",
    "$UTSNS $PIDNS",
    "$USERNS -o +NSFS,NETNSID",
  ])
    same(() => root, line);
});

describe("as a plain user", () => {
  for (const line of LINES) same(() => plain, line, { as: "plain" });
  for (const line of ["-p $R", "-p $R -T", "-p $N", "$PIDNS -T"]) same(() => plain, line, { as: "plain" });
  for (const line of ["$NETNS", "-p abc", "-o FOO"]) same(() => plain, line, { as: "plain" }, 1);
});

describe("mistakes", () => {
  for (const line of MISTAKES) same(() => root, line, {}, 1);
});

describe("without UTF-8", () => {
  for (const line of ["", "-T", "-J", "-r", "-l -o COMMAND", "-t net", "$PIDNS"])
    same(() => root, line, { locale: "C" });
});

describe("at a terminal", () => {
  for (const columns of [0, 38, 60, 132])
    describe(`of ${columns} columns`, () => {
      for (const line of [
        "",
        "-l",
        "-u",
        "-T",
        "-t net",
        "-r",
        "-o COMMAND,NS",
        "-o NS,COMMAND,COMMAND,TYPE",
        "-Tparent -o COMMAND,NS,COMMAND",
        "-o NS,NSFS -t net",
        "--output-all",
      ])
        same(() => root, line, { columns });
    });
});

describe("differences", () => {
  /** What both print, and how they end, where they do not agree. */
  const differs = (rig: Rig, line: string, how: How = {}) => {
    const { theirs, ours } = rig.both(line, how);
    expect([ours.stdout, ours.status]).not.toEqual([theirs.stdout, theirs.status]);
    return { theirs, ours };
  };

  live(`a process whose name has a newline; ${difference("lsns-newline")}`, () => {
    // A child of the same shell, which waits for it: what nobody has waited for still has its name.
    const ran = root.inside(`
      perl -e '$0 = "a\nb"; $| = 1; print 1; sleep 100' >$D/up & P=$!
      until [ -s $D/up ]; do :; done
      for tool in /usr/bin/lsns ${root.ours}; do $tool -n -r -t time -o TYPE -l; echo $?; done
      kill $P; wait $P 2>/dev/null; rm $D/up`);
    expect(ran.stdout).toBe("1\ntime\ntime\n0\n");
  });

  live(`/proc that hides other users' processes altogether; ${difference("lsns-hidepid")}`, () => {
    plain.inside("mount -o remount,hidepid=1 /proc");
    try {
      const { theirs, ours } = differs(plain, "", { as: "plain" });
      expect([theirs.status, theirs.stdout]).toEqual([1, ""]);
      plain.inside("mount -o remount,hidepid=2 /proc");
      const hidden = plain.both("", { as: "plain" });
      expect([ours, hidden.ours]).toEqual([hidden.theirs, hidden.theirs]);
      expect(ours.stdout).toContain("sleep 103");
    } finally {
      plain.inside("mount -o remount,hidepid=0 /proc");
    }
  });

  live(`a namespace that only a mount holds; ${difference("lsns-held")}`, () => {
    plain.inside(`touch $D/held; unshare --uts=$D/held true`);
    try {
      const { theirs, ours } = differs(plain, "-t uts -l -o TYPE,NPROCS,PID,USER,PATH,NSFS -n -r");
      expect(ours.stdout).toBe(`${theirs.stdout}uts 0  root ${plain.names.D}/held ${plain.names.D}/held\n`);
    } finally {
      plain.inside(`umount $D/held`);
    }
  });

  live(`no columns at all; ${difference("lsns-messages")}`, () => {
    expect(root.both("-o ''").theirs).toMatchObject({ status: 1, stdout: "", stderr: "" });
    expect(root.lsns("-o ''").stderr).toMatch(
      /^nsk lsns: no columns given\nhint: the columns are NS, TYPE, /,
    );
  });

  live(`the namespace 0; ${difference("lsns-zero")}`, () => {
    const { theirs, ours } = differs(root, "0");
    expect(theirs.status).toBe(0);
    expect(ours).toMatchObject({ status: 1, stdout: "", stderr: "nsk lsns: not found namespace: 0\n" });
  });

  live(`a UTF-8 locale that is not installed; ${difference("lsns-locale")}`, () => {
    const { theirs, ours } = differs(root, "-t uts", { locale: "xx_XX.UTF-8" });
    expect(theirs.stdout).toBe(root.both("-t uts", { locale: "C" }).theirs.stdout);
    expect(ours.stdout).toBe(root.both("-t uts").theirs.stdout);
  });
});
