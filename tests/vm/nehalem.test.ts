// The poorest processor that nsk runs on: SSE4.2, and neither AVX nor anything newer.

import { expect } from "bun:test";
import { inGuest, printed } from "./in-guest.ts";

inGuest("an old processor", { cgroups: "v2", processor: "Nehalem", memory: 512 }, (it) => {
  it(
    "is what it should be",
    "grep -c -w avx /proc/cpuinfo || grep -q -w sse4_2 /proc/cpuinfo",
    printed("0\n"),
  );
  it("--version", "nsk --version", ({ status, stdout }) => {
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^nsk \d/)]);
  });
  it("--help", "nsk run --help | grep -q -- --cpus");
  it("unshare", "nsk unshare -Urpf --mount-proc sh -c 'echo $$'", printed("1\n"), { user: "alice" });
  it("unshare --emit", "nsk unshare -Ur --emit /tmp/emitted id -u; /tmp/emitted", printed("0\n"), {
    user: "alice",
  });
  it(
    "control groups",
    "nsk cgcreate -g cpu:x; nsk cgset -r cpu.max='20000 100000' x; nsk cgexec -g cpu:x nsk cgget -nv -r cpu.max x; nsk cgdelete cpu:x",
    printed("20000 100000\n"),
  );
  it("run", "nsk run --cpus 0.5 -m 64m -u nobody -- sh -c 'id -u; echo $$'", printed("65534\n1\n"));
  it("a refusal", "nsk cgget -r cpu.max no-such-group || echo $?", ({ stdout, stderr }) => {
    expect(stdout.trim().split("\n").at(-1)).toBe("96");
    expect(stderr).toContain("hint: ");
  });
});
