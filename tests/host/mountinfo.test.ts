import { expect, test } from "bun:test";
import { parseMountinfo } from "../../src/host/mountinfo.ts";

const text = String.raw`36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext3 /dev/root rw,errors=continue
37 35 0:40 / /a\040b\011c\012d\134e rw - tmpfs none rw
38 35 0:41 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
39 35 0:42 / /sys/fs/cgroup/unified rw - cgroup2  rw
nonsense
40 35 0:43 / /x rw shared:1 - fuse.sshfs me@there:/a\040dir rw,user_id=0
`;

test("a row has the fields of proc_pid_mountinfo(5)", () => {
  expect(parseMountinfo(text)[0]).toEqual({
    id: 36,
    parent: 35,
    device: "98:0",
    root: "/mnt1",
    mountPoint: "/mnt2",
    options: ["rw", "noatime"],
    optional: ["master:1", "propagate_from:2"],
    fstype: "ext3",
    source: "/dev/root",
    superOptions: ["rw", "errors=continue"],
  });
});

test("space, tab, newline and backslash are unescaped", () => {
  expect(parseMountinfo(text)[1]!.mountPoint).toBe("/a b\tc\nd\\e");
  expect(parseMountinfo(text).at(-1)!.source).toBe("me@there:/a dir");
});

test("rows can be chosen by the beginning of their type, an empty source is one, and nonsense is passed over", () => {
  expect(
    parseMountinfo(text, "cgroup").map(({ fstype, source, mountPoint }) => [fstype, source, mountPoint]),
  ).toEqual([
    ["cgroup", "cgroup", "/sys/fs/cgroup/cpu"],
    ["cgroup2", "", "/sys/fs/cgroup/unified"],
  ]);
  expect(parseMountinfo(text)).toHaveLength(5);
  expect(parseMountinfo("")).toEqual([]);
});
