// Filters on system calls: the programs that nsk writes, run by an interpreter here and by the kernel, beside what the
// rules say, docker's default filter, and runc with the same profile.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errno } from "../../src/abi/errno.ts";
import { syscallNumbers } from "../../src/abi/syscalls.ts";
import type { Seccomp, SeccompArgument, SeccompRule } from "../../src/containers/config.ts";
import { CAPABILITIES } from "../../src/containers/defaults.ts";
import { type Architecture, callNumbers } from "../../src/containers/seccomp/calls.ts";
import { compileSeccomp, type SeccompAction } from "../../src/containers/seccomp/compile.ts";
import { dockerSeccomp } from "../../src/containers/seccomp/docker.ts";
import { parseSeccompProfile } from "../../src/containers/seccomp/profile.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { type Question, runProgram } from "../support/bpf.ts";
import { testNeeding } from "../support/needs.ts";
import { type Ran, runCommand, runNsk } from "../support/nsk.ts";
import { random } from "../support/random.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-seccomp-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const AUDIT: Readonly<Record<Architecture, number>> = {
  SCMP_ARCH_X86_64: 0xc000003e,
  SCMP_ARCH_X86: 0x40000003,
  SCMP_ARCH_AARCH64: 0xc00000b7,
  SCMP_ARCH_ARM: 0x40000028,
};
const architectures = Object.keys(AUDIT) as Architecture[];

describe("the numbers of system calls are the kernel's", () => {
  const include = "/usr/include";
  const headers: Readonly<Record<Architecture, readonly string[]>> = {
    SCMP_ARCH_X86_64: [`${include}/x86_64-linux-gnu/asm/unistd_64.h`],
    SCMP_ARCH_X86: [`${include}/x86_64-linux-gnu/asm/unistd_32.h`],
    SCMP_ARCH_AARCH64: [`${include}/asm-generic/unistd.h`],
    SCMP_ARCH_ARM: [
      "/usr/arm-linux-gnueabihf/include/asm/unistd-eabi.h",
      "/usr/arm-linux-gnueabihf/include/asm/unistd.h",
    ],
  };
  /** `#define __NR_name number`, and the forms that some headers have besides. */
  const defined = (paths: readonly string[]): Map<string, number> => {
    const found = new Map<string, number>();
    const define =
      /^#\s*define\s+__(ARM_)?NR(?:3264)?_(\w+)\s+\(?(?:__\w+BASE\s*\+\s*)?(0x[0-9a-f]+|\d+)\)?/gm;
    for (const path of paths)
      for (const [, own, name, number] of readFileSync(path, "utf8").matchAll(define))
        found.set(name!, (own ? 0xf0000 : 0) + (Number(number) & 0xffff));
    for (const base of ["BASE", "SYSCALL_BASE", "SYSCALL_MASK", "OABI_SYSCALL_BASE", "syscalls"])
      found.delete(base);
    return found;
  };
  /** In the generic header, but not for arm64. */
  const notOnArm64 = (name: string, number: number): boolean =>
    (number >= 403 && number <= 423) || ["sync_file_range2", "arch_specific_syscall"].includes(name);

  for (const architecture of architectures)
    testNeeding(...headers[architecture])(architecture, () => {
      const numbers = callNumbers(architecture);
      const kernel = defined(headers[architecture]);
      expect(kernel.size).toBeGreaterThan(300);
      const expected = [...kernel]
        .map(([name, number]) => [name === "fstatat" ? "newfstatat" : name, number] as const)
        .filter(([name, number]) => architecture !== "SCMP_ARCH_AARCH64" || !notOnArm64(name, number));
      for (const [name, number] of expected) expect([name, numbers.get(name)]).toEqual([name, number]);
      // What the headers of Debian 12 (Linux 6.1) do not have is younger.
      const more = [...numbers].filter(([name]) => !expected.some(([known]) => known === name));
      for (const [name, number] of more)
        expect([name, number > 450 || name === "uretprobe"]).toEqual([name, true]);
    });
  test("and those that nsk itself makes are among them", () => {
    for (const [name, [x64, arm64]] of Object.entries(syscallNumbers)) {
      expect([name, callNumbers("SCMP_ARCH_X86_64").get(name)]).toEqual([name, x64]);
      expect([name, callNumbers("SCMP_ARCH_AARCH64").get(name)]).toEqual([name, arm64]);
    }
  });
});

