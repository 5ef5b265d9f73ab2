import { describe, expect, test } from "bun:test";
import { assemblePrepared } from "../../src/backends/launcher/prepared.ts";
import { preparedLabel, superviseLabel } from "../../src/backends/launcher/prepared-labels.ts";
import { parse } from "../../src/cli/getopt.ts";
import { run } from "../../src/commands/run.ts";
import { containerFromFlags, type RunFlags } from "../../src/run/container.ts";
import { planContainer } from "../../src/containers/plan.ts";
import { preparedCalls } from "../../src/containers/prepared.ts";
import { liveHost } from "../../src/host/live.ts";
import type { Step } from "../../src/plan/plan.ts";

const labelsOf = (steps: readonly Step[]): string[] =>
  steps.flatMap((step) => {
    if (step.kind === "fork") return labelsOf(step.child);
    if (step.kind === "prepared") return [preparedLabel(step.name)];
    return step.kind === "supervise" ? [superviseLabel(step)] : [];
  });

const labelsFor = async (words: readonly string[]): Promise<string[]> => {
  const { options, operands } = parse(run.definition.args, words, { name: "nsk run" });
  const container = await containerFromFlags(
    options as unknown as RunFlags,
    operands,
    liveHost(),
    "0123456789ab",
    "nsk run",
  );
  return labelsOf(planContainer("nsk run", container, liveHost()).steps);
};

describe("what is ready since the build", () => {
  const { x64, arm64 } = assemblePrepared("nsk run", 125).runtimes;

  test("a container of docker's defaults uses all of it", async () => {
    const used = await labelsFor(["true"]);
    expect(used.toSorted()).toEqual(
      [
        ...Object.keys(preparedCalls).map(preparedLabel),
        used.find((label) => label.startsWith("supervise"))!,
      ].toSorted(),
    );
    for (const label of used) expect([x64.labels[label], arm64.labels[label]]).not.toContain(undefined);
  });

  test("and one with a terminal has its loop ready, too", async () => {
    const loop = (await labelsFor(["-t", "true"])).find((label) => label.startsWith("supervise"));
    expect(loop).toBe("supervise pid signals master out");
    expect(x64.labels["supervise pid signals master in"]).toBeGreaterThan(0);
  });
});
