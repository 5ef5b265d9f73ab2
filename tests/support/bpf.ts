// Runs a seccomp program as the kernel does, instruction by instruction, and checks what the kernel checks before it
// takes one. @see seccomp(2), and the kernel's Documentation/networking/filter.rst

/** What a filter is asked about: `struct seccomp_data`. */
export interface Question {
  /** AUDIT_ARCH_*. */
  readonly arch: number;
  readonly nr: number;
  readonly args: readonly bigint[];
}

const bytesOf = ({ arch, nr, args }: Question): DataView => {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(0, nr, true);
  view.setUint32(4, arch, true);
  args.forEach((value, i) => view.setBigUint64(16 + 8 * i, value, true));
  return view;
};

/** The 32-bit word that the program returns, and how many instructions that took. */
export const runProgram = (program: Uint8Array, question: Question): { word: number; steps: number } => {
  const data = bytesOf(question);
  const code = new DataView(program.buffer, program.byteOffset, program.byteLength);
  const count = program.length / 8;
  let accumulator = 0;
  let steps = 0;
  for (let pc = 0; ; pc++) {
    if (pc >= count) throw new Error(`runs out of the program at ${pc}`);
    steps++;
    const [op, yes, no] = [
      code.getUint16(8 * pc, true),
      code.getUint8(8 * pc + 2),
      code.getUint8(8 * pc + 3),
    ];
    const k = code.getUint32(8 * pc + 4, true);
    const jump = (holds: boolean): void => {
      pc += holds ? yes : no;
    };
    switch (op) {
      case 0x20: // BPF_LD|BPF_W|BPF_ABS
        if (k % 4 || k > 60) throw new Error(`loads from ${k}`);
        accumulator = data.getUint32(k, true);
        break;
      case 0x54: // BPF_ALU|BPF_AND|BPF_K
        accumulator = (accumulator & k) >>> 0;
        break;
      case 0x05: // BPF_JMP|BPF_JA
        pc += k;
        break;
      case 0x15:
        jump(accumulator === k);
        break;
      case 0x25:
        jump(accumulator > k);
        break;
      case 0x35:
        jump(accumulator >= k);
        break;
      case 0x06:
        return { word: k, steps };
      default:
        throw new Error(`no such instruction: ${op.toString(16)}`);
    }
  }
};