const words: Readonly<Record<SeccompAction, number>> = {
  SCMP_ACT_KILL: 0,
  SCMP_ACT_KILL_THREAD: 0,
  SCMP_ACT_KILL_PROCESS: 0x80000000,
  SCMP_ACT_TRAP: 0x30000,
  SCMP_ACT_ERRNO: 0x50000,
  SCMP_ACT_TRACE: 0x7ff00000,
  SCMP_ACT_LOG: 0x7ffc0000,
  SCMP_ACT_ALLOW: 0x7fff0000,
};
const ALLOW = words.SCMP_ACT_ALLOW;
const refused = (name: Parameters<typeof errno>[0]): number => words.SCMP_ACT_ERRNO | errno(name);

/** The rules read one after the other, without a thought of programs. */
const meaning = (filter: Seccomp, { arch, nr, args }: Question): number => {
  const word = (action: SeccompAction, errnoRet = 1): number =>
    (words[action] | (action === "SCMP_ACT_ERRNO" || action === "SCMP_ACT_TRACE" ? errnoRet : 0)) >>> 0;
  const architecture = architectures.find((name) => AUDIT[name] === arch);
  if (!architecture || !filter.architectures.includes(architecture)) return words.SCMP_ACT_KILL_PROCESS;
  if (architecture === "SCMP_ARCH_X86_64" && nr >= 0x40000000) return refused("ENOSYS");
  const numbers = callNumbers(architecture);
  const rules = filter.syscalls.filter(({ names }) => names.some((name) => numbers.get(name) === nr));
  const holds = ({ index, value, valueTwo, op }: SeccompArgument): boolean => {
    const argument = args[index]!;
    return {
      SCMP_CMP_NE: argument !== value,
      SCMP_CMP_LT: argument < value,
      SCMP_CMP_LE: argument <= value,
      SCMP_CMP_EQ: argument === value,
      SCMP_CMP_GE: argument >= value,
      SCMP_CMP_GT: argument > value,
      SCMP_CMP_MASKED_EQ: (argument & value) === valueTwo,
    }[op];
  };
  const matches = (rule: SeccompRule): boolean => {
    const sameTwice = new Set(rule.args.map(({ index }) => index)).size < rule.args.length;
    return sameTwice ? rule.args.some(holds) : rule.args.every(holds);
  };
  const hit = rules.find((rule) => rule.args.length === 0) ?? rules.find(matches);
  if (hit) return word(hit.action, hit.errnoRet);
  const named = filter.syscalls.flatMap((rule) => rule.names.map((name) => numbers.get(name) ?? -1));
  const newest = Math.max(-1, ...named.filter((number) => number < 0xf0000));
  const isPermissive = ["SCMP_ACT_ALLOW", "SCMP_ACT_LOG"].includes(filter.defaultAction);
  if (!isPermissive && newest >= 0 && nr > newest && !rules.length) return refused("ENOSYS");
  return word(filter.defaultAction, filter.defaultErrnoRet);
};

const none = [0n, 0n, 0n, 0n, 0n, 0n];

