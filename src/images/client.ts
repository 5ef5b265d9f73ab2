// HTTP with a registry: which scheme it speaks, its tokens, where it may send its client, what is tried again, and what
// it says of errors. Whoever gets and puts images asks through here.
// @see https://github.com/opencontainers/distribution-spec/blob/main/spec.md

import { HostError } from "../abi/errors.ts";
import { type Challenge, parseChallenges } from "./challenge.ts";
import type { Credentials } from "./credentials.ts";
import { isLocalName, nearest, type Reach, reachOf, refusal } from "./redirect.ts";
import { fullName, type Reference } from "./reference.ts";

export interface ClientOptions {
  /** False: certificates are not looked at, and plain HTTP will do. */
  readonly tlsVerify: boolean;
  /** Is called when the registry wants to know who one is, once. */
  readonly credentials: () => Promise<Credentials | undefined>;
}

/** What is to be done in the repository; nothing, where only a login is tried. */
export type Actions = "pull" | "pull,push" | "";

/** Milliseconds before the first retry, doubled for each further one. */
const PAUSE = 250;
const ATTEMPTS = 5;
/** Milliseconds without a byte after which a connection counts as broken. */
const PATIENCE = 60_000;
/** Milliseconds that `Retry-After` may ask for. */
const MOST_WAITING = 30_000;
const MOST_REDIRECTS = 5;
const MOST_TOKEN_BYTES = 2 ** 20;
const MOST_ERROR_BYTES = 2 ** 16;
/** Letters of an error that a registry may have printed. */
const LONGEST_REASON = 300;

/** A failure that another attempt may not have. */
export interface Passing {
  readonly passing: string;
  readonly wait?: number | undefined;
}

const isPassing = (it: unknown): it is Passing => typeof it === "object" && it !== null && "passing" in it;

