// nsk doctor: what this machine can and cannot do for nsk, why, and what to do about it.

import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { perform } from "../backends/perform.ts";
import { knowsCall, type Trial, tryInChild } from "../backends/trials.ts";
import { readHierarchies } from "../cgroups/hierarchies.ts";
import type { Host } from "../host/host.ts";
import { type Kind, kindFlags, kinds } from "../namespaces/kinds.ts";
import { unshareHints } from "../namespaces/refusals.ts";
import { planUnshare } from "../namespaces/unshare.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { command } from "./command.ts";
import { diagnose, type Finding, type Fix, type Severity, type Trials } from "./doctor-checks.ts";
import { print } from "./output.ts";

export const doctor = command({
  definition: {
    meta: {
      name: "doctor",
      description:
        "Say what this machine can and cannot do for nsk. What the kernel can do is found out by trying it; nothing of " +
        "what is tried stays. The exit status is 1 where something does not work that should.",
    },
    args: {
      json: { type: "boolean", description: "print JSON, with everything that is well, too" },
      all: { type: "boolean", alias: "a", description: "also what is well" },
      fix: {
        type: "boolean",
        description:
          "do what can be done at once: settings of the kernel until the next boot, and its modules",
      },
    },
  },
  usage: "[options]",
  permute: true,
  failure: 2,
  run: async ({ options, operands, host }) => {
    if (operands.length) throw new UsageError(`unexpected argument '${operands[0]}'`);
    let findings = diagnose(host, await tryAll(host));
    const fixed = options.fix ? await fixAll(findings, host) : [];
    if (fixed.length) findings = diagnose(host, await tryAll(host));
    if (options.json) print(`${JSON.stringify({ fixed, findings: findings.map(record) }, null, 2)}\n`);
    else print(textOf(findings, fixed, options.all));
    return findings.some(({ severity }) => severity === "error") ? 1 : 0;
  },
});

const tryAll = async (host: Host): Promise<Trials> => {
  const namespaces: Partial<Record<Kind, Trial>> = {};
  for (const kind of Object.keys(kinds) as Kind[])
    namespaces[kind] = await tryInChild([newNamespaces(kind, host)]);
  return {
    namespaces: namespaces as Record<Kind, Trial>,
    overlay: await tryInChild(overlaySteps(host)),
    memory: await tryInChild([]),
    group: tryGroup(host),
    calls: Object.fromEntries(
      (["pidfd_open", "pidfd_getfd", "open_tree", "mount_setattr"] as const).map((name) => [
        name,
        knowsCall(name),
      ]),
    ),
  };
};

/** Plain users' begin with a user namespace. */
const newNamespaces = (kind: Kind, host: Host): Step => {
  const all: Kind[] = host.euid === 0 || kind === "user" ? [kind] : ["user", kind];
  return steps.unshare(kindFlags(all), {
    title: `make a ${kind} namespace`,
    hints: unshareHints(host, all),
  });
};

/** In memory, in a mount namespace that ends with the child. */
const overlaySteps = (host: Host): Step[] => {
  const isRoot = host.euid === 0;
  const entered = planUnshare(
    "trial",
    {
      kinds: isRoot ? ["mount"] : ["user", "mount"],
      ...(!isRoot && { mapUser: 0, mapGroup: 0 }),
      fork: false,
      propagation: "private",
      program: { program: "", argv: [""], candidates: [""] },
    },
    host,
  ).steps.slice(0, -1);
  const at = "/tmp";
  const part = (name: string): string => `${at}/${name}`;
  return [
    ...entered,
    steps.mount({ source: "tmpfs", target: at, fstype: "tmpfs", flags: 0, data: null }),
    ...["lower", "upper", "work", "merged"].map((name) => steps.mkdir(part(name), 0o755)),
    steps.mount(
      {
        source: "overlay",
        target: part("merged"),
        fstype: "overlay",
        flags: 0,
        data: `lowerdir=${part("lower")},upperdir=${part("upper")},workdir=${part("work")}`,
      },
      { title: "mount an overlay" },
    ),
  ];
};

/** Makes a group and removes it: at the top for root, below its own for others. */
const tryGroup = (host: Host): Trial => {
  const hierarchies = readHierarchies(host);
  const hierarchy = hierarchies.find(({ controllers }) => controllers.length > 0) ?? hierarchies[0];
  if (!hierarchy) return undefined;
  const own = host.euid === 0 ? "" : ownGroup(host, hierarchy.version, hierarchy.controllers);
  const directory = `${hierarchy.mountPoint}${own}/nsk-doctor-${process.pid}`;
  try {
    const title = `make a control group in ${hierarchy.mountPoint}${own}`;
    perform({
      name: "nsk doctor",
      failure: 1,
      steps: [steps.mkdir(directory, 0o755, { title }), steps.rmdir(directory)],
    });
    return undefined;
  } catch (error) {
    if (!(error instanceof StepError)) throw error;
    return { reason: error.message, hint: error.hint };
  }
};

/** @see proc_pid_cgroup(5) */
const ownGroup = (host: Host, version: 1 | 2, controllers: readonly string[]): string => {
  for (const line of (host.read("/proc/self/cgroup") ?? "").split("\n")) {
    const [, names = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (version === 2 ? names === "" : names !== "" && controllers.includes(names.split(",")[0]!))
      return path === "/" ? "" : path;
  }
  return "";
};

/** The ids of what was done. */
const fixAll = async (findings: readonly Finding[], host: Host): Promise<string[]> => {
  const fixable = findings.filter(({ fix }) => fix);
  if (fixable.length && host.euid !== 0)
    throw new HostError(
      "--fix needs root",
      `sudo nsk doctor --fix, for ${fixable.map(({ id }) => id).join(", ")}`,
    );
  const done: string[] = [];
  for (const { id, fix } of fixable) {
    await carryOutFix(fix!);
    done.push(id);
  }
  return done;
};

const carryOutFix = async (fix: Fix): Promise<void> => {
  if ("sysctl" in fix) {
    perform({ name: "nsk doctor", failure: 1, steps: steps.writeFile(fix.sysctl, fix.value) });
    return;
  }
  const { run } = await import("../api/process.ts");
  const { status, stderr } = await run(["modprobe", fix.module]);
  if (status !== 0) throw new HostError(`modprobe ${fix.module} failed: ${stderr.trim().split("\n")[0]}`);
};

/** What `--json` prints of a finding; `fixable` where `--fix` does what `mend` says. */
const record = ({ fix, ...finding }: Finding) => ({ ...finding, fixable: fix !== undefined });

const MARKS: Readonly<Record<Severity, string>> = { ok: "ok", note: "note", warning: "warn", error: "FAIL" };

const textOf = (findings: readonly Finding[], fixed: readonly string[], all: boolean): string => {
  const lines: string[] = [];
  for (const id of fixed) lines.push(`fixed  ${id}`);
  for (const { id, severity, reason, mend, fix } of findings) {
    if (severity === "ok" && !all) continue;
    lines.push(`${MARKS[severity].padEnd(5)}  ${id}: ${reason}`);
    if (mend !== undefined) lines.push(`         ${mend}${fix ? "   (--fix does it)" : ""}`);
  }
  const count = (wanted: Severity): number => findings.filter(({ severity }) => severity === wanted).length;
  lines.push(
    `${count("ok")} well, ${count("note")} to know, ${count("warning")} to look at, ${count("error")} that do not work`,
  );
  return `${lines.join("\n")}\n`;
};