describe("programs do what the rules say", () => {
  const operators = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map((name) => `SCMP_CMP_${name}`);
  const values = [0n, 1n, 40n, 0xffffffffn, 0x100000000n, 0x1_00000001n, 0xffffffff_ffffffffn, 0x7e020000n];

  test("each comparison, with values around those that it compares with", () => {
    for (const op of operators as SeccompArgument["op"][])
      for (const value of values)
        for (const valueTwo of op === "SCMP_CMP_MASKED_EQ" ? values : [0n]) {
          const filter: Seccomp = {
            defaultAction: "SCMP_ACT_ERRNO",
            architectures: ["SCMP_ARCH_X86_64"],
            syscalls: [
              { names: ["mount"], action: "SCMP_ACT_ALLOW", args: [{ index: 5, value, valueTwo, op }] },
            ],
          };
          const program = compileSeccomp(filter);
          for (const base of values)
            for (const shift of [-1n, 0n, 1n]) {
              const args = none.with(5, BigInt.asUintN(64, base + shift));
              const question = { arch: AUDIT.SCMP_ARCH_X86_64, nr: 165, args };
              const told = `${op} ${value} ${valueTwo}: ${args[5]}`;
              expect([told, runProgram(program, question).word]).toEqual([told, meaning(filter, question)]);
            }
        }
  });

  test("filters drawn at random, on every architecture, for every number", () => {
    const { below, pick } = random(4711);
    for (let round = 0; round < 60; round++) {
      const chosen = architectures.filter(() => below(2));
      const names = [...callNumbers(pick(architectures)).keys()];
      const filter: Seccomp = {
        defaultAction: pick(["SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_LOG"]),
        defaultErrnoRet: pick([undefined, 13]),
        architectures: chosen,
        syscalls: Array.from({ length: below(30) }, () => ({
          names: Array.from({ length: 1 + below(5) }, () => pick(names)),
          action: pick(Object.keys(words) as SeccompAction[]),
          errnoRet: pick([undefined, 2, 38]),
          args: Array.from({ length: pick([0, 0, 1, 2, 3]) }, () => ({
            index: below(6),
            value: pick(values),
            valueTwo: pick(values),
            op: pick(operators) as SeccompArgument["op"],
          })),
        })),
      };
      const program = compileSeccomp(filter);
      for (const architecture of architectures) {
        const numbers = [...callNumbers(architecture).values(), 0xf0010, 0x40000000, 0x40000027, 0xffffffff];
        for (let i = 0; i < 150; i++) {
          const nr = i % 3 ? pick(numbers) : below(500);
          const question = { arch: AUDIT[architecture], nr, args: none.map(() => pick(values)) };
          const told = `round ${round}: ${architecture} ${nr} ${question.args}`;
          expect([told, runProgram(program, question).word]).toEqual([told, meaning(filter, question)]);
        }
      }
      expect(runProgram(program, { arch: 0x15, nr: 1, args: none }).word).toBe(words.SCMP_ACT_KILL_PROCESS);
    }
  });

  test("a filter that is too long for the kernel is refused", () => {
    const args = Array.from({ length: 2000 }, (_, i) => ({
      index: 0,
      value: BigInt(2 * i),
      valueTwo: 0n,
      op: "SCMP_CMP_EQ" as const,
    }));
    const filter: Seccomp = {
      defaultAction: "SCMP_ACT_ERRNO",
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [{ names: ["mount"], action: "SCMP_ACT_ALLOW", args }],
    };
    expect(() => compileSeccomp(filter)).toThrow(/too long/);
  });
});

