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
export const serverOf = (domain: string): string => (domain === "docker.io" ? DOCKER_KEYS[0]! : domain);

/** Under these names docker keeps its own registry's. */
const DOCKER_KEYS = ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

/** `https://host/v1/` is written for `host` by old versions. */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");

/** What `~/.docker/config.json` has for a registry. Throws {@link HostError} for a file that makes no sense. */
export const credentialsFor = (text: string | undefined, domain: string): Known => {
  if (text === undefined) return {};
  let config: Record<string, any>;
  try {
    config = JSON.parse(text);
  } catch {
    throw new HostError("docker's config.json is not JSON");
  }
  const names = domain === "docker.io" ? DOCKER_KEYS : [domain];
  const matches = (key: string): boolean => names.includes(key) || names.includes(hostOf(key));
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
