// What nsk's lsns does that the installed one does not: options of newer manuals, by their words, and namespaces that
// no process is in.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { needs } from "../support/needs.ts";
import { nsk, READERLESS, runCommand, runNsk } from "../support/nsk.ts";
import { asPlain, cannotRig, live, PLAIN, type Rig, startRig } from "./rig.ts";

/** Namespaces held by what is no process in them: mounts, descriptors, other namespaces. */
const SETUP = `
  touch $D/uts $D/net $D/gone $D/stdin $D/mixed $D/user
  unshare --uts=$D/uts true
  unshare --net=$D/net true
  unshare --ipc=$D/gone true
  unshare --cgroup=$D/stdin true
  unshare --uts=$D/mixed true
  sh -c 'exec 7<$0/gone 8<$0/mixed; exec sleep 100' $D & FD=$!
  sh -c 'exec sleep 100 <$0/stdin' $D & IN=$!
  unshare -U sleep 200 & X=$!
  ${asPlain} sh -c 'exec unshare -Ur sh -c "exec unshare -Ur sleep 100"' & R=$!
  unshare -un sleep 100 & N=$!
`;
const NAMES = `
  mount --bind /proc/$X/ns/user $D/user
  kill $X; wait $X
  for name in uts net gone stdin mixed user; do echo $name=$(stat -c %i $D/$name); done
  umount -l $D/gone $D/stdin
  echo FD=$FD; echo IN=$IN; echo R=$R; echo N=$N
  echo RNS=$(stat -L -c %i /proc/$R/ns/user)
`;
let rig: Rig;
beforeAll(async () => {
  if (!cannotRig) rig = await startRig(SETUP, 5, NAMES);
});
afterAll(() => rig?.end());

/** `lsns -rn LINE` must print these lines; names of the set-up are filled in on both sides. */
const prints = (line: string, ...lines: readonly string[]): void =>
  live(`lsns -r -n ${line}`, () => {
    const { status, stdout, stderr } = rig.lsns(`-r -n ${line}`);
    // Which of two namespaces has the lower number is the kernel's business.
    expect({ status, stderr, lines: stdout.split("\n").filter(Boolean).toSorted() }).toEqual({
      status: 0,
      stderr: "",
      lines: lines.map((it) => rig.fill(it)).toSorted(),
    });
  });

describe("namespaces without processes", () => {
  prints("-l -t net -Q '!PID' -o NS,NPROCS,PID,PATH,NSFS,COMMAND", "$net 0  $D/net $D/net ");
  // A mount is named before a descriptor.
  prints(
    "-l -t uts -Q '!PID' -o NS,TYPE,PATH,NSFS,USER,UID,ONS",
    "$uts uts $D/uts $D/uts root 0 4026531837",
    "$mixed uts $D/mixed $D/mixed root 0 4026531837",
  );
  prints("-l -t ipc -Q '!PID' -o NS,PATH,NSFS", "$gone /proc/$FD/fd/7 ");
  prints("-l -t cgroup -Q '!PID' -o NS,PATH,NSFS", "$stdin /proc/$IN/fd/0 ");
  prints("$gone");
  live("the kernel agrees that there is no process in them", () => {
    for (const name of ["uts", "net", "gone", "stdin", "mixed"]) {
      const links = rig.inside("readlink /proc/[0-9]*/ns/*").stdout;
      expect(links).not.toContain(`[${rig.names[name]}]`);
      expect(links).toContain("mnt:[");
    }
  });
});

describe("-P, --persistent: only those without processes", () => {
  prints("-P -l -t net -t uts -o NS", "$uts", "$net", "$mixed");
  // The user namespace between the first and that of a process is held by nothing but the latter.
  live("with those that live on because others are below them, whose owner is who made them", () => {
    const { stdout } = rig.lsns("-P -l -t user -r -n -o NPROCS,PID,USER,UID,PATH,PNS,NS");
    const [middle, mounted, ...more] = stdout.trim().split("\n").toSorted();
    expect(more).toEqual([]);
    expect(mounted).toBe(`0  root 0 ${rig.names.D}/user 4026531837 ${rig.names.user}`);
    expect(middle).toMatch(new RegExp(`^0  ${PLAIN} ${PLAIN}  4026531837 \\d+$`));
    const parent = rig.lsns("-p $R -t user -r -n -l -o PNS").stdout.trim();
    expect(middle).toEndWith(` ${parent}`);
  });
  live("and nothing of them without -P, -T or what they are above", () => {
    const lines = rig.lsns("-l -t user -r -n -o NPROCS,USER").stdout.trim().split("\n");
    expect(lines.toSorted()).toEqual(["0 root", "1 12345", `${processes()} root`].toSorted());
  });
});