describe("docker's default filter", () => {
  const rows: readonly [
    call: string,
    args: readonly bigint[],
    x64: number | "none",
    arm64: number | "none",
  ][] = [
    ["read", [], ALLOW, ALLOW],
    ["execve", [], ALLOW, ALLOW],
    ["open", [], ALLOW, "none"],
    ["ptrace", [], ALLOW, ALLOW],
    ["mount", [], refused("EPERM"), refused("EPERM")],
    ["unshare", [0n], refused("EPERM"), refused("EPERM")],
    ["setns", [], refused("EPERM"), refused("EPERM")],
    ["keyctl", [], refused("EPERM"), refused("EPERM")],
    ["bpf", [], refused("EPERM"), refused("EPERM")],
    ["io_uring_setup", [], refused("EPERM"), refused("EPERM")],
    ["userfaultfd", [], refused("EPERM"), refused("EPERM")],
    ["kexec_load", [], refused("EPERM"), refused("EPERM")],
    ["clone3", [], refused("ENOSYS"), refused("ENOSYS")],
    ["clone", [0x11n], ALLOW, ALLOW],
    ["clone", [0x10000011n], refused("EPERM"), refused("EPERM")], // CLONE_NEWUSER
    ["clone", [0x00020011n], refused("EPERM"), refused("EPERM")], // CLONE_NEWNS
    ["socket", [2n], ALLOW, ALLOW],
    ["socket", [16n], ALLOW, ALLOW],
    ["socket", [38n], refused("EPERM"), refused("EPERM")], // AF_ALG
    ["socket", [40n], refused("EPERM"), refused("EPERM")], // AF_VSOCK
    ["socket", [0x1_00000002n], refused("EPERM"), refused("EPERM")],
    ["personality", [0n], ALLOW, ALLOW],
    ["personality", [0xffffffffn], ALLOW, ALLOW],
    ["personality", [0x40000n], refused("EPERM"), refused("EPERM")], // ADDR_NO_RANDOMIZE
    ["arch_prctl", [], ALLOW, "none"],
    ["chroot", [], ALLOW, ALLOW],
    ["reboot", [], refused("EPERM"), refused("EPERM")],
    ["removexattrat", [], ALLOW, ALLOW],
    ["open_tree_attr", [], refused("ENOSYS"), refused("ENOSYS")], // newer than the filter
  ];
  const programs = {
    x64: compileSeccomp(dockerSeccomp("x64", CAPABILITIES)),
    arm64: compileSeccomp(dockerSeccomp("arm64", CAPABILITIES)),
  };
  const answer = (
    arch: "x64" | "arm64",
    architecture: Architecture,
    call: string,
    args: readonly bigint[],
  ) => {
    const nr = callNumbers(architecture).get(call);
    if (nr === undefined) return "none" as const;
    const question = { arch: AUDIT[architecture], nr, args: none.map((zero, i) => args[i] ?? zero) };
    return runProgram(programs[arch], question).word;
  };
  test.each(rows)("%s(%p)", (call, args, x64, arm64) => {
    expect(answer("x64", "SCMP_ARCH_X86_64", call, args)).toBe(x64);
    expect(answer("arm64", "SCMP_ARCH_AARCH64", call, args)).toBe(arm64);
    // A 32-bit program gets the same, where it has the call.
    for (const [arch, architecture] of [
      ["x64", "SCMP_ARCH_X86"],
      ["arm64", "SCMP_ARCH_ARM"],
    ] as const) {
      const there = answer(arch, architecture, call, args);
      if (there !== "none" && x64 !== "none" && arm64 !== "none" && (args[0] ?? 0n) < 2n ** 32n)
        expect([architecture, there]).toEqual([architecture, x64]);
    }
  });
  test("says the same as its rules for every call", () => {
    for (const arch of ["x64", "arm64"] as const) {
      const filter = dockerSeccomp(arch, CAPABILITIES);
      for (const architecture of architectures)
        for (let nr = 0; nr < 500; nr++)
          for (const first of [0n, 1n, 12n, 13n, 40n, 0x7e020000n]) {
            const question = { arch: AUDIT[architecture], nr, args: none.with(0, first) };
            expect(runProgram(programs[arch], question).word).toBe(meaning(filter, question));
          }
    }
  });
  test("is quick: a few instructions for the calls that programs make most", () => {
    for (const call of ["read", "write", "futex", "epoll_wait", "clock_gettime", "openat"]) {
      const nr = callNumbers("SCMP_ARCH_X86_64").get(call)!;
      expect(runProgram(programs.x64, { arch: AUDIT.SCMP_ARCH_X86_64, nr, args: none }).steps).toBeLessThan(
        20,
      );
    }
  });
  test("names only calls that some processor has", () => {
    const known = new Set(architectures.flatMap((name) => [...callNumbers(name).keys()]));
    const named = [dockerSeccomp("x64", []), dockerSeccomp("arm64", [])].flatMap(({ syscalls }) =>
      syscalls.flatMap(({ names }) => names),
    );
    expect([...new Set(named.filter((name) => !known.has(name)))]).toEqual(["sync_file_range2"]); // arm_sync_file_range by its other name
  });
  test("grows with the capabilities", () => {
    const mount = (capabilities: readonly string[]): number => {
      const program = compileSeccomp(dockerSeccomp("x64", capabilities));
      return runProgram(program, { arch: AUDIT.SCMP_ARCH_X86_64, nr: 165, args: none }).word;
    };
    expect(mount([...CAPABILITIES, "CAP_SYS_ADMIN"])).toBe(ALLOW);
    expect(mount(CAPABILITIES)).toBe(refused("EPERM"));
  });
});

