// Who one is at a registry, from docker's configuration file. Pure.

import { HostError } from "../abi/errors.ts";

export interface Credentials {
  readonly user?: string;
  readonly password?: string;
  /** A refresh token of OAuth2, in the place of a password. */
  readonly identityToken?: string;
  /** The helper program that would know, which nsk does not ask. */
  readonly helper?: string;
}

/** Under these names docker keeps its own registry's. */
const DOCKER_KEYS = ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"];

/** `https://host/v1/` is written for `host` by old versions. */
const hostOf = (key: string): string => key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");

/**
 * What `~/.docker/config.json` has for a registry, `undefined` where it knows nothing. Throws {@link HostError} for a
 * file that makes no sense.
 */
export const credentialsFor = (text: string | undefined, domain: string): Credentials | undefined => {
  if (text === undefined) return undefined;
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
  const entry = key === undefined ? undefined : auths[key];
  if (typeof entry?.identitytoken === "string" && entry.identitytoken !== "")
    return { identityToken: entry.identitytoken };
  if (typeof entry?.auth === "string" && entry.auth !== "") {
    const plain = new TextDecoder().decode(fromBase64(entry.auth));
    const colon = plain.indexOf(":");
    if (colon < 0)
      throw new HostError(`docker's config.json: the entry of ${domain} has no user and password`);
    return { user: plain.slice(0, colon), password: plain.slice(colon + 1).replace(/\0+$/, "") };
  }
  const helpers: Record<string, unknown> = config?.credHelpers ?? {};
  const own = Object.keys(helpers).find(matches);
  const helper = own === undefined ? config?.credsStore : helpers[own];
  return typeof helper === "string" && helper !== "" ? { helper } : undefined;
};

const fromBase64 = (text: string): Uint8Array => {
  try {
    return Uint8Array.fromBase64(text.trim());
  } catch {
    throw new HostError("docker's config.json: an auth that is not base64");
  }
};
