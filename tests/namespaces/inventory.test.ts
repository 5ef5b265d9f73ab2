// From facts to namespaces, without a machine.

import { describe, expect, test } from "bun:test";
import { parseMountinfo } from "../../src/host/mountinfo.ts";
import {
  mountedNamespaces,
  parseNamespaceLink,
  parseStatus,
  type Relation,
} from "../../src/host/processes.ts";
import { inventory, members, related } from "../../src/namespaces/inventory.ts";

const processes = {
  pids: [1, 5, 7, 9],
  namespaces: { net: [100, 300, 100, 0], mnt: [200, 200, 200, 0] },
};

describe("inventory", () => {
  test("counts processes, knows the lowest, and passes over what may not be seen", () => {
    expect(inventory(processes, [], ["net", "mnt"])).toMatchObject([
      { kind: "net", id: 100, processes: 2, pid: 1, path: "/proc/1/ns/net" },
      { kind: "mount", id: 200, processes: 3, pid: 1, path: "/proc/1/ns/mnt" },
      { kind: "net", id: 300, processes: 1, pid: 5, path: "/proc/5/ns/net" },
    ]);
  });
  test("kinds that nobody asks for are not there", () => {
    expect(inventory(processes, [{ link: "uts", id: 1, path: "/u", by: "mount" }], ["mnt"])).toHaveLength(1);
  });
  test("a namespace that only a descriptor or a mount holds is there without a process, a mount being its path", () => {
    const holders = [
      { link: "net", id: 50, path: "/proc/7/fd/3", by: "descriptor" },
      { link: "net", id: 50, path: "/run/netns/a", by: "mount" },
      { link: "net", id: 50, path: "/run/netns/b", by: "mount" },
      { link: "net", id: 60, path: "/proc/7/fd/4", by: "descriptor" },
      { link: "net", id: 60, path: "/proc/7/fd/5", by: "descriptor" },
      { link: "net", id: 100, path: "/run/netns/c", by: "mount" },
    ] as const;
    expect(inventory(processes, holders, ["net"])).toMatchObject([
      {
        id: 50,
        processes: 0,
        pid: undefined,
        path: "/run/netns/a",
        mounts: ["/run/netns/a", "/run/netns/b"],
      },
      { id: 60, processes: 0, pid: undefined, path: "/proc/7/fd/4", mounts: [] },
      { id: 100, processes: 2, pid: 1, path: "/proc/1/ns/net", mounts: ["/run/netns/c"] },
      { id: 300, processes: 1 },
    ]);
  });
  test("members are the processes in one", () => {
    expect(members(processes, { kind: "net", id: 100 })).toEqual([1, 7]);
    expect(members(processes, { kind: "uts", id: 100 })).toEqual([]);
  });
});

describe("relations", () => {
  const relation = (it: Partial<Relation> & { id: number }): [number, Relation] => [
    it.id,
    { link: "user", parent: 0, owner: 0, uid: 0, ...it },
  ];
  const relations = new Map([
    relation({ id: 300, link: "net", owner: 42, uid: 1000 }),
    relation({ id: 42, parent: 41, owner: 41, uid: 1000 }),
    relation({ id: 41 }),
  ]);
  const found = inventory(processes, [], ["net"]);
  test("are added to what there is", () => {
    expect(related(found, relations, false)).toMatchObject([
      { id: 100, owner: 0, uid: undefined },
      { id: 300, owner: 42, uid: 1000 },
    ]);
  });
  test("and what lives on because of others is added on demand, with where it is mounted", () => {
    const holders = [{ link: "user", id: 42, path: "/u", by: "mount" }] as const;
    expect(related(found, relations, true, holders)).toMatchObject([
      { id: 41, kind: "user", processes: 0, path: undefined },
      { id: 42, kind: "user", parent: 41, path: "/u", mounts: ["/u"] },
      { id: 100 },
      { id: 300 },
    ]);
  });
});

describe("what the kernel writes", () => {
  test("a namespace's link", () => {
    expect(parseNamespaceLink("cgroup:[4026531835]")).toEqual({ link: "cgroup", id: 4026531835 });
    for (const other of ["/x/net:[1]", "socket:[1]", "net:[]", "net:[1] (deleted)", "anon_inode:[eventfd]"])
      expect(parseNamespaceLink(other)).toBeUndefined();
  });
  test("mounts of namespaces", () => {
    const text =
      "61 29 0:4 net:[4026532407] /run/netns/a\\040b rw - nsfs nsfs rw\n62 29 0:4 / /x rw - tmpfs none rw\n";
    expect(mountedNamespaces(parseMountinfo(text, "nsfs"))).toEqual([
      { link: "net", id: 4026532407, path: "/run/netns/a b", by: "mount" },
    ]);
  });
  test("a process's status and control groups", () => {
    const status = "Name:\tsleep x\nPPid:\t7\nUid:\t1\t2\t3\t4\nNSpid:\t70\t8\t1\n";
    expect(parseStatus(70, status, "3:cpu,cpuacct:/a:b\n0::/c\n")).toEqual({
      pid: 70,
      parent: 7,
      uid: 2,
      name: "sleep x",
      ids: [70, 8, 1],
      groups: ["/a:b", "/c"],
    });
    expect(parseStatus(70, status.replace(/NSpid.*\n/, ""), "")?.ids).toEqual([70]);
    expect(parseStatus(70, "", "")).toBeUndefined();
  });
});
