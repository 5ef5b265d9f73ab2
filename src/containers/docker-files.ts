// The three files of /etc that a container has of its own: who it is, who others are, and whom it asks for names.

import { UsageError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { OwnFile } from "./config.ts";

/** @see docker-run(1) */
export interface FileFlags {
  readonly addHost: readonly string[];
  readonly dns: readonly string[];
  readonly dnsSearch: readonly string[];
  readonly dnsOption: readonly string[];
}

const HOSTS = `127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
`;

/**
 * /etc/hostname, /etc/hosts and /etc/resolv.conf. With the host's network, what the host says of it holds inside too;
 * `resolver` stands for the host's name servers in a network of its own.
 */
export const ownFiles = (
  flags: FileFlags,
  hostname: string,
  hasHostNetwork: boolean,
  host: Host,
  resolver?: string,
): OwnFile[] => {
  const hosts = hasHostNetwork ? (host.read("/etc/hosts") ?? HOSTS) : `${HOSTS}127.0.0.1\t${hostname}\n`;
  return [
    { path: "/etc/hostname", text: `${hostname}\n` },
    { path: "/etc/hosts", text: `${hosts}${flags.addHost.map(parseAddHost).join("")}` },
    {
      path: "/etc/resolv.conf",
      text: resolvers(flags, host.read("/etc/resolv.conf") ?? "", hasHostNetwork, resolver),
    },
  ];
};

/** `NAME:ADDRESS` or `NAME=ADDRESS`; an address of IPv6 may be in brackets. */
const parseAddHost = (text: string): string => {
  const [, name, address = ""] = /^([^:=\s]+)[:=](\S+)$/.exec(text) ?? [];
  const bare = address.replace(/^\[(.*)\]$/, "$1");
  if (name === undefined || !isAddress(bare))
    throw new UsageError(`invalid argument '${text}' for --add-host: NAME:ADDRESS`);
  return `${bare}\t${name}\n`;
};

const isAddress = (text: string): boolean =>
  /^(?:\d{1,3}\.){3}\d{1,3}$/.test(text)
    ? text.split(".").every((byte) => Number(byte) < 256)
    : /^[0-9a-f]*:[0-9a-f:.]*(?:%\w+)?$/i.test(text);

/** Nobody answers at a loopback address of a new network namespace: those servers are left out there. */
const isLoopback = (address: string): boolean =>
  address.startsWith("127.") || /^(?:::1|::ffff:127\.)/i.test(address);

/** @see resolv.conf(5) */
const resolvers = (
  { dns, dnsSearch, dnsOption }: FileFlags,
  text: string,
  hasHostNetwork: boolean,
  resolver: string | undefined,
): string => {
  const bad = dns.find((address) => !isAddress(address));
  if (bad !== undefined) throw new UsageError(`invalid argument '${bad}' for --dns: an address`);
  const out: string[] = [];
  for (const line of text.split("\n")) {
    const [keyword = "", value = ""] = line.trim().split(/\s+/);
    const isReplaced = dns.length > 0 || resolver !== undefined;
    if (keyword === "nameserver" && (isReplaced || (!hasHostNetwork && isLoopback(value)))) continue;
    if ((keyword === "search" || keyword === "domain") && dnsSearch.length) continue;
    if (keyword === "options" && dnsOption.length) continue;
    if (keyword && !/^[#;]/.test(keyword)) out.push(line.trim());
  }
  if (resolver !== undefined && dns.length === 0) out.push(`nameserver ${resolver}`);
  for (const address of dns) out.push(`nameserver ${address}`);
  // docker: a dot alone is no search at all
  if (dnsSearch.length && !dnsSearch.includes(".")) out.push(`search ${dnsSearch.join(" ")}`);
  if (dnsOption.length) out.push(`options ${dnsOption.join(" ")}`);
  return out.map((line) => `${line}\n`).join("");
};
