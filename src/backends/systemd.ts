// Scopes: groups that systemd makes for processes that run already, and hands over to whoever asked (Delegate=). Root
// asks the system's manager, a plain user her own. @see org.freedesktop.systemd1(5), systemd.scope(5)

import type { BusValue } from "../abi/dbus.ts";
import { HostError, StepError } from "../abi/errors.ts";
import { STATUS } from "../cgroups/status.ts";
import type { Host } from "../host/host.ts";
import { type Bus, connectBus } from "../sys/bus.ts";

export interface Scope {
  /** `NAME.scope`. */
  readonly name: string;
  /** `NAME.slice`, in which it is; the manager's usual one unless given. */
  readonly slice?: string | undefined;
  /** The processes to be in it. It ends with the last of them. */
  readonly pids: readonly number[];
}

/** What to connect to, the best first; a manager's own socket has no daemon in between, and no names. */
const sockets = (host: Host): { path: string; isDaemon: boolean }[] => {
  if (host.euid === 0)
    return [
      { path: "/run/dbus/system_bus_socket", isDaemon: true },
      { path: "/run/systemd/private", isDaemon: false },
    ];
  const directory = host.env("XDG_RUNTIME_DIR") ?? `/run/user/${host.euid}`;
  const session = /^unix:path=([^,;]+)/.exec(host.env("DBUS_SESSION_BUS_ADDRESS") ?? "")?.[1];
  return [
    ...(session === undefined ? [] : [{ path: session, isDaemon: true }]),
    { path: `${directory}/bus`, isDaemon: true },
    { path: `${directory}/systemd/private`, isDaemon: false },
  ];
};

/** A connection to the manager that is this user's. Throws {@link HostError} where none answers. */
const connect = (host: Host): { bus: Bus; isDaemon: boolean } => {
  for (const { path, isDaemon } of sockets(host)) {
    const bus = connectBus(path);
    if (typeof bus === "number") continue;
    if (!isDaemon) return { bus, isDaemon };
    const hello = bus.call({ ...daemon, member: "Hello", body: [] });
    if (typeof hello !== "number" && hello.error === undefined) return { bus, isDaemon };
    bus.close();
  }
  throw new HostError(
    host.euid === 0
      ? "no systemd answers on this machine"
      : "no systemd of this user's answers (neither on /run/user/…/bus nor on systemd/private there)",
    host.euid === 0
      ? "leave -c out: without systemd groups are made by mkdir(2)"
      : "log in as this user (su does not), or: loginctl enable-linger USER",
    STATUS.other,
  );
};

const daemon = {
  destination: "org.freedesktop.DBus",
  path: "/org/freedesktop/DBus",
  interface: "org.freedesktop.DBus",
} as const;

/** Asks for a scope, and returns once the processes are in it: its path in the hierarchy of systemd's. */
export const startScope = async (host: Host, { name, slice, pids }: Scope): Promise<string> => {
  const { bus, isDaemon } = connect(host);
  try {
    const string = (value: string): BusValue => ({ type: "s", value });
    const properties: [string, BusValue][] = [
      ["Description", string("a scope that nsk asked for")],
      ["PIDs", { type: "au", value: pids }],
      ["Delegate", { type: "b", value: true }],
      ["CollectMode", string("inactive-or-failed")],
      ...(slice === undefined ? [] : [["Slice", string(slice)] as [string, BusValue]]),
    ];
    const answer = bus.call({
      ...(isDaemon && { destination: "org.freedesktop.systemd1" }),
      path: "/org/freedesktop/systemd1",
      interface: "org.freedesktop.systemd1.Manager",
      member: "StartTransientUnit",
      body: [
        string(name),
        string("fail"),
        { type: "a(sv)", value: properties },
        { type: "a(sa(sv))", value: [] },
      ],
    });
    if (typeof answer === "number")
      throw new StepError(`ask systemd for ${name}`, -answer, undefined, STATUS.other);
    if (answer.error !== undefined)
      throw new HostError(
        `systemd does not make ${name}: ${answer.text ?? answer.error}`,
        undefined,
        STATUS.other,
      );
  } finally {
    bus.close();
  }
  // The answer comes when the job is queued; it is done when the process is where it should be.
  for (let i = 0; i < TRIES; i++) {
    const path = pathOf(host, pids[0]!, name);
    if (path !== undefined) return path;
    await new Promise((done) => setTimeout(done, EVERY));
  }
  throw new HostError(
    `systemd has not moved ${pids[0]} to ${name}`,
    `journalctl -u ${name} may say why`,
    STATUS.other,
  );
};

/** Milliseconds between two looks, and how many there are: ten seconds. */
const EVERY = 20;
const TRIES = 500;

const pathOf = (host: Host, pid: number, name: string): string | undefined => {
  for (const line of (host.read(`/proc/${pid}/cgroup`) ?? "").split("\n")) {
    const path = line.slice(line.indexOf(":", line.indexOf(":") + 1) + 1);
    if (path.endsWith(`/${name}`)) return path;
  }
  return undefined;
};
