// The launcher as a file: headers and segments, and the runtime that every launcher has in it.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errnoTexts } from "../../src/abi/errno.ts";
import type { Arch } from "../../src/abi/syscalls.ts";
import { writeElf } from "../../src/backends/launcher/elf.ts";
import { BASE, HEADERS, RUNTIME, VARIABLES } from "../../src/backends/launcher/layout.ts";
import * as parts from "../../src/backends/launcher/parts.ts";
import { lower } from "../../src/backends/launcher/lower.ts";
import { assembleRuntime } from "../../src/backends/launcher/runtime.ts";
import { planUnshare } from "../../src/namespaces/unshare.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import type { Plan } from "../../src/plan/plan.ts";
import { needs } from "../support/needs.ts";
import { runCommand } from "../support/nsk.ts";

const plan: Plan = planUnshare(
  "test",
  {
    kinds: ["user", "mount", "pid"],
    fork: true,
    mapUser: 0,
    mapGroup: 0,
    propagation: "private",
    mountProc: "/proc",
    program: { program: "true", argv: ["true"], candidates: ["/usr/bin/true", "/bin/true"] },
  },
  fixtureHost(),
);

interface Segment {
  readonly type: number;
  readonly flags: number;
  readonly offset: number;
  readonly at: number;
  readonly inFile: number;
  readonly inMemory: number;
  readonly align: number;
}

const X = 1;
const W = 2;
const R = 4;

/** @see elf(5), Elf64_Ehdr and Elf64_Phdr */
const readElf = (file: Uint8Array) => {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const half = (at: number): number => view.getUint16(at, true);
  const word = (at: number): number => view.getUint32(at, true);
  const long = (at: number): number => Number(view.getBigUint64(at, true));
  const segments = Array.from({ length: half(56) }, (_, i): Segment => {
    const at = long(32) + i * half(54);
    return {
      type: word(at),
      flags: word(at + 4),
      offset: long(at + 8),
      at: long(at + 16),
      inFile: long(at + 32),
      inMemory: long(at + 40),
      align: long(at + 48),
    };
  });
  return {
    ident: file.subarray(0, 16).toHex(),
    type: half(16),
    machine: half(18),
    version: word(20),
    entry: long(24),
    headerSize: half(52),
    sections: half(60),
    segments,
  };
};

const scratch = mkdtempSync(join(tmpdir(), "nsk-elf-"));
afterAll(() => rmSync(scratch, { recursive: true }));

