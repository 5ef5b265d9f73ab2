// Images of a plain user's with the owners that they tell of: nsk goes on, or runs itself again, as root of a user
// namespace with her ranges of ids. Without ranges all files are her own.

import { HostError } from "../abi/errors.ts";
import { execute } from "../backends/execute.ts";
import { spawn } from "../backends/spawn.ts";
import type { Host } from "../host/host.ts";
import { storePath } from "../host/store-path.ts";
import { hasMapPrograms } from "../namespaces/helper.ts";
import { rootAndRanges } from "../namespaces/id-maps.ts";
import { userNamespacesForbidden } from "../namespaces/refusals.ts";
import { planUnshare } from "../namespaces/unshare.ts";
import type { Plan } from "../plan/plan.ts";
import { callerArguments, callerEnvironment } from "../sys/caller.ts";

/** The plan that runs nsk with these words there; undefined for root, and where there are no ranges to be had. */
const planWithOwners = (name: string, argv: readonly string[], host: Host): Plan | undefined => {
  if (host.euid === 0) return undefined;
  const [mapUsers, mapGroups] = [rootAndRanges("user", host), rootAndRanges("group", host)];
  const program = host.link("/proc/self/exe");
  if (mapUsers.length === 1 || mapGroups.length === 1 || program === undefined) return undefined;
  if (!hasMapPrograms(host) || userNamespacesForbidden(host) !== undefined) return undefined;
  // The store is still hers, although she is root there.
  const env = callerEnvironment()
    .split("\0")
    .filter((word) => word && !word.startsWith("NSK_STORE="));
  return planUnshare(
    name,
    {
      kinds: ["user"],
      fork: false,
      mapUsers,
      mapGroups,
      propagation: "unchanged",
      program: {
        program: "nsk",
        argv,
        candidates: [program],
        env: [...env, `NSK_STORE=${storePath(host)}`],
      },
    },
    host,
  );
};

/** Goes on there, where that is of use; does not return then. For a command that has done nothing yet. */
export const becomeWithOwners = (name: string, host: Host): void => {
  const plan = planWithOwners(name, callerArguments(), host);
  if (plan) execute(plan, host.arch);
};

/**
 * Runs `nsk WORDS` there, where that is of use: what it prints. Undefined where it is not. Throws {@link HostError} when
 * it fails, which it has told why.
 */
export const runWithOwners = async (
  name: string,
  words: readonly string[],
  host: Host,
): Promise<string | undefined> => {
  const all = callerArguments();
  const plan = planWithOwners(
    name,
    [...all.slice(0, all.length - (process.argv.length - 2)), ...words],
    host,
  );
  if (!plan) return undefined;
  const child = spawn(plan, { stdin: "ignore", stdout: "pipe" });
  const [text, exit] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (exit.status !== 0) throw new HostError(`nsk ${words.join(" ")} has failed`);
  return text;
};
