// `nsk install-links DIR`: links named after the mirrored tools, so that scripts written for those find nsk. Symbolic
// ones, because a hard link or a copy would stay behind when the binary is replaced by a newer one.

import { decode } from "../abi/bytes.ts";
import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { AT_FDCWD } from "../abi/flags.ts";
import { int, string } from "../plan/call.ts";
import type { Plan, Step } from "../plan/plan.ts";
import { call, symlink, unlink } from "../plan/steps.ts";
import { readLink } from "../sys/linux.ts";
import { carryOutHere, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";
import { mirroredTools } from "./mirrored.ts";
import { print } from "./output.ts";

/** What lies at the path of a link to be made: nothing, the link itself, or something else. */
export type Place = { readonly path: string; readonly holds: "nothing" | "ours" | "foreign" };

export const installLinks = command({
  definition: {
    meta: {
      name: "install-links",
      description:
        "Make links to this program, named after the tools that it stands in for. " +
        `They are symbolic, and called ${mirroredTools.join(", ")}; run under such a name, it is that tool.`,
    },
    args: {
      dir: { type: "positional", description: "a directory, best one early in PATH such as /usr/local/bin" },
      force: { type: "boolean", alias: "f", description: "replace files that are not links to this program" },
      ...explainOption,
    },
  },
  usage: "[options] <dir>",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const [dir, more] = operands;
    if (dir === undefined) throw new UsageError("no directory given", `try '${name} --help'`);
    if (more !== undefined) throw new UsageError(`one directory, and no '${more}' behind it`);
    if (host.kind(dir) !== "directory") throw new UsageError(`'${dir}' is not a directory`);
    const target = ownPath();
    const places = mirroredTools.map((tool) => placeOf(`${dir.replace(/\/+$/, "")}/${tool}`, target));
    const status = await carryOutHere(planLinks(name, target, places, options.force), options);
    if (options.explain === undefined) print(places.map((place) => said(place, target)).join(""));
    return status;
  },
});

/** The links that are not there yet. Throws {@link HostError} for a foreign file, unless it may be replaced. */
export const planLinks = (name: string, target: string, places: readonly Place[], force: boolean): Plan => {
  const foreign = places.find(({ holds }) => holds === "foreign");
  if (foreign && !force) {
    throw new HostError(`${foreign.path} is there and no link to ${target}`, "--force replaces it");
  }
  const steps = places.flatMap(({ path, holds }): Step[] => {
    if (holds === "ours") return [];
    if (holds === "nothing") return [symlink(target, path, { undo: unlink(path) })];
    // rename(2) replaces a file in one go: at no moment is the name without a program.
    const beside = `${path}.nsk`;
    return [
      symlink(target, beside, { undo: unlink(beside) }),
      call(
        "renameat2",
        [int(AT_FDCWD, "AT_FDCWD"), string(beside), int(AT_FDCWD, "AT_FDCWD"), string(path), int(0)],
        `replace ${path}`,
      ),
    ];
  });
  return { name, failure: 1, steps };
};

const said = ({ path, holds }: Place, target: string): string =>
  `${path} -> ${target}${{ nothing: "", ours: " (was there)", foreign: " (replaced)" }[holds]}\n`;

/** The file that this program was started from. @see proc_pid_exe(5) */
const ownPath = (): string => {
  // From the sources, /proc/self/exe is the runtime.
  if (!Bun.main.startsWith("/$bunfs/")) throw new HostError("only the built program can be linked to");
  const link = readLink("/proc/self/exe");
  if (typeof link === "number") throw new StepError("read /proc/self/exe", -link);
  const path = decode(link);
  if (path.endsWith(" (deleted)")) throw new HostError("the file of this program has been deleted");
  return path;
};

const placeOf = (path: string, target: string): Place => {
  const link = readLink(path);
  if (typeof link !== "number") return { path, holds: decode(link) === target ? "ours" : "foreign" };
  if (link === -errno("ENOENT")) return { path, holds: "nothing" };
  if (link === -errno("EINVAL")) return { path, holds: "foreign" }; // no symbolic link
  throw new StepError(`look at ${path}`, -link);
};
