// Rules for devices: as lines for version 1, and as a program for version 2 that an interpreter runs here.

import { describe, expect, test } from "bun:test";
import {
  type DeviceRule,
  deviceProgram,
  locateDeviceFilter,
  planDevices,
} from "../../src/cgroups/devices.ts";
import { readHierarchies } from "../../src/cgroups/hierarchies.ts";
import { planLimits } from "../../src/cgroups/limits.ts";
import { DEVICE_RULES } from "../../src/containers/defaults.ts";
import { random } from "../support/random.ts";
import { outline } from "../support/steps.ts";
import { hybrid, v1, v2 } from "./hosts.ts";

const rule = (text: string): DeviceRule => {
  const [how, type, numbers = "*:*", access = "rwm"] = text.split(" ");
  const [major, minor] = numbers.split(":").map((word) => (word === "*" ? undefined : Number(word)));
  return { allow: how === "allow", type: type as DeviceRule["type"], major, minor, access };
};

test("version 1 gets a line for each, its files opened once", () => {
  const rules = ["deny a", "allow c *:* m", "allow c 1:3 rwm", "allow b 8:* r", "deny b 8:1 w"].map(rule);
  expect(outline(planDevices("/g", 1, rules))).toEqual([
    "/g/devices.deny < a",
    "/g/devices.allow < c *:* m",
    "/g/devices.allow < c 1:3 rwm",
    "/g/devices.allow < b 8:* r",
    "/g/devices.deny < b 8:1 w",
  ]);
});

interface Question {
  readonly type: "b" | "c";
  readonly major: number;
  readonly minor: number;
  readonly access: string;
}

/** Runs the few instructions that such programs have. @see linux/bpf_common.h */
const answer = (program: Uint8Array, { type, major, minor, access }: Question): number => {
  const bits = [...access].reduce((all, letter) => all | { m: 1, r: 2, w: 4 }[letter]!, 0);
  const context = [(bits << 16) | { b: 1, c: 2 }[type], major, minor];
  const view = new DataView(program.buffer);
  const registers: number[] = [];
  for (let pc = 0; ; pc++) {
    if (8 * pc >= program.length) throw new Error("runs out of the program");
    const [code, pair] = [view.getUint8(8 * pc), view.getUint8(8 * pc + 1)];
    const [to, from] = [pair & 15, pair >> 4];
    const [offset, immediate] = [view.getInt16(8 * pc + 2, true), view.getInt32(8 * pc + 4, true)];
    const value = registers[to]!;
    if (code === 0x61) registers[to] = context[offset / 4]!;
    else if (code === 0xb7) registers[to] = immediate;
    else if (code === 0xbf) registers[to] = registers[from]!;
    else if (code === 0x57) registers[to] = value & immediate;
    else if (code === 0x77) registers[to] = value >>> immediate;
    else if (code === 0x55) pc += value !== immediate ? offset : 0;
    else if (code === 0x15) pc += value === immediate ? offset : 0;
    else if (code === 0x5d) pc += value !== registers[from] ? offset : 0;
    else if (code === 0x95) return registers[0]!;
    else throw new Error(`no such instruction: ${code.toString(16)}`);
  }
};

/** The rules read one after the other; the last that has something to say counts. */
const meaning = (rules: readonly DeviceRule[], question: Question): number => {
  let allowed = 0;
  for (const { allow, type, major, minor, access } of rules) {
    const letters = type === "a" ? "rwm" : access;
    const isMeant =
      type === "a" ||
      (type === question.type &&
        [undefined, question.major].includes(major) &&
        [undefined, question.minor].includes(minor));
    const wanted = [...question.access];
    const decides = allow
      ? wanted.every((letter) => letters.includes(letter))
      : wanted.some((letter) => letters.includes(letter));
    if (isMeant && decides) allowed = allow ? 1 : 0;
  }
  return allowed;
};

const ACCESS = ["r", "w", "m", "rw", "rm", "wm", "rwm"];

