// The prelude as bytes in the built file. What it notes is shown by the hand-over, what it refuses by the bad input.

import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PF, PT, readEntry, readSegments, writeSegments } from "../../scripts/link/elf.ts";
import { linkDynamic } from "../../scripts/link/link.ts";
import { SYSTEM_CALL_CODE } from "../../scripts/link/prelude.ts";
import { PRELUDE, RECORD } from "../../src/abi/record.ts";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-prelude-"));
afterAll(() => rmSync(scratch, { recursive: true }));

describe("the built file", () => {
  const file = readFileSync(nsk);
  const loads = readSegments(file).filter(({ type }) => type === PT.LOAD);
  test("begins in the prelude, which can be executed and not be written", () => {
    const prelude = loads.find(({ address }) => address === PRELUDE)!;
    expect(prelude.flags).toBe(PF.R | PF.X);
    expect(readEntry(file)).toBeGreaterThanOrEqual(PRELUDE);
    expect(readEntry(file)).toBeLessThan(PRELUDE + prelude.inFile);
  });
  test("has a record, which can be written and not be executed", () => {
    expect(loads.find(({ address }) => address === RECORD)!.flags).toBe(PF.R | PF.W);
  });
  test("has segments in the order of their addresses, none over another", () => {
    for (const [i, { address }] of loads.entries())
      if (i > 0) expect(address).toBeGreaterThanOrEqual(loads[i - 1]!.address + loads[i - 1]!.inMemory);
  });
});

describe("a file that is laid out otherwise is refused", () => {
  test("without fixed addresses", () => {
    expect(() => linkDynamic(readFileSync("/bin/true"))).toThrow("not an executable with fixed addresses");
  });
  test("that has a prelude already", () => {
    expect(() => linkDynamic(readFileSync(nsk))).toThrow("the runtime takes the addresses of the prelude");
  });
  test("without program headers to spare", () => {
    const file = Buffer.from(readFileSync(process.execPath));
    writeSegments(
      file,
      readSegments(file).map((it) => (it.type === PT.NOTE ? { ...it, type: PT.LOAD } : it)),
    );
    expect(() => linkDynamic(file)).toThrow("not one PT_PHDR and one PT_NOTE");
  });
});

describe("the function that makes system calls", () => {
  const listings = {
    x64: {
      objdump: ["objdump", "-mi386:x86-64", "-Mintel"],
      text: `
        mov rax,rdi
        mov rdi,rsi
        mov rsi,rdx
        mov rdx,rcx
        mov r10,r8
        mov r8,r9
        mov r9,QWORD PTR [rsp+0x8]
        syscall
        ret
        nop
        nop
        nop
        nop
        nop
        nop`,
    },
    arm64: {
      objdump: ["aarch64-linux-gnu-objdump", "-maarch64"],
      text: `
        mov x8, x0
        mov x0, x1
        mov x1, x2
        mov x2, x3
        mov x3, x4
        mov x4, x5
        mov x5, x6
        svc #0x0
        ret
        nop`,
    },
  } as const;
  for (const arch of ["x64", "arm64"] as const) {
    const { objdump, text } = listings[arch];
    testNeeding(objdump[0])(`takes its arguments as C hands them over: ${arch}`, () => {
      const code = join(scratch, arch);
      writeFileSync(code, Buffer.from(SYSTEM_CALL_CODE[arch], "hex"));
      const lines = runCommand([...objdump, "-D", "-b", "binary", code]).stdout.match(/^ .*$/gm) ?? [];
      const read = lines.map((line) => line.split("\t").slice(2).join(" ").replaceAll(/\s+/g, " ").trim());
      expect(read.join("\n")).toBe(text.trim().replaceAll(/\n\s+/g, "\n"));
    });
  }
});
