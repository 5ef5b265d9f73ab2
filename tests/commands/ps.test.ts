// `nsk ps`: which processes are in which namespace and container, with their ids outside and inside.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readlinkSync } from "node:fs";
import { namespaces } from "../../src/index.ts";
import { startContainer } from "../containers/containers.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";
import { cannotCompare } from "./libcgroup.ts";
import { asPlain, cannotRig, live, PLAIN, type Rig, startRig } from "./rig.ts";

/** A PID namespace in a PID namespace, and a network namespace. */
const SETUP = `
  unshare -fp sh -c 'sleep 100 & unshare -fp sh -c "sleep 101 & exec sleep 102" & wait' &
  unshare -n sleep 103 &
  ${asPlain} sleep 104 &
`;
const NAMES = `
  pid() { for p in /proc/[0-9]*; do [ "$(tr '\\0' ' ' <$p/cmdline)" = "sleep $1 " ] && echo \${p#/proc/}; done; }
  for n in 100 101 102 103 104; do echo P$n=$(pid $n); done
  P=$(pid 102); Q=$(pid 100)
  for n in 101 102; do echo IDS$n=$(sed -n 's/^NSpid:.//p' /proc/$(pid $n)/status | tr '\\t' ,); done
  echo OUTER=$(stat -L -c %i /proc/$Q/ns/pid); echo INNER=$(stat -L -c %i /proc/$P/ns/pid)
  echo NET=$(stat -L -c %i /proc/$(pid 103)/ns/net)
`;
let rig: Rig;
beforeAll(async () => {
  if (!cannotRig) rig = await startRig(SETUP, 5, NAMES);
});
afterAll(() => rig?.end());

/** `nsk ps -r -n LINE` must print these lines; names of the set-up are filled in on both sides. */
const prints = (line: string, ...lines: readonly string[]): void =>
  live(`nsk ps -r -n ${line}`, () => {
    const { status, stdout, stderr } = rig.nsk(`ps -r -n ${line}`);
    expect({ status, stderr, lines: stdout.split("\n").filter(Boolean) }).toEqual({
      status: 0,
      stderr: "",
      lines: lines.map((it) => rig.fill(it)),
    });
  });

describe("the tutorial's question", () => {
  live("ps -e -o pidns,pid,ppid,args is the same as ps(1)'s", () => {
    const words = (text: string) =>
      text
        .split("\n")
        .map((line) => line.trim().split(/ +/).join(" "))
        .filter((line) => /^\d+ \d+ \d+ sleep \d+$/.test(line));
    const theirs = rig.inside("/usr/bin/ps -e -o pidns,pid,ppid,args").stdout;
    const ours = rig.nsk("ps -e -o pidns,pid,ppid,args").stdout;
    expect(words(ours)).toEqual(words(theirs));
    expect(words(ours)).toHaveLength(5);
  });
  live("without options: processes in other PID namespaces, by their ids outside and inside", () => {
    const { stdout } = rig.nsk("ps");
    expect(stdout).toStartWith("     PIDNS PID NSPID PPID USER CONTAINER COMMAND\n");
    expect(stdout).not.toContain("sleep 103");
  });
});

describe("which processes", () => {
  prints("-o nspids,args -Q 'COMM == \"sleep\"' $INNER", "$IDS102 sleep\\x20102", "$IDS101 sleep\\x20101");
  prints("-o pid,nspid -p $P102", "$P102 1");
  prints("-o pid,nspid -p $P103,$P104 -p $P103", "$P103 $P103", "$P104 $P104");
  prints("-o args -t net -Q 'COMM == \"sleep\"'", "sleep\\x20103");
  prints("-o netns,args $NET", "$NET sleep\\x20103");
  prints(`-e -o user,uid -Q 'UID == ${PLAIN}'`, `${PLAIN} ${PLAIN}`);
  prints("-o args -e -g / -Q 'NSPID == 1 and PIDNS == $INNER'", "sleep\\x20102");
  live("both namespaces, where two are given", () => {
    expect(rig.nsk("ps -n -o pid $INNER $OUTER").stderr).toMatch(/^nsk ps: no process in \d+ and \d+\n$/);
  });
});

