// Where a registry may send its client on: not to another scheme, and not further into the network that the client
// stands in than the registry itself is. Pure.

/** How far away an address is. `local` is the link itself: clouds have their machines' secrets there (169.254.169.254). */
export type Reach = "public" | "private" | "loopback" | "local";

const V4: readonly (readonly [Reach, string, number])[] = [
  ["loopback", "127.0.0.0", 8],
  ["loopback", "0.0.0.0", 8],
  ["private", "10.0.0.0", 8],
  ["private", "100.64.0.0", 10],
  ["private", "172.16.0.0", 12],
  ["private", "192.168.0.0", 16],
  ["private", "198.18.0.0", 15],
  ["local", "169.254.0.0", 16],
  ["local", "224.0.0.0", 3],
];

const v4 = (text: string): number | undefined => {
  const parts = text.split(".").map(Number);
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text) || parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
};

/** The eight groups of an IPv6 address, which may end in an IPv4 one. */
const v6 = (text: string): number[] | undefined => {
  const dotted = /^(.*:)([\d.]+)$/.exec(text);
  const tail = dotted?.[2]?.includes(".") ? v4(dotted[2]) : undefined;
  const written =
    tail === undefined ? text : `${dotted![1]}${(tail >>> 16).toString(16)}:${(tail & 0xffff).toString(16)}`;
  const [head = "", rest, ...more] = written.split("::");
  const groups = (part: string): number[] =>
    part === "" ? [] : part.split(":").map((it) => Number.parseInt(it, 16));
  const [before, behind] = [groups(head), groups(rest ?? "")];
  const missing = 8 - before.length - behind.length;
  if (more.length || missing < 0 || (rest === undefined && missing)) return undefined;
  return [...before, ...Array<number>(missing).fill(0), ...behind];
};

/** The reach of an IP address; undefined for what is none. */
export const reachOf = (address: string): Reach | undefined => {
  const number = v4(address);
  if (number !== undefined) {
    const range = V4.find(([, base, bits]) => Math.floor((number - v4(base)!) / 2 ** (32 - bits)) === 0);
    return range?.[0] ?? "public";
  }
  if (!address.includes(":")) return undefined;
  const groups = v6(address.replace(/%.*$/, ""));
  if (!groups) return undefined;
  const [first = 0] = groups;
  const low = groups[6]! * 65536 + groups[7]!;
  const isV4 =
    groups.slice(0, 5).every((group) => group === 0) && (groups[5] === 0xffff || groups[5] === 0) && low > 1;
  // 64:ff9b::/96 stands for IPv4 addresses too. @see RFC 6052
  const isTranslated =
    first === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
  if (isV4 || isTranslated)
    return reachOf([24, 16, 8, 0].map((shift) => Math.floor(low / 2 ** shift) % 256).join("."));
  if (groups.slice(0, 7).every((group) => group === 0)) return "loopback"; // ::1, and :: which leads there
  if ((first & 0xfe00) === 0xfc00) return "private";
  if ((first & 0xffc0) === 0xfe80 || (first & 0xff00) === 0xff00) return "local";
  return "public";
};

const DISTANCE: Readonly<Record<Reach, number>> = { public: 0, private: 1, loopback: 2, local: 3 };

/** The nearest of several. */
export const nearest = (reaches: readonly Reach[]): Reach =>
  reaches.reduce((one, other) => (DISTANCE[other] > DISTANCE[one] ? other : one), "public");

/** Why `to` must not be followed from a registry at `from`; undefined when it may. */
export const refusal = (from: URL, fromReach: Reach, to: URL, toReach: Reach): string | undefined => {
  if (to.protocol !== "https:" && to.protocol !== "http:") return `to another scheme (${to.protocol}//)`;
  if (from.protocol === "https:" && to.protocol === "http:") return "from https to http";
  if (to.username || to.password) return "to an address with a user in it";
  if (toReach === "local") return `to ${to.hostname}, an address of the local link`;
  if (DISTANCE[toReach] > DISTANCE[fromReach]) return `to ${to.hostname}, a ${toReach} address`;
  return undefined;
};

/** Whether a URL's host is this machine itself, by its name alone: there no TLS is needed. */
export const isLocalName = (host: string): boolean =>
  host === "localhost" || host.endsWith(".localhost") || reachOf(host.replace(/^\[|\]$/g, "")) === "loopback";
