import { expect, test } from "bun:test";
import { slot, text, valueOf } from "../../src/plan/call.ts";
import { checkPlan } from "../../src/plan/check.ts";
import { setLoadedId, status, statusField } from "../../src/plan/namespace-steps.ts";
import type { ExecStep, ForkStep, Step, WaitStep } from "../../src/plan/plan.ts";
import * as steps from "../../src/plan/steps.ts";

const fd = slot("fd");
const pid = slot("pid");
const exec: ExecStep = { kind: "exec", program: "true", argv: ["true"], candidates: ["/bin/true"] };
const fork = (child: readonly Step[]): ForkStep => ({ kind: "fork", flags: 0, pid, child });
const wait: WaitStep = { kind: "wait", pid, signaled: "signal", cleanup: [] };
const read = steps.call("fchdir", [valueOf(fd)], "go there");
const open = steps.open("/", 0, fd);

const rows: [string, readonly Step[], string | undefined][] = [
  ["open, use, execute", [open, read, exec], undefined],
  ["a child that executes, a parent that waits", [fork([exec]), wait], undefined],
  ["what the parent filled before the fork is the child's too", [open, fork([read, exec]), wait], undefined],
  ["a descriptor that nobody opened", [read, exec], "go there reads fd, which no step before it fills"],
  [
    "a descriptor that only the child opened",
    [fork([open, exec]), read, wait],
    "go there reads fd, which no step before it fills",
  ],
  ["a step behind the program", [exec, open], "a call step behind exec, which does not come back"],
  [
    "prepared calls with something to take back",
    [{ kind: "prepared", name: "p", calls: () => [{ ...open, undo: read }] }, exec],
    "open / is prepared, and has an undo",
  ],
  ["no program", [open], "a process that neither executes a program nor waits for one"],
  [
    "a child without a program",
    [fork([open]), wait],
    "a process that neither executes a program nor waits for one",
  ],
  ["a wait for nobody", [wait], "wait reads pid, which no step before it fills"],
  [
    "cleaning up what was never there",
    [fork([exec]), { ...wait, cleanup: [read] }],
    "go there reads fd, which no step before it fills",
  ],
  [
    "a helper that ends, and whoever waits for it",
    [fork([{ kind: "exit" }]), { kind: "join", pid }, exec],
    undefined,
  ],
  [
    "a helper that nobody forked",
    [{ kind: "join", pid }, exec],
    "join reads pid, which no step before it fills",
  ],
  [
    "a step behind the end of a helper",
    [fork([{ kind: "exit" }, open]), wait],
    "a call step behind exit, which does not come back",
  ],
  [
    "a call that waits for the failure of none",
    [steps.open("/", 0, slot("other"), { unless: fd }), exec],
    "open / reads fd, which no step before it fills",
  ],
  [
    "a call that may not be made, with an undo",
    [open, steps.chdir("/", { unless: fd, undo: steps.chdir("/") }), exec],
    "change the working directory to / may not be made, and has an undo",
  ],
  [
    "a string of a number that nobody knows",
    [steps.call("chdir", [text("/proc/", pid)], "go"), exec],
    "go reads pid, which no step before it fills",
  ],
  [
    "words of a number that nobody knows",
    [steps.call("execve", [{ type: "strings", value: ["a", [pid]] }], "go"), exec],
    "go reads pid, which no step before it fills",
  ],
  [
    "a field of a structure that is there",
    [open, status(fd, "stat", "stat"), setLoadedId("setuid", statusField("stat", "uid")), exec],
    undefined,
  ],
  [
    "a field of a structure that is not",
    [setLoadedId("setuid", statusField("stat", "uid")), exec],
    "setuid reads the buffer stat, which no step before it fills",
  ],
  ["a program without files to try", [{ ...exec, candidates: [] }], "no file to execute for true"],
];
for (const [what, list, mistake] of rows)
  test(`${what}: ${mistake ?? "fine"}`, () => {
    const check = (): void => checkPlan({ name: "test", failure: 1, steps: list });
    if (mistake === undefined) check();
    else expect(check).toThrow(new RangeError(mistake));
  });

test("a plan that runs no program needs no last step here", () => {
  checkPlan({ name: "test", failure: 1, steps: [open] }, "here");
});
