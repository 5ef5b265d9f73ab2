// A script on a machine where nothing is installed, not even a libc: it makes sandboxes and a control group, and leaves
// neither.

import { expect } from "bun:test";
import { type GuestTest, printed } from "./in-guest.ts";

/** As one line of the guest's shell. */
const evaluated = (code: string): string => `nsk eval '${code.replaceAll(/\s*\n\s*/g, " ")}'`;

export const scripts = (it: GuestTest): void => {
  it(
    "a script runs programs in namespaces",
    evaluated(`
      import { run } from "nsk";
      const { stdout } = await run(["sh", "-c", "echo $$; hostname; id -u"],
        { namespaces: ["pid"], hostname: "inside", mapUser: 0 });
      console.log(JSON.stringify(stdout));
    `),
    printed('"1\\ninside\\n0\\n"\n'),
  );
  it(
    "a script's group limits, counts, freezes and kills, and is gone at the end",
    `${evaluated(`
      import { cgroup, spawn } from "nsk";
      const group = cgroup("scripted", ["cpu", "memory", "pids", "freezer"]).create({ settings: { "pids.max": 20 } });
      const child = spawn(["sleep", "1000"], { cgroups: [group] });
      while (group.processes().length === 0) await Bun.sleep(1);
      await group.freeze();
      const frozen = group.events().frozen;
      await group.kill();
      console.log(group.get("pids.max"), frozen, (await child.exited).signal, typeof group.stat()["memory.stat"]);
    `)}; find /sys/fs/cgroup -name scripted`,
    (ran) =>
      expect(ran).toEqual({
        status: 0,
        stdout: "20 true 9 object\n",
        stderr: "nsk: the script ends: ended the control group scripted\n",
      }),
  );
  it("doctor finds nothing that does not work", "nsk doctor --json", ({ stdout }) => {
    const { findings } = JSON.parse(stdout) as { findings: { id: string; severity: string }[] };
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  });
};
