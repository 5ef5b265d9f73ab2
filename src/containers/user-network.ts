// A network that a program of a plain user's provides: it carries what is sent in the container's network namespace by
// sockets of its own outside. It is started before the container's program and ends with the supervisor.
// @see pasta(1), slirp4netns(1)

import { errno } from "../abi/errno.ts";
import { HostError, UsageError } from "../abi/errors.ts";
import { O, SIG } from "../abi/flags.ts";
import type { Host } from "../host/host.ts";
import { findProgram } from "../namespaces/helper.ts";
import { type Slot, slot, type Text } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Step } from "../plan/plan.ts";
import * as steps from "../plan/steps.ts";
import { mask, supervisor } from "./container.ts";

export interface UserNetwork {
  /** The address at which the host's name servers answer inside. */
  readonly resolver: string;
  /** The supervisor's steps between the child's being there and its going on. */
  connect(child: Slot): Step[];
}

/** podman's: link-local, so that no host has it. */
const FORWARDER = "169.254.1.1";

/**
 * `pasta[:OPTION,...]` or `slirp4netns[:NAME=VALUE,...]`. `fifo`: a name for a file of its own. In the
 * background nobody of it may hold what the caller waits for. Throws {@link HostError} where the program is not there.
 */
export const planUserNetwork = (
  text: string,
  { fifo, background }: { readonly fifo: string; readonly background: boolean },
  host: Host,
): UserNetwork => {
  const colon = text.indexOf(":");
  const program = colon < 0 ? text : text.slice(0, colon);
  const options = colon < 0 ? [] : text.slice(colon + 1).split(",");
  const known = program === "pasta" ? pasta(options) : slirp4netns(options);
  const path = findProgram(host, program);
  if (host.kind(path) !== "file")
    throw new HostError(
      `--network ${program}: ${program} is not there`,
      `apt install ${program === "pasta" ? "passt" : program}`,
    );
  return {
    resolver: known.resolver,
    connect: (child) =>
      start(program, path, { fifo, background }, (ready) => known.words(child, ready, fifo)),
  };
};

interface Program {
  readonly resolver: string;
  /** What it is called with. It writes to `fifo` once it works, or to `ready`, which is a descriptor of that. */
  words(child: Slot, ready: Slot, fifo: string): (string | Text)[];
}

/** As podman calls it: no ports either way, and no way to the host's loopback. Options are pasta's own. */
const pasta = (options: readonly string[]): Program => {
  const at = options.findLastIndex((option) => option === "--dns-forward");
  const resolver = (at < 0 ? undefined : options[at + 1]) ?? FORWARDER;
  const has = (...names: string[]): boolean => names.some((name) => options.includes(name));
  return {
    resolver,
    words: (child, _, fifo) => [
      "pasta",
      "--config-net",
      ...(has("-t", "--tcp-ports") ? [] : ["-t", "none"]),
      ...(has("-u", "--udp-ports") ? [] : ["-u", "none"]),
      ...(has("-T", "--tcp-ns") ? [] : ["-T", "none"]),
      ...(has("-U", "--udp-ns") ? [] : ["-U", "none"]),
      ...(has("--map-gw") ? [] : ["--no-map-gw"]),
      ...(at < 0 ? ["--dns-forward", FORWARDER] : []),
      ...options.filter((option) => option !== "--map-gw" && option !== ""),
      "--quiet",
      "--foreground",
      // Written when everything works. Descriptors that it does not know it closes before.
      "--pid",
      fifo,
      [child],
    ],
  };
};

