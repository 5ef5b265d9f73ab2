// Run in a guest (peers-v2.test.ts): the control-group commands beside libcgroup's where cgroup v2 has all controllers.
// What is compared is what they print on stdout, how they end, and what is there afterwards.

import { afterAll, expect, test } from "bun:test";
import { type Case, type Outcome, removeGroups, runBoth } from "../../commands/libcgroup.ts";
import { difference } from "../../differences.ts";

afterAll(() => removeGroups(`nsktest-${process.pid}-`));

const same = (words: string[], it: Case = {}): void =>
  test(`${words.join(" ")} ${JSON.stringify(it)}`, () => {
    const { libcgroup, nsk } = runBoth(words, it);
    expect(nsk.status).toBe(libcgroup.status);
    // Some of libcgroup's messages go to stdout.
    expect(nsk.stdout).toBe(nsk.stderr ? "" : libcgroup.stdout);
    expect(nsk.groups).toEqual(libcgroup.groups);
  });

const NOBODY = 65534;
const group: Case = { groups: ["cpu:%"] };
const limited: Case = { ...group, values: { "cpu:%/cpu.max": "50000 100000" } };

same(["cgcreate", "-g", "cpu:%"]);
same(["cgcreate", "-g", "cpu,memory,pids:%"]);
same(["cgcreate", "-g", "cpu:%/a/b"]);
same(["cgcreate", "-g", "cpu:%"], group);
same(["cgcreate", "-a", "daemon:daemon", "-t", "daemon:daemon", "-g", "cpu:%"]);
same(["cgcreate", "-d", "750", "-f", "777", "-s", "777", "-g", "cpu:%"]);
same(["cgcreate", "-g", "nope:%"]);
test(`cgcreate -t (${difference("cgcreate-v2-entrances")})`, () => {
  const { libcgroup, nsk } = runBoth(["cgcreate", "-t", "nobody:nogroup", "-g", "cpu:%"]);
  const owner = ({ groups }: Outcome): string =>
    (Object.values(groups)[0] as Record<string, [string]>)["cgroup.procs"]![0].split(" ")[0]!;
  expect([owner(libcgroup), owner(nsk)]).toEqual(["0:0", "65534:65534"]);
});
test(`cgcreate by nobody (${difference("cgcreate-v2-privilege")})`, () => {
  const { libcgroup, nsk } = runBoth(["cgcreate", "-g", "cpu:%"], { uid: NOBODY });
  expect([libcgroup.status, nsk.status]).toEqual([95, 87]);
  expect([libcgroup.groups, nsk.groups]).toEqual([{}, {}]);
});

same(["cgset", "-r", "cpu.max=50000 100000", "%"], group);
same(["cgset", "-r", "cpu.weight=50", "-r", "memory.max=64M", "%"], group);
same(["cgset", "-r", "cpu.max=abc", "%"], group);
same(["cgset", "-r", "cpu.nope=1", "%"], group);
same(["cgset", "-r", "cpu.stat=1", "%"], group);
same(["cgset", "-r", "cpu.max=max", "%"]);
same(["cgset", "-r", "cpu.max=max", "%"], { ...group, uid: NOBODY });

same(["cgget", "-r", "cpu.max", "%"], limited);
same(["cgget", "-n", "-r", "cpu.max", "-r", "cpu.weight", "%"], limited);
same(["cgget", "-v", "-r", "cpu.max", "%"], limited);
same(["cgget", "-nv", "-r", "cpu.max", "%"], limited);
same(["cgget", "-r", "memory.max", "-r", "pids.max", "%"], group);
same(["cgget", "-g", "pids:%"], group);
same(["cgget", "-r", "cpu.nope", "%"], group);
same(["cgget", "-r", "cpu.max", "%"]);

same(["cgexec", "-g", "cpu:%", "cat", "/proc/self/cgroup"], group);
same(["cgexec", "-g", "cpu,memory:%", "cat", "/proc/self/cgroup"], group);
same(["cgexec", "-g", "cpu:%", "sh", "-c", "exit 7"], group);
same(["cgexec", "-g", "nope:%", "true"], group);
same(["cgexec", "-g", "cpu:%", "true"], { ...group, uid: NOBODY });

same(["cgdelete", "cpu:%"], group);
same(["cgdelete", "-g", "cpu:%"], group);
same(["cgdelete", "-r", "-g", "cpu:/%"], { groups: ["cpu:%/a/b", "cpu:%/c"] });
same(["cgdelete", "cpu:%"], { groups: ["cpu:%/a"] });
same(["cgdelete", "cpu:%"]);
same(["cgdelete", "cpu:%"], { ...group, uid: NOBODY });
