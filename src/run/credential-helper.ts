// Passwords that docker's config.json leaves to a program: `docker-credential-NAME get`, with the registry on its standard
// input and the answer as JSON on its standard output.
// @see https://github.com/docker/docker-credential-helpers

import { HostError } from "../abi/errors.ts";
import { spawn } from "../backends/spawn.ts";
import type { Host } from "../host/host.ts";
import { type Credentials, parseHelperAnswer } from "../images/credentials.ts";
import { programCandidates } from "../plan/program.ts";

/** What helpers say when they know nothing of a registry. */
const UNKNOWN = "credentials not found in native keychain";
const MOST_BYTES = 2 ** 20;
const LONGEST_LINE = 300;

/** Asks a helper; undefined where it has nothing. */
export const askHelper = async (
  helper: string,
  server: string,
  host: Host,
): Promise<Credentials | undefined> => {
  const text = await runHelper(helper, "get", server, host);
  return text === undefined ? undefined : parseHelperAnswer(helper, text);
};

/** What a helper prints; undefined where it does not know the registry. */
export const runHelper = async (
  helper: string,
  action: "get" | "store" | "erase",
  input: string,
  host: Host,
): Promise<string | undefined> => {
  const program = `docker-credential-${helper}`;
  const candidates = programCandidates(program, host.env("PATH"));
  if (!candidates.some((path) => host.kind(path) === "file"))
    throw new HostError(
      `there is no ${program} in PATH`,
      "docker's config.json leaves this registry's login to it",
    );
  // It may take its time: somebody may have to type a passphrase.
  const child = spawn(
    { name: "nsk", failure: 1, steps: [{ kind: "exec", program, argv: [program, action], candidates }] },
    { stdin: "pipe", stdout: "pipe" },
  );
  try {
    await child.stdin!.write(input);
    await child.stdin!.end();
  } catch (error) {
    if ((error as { code?: string }).code !== "EPIPE") throw error; // its status tells
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of child.stdout!) {
    size += part.length;
    if (size <= MOST_BYTES) parts.push(part);
  }
  const exit = await child.exited;
  const text = Buffer.concat(parts).toString();
  if (exit.status === 0) return text;
  if (text.includes(UNKNOWN)) return undefined;
  const said = text.trim().split("\n")[0]!.slice(0, LONGEST_LINE);
  throw new HostError(`${program}: ${said || `it ended with ${exit.status ?? `signal ${exit.signal}`}`}`);
};
