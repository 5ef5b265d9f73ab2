// What the other tests in guests rely on: results come back, and a guest that panics or hangs is told as such.

import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { missingForGuests } from "../../scripts/vm/components.ts";
import { nsk } from "../../scripts/vm/disk.ts";
import { boot, type Outcomes } from "../../scripts/vm/guest.ts";

const reason = existsSync(nsk) ? missingForGuests() : "needs dist/nsk: bun run build";
const live = (title: string, run: () => Promise<void>): void =>
  reason ? test.skip(`${title} (${reason})`, run) : test(title, run, 300_000);

const failure = (outcomes: Outcomes, title: string): string => {
  const outcome = outcomes.get(title);
  if (!(outcome instanceof Error)) throw new Error(`"${title}" has a result: ${JSON.stringify(outcome)}`);
  return outcome.message;
};

live(
  "a guest gives every script's output and status back, and a panic is told with the console",
  async () => {
    const outcomes = await boot(
      {
        cgroups: "v2",
        files: { "/etc/motd": "hello\n", "/opt/here": { from: import.meta.dir } },
        prepare: "echo prepared > /run/prepared",
      },
      [
        {
          title: "prints",
          lines: "cat /etc/motd /run/prepared; ls /opt/here/harness.test.ts; echo oops >&2; exit 7",
        },
        { title: "by a plain user", lines: "id -u; pwd; touch here", user: "alice" },
        { title: "too slow", lines: "echo begun; sleep 60", limit: 1 },
        { title: "leaves something running", lines: "sleep 1000 & echo $! > /run/left" },
        { title: "alone", lines: "! kill -0 $(cat /run/left)" },
        { title: "panics", lines: "echo c > /proc/sysrq-trigger" },
        { title: "never runs", lines: "true" },
      ],
    );
    expect(outcomes.get("prints")).toEqual({
      status: 7,
      stdout: "hello\nprepared\n/opt/here/harness.test.ts\n",
      stderr: "oops\n",
    });
    expect(outcomes.get("by a plain user")).toEqual({ status: 0, stdout: "1000\n/home/alice\n", stderr: "" });
    expect(failure(outcomes, "too slow")).toStartWith('"too slow" was stopped at its limit of time\nbegun');
    expect(outcomes.get("alone")).toMatchObject({ status: 0 });
    expect(failure(outcomes, "panics")).toContain("Kernel panic");
    expect(failure(outcomes, "panics")).toStartWith('no result of "panics": the guest ended early');
    expect(failure(outcomes, "never runs")).toStartWith('no result of "never runs"');
  },
);

live("a guest that hangs is stopped, and what it did before is known", async () => {
  const outcomes = await boot({ cgroups: "none", patience: 3 }, [
    { title: "prints", lines: "echo one" },
    // Without its clock nothing inside would ever stop it.
    { title: "hangs", lines: "for i in $(pidof timeout); do kill -9 $i; done; sleep 1000", limit: 1 },
  ]);
  expect(outcomes.get("prints")).toEqual({ status: 0, stdout: "one\n", stderr: "" });
  expect(failure(outcomes, "hangs")).toStartWith(
    'no result of "hangs": the guest was stopped: it hung in "hangs" for 4 seconds',
  );
});
