import { describe, expect, test } from "bun:test";
import { inTranslationOrder, inWriteOrder } from "../../src/cgroups/order.ts";
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
