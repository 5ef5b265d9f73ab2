// Which devices the programs of a group may make and open: on version 1 lines for the devices controller, on version 2
// a program for the kernel's eBPF machine, attached to the group. Pure.

import { errno } from "../abi/errno.ts";
import { O } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { isInUserNamespace } from "../host/kernel.ts";
import { attachDeviceProgram, loadDeviceProgram } from "../plan/bpf-steps.ts";
import { type CallStep, slot } from "../plan/call.ts";
import { close, open, write } from "../plan/steps.ts";
import { type Hierarchies, locate, type Location } from "./hierarchies.ts";

/** One rule, by the names of the OCI runtime spec. The last one that matches counts. */
export interface DeviceRule {
  readonly allow: boolean;
  /** All, block or character devices. */
  readonly type: "a" | "b" | "c";
  /** All numbers, unless given. */
  readonly major?: number | undefined;
  readonly minor?: number | undefined;
  /** Letters of `rwm`: read, write, mknod(2). */
  readonly access: string;
}

/**
 * Where devices can be filtered: by version 1's controller, or in version 2's tree. Undefined where neither is there to
 * be written, and in a user namespace, whose root may do neither (and make no device nodes).
 */
export const locateDeviceFilter = (host: Host, hierarchies: Hierarchies): Location | undefined => {
  if (isInUserNamespace(host)) return undefined;
  const older = locate(hierarchies, "devices");
  if (older) return older.hierarchy.readonly ? undefined : older;
  for (const hierarchy of hierarchies)
    if (hierarchy.version === 2 && !hierarchy.readonly) return { hierarchy, controller: "" };
  return undefined;
};

/** Applies rules to a new group. @see Documentation/admin-guide/cgroup-v1/devices.rst, bpf(2) */
export const planDevices = (directory: string, version: 1 | 2, rules: readonly DeviceRule[]): CallStep[] =>
  version === 1 ? lines(directory, rules) : program(directory, rules);

const REASON = "no device but these, whatever nodes a program makes";

const lines = (directory: string, rules: readonly DeviceRule[]): CallStep[] => {
  const steps: CallStep[] = [];
  const fd = slot("fd");
  let file = "";
  for (const rule of rules) {
    const next = `${directory}/${rule.allow ? "devices.allow" : "devices.deny"}`;
    const title = `write ${next}`;
    if (next !== file) {
      if (file) steps.push(close(fd, { title: `write ${file}` }));
      steps.push(open(next, O.O_WRONLY | O.O_CLOEXEC, fd, { title, ...(file ? {} : { reason: REASON }) }));
      file = next;
    }
    // Who is in a filtered group itself cannot give what it has not: that device stays closed.
    steps.push(write(fd, lineOf(rule), title, rule.allow ? { tolerate: [errno("EPERM")] } : {}));
  }
  if (file) steps.push(close(fd, { title: `write ${file}` }));
  return steps;
};

const numberOf = (number: number | undefined): string => (number === undefined ? "*" : String(number));

const lineOf = ({ type, major, minor, access }: DeviceRule): string =>
  type === "a" ? "a" : `${type} ${numberOf(major)}:${numberOf(minor)} ${access}`;

const program = (directory: string, rules: readonly DeviceRule[]): CallStep[] => {
  const [fd, group] = [slot("program"), slot("group")];
  const title = `filter devices in ${directory}`;
  return [
    loadDeviceProgram(deviceProgram(rules), fd, { title, reason: REASON }),
    open(directory, O.O_RDONLY | O.O_CLOEXEC, group, { title }),
    attachDeviceProgram(group, fd, { title }),
    close(group, { title }),
    close(fd, { title }),
  ];
};

/** What a rule is asked about: `struct bpf_cgroup_dev_ctx { u32 access_type, major, minor; }`. @see linux/bpf.h */
const TYPES = { b: 1, c: 2 } as const;
const ACCESS: Readonly<Record<string, number>> = { m: 1, r: 2, w: 4 };
const EVERYTHING = 7;

