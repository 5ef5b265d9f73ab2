// More of the vocabulary: programs for the kernel's eBPF machine that decide over devices.

import { BPF } from "../abi/flags.ts";
import { type CallStep, int, type Slot } from "./call.ts";
import { type About, call } from "./steps.ts";

/** A C string, as some licence has to be named; no helper that asks for the GPL is called. */
const LICENSE = Uint8Array.of(0x4d, 0x49, 0x54, 0);

/**
 * `bpf(BPF_PROG_LOAD, {BPF_PROG_TYPE_CGROUP_DEVICE, …}, 24)` into `result`: EPERM without privilege in the first user
 * namespace, EINVAL or ENOSYS where the kernel has no such programs. `program` is an array of `struct bpf_insn`.
 * @see bpf(2)
 */
export const loadDeviceProgram = (program: Uint8Array, result: Slot, about?: About): CallStep => {
  const count = program.length / 8;
  return call(
    "bpf",
    [
      int(BPF.BPF_PROG_LOAD, "BPF_PROG_LOAD"),
      {
        type: "struct",
        // the beginning of union bpf_attr: u32 prog_type, insn_cnt; u64 insns, license
        fields: [
          { size: 4, value: BPF.BPF_PROG_TYPE_CGROUP_DEVICE },
          { size: 4, value: count },
          { size: 8, value: { bytes: program } },
          { size: 8, value: { bytes: LICENSE } },
        ],
        text: `{prog_type=BPF_PROG_TYPE_CGROUP_DEVICE, insn_cnt=${count}, insns=[...], license="MIT"}`,
      },
      int(24),
    ],
    "load a program",
    { result, ...about },
  );
};

/** `bpf(BPF_PROG_ATTACH, {target_fd, attach_bpf_fd, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI}, 16)`. @see bpf(2) */
export const attachDeviceProgram = (group: Slot, program: Slot, about?: About): CallStep =>
  call(
    "bpf",
    [
      int(BPF.BPF_PROG_ATTACH, "BPF_PROG_ATTACH"),
      {
        type: "struct",
        fields: [
          { size: 4, value: group },
          { size: 4, value: program },
          { size: 4, value: BPF.BPF_CGROUP_DEVICE },
          { size: 4, value: BPF.BPF_F_ALLOW_MULTI },
        ],
        text: `{target_fd=${group.slot}, attach_bpf_fd=${program.slot}, attach_type=BPF_CGROUP_DEVICE, attach_flags=BPF_F_ALLOW_MULTI}`,
      },
      int(16),
    ],
    "attach a program",
    about,
  );
