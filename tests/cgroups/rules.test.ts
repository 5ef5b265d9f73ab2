import { describe, expect, test } from "bun:test";
import { HostError } from "../../src/abi/errors.ts";
import { subjectOf } from "../../src/cgroups/classify.ts";
import {
  expandDestination,
  isTemplate,
  parseRules,
  rulesFor,
  type Subject,
} from "../../src/cgroups/rules.ts";
import { fixtureHost } from "../../src/host/fixture.ts";

const host = fixtureHost({
  files: {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\npeter:x:1000:1000::/:/bin/sh\nmary:x:1001:100::/:/bin/sh\n",
    "/etc/group": "root:x:0:\npeter:x:1000:\nusers:x:100:\nstaff:x:50:peter\n",
  },
});
const peter: Subject = { uid: 1000, gid: 1000, pid: "42", program: "/usr/bin/vi" };
const stranger: Subject = { uid: 7777, gid: 8888, pid: "43", program: "vi" };

describe("the rule for a process", () => {
  const rows: [rules: string, subject: Subject, destinations: string[]][] = [
    ["root cpu r\npeter cpu p", peter, ["p"]],
    ["peter cpu first\npeter cpu second", peter, ["first"]],
    ["@staff cpu s", peter, ["s"]],
    ["@peter cpu s", peter, ["s"]],
    ["@users cpu s", peter, []],
    ["* cpu all", stranger, ["all"]],
    ["peter:vi cpu vi", peter, ["vi"]],
    ["peter:/usr/bin/vi cpu vi", peter, ["vi"]],
    ["*:/usr/bin/vi cpu vi", stranger, []],
    ["peter:emacs cpu e\n* cpu rest", peter, ["rest"]],
    ["peter cpu a\n% memory b\n% pids c\n* cpu d", peter, ["a", "b", "c"]],
    ["root cpu a\n% memory b\npeter cpu c", peter, ["c"]],
    ["peter cpu a ignore\n% memory b\n* cpu c", peter, []],
    ["root cpu a ignore\npeter cpu b", peter, ["b"]],
    ["# peter cpu x\n\n  peter  cpu\ty # z", peter, ["y"]],
  ];
  for (const [rules, subject, destinations] of rows)
    test(JSON.stringify(rules), () => {
      expect(rulesFor(host, parseRules(rules, "f"), subject).map((it) => it.destination)).toEqual(
        destinations,
      );
    });

  for (const [text, message] of [
    ["a b", "f:1: a rule has three words"],
    ["# x\na b c d", "f:2: there is no option 'd'"],
    ["a b c ignore d", "f:1: 'd' is one word too many"],
    ["% cpu x", "f:1: % has no line above it"],
  ] as const)
    test(`${JSON.stringify(text)}: ${message}`, () => {
      expect(() => parseRules(text, "f")).toThrow(HostError);
      expect(() => parseRules(text, "f")).toThrow(message);
    });
});

describe("a destination", () => {
  const rows: [text: string, subject: Subject, path: string, template: boolean][] = [
    ["a/b", peter, "a/b", false],
    ["%u/%U/%g/%G/%p/%P", peter, "peter/1000/peter/1000/vi/42", true],
    ["%u/%g", stranger, "7777/8888", true],
    ["100\\%u", peter, "100%u", false],
    ["%x", peter, "%x", false],
  ];
  for (const [text, subject, path, template] of rows)
    test(text, () => {
      expect(expandDestination(host, text, subject)).toBe(path);
      expect(isTemplate(text)).toBe(template);
    });
});

test("what a running process is called by", () => {
  const running = fixtureHost({
    files: {
      "/proc/5/status": "Name:\tvi\nTgid:\t5\nUid:\t0\t1000\t0\t0\nGid:\t0\t100\t0\t0\nThreads:\t1\n",
      "/proc/5/cmdline": "vi\0file\0",
      "/proc/5/comm": "vi\n",
    },
  });
  expect(subjectOf(running, "5")).toEqual({ uid: 1000, gid: 100, pid: "5", program: "vi" });
  expect(subjectOf(running, "6")).toBeUndefined();
});
