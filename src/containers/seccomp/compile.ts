// From a filter of the OCI runtime spec to the program that the kernel runs before every system call. It is written
// from its end to its start, so that every jump's target is there before the jump; the kernel's programs only jump
// forwards. Pure.

import { errno } from "../../abi/errno.ts";
import { HostError } from "../../abi/errors.ts";
import type { Seccomp, SeccompArgument, SeccompRule } from "../config.ts";
import { type Architecture, callNumbers } from "./calls.ts";

/** What a program may end with. @see seccomp(2) */
const RET = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_TRAP: 0x30000,
  SCMP_ACT_ERRNO: 0x50000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
} as const;

/** The names of all actions. SCMP_ACT_NOTIFY is none of them: nobody would listen. */
export type SeccompAction = keyof typeof RET;

export const SECCOMP_ACTIONS = Object.keys(RET) as readonly SeccompAction[];

export const isAction = (text: unknown): text is SeccompAction => typeof text === "string" && text in RET;

/** Instructions, by the kernel's names. @see linux/bpf_common.h */
const LOAD = 0x20; // BPF_LD|BPF_W|BPF_ABS
const AND = 0x54; // BPF_ALU|BPF_AND|BPF_K
const RETURN = 0x06; // BPF_RET|BPF_K
const JUMP = 0x05; // BPF_JMP|BPF_JA
const JEQ = 0x15; // BPF_JMP|BPF_JEQ|BPF_K
const JGT = 0x25;
const JGE = 0x35;

/** A conditional jump reaches so far. */
const REACH = 255;
/** The kernel takes no longer program. */
const MOST = 4096;

/** struct seccomp_data: where a call's number, its architecture and the low half of an argument lie. @see seccomp(2) */
const NUMBER = 0;
const ARCHITECTURE = 4;
const argumentAt = (index: number): number => 16 + 8 * index;

/** AUDIT_ARCH_*. @see linux/audit.h */
const AUDIT: Readonly<Record<Architecture, number>> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
};

/**
 * The bit of x32's call numbers, which come with the 64-bit architecture. Programs of that kind do not exist where a
 * kernel is built as distributions build it; here, too, they get its ENOSYS, whatever the filter says of its calls.
 */
const X32 = 0x40000000;

/** Numbers from here on are ARM's own, and say nothing of how new the kernel was that a filter was written for. */
const ARM_PRIVATE = 0xf0000;

/**
 * A place in the program, counted from its end: the last instruction is 1. What is written later is before it, and may
 * jump to it.
 */
type Place = number;

interface Writer {
  /** `[code, jump if true, jump if false, k]`, the last one first. */
  readonly code: [number, number, number, number][];
  /** Where an action was returned last. */
  readonly returns: Map<number, Place>;
}

const put = ({ code }: Writer, op: number, k: number, yes = 0, no = 0): Place =>
  code.push([op, yes, no, k >>> 0]);

/** A jump that can be reached by a conditional one from the next place; nothing when `to` can be already. */
const within = (writer: Writer, to: Place): Place => {
  // Up to two instructions may come between: this jump, and one for the other way.
  const distance = writer.code.length - to;
  return distance <= REACH - 2 ? to : put(writer, JUMP, distance);
};

/** Goes on at `yes` when the accumulator and `k` compare, else at `no`. */
const branch = (writer: Writer, op: number, k: number, yes: Place, no: Place): Place => {
  if (yes === no) return yes;
  const [near, other] = [within(writer, yes), within(writer, no)];
  const here = writer.code.length;
  return put(writer, op, k, here - near, here - other);
};

const load = (writer: Writer, offset: number, then: Place): Place => {
  const here = writer.code.length;
  if (then !== here) put(writer, JUMP, here - then);
  return put(writer, LOAD, offset);
};

/** Returns an action: from where that is done already, when it is near. */
const give = (writer: Writer, action: number): Place => {
  const known = writer.returns.get(action);
  if (known !== undefined && writer.code.length - known < REACH - 2) return known;
  const place = put(writer, RETURN, action);
  writer.returns.set(action, place);
  return place;
};

