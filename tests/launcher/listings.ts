// What each instruction of the launcher must become: the bytes, and beside them what they mean, as objdump writes it.

import type { Op } from "../../src/backends/launcher/ops.ts";

export interface Listing {
  readonly what: string;
  readonly ops: readonly Op[];
  readonly x64: string;
  readonly arm64: string;
}

/** Variables of the listings. */
export const a = { at: 0x800000 };
const b = { at: 0x8000f8 };
const c = { at: 0x812340 };

/** Where the code is, and a routine that is not part of it. */
export const BASE = 0x400000;
export const known = { elsewhere: 0x4000e8 };

/** A register's way into variable `a`, which ends each listing of a number. */
export const keep = {
  x64: `
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
  arm64: `
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
};

/** Numbers on their way into a register: the shortest form that each processor has for them. */
export const numbers: readonly { value: number | bigint; x64: string; arm64: string }[] = [
  {
    value: 0,
    x64: `
      b8 00 00 00 00                  mov eax,0x0`,
    arm64: `
      d2e00009  movz x9, #0x0, lsl #48`,
  },
  {
    value: 1,
    x64: `
      b8 01 00 00 00                  mov eax,0x1`,
    arm64: `
      d2800029  mov x9, #0x1`,
  },
  {
    value: -1,
    x64: `
      48 c7 c0 ff ff ff ff            mov rax,0xffffffffffffffff`,
    arm64: `
      92e00009  movn x9, #0x0, lsl #48`,
  },
  {
    value: 127,
    x64: `
      b8 7f 00 00 00                  mov eax,0x7f`,
    arm64: `
      d2800fe9  mov x9, #0x7f`,
  },
  {
    value: 128,
    x64: `
      b8 80 00 00 00                  mov eax,0x80`,
    arm64: `
      d2801009  mov x9, #0x80`,
  },
  {
    value: 65535,
    x64: `
      b8 ff ff 00 00                  mov eax,0xffff`,
    arm64: `
      d29fffe9  mov x9, #0xffff`,
  },
  {
    value: 65536,
    x64: `
      b8 00 00 01 00                  mov eax,0x10000`,
    arm64: `
      d2a00029  mov x9, #0x10000`,
  },
  {
    value: 2147483647,
    x64: `
      b8 ff ff ff 7f                  mov eax,0x7fffffff`,
    arm64: `
      d29fffe9  mov x9, #0xffff
      f2afffe9  movk x9, #0x7fff, lsl #16`,
  },
  {
    value: 2147483648,
    x64: `
      b8 00 00 00 80                  mov eax,0x80000000`,
    arm64: `
      d2b00009  mov x9, #0x80000000`,
  },
  {
    value: 4294967295,
    x64: `
      b8 ff ff ff ff                  mov eax,0xffffffff`,
    arm64: `
      d29fffe9  mov x9, #0xffff
      f2bfffe9  movk x9, #0xffff, lsl #16`,
  },
  {
    value: 4294967296,
    x64: `
      48 b8 00 00 00 00 01 00 00 00   movabs rax,0x100000000`,
    arm64: `
      d2c00029  mov x9, #0x100000000`,
  },
  {
    value: -4095,
    x64: `
      48 c7 c0 01 f0 ff ff            mov rax,0xfffffffffffff001`,
    arm64: `
      9281ffc9  mov x9, #0xfffffffffffff001`,
  },
  {
    value: -4096,
    x64: `
      48 c7 c0 00 f0 ff ff            mov rax,0xfffffffffffff000`,
    arm64: `
      9281ffe9  mov x9, #0xfffffffffffff000`,
  },
  {
    value: -2147483648,
    x64: `
      48 c7 c0 00 00 00 80            mov rax,0xffffffff80000000`,
    arm64: `
      929fffe9  mov x9, #0xffffffffffff0000
      f2b00009  movk x9, #0x8000, lsl #16`,
  },
  {
    value: -2147483649,
    x64: `
      48 b8 ff ff ff 7f ff ff ff ff   movabs rax,0xffffffff7fffffff`,
    arm64: `
      92b00009  mov x9, #0xffffffff7fffffff`,
  },
  {
    value: 0x7fffffffffffffffn,
    x64: `
      48 b8 ff ff ff ff ff ff ff 7f   movabs rax,0x7fffffffffffffff`,
    arm64: `
      92f00009  mov x9, #0x7fffffffffffffff`,
  },
  {
    value: 0x8000000000000000n,
    x64: `
      48 b8 00 00 00 00 00 00 00 80   movabs rax,0x8000000000000000`,
    arm64: `
      d2f00009  mov x9, #0x8000000000000000`,
  },
  {
    value: 0xffffffffffffffffn,
    x64: `
      48 b8 ff ff ff ff ff ff ff ff   movabs rax,0xffffffffffffffff`,
    arm64: `
      92e00009  movn x9, #0x0, lsl #48`,
  },
  {
    value: 0x123456789abcdef0n,
    x64: `
      48 b8 f0 de bc 9a 78 56 34 12   movabs rax,0x123456789abcdef0`,
    arm64: `
      d29bde09  mov x9, #0xdef0
      f2b35789  movk x9, #0x9abc, lsl #16
      f2cacf09  movk x9, #0x5678, lsl #32
      f2e24689  movk x9, #0x1234, lsl #48`,
  },
  {
    value: 0xffff0000ffff0000n,
    x64: `
      48 b8 00 00 ff ff 00 00 ff ff   movabs rax,0xffff0000ffff0000`,
    arm64: `
      d2bfffe9  mov x9, #0xffff0000
      f2ffffe9  movk x9, #0xffff, lsl #48`,
  },
  {
    value: -65536,
    x64: `
      48 c7 c0 00 00 ff ff            mov rax,0xffffffffffff0000`,
    arm64: `
      929fffe9  mov x9, #0xffffffffffff0000`,
  },
  {
    value: 0xffff1234ffffffffn,
    x64: `
      48 b8 ff ff ff ff 34 12 ff ff   movabs rax,0xffff1234ffffffff`,
    arm64: `
      92ddb969  mov x9, #0xffff1234ffffffff`,
  },
];

