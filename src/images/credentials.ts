// Who one is at a registry, from docker's configuration file. Pure.

import { HostError } from "../abi/errors.ts";

export interface Credentials {
  readonly user?: string;
  readonly password?: string;
  /** A refresh token of OAuth2, in the place of a password. */
  readonly identityToken?: string;
}

/** What the file says of a registry. */
export interface Known {
  /** In the file itself. */
  readonly stored?: Credentials;
  /** `docker-credential-NAME` knows more, and is asked first, as docker does. */
  readonly helper?: string;
}

/** What a helper is asked for. */
export const serverOf = (domain: string): string => keysOf(domain)[0]!;

/** Under these names docker keeps its own registry's. */
const DOCKER_KEYS = ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

/** `https://host/v1/` is written for `host` by old versions. */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");

const parseConfig = (text: string): Record<string, any> => {
  try {
    const config: unknown = JSON.parse(text);
    if (typeof config === "object" && config !== null && !Array.isArray(config)) return config;
  } catch {} // said below
  throw new HostError("docker's config.json is not JSON");
};

const keysOf = (domain: string): string[] => (domain === "docker.io" ? DOCKER_KEYS : [domain]);

const isKeyOf = (names: readonly string[], key: string): boolean =>
  names.includes(key) || names.includes(hostOf(key));

/**
 * The file's text with a login, or with the note that a helper keeps it, as docker writes them; `undefined` takes what
 * it has of the registry away. Whatever else is in it stays. Throws {@link HostError} for a file that makes no sense.
 */
export const withLogin = (
  text: string | undefined,
  domain: string,
  login: { readonly user: string; readonly password: string } | "by a helper" | undefined,
): string => {
  const config = text === undefined ? {} : parseConfig(text);
  const names = keysOf(domain);
  const others = Object.entries(config.auths ?? {}).filter(([key]) => !isKeyOf(names, key));
  const auths = Object.fromEntries(others);
  if (login === "by a helper") auths[names[0]!] = {};
  else if (login)
    auths[names[0]!] = { auth: Buffer.from(`${login.user}:${login.password}`).toString("base64") };
  return `${JSON.stringify({ ...config, auths }, null, "\t")}\n`;
};

/** What `~/.docker/config.json` has for a registry. Throws {@link HostError} for a file that makes no sense. */
export const credentialsFor = (text: string | undefined, domain: string): Known => {
  if (text === undefined) return {};
  const config = parseConfig(text);
  const names = keysOf(domain);
  const matches = (key: string): boolean => isKeyOf(names, key);
  const auths: Record<string, any> = config?.auths ?? {};
  // The exact name wins over one that only names the same host.
  const key = names.find((name) => Object.hasOwn(auths, name)) ?? Object.keys(auths).find(matches);
  const stored = key === undefined ? undefined : storedIn(auths[key], domain);
  const helpers: Record<string, unknown> = config?.credHelpers ?? {};
  const own = Object.keys(helpers).find(matches);
  const helper = own === undefined ? config?.credsStore : helpers[own];
  if (typeof helper !== "string" || helper === "") return { ...(stored && { stored }) };
  // It becomes part of a program's name, and must not lead to another directory.
  if (!/^[\w.-]+$/.test(helper)) throw new HostError(`docker's config.json: '${helper}' is no helper's name`);
  return { helper, ...(stored && { stored }) };
};

const storedIn = (entry: any, domain: string): Credentials | undefined => {
  if (typeof entry?.identitytoken === "string" && entry.identitytoken !== "")
    return { identityToken: entry.identitytoken };
  if (typeof entry?.auth !== "string" || entry.auth === "") return undefined;
  const plain = new TextDecoder().decode(fromBase64(entry.auth));
  const colon = plain.indexOf(":");
  if (colon < 0) throw new HostError(`docker's config.json: the entry of ${domain} has no user and password`);
  return { user: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, "") };
};

/** A helper's answer to `get`. Throws {@link HostError} for what is none. */
export const parseHelperAnswer = (helper: string, text: string): Credentials => {
  let answer: any;
  try {
    answer = JSON.parse(text);
  } catch {} // said below
  const { Username: user, Secret: secret } = answer ?? {};
  if (typeof user !== "string" || typeof secret !== "string")
    throw new HostError(`docker-credential-${helper}: its answer has no user and secret`);
  return user === "<token>" ? { identityToken: secret } : { user, password: secret };
};

const fromBase64 = (text: string): Uint8Array => {
  try {
    return Uint8Array.fromBase64(text.trim());
  } catch {
    throw new HostError("docker's config.json: an auth that is not base64");
  }
};
