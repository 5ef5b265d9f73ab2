import { describe, expect, test } from "bun:test";
import { inTranslationOrder, inWriteOrder, narrowing } from "../../src/cgroups/order.ts";
import type { Setting } from "../../src/cgroups/settings.ts";

const parse = (text: string): Setting => {
  const [name, value] = text.split("=") as [string, string];
  return { name, value };
};
const show = ({ name, value }: Setting): string => `${name}=${value}`;
const files = (texts: Record<string, string>) => ({
  read: (name: string) => texts[name],
  has: (name: string) => name in texts,
});

const limit = "memory.limit_in_bytes";
const memsw = "memory.memsw.limit_in_bytes";
const quota = "cpu.cfs_quota_us";
const period = "cpu.cfs_period_us";
const burst = "cpu.cfs_burst_us";

describe("writes go in the order that the kernel takes", () => {
  const rows: [title: string, there: Record<string, string>, given: string[], written: string[]][] = [
    ["as given", {}, ["b.x=1", "a.x=2", "b.x=3"], ["b.x=1", "a.x=2", "b.x=3"]],
    [
      "memory nodes before processors",
      {},
      ["cpuset.cpus=0", "x.y=1", "cpuset.mems=0"],
      ["cpuset.mems=0", "cpuset.cpus=0", "x.y=1"],
    ],
    [
      "processors before their being exclusive",
      {},
      ["cpuset.cpus.partition=root", "cpuset.cpus=1"],
      ["cpuset.cpus=1", "cpuset.cpus.partition=root"],
    ],
    [
      "memory goes up behind memory with swap",
      { [memsw]: "100" },
      [`${limit}=200`, `${memsw}=300`],
      [`${memsw}=300`, `${limit}=200`],
    ],
    [
      "and down before it",
      { [memsw]: "1000" },
      [`${memsw}=300`, `${limit}=200`],
      [`${limit}=200`, `${memsw}=300`],
    ],
    ["with suffixes", { [memsw]: "1048576" }, [`${limit}=2M`, `${memsw}=3M`], [`${memsw}=3M`, `${limit}=2M`]],
    ["no limit is up", { [memsw]: "1000" }, [`${limit}=-1`, `${memsw}=-1`], [`${memsw}=-1`, `${limit}=-1`]],
    [
      "no limit until now is down",
      { [memsw]: "9223372036854771712" },
      [`${memsw}=9`, `${limit}=8`],
      [`${limit}=8`, `${memsw}=9`],
    ],
    [
      "a burst goes up behind its quota",
      { [quota]: "10" },
      [`${burst}=20`, `${quota}=30`],
      [`${quota}=30`, `${burst}=20`],
    ],
    [
      "and down before it",
      { [quota]: "100" },
      [`${quota}=30`, `${burst}=20`],
      [`${burst}=20`, `${quota}=30`],
    ],
    [
      "on version 2 too",
      { "cpu.max": "10 100" },
      ["cpu.max.burst=20", "cpu.max=30 100"],
      ["cpu.max=30 100", "cpu.max.burst=20"],
    ],
  ];
  for (const [title, there, given, written] of rows)
    test(title, () => {
      expect(inWriteOrder(given.map(parse), files(there)).map(show)).toEqual(written);
    });
});

test("the limit on memory is known before memory with swap is translated", () => {
  expect(inTranslationOrder([parse(`${memsw}=3`), parse("a.b=1"), parse(`${limit}=2`)]).map(show)).toEqual([
    `${limit}=2`,
    `${memsw}=3`,
    "a.b=1",
  ]);
});

describe("what takes something away from a group, which those below have to lose first", () => {
  const rows: [there: Record<string, string>, given: string[], less: string[]][] = [
    [{ "cpuset.cpus": "0-3" }, ["cpuset.cpus=1-2"], ["cpuset.cpus=1-2"]],
    [{ "cpuset.cpus": "1" }, ["cpuset.cpus=0-3", "cpuset.cpu_exclusive=1"], []],
    [{ "cpuset.cpus": "" }, ["cpuset.cpus=0"], []],
    [{ [quota]: "-1" }, [`${quota}=5000`], [`${quota}=5000`]],
    [{ [quota]: "5000" }, [`${quota}=-1`], []],
    [{ [period]: "10000" }, [`${period}=5000`], []],
    [{ [period]: "10000" }, [`${period}=20000`], [`${period}=20000`]],
    [{ [quota]: "5000", [period]: "10000" }, [`${quota}=4000`, `${period}=8000`], [`${quota}=4000`]],
    [{ [quota]: "5000", [burst]: "4000" }, [`${burst}=1`, `${quota}=9000`, "cpu.shares=2"], [`${burst}=1`]],
    [{ [quota]: "5000" }, [`${quota}=6000`, `${quota}=4000`], [`${quota}=6000`, `${quota}=4000`]],
    [{ [quota]: "5000" }, [`${quota}=4000`, `${quota}=6000`], []],
  ];
  for (const [there, given, less] of rows)
    test(`${given.join(" and ")} where there is ${JSON.stringify(there)}`, () => {
      expect([...narrowing(given.map(parse), files(there))].map(show)).toEqual(less);
    });
});

describe("quota and period, of which one is written first", () => {
  const [less, more] = ["10000", "50000"];
  const rows: [title: string, isLimited: boolean, there: string, given: string[], written: string[]][] = [
    [
      "less below a limit",
      true,
      more,
      [`${period}=9`, `${quota}=${less}`],
      [`${quota}=${less}`, `${period}=9`],
    ],
    [
      "more below a limit",
      true,
      less,
      [`${quota}=${more}`, `${period}=9`],
      [`${period}=9`, `${quota}=${more}`],
    ],
    ["less", false, more, [`${quota}=${less}`, `${period}=9`], [`${period}=9`, `${quota}=${less}`]],
    ["more", false, less, [`${period}=9`, `${quota}=${more}`], [`${quota}=${more}`, `${period}=9`]],
    ["a first one", true, "-1", [`${quota}=${less}`, `${period}=9`], [`${period}=9`, `${quota}=${less}`]],
    ["none any more", true, less, [`${period}=9`, `${quota}=-1`], [`${quota}=-1`, `${period}=9`]],
    [
      "less below a limit, with a burst",
      true,
      more,
      [`${period}=9`, `${quota}=${less}`, `${burst}=5`],
      [`${burst}=5`, `${quota}=${less}`, `${period}=9`],
    ],
  ];
  for (const [title, isLimited, there, given, written] of rows)
    test(title, () => {
      const ordered = inWriteOrder(given.map(parse), files({ [quota]: there }), () => isLimited);
      expect(ordered.map(show)).toEqual(written);
    });
});
