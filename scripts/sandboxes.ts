// What the benchmark runs of scripts: a thousand sandboxes from one, beside a shell loop over util-linux's unshare with the
// same namespaces; and the memory of a script over ten thousand.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** So many of so many at a time. Prints its resident memory, in KB, after each of ten parts. */
const SCRIPT = `import { readFileSync } from "node:fs";
import { program, spawn } from "nsk";

const [count, lanes] = process.argv.slice(2).map(Number);
const sandbox = program(["/bin/true"], { namespaces: ["user", "pid", "mount", "uts"], mapUser: 0 });
let [begun, done] = [0, 0];
const lane = async () => {
  while (begun++ < count) {
    const { status } = await spawn(sandbox).exited;
    if (status !== 0) throw new Error(\`a sandbox ended with \${status}\`);
    if (++done % (count / 10) === 0)
      console.log(/^VmRSS:\\s+(\\d+)/m.exec(readFileSync("/proc/self/status", "utf8"))![1]);
  }
};
await Promise.all(Array.from({ length: lanes }, lane));
`;

const LOOP = `for ((i = 0; i < $0; i++)); do
  /usr/bin/unshare --user --map-root-user --pid --fork --mount --uts /bin/true || exit
done`;

export interface Sandboxes {
  /** Seconds for {@link COUNT} of them. */
  readonly loop: readonly number[];
  readonly script: readonly number[];
  /** {@link LANES} at a time. */
  readonly lanes: readonly number[];
  /** KB, a tenth of {@link MANY} apart. */
  readonly memory: readonly number[];
}

export const COUNT = 1_000;
export const MANY = 10_000;
export const LANES = 4;
const ROUNDS = 5;

/** Turn about. */
export const measureSandboxes = (nsk: string, directory: string, env: Record<string, string>): Sandboxes => {
  const file = join(directory, "sandboxes.ts");
  writeFileSync(file, SCRIPT);
  const timed = (argv: readonly string[]): { seconds: number; stdout: string } => {
    const start = performance.now();
    const { exitCode, stdout, stderr } = Bun.spawnSync([...argv], { env, stdin: "ignore", stderr: "pipe" });
    if (exitCode !== 0) throw new Error(`${argv.slice(0, 3).join(" ")} failed\n${stderr}`);
    return { seconds: (performance.now() - start) / 1000, stdout: stdout.toString() };
  };
  const [loop, script, lanes]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < ROUNDS; round++) {
    loop.push(timed(["/usr/bin/bash", "-c", LOOP, String(COUNT)]).seconds);
    script.push(timed([nsk, "script", file, String(COUNT), "1"]).seconds);
    lanes.push(timed([nsk, "script", file, String(COUNT), String(LANES)]).seconds);
  }
  const { stdout } = timed([nsk, "script", file, String(MANY), String(LANES)]);
  return { loop, script, lanes, memory: stdout.trim().split("\n").map(Number) };
};
