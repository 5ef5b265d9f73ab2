// Types a chapter's commands into shells at terminals, as a person does, and prints what they see as JSON: a list of
// lines for each command. `nsk script terminal.ts CHAPTER.json`, on a machine of its own: nobody else may use nsk there.

import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { blocksFor, type Chapter, type Command, type Version } from "./document.ts";

/** Seconds for a command. */
const LIMIT = 30;

/** By which busybox's shell asks where the cursor is, and the echo of a line up to its end: where it is broken, it is by CR LF. */
const WHERE = "\x1b\\[6n";
const ECHO = /^[^]*?(?<!\r)\n/;

/** The prompts of the shells begin with it, and nothing else does. */
const MARK = "\x1e";
const PROMPT = new RegExp(`${MARK}([#$>]) (?:${WHERE})?$`);

/** What busybox's shell reads at its start: it would take an `ip` of its own before that of PATH. */
const RC = "/tmp/tutorial.rc";
writeFileSync(RC, "alias ip=/usr/bin/ip\n");

/** What busybox's shell says of itself. */
const GREETING = /^\n\n?BusyBox .*\nEnter 'help' .*\n\n|^.*: can't access tty; job control turned off\n/gm;

interface Terminal {
  readonly type: (line: string) => void;
  /** Waits for a prompt: which one it is, and what was printed before. */
  readonly seen: () => Promise<{ readonly prompt: string; readonly text: string }>;
}

const openTerminal = (): Terminal => {
  const decoder = new TextDecoder();
  let text = "";
  const terminal = new Bun.Terminal({
    cols: 100,
    rows: 40,
    data: (_, bytes) => void (text += decoder.decode(bytes, { stream: true })),
  });
  // Not without an echo, although it has to be cut away: busybox's shell, when it does not edit lines, takes a signal
  // for the end of its input.
  Bun.spawn(["/bin/sh", "-c", "stty -onlcr; exec /bin/sh -i"], {
    terminal,
    env: { ...process.env, ENV: RC, PS1: `${MARK}\\$ `, PS2: `${MARK}> `, TERM: "dumb" },
  });
  return {
    type: (line) => void terminal.write(`${line}\n`),
    seen: async () => {
      for (let waited = 0; !PROMPT.test(text); waited += 10) {
        if (waited > LIMIT * 1000)
          throw new Error(`no prompt after ${LIMIT} seconds; there was: ${JSON.stringify(text)}`);
        await Bun.sleep(10);
      }
      const before = text.replace(PROMPT, "").replaceAll(GREETING, "");
      const prompt = PROMPT.exec(text)![1]!;
      text = "";
      return { prompt, text: before };
    },
  };
};

/** Until what was started has become the program that it is to be: nobody types as fast as that. */
const settle = async (): Promise<void> => {
  const own = readlinkSync("/proc/self/exe");
  const isStarting = (pid: string): boolean => {
    try {
      return /^\d+$/.test(pid) && Number(pid) !== process.pid && readlinkSync(`/proc/${pid}/exe`) === own;
    } catch {
      return false; // ended meanwhile, or a thread of the kernel
    }
  };
  await Bun.sleep(200);
  while (readdirSync("/proc").some(isStarting)) await Bun.sleep(50);
  await Bun.sleep(300);
};

const enter = async (
  terminal: Terminal,
  { prompt, typed }: Command,
  before: string,
): Promise<[string, string]> => {
  if (before !== prompt) throw new Error(`the shell's prompt is ${before} before: ${prompt} ${typed[0]}`);
  let text = "";
  let next = prompt as string;
  for (const line of typed) {
    terminal.type(line);
    const seen = await terminal.seen();
    text += seen.text.replace(ECHO, "");
    next = seen.prompt;
  }
  if (next === ">") throw new Error(`the shell waits for more of: ${typed.join("\n")}`);
  if (typed.at(-1)!.endsWith("&")) await settle();
  return [text, next];
};

const [file, version] = process.argv.slice(2) as [string, Version];
const chapter = JSON.parse(readFileSync(file, "utf8")) as Chapter;
const terminals = new Map<string, { terminal: Terminal; prompt: string }>();
const printed: string[][] = [];
for (const block of blocksFor(chapter, version)) {
  if (block.kind === "file") {
    writeFileSync(block.name, block.text);
    continue;
  }
  let at = terminals.get(block.terminal);
  if (!at) {
    const terminal = openTerminal();
    terminals.set(block.terminal, (at = { terminal, prompt: (await terminal.seen()).prompt }));
  }
  for (const command of block.commands) {
    const [text, prompt] = await enter(at.terminal, command, at.prompt);
    at.prompt = prompt;
    printed.push(text === "" ? [] : text.replace(/\n$/, "").split("\n"));
  }
}
console.log(JSON.stringify(printed));
process.exit(0);
