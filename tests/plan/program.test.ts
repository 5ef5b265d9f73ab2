import { expect, test } from "bun:test";
import { programCandidates } from "../../src/plan/program.ts";

const rows: [program: string, PATH: string | undefined, candidates: string[]][] = [
  ["ls", "/usr/bin:/bin", ["/usr/bin/ls", "/bin/ls"]],
  ["./ls", "/usr/bin", ["./ls"]],
  ["a/b", "/usr/bin", ["a/b"]],
  ["/bin/ls", "/usr/bin", ["/bin/ls"]],
  ["ls", undefined, ["/bin/ls", "/usr/bin/ls"]],
  ["ls", "", ["./ls"]],
  ["ls", ":/bin", ["./ls", "/bin/ls"]],
  ["ls", "/bin:", ["/bin/ls", "./ls"]],
  ["ls", "/a::/b", ["/a/ls", "./ls", "/b/ls"]],
  ["ls", "relative", ["relative/ls"]],
  ["", "/bin", [""]],
];

for (const [program, PATH, candidates] of rows)
  test(`execvp(3) looks for '${program}' in PATH=${PATH} at ${candidates.join(", ")}`, () => {
    expect(programCandidates(program, PATH)).toEqual(candidates);
  });
