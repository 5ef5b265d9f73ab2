// What strace saw of a run, and what `--explain` said of it, laid beside one another call by call.
//
// Everything that is taken for equal although it is written differently stands in this file, each with its reason:
//
//  1. A name in an explained call (`fd`, `pid`, `mask`) stands for the value that the run gave it, and for that alone:
//     the call that fills it says which, and from then on it is compared as that value.
//  2. `environ` is the environment that the test gave, word by word (`strace -v`).
//  3. Of the candidates of an execve those behind the one that was found are not tried. Everything up to it must be.
//  4. A container's id is drawn anew by each start of nsk. It is read from the run's record, and put in the explained
//     text for the explained one.
//  5. `WUNTRACED` of wait(2) is `WSTOPPED` for strace. They are one number.
//  6. Strings are compared as bytes: strace writes bytes above 127 in octal, and `--explain` writes letters.
//  7. Comments of strace, outside of strings, are no part of a call.
//  8. A process that waits ends as its child did: `wait4` is followed by `exit_group`, which `--explain` says in words.
//  9. A supervisor with a terminal makes its loop's calls as often as there is something to carry. They are left out on
//     both sides, from the first ppoll on; the loop's alone, and of no other process.
// 10. strace has no names for the flags of the ioctl TIOCGPTPEER.
// 11. A call that is explained with `only if NAME < 0` is made only when the call that fills NAME has failed.
// 12. `<name>` in a string, `name.st_uid` and `permitted` stand for numbers that an earlier call has left.
// 13. The program that seccomp(2) or bpf(2) loads is not written out in `--explain`, its length is.
// 14. A process that is started in a PID namespace has two ids; strace tells both (`--pidns-translation`).
// 15. A supervisor's loop goes round once more for the end of helpers (newuidmap): ppoll, read, and a wait4 that gives 0.
// 16. How a container ended, which the launcher writes to its record, is a line that only the run knows.
// 17. The time at which it was asked for, in the record, is that of each start of nsk.

/** One call. Arguments are as printed, less what is in the list above. */
export interface Call {
  readonly name: string;
  readonly args: readonly string[];
  /** The first word behind `=`: a number, or the name that it will have. */
  readonly result: string | undefined;
  /** Of a process id: what it is for strace, where that is another (14). */
  readonly outside?: string | undefined;
  /** The name that must be negative for this call to be made (11). */
  readonly onlyIf?: string | undefined;
}

/** A process of a plan: its calls, and for each clone among them (by its position) the child. */
export interface Explained {
  readonly calls: readonly Call[];
  readonly children: ReadonlyMap<number, Explained>;
}

/** A string of C at `text[at]`, which is its opening quote: as bytes, each written `\xNN` unless it is plain. */
const readString = (text: string, at: number): { value: string; end: number } => {
  const named: Record<string, number> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, "\\": 92 };
  const bytes: number[] = [];
  let i = at + 1;
  while (text[i] !== '"') {
    if (i >= text.length) throw new Error(`a string without an end: ${text}`);
    if (text[i] !== "\\") {
      const character = String.fromCodePoint(text.codePointAt(i)!);
      bytes.push(...new TextEncoder().encode(character));
      i += character.length;
      continue;
    }
    const hex = /^\\x([0-9a-f]{2})/.exec(text.slice(i, i + 4));
    const octal = /^\\([0-7]{1,3})/.exec(text.slice(i, i + 4));
    if (hex) bytes.push(Number.parseInt(hex[1]!, 16));
    else if (octal) bytes.push(Number.parseInt(octal[1]!, 8));
    else bytes.push(named[text[i + 1]!]!);
    i += hex ? 4 : octal ? octal[0].length : 2;
  }
  const shown = bytes.map((byte) =>
    byte < 32 || byte > 126 || byte === 34 || byte === 92
      ? `\\x${byte.toString(16).padStart(2, "0")}`
      : String.fromCharCode(byte),
  );
  return { value: `"${shown.join("")}"`, end: i + 1 };
};

