// Completion: what may stand where the cursor is, and that each shell shows it.

import { describe, expect, test } from "bun:test";
import { dirname } from "node:path";
import { complete } from "../../src/cli/complete.ts";
import { commands } from "../../src/cli/table.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand, runNsk } from "../support/nsk.ts";

const host = fixtureHost({
  files: {
    "/proc/self/mountinfo":
      "30 24 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu\n31 24 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n",
    "/cg/cpu/limited/inner/cgroup.procs": "",
    "/cg/memory/other/cgroup.procs": "",
    "/proc/17/comm": "sleep\n",
    "/proc/170/comm": "bash\n",
    "/run/nsk/0123456789ab": "",
    "/run/nsk/names/web": "",
    "/var/lib/nsk/containers/ba9876543210/log": "",
  },
});

const asked = async (line: string) => {
  const { candidates, besides } = await complete(line.split(" "), host, () => ["alpine:latest"]);
  return { words: candidates.map(({ word }) => word), besides };
};

describe("the words that may stand there", () => {
  for (const [line, words, besides = "nothing"] of [
    ["uns", ["unshare"]],
    ["cgc", ["cgcreate", "cgclassify", "cgconfigparser"]],
    ["--li", ["--licenses"]],
    ["nonsense ", []],
    [
      "unshare --map-",
      [
        "--map-user",
        "--map-group",
        "--map-root-user",
        "--map-current-user",
        "--map-auto",
        "--map-subids",
        "--map-users",
        "--map-groups",
      ],
    ],
    ["unshare --propagation ", ["slave", "shared", "private", "unchanged"]],
    ["unshare --propagation=sh", ["--propagation=shared"]],
    ["unshare --map-user ", []],
    ["unshare --kill-child=KI", ["--kill-child=KILL"]],
    ["unshare --emit-arch ", ["x64", "arm64"]],
    ["unshare --root ", [], "directories"],
    ["unshare -R ", [], "directories"],
    ["unshare -fR ", [], "directories"],
    ["unshare -f ", [], "programs"],
    ["unshare --mount ", [], "programs"],
    ["unshare ls -", [], "files"],
    ["unshare -- ls --map", [], "files"],
    ["nsenter -t ", ["17", "170"]],
    ["nsenter --target 17", ["17", "170"]],
    ["cgexec -g ", ["cpu:", "memory:"]],
    ["cgexec -g cpu,mem", ["cpu,memory:"]],
    ["cgexec -g cpu:", ["cpu:limited", "cpu:limited/inner"]],
    ["cgexec -g cpu:limited ", [], "programs"],
    ["cgset -r cpu.cfs_q", ["cpu.cfs_quota_us="]],
    ["cgset -r pids.max=1 ", ["limited", "limited/inner", "other"]],
    ["cgset oth", ["other"]],
    ["cgdelete memory:", ["memory:other"]],
    ["why 17", ["17", "170"]],
    ["run al", ["alpine:latest"], "programs"],
    ["run alpine ", [], "files"],
    ["rmi ", ["alpine:latest"]],
    ["man cgx", ["cgxset", "cgxget"]],
    ["script ", [], "files"],
    ["types ", [], "directories"],
    ["completion ", ["bash", "zsh", "fish"]],
    ["ps --container ", ["web", "0123456789ab"]],
    ["run --network ", ["none", "host", "container:web", "container:0123456789ab", "pasta", "slirp4netns"]],
    ["run --pid=c", ["--pid=container:web", "--pid=container:0123456789ab"]],
    ["run --userns ", ["host", "keep-id"]],
    ["logs --tail ", ["all"]],
    ["logs ", ["web", "0123456789ab", "ba9876543210"]],
    ["exec -it w", ["web"]],
    ["exec web ", [], "files"],
    ["oci st", ["start", "state"]],
    ["oci --log-format ", ["text", "json"]],
    ["oci --root /r create --pid-", ["--pid-file"]],
    ["oci create --bundle ", [], "directories"],
    ["oci run box ", []],
    ["man oci de", ["delete"]],
    [
      "help oci ",
      "create run start state list kill exec delete pause resume update ps spec features".split(" "),
    ],
    ["help run ", []],
    ["man --roff", []],
    ["logs w", ["web"]],
    ["exec ", ["web", "0123456789ab", "ba9876543210"]],
    ["exec web l", [], "files"],
    ["rm web b", ["ba9876543210"]],
  ] as const satisfies readonly (readonly [string, readonly string[], string?])[])
    test(`nsk ${line}`, async () => {
      expect(await asked(line)).toEqual({ words: [...words], besides });
    }, 30_000); // the first one loads every command
  test("a process has its name beside its id", async () => {
    const { candidates } = await complete(["why", "17"], host, () => []);
    expect(candidates[0]).toEqual({ word: "17", description: "sleep" });
  });
  test("every option of every command has a description to show", async () => {
    for (const name of Object.keys(commands)) {
      const { candidates } = await complete([name, "-"], host, () => []);
      expect(candidates.length).toBeGreaterThan(1);
      for (const { word, description } of candidates)
        expect([name, word, typeof description]).toEqual([name, word, "string"]);
    }
  });
});

