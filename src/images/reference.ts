// Names of images: the grammar of the distribution project, and docker's short forms. Pure.

import { UsageError } from "../abi/errors.ts";
import { parseDigest } from "./digest.ts";

/** An image's name in full. A name without tag and digest stands for `latest` ({@link withDefaultTag}). */
export interface Reference {
  /** The registry's host and port: `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** The repository: `library/alpine`. */
  readonly path: string;
  readonly tag?: string;
  readonly digest?: string;
}

const DEFAULT_DOMAIN = "docker.io";

const COMPONENT = String.raw`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*`;
const PATH = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*$`);
const LABEL = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const DOMAIN = new RegExp(String.raw`^(?:${LABEL}(?:\.${LABEL})*|\[[a-fA-F0-9:]+\])(?::\d{1,5})?$`);
const TAG = /^\w[\w.-]{0,127}$/;
/** What the repository may measure, its registry included. */
const LONGEST_NAME = 255;

/**
 * Parses `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`. The first part is a host when it has a dot, a colon or an upper-case
 * letter in it, or is `localhost`; without one it is docker.io's, and a single word lies in `library/`. Throws
 * {@link UsageError}.
 * @see https://github.com/distribution/reference
 */
export const parseReference = (text: string): Reference => {
  const refuse = (why: string): never => {
    throw new UsageError(`invalid reference '${text}': ${why}`);
  };
  if (text === "") refuse("it is empty");
  if (/^[a-f0-9]{64}$/.test(text)) refuse("64 hexadecimal digits are an id, not a name");
  const at = text.indexOf("@");
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !parseDigest(digest)) refuse(`'${digest}' is no digest`);
  const named = at < 0 ? text : text.slice(0, at);
  // A colon behind the last slash begins the tag, one before it a port.
  const colon = named.indexOf(":", named.lastIndexOf("/") + 1);
  const tag = colon < 0 ? undefined : named.slice(colon + 1);
  if (tag !== undefined && !TAG.test(tag)) refuse(`'${tag}' is no tag`);
  const name = colon < 0 ? named : named.slice(0, colon);

  const slash = name.indexOf("/");
  const first = name.slice(0, Math.max(slash, 0));
  const isDomain = /[.:]/.test(first) || first === "localhost" || first !== first.toLowerCase();
  const domain = isDomain ? first : DEFAULT_DOMAIN;
  const rest = isDomain ? name.slice(slash + 1) : name;
  if (!DOMAIN.test(domain)) refuse(`'${domain}' is no host`);
  if (rest !== rest.toLowerCase()) refuse("a repository's name is lower case");
  if (!PATH.test(rest)) refuse(`'${rest}' is no repository's name`);
  const isDocker = domain === DEFAULT_DOMAIN || domain === "index.docker.io";
  const path = isDocker && !rest.includes("/") ? `library/${rest}` : rest;
  if (domain.length + path.length + 1 > LONGEST_NAME) refuse(`longer than ${LONGEST_NAME} letters`);
  return {
    domain: isDocker ? DEFAULT_DOMAIN : domain,
    path,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  };
};

/** {@link parseReference}, undefined for what is none. */
export const referenceOr = (text: string): Reference | undefined => {
  try {
    return parseReference(text);
  } catch {
    return undefined;
  }
};

export const withDefaultTag = (it: Reference): Reference =>
  it.tag === undefined && it.digest === undefined ? { ...it, tag: "latest" } : it;

/** `docker.io/library/alpine`: registry and repository. */
export const repositoryOf = ({ domain, path }: Reference): string => `${domain}/${path}`;

/** `docker.io/library/alpine:latest`, what the store knows an image by. With a digest the tag is only a comment. */
export const fullName = (it: Reference): string => {
  if (it.digest !== undefined) return `${repositoryOf(it)}@${it.digest}`;
  return `${repositoryOf(it)}:${it.tag ?? "latest"}`;
};

/** `alpine`, `localhost:5000/x`: the repository as docker shows it. */
export const familiarRepository = ({ domain, path }: Reference): string => {
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  return path.startsWith("library/") ? path.slice("library/".length) : path;
};

/** `alpine:latest`, as docker shows it. */
export const familiarName = (it: Reference): string =>
  familiarRepository(it) + fullName(it).slice(repositoryOf(it).length);

/** What the registry's interface calls an image by: its digest, or its tag. */
export const manifestName = (it: Reference): string => it.digest ?? it.tag ?? "latest";