for (const [arch, machine] of [
  ["x64", 62],
  ["arm64", 183],
] as const)
  describe(arch, () => {
    const file = lower(plan, arch, { parts });
    const elf = readElf(file);
    const [code, variables, stack] = elf.segments as [Segment, Segment, Segment];

    test("a static 64-bit executable of this processor", () => {
      expect(elf).toMatchObject({
        ident: "7f454c46020101000000000000000000",
        type: 2,
        machine,
        version: 1,
        headerSize: 64,
        sections: 0,
      });
      // PT_LOAD, PT_LOAD, PT_GNU_STACK: neither an interpreter nor anything to link.
      expect(elf.segments.map(({ type }) => type)).toEqual([1, 1, 0x6474e551]);
    });
    test("no segment can be written and executed", () => {
      expect(elf.segments.map(({ flags }) => flags)).toEqual([R | X, R | W, R | W]);
    });
    test("the code is the whole file, and the variables take no room in it", () => {
      expect(code).toMatchObject({ offset: 0, at: BASE, inFile: file.length, inMemory: file.length });
      expect(variables).toMatchObject({ at: VARIABLES, inFile: 0 });
      expect(variables.inMemory).toBeGreaterThan(0);
      expect(code.at + code.inMemory).toBeLessThanOrEqual(variables.at);
      expect(stack.inMemory).toBe(0);
    });
    test("every segment may be mapped with pages of up to 64 KiB", () => {
      for (const { at, offset, align } of [code, variables]) {
        expect(align).toBe(0x10000);
        expect(at % align).toBe(offset % align);
      }
    });
    test("the entry is in the plan's code, behind the runtime", () => {
      expect(elf.entry).toBeGreaterThan(RUNTIME);
      expect(elf.entry).toBeLessThan(BASE + file.length);
      expect(elf.entry % 4).toBe(0);
      const start = { x64: "488b0424", arm64: "e90340f9" }[arch]; // takes argc from the stack
      expect(file.subarray(elf.entry - BASE, elf.entry - BASE + 4).toHex()).toBe(start);
    });
    test("it is small", () => {
      expect(file.length).toBeLessThan(arch === "x64" ? 12_000 : 16_000);
    });
    test("the same plan gives the same bytes", () => {
      expect(Buffer.from(lower(plan, arch, { parts })).equals(file)).toBe(true);
    });
    const reason = needs("readelf");
    const read = (title: string, run: () => void): void =>
      reason ? test.skip(`${title} (${reason})`, run) : test(title, run);
    read("readelf has nothing to say against it", () => {
      const path = join(scratch, arch);
      writeFileSync(path, file);
      const { stdout, stderr, status } = runCommand(["readelf", "-hlW", path]);
      expect([stderr, status]).toEqual(["", 0]);
      expect(stdout).toContain(
        `Machine:                           ${arch === "x64" ? "Advanced Micro Devices X86-64" : "AArch64"}`,
      );
      const flags = [...stdout.matchAll(/^ {2}(LOAD|GNU_STACK) .* ([RWE ]{3}) 0x[0-9a-f]+$/gm)].map(
        ([, type, may]) => `${type} ${may}`,
      );
      expect(flags).toEqual(["LOAD R E", "LOAD RW ", "GNU_STACK RW "]);
    });
  });

test("a plan that would reach its own variables is refused", () => {
  expect(() => writeElf("x64", [new Uint8Array(VARIABLES - BASE - HEADERS)], RUNTIME, 8)).not.toThrow();
  expect(() => writeElf("x64", [new Uint8Array(VARIABLES - BASE - HEADERS + 1)], RUNTIME, 8)).toThrow(
    "too large",
  );
});

test("parts stand at multiples of 8", () => {
  const file = writeElf("x64", [Uint8Array.of(1), Uint8Array.of(2, 2, 2), Uint8Array.of(3)], RUNTIME, 8);
  expect([...file.subarray(HEADERS)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 0, 0, 0, 0, 0, 3]);
});

describe("the runtime", () => {
  const runtimes = assembleRuntime();
  for (const arch of ["x64", "arm64"] as const satisfies readonly Arch[]) {
    const { base64, labels, variables, variableBytes } = runtimes[arch];
    const bytes = Buffer.from(base64, "base64");
    test(`${arch}: its routines are inside it`, () => {
      for (const name of [
        "report",
        "exec",
        "wait for child",
        "end by signal",
        "end by status",
        "append text",
        "append number",
      ]) {
        expect(labels[name]).toBeGreaterThanOrEqual(RUNTIME);
        expect(labels[name]).toBeLessThan(RUNTIME + bytes.length);
      }
    });
    test(`${arch}: it has every error's text, in order, and the shell`, () => {
      expect(bytes.includes(`${errnoTexts.join("\0")}\0`)).toBe(true);
      expect(bytes.includes("/bin/sh\0")).toBe(true);
    });
    test(`${arch}: no two variables share memory`, () => {
      const places = Object.values(variables);
      expect(new Set(places).size).toBe(places.length);
      for (const at of places) {
        expect(at % 8).toBe(0);
        expect(at).toBeGreaterThanOrEqual(VARIABLES);
        expect(at).toBeLessThan(VARIABLES + variableBytes);
      }
    });
    test(`${arch}: every launcher begins with it`, () => {
      const file = lower(plan, arch, { parts });
      expect(Buffer.from(file.subarray(HEADERS, HEADERS + bytes.length)).equals(bytes)).toBe(true);
    });
  }
});