describe("nsk completion", () => {
  testNeeding(nsk)("prints a script for each shell, and candidates", () => {
    expect(runNsk("completion", "--for", "--", "unsh")).toMatchObject({
      status: 0,
      stdout: "nothing\nunshare\tRun a program in new namespaces, made as the options say.\n",
    });
    expect(runNsk("completion", "tcsh")).toMatchObject({
      status: 1,
      stderr: "nsk completion: 'tcsh' is no shell that is known\nhint: bash, zsh or fish\n",
    });
    expect(runNsk("completion").status).toBe(1);
  });
  const env = { PATH: `${dirname(nsk)}:${process.env.PATH}`, TERM: "dumb", HOME: "/nonexistent" };
  const inBash = (line: string) =>
    runCommand(
      [
        ...["bash", "--norc", "-c"],
        'source <(nsk completion bash); compopt() { :; }; COMP_LINE=$1 COMP_POINT=${#1}; COMP_WORDS=($1); _nsk; printf "%s\\n" "${COMPREPLY[@]}"',
        ...["bash", line],
      ],
      env,
    );
  testNeeding(nsk, "bash")("is shown by bash, also behind = and :", () => {
    for (const [line, replies] of [
      ["nsk unsh", "unshare\n"],
      ["nsk unshare --propagation=sl", "slave\n"],
      ["nsk cgexec -g cpu", "cpu:\ncpuset:\ncpuacct:\n"],
      ["nsk unshare --root /us", "/usr\n"],
      ["nsk man cgxs", "cgxset\n"],
    ] as const) {
      const ran = inBash(line);
      expect(ran.stderr).toBe("");
      if (line.includes("cpu")) expect(ran.stdout).toContain("cpu:\n");
      else expect(ran.stdout).toBe(replies);
    }
  });
  testNeeding(nsk, "fish")("is shown by fish", () => {
    const ran = runCommand(
      [
        "fish",
        "--no-config",
        "-c",
        'nsk completion fish | source; complete -C "nsk unshare --propagation sl"; complete -C "nsk unsh"',
      ],
      { ...env, HOME: "/tmp" },
    );
    expect(ran.stdout).toBe("slave\nunshare\tRun a program in new namespaces, made as the options say.\n");
  });
  testNeeding(nsk, "zsh")("is shown by zsh", () => {
    // Without a line editor there is nobody to show it: what would be shown is printed.
    const ran = runCommand(
      [
        ...["zsh", "-f", "-c"],
        'compdef() { :; }; _describe() { print -l -- "${(@P)argv[-1]}" "${candidates[@]}"; }; _files() { print files; }; _command_names() { print programs; };' +
          'source <(nsk completion zsh); words=(nsk unshare --propagation sl); CURRENT=4; _nsk; words=(nsk unshare ""); CURRENT=3; _nsk',
      ],
      env,
    );
    expect(ran.stdout.split("\n").filter(Boolean)).toContain("slave:");
    expect(ran.stdout).toContain("programs\n");
  });
});
