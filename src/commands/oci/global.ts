// The options before the name of a command of `nsk oci`, and the log that engines read.

import { HostError, StepError, UsageError } from "../../abi/errors.ts";
import { O } from "../../abi/flags.ts";
import { checkId, ROOT } from "../../containers/oci/state.ts";
import type { Host } from "../../host/host.ts";
import { close, open, writeAll } from "../../sys/linux.ts";
import type { OptionTable, Request, Values } from "../command.ts";

/** Of what lists something. */
export const formatOption = {
  type: "enum",
  options: ["table", "json"] as string[],
  alias: "f",
  valueHint: "table|json",
} as const;

export const globalOptions = {
  root: { type: "string", valueHint: "dir", description: `where states of containers are kept (${ROOT})` },
  log: { type: "string", valueHint: "file", description: "write errors to this file too" },
  logFormat: {
    type: "enum",
    options: ["text", "json"],
    valueHint: "text|json",
    description: "the format of the log (text)",
  },
  debug: { type: "boolean", description: "accepted for runc's sake: --explain of nsk run tells more" },
  systemdCgroup: { type: "boolean", description: "refused: groups are made in cgroupfs" },
  rootless: {
    type: "string",
    valueHint: "value",
    description: "accepted for runc's sake: nsk sees for itself",
  },
  criu: {
    type: "string",
    valueHint: "path",
    description: "accepted for runc's sake: there are no checkpoints",
  },
} as const satisfies OptionTable;

export type GlobalOptions = Values<typeof globalOptions>;

/** What every command of `nsk oci` does besides its own: look at the options before it, and write failures to the log. */
export const logged =
  <T>(run: (request: Request<T> & { readonly root: string }) => Promise<number> | number) =>
  async (request: Request<T>): Promise<number> => {
    const global = (request.above ?? {}) as Partial<GlobalOptions>;
    try {
      if (global.systemdCgroup)
        throw new UsageError(
          "--systemd-cgroup: nsk makes control groups in cgroupfs",
          "podman --cgroup-manager=cgroupfs; native.cgroupdriver=cgroupfs for docker; SystemdCgroup = false for containerd",
        );
      return await run({ ...request, root: rootOf(global, request.host) });
    } catch (error) {
      if (global.log !== undefined)
        writeLog(global.log, global.logFormat, `${request.name}: ${messageOf(error)}`);
      throw error;
    }
  };

const rootOf = ({ root }: Partial<GlobalOptions>, host: Host): string => {
  const runtime = host.env("XDG_RUNTIME_DIR");
  const own = host.euid !== 0 && runtime ? `${runtime}/nsk/oci` : ROOT;
  const path = root?.startsWith("/") === false ? `${process.cwd()}/${root}` : (root ?? own);
  refuseOthers(path, host);
  return path;
};

/** States name the hooks to be run and the processes to be killed, so whoever can write there would be this user. */
const refuseOthers = (path: string, host: Host): void => {
  // By the directory itself, also where the path is a link to it.
  const entry = host.entry(`${path}/.`);
  if (!entry || ([0, host.euid].includes(entry.uid) && (entry.mode & 0o022) === 0)) return;
  throw new HostError(
    `${path} is not this user's alone, and states of containers would be anybody's there`,
    "--root names another directory, which is made where there is none",
  );
};

const messageOf = (error: unknown): string => {
  if (error instanceof HostError || error instanceof UsageError || error instanceof StepError)
    return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
  return String(error);
};

/** One line as logrus writes it, which podman and containerd read. */
const writeLog = (path: string, format: string | undefined, message: string): void => {
  const time = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const line =
    format === "json"
      ? JSON.stringify({ level: "error", msg: message, time })
      : `time=${JSON.stringify(time)} level=error msg=${JSON.stringify(message)}`;
  const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_APPEND | O.O_CLOEXEC, 0o644);
  if (fd < 0) return; // the failure itself is told on standard error
  writeAll(fd, `${line}\n`);
  close(fd);
};

/** The id, the first operand; no more than `most` operands. */
export const idFrom = (operands: readonly string[], most = 1): string => {
  const [id] = operands;
  if (id === undefined || id === "") throw new UsageError("container id cannot be empty");
  if (operands.length > most) throw new UsageError(`'${operands[most]}' is one word too many`);
  return checkId(id);
};