/** Instructions: 64-bit `mov`, `rsh`, `and`, `jne` and the rest with a number or register. @see linux/bpf_common.h */
const [LOAD, MOVE, MOVE_REGISTER, AND, SHIFT] = [0x61, 0xb7, 0xbf, 0x57, 0x77];
const [JUMP_IF_NOT, JUMP_IF_NOT_REGISTER, JUMP_IF, EXIT] = [0x55, 0x5d, 0x15, 0x95];
/** Registers: the answer, the question's address, and what is read from it. */
const [ANSWER, CONTEXT, TYPE, WANTED, MAJOR, MINOR, SCRATCH] = [0, 1, 2, 3, 4, 5, 6];

type Instruction = readonly [code: number, to: number, from: number, offset: number, immediate: number];

/**
 * The program for rules, as `struct bpf_insn`s one after the other: the last rule is asked first, and what none of them
 * matches is denied.
 */
export const deviceProgram = (rules: readonly DeviceRule[]): Uint8Array => {
  const out: Instruction[] = [
    [LOAD, TYPE, CONTEXT, 0, 0],
    [MOVE_REGISTER, WANTED, TYPE, 0, 0],
    [AND, TYPE, 0, 0, 0xffff],
    [SHIFT, WANTED, 0, 0, 16],
    [LOAD, MAJOR, CONTEXT, 4, 0],
    [LOAD, MINOR, CONTEXT, 8, 0],
  ];
  // The kernel takes no program with instructions that are never reached, such as those behind a rule for everything.
  const last = rules.findLastIndex(({ type }) => type === "a");
  for (const rule of rules.slice(Math.max(last, 0)).toReversed()) out.push(...ruleInstructions(rule));
  if (last < 0) out.push(...ruleInstructions({ allow: false, type: "a", access: "rwm" }));
  const bytes = new Uint8Array(out.length * 8);
  const view = new DataView(bytes.buffer);
  out.forEach(([code, to, from, offset, immediate], i) => {
    bytes[8 * i] = code;
    bytes[8 * i + 1] = to | (from << 4);
    view.setInt16(8 * i + 2, offset, true);
    view.setInt32(8 * i + 4, immediate, true);
  });
  return bytes;
};

const ruleInstructions = ({ allow, type, major, minor, access }: DeviceRule): Instruction[] => {
  const letters = type === "a" ? "rwm" : access;
  let mask = 0;
  for (const letter of letters) mask |= ACCESS[letter] ?? 0;
  const end: Instruction[] = [
    [MOVE, ANSWER, 0, 0, allow ? 1 : 0],
    [EXIT, 0, 0, 0, 0],
  ];
  const tests: Instruction[] = [];
  if (type !== "a") {
    tests.push([JUMP_IF_NOT, TYPE, 0, 0, TYPES[type]]);
    if (major !== undefined) tests.push([JUMP_IF_NOT, MAJOR, 0, 0, major]);
    if (minor !== undefined) tests.push([JUMP_IF_NOT, MINOR, 0, 0, minor]);
  }
  if (mask !== EVERYTHING) {
    tests.push([MOVE_REGISTER, SCRATCH, WANTED, 0, 0], [AND, SCRATCH, 0, 0, mask]);
    // All that is wanted must be allowed; any of it may be what is denied.
    tests.push(allow ? [JUMP_IF_NOT_REGISTER, SCRATCH, WANTED, 0, 0] : [JUMP_IF, SCRATCH, 0, 0, 0]);
  }
  const all = [...tests, ...end];
  const jumps: readonly number[] = [JUMP_IF_NOT, JUMP_IF_NOT_REGISTER, JUMP_IF];
  return all.map((instruction, i) =>
    jumps.includes(instruction[0])
      ? (instruction.with(3, all.length - i - 1) as unknown as Instruction)
      : instruction,
  );
};