/** The action as the word that the program returns. */
const actionWord = (action: SeccompAction, errnoRet: number | undefined): number => {
  const word = RET[action];
  const data = action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE" ? (errnoRet ?? errno("EPERM")) : 0;
  return (word | (data & 0xffff)) >>> 0;
};

/** One comparison of a 64-bit argument, by its halves: the accumulator has 32 bits. */
const compare = (writer: Writer, argument: SeccompArgument, yes: Place, no: Place): Place => {
  const { index, op } = argument;
  const [low, high] = [argumentAt(index), argumentAt(index) + 4];
  const half = (value: bigint, shift: bigint): number => Number((value >> shift) & 0xffffffffn);
  const equal = (value: bigint, mask: bigint | undefined, yes: Place, no: Place): Place => {
    const one = (at: number, shift: bigint, then: Place): Place => {
      const bits = mask === undefined ? 0xffffffff : half(mask, shift);
      const wanted = half(value, shift);
      if (bits === 0) return wanted === 0 ? then : no;
      const there = branch(writer, JEQ, wanted, then, no);
      // All bits count, so nothing is cut off.
      if (bits === 0xffffffff) return load(writer, at, there);
      if (there !== writer.code.length) put(writer, JUMP, writer.code.length - there);
      return load(writer, at, put(writer, AND, bits));
    };
    return one(high, 32n, one(low, 0n, yes));
  };
  /** Greater (JGT), or greater or equal (JGE): the upper halves decide unless they are the same. */
  const greater = (jump: number, yes: Place, no: Place): Place => {
    const lower = load(writer, low, branch(writer, jump, half(argument.value, 0n), yes, no));
    const upper = half(argument.value, 32n);
    return load(writer, high, branch(writer, JGT, upper, yes, branch(writer, JEQ, upper, lower, no)));
  };
  switch (op) {
    case "SCMP_CMP_EQ":
      return equal(argument.value, undefined, yes, no);
    case "SCMP_CMP_NE":
      return equal(argument.value, undefined, no, yes);
    // The value is the mask, and the second value what is to be left.
    case "SCMP_CMP_MASKED_EQ":
      return equal(argument.valueTwo, argument.value, yes, no);
    case "SCMP_CMP_GT":
      return greater(JGT, yes, no);
    case "SCMP_CMP_GE":
      return greater(JGE, yes, no);
    case "SCMP_CMP_LT":
      return greater(JGE, no, yes);
    case "SCMP_CMP_LE":
      return greater(JGT, no, yes);
  }
};

/** The ways in which a rule holds. As runc has it, several comparisons of one argument are alternatives. */
const alternatives = ({ args }: SeccompRule): (readonly SeccompArgument[])[] => {
  const indexes = new Set(args.map(({ index }) => index));
  return indexes.size === args.length ? [args] : args.map((argument) => [argument]);
};

/** What is to be done for one call: its rules in order, and what when none of them holds. */
interface Decision {
  readonly conditional: readonly SeccompRule[];
  readonly action: number;
}

const decisionsOf = (filter: Seccomp, numbers: ReadonlyMap<string, number>): Map<number, Decision> => {
  const otherwise = actionWord(filter.defaultAction, filter.defaultErrnoRet);
  const rules = new Map<number, SeccompRule[]>();
  for (const rule of filter.syscalls)
    for (const name of rule.names) {
      const number = numbers.get(name);
      // A call that this architecture has not needs no rule.
      if (number === undefined) continue;
      const known = rules.get(number);
      if (known) known.push(rule);
      else rules.set(number, [rule]);
    }
  const decisions = new Map<number, Decision>();
  for (const [number, all] of rules) {
    // A rule without a condition counts more than those with one, wherever it stands: libseccomp's way.
    const always = all.find(({ args }) => args.length === 0);
    decisions.set(
      number,
      always ? plain(actionWord(always.action, always.errnoRet)) : { conditional: all, action: otherwise },
    );
  }
  return decisions;
};

