import { describe, expect, test } from "bun:test";
import { UsageError } from "../../src/abi/errors.ts";
import { allPlaces, ancestors, parseGroupSpec } from "../../src/cgroups/groups.ts";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { difference } from "../differences.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

const places = (host: ReturnType<typeof v1>, ...specs: string[]): unknown =>
  allPlaces(host, readHierarchies(host), specs.map(parseGroupSpec)).map((it) => [
    it.directory,
    it.controllers.join(","),
  ]);

describe("controllers:path", () => {
  const rows: [text: string, controllers: string[], path: string][] = [
    ["cpu:limited", ["cpu"], "limited"],
    ["cpu,memory:/a/b", ["cpu", "memory"], "/a/b"],
    ["*:a", ["*"], "a"],
    ["name=systemd:a", ["name=systemd"], "a"],
    ["cpu:a:b", ["cpu"], "a:b"],
    ["cpu:/", ["cpu"], "/"],
  ];
  for (const [text, controllers, path] of rows)
    test(text, () => {
      expect(parseGroupSpec(text)).toEqual({ controllers, path });
    });
  for (const text of ["cpu", "cpu:", ":a", "", ",:a", "/a"])
    test(`'${text}' is refused`, () => {
      expect(() => parseGroupSpec(text)).toThrow(UsageError);
    });
});

describe("the directories of a group", () => {
  test("each controller has its own on a hybrid host", () => {
    expect(places(hybrid(), "cpu,memory:/a/b/")).toEqual([
      ["/sys/fs/cgroup/cpu/a/b", "cpu"],
      ["/sys/fs/cgroup/memory/a/b", "memory"],
    ]);
  });
  test("controllers that are mounted together share one", () => {
    expect(places(v1(), "cpu,cpuacct:a")).toEqual([["/sys/fs/cgroup/cpu,cpuacct/a", "cpu,cpuacct"]]);
  });
  test("version 2 has one for all, by the names it has for them", () => {
    expect(places(v2(), "cpu,cpuacct,blkio,freezer:a")).toEqual([["/sys/fs/cgroup/a", "cpu,io,"]]);
  });
  test("the same directory is named once, for all its controllers", () => {
    expect(places(v2(), "cpu:a", "memory:/a", "cpu:b")).toEqual([
      ["/sys/fs/cgroup/a", "cpu,memory"],
      ["/sys/fs/cgroup/b", "cpu"],
    ]);
  });
  test("* is every controller", () => {
    expect(places(hybrid(), "*:a")).toEqual([
      ["/sys/fs/cgroup/cpu/a", "cpu"],
      ["/sys/fs/cgroup/cpuacct/a", "cpuacct"],
      ["/sys/fs/cgroup/memory/a", "memory"],
    ]);
  });
  test("/ is the root", () => {
    expect(places(hybrid(), "cpu:/")).toEqual([["/sys/fs/cgroup/cpu", "cpu"]]);
  });
  for (const path of ["..", "a/../b", "../memory/a", "/.."])
    test(`${path} is refused (${difference("cg-dotdot")})`, () => {
      expect(() => places(hybrid(), `cpu:${path}`)).toThrow("leads out of its hierarchy");
    });
  test("a name with dots in it is none of those", () => {
    expect(places(hybrid(), "cpu:a..b/./c...")).toEqual([["/sys/fs/cgroup/cpu/a..b/c...", "cpu"]]);
  });
});

test("the groups above one are told from the root down", () => {
  const [hierarchy] = readHierarchies(v2());
  expect(ancestors(hierarchy!, "/sys/fs/cgroup/a/b/c")).toEqual([
    "/sys/fs/cgroup",
    "/sys/fs/cgroup/a",
    "/sys/fs/cgroup/a/b",
  ]);
  expect(ancestors(hierarchy!, "/sys/fs/cgroup")).toEqual([]);
  expect(ancestors({ version: 2, mountPoint: "/", controllers: [] }, "/a/b")).toEqual(["/", "/a"]);
});