describe("how", () => {
  prints(
    "--tree -o args,nspid -Q 'PPID == $P102 or PID == $P102'",
    "sleep\\x20102 1",
    "\\xe2\\x94\\x94\\xe2\\x94\\x80sleep\\x20101 2",
  );
  live("--json has everything, or what was asked for", () => {
    const [all] = JSON.parse(rig.nsk("ps --json -p $P102").stdout).processes;
    expect(all).toMatchObject({
      pid: Number(rig.names.P102),
      pidns: Number(rig.names.INNER),
      nspid: 1,
      nspids: rig.names.IDS102,
      comm: "sleep",
      command: "sleep 102",
      container: null,
    });
    expect(JSON.parse(rig.nsk("ps -J -o pid -p $P102").stdout)).toEqual({
      processes: [{ pid: Number(rig.names.P102) }],
    });
  });
  live("--by sorts by a column and shows it first", () => {
    const { stdout } = rig.nsk("ps --by namespace -e -r -o pid,pidns -Q 'COMM == \"sleep\"'");
    const [heading, ...lines] = stdout.trim().split("\n");
    expect(heading).toBe("PIDNS PID");
    expect(lines).toEqual(lines.toSorted());
    expect(lines).toHaveLength(5);
  });
  live("a list without processes has its heading", () => {
    expect(rig.nsk("ps -Q 'PID == 0' -o pid,args").stdout).toBe("PID COMMAND\n");
    expect(rig.nsk("ps -Q 'PID == 0' -J").stdout).toBe('{\n   "processes": [\n\n   ]\n}\n');
  });
  prints("-o +comm -p $P104 -t uts -Q 'UTSNS'", `${4026531838} $P104 $P104 1 ${PLAIN}  sleep\\x20104 sleep`);
});

describe("containers", () => {
  for (const [what, options] of [
    ["with groups of its own", ["--cpus", "0.5"]],
    ["without limits, told by its record", []],
  ] as const)
    testNeeding("root")(`a container of nsk's ${what}`, async () => {
      if (options.length && cannotCompare()) return;
      const container = await startContainer(
        [
          "sh",
          "-c",
          "hostname; sleep 100 & until grep -q sleep /proc/$!/comm; do :; done; echo on; read end; kill $!",
        ],
        options,
      );
      try {
        await container.line();
        const ran = runCommand([
          nsk,
          "ps",
          "-r",
          "-n",
          "-c",
          container.id.slice(0, 6),
          "-o",
          "engine,container,pid,nspid,comm",
        ]);
        const [first, second, ...more] = ran.stdout.trim().split("\n");
        expect(first).toBe(`nsk ${container.id} ${container.first} 1 sh`);
        expect(second).toMatch(new RegExp(`^nsk ${container.id} \\d+ 3 sleep$`));
        expect(more).toEqual([]);
        const listed = JSON.parse(runCommand([nsk, "ps", "--json", "--by", "container"]).stdout).processes;
        expect(listed.filter((it: { container: string }) => it.container === container.id)).toHaveLength(2);
        if (options.length) {
          const group = runCommand([
            nsk,
            "ps",
            "-r",
            "-n",
            "-g",
            `nsk-${container.id}`,
            "-o",
            "cgroup,nspid",
          ]);
          expect(group.stdout).toBe(`/nsk-${container.id} 1\n/nsk-${container.id} 3\n`);
        }
      } finally {
        container.say("end");
        await container.exited;
      }
      expect(runCommand([nsk, "ps", "-c", container.id]).stderr).toBe(
        `nsk ps: no process in a container ${container.id}\n`,
      );
    });
});

describe("mistakes end with 1 and a line", () => {
  for (const [line, message] of [
    ["-o FOO", "unknown column: FOO"],
    ["-t foo", "unknown namespace type: foo"],
    ["-p x", "invalid process id argument: 'x'"],
    ["-p 999999999", "no process 999999999"],
    ["nonsense", "invalid namespace argument: 'nonsense'"],
    ["99", "not found namespace: 99"],
    ["-c ''", "--container wants the beginning of an id"],
    ["-c no-such", "no process in a container no-such"],
    ["-g /no/such", "no process in the control group /no/such"],
    ["--by color", "invalid argument 'color' for '--by'"],
    ["-J -r", "mutually exclusive arguments: --json --raw"],
    ["-Q 'PID ='", "filter: '=', which is no part of a filter, at character 5 of 'PID ='"],
  ] as const)
    test(`nsk ps ${line}`, () => {
      const ran = runCommand(["sh", "-c", `exec "$0" ps ${line}`, nsk]);
      expect([ran.status, ran.stdout, ran.stderr.split("\n")[0]]).toEqual([1, "", `nsk ps: ${message}`]);
    });
});

describe("the API", () => {
  test("says the same again and again, also when it has been compiled meanwhile", () => {
    const own = ["mnt", "net", "ipc", "user", "pid", "uts", "cgroup", "time"]
      .map((link) => Number(/\d+/.exec(readlinkSync(`/proc/self/ns/${link}`))![0]))
      .toSorted((a, b) => a - b);
    for (let i = 0; i < 60; i++)
      expect(namespaces().flatMap(({ id }) => (own.includes(id) ? [id] : []))).toEqual(own);
  });
  test("namespaces() is what this process can see", () => {
    const all = namespaces();
    const own = all.find(({ kind }) => kind === "uts")!;
    expect(own).toMatchObject({ kind: "uts", path: expect.any(String), mounts: expect.any(Array) });
    expect(all.map(({ id }) => id)).toEqual(all.map(({ id }) => id).toSorted((a, b) => a - b));
    expect(new Set(all.map(({ kind }) => kind)).size).toBe(8);
    expect(new Set(namespaces(["net", "mount"]).map(({ kind }) => kind))).toEqual(new Set(["net", "mount"]));
  });
});
