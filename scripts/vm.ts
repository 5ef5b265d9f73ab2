// `bun run vm`: fresh machines to try nsk on, each a Debian kernel under qemu with dist/nsk and a static busybox.
//
//     bun run vm                        the tests that run in guests
//     bun run vm -- sh                  a shell on the console of one, with cgroup v2; Ctrl-A X ends it
//     bun run vm -- v1 sh               … with cgroup v1; also hybrid, none
//     bun run vm -- v2 'nsk cgcreate -g cpu:x; nsk cgget -g cpu:x'    lines for a shell, what they print, their status
//
// With --user alice (or bob, who has no /etc/subuid range) the lines are run by a plain user, with --processor NAME
// on another processor of qemu's, with --memory MB in less memory or more.

import { parseArgs } from "node:util";
import { boot, bootShell, type Cgroups, type Script } from "./vm/guest.ts";
import { missingForGuests } from "./vm/components.ts";
import { prepareGuests } from "./vm/disk.ts";
import { installDependencies, installPackages, root, run } from "./setup.ts";

const SETUPS: readonly string[] = ["v2", "v1", "hybrid", "none"] satisfies Cgroups[];

const main = async (): Promise<number> => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      user: { type: "string", default: "root" },
      processor: { type: "string", default: "max" },
      memory: { type: "string", default: "1024" },
    },
  });
  installDependencies();
  installPackages();
  const missing = missingForGuests();
  if (missing) throw new Error(missing);
  if (run([process.execPath, "scripts/build.ts"]) !== 0) throw new Error("the build failed");
  if (positionals.length === 0) {
    prepareGuests();
    return run([process.execPath, "test", "--parallel", "tests/vm/"]);
  }

  const cgroups = SETUPS.includes(positionals[0]!) ? (positionals.shift() as Cgroups) : "v2";
  const guest = { cgroups, processor: values.processor, memory: Number(values.memory) };
  const lines = positionals.join(" ");
  if (lines === "" || lines === "sh") {
    await bootShell(guest);
    return 0;
  }
  const outcomes = await boot(guest, [{ title: lines, lines, user: values.user as Script["user"] & string }]);
  const outcome = outcomes.get(lines)!;
  if (outcome instanceof Error) throw outcome;
  process.stdout.write(outcome.stdout);
  process.stderr.write(outcome.stderr);
  return outcome.status;
};

try {
  process.chdir(root);
  process.exitCode = await main();
} catch (error) {
  console.error(`vm: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
