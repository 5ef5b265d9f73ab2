// `bun run demo`: the main job, seen with one's own eyes. A control group and a container each get a load that wants
// more than it may have; limit and use are shown side by side. Leaves nothing behind, also when it is interrupted.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { installDependencies, isRoot, root, run } from "./setup.ts";

const nsk = join(root, "dist/nsk");
const group = `nsk-demo-${process.pid}`;
/** Seconds that the loads are measured for, and that they get before to come up to speed. */
const measured = 4;
const settling = 0.7;

/** More than any of the limits: two processors' worth. */
const load = Bun.which("stress-ng")
  ? ["stress-ng", "--quiet", "--cpu", "2", "--timeout", "60"]
  : ["sh", "-c", "while :; do :; done & while :; do :; done"];

const read = (path: string): string | undefined => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
};

/** The directory of a process's control group for a controller, v1 or v2; undefined where it shares ours. */
const groupDirectory = (pid: number, controller: string): string | undefined => {
  const pathOf = (id: number | "self", wanted: (controllers: string[]) => boolean) =>
    (read(`/proc/${id}/cgroup`) ?? "")
      .split("\n")
      .map((line) => line.split(":"))
      .find(([, controllers]) => controllers !== undefined && wanted(controllers.split(",")))
      ?.slice(2)
      .join(":");
  const legacy = (controllers: string[]) => controllers.includes(controller);
  const unified = ([first]: string[]) => first === "";
  const isLegacy = pathOf(pid, legacy) !== undefined;
  const path = pathOf(pid, isLegacy ? legacy : unified);
  if (path === undefined || path === pathOf("self", isLegacy ? legacy : unified)) return undefined;
  for (const line of (read("/proc/self/mountinfo") ?? "").split("\n")) {
    const [before = "", after = ""] = line.split(" - ");
    const [type, , options = ""] = after.split(" ");
    const place = before.split(" ")[4]!;
    if (isLegacy ? type === "cgroup" && options.split(",").includes(controller) : type === "cgroup2")
      return place + path;
  }
  return undefined;
};

/** Processor time in nanoseconds that a process's control group has used. */
const usage = (pid: number): number => {
  const accounting = groupDirectory(pid, "cpuacct");
  const total = accounting && read(`${accounting}/cpuacct.usage`);
  if (total) return Number(total);
  const directory = groupDirectory(pid, "cpu");
  if (!directory) throw new Error(`process ${pid} is in no control group of its own`);
  const microseconds = /^usage_usec (\d+)/m.exec(read(`${directory}/cpu.stat`) ?? "")?.[1];
  if (microseconds) return Number(microseconds) * 1000;
  // cpu without cpuacct, as where v1 has them apart: the processes' own clocks.
  const threads = members(directory).flatMap((member) => {
    try {
      return readdirSync(`/proc/${member}/task`).map((thread) => `/proc/${member}/task/${thread}/schedstat`);
    } catch {
      return []; // ended meanwhile
    }
  });
  return threads.reduce((sum, file) => sum + Number((read(file) ?? "0").split(" ")[0]), 0);
};

const members = (directory: string): number[] =>
  (read(`${directory}/cgroup.procs`) ?? "").split("\n").filter(Boolean).map(Number);

/** How often the kernel stopped a group because its time was used up. */
const throttled = (pid: number): number => {
  const directory = groupDirectory(pid, "cpu");
  return Number(/^nr_throttled (\d+)/m.exec((directory && read(`${directory}/cpu.stat`)) ?? "")?.[1] ?? 0);
};

const kill = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL");
  } catch {} // gone already
};

const firstChild = (pid: number): number | undefined => {
  const [child] = (read(`/proc/${pid}/task/${pid}/children`) ?? "").split(" ").filter(Boolean);
  return child ? Number(child) : undefined;
};

interface Loaded {
  readonly title: string;
  readonly limit: number;
  /** A process in the group. */
  readonly pid: number;
}

/** What must be undone, last first. */
const cleanups: (() => unknown)[] = [];
let cleaning: Promise<void> | undefined;
const cleanUp = (): Promise<void> =>
  (cleaning ??= (async () => {
    for (const undo of cleanups.reverse()) await undo();
  })());