/** `name(arguments) = result …`; undefined for anything else. */
export const parseCall = (text: string): Call | undefined => {
  // `???`: a thread of Bun's that ended with the execveat before strace had read what it was about to call.
  const head = /^([a-z_0-9]+|\?\?\?)\(/.exec(text);
  if (!head) return undefined;
  const args: string[] = [];
  let arg = "";
  let depth = 0;
  for (let i = head[0].length; i < text.length;) {
    const character = text[i]!;
    if (character === '"') {
      const { value, end } = readString(text, i);
      arg += value;
      i = end;
      continue;
    }
    if (text.startsWith("/*", i)) {
      i = text.indexOf("*/", i) + 2;
      arg = arg.trimEnd();
      continue;
    }
    if (character === ")" && depth === 0) {
      if (arg.trim()) args.push(arg.trim());
      const rest = text.slice(i + 1);
      return {
        name: head[1]!,
        args,
        result: /^\s*= (\S+)/.exec(rest)?.[1],
        outside: / \/\* (\d+) in strace's PID NS \*\//.exec(rest)?.[1],
        onlyIf: /; only if (\w+) < 0$/.exec(rest)?.[1],
      };
    }
    if ("([{".includes(character)) depth++;
    if (")]}".includes(character)) depth--;
    if (character === "," && depth === 0) {
      args.push(arg.trim());
      arg = "";
    } else arg += character;
    i++;
  }
  throw new Error(`a call without an end: ${text}`);
};

const lineOf = ({ name, args, result }: Call): string =>
  `${name}(${args.join(", ")})${result === undefined ? "" : ` = ${result}`}`;

/** The text of `--explain` as processes. */
export const parseExplained = (text: string): Explained => {
  const lines = text.split("\n").filter(Boolean);
  let at = 0;
  const read = (depth: number): Explained => {
    const calls: Call[] = [];
    const children = new Map<number, Explained>();
    while (at < lines.length) {
      const line = lines[at]!;
      const indent = /^ */.exec(line)![0].length / 2;
      if (indent < depth) break;
      if (indent > depth) {
        children.set(calls.length - 1, read(indent));
        continue;
      }
      at++;
      const call = parseCall(line.trim());
      if (call) calls.push(call);
      else if (!line.trim().startsWith("# ")) throw new Error(`neither a call nor a heading: ${line}`);
    }
    return { calls, children };
  };
  return read(0);
};

/** What every process did, in its own order, whole calls only. */
export type Trace = ReadonlyMap<string, readonly Call[]>;

/** Reads what `strace -f -o` wrote. Signals and ends of processes are no calls. */
export const parseTrace = (text: string): Trace => {
  const trace = new Map<string, Call[]>();
  const begun = new Map<string, string>();
  for (const line of text.split("\n").filter(Boolean)) {
    const [, pid, rest] = /^(\d+) +(.*)$/.exec(line)!;
    if (rest!.startsWith("---") || rest!.startsWith("+++")) continue;
    if (rest!.endsWith(" <unfinished ...>")) {
      begun.set(pid!, rest!.slice(0, -" <unfinished ...>".length));
      continue;
    }
    const resumed = /^<\.\.\. (?:\w+|\?\?\?) resumed>(.*)$/.exec(rest!);
    const call = parseCall(resumed ? begun.get(pid!)! + resumed[1]! : rest!);
    if (!call) throw new Error(`not understood: ${line}`);
    if (!trace.has(pid!)) trace.set(pid!, []);
    trace.get(pid!)!.push(call);
  }
  return trace;
};

const succeeded = (call: Call): boolean => call.result === "0";

/** What nsk itself did before it became the launcher, and the process that it was. */
export const beforeLauncher = (trace: Trace): { pid: string; calls: Call[] } => {
  for (const [pid, calls] of trace) {
    const at = calls.findIndex((call) => call.name === "execveat" && succeeded(call));
    if (at >= 0)
      // Bun's threads have process ids of their own in a trace, and end with the execveat.
      return { pid, calls: [...calls.slice(0, at), ...threadsOf(trace, pid, at)] };
  }
  throw new Error("there is no launcher in the trace");
};

const threadsOf = (trace: Trace, pid: string, end: number): Call[] => {
  const isThread = (call: Call): boolean => call.name === "clone3" && call.args[0]!.includes("CLONE_THREAD");
  const started = (trace.get(pid) ?? []).slice(0, end).filter(isThread);
  const found: Call[] = [];
  for (const { result } of started) {
    const calls = trace.get(result!) ?? [];
    found.push(...calls, ...threadsOf(trace, result!, calls.length));
  }
  return found;
};

/** The calls from the launcher's start (or a fork) to the program. */
const launcherCalls = (trace: Trace, pid: string): Call[] => {
  const calls = trace.get(pid) ?? [];
  const start = calls.findIndex((call) => call.name === "execveat" && succeeded(call)) + 1;
  const end = calls.findIndex((call, i) => i >= start && call.name === "execve" && succeeded(call));
  return calls.slice(start, end < 0 ? undefined : end + 1);
};

/** A number that the kernel wrote into memory is traced as its bytes. */
const asNumber = (text: string): string => {
  if (!/^".*"$/.test(text)) return text;
  const bytes = [...text.slice(1, -1).matchAll(/\\x(..)|(.)/g)].map(([, hex, plain]) =>
    hex ? Number.parseInt(hex, 16) : plain!.charCodeAt(0),
  );
  return bytes.length === 8 ? String(new DataView(Uint8Array.from(bytes).buffer).getBigInt64(0, true)) : text;
};

/** Arguments that a call fills: what they hold is the run's to say. */
const FILLED: readonly string[] = [
  ...["status", "mask", "pair", "number", "answer", "line", "signal", "counts"],
  ...["ready", "go", "word", "found", "whose", "caps", "now"],
  ...["started", "report", "output", "errors", "silence", "told", "words", "program"],
];

/** Names that explained calls give to what only the run knows, with the values that it gave them. */
class Names {
  readonly #values = new Map<string, string>();
  constructor(from?: Names) {
    if (from) this.#values = new Map(from.#values);
  }
  bind(name: string, value: string): void {
    this.#values.set(name, value);
  }
  /** An explained argument as it must be traced; `traced` gives names without a value one. */
  resolve(arg: string, traced: string | undefined, environment: string): string {
    if (arg === "environ") return environment;
    const value = this.#values.get(arg);
    if (value !== undefined)
      // Bytes of a number are that number, where both are one (see asNumber).
      return traced !== undefined && asNumber(traced) === asNumber(value) ? traced : value;
    if (FILLED.includes(arg) && traced !== undefined) {
      this.bind(arg, traced);
      const permitted = /\bpermitted=([^,}]+)/.exec(traced)?.[1];
      if (permitted !== undefined) this.bind("permitted", permitted);
      return traced;
    }
    const field = /^([a-z]+)\.(st_\w+)$/.exec(arg);
    if (field) return new RegExp(`\\b${field[2]}=(\\d+)`).exec(this.#values.get(field[1]!) ?? "")?.[1] ?? arg;
    const part = /^([a-z]+)\[([01])\]$/.exec(arg);
    if (part) {
      const pair = /^\[(\d+), (\d+)\]$/.exec(this.#values.get(part[1]!) ?? "");
      return pair ? pair[Number(part[2]) + 1]! : arg;
    }
    // Inside a structure, as `{fd=parent, …}`; in a string only as `<name>`.
    return arg
      .split(/("[^"]*")/)
      .map((piece, i) =>
        i % 2
          ? piece.replace(/<([a-z]+)>/g, (all, name: string) => this.#values.get(name) ?? all)
          : piece.replace(/\b[a-z]+\d*\b(?!=)/g, (name) => this.#values.get(name) ?? name),
      )
      .join("");
  }
}

export interface SideBySide {
  readonly explained: string[];
  readonly traced: string[];
}

/** The environment as strace -v prints it. */
const environmentText = (env: Readonly<Record<string, string>>): string => {
  const words = Object.entries(env).map(
    ([name, value]) => readString(`${JSON.stringify(`${name}=${value}`)}`, 0).value,
  );
  return `[${words.join(", ")}]`;
};

/** Both as lines that are the same when the run did what was explained, process by process. */
export const sideBySide = (
  explained: string,
  trace: Trace,
  env: Readonly<Record<string, string>>,
): SideBySide => {
  const out: SideBySide = { explained: [], traced: [] };
  const environment = environmentText(env);

  const walk = (process: Explained, pid: string, names: Names): void => {
    const loop = loopOf(process.calls);
    const all = withoutLooks(launcherCalls(trace, pid));
    const traced = withoutLoop(all, loop);
    const expected = withoutLoop(endOf(withoutUntried(process.calls, all)), loop);
    const children: [Explained, string, Names][] = [];
    let at = 0;
    expected.forEach((call, i) => {
      if (call.onlyIf && !names.resolve(call.onlyIf, undefined, environment).startsWith("-")) return;
      const seen = traced[at++];
      const isSame = seen?.name === call.name;
      if (isSame && call.result !== undefined && call.name !== "wait4") {
        const filled = names.resolve(call.result, seen.result, environment);
        // A name may be used again, for another file: the newest call that fills it counts.
        if (filled !== seen.result && !/^-?\d+$/.test(call.result)) names.bind(call.result, seen.result!);
      }
      const args = call.args.map((arg, n) =>
        names
          .resolve(arg, isSame ? seen.args[n] : undefined, environment)
          .replace(/\bWUNTRACED$/, "WSTOPPED"),
      );
      if (args.length === 3 && args[1] === "ended" && isEnd(seen)) args.splice(1, 2, ...seen!.args.slice(1));
      if (args[1] === "TIOCGPTPEER" && args[2] === "O_RDWR|O_NOCTTY") args[2] = "0x102";
      // Which child was waited for is said twice, and must be the one that is meant.
      const waited = call.name === "wait4" ? names.resolve(call.result!, undefined, environment) : undefined;
      const result = waited === undefined ? undefined : String(asNumber(waited));
      out.explained.push(withoutTime(lineOf({ name: call.name, args, result })));
      const child = process.children.get(i);
      if (child) children.push([child, seen?.outside ?? seen?.result ?? "?", new Names(names)]);
    });
    for (const call of traced)
      out.traced.push(
        withoutTime(lineOf(call.name === "wait4" ? call : { ...withoutProgram(call), result: undefined })),
      );
    for (const [child, childPid, known] of children) {
      out.explained.push("-- a child");
      out.traced.push("-- a child");
      walk(child, childPid, known);
    }
  };
  walk(parseExplained(withId(explained, trace)), beforeLauncher(trace).pid, new Names());
  return out;
};

/** What the launcher writes of a container's end: a line, and as long as it says (16). */
const isEnd = (call: Call | undefined): boolean => {
  const [, line = "", length] = call?.args ?? [];
  return /^"ended( \d+){5}\\x0a"$/.test(line) && Number(length) === line.length - '""'.length - "x0a".length;
};

/** When a container was asked for is told by each start of nsk anew (17). */
const withoutTime = (line: string): string => line.replace(/(created\\x22:\\x22)[\d-]+T[\d:.]+Z/, "$1TIME");

/** The program that is loaded is cut out (13). */
const withoutProgram = (call: Call): Call =>
  call.name === "seccomp" || call.name === "bpf"
    ? { ...call, args: call.args.map((arg) => arg.replace(/(filter|insns)=\[.*?\](?=[,}])/, "$1=[...]")) }
    : call;

/** Candidates behind the program that was found are left out (3). */
const withoutUntried = (calls: readonly Call[], traced: readonly Call[]): Call[] => {
  const first = calls.findIndex((call) => call.name === "execve");
  const last = traced.at(-1);
  if (first < 0 || last?.name !== "execve" || !succeeded(last)) return [...calls];
  const tried = traced.filter((call) => call.name === "execve").length;
  return calls.filter((_, i) => i < first + tried);
};

/** A supervisor looks after its container also when a helper's end has sent the signal (15). */
const withoutLooks = (calls: readonly Call[]): Call[] => {
  const kept: Call[] = [];
  for (const call of calls) {
    if (call.name === "wait4" && call.args[2] === "WNOHANG" && call.result === "0") kept.splice(-2);
    else kept.push(call);
  }
  return kept;
};

/** Where the loop of a supervisor with a terminal begins: it polls three descriptors (9). */
const loopOf = (calls: readonly Call[]): number => {
  const at = calls.findIndex(({ name, args }) => name === "ppoll" && args[1] === "3");
  return at < 0 ? Number.POSITIVE_INFINITY : at;
};
const CARRIES: readonly string[] = ["ppoll", "read", "write", "ioctl", "fcntl", "getpgid"];
const withoutLoop = (calls: readonly Call[], loop: number): Call[] =>
  calls.filter(({ name }, i) => i < loop || !CARRIES.includes(name));

/** What a process that waits ends with (8). */
const endOf = (calls: readonly Call[]): Call[] =>
  calls.some((call) => call.name === "wait4") && !calls.some(({ name }) => /^(execve|exit_group)$/.test(name))
    ? [...calls, { name: "exit_group", args: ["0"], result: undefined }]
    : [...calls];

/** Where records are: root's, and a plain user's. */
const STATE = "(?:/run/nsk|/tmp/nsk-\\d+)/";

/** The explained text with the run's id in place of its own (4). */
const withId = (explained: string, trace: Trace): string => {
  const told = new RegExp(`"${STATE}([0-9a-f]{12})"`).exec(explained)?.[1];
  const calls = [...trace.values()].flat();
  const linked = new RegExp(`^"${STATE}([0-9a-f]{12})"$`);
  const record = calls.find((call) => call.name === "linkat" && linked.test(call.args[3] ?? ""));
  const real = linked.exec(record?.args[3] ?? "")?.[1];
  return told && real ? explained.replaceAll(told, real) : explained;
};