/** podman's names for its options. */
const slirp4netns = (options: readonly string[]): Program => {
  const words = ["--mtu=65520", "--disable-host-loopback"];
  const without = (word: string): void => {
    const at = words.findIndex((it) => it.startsWith(word));
    if (at >= 0) words.splice(at, 1);
  };
  let network = "10.0.2.0";
  for (const option of options.filter(Boolean)) {
    const [, name = "", value = ""] = /^([^=]*)=(.*)$/s.exec(option) ?? [];
    if (name === "mtu" && /^\d{1,5}$/.test(value)) {
      without("--mtu");
      words.push(`--mtu=${value}`);
    } else if (name === "cidr" && /^(\d{1,3}\.){3}\d{1,3}\/\d{1,2}$/.test(value)) {
      network = value.slice(0, value.indexOf("/"));
      words.push(`--cidr=${value}`);
    } else if (name === "allow_host_loopback" && isTruth(value)) {
      if (value === "true") without("--disable-host-loopback");
    } else if (name === "enable_ipv6" && isTruth(value)) {
      if (value === "true") words.push("--enable-ipv6");
    } else if ((name === "outbound_addr" || name === "outbound_addr6") && value !== "")
      words.push(`--${name.replace("_", "-")}=${value}`);
    else
      throw new UsageError(
        `invalid --network slirp4netns option '${option}'`,
        "allow_host_loopback=, cidr=, enable_ipv6=, mtu=, outbound_addr= and outbound_addr6= are known",
      );
  }
  // The third address of its network answers for the name servers. @see slirp4netns(1), --cidr
  const resolver = network.replace(/\d+$/, (last) => String(Number(last) + 3));
  return {
    resolver,
    words: (child, ready) => [
      "slirp4netns",
      "--configure",
      ...words,
      "--enable-sandbox",
      ["--ready-fd=", ready],
      [child],
      "tap0",
    ],
  };
};

const isTruth = (text: string): boolean => text === "true" || text === "false";

/**
 * A process that waits for the program keeps the FIFO open as long as that runs, so that its end is seen before it was
 * ready; each of the two dies with the one above it.
 */
const start = (
  program: string,
  path: string,
  { fifo, background }: { readonly fifo: string; readonly background: boolean },
  words: (ready: Slot) => (string | Text)[],
): Step[] => {
  const [ready, both, keeper] = [slot("ready"), slot("both"), slot("keeper")];
  const [network, writer, above, errors] = [slot("network"), slot("writer"), slot("above"), slot("errors")];
  const title = `wait for ${program}`;
  return [
    enter.makeFifo(fifo, {
      title,
      reason: `by which ${program} tells that the network works`,
      undo: steps.unlink(fifo, { tolerate: [errno("ENOENT")] }),
    }),
    steps.open(fifo, O.O_RDWR | O.O_CLOEXEC, both, { title }),
    steps.open(fifo, O.O_RDONLY | O.O_CLOEXEC, ready, {
      title,
      ...(background && {
        undo: enter.say(`nsk run: ${program} gives no network; without -d it says why`),
      }),
    }),
    {
      kind: "fork",
      flags: 0,
      pid: keeper,
      reason: `who waits for ${program}, and ends it with the supervisor`,
      child: [
        ...steps.dieWithParent(SIG.SIGKILL, supervisor),
        steps.setsid({ reason: "signals of the caller's terminal are not for the network" }),
        ...steps.openSelf(above),
        enter.looseQueue(errors),
        ...(background ? enter.quiet(errors) : []),
        enter.keepOpen(both, writer),
        {
          kind: "fork",
          flags: 0,
          pid: network,
          child: [
            ...steps.dieWithParent(SIG.SIGKILL, above),
            steps.restoreSignals(mask),
            ...enter.quiet(errors),
            enter.become(path, words(writer), `execute ${program}`, { status: 127 }),
            { kind: "exit", reason: "which does not come back" },
          ],
        },
        steps.close(writer),
        {
          kind: "wait",
          pid: network,
          signaled: "status",
          cleanup: enter.tellErrors(
            errors,
            `nsk run: ${program} has ended, and the container's network with it`,
          ),
        },
      ],
    },
    steps.close(both, { title }),
    enter.read(ready, "until the network works; when it does not, end here"),
    steps.close(ready, { title }),
    steps.unlink(fifo),
  ];
};