const demo = async (): Promise<number> => {
  const { consola } = await import("consola");
  const { colors } = await import("consola/utils");

  /** Shows a command as one would type it; what is run is the file that was just built. */
  const show = (args: readonly string[], why: string) => {
    const words = args.map((word) => (/[^\w=.:,/-]/.test(word) ? `'${word}'` : word));
    consola.log(`${colors.dim(`# ${why}`)}\n${colors.green("$")} nsk ${words.join(" ")}`);
  };
  const does = (args: readonly string[], why: string) => {
    show(args, why);
    const { exitCode, stderr } = Bun.spawnSync([nsk, ...args], {
      stdin: "ignore",
      stdout: "inherit",
      stderr: "pipe",
    });
    if (stderr.length > 0) consola.log(colors.dim(stderr.toString().trimEnd()));
    if (exitCode !== 0) throw new Error(`nsk ${args[0]} failed`);
  };
  const starts = (args: readonly string[], why: string) => {
    show(args, why);
    return Bun.spawn([nsk, ...args], { stdio: ["ignore", "ignore", "inherit"] });
  };

  consola.start("building dist/nsk");
  if (run([process.execPath, "scripts/build.ts"]) !== 0) throw new Error("the build failed");

  // Where v1 counts processor time in a hierarchy of its own, the group is made there too, to be measured.
  const counted = /^\d+:(?:[^:]*,)?cpuacct[,:]/m.test(read("/proc/self/cgroup") ?? "");
  const controllers = `${counted ? "cpu,cpuacct" : "cpu"}:${group}`;
  consola.log("");
  cleanups.push(() => Bun.spawnSync([nsk, "cgdelete", "-g", controllers], { stderr: "ignore" }));
  does(["cgcreate", "-g", controllers], "a control group, half a CPU for all in it together");
  does(
    ["cgset", "-r", "cpu.cfs_period_us=100000", "-r", "cpu.cfs_quota_us=50000", group],
    "50 of every 100 ms",
  );
  const limited = starts(["cgexec", "-g", controllers, ...load], "a load in it that wants two CPUs");
  cleanups.push(async () => {
    const directory = groupDirectory(limited.pid, "cpu");
    for (const pid of directory ? members(directory) : []) kill(pid);
    kill(limited.pid);
    await limited.exited;
    await Bun.sleep(100); // for the last of them to leave the group
  });
  const container = starts(
    ["run", "--cpus", "0.25", "--", ...load],
    "and a container that may use a quarter",
  );
  cleanups.push(async () => {
    // Its first process: the rest of the container ends with it, and nsk clears up after it.
    const first = firstChild(container.pid);
    if (first) kill(first);
    else kill(container.pid);
    await container.exited;
  });

  consola.log("");
  consola.start(`measuring for ${measured} seconds`);
  await Bun.sleep(settling * 1000);
  for (const child of [limited, container])
    if (child.exitCode !== null) throw new Error(`a load ended at once, with status ${child.exitCode}`);
  const first = firstChild(container.pid);
  if (first === undefined) throw new Error("the container has no process");
  const loads: Loaded[] = [
    { title: "cgroup", limit: 0.5, pid: limited.pid },
    { title: "container", limit: 0.25, pid: first },
  ];
  const before = loads.map(({ pid }) => ({ used: usage(pid), at: performance.now(), stops: throttled(pid) }));
  await Bun.sleep(measured * 1000);
  const results = loads.map(({ title, limit, pid }, index) => {
    const { used, at, stops } = before[index]!;
    return {
      title,
      limit,
      used: (usage(pid) - used) / ((performance.now() - at) * 1e6),
      stops: throttled(pid) - stops,
    };
  });
  await cleanUp();

  const bar = (share: number) => {
    const filled = Math.min(20, Math.round(share * 20));
    return colors.cyan("█".repeat(filled)) + colors.dim("░".repeat(20 - filled));
  };
  const lines = results.map(
    ({ title, limit, used, stops }) =>
      `${title.padEnd(9)}  limit ${limit.toFixed(2)}  used ${colors.bold(used.toFixed(2))}  ${bar(used)}  stopped ${stops} times`,
  );
  consola.box({ title: "CPUs, for two loads that want 2.00 each", message: lines.join("\n") });
  // The kernel hands time out in slices, so a little more than the limit can fall into the window.
  const held = results.every(({ used, limit }) => used <= limit * 1.1);
  const starved = results.some(({ used, limit }) => used < limit * 0.8);
  if (!held) consola.fail("a load used more than its limit");
  else if (starved)
    consola.warn("the limits held, but the machine was too busy to give the loads all of what they may use");
  else consola.success("both were held to their limits; nothing is left of them");
  return held ? 0 : 1;
};

const interrupted = async (signal: NodeJS.Signals, status: number) => {
  console.error(`\ndemo: ${signal}, cleaning up`);
  await cleanUp();
  process.exit(status);
};
process.on("SIGINT", () => void interrupted("SIGINT", 130));
process.on("SIGTERM", () => void interrupted("SIGTERM", 143));
process.on("SIGHUP", () => void interrupted("SIGHUP", 129));

try {
  process.chdir(root);
  if (!isRoot()) {
    console.error(
      "demo: limits on control groups and containers need root; try\n\n  sudo npx --yes bun@1.4.5 run demo",
    );
    process.exit(1);
  }
  installDependencies();
  process.exitCode = await demo();
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
