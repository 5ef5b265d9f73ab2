// Both encoders, byte by byte, and what a disassembler makes of the bytes.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeArm64 } from "../../src/backends/launcher/arm64.ts";
import type { Op } from "../../src/backends/launcher/ops.ts";
import { encodeX64 } from "../../src/backends/launcher/x64.ts";
import { needs } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";
import { random } from "../support/random.ts";
import { a, BASE, keep, known, listings, numbers } from "./listings.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-encoders-"));
afterAll(() => rmSync(scratch, { recursive: true }));

interface Processor {
  readonly arch: "x64" | "arm64";
  readonly encode: typeof encodeX64;
  readonly objdump: readonly string[];
}

const processors: readonly Processor[] = [
  { arch: "x64", encode: encodeX64, objdump: ["objdump", "-mi386:x86-64", "-Mintel"] },
  { arch: "arm64", encode: encodeArm64, objdump: ["aarch64-linux-gnu-objdump", "-maarch64"] },
];

interface Line {
  readonly bytes: string;
  readonly text: string;
}

const linesOf = (listing: string): Line[] =>
  listing
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean)
    .map((line) => {
      const [bytes, text] = line.split(/ {2,}/) as [string, string];
      return { bytes, text };
    });

/** The bytes of a listing: an instruction of arm64 is written as a number, which is stored with its lowest byte first. */
const bytesOf = ({ arch }: Processor, lines: readonly Line[]): string =>
  lines
    .map(({ bytes }) =>
      arch === "x64" ? bytes.replaceAll(" ", "") : (bytes.match(/../g) ?? []).toReversed().join(""),
    )
    .join("");

const disassemble = ({ objdump }: Processor, code: Uint8Array): Line[] => {
  const file = join(scratch, "code");
  writeFileSync(file, code);
  const words = [...objdump, "-D", "-b", "binary", "-w", `--adjust-vma=${BASE}`, file];
  return runCommand(words)
    .stdout.split("\n")
    .flatMap((line) => {
      const found = /^\s*[0-9a-f]+:\t([0-9a-f ]+?)\s*\t(.*)$/.exec(line);
      if (!found) return [];
      // Behind an instruction stand its target's name, or a comment.
      const text = found[2]!.replace(/\s*(?:<|\/\/|# ).*$/, "").replace(/\s+/g, " ");
      return [{ bytes: found[1]!, text: text.trim() }];
    });
};

for (const processor of processors) {
  const { arch, encode } = processor;
  const reason = needs(processor.objdump[0]!);
  const rows = [
    ...numbers.map((row) => ({
      what: `the number ${row.value}`,
      ops: [{ op: "move", to: a, from: row.value }] as const,
      lines: linesOf(row[arch] + keep[arch]),
    })),
    ...listings.map((row) => ({ ...row, lines: linesOf(row[arch]) })),
  ];
  describe(arch, () => {
    for (const { what, ops, lines } of rows)
      test(what, () => {
        expect(encode(ops, BASE, known).bytes.toHex()).toBe(bytesOf(processor, lines));
      });

    const disassembled = (title: string, run: () => void): void =>
      reason ? test.skip(`${title} (${reason})`, run) : test(title, run);

    disassembled("a disassembler reads every listing as it is written", () => {
      for (const { what, ops, lines } of rows) {
        const read = lines.length ? disassemble(processor, encode(ops, BASE, known).bytes) : [];
        expect([what, read]).toEqual([what, lines]);
      }
    });
    disassembled("a disassembler reads back any number", () => {
      const chance = random(20240613);
      const values = Array.from({ length: 300 }, () => {
        // Parts of zeros and of ones are what the short forms are for.
        const parts = Array.from({ length: 4 }, () => chance.pick([0, 0xffff, chance.below(0x10000)]));
        const bits = parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n);
        return chance.pick([bits, BigInt.asIntN(64, bits)]);
      });
      const ops = values.flatMap((value): Op[] => [{ op: "move", to: a, from: value }, { op: "return" }]);
      const read = valuesOf(disassemble(processor, encode(ops, BASE, {}).bytes));
      expect(read).toEqual(values.map((value) => BigInt.asUintN(64, value)));
    });
    test("every op is in a listing", () => {
      const names = new Set(rows.flatMap((row) => row.ops.map(({ op }) => op)));
      const all: Record<Op["op"], true> = {
        start: true,
        enter: true,
        leave: true,
        address: true,
        syscall: true,
        move: true,
        add: true,
        sub: true,
        and: true,
        or: true,
        shift: true,
        load: true,
        store: true,
        branch: true,
        jump: true,
        call: true,
        return: true,
        label: true,
      };
      expect([...names].sort()).toEqual(Object.keys(all).sort() as Op["op"][]);
    });
    test("labels are offsets", () => {
      const { labels } = encode([{ op: "return" }, { op: "label", name: "here" }], BASE, {});
      expect([...labels]).toEqual([["here", arch === "x64" ? 1 : 4]]);
    });
    test("a label that is nowhere is an error that names it", () => {
      expect(() => encode([{ op: "jump", to: "nowhere" }], BASE, known)).toThrow("no label nowhere");
    });
    test("many ops in a row keep their places", () => {
      const ops: Op[] = [{ op: "label", name: "begin" }];
      for (let i = 0; i < 2000; i++) ops.push({ op: "move", to: a, from: i });
      ops.push({ op: "jump", to: "begin" });
      const { bytes } = encode(ops, BASE, {});
      const distance = new DataView(bytes.buffer, bytes.byteOffset).getInt32(bytes.length - 4, true);
      expect(arch === "x64" ? distance : ((distance << 6) >> 6) * 4).toBe(
        arch === "x64" ? -bytes.length : -(bytes.length - 4),
      );
    });
  });
}

/** What each sequence leaves in the first register, sequences ending with a return. */
const valuesOf = (lines: readonly Line[]): bigint[] => {
  const values: bigint[] = [];
  let value: bigint | undefined;
  for (const { text } of lines) {
    const [name, ...rest] = text.split(/[ ,]+/) as [string, ...string[]];
    if (name === "ret") {
      values.push(value!);
      value = undefined;
    }
    const [register, word = "", , shift = "#0"] = rest;
    if (!["eax", "rax", "x9"].includes(register!) || !/^#?0x[0-9a-f]+$/.test(word)) continue;
    const given = BigInt(word.replace("#", "")) << BigInt(shift.slice(1));
    // movk keeps the other parts, movn inverts, and mov is the whole value.
    if (name === "movk") value = (value! & ~(0xffffn << BigInt(shift.slice(1)))) | given;
    else value = name === "movn" ? BigInt.asUintN(64, ~given) : given;
  }
  return values;
};
