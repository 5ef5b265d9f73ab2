// A plan as text that reads like strace, with a reason for whoever is learning, and as JSON for programs. What it says
// is what the launcher does: both walk the same calls (tests/strace.test.ts holds it to that).

import { CLONE, flagText, type FlagTable, O, SIG, signalName } from "../abi/flags.ts";
import { decode, encode } from "../abi/bytes.ts";
import type { Arg, CallStep, Field, Slot, Text } from "../plan/call.ts";
import type { Notice, Plan, Step, WaitStep } from "../plan/plan.ts";

/** Where reasons begin, when the call leaves room. */
const COLUMN = 64;

/** Escapes of C and strace for bytes that have a name there. */
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  "\\": "\\\\",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
};

/** As a C string: every byte can be told from it. Letters of all scripts stay readable. */
const quote = (text: string): string => {
  let out = "";
  for (const character of text)
    out += ESCAPES[character] ?? (isShown(character) ? character : escaped(character));
  return `"${out}"`;
};

/** Neither a control character nor a byte that is no UTF-8 (a lone surrogate, see decode). */
const isShown = (character: string): boolean => /^[^\x00-\x1f\x7f-\x9f\ud800-\udfff]$/u.test(character);

const escaped = (character: string): string =>
  Array.from(encode(character), (byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");

const bytesText = (value: Uint8Array): string => quote(decode(value));

const fieldText = ({ value }: Field): string => {
  if (typeof value !== "object") return String(value);
  if ("slot" in value) return value.slot;
  return "bytes" in value ? bytesText(value.bytes) : value.text;
};

/** `"/proc/<self>/ns/net"`: a string with a number in it that the run will know. */
const composedText = (parts: Text): string =>
  quote(parts.map((part) => (typeof part === "string" ? part : `<${part.slot}>`)).join(""));

const wordText = (word: string | Text): string =>
  typeof word === "string" ? quote(word) : composedText(word);

/** open(2)'s access mode is a number among flags: O_RDONLY is no bit, it is 0. */
const flagWord = (value: number, table: FlagTable): string => {
  if (table !== O) return flagText(value, table);
  const access = ["O_RDONLY", "O_WRONLY", "O_RDWR"][value & 3]!;
  const rest = flagText(value & ~3, O, "");
  return rest ? `${access}|${rest}` : access;
};

const argText = (arg: Arg): string => {
  switch (arg.type) {
    case "int":
      return arg.text ?? (arg.flags ? flagWord(Number(arg.value), arg.flags) : String(arg.value));
    case "byArch":
      return argText(arg.x64);
    case "string":
      return quote(arg.value);
    case "bytes":
      return arg.text ?? bytesText(arg.value);
    case "strings":
      return arg.text ?? `[${arg.value.map(wordText).join(", ")}]`;
    case "text":
      return composedText(arg.parts);
    case "loaded":
      return arg.from.text;
    case "environ":
      return "environ";
    case "slot":
      return arg.part === undefined ? arg.slot.slot : `${arg.slot.slot}[${arg.part}]`;
    case "out":
      return arg.text ?? arg.slot.slot;
    case "struct":
      return arg.text || `{${arg.fields.map(fieldText).join(", ")}}`;
    case "buffer":
      return arg.text ?? arg.name;
  }
};

/** `mount("proc", "/proc", "proc", MS_NOSUID|MS_NODEV|MS_NOEXEC, NULL)` */
export const callText = (step: CallStep): string => {
  const text = `${step.name}(${step.args.map(argText).join(", ")})`;
  return step.result ? `${text} = ${step.result.slot}` : text;
};

/** One call or loop of a plan as it will be seen from outside. */
export interface Line {
  /** 0 for the process that was started, 1 more for each fork on the way. */
  readonly depth: number;
  readonly text: string;
  readonly reason?: string | undefined;
  /** Not a call but a heading: what is below is done by another process, or when something has happened. */
  readonly heading?: boolean;
}

const withReason = (depth: number, text: string, reason?: string): Line => ({ depth, text, reason });

/** The plan's calls in order; a child's calls stand before its parent's, deeper by one. */
export const explainLines = (steps: readonly Step[], depth = 0): Line[] =>
  steps.flatMap((step): Line[] => {
    switch (step.kind) {
      case "call":
        return [
          withReason(
            depth,
            callText(step),
            step.unless ? `${step.reason ?? "again"}; only if ${step.unless.slot} < 0` : step.reason,
          ),
        ];
      case "identify":
        return [
          { depth, text: `unless ${step.stat.name} has the start time ${step.started}: fail`, heading: true },
        ];
      case "attach":
        return [
          withReason(
            depth,
            `ppoll([{fd=${step.signals.slot}, events=POLLIN}, {fd=0, events=POLLIN}, {fd=${step.master.slot}, events=POLLIN}, {fd=${step.supervisor.slot}, events=POLLIN}], 4, NULL, NULL, 0)`,
            step.reason,
          ),
          {
            depth,
            text: `what is printed goes to ${step.log.slot} as well; the last line of ${step.record.slot} tells how it ended`,
            heading: true,
          },
          ...cleanup(step.cleanup, depth),
        ];
      case "report":
        return [{ depth, text: `errors go to descriptor ${step.to}`, heading: true }];
      case "heed":
        return [
          withReason(depth, `read(${step.from.slot}[0], words, 512)`, step.reason),
          {
            depth,
            text: `when the report is of a failure: wait4(${step.pid.slot}), and end as it ended`,
            heading: true,
          },
          withReason(depth, `close(${step.from.slot}[0])`),
        ];
      case "prepared":
        return explainLines(step.calls(), depth);
      case "expect":
        return [
          {
            depth,
            text: `${step.differs ? "if" : "unless"} ${step.found.text} is ${step.value}: fail`,
            heading: true,
          },
        ];
      case "exit":
        return [withReason(depth, "exit_group(0)", step.reason)];
      case "join":
        return [
          withReason(
            depth,
            `wait4(${step.pid.slot}, status, 0, NULL) = ${step.pid.slot}`,
            step.reason ?? "wait for the helper; when it failed, end here",
          ),
        ];
      case "fork": {
        const kinds = flagText(step.flags, CLONE, "");
        const flags = kinds ? `${kinds}|SIGCHLD` : "SIGCHLD";
        return [
          withReason(depth, `clone(child_stack=NULL, flags=${flags}) = ${step.pid.slot}`, step.reason),
          { depth: depth + 1, text: "the child:", heading: true },
          ...explainLines(step.child, depth + 1),
          { depth, text: "the parent:", heading: true },
        ];
      }
      case "exec":
        return step.candidates.map((file, i) =>
          withReason(
            depth,
            `execve(${quote(file)}, [${step.argv.map(quote).join(", ")}], ${step.env ? `[${step.env.map(quote).join(", ")}]` : "environ"})`,
            i === 0 ? step.reason : "or this, when it is not there",
          ),
        );
      case "wait":
        return [...waitLines(step, depth), ...cleanup(step.cleanup, depth)];
      case "supervise": {
        const { master } = step.terminal ?? {};
        const polled = [`{fd=${step.signals.slot}, events=POLLIN}`];
        if (master) polled.push("{fd=0, events=POLLIN}", `{fd=${master.slot}, events=POLLIN}`);
        for (const { from, part } of step.recorder?.sources ?? [])
          polled.push(`{fd=${from.slot}${part === undefined ? "" : `[${part}]`}, events=POLLIN}`);
        return [
          withReason(depth, `ppoll([${polled.join(", ")}], ${polled.length}, NULL, NULL, 0)`, step.reason),
          withReason(depth, `read(${step.signals.slot}, signal, 128)`),
          withReason(
            depth,
            `wait4(${step.pid.slot}, status, WNOHANG, NULL) = ${step.pid.slot}`,
            "once SIGCHLD has come",
          ),
          ...(step.recorder
            ? [
                {
                  depth,
                  text: `what is printed goes to ${step.recorder.log.slot}, in frames with stream, length and time`,
                  heading: true,
                },
              ]
            : []),
          ...(step.sweep === undefined
            ? []
            : [
                {
                  depth,
                  text: `all processes in ${step.sweep} are killed, until there are none`,
                  heading: true,
                },
              ]),
          ...notices(step.notices ?? [], depth),
          ...tellings(step.tell ?? [], depth),
          ...cleanup(step.cleanup, depth),
        ];
      }
    }
  });

const notices = (all: readonly Notice[], depth: number): Line[] =>
  all.flatMap(({ read, counter, text }) => [
    ...read.map((call) => withReason(depth, callText(call), call.reason)),
    { depth, text: `when ${counter} there is not 0, say: ${text}`, heading: true },
  ]);

const tellings = (files: readonly Slot[], depth: number): Line[] =>
  files.length === 0
    ? []
    : [
        withReason(depth, "clock_gettime(CLOCK_REALTIME, now)"),
        ...files.map(({ slot }) =>
          withReason(depth, `write(${slot}, ended, length)`, "how it ended and when, for who waits"),
        ),
      ];

/** As strace writes sets: of more than half of all, those that are not in it. */
const signalSet = (signals: readonly number[]): string => {
  const names = (list: readonly number[]): string =>
    list.map((signal) => signalName(signal).slice(3)).join(" ");
  if (signals.length <= 32) return `[${names(signals)}]`;
  const all = Array.from({ length: 64 }, (_, i) => i + 1);
  return `~[${names(all.filter((signal) => !signals.includes(signal)))}]`;
};

const waitLines = ({ pid, forward, reaps, killOn, reason }: WaitStep, depth: number): Line[] => {
  if (!forward)
    return [withReason(depth, `wait4(${pid.slot}, status, WUNTRACED, NULL) = ${pid.slot}`, reason)];
  const signals = signalSet([...forward, SIG.SIGCHLD, ...(killOn === undefined ? [] : [killOn])]);
  const wiped: Line = { depth, text: "the caller's environment is wiped from memory", heading: true };
  return [
    ...(reaps ? [wiped] : []),
    withReason(
      depth,
      `rt_sigtimedwait(${signals}, NULL, NULL, 8)`,
      killOn === undefined
        ? "these go to the child, by kill(2)"
        : `these go to the child, by kill(2); ${signalName(killOn)} as SIGKILL`,
    ),
    withReason(
      depth,
      reaps
        ? `wait4(-1, status, WNOHANG, NULL) = ${pid.slot}`
        : `wait4(${pid.slot}, status, WNOHANG|WUNTRACED, NULL) = ${pid.slot}`,
      `once SIGCHLD has come: ${reason ?? ""}`,
    ),
  ];
};

const cleanup = (calls: readonly CallStep[], depth: number): Line[] =>
  calls.length === 0
    ? []
    : [
        { depth, text: "when the child is gone:", heading: true },
        ...calls.map((call) => withReason(depth, callText(call), call.reason)),
      ];

/**
 * The text of `--explain`: the calls of a plan as strace would print them, each with its reason.
 *
 * @example
 * ```ts
 * import { explain, program } from "nsk";
 *
 * const text = explain(program(["true"], { namespaces: ["uts"], env: { PATH: "/bin" } }));
 * for (const line of text.trim().split("\n")) console.log(line.split(" ")[0]);
 * // → unshare(CLONE_NEWUTS)
 * // → execve("/bin/true",
 * ```
 */
export const explain = (plan: Plan): string =>
  explainLines(plan.steps)
    .map(({ depth, text, reason, heading }) => {
      const line = `${"  ".repeat(depth)}${heading ? `# ${text}` : text}`;
      return reason ? `${line.padEnd(COLUMN)}  # ${reason}` : line;
    })
    .join("\n") + "\n";

/**
 * The value of `--explain=json`, as it goes into JSON.stringify.
 *
 * @example
 * ```ts
 * import { explainJson, program } from "nsk";
 *
 * const { steps } = explainJson(program(["true"], { namespaces: ["uts"] })) as { steps: { call: string }[] };
 * console.log(steps[0]?.call); // → unshare
 * ```
 */
export const explainJson = (plan: Plan): object => ({ name: plan.name, steps: plan.steps.flatMap(stepJson) });

const callJson = (step: CallStep): object => ({
  call: step.name,
  args: step.args.map(argText),
  text: callText(step),
  title: step.title,
  ...(step.result && { result: step.result.slot }),
  ...(step.reason && { reason: step.reason }),
  ...(step.onError && { onError: step.onError }),
  ...(step.unless && { unless: step.unless.slot }),
  ...(step.undo && { undo: callText(step.undo) }),
});

const stepJson = (step: Step): object | object[] => {
  switch (step.kind) {
    case "call":
      return callJson(step);
    case "prepared":
      return step.calls().map(callJson);
    case "fork":
      return {
        call: "clone",
        flags: flagText(step.flags, CLONE, ""),
        result: step.pid.slot,
        ...(step.reason && { reason: step.reason }),
        child: step.child.flatMap(stepJson),
      };
    case "exec":
      return {
        call: "execve",
        program: step.program,
        argv: step.argv,
        candidates: step.candidates,
        ...(step.env && { env: step.env }),
        ...(step.reason && { reason: step.reason }),
      };
    case "exit":
      return { call: "exit_group", text: "exit_group(0)", ...(step.reason && { reason: step.reason }) };
    case "identify":
      return { identify: step.started, title: step.title };
    case "attach":
      return {
        attach: step.master.slot,
        keys: step.keys,
        endsIt: step.endsIt,
        ...(step.reason && { reason: step.reason }),
      };
    case "report":
      return { report: step.to };
    case "heed":
      return {
        call: "read",
        pid: step.pid.slot,
        from: step.from.slot,
        ...(step.reason && { reason: step.reason }),
        cleanup: step.cleanup.map(callJson),
      };
    case "expect":
      return {
        expect: step.found.text,
        value: String(step.value),
        ...(step.differs && { differs: true }),
        title: step.title,
      };
    case "join":
      return { call: "wait4", pid: step.pid.slot, ...(step.reason && { reason: step.reason }) };
    case "wait":
    case "supervise":
      return {
        call: "wait4",
        pid: step.pid.slot,
        ...(step.kind === "wait" && step.forward && { forward: step.forward.map(signalName) }),
        ...(step.kind === "wait" && step.killOn && { killOn: signalName(step.killOn) }),
        ...(step.kind === "supervise" && { supervise: step.terminal ? "terminal" : "signals" }),
        ...(step.reason && { reason: step.reason }),
        ...(step.kind === "supervise" &&
          step.notices && {
            notices: step.notices.map(({ read, counter, text }) => ({
              read: read.map(callJson),
              counter,
              text,
            })),
          }),
        cleanup: step.cleanup.map(callJson),
      };
  }
};
