// Getting an image out of a registry, for every command that may have to.

import { HostError } from "../abi/errors.ts";
import type { Host } from "../host/host.ts";
import type { ClientOptions } from "../images/client.ts";
import { type Credentials, credentialsFor, serverOf } from "../images/credentials.ts";
import { importImage, type Imported, powersOf, type Report } from "../images/import.ts";
import { hostPlatform, parsePlatform, type Platform } from "../images/platform.ts";
import { fullName, type Reference, withDefaultTag } from "../images/reference.ts";
import { openRegistry } from "../images/registry.ts";
import { openStore, type Store } from "../images/store.ts";
import { writeAll } from "../sys/linux.ts";

export interface FetchOptions {
  readonly platform?: string | undefined;
  readonly tlsVerify?: string | true | undefined;
  /** How far it has come; nothing is told unless given. */
  readonly progress?: Progress | undefined;
}

export interface Progress {
  readonly report: Report;
  /** The last state stays shown. */
  finish(): void;
}

export const platformOf = (text: string | undefined, host: Host): Platform =>
  text === undefined ? hostPlatform(host.arch) : parsePlatform(text);

/** The directory of docker's config.json. @see docker-login(1) */
export const dockerDirectory = (host: Host): string | undefined =>
  host.env("DOCKER_CONFIG") || (host.env("HOME") && `${host.env("HOME")}/.docker`) || undefined;

/** The text of docker's config.json. */
export const dockerConfig = (host: Host): string | undefined => {
  const directory = dockerDirectory(host);
  return directory === undefined ? undefined : host.read(`${directory}/config.json`);
};

export const parseTlsVerify = (value: string | true | undefined = true): boolean => {
  if (value !== true && value !== "true" && value !== "false")
    throw new HostError(`--tls-verify is true or false, not '${value}'`);
  return value !== "false";
};

/** How a registry is spoken to, and who one is there. */
export const clientOptions = (
  tlsVerify: string | true | undefined,
  { domain }: Reference,
  host: Host,
): ClientOptions => {
  const { helper, stored } = credentialsFor(dockerConfig(host), domain);
  const ask = async (): Promise<Credentials | undefined> => {
    if (helper === undefined) return stored;
    const { askHelper } = await import("./credential-helper.ts");
    return (await askHelper(helper, serverOf(domain), host)) ?? stored;
  };
  return { tlsVerify: parseTlsVerify(tlsVerify), credentials: ask };
};

/** Pulls an image into the store. */
export const fetchImage = async (
  reference: Reference,
  options: FetchOptions,
  host: Host,
  store: Store = openStore(host),
): Promise<Imported> => {
  const wanted = withDefaultTag(reference);
  const source = openRegistry(wanted, {
    platform: platformOf(options.platform, host),
    ...clientOptions(options.tlsVerify, wanted, host),
  });
  const { progress } = options;
  try {
    return await importImage(store, source, fullName(wanted), powersOf(host), progress?.report);
  } finally {
    progress?.finish();
  }
};

/** What a plain user's image lacks. */
export const tellLeftOut = (name: string, { leftOut, disowned }: Imported): void => {
  if (leftOut) writeAll(2, `${name}: ${leftOut} device nodes left out: only root can make them\n`);
  if (disowned)
    writeAll(
      2,
      `${name}: ${disowned} files of other users are root's, as there are no ids for these: see nsk doctor, subid\n`,
    );
};