describe("version 2 gets a program that says the same", () => {
  test("for a container's rules", () => {
    const program = deviceProgram(DEVICE_RULES);
    const rows: [string, number][] = [
      ["c 1:3 rw", 1],
      ["c 1:9 r", 1],
      ["c 136:7 rw", 1],
      ["c 5:2 rw", 1],
      ["c 1:1 r", 0], // /dev/mem
      ["c 1:1 m", 1],
      ["c 10:229 rw", 0], // /dev/fuse
      ["b 8:0 m", 1],
      ["b 8:0 r", 0],
      ["b 8:0 rm", 0],
      ["b 1:3 rw", 0],
    ];
    for (const [text, expected] of rows) {
      const { type, major, minor, access } = rule(`allow ${text}`);
      const question = { type, major, minor, access } as Question;
      expect([text, answer(program, question)]).toEqual([text, expected]);
    }
  });
  test("for rules drawn at random", () => {
    const { below, pick } = random(1729);
    const number = (): number | undefined => pick([undefined, 0, 1, 5, 4000]);
    for (let round = 0; round < 200; round++) {
      const rules = Array.from({ length: below(9) }, (): DeviceRule => ({
        allow: below(2) === 1,
        type: pick(["a", "b", "c", "c", "b"]),
        major: number(),
        minor: number(),
        access: pick(ACCESS),
      }));
      const program = deviceProgram(rules);
      for (let i = 0; i < 40; i++) {
        const question = {
          type: pick(["b", "c"] as const),
          major: number() ?? 7,
          minor: number() ?? 7,
          access: pick(ACCESS),
        };
        const told = `${JSON.stringify(rules)} ${JSON.stringify(question)}`;
        expect([told, answer(program, question)]).toEqual([told, meaning(rules, question)]);
      }
    }
  });
});

describe("where devices are filtered", () => {
  const initial = { "/proc/self/uid_map": "         0          0 4294967295\n" };
  const mount = (line: string): string => `40 30 0:40 / ${line}\n`;
  const place = (host: ReturnType<typeof v1>): string | undefined =>
    locateDeviceFilter(host, readHierarchies(host))?.hierarchy.mountPoint;
  const withDevices = (how: string): ReturnType<typeof v1> =>
    v1({
      files: {
        ...initial,
        "/proc/self/mountinfo": mount(`/sys/fs/cgroup/devices ${how} - cgroup cgroup rw,devices`),
      },
    });
  test("by the controller of version 1", () => {
    expect(place(withDevices("rw,nosuid"))).toBe("/sys/fs/cgroup/devices");
  });
  test("in version 2, also beside version 1 without it", () => {
    expect(place(v2({ files: initial }))).toBe("/sys/fs/cgroup");
    expect(place(hybrid({ files: initial }))).toBe("/sys/fs/cgroup/unified");
  });
  test("not where groups cannot be made, nor in a user namespace", () => {
    expect(place(withDevices("ro,nosuid"))).toBeUndefined();
    expect(place(v1({ files: initial }))).toBeUndefined();
    expect(place(v2({ files: { "/proc/self/uid_map": "0 1000 1\n" } }))).toBeUndefined();
  });
  test("and a container's plan says whether they are", () => {
    const devices = DEVICE_RULES;
    const filtered = planLimits(v2({ files: initial }), "c1", { devices });
    expect(filtered).toMatchObject({ filtersDevices: true, groups: ["/sys/fs/cgroup/nsk-c1"] });
    expect(filtered.create.map(({ name }) => name)).toEqual([
      "mkdirat",
      "bpf",
      "openat",
      "bpf",
      "close",
      "close",
    ]);
    const inside = v2({ files: { "/proc/self/uid_map": "0 1000 1\n" } });
    const unfiltered = planLimits(inside, "c1", { devices });
    expect(unfiltered).toMatchObject({ filtersDevices: false, groups: [], create: [] });
    const both = planLimits(v2({ files: initial }), "c1", { devices, pids: { limit: 5 } });
    expect(both.groups).toEqual(["/sys/fs/cgroup/nsk-c1"]);
  });
});