describe("a profile's file", () => {
  const host = fixtureHost({ files: { "/proc/sys/kernel/osrelease": "6.1.0\n" } });
  const parse = (profile: object | string, capabilities: readonly string[] = []): Seccomp =>
    parseSeccompProfile(typeof profile === "string" ? profile : JSON.stringify(profile), host, capabilities);

  test("is docker's, with its conditions", () => {
    const allow = { action: "SCMP_ACT_ALLOW" };
    const { syscalls, architectures } = parse(
      {
        defaultAction: "SCMP_ACT_ERRNO",
        archMap: [{ architecture: "SCMP_ARCH_X86_64", subArchitectures: ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] }],
        syscalls: [
          { ...allow, names: ["read"], includes: {}, excludes: {}, args: null, comment: "" },
          { ...allow, name: "write" },
          { ...allow, names: ["one"], includes: { caps: ["CAP_SYS_ADMIN"] } },
          { ...allow, names: ["two"], includes: { caps: ["CAP_CHOWN"] } },
          { ...allow, names: ["three"], excludes: { caps: ["CAP_CHOWN"] } },
          { ...allow, names: ["four"], includes: { arches: ["arm64"] } },
          { ...allow, names: ["five"], includes: { arches: ["amd64"], minKernel: "4.8" } },
          { ...allow, names: ["six"], includes: { minKernel: "6.2" } },
          { ...allow, names: ["seven"], excludes: { minKernel: "4.8" } },
        ],
      },
      ["CAP_CHOWN"],
    );
    expect(syscalls.flatMap(({ names }) => names)).toEqual(["read", "write", "two", "five"]);
    expect(architectures).toEqual(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]);
  });
  test("is the OCI runtime spec's, whose numbers have 64 bits", () => {
    const filter =
      parse(`{ "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [
      { "names": ["mount"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13,
        "args": [{ "index": 1, "value": 18446744073709551615, "valueTwo": 9007199254740993, "op": "SCMP_CMP_EQ" }] }] }`);
    expect(filter).toMatchObject({
      architectures: ["SCMP_ARCH_X86_64"],
      syscalls: [
        {
          names: ["mount"],
          errnoRet: 13,
          args: [{ index: 1, value: 2n ** 64n - 1n, valueTwo: 2n ** 53n + 1n, op: "SCMP_CMP_EQ" }],
        },
      ],
    });
  });
  const bad: readonly [object | string, string][] = [
    ["{", "it is no JSON"],
    ["[]", "it is no object"],
    [{}, "defaultAction is no string"],
    [{ defaultAction: "SCMP_ACT_NOTIFY" }, "defaultAction is SCMP_ACT_NOTIFY, which nsk has not"],
    [{ defaultAction: "allow" }, "defaultAction is 'allow'"],
    [{ defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["read"] }] }, "syscalls[0].action is no string"],
    [
      { defaultAction: "SCMP_ACT_ALLOW", syscalls: [{ names: ["moutn"], action: "SCMP_ACT_ERRNO" }] },
      "it forbids 'moutn', a system call that nsk does not know",
    ],
    [
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [
          { names: ["read"], action: "SCMP_ACT_TRAP", args: [{ index: 6, value: 1, op: "SCMP_CMP_EQ" }] },
        ],
      },
      "syscalls[0].args[0].index is no whole number from 0 to 5",
    ],
    [
      {
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names: ["read"], action: "SCMP_ACT_TRAP", args: [{ index: 0, value: 1, op: "==" }] }],
      },
      "syscalls[0].args[0].op is '=='",
    ],
    [
      { defaultAction: "SCMP_ACT_ALLOW", flags: ["SECCOMP_FILTER_FLAG_LOG"] },
      "flags[0] is a flag, and nsk takes none",
    ],
    [
      { defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86"], archMap: [{}] },
      "it has both 'architectures' and 'archMap'",
    ],
  ];
  test.each(bad)("%j is refused: %s", (profile, message) => {
    expect(() => parse(profile)).toThrow(`seccomp profile: ${message}`);
  });
});

/** Makes the calls that it is given as words, `NUMBER[,ARGUMENT…]`, and prints the error number of each. */
const PROBE = `for (@ARGV) { my ($n, @a) = map { $_ + 0 } split /,/; $! = 0; syscall($n, @a); print $! + 0, " " } print "\\n"`;
const probe = (calls: readonly string[]): string[] => ["perl", "-e", PROBE, ...calls];
const live = testNeeding("root", "perl");
const native: Architecture = process.arch === "x64" ? "SCMP_ARCH_X86_64" : "SCMP_ARCH_AARCH64";
const call = (name: string, ...args: number[]): string => [callNumbers(native).get(name)!, ...args].join(",");