/** How many processes are in the first user namespace: all but one, and lsns. */
const processes = (): string => rig.lsns("-l -t user -r -n -Q 'NS == 4026531837' -o NPROCS").stdout.trim();

describe("-Q, --filter", () => {
  prints("-l -Q 'PID == $N and TYPE =~ \"^(net|uts)$\"' -o TYPE", "uts", "net");
  prints("-l -t user -Q 'UID == 12345' -o PID,USER", "$R 12345");
  // A column may be asked about that is not shown.
  prints("-l -t user -Q 'PPID == 1 and USER != \"root\"' -o NS", "$RNS");
  prints("-Q 'NPROCS > 1000'");
  prints("$RNS -Q 'PID != $R'");
  live("what is below a line that does not show stands at the top", () => {
    expect(rig.lsns("-T -t user -n -o NS -Q 'UID == 12345 and PID'").stdout).toBe(`${rig.names.RNS}\n`);
  });
  for (const [filter, message] of [
    ["PID ==", "something is missing at character 7 of 'PID =='"],
    ["FOO", "unknown column 'FOO' at character 1 of 'FOO'"],
    ["PID & 1", "'&', which is no part of a filter, at character 5 of 'PID & 1'"],
  ] as const)
    test(`lsns -Q '${filter}' is a mistake`, () => {
      expect(runNsk("lsns", "-Q", filter)).toMatchObject({
        status: 1,
        stdout: "",
        stderr: `nsk lsns: filter: ${message}\n`,
      });
    });
});

describe("-H, --list-columns", () => {
  test("for people: name, type, what it is", () => {
    expect(runNsk("lsns", "-H").stdout).toStartWith(
      "     NS <integer> namespace identifier (inode number)\n",
    );
  });
  test("for programs: JSON, and words", () => {
    const listed = JSON.parse(runNsk("lsns", "--list-columns", "--json").stdout)["lsns-columns"];
    expect(listed.map((it: { holder: string }) => it.holder)).toEqual(
      "NS TYPE PATH NPROCS PID PPID COMMAND UID USER NETNSID NSFS PNS ONS".split(" "),
    );
    expect(listed[3]).toEqual({
      holder: "NPROCS",
      type: "integer",
      description: "number of processes in the namespace",
    });
    expect(runNsk("lsns", "-H", "-r", "-n").stdout).toStartWith("NS integer namespace\\x20identifier");
  });
});

describe("in every state of the machine", () => {
  live("processes that end while they are read are no error", () => {
    const ran = rig.inside(`
      (while [ ! -e $D/enough ]; do /bin/true; unshare -u true; done) & P=$!
      for n in 1 2 3; do for how in "" -T -J "-o +PATH,PPID,ONS"; do
        ${rig.ours} $how >/dev/null 2>>$D/errors || echo $?
      done; done
      : >$D/enough; wait $P; cat $D/errors; rm $D/enough $D/errors`);
    expect(ran).toMatchObject({ status: 0, stdout: "" });
  });
  live("what is below a process with a higher number stands below it", () => {
    const ran = rig.inside(`
      mkfifo $D/wait
      echo 30000 >/proc/sys/kernel/ns_last_pid
      sh -c 'echo 7000 >/proc/sys/kernel/ns_last_pid; sleep 100 & echo $! >$D/low; read end <$D/wait' & P=$!
      until [ -s $D/low ]; do :; done
      exec 9<>$D/wait
      ${rig.ours} $(stat -L -c %i /proc/$P/ns/pid) -n -r -o PID,COMMAND -Q "PID == $P or PPID == $P"
      kill $(cat $D/low); echo >&9; wait $P; rm $D/low $D/wait`);
    expect(ran.stdout.split("\n")).toEqual([
      expect.stringMatching(/^30001 sh\\x20-c/),
      expect.stringMatching(/^700\d \\xe2\\x94\\x94\\xe2\\x94\\x80sleep\\x20100$/),
      "",
    ]);
  });
});

const built = (title: string, check: () => void): void => {
  const reason = needs("bash", nsk);
  if (reason) test.skip(`${title} (${reason})`, check);
  else test(title, check);
};

built("a reader that goes away ends it quietly, as SIGPIPE does", () => {
  const script = `${READERLESS}; "$1" lsns >&4; echo $?`;
  const { stdout, stderr } = runCommand(["bash", "-c", script, "bash", nsk]);
  expect([stdout, stderr]).toEqual(["141\n", ""]);
});
