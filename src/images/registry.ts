// A registry as a source of images: the pull half of the distribution project's interface over HTTP, with its tokens,
// resumed and retried. What a registry says is believed only as far as a digest or a limit holds it.
// @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md

import { HostError, StepError } from "../abi/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { checkDigest, digestOf, hasherLike } from "./digest.ts";
import { MEDIA, MOST_JSON_BYTES, parseManifest } from "./manifest.ts";
import { choosePlatform, type Platform } from "./platform.ts";
import { isLocalName, nearest, type Reach, reachOf, refusal } from "./redirect.ts";
import { fullName, manifestName, type Reference } from "./reference.ts";
import type { Source } from "./source.ts";

export interface RegistryOptions {
  readonly platform: Platform;
  /** False: certificates are not looked at, and plain HTTP will do. */
  readonly tlsVerify: boolean;
  readonly credentials: Credentials | undefined;
}

/** Milliseconds before the first retry, doubled for each further one. */
const PAUSE = 250;
const ATTEMPTS = 5;
/** Milliseconds without a byte after which a connection counts as broken. */
const PATIENCE = 60_000;
/** Milliseconds that `Retry-After` may ask for. */
const MOST_WAITING = 30_000;
const MOST_REDIRECTS = 5;
const MOST_TOKEN_BYTES = 2 ** 20;

const ACCEPT = [MEDIA.index, MEDIA.manifest, MEDIA.dockerList, MEDIA.dockerManifest].join(", ");

/** A failure that another attempt may not have. */
interface Passing {
  readonly passing: string;
  readonly wait?: number | undefined;
}

const isPassing = (it: unknown): it is Passing => typeof it === "object" && it !== null && "passing" in it;

const reason = (error: unknown): string => {
  const { code, message } = error as { code?: string; message?: string };
  const known: Record<string, string> = {
    ConnectionRefused: "connection refused",
    ECONNREFUSED: "connection refused",
    ConnectionClosed: "the connection was closed",
    ECONNRESET: "the connection was reset",
    FailedToOpenSocket: "no connection",
  };
  return known[code ?? ""] ?? (message || String(error)).split("\n")[0]!;
};

/** A name that nobody knows is not known a moment later either, as with docker. */
const isUnknownHost = (error: unknown): boolean =>
  ["ENOTFOUND", "DNS_ENOTFOUND"].includes(String((error as { code?: string }).code));

const isCertificate = (error: unknown): boolean =>
  /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|LEAF_SIGNATURE|TLS_ALTNAME/.test(
    String((error as { code?: string }).code),
  );

/** How far away a URL's host is: by its address, or all those that its name has. */
const reachOfHost = async (host: string): Promise<Reach> => {
  const bare = host.replace(/^\[|\]$/g, "");
  const literal = reachOf(bare);
  if (literal !== undefined) return literal;
  if (isLocalName(bare)) return "loopback";
  try {
    const addresses = await Bun.dns.lookup(bare);
    return nearest(addresses.map(({ address }) => reachOf(address) ?? "public"));
  } catch {
    return "public"; // a proxy may know the name; without one the request itself fails
  }
};

/** All of a body, which must not be longer than `most`. */
const readBody = async (what: string, response: Response, most: number): Promise<Uint8Array> => {
  const announced = Number(response.headers.get("content-length") ?? 0);
  const tooMuch = (): never => {
    throw new HostError(`${what}: more than ${most} bytes`);
  };
  if (announced > most) {
    await response.body?.cancel();
    tooMuch();
  }
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > most) tooMuch();
    parts.push(part);
  }
  return Buffer.concat(parts);
};