describe("the kernel does what the filter says", () => {
  const calls = [
    call("getppid"),
    call("unshare", 0x10000000),
    call("keyctl", 0, -1),
    call("clone3", 0, 0),
    call("socket", 38, 5, 0),
    call("socket", 2, 2, 0),
    call("personality", 0x40000),
    call("open_tree_attr", -1),
    "9999",
  ];
  const errors = ({ status, stdout, stderr }: Ran): string[] => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    return stdout.trim().split(" ");
  };
  const e = (...names: Parameters<typeof errno>[0][]): string[] => names.map((name) => String(errno(name)));

  live("docker's by default", () => {
    const expected = ["0", ...e("EPERM", "EPERM", "ENOSYS", "EPERM"), "0", ...e("EPERM", "ENOSYS", "ENOSYS")];
    expect(errors(runNsk("run", "--", ...probe(calls)))).toEqual(expected);
    expect(errors(runNsk("run", "-u", "1000:1000", "--", ...probe(calls)))).toEqual(expected);
    const options = ["--security-opt", "no-new-privileges"];
    expect(errors(runNsk("run", ...options, "--", ...probe(calls)))).toEqual(expected);
    expect(errors(runNsk("run", ...options, "-u", "1000:1000", "--", ...probe(calls)))).toEqual(expected);
  });
  live("none with seccomp=unconfined or --privileged", () => {
    for (const option of [["--security-opt", "seccomp=unconfined"], ["--privileged"]]) {
      const found = errors(
        runNsk("run", ...option, "--", ...probe([call("unshare", 0x10000000), call("personality", 0x40000)])),
      );
      expect(found).toEqual(["0", "0"]);
    }
  });
  live("docker's for more capabilities lets more through", () => {
    const words = probe([call("unshare", 0x20000), call("clone3", 0, 0)]);
    expect(errors(runNsk("run", "--cap-add", "SYS_ADMIN", "--", ...words))).toEqual(["0", ...e("EINVAL")]);
  });
  live("a file's, of which nsk itself needs capset(2) and execve(2) alone", () => {
    const file = join(scratch, "profile.json");
    const denied = [
      "mkdir",
      "mkdirat",
      "chdir",
      "prctl",
      "umask",
      "close_range",
      "setuid",
      "setgid",
      "setgroups",
      "rt_sigprocmask",
    ];
    const names = denied.filter((name) => callNumbers(native).has(name));
    writeFileSync(
      file,
      JSON.stringify({
        defaultAction: "SCMP_ACT_ALLOW",
        syscalls: [{ names, action: "SCMP_ACT_ERRNO", errnoRet: errno("EXDEV") }],
      }),
    );
    for (const user of ["0", "1000"]) {
      const ran = runNsk(
        "run",
        "-u",
        user,
        "--security-opt",
        `seccomp=${file}`,
        "--",
        ...probe([call("umask", 0), call("chdir", 0)]),
      );
      expect(errors(ran)).toEqual(e("EXDEV", "EXDEV"));
    }
  });
  testNeeding("root", "busybox")("a 32-bit program and x32's numbers are filtered as well", () => {
    if (process.arch !== "x64") return;
    // int 0x80 with eax; then exit(-eax) the same way.
    const program = join(scratch, "i386");
    for (const [name, expected] of [
      ["mount", errno("EPERM")],
      ["clone3", errno("ENOSYS")],
    ] as const) {
      writeFileSync(program, elf32(callNumbers("SCMP_ARCH_X86").get(name)!), { mode: 0o755 });
      // A kernel without 32-bit programs refuses the file, which is safe as well.
      if (runCommand([program]).status === 126) return;
      expect([name, runNsk("run", "-v", `${program}:/program`, "--", "/program").status]).toEqual([
        name,
        expected,
      ]);
    }
    expect(errors(runNsk("run", "--", ...probe([String(0x40000000 + 39)])))).toEqual(e("ENOSYS"));
  });
});

/** A static 32-bit program that makes one call without arguments, and exits with its error number. */
const elf32 = (nr: number): Uint8Array => {
  const code = [
    ...[0xb8, ...new Uint8Array(Uint32Array.of(nr).buffer)], // mov eax, nr
    ...[0x31, 0xdb, 0x31, 0xc9, 0x31, 0xd2, 0x31, 0xf6, 0x31, 0xff], // xor ebx, ecx, edx, esi, edi
    ...[0xcd, 0x80, 0xf7, 0xd8, 0x89, 0xc3, 0xb8, 1, 0, 0, 0, 0xcd, 0x80], // int 0x80; neg eax; mov ebx, eax; exit
  ];
  const file = new Uint8Array(84 + code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 3, true); // EM_386
  for (const [at, value] of [
    [20, 1],
    [24, 0x8048054],
    [28, 52],
  ] as const)
    view.setUint32(at, value, true);
  for (const [at, value] of [
    [40, 52],
    [42, 32],
    [44, 1],
  ] as const)
    view.setUint16(at, value, true);
  // PT_LOAD, offset, vaddr, paddr, filesz, memsz, R|X, align
  [1, 0, 0x8048000, 0x8048000, file.length, file.length, 5, 0x1000].forEach((value, i) =>
    view.setUint32(52 + 4 * i, value, true),
  );
  file.set(code, 84);
  return file;
};