/** The rules of one call: the first that holds. libseccomp does not say what it does; with equal and masked this. */
const decide = (writer: Writer, { conditional, action }: Decision): Place => {
  let next = give(writer, action);
  for (const rule of conditional.toReversed())
    for (const conditions of alternatives(rule).toReversed()) {
      const hit = give(writer, actionWord(rule.action, rule.errnoRet));
      let place = hit;
      for (const condition of conditions.toReversed()) place = compare(writer, condition, place, next);
      next = place;
    }
  return next;
};

/** From a number on: what is to be done, up to the next one's. */
interface Range {
  readonly from: number;
  readonly decision: Decision;
}

const plain = (action: number): Decision => ({ conditional: [], action });

/**
 * All numbers, in order. What is above every call that the filter names is newer than the filter: it must look as it
 * does on a kernel without it (ENOSYS), or programs that would do without fail. This is runc's rule as well.
 */
const rangesOf = (filter: Seccomp, architecture: Architecture): Range[] => {
  const decisions = decisionsOf(filter, callNumbers(architecture));
  const otherwise = plain(actionWord(filter.defaultAction, filter.defaultErrnoRet));
  const missing = plain(actionWord("SCMP_ACT_ERRNO", errno("ENOSYS")));
  const ranges: Range[] = [{ from: 0, decision: otherwise }];
  const add = (from: number, decision: Decision): void => {
    const last = ranges.at(-1)!;
    if (last.from === from) ranges.pop();
    const before = ranges.at(-1);
    const isSame =
      before && !before.decision.conditional.length && before.decision.action === decision.action;
    if (!isSame || decision.conditional.length) ranges.push({ from, decision });
  };
  const isPermissive = filter.defaultAction === "SCMP_ACT_ALLOW" || filter.defaultAction === "SCMP_ACT_LOG";
  const numbers = [...decisions.keys()].toSorted((a, b) => a - b);
  const newest = isPermissive ? Infinity : (numbers.findLast((number) => number < ARM_PRIVATE) ?? Infinity);
  for (const number of numbers) {
    add(number, decisions.get(number)!);
    add(number + 1, number < newest ? otherwise : missing);
  }
  if (architecture === "SCMP_ARCH_X86_64") add(X32, missing);
  return ranges;
};

/** Finds the range of the number in the accumulator by halving. */
const search = (writer: Writer, ranges: readonly Range[]): Place => {
  if (ranges.length === 1) return decide(writer, ranges[0]!.decision);
  const middle = ranges.length >> 1;
  const upper = search(writer, ranges.slice(middle));
  const lower = search(writer, ranges.slice(0, middle));
  return branch(writer, JGE, ranges[middle]!.from, upper, lower);
};

/**
 * The program, as `struct sock_filter`s one after the other. Throws {@link HostError} when it is longer than the kernel
 * takes. A call of an architecture that the filter does not name ends the process.
 */
export const compileSeccomp = (filter: Seccomp): Uint8Array => {
  const writer: Writer = { code: [], returns: new Map() };
  let other = give(writer, RET.SCMP_ACT_KILL_PROCESS);
  for (const architecture of filter.architectures.toReversed()) {
    const start = load(writer, NUMBER, search(writer, rangesOf(filter, architecture)));
    other = branch(writer, JEQ, AUDIT[architecture], start, other);
  }
  load(writer, ARCHITECTURE, other);
  const { code } = writer;
  if (code.length > MOST)
    throw new HostError(
      `the seccomp filter is too long: ${code.length} instructions, and the kernel takes ${MOST}`,
    );
  const bytes = new Uint8Array(code.length * 8);
  const view = new DataView(bytes.buffer);
  code.toReversed().forEach(([op, yes, no, k], i) => {
    view.setUint16(8 * i, op, true);
    view.setUint8(8 * i + 2, yes);
    view.setUint8(8 * i + 3, no);
    view.setUint32(8 * i + 4, k, true);
  });
  return bytes;
};