export const listings: readonly Listing[] = [
  {
    what: "the address of envp",
    ops: [{ op: "start", environ: a }],
    x64: `
      48 8b 04 24                     mov rax,QWORD PTR [rsp]
      48 8d 44 c4 10                  lea rax,[rsp+rax*8+0x10]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      f94003e9  ldr x9, [sp]
      910043ea  add x10, sp, #0x10
      8b090d49  add x9, x10, x9, lsl #3
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "a variable to another",
    ops: [{ op: "move", to: a, from: b }],
    x64: `
      48 8b 04 25 f8 00 80 00         mov rax,QWORD PTR ds:0x8000f8
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400169  ldr x9, [x11]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "a call without arguments",
    ops: [{ op: "syscall", name: "getpid", args: [], result: a }],
    x64: `
      b8 27 00 00 00                  mov eax,0x27
      0f 05                           syscall
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2801588  mov x8, #0xac
      d4000001  svc #0x0
      d2a0100b  mov x11, #0x800000
      f9000160  str x0, [x11]`,
  },
  {
    what: "a call with six numbers",
    ops: [{ op: "syscall", name: "ppoll", args: [1, 2, 3, 4, 5, 6], result: a }],
    x64: `
      bf 01 00 00 00                  mov edi,0x1
      be 02 00 00 00                  mov esi,0x2
      ba 03 00 00 00                  mov edx,0x3
      41 ba 04 00 00 00               mov r10d,0x4
      41 b8 05 00 00 00               mov r8d,0x5
      41 b9 06 00 00 00               mov r9d,0x6
      b8 0f 01 00 00                  mov eax,0x10f
      0f 05                           syscall
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2800020  mov x0, #0x1
      d2800041  mov x1, #0x2
      d2800062  mov x2, #0x3
      d2800083  mov x3, #0x4
      d28000a4  mov x4, #0x5
      d28000c5  mov x5, #0x6
      d2800928  mov x8, #0x49
      d4000001  svc #0x0
      d2a0100b  mov x11, #0x800000
      f9000160  str x0, [x11]`,
  },
  {
    what: "a call with six variables",
    ops: [{ op: "syscall", name: "ppoll", args: [a, b, c, a, b, c], result: b }],
    x64: `
      48 8b 3c 25 00 00 80 00         mov rdi,QWORD PTR ds:0x800000
      48 8b 34 25 f8 00 80 00         mov rsi,QWORD PTR ds:0x8000f8
      48 8b 14 25 40 23 81 00         mov rdx,QWORD PTR ds:0x812340
      4c 8b 14 25 00 00 80 00         mov r10,QWORD PTR ds:0x800000
      4c 8b 04 25 f8 00 80 00         mov r8,QWORD PTR ds:0x8000f8
      4c 8b 0c 25 40 23 81 00         mov r9,QWORD PTR ds:0x812340
      b8 0f 01 00 00                  mov eax,0x10f
      0f 05                           syscall
      48 89 04 25 f8 00 80 00         mov QWORD PTR ds:0x8000f8,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400160  ldr x0, [x11]
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400161  ldr x1, [x11]
      d284680b  mov x11, #0x2340
      f2a0102b  movk x11, #0x81, lsl #16
      f9400162  ldr x2, [x11]
      d2a0100b  mov x11, #0x800000
      f9400163  ldr x3, [x11]
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400164  ldr x4, [x11]
      d284680b  mov x11, #0x2340
      f2a0102b  movk x11, #0x81, lsl #16
      f9400165  ldr x5, [x11]
      d2800928  mov x8, #0x49
      d4000001  svc #0x0
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9000160  str x0, [x11]`,
  },
  {
    what: "a call with a negative number",
    ops: [{ op: "syscall", name: "openat", args: [-100, b, 0xffffffff, -2147483649], result: a }],
    x64: `
      48 c7 c7 9c ff ff ff            mov rdi,0xffffffffffffff9c
      48 8b 34 25 f8 00 80 00         mov rsi,QWORD PTR ds:0x8000f8
      ba ff ff ff ff                  mov edx,0xffffffff
      49 ba ff ff ff 7f ff ff ff ff   movabs r10,0xffffffff7fffffff
      b8 01 01 00 00                  mov eax,0x101
      0f 05                           syscall
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      92800c60  mov x0, #0xffffffffffffff9c
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400161  ldr x1, [x11]
      d29fffe2  mov x2, #0xffff
      f2bfffe2  movk x2, #0xffff, lsl #16
      92b00003  mov x3, #0xffffffff7fffffff
      d2800708  mov x8, #0x38
      d4000001  svc #0x0
      d2a0100b  mov x11, #0x800000
      f9000160  str x0, [x11]`,
  },
  {
    what: "add a number",
    ops: [{ op: "add", to: a, by: 8 }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 08 00 00 00                  mov ecx,0x8
      48 01 c8                        add rax,rcx
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d280010a  mov x10, #0x8
      8b0a0129  add x9, x9, x10
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "add a variable",
    ops: [{ op: "add", to: a, by: b }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      48 8b 0c 25 f8 00 80 00         mov rcx,QWORD PTR ds:0x8000f8
      48 01 c8                        add rax,rcx
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f940016a  ldr x10, [x11]
      8b0a0129  add x9, x9, x10
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "sub a number",
    ops: [{ op: "sub", to: a, by: 8 }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 08 00 00 00                  mov ecx,0x8
      48 29 c8                        sub rax,rcx
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d280010a  mov x10, #0x8
      cb0a0129  sub x9, x9, x10
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "and a number",
    ops: [{ op: "and", to: a, by: 8 }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 08 00 00 00                  mov ecx,0x8
      48 21 c8                        and rax,rcx
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d280010a  mov x10, #0x8
      8a0a0129  and x9, x9, x10
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "or a number",
    ops: [{ op: "or", to: a, by: 8 }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 08 00 00 00                  mov ecx,0x8
      48 09 c8                        or rax,rcx
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d280010a  mov x10, #0x8
      aa0a0129  orr x9, x9, x10
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "shift by 8",
    ops: [{ op: "shift", to: a, right: 8 }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      48 c1 e8 08                     shr rax,0x8
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d348fd29  lsr x9, x9, #8
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "load 1 from an address",
    ops: [{ op: "load", to: a, address: 0x812345, size: 1 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      0f b6 01                        movzx eax,BYTE PTR [rcx]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      39400149  ldrb w9, [x10]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "load 1 through a variable",
    ops: [{ op: "load", to: a, address: b, size: 1 }],
    x64: `
      48 8b 0c 25 f8 00 80 00         mov rcx,QWORD PTR ds:0x8000f8
      0f b6 01                        movzx eax,BYTE PTR [rcx]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f940016a  ldr x10, [x11]
      39400149  ldrb w9, [x10]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "load 2 from an address",
    ops: [{ op: "load", to: a, address: 0x812345, size: 2 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      0f b7 01                        movzx eax,WORD PTR [rcx]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      79400149  ldrh w9, [x10]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "load 4 from an address",
    ops: [{ op: "load", to: a, address: 0x812345, size: 4 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      8b 01                           mov eax,DWORD PTR [rcx]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      b9400149  ldr w9, [x10]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "load 8 from an address",
    ops: [{ op: "load", to: a, address: 0x812345, size: 8 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      48 8b 01                        mov rax,QWORD PTR [rcx]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      f9400149  ldr x9, [x10]
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "store 1 to an address",
    ops: [{ op: "store", address: 0x812345, value: b, size: 1 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      48 8b 04 25 f8 00 80 00         mov rax,QWORD PTR ds:0x8000f8
      88 01                           mov BYTE PTR [rcx],al`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400169  ldr x9, [x11]
      39000149  strb w9, [x10]`,
  },
  {
    what: "store 1 through a variable",
    ops: [{ op: "store", address: b, value: 255, size: 1 }],
    x64: `
      48 8b 0c 25 f8 00 80 00         mov rcx,QWORD PTR ds:0x8000f8
      b8 ff 00 00 00                  mov eax,0xff
      88 01                           mov BYTE PTR [rcx],al`,
    arm64: `
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f940016a  ldr x10, [x11]
      d2801fe9  mov x9, #0xff
      39000149  strb w9, [x10]`,
  },
  {
    what: "store 2 to an address",
    ops: [{ op: "store", address: 0x812345, value: b, size: 2 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      48 8b 04 25 f8 00 80 00         mov rax,QWORD PTR ds:0x8000f8
      66 89 01                        mov WORD PTR [rcx],ax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400169  ldr x9, [x11]
      79000149  strh w9, [x10]`,
  },
  {
    what: "store 4 to an address",
    ops: [{ op: "store", address: 0x812345, value: b, size: 4 }],
    x64: `
      b9 45 23 81 00                  mov ecx,0x812345
      48 8b 04 25 f8 00 80 00         mov rax,QWORD PTR ds:0x8000f8
      89 01                           mov DWORD PTR [rcx],eax`,
    arm64: `
      d28468aa  mov x10, #0x2345
      f2a0102a  movk x10, #0x81, lsl #16
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9400169  ldr x9, [x11]
      b9000149  str w9, [x10]`,
  },
  {
    what: "store 8 through a variable",
    ops: [{ op: "store", address: b, value: 255, size: 8 }],
    x64: `
      48 8b 0c 25 f8 00 80 00         mov rcx,QWORD PTR ds:0x8000f8
      b8 ff 00 00 00                  mov eax,0xff
      48 89 01                        mov QWORD PTR [rcx],rax`,
    arm64: `
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f940016a  ldr x10, [x11]
      d2801fe9  mov x9, #0xff
      f9000149  str x9, [x10]`,
  },
  {
    what: "branch eq, forward",
    ops: [
      { op: "branch", when: "eq", left: a, right: 0, to: "end" },
      { op: "return" },
      { op: "label", name: "end" },
    ],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 00 00 00 00                  mov ecx,0x0
      48 39 c8                        cmp rax,rcx
      0f 84 01 00 00 00               je 0x400017
      c3                              ret`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2e0000a  movz x10, #0x0, lsl #48
      eb0a013f  cmp x9, x10
      54000040  b.eq 0x400018
      d65f03c0  ret`,
  },
  {
    what: "branch ne, forward",
    ops: [
      { op: "branch", when: "ne", left: a, right: 0, to: "end" },
      { op: "return" },
      { op: "label", name: "end" },
    ],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 00 00 00 00                  mov ecx,0x0
      48 39 c8                        cmp rax,rcx
      0f 85 01 00 00 00               jne 0x400017
      c3                              ret`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2e0000a  movz x10, #0x0, lsl #48
      eb0a013f  cmp x9, x10
      54000041  b.ne 0x400018
      d65f03c0  ret`,
  },
  {
    what: "branch lt, forward",
    ops: [
      { op: "branch", when: "lt", left: a, right: 0, to: "end" },
      { op: "return" },
      { op: "label", name: "end" },
    ],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 00 00 00 00                  mov ecx,0x0
      48 39 c8                        cmp rax,rcx
      0f 8c 01 00 00 00               jl 0x400017
      c3                              ret`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2e0000a  movz x10, #0x0, lsl #48
      eb0a013f  cmp x9, x10
      5400004b  b.lt 0x400018
      d65f03c0  ret`,
  },
  {
    what: "branch ge, forward",
    ops: [
      { op: "branch", when: "ge", left: a, right: 0, to: "end" },
      { op: "return" },
      { op: "label", name: "end" },
    ],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 00 00 00 00                  mov ecx,0x0
      48 39 c8                        cmp rax,rcx
      0f 8d 01 00 00 00               jge 0x400017
      c3                              ret`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2e0000a  movz x10, #0x0, lsl #48
      eb0a013f  cmp x9, x10
      5400004a  b.ge 0x400018
      d65f03c0  ret`,
  },
  {
    what: "branch between variables, back",
    ops: [
      { op: "label", name: "begin" },
      { op: "branch", when: "eq", left: a, right: b, to: "begin" },
    ],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      48 8b 0c 25 f8 00 80 00         mov rcx,QWORD PTR ds:0x8000f8
      48 39 c8                        cmp rax,rcx
      0f 84 e7 ff ff ff               je 0x400000`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f940016a  ldr x10, [x11]
      eb0a013f  cmp x9, x10
      54ffff40  b.eq 0x400000`,
  },
  {
    what: "jump to itself",
    ops: [
      { op: "label", name: "begin" },
      { op: "jump", to: "begin" },
    ],
    x64: `
      e9 fb ff ff ff                  jmp 0x400000`,
    arm64: `
      14000000  b 0x400000`,
  },
  {
    what: "jump forward",
    ops: [{ op: "jump", to: "end" }, { op: "return" }, { op: "label", name: "end" }],
    x64: `
      e9 01 00 00 00                  jmp 0x400006
      c3                              ret`,
    arm64: `
      14000002  b 0x400008
      d65f03c0  ret`,
  },
  {
    what: "call of a routine elsewhere",
    ops: [{ op: "call", to: "elsewhere" }],
    x64: `
      e8 e3 00 00 00                  call 0x4000e8`,
    arm64: `
      9400003a  bl 0x4000e8`,
  },
  {
    what: "branch to a routine elsewhere",
    ops: [{ op: "branch", when: "ne", left: a, right: 1, to: "elsewhere" }],
    x64: `
      48 8b 04 25 00 00 80 00         mov rax,QWORD PTR ds:0x800000
      b9 01 00 00 00                  mov ecx,0x1
      48 39 c8                        cmp rax,rcx
      0f 85 d2 00 00 00               jne 0x4000e8`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400169  ldr x9, [x11]
      d280002a  mov x10, #0x1
      eb0a013f  cmp x9, x10
      540006c1  b.ne 0x4000e8`,
  },
  {
    what: "return",
    ops: [{ op: "return" }],
    x64: `
      c3                              ret`,
    arm64: `
      d65f03c0  ret`,
  },
  {
    what: "enter another program's entry",
    ops: [{ op: "enter", stack: a, handed: b }],
    x64: `
      48 89 e0                        mov rax,rsp
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax
      48 89 d0                        mov rax,rdx
      48 89 04 25 f8 00 80 00         mov QWORD PTR ds:0x8000f8,rax`,
    arm64: `
      d2801f0b  mov x11, #0xf8
      f2a0100b  movk x11, #0x80, lsl #16
      f9000160  str x0, [x11]
      910003e9  mov x9, sp
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
  {
    what: "leave for another program's entry",
    ops: [{ op: "leave", handed: a, to: 0x1a40d00 }],
    x64: `
      48 8b 14 25 00 00 80 00         mov rdx,QWORD PTR ds:0x800000
      b8 00 0d a4 01                  mov eax,0x1a40d00
      ff e0                           jmp rax`,
    arm64: `
      d2a0100b  mov x11, #0x800000
      f9400160  ldr x0, [x11]
      d281a009  mov x9, #0xd00
      f2a03489  movk x9, #0x1a4, lsl #16
      d61f0120  br x9`,
  },
  {
    what: "the address of a label, behind and ahead",
    ops: [
      { op: "label", name: "begin" },
      { op: "address", to: a, of: "begin" },
      { op: "address", to: a, of: "end" },
      { op: "label", name: "end" },
    ],
    x64: `
      48 8d 05 f9 ff ff ff            lea rax,[rip+0xfffffffffffffff9]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax
      48 8d 05 08 00 00 00            lea rax,[rip+0x8]
      48 89 04 25 00 00 80 00         mov QWORD PTR ds:0x800000,rax`,
    arm64: `
      10000009  adr x9, 0x400000
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]
      10000069  adr x9, 0x400018
      d2a0100b  mov x11, #0x800000
      f9000169  str x9, [x11]`,
  },
];