describe("beside runc, with the same profile", () => {
  const rules: readonly (readonly [title: string, syscalls: readonly object[]])[] = [
    [
      "one without and one with a condition",
      [
        { names: ["personality"], action: "SCMP_ACT_ERRNO", errnoRet: 5 },
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 6,
          args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }],
        },
      ],
    ],
    [
      "two conditions that both hold: the first",
      [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }],
        },
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 6,
          args: [{ index: 0, value: 12, valueTwo: 8, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    ],
    [
      "two conditions that both hold: the wider one first",
      [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 6,
          args: [{ index: 0, value: 12, valueTwo: 8, op: "SCMP_CMP_MASKED_EQ" }],
        },
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [{ index: 0, value: 8, op: "SCMP_CMP_EQ" }],
        },
      ],
    ],
    [
      "two conditions on one argument are alternatives",
      [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [
            { index: 0, value: 8, op: "SCMP_CMP_EQ" },
            { index: 0, value: 0, op: "SCMP_CMP_EQ" },
          ],
        },
      ],
    ],
    [
      "conditions on two arguments",
      [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [
            { index: 0, value: 8, op: "SCMP_CMP_EQ" },
            { index: 1, value: 7, op: "SCMP_CMP_GT" },
          ],
        },
      ],
    ],
    [
      "a mask",
      [
        {
          names: ["personality"],
          action: "SCMP_ACT_ERRNO",
          errnoRet: 5,
          args: [{ index: 0, value: 12, valueTwo: 8, op: "SCMP_CMP_MASKED_EQ" }],
        },
      ],
    ],
    ["a list of what is allowed, and newer calls", []],
  ];
  const calls = [
    ...[0, 4, 8, 12, 0xffffffff].flatMap((value) => [
      call("personality", value),
      call("personality", value, 8),
    ]),
    call("keyctl", 0, -1),
    call("open_tree_attr", -1),
    "9999",
  ];
  for (const [title, syscalls] of rules)
    testNeeding(
      "root",
      "perl",
      "runc",
    )(title, () => {
      const isAllowList = syscalls.length === 0;
      const names = [...callNumbers(native).keys()].filter(
        (name) => !["keyctl", "personality"].includes(name) && callNumbers(native).get(name)! < 450,
      );
      const profile = {
        defaultAction: isAllowList ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW",
        architectures: [native],
        syscalls: isAllowList ? [{ names, action: "SCMP_ACT_ALLOW" }] : syscalls,
      };
      const file = join(scratch, `${title.replaceAll(" ", "-")}.json`);
      writeFileSync(file, JSON.stringify(profile));
      const mine = runNsk("run", "--security-opt", `seccomp=${file}`, "--", ...probe(calls));
      expect(mine).toMatchObject({ stderr: "", status: 0 });
      expect(mine.stdout).toBe(runcOutput(profile, probe(calls)));
    });
});

/** What a program prints under runc, in a root that shows this machine's programs. */
const runcOutput = (seccomp: object, args: readonly string[]): string => {
  const bundle = mkdtempSync(join(scratch, "bundle-"));
  mkdirSync(join(bundle, "rootfs"));
  expect(runCommand(["runc", "spec", "-b", bundle]).status).toBe(0);
  const config = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
  config.process.terminal = false;
  config.process.args = args;
  config.process.capabilities = Object.fromEntries(
    ["bounding", "effective", "permitted"].map((set) => [set, ["CAP_SYS_ADMIN"]]),
  );
  config.process.noNewPrivileges = false;
  config.root.readonly = false;
  config.linux.seccomp = seccomp;
  for (const path of ["/usr", "/lib", "/lib64", "/bin"])
    if (existsSync(path))
      config.mounts.push({ destination: path, source: path, type: "bind", options: ["rbind", "ro"] });
  writeFileSync(join(bundle, "config.json"), JSON.stringify(config));
  const { stdout, stderr, status } = runCommand([
    "runc",
    "run",
    "-b",
    bundle,
    `nsk-test-${process.pid}-${args.length}-${bundle.slice(-6)}`,
  ]);
  expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  return stdout;
};