/** A registry's repository. Nothing is asked before the first call. */
export const openRegistry = (reference: Reference, options: RegistryOptions): Source => {
  const name = fullName(reference);
  const { path } = reference;
  const host = reference.domain === "docker.io" ? "registry-1.docker.io" : reference.domain;
  const mayBePlain = !options.tlsVerify || isLocalName(new URL(`http://${host}`).hostname);
  let base: Promise<URL> | undefined;
  let baseReach: Reach = "public";
  let authorization: string | undefined;

  /** One request, its answer's head within the time allowed. `touch` is to be called for each piece of the body. */
  const ask = async (url: URL, headers: Record<string, string>, init: RequestInit = {}) => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const touch = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => abort.abort(new Error(`nothing came for ${PATIENCE / 1000} s`)), PATIENCE);
    };
    const done = (): void => clearTimeout(timer);
    touch();
    try {
      const response = await fetch(url, {
        ...init,
        headers: { "User-Agent": "nsk", "Accept-Encoding": "identity", ...headers },
        redirect: "manual",
        // What is measured and digested is what was sent.
        decompress: false,
        signal: abort.signal,
        tls: { rejectUnauthorized: options.tlsVerify },
      });
      return { response, touch, done, cancel: () => (done(), abort.abort()) };
    } catch (error) {
      done();
      if (isCertificate(error))
        throw new HostError(
          `${url.host}: its certificate is not to be trusted: ${reason(error)}`,
          "--tls-verify=false goes on all the same",
        );
      if (isUnknownHost(error)) throw new HostError(`${name}: ${url.host}: no such host`);
      throw { passing: `${url.host}: ${reason(error)}` } satisfies Passing;
    }
  };

  /** Refuses to be sent where the registry has no business to send anybody. */
  const checkWay = async (what: string, to: URL): Promise<void> => {
    const from = await base!;
    if (to.origin === from.origin) return;
    const why = refusal(from, baseReach, to, await reachOfHost(to.hostname));
    if (why !== undefined) throw new HostError(`${name}: the registry's ${what} leads ${why}`);
  };

  /** Which scheme the registry speaks: a plain one only where that is allowed. */
  const findBase = async (): Promise<URL> => {
    baseReach = await reachOfHost(new URL(`http://${host}`).hostname);
    const secure = new URL(`https://${host}`);
    if (!mayBePlain) return secure;
    try {
      const { response, done } = await ask(new URL("/v2/", secure), {});
      done();
      await response.body?.cancel();
      return secure;
    } catch (error) {
      if (error instanceof HostError) throw error;
      return new URL(`http://${host}`);
    }
  };

  /** Answers a challenge: the value of the Authorization header. Throws {@link HostError} for one that nobody can. */
  const authorize = async (challenges: readonly Challenge[]): Promise<string> => {
    const { user, password, identityToken } = options.credentials ?? {};
    const basic =
      user === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (!bearer) {
      if (basic && challenges.some(({ scheme }) => scheme === "basic")) return basic;
      throw denied();
    }
    const { realm, service, scope = `repository:${path}:pull` } = bearer.parameters;
    if (realm === undefined || !URL.canParse(realm))
      throw new HostError(`${host}: a challenge without a realm`);
    const url = new URL(realm);
    await checkWay("token service", url);
    let init: RequestInit = {};
    const words = { ...(service !== undefined && { service }), scope };
    if (identityToken !== undefined) {
      const form = { ...words, grant_type: "refresh_token", client_id: "nsk", refresh_token: identityToken };
      init = { method: "POST", body: new URLSearchParams(form) };
    } else for (const [key, value] of Object.entries(words)) url.searchParams.set(key, value);
    const { response, done } = await ask(url, basic ? { Authorization: basic } : {}, init);
    try {
      if (response.status === 401 || response.status === 403) throw denied();
      if (response.status !== 200) throw statusError(url, response);
      const text = new TextDecoder().decode(
        await readBody(`${url.host}: a token`, response, MOST_TOKEN_BYTES),
      );
      const { token, access_token } = parseJson(url.host, text);
      const given = token ?? access_token;
      if (typeof given !== "string" || !/^[\x21-\x7e]+$/.test(given))
        throw new HostError(`${url.host}: no token came`);
      return `Bearer ${given}`;
    } finally {
      done();
    }
  };

  const denied = (): HostError => {
    const helper = options.credentials?.helper;
    const hint = helper
      ? `docker's config.json leaves its password to docker-credential-${helper}, which nsk does not ask`
      : options.credentials
        ? "what docker's config.json has for this registry does not open it"
        : "it may not exist, or want a login: nsk reads those of ~/.docker/config.json";
    return new HostError(`${name}: access denied`, hint);
  };

  const statusError = (url: URL, response: Response): HostError | Passing => {
    const said = `${url.host}: HTTP status ${response.status}`;
    if (response.status !== 408 && response.status !== 429 && response.status < 500)
      return new HostError(`${name}: ${said}`);
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    return { passing: said, wait: seconds >= 0 ? Math.min(seconds * 1000, MOST_WAITING) : undefined };
  };

  /** A request to the registry itself; the answer may come from where it sends us. */
  const request = async (what: string, way: string, headers: Record<string, string>) => {
    base ??= findBase();
    const home = await base.catch((error) => {
      base = undefined;
      throw error;
    });
    let url = new URL(way, home);
    let triedAgain = false;
    for (let redirects = 0; ;) {
      const own = url.origin === home.origin;
      const answer = await ask(
        url,
        own && authorization ? { ...headers, Authorization: authorization } : headers,
      );
      const { response, done } = answer;
      const { status } = response;
      if (status >= 200 && status < 300) return { ...answer, url };
      done();
      await response.body?.cancel();
      if (status === 401 && own && !triedAgain) {
        triedAgain = true;
        authorization = await authorize(parseChallenges(response.headers.get("www-authenticate") ?? ""));
        continue;
      }
      if (status === 401 || status === 403) throw denied();
      const location = response.headers.get("location");
      if (status > 300 && status < 309 && status !== 304 && location !== null) {
        if (++redirects > MOST_REDIRECTS) throw new HostError(`${name}: ${host} redirects without end`);
        if (!URL.canParse(location, url.href)) throw new HostError(`${name}: ${host} redirects to nowhere`);
        const to = new URL(location, url);
        // Step by step: from https there is no way back, wherever the detour leads.
        if (url.protocol === "https:" && to.protocol === "http:")
          throw new HostError(`${name}: the registry's redirect leads from https to http`);
        await checkWay("redirect", to);
        url = to;
        continue;
      }
      if (status === 404) throw new HostError(`${name}: ${host} has no such ${what}`);
      throw statusError(url, response);
    }
  };

  /** Tries again what may succeed then; `progress` tells how far it has come, and a step forward renews the patience. */
  const persist = async <T>(attempt: () => Promise<T>, progress: () => number = () => 0): Promise<T> => {
    let before = progress();
    for (let failures = 1; ;) {
      try {
        return await attempt();
      } catch (error) {
        if (!isPassing(error)) throw error;
        if (progress() > before) failures = 1;
        before = progress();
        if (failures >= ATTEMPTS) throw new HostError(`${name}: ${error.passing}`, `tried ${ATTEMPTS} times`);
        const wait = error.wait ?? PAUSE * 2 ** (failures - 1) * (0.75 + Math.random() / 2);
        failures++;
        await Bun.sleep(wait);
      }
    }
  };

  const getManifest = (which: string): Promise<{ mediaType: string; bytes: Uint8Array }> =>
    persist(async () => {
      const { response, done, url } = await request("image", `/v2/${path}/manifests/${which}`, {
        Accept: ACCEPT,
      });
      try {
        const bytes = await readBody(`${name}: its manifest`, response, MOST_JSON_BYTES);
        return { mediaType: (response.headers.get("content-type") ?? "").split(";")[0]!.trim(), bytes };
      } catch (error) {
        throw error instanceof HostError
          ? error
          : ({ passing: `${url.host}: ${reason(error)}` } satisfies Passing);
      } finally {
        done();
      }
    });

  const manifest = async () => {
    let which = manifestName(reference);
    // An index of indexes is possible, a chain of them is nonsense.
    for (let depth = 0; depth < 3; depth++) {
      const { mediaType, bytes } = await getManifest(which);
      const isDigest = which.includes(":");
      const hasher = hasherLike(which);
      hasher.update(bytes);
      if (isDigest) checkDigest(`${name}: its manifest`, which, hasher.digest());
      const parsed = parseManifest(`${name}: its manifest`, bytes);
      if (parsed.manifest) {
        const digest = isDigest ? which : digestOf(bytes);
        return { descriptor: { mediaType: mediaType || MEDIA.manifest, digest, size: bytes.length }, bytes };
      }
      which = choosePlatform(name, parsed.index, options.platform).digest;
    }
    throw new HostError(`${name}: indexes within indexes`);
  };

  const blob: Source["blob"] = ({ digest, size }, into, progress) =>
    persist(async () => {
      const from = into.written();
      if (from === size && size > 0) return;
      const headers: Record<string, string> = from ? { Range: `bytes=${from}-` } : {};
      const { response, touch, done, cancel, url } = await request(
        "layer",
        `/v2/${path}/blobs/${digest}`,
        headers,
      );
      try {
        const range = response.headers.get("content-range");
        if (response.status === 206 && !range?.startsWith(`bytes ${from}-`))
          throw new HostError(`${name}: ${url.host} sent another range than was asked for`);
        if (response.status !== 206 && from) into.restart();
        for await (const bytes of response.body ?? []) {
          touch();
          into.write(bytes);
          progress(into.written());
        }
      } catch (error) {
        cancel();
        // A full disk, or a registry that broke its word: no other attempt changes that.
        if (error instanceof HostError || error instanceof StepError) throw error;
        throw { passing: `${url.host}: ${reason(error)}` } satisfies Passing;
      } finally {
        done();
      }
      if (into.written() < size)
        throw { passing: `${url.host}: the connection ended early` } satisfies Passing;
    }, into.written);

  return { name, manifest, blob };
};

const parseJson = (what: string, text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {} // said below
  throw new HostError(`${what}: the answer is not JSON`);
};