export const reason = (error: unknown): string => {
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
export const readBody = async (what: string, response: Response, most: number): Promise<Uint8Array> => {
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

/** One request. */
export interface Asking {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What is sent, from the beginning for each attempt; `touch` is to be called for each piece. */
  readonly body?: (touch: () => void) => NonNullable<RequestInit["body"]>;
  /** A status that is no failure here. */
  readonly accept?: number;
}

export interface Answer {
  readonly response: Response;
  /** Where it came from in the end. */
  readonly url: URL;
  /** To be called for each piece of the body. */
  touch(): void;
  /** To be called when all of it has come. */
  done(): void;
  cancel(): void;
}

/** One repository of a registry. */
export interface Client {
  /** What errors begin with: the image's full name. */
  readonly name: string;
  readonly host: string;
  readonly path: string;
  /** A request to the registry itself; the answer may come from where it sends us. `what` is what a 404 has none of. */
  request(what: string, way: string | URL, asking?: Asking): Promise<Answer>;
  /** Tries again what may succeed then; `progress` tells how far it has come, and a step forward renews the patience. */
  persist<T>(attempt: () => Promise<T>, progress?: () => number): Promise<T>;
}

/** Nothing is asked before the first request. */
export const openClient = (reference: Reference, actions: Actions, options: ClientOptions): Client => {
  const name = actions === "" ? reference.domain : fullName(reference);
  const { path } = reference;
  const host = reference.domain === "docker.io" ? "registry-1.docker.io" : reference.domain;
  const mayBePlain = !options.tlsVerify || isLocalName(new URL(`http://${host}`).hostname);
  let base: Promise<URL> | undefined;
  let baseReach: Reach = "public";
  let authorization: string | undefined;
  let credentials: Promise<Credentials | undefined> | undefined;

  /** One request, its answer's head within the time allowed. */
  const ask = async (
    url: URL,
    headers: Readonly<Record<string, string>>,
    { body, method = "GET" }: Pick<Asking, "body" | "method"> = {},
  ) => {
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
        method,
        ...(body && { body: body(touch) }),
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
    credentials ??= options.credentials();
    const { user, password, identityToken } = (await credentials) ?? {};
    const basic =
      user === undefined ? undefined : `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (!bearer) {
      if (basic && challenges.some(({ scheme }) => scheme === "basic")) return basic;
      throw await denied();
    }
    const { realm, service, scope = actions && `repository:${path}:${actions}` } = bearer.parameters;
    // A registry asks for what one request needs; a token for all that is to be done is asked for once.
    const scopes = scope
      .split(" ")
      .filter(Boolean)
      .map((it) => (it === `repository:${path}:pull` ? `${it.slice(0, -4)}${actions}` : it));
    if (realm === undefined || !URL.canParse(realm))
      throw new HostError(`${host}: a challenge without a realm`);
    const url = new URL(realm);
    await checkWay("token service", url);
    let init: Pick<Asking, "body" | "method"> = {};
    if (identityToken !== undefined) {
      const form = new URLSearchParams({
        ...(service !== undefined && { service }),
        ...(scopes.length && { scope: scopes.join(" ") }),
        grant_type: "refresh_token",
        client_id: "nsk",
        refresh_token: identityToken,
      });
      init = { method: "POST", body: () => form };
    } else {
      if (service !== undefined) url.searchParams.set("service", service);
      url.searchParams.delete("scope");
      for (const one of scopes) url.searchParams.append("scope", one);
    }
    const { response, done } = await ask(url, basic ? { Authorization: basic } : {}, init);
    try {
      if (response.status === 401 || response.status === 403) throw await denied();
      if (response.status !== 200) throw await statusError(url, response);
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

  const denied = async (said = ""): Promise<HostError> => {
    const has = (await credentials) !== undefined;
    const what = actions === "pull" ? "it may not exist, or want a login" : "to push wants a login";
    const hint =
      actions === ""
        ? "user or password are not right"
        : has
          ? "what docker's config.json has for this registry does not open it"
          : `${what}: nsk login ${reference.domain}`;
    return new HostError(`${name}: access denied${said}`, hint);
  };

  const statusError = async (url: URL, response: Response): Promise<HostError | Passing> => {
    const said = `${url.host}: HTTP status ${response.status}${await reasonIn(response)}`;
    if (response.status !== 408 && response.status !== 429 && response.status < 500)
      return new HostError(`${name}: ${said}`);
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    return { passing: said, wait: seconds >= 0 ? Math.min(seconds * 1000, MOST_WAITING) : undefined };
  };

  const request: Client["request"] = async (what, way, { headers = {}, accept, ...asking } = {}) => {
    base ??= findBase();
    const home = await base.catch((error) => {
      base = undefined;
      throw error;
    });
    let url = new URL(way, home);
    await checkWay("upload", url);
    let triedAgain = false;
    for (let redirects = 0; ;) {
      const own = url.origin === home.origin;
      const answer = await ask(
        url,
        own && authorization ? { ...headers, Authorization: authorization } : headers,
        asking,
      );
      const { response, done } = answer;
      const { status } = response;
      if ((status >= 200 && status < 300) || status === accept) return { ...answer, url };
      if (status >= 400 && status !== 401 && status !== 403 && status !== 404) {
        const failed = await statusError(url, response);
        done();
        throw failed;
      }
      if (status === 403) {
        const said = await reasonIn(response);
        done();
        throw await denied(said);
      }
      done();
      await response.body?.cancel();
      if (status === 401 && own && !triedAgain) {
        triedAgain = true;
        authorization = await authorize(parseChallenges(response.headers.get("www-authenticate") ?? ""));
        continue;
      }
      if (status === 401) throw await denied();
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
      throw new HostError(`${name}: ${url.host}: HTTP status ${status}`);
    }
  };

  const persist: Client["persist"] = async (attempt, progress = () => 0) => {
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

  return { name, host, path, request, persist };
};

/** What a registry says of its own errors, within limits and as one line: `: DENIED: no push here`. */
const reasonIn = async (response: Response): Promise<string> => {
  try {
    const { errors } = parseJson(
      "",
      new TextDecoder().decode(await readBody("", response, MOST_ERROR_BYTES)),
    );
    const [{ code, message } = {}] = Array.isArray(errors) ? errors : [];
    const words = [code, message].filter((word) => typeof word === "string" && word !== "");
    const text = words
      .join(": ")
      .replace(/[\p{Cc}\p{Cf}]+/gu, " ")
      .slice(0, LONGEST_REASON);
    return text && `: ${text}`;
  } catch {
    return ""; // no JSON: the status says it all
  }
};

const parseJson = (what: string, text: string): Record<string, unknown> => {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch {} // said below
  throw new HostError(`${what}: the answer is not JSON`);
};
