// What a failure looks like: one line, at most one hint, the right exit status.

import { expect, test } from "bun:test";
import { HostError, StepError, UsageError } from "../../src/abi/errors.ts";
import { errno } from "../../src/abi/errno.ts";
import { describe as describeFailure } from "../../src/cli/failure.ts";

const failed = { name: "nsk cgset", status: 125 };

test.each<[string, unknown, string, number]>([
  ["bad usage", new UsageError("no group given"), "nsk cgset: no group given\n", 125],
  [
    "bad usage with a hint",
    new UsageError("no group given", "try 'nsk cgset --help'"),
    "nsk cgset: no group given\nhint: try 'nsk cgset --help'\n",
    125,
  ],
  [
    "bad usage with a status",
    new UsageError("no group given", undefined, 255),
    "nsk cgset: no group given\n",
    255,
  ],
  [
    "a host that cannot",
    new HostError("no cpu controller", "mount one"),
    "nsk cgset: no cpu controller\nhint: mount one\n",
    125,
  ],
  [
    "a host that cannot, with a status",
    new HostError("no cpu controller", undefined, 84),
    "nsk cgset: no cpu controller\n",
    84,
  ],
  [
    "a step",
    new StepError("mount /proc", errno("EPERM")),
    "nsk cgset: mount /proc failed: Operation not permitted\n",
    125,
  ],
  [
    "a step with hint and status",
    new StepError("execute x", errno("ENOENT"), "look into PATH", 127),
    "nsk cgset: execute x failed: No such file or directory\nhint: look into PATH\n",
    127,
  ],
  [
    "what would move the cursor or begin a line",
    new UsageError("no '\x1b[2J\n\t\x7f\x9b\udcff' here", "a\nb"),
    "nsk cgset: no '\\x1b[2J\\x0a\\x09\\x7f\\x9b\\xff' here\nhint: a\\x0ab\n",
    125,
  ],
  [
    "letters of all languages",
    new UsageError("no group 'größe 組'"),
    "nsk cgset: no group 'größe 組'\n",
    125,
  ],
  [
    "a bug",
    new TypeError("x is undefined"),
    "nsk cgset: a bug in nsk: TypeError: x is undefined\nhint: set NSK_DEBUG=1 to see where it happened\n",
    125,
  ],
  [
    "something thrown that is no error",
    "text",
    "nsk cgset: a bug in nsk: text\nhint: set NSK_DEBUG=1 to see where it happened\n",
    125,
  ],
])("%s", (_, error, text, status) => {
  expect(describeFailure(error, failed)).toEqual({ text, status });
});

test("the stack of a bug is shown to who asks for it, and that of no other error", () => {
  const bug = describeFailure(new TypeError("x is undefined"), failed, true);
  expect(bug.text).toContain("nsk cgset: a bug in nsk: TypeError: x is undefined\n");
  expect(bug.text).toContain(import.meta.path);
  expect(describeFailure(new UsageError("no group"), failed, true).text).toBe("nsk cgset: no group\n");
});
