// run -d, exec and the commands around them as a plain user.

import { afterAll, describe, expect } from "bun:test";
import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import type { Ran } from "../support/nsk.ts";
import { type How, NEEDS, type PlainUser, plainUser, removeScratch } from "../support/plain-user.ts";
import { until } from "./containers.ts";

const live = testNeeding(...NEEDS);
const scratch = mkdtempSync(join(tmpdir(), "nsk-rootless-background-"));
let known: PlainUser | undefined;
const user = (): PlainUser => (known ??= plainUser(scratch));
const started: string[] = [];
afterAll(() => {
  for (const id of started) user().nsk("rm", "-f", id);
  removeScratch(scratch);
});

const nskAs = (how: How, ...words: string[]): Ran => user().run([user().binary, ...words], how);
const output = ({ status, stdout, stderr }: Ran): string => {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};
const start = (how: How, script: string, ...options: string[]): string => {
  const id = output(nskAs(how, "run", "-d", ...options, "--", "sh", "-c", script)).trim();
  expect(id).toMatch(/^[0-9a-f]{12}$/);
  started.push(id);
  return id;
};

for (const [title, how] of [
  ["with ranges of ids", {}],
  ["with a single id", { ranges: false }],
] as const)
  describe(title, () => {
    live("a container goes on alone, and what it printed and how it ended stays until nsk rm", async () => {
      const id = start(how, "echo out; echo err >&2; echo again >/dev/stdout; exit 3");
      expect(nskAs(how, "wait", id).stdout).toBe("3\n");
      expect(nskAs(how, "logs", id)).toMatchObject({ stdout: "out\nagain\n", stderr: "err\n" });
      const kept = join(user().home, ".local/share/nsk/containers");
      expect(readdirSync(kept)).toContain(id);
      expect(nskAs(how, "ps", "-a").stdout).toMatch(new RegExp(`^${id} .* Exited \\(3\\)`, "m"));
      expect(output(nskAs(how, "rm", id))).toBe(`${id}\n`);
      expect(existsSync(join(kept, id))).toBe(false);
      expect(existsSync(join(user().runtime, "nsk", id))).toBe(false);
    });
    live("exec joins it: the same namespaces, capabilities and filter", () => {
      const id = start(how, "sleep 1000");
      const facts =
        "grep -E '^(Cap|Seccomp:|NoNewPrivs|[UG]id)' /proc/$1/status; for i in user mnt pid net ipc uts cgroup; do readlink /proc/$1/ns/$i; done";
      const [first, self] = ["1", "$$"].map((pid) =>
        output(nskAs(how, "exec", id, "sh", "-c", `set -- ${pid}; ${facts}`)),
      );
      expect(self).toBe(first!);
      expect(nskAs(how, "exec", id, "sh", "-c", "exit 7").status).toBe(7);
      expect(nskAs(how, "exec", id, "nsk-no-such").status).toBe(127);
      expect(output(nskAs(how, "stop", "-t", "0", id))).toBe(`${id}\n`);
      expect(nskAs(how, "inspect", id).stdout).toContain('"ExitCode": 137');
    });
    live("what cannot be started is told, and nothing is kept", () => {
      const ran = nskAs(how, "run", "-d", "--", "nsk-no-such");
      expect(ran).toMatchObject({
        status: 127,
        stdout: "",
        stderr: "nsk run: execute nsk-no-such failed: No such file or directory\n",
      });
    });
  });

live(
  "with ranges a program of another user may open /dev/stdout, and exec -u is another as well",
  async () => {
    const id = start({}, "echo mine >/dev/stdout; sleep 1000", "-u", "7:8");
    await until("it has printed", () => nskAs({}, "logs", id).stdout === "mine\n");
    expect(output(nskAs({}, "exec", id, "sh", "-c", "id -u; id -g"))).toBe("7\n8\n");
    expect(output(nskAs({}, "exec", "-u", "0", id, "id", "-u"))).toBe("0\n");
    expect(output(nskAs({}, "exec", "-u", "33:44", id, "sh", "-c", "id -u; id -g"))).toBe("33\n44\n");
  },
);

live("namespaces of another container are not to be had", () => {
  const id = start({}, "sleep 1000");
  const ran = nskAs({}, "run", "--network", `container:${id}`, "true");
  expect(ran.status).toBe(125);
  expect(ran.stderr).toStartWith("nsk run: namespaces of another container belong to its user namespace");
});

live("one user does not see another's containers", () => {
  const id = start({}, "sleep 1000");
  const alone = user().run([user().binary, "ps", "-a", "-n"], {
    env: { XDG_RUNTIME_DIR: "", HOME: "/nonexistent" },
  });
  expect(alone.stdout).not.toContain(id);
});
