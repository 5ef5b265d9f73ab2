// A registry that lies, breaks off or leads astray, and what nsk makes of it.

import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fixtureHost } from "../../src/host/fixture.ts";
import { liveHost } from "../../src/host/live.ts";
import type { Credentials } from "../../src/images/credentials.ts";
import { digestOf } from "../../src/images/digest.ts";
import { importImage, type Imported, powersOf } from "../../src/images/import.ts";
import { parseReference } from "../../src/images/reference.ts";
import { openClient } from "../../src/images/client.ts";
import { listImages } from "../../src/images/images.ts";
import { pushImage } from "../../src/images/push.ts";
import { openRegistry } from "../../src/images/registry.ts";
import { openStore, type Store } from "../../src/images/store.ts";
import { until } from "../containers/containers.ts";
import { gzipped, tarOf } from "./tar.ts";

const scratch = mkdtempSync(join(tmpdir(), "nsk-registry-"));
const servers: Bun.Server<undefined>[] = [];
afterAll(async () => {
  for (const server of servers) await server.stop(true);
  rmSync(scratch, { recursive: true, force: true });
});

const plain = tarOf({ name: "hello", content: "hello ".repeat(50_000) });
const layer = gzipped(plain);
const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const config = encode({
  os: "linux",
  architecture: "amd64",
  config: { Cmd: ["/hello"] },
  rootfs: { type: "layers", diff_ids: [digestOf(plain)] },
});
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const describeBlob = (bytes: Uint8Array) => ({ mediaType: "x", digest: digestOf(bytes), size: bytes.length });
const manifest = encode({ schemaVersion: 2, config: describeBlob(config), layers: [describeBlob(layer)] });

interface Asked {
  readonly path: string;
  readonly authorization: string | null;
  readonly range: string | null;
}

type Answer = (
  request: Request,
  url: URL,
  times: number,
) => Response | undefined | Promise<Response | undefined>;

/** For localhost, signed by nobody; until 2126. */
const certificate = `-----BEGIN CERTIFICATE-----
MIIBmzCCAUGgAwIBAgIUZECiitcY9uJNO8FFvpzTeuU0yeowCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyNTIzMzYzN1oYDzIxMjYxMTAx
MjMzNjM3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQ09/hv7N2njIZtfemFL3rM+dUEPeDkXjujo9G1DvsTX4tDzAa3ORQx
p08DQGMQUbMBqCe1i5x0+SvbuuVV9Ey7o28wbTAdBgNVHQ4EFgQULtn3roj6GBTL
SchncqxN6qLdg+wwHwYDVR0jBBgwFoAULtn3roj6GBTLSchncqxN6qLdg+wwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSAAwRQIgdd2Bpcf22OpexifBNZuACAnh1uTcODsIwK/QsEvh2tgCIQD7
Nz3LTannUQD2+8yday3sk/7T5qS4axAqEivC5mV1Og==
-----END CERTIFICATE-----`;
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQguM6vxXlOfZG0smY6
jOi+C4Gh2y8ZebYffdZZfvofaC2hRANCAAQ09/hv7N2njIZtfemFL3rM+dUEPeDk
Xjujo9G1DvsTX4tDzAa3ORQxp08DQGMQUbMBqCe1i5x0+SvbuuVV9Ey7
-----END PRIVATE KEY-----`;

/** An honest registry of one image, but for what `answer` says; all that was asked of it. */
const registry = (answer: Answer = () => undefined, tls?: { cert: string; key: string }) => {
  const asked: Asked[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    ...(tls && { tls }),
    fetch: async (request) => {
      const url = new URL(request.url);
      const { pathname: path } = url;
      const times = asked.filter((it) => it.path === path).length;
      const { headers } = request;
      asked.push({ path, authorization: headers.get("authorization"), range: headers.get("range") });
      const special = await answer(request, url, times);
      if (special) return special;
      if (path === "/v2/") return new Response();
      if (path.startsWith("/v2/app/manifests/"))
        return new Response(manifest, { headers: { "Content-Type": MANIFEST } });
      for (const blob of [config, layer]) if (path.endsWith(digestOf(blob))) return new Response(blob);
      return new Response("", { status: 404 });
    },
  });
  servers.push(server);
  return { asked, host: `127.0.0.1:${server.port}` };
};

let stores = 0;
const openAt = (path: string): Store =>
  openStore(Object.create(liveHost(), { env: { value: fixtureHost({ env: { NSK_STORE: path } }).env } }));
const freshStore = (): Store => openAt(join(scratch, `${++stores}`));

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);

const pull = (
  { host }: { host: string },
  {
    store = freshStore(),
    credentials,
    name = "app:1",
    tlsVerify = true,
  }: { store?: Store; credentials?: Credentials; name?: string; tlsVerify?: boolean } = {},
): Promise<Imported> => {
  const source = openRegistry(parseReference(`${host}/${name}`), {
    platform: { os: "linux", architecture: "amd64" },
    tlsVerify,
    credentials: async () => credentials,
  });
  return importImage(store, source, `${host}/${name}`, powersOf(liveHost()));
};

/** What a pull fails with; nothing half-made may stay. */
const failure = async (
  from: { host: string },
  how: { credentials?: Credentials; name?: string; tlsVerify?: boolean } = {},
): Promise<string> => {
  const store = freshStore();
  const said = await pull(from, { ...how, store }).then(
    () => "it went well",
    (error) => `${error.message}${error.hint ? ` (${error.hint})` : ""}`,
  );
  expect(readdirSync(`${store.root}/tmp`)).toEqual([]);
  expect(readdirSync(`${store.root}/layers`)).toEqual([]);
  expect(existsSync(`${store.root}/index.json`)).toBe(false);
  return said;
};

const isLayer = ({ pathname }: URL): boolean => pathname.endsWith(digestOf(layer));
const isManifest = ({ pathname }: URL): boolean => pathname.includes("/manifests/");

/** A body that never ends. */
const endless = (): Response =>
  new Response(new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(65536)) }));

describe("an honest registry", () => {
  test("gives an image", async () => {
    const image = await pull(registry());
    expect(image).toMatchObject({
      id: digestOf(config),
      wasThere: false,
      config: { run: { cmd: ["/hello"] } },
    });
  });
  test("is asked for nothing twice", async () => {
    const it = registry();
    const store = freshStore();
    await pull(it, { store });
    expect((await pull(it, { store })).wasThere).toBe(true);
    expect(it.asked.filter(({ path }) => path.includes("/blobs/")).length).toBe(2);
  });
  test("picks the image of an index for the platform, and checks its digest", async () => {
    const entry = { ...describeBlob(manifest), platform: { os: "linux", architecture: "amd64" } };
    const index = encode({
      schemaVersion: 2,
      manifests: [
        { ...entry, digest: digestOf(config), platform: { os: "linux", architecture: "arm64" } },
        entry,
      ],
    });
    const it = registry((_, { pathname }) =>
      pathname.endsWith("/manifests/1") ? new Response(index) : undefined,
    );
    expect((await pull(it)).manifest.digest).toBe(digestOf(manifest));
  });
});

describe("two pulls at once", () => {
  /** The same store for somebody else. */
  const again = ({ root }: Store): Store => openAt(root);
  const layersAsked = ({ asked }: { asked: readonly Asked[] }): number =>
    asked.filter(({ path }) => path.endsWith(digestOf(layer))).length;

  test("get a layer once: the second waits, and finds it there", async () => {
    const from = registry((_, url) => (isLayer(url) ? Bun.sleep(50).then(() => undefined) : undefined));
    const store = freshStore();
    const both = await Promise.all([pull(from, { store }), pull(from, { store: again(store) })]);
    expect(layersAsked(from)).toBe(1);
    expect(both[0].id).toBe(both[1].id);
    expect(readdirSync(`${store.root}/tmp`)).toEqual([]);
  });
  test("the second gets it where the first fails", async () => {
    const from = registry((_, url, times) =>
      isLayer(url) && times === 0
        ? Bun.sleep(50).then(() => new Response("another one".padEnd(layer.length)))
        : undefined,
    );
    const store = freshStore();
    const both = await Promise.allSettled([pull(from, { store }), pull(from, { store: again(store) })]);
    expect(both.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(readdirSync(`${store.root}/tmp`)).toEqual([]);
  });
  test("one that is killed leaves no lock, whatever it leaves of files", async () => {
    const from = registry();
    const store = freshStore();
    const path = `${store.root}/tmp/${digestOf(layer).slice("sha256:".length)}.lock`;
    const holder = Bun.spawn(["flock", path, "sh", "-c", "echo held; exec sleep 60"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await holder.stdout.getReader().read();
    const pulled = pull(from, { store });
    await until("it is at the layer", () => from.asked.some(({ path }) => path.endsWith(digestOf(config))));
    await Bun.sleep(100);
    expect(layersAsked(from)).toBe(0);
    for (const pid of [holder.pid, ...childrenOf(holder.pid)]) process.kill(pid, "SIGKILL");
    await holder.exited;
    await pulled;
    expect(layersAsked(from)).toBe(1);
    expect(readdirSync(`${store.root}/tmp`)).toEqual([]);
  });
});

describe("what breaks off is taken up again", () => {
  test("from where it was, by a range", async () => {
    const half = Math.floor(layer.length / 2);
    const it = registry((request, url, times) => {
      if (!isLayer(url)) return undefined;
      if (times === 0) return new Response(layer.subarray(0, half));
      const from = Number(/bytes=(\d+)-/.exec(request.headers.get("range")!)![1]);
      return new Response(layer.subarray(from), {
        status: 206,
        headers: { "Content-Range": `bytes ${from}-${layer.length - 1}/${layer.length}` },
      });
    });
    await pull(it);
    expect(it.asked.filter(({ path }) => path.endsWith(digestOf(layer))).map(({ range }) => range)).toEqual([
      null,
      `bytes=${half}-`,
    ]);
  });
  test("from the beginning, where the registry has no ranges", async () => {
    const it = registry((_, url, times) =>
      isLayer(url) && times === 0 ? new Response(layer.subarray(0, 100)) : undefined,
    );
    await pull(it);
  });
  test("another range than was asked for is refused", async () => {
    const it = registry((_, url, times) => {
      if (!isLayer(url)) return undefined;
      if (times === 0) return new Response(layer.subarray(0, 100));
      return new Response(layer.subarray(50), {
        status: 206,
        headers: { "Content-Range": "bytes 50-99/100" },
      });
    });
    expect(await failure(it)).toContain("another range than was asked for");
  });
  test("a server that is busy is asked again, and one that stays so is named", async () => {
    const busy = registry((_, url, times) =>
      isManifest(url) && times < 2 ? new Response("", { status: 503 }) : undefined,
    );
    await pull(busy);
    const limited = registry((_, url) =>
      isManifest(url) ? new Response("", { status: 429, headers: { "Retry-After": "0" } }) : undefined,
    );
    expect(await failure(limited)).toContain("HTTP status 429 (tried 5 times)");
  });
});

describe("a registry that lies", () => {
  test("a layer with another digest", async () => {
    const false_ = Uint8Array.from(layer, (byte, i) => (i === 100 ? byte ^ 1 : byte));
    const it = registry((_, url) => (isLayer(url) ? new Response(false_) : undefined));
    expect(await failure(it)).toContain(`a layer: the digest is ${digestOf(false_)}, not ${digestOf(layer)}`);
  });
  test("a manifest with another digest than was asked for", async () => {
    const it = registry();
    expect(await failure(it, { name: `app@${digestOf(config)}` })).toContain("its manifest: the digest is");
  });
  test("a layer that unpacks to another one", async () => {
    const lying = encode({ os: "linux", architecture: "amd64", rootfs: { diff_ids: [digestOf(config)] } });
    const its = encode({ schemaVersion: 2, config: describeBlob(lying), layers: [describeBlob(layer)] });
    const it = registry((_, url) =>
      isManifest(url)
        ? new Response(its)
        : url.pathname.endsWith(digestOf(lying))
          ? new Response(lying)
          : undefined,
    );
    expect(await failure(it)).toContain("an unpacked layer: the digest is");
  });
  test("a layer without end ends at its announced size", async () => {
    const it = registry((_, url) => (isLayer(url) ? endless() : undefined));
    expect(await failure(it)).toContain(`more than the ${layer.length} bytes that it was announced with`);
  });
  test("a manifest without end, or announced with a gigabyte, ends at 4 MiB", async () => {
    expect(await failure(registry((_, url) => (isManifest(url) ? endless() : undefined)))).toContain(
      "its manifest: more than 4194304 bytes",
    );
    const large = registry((_, url) =>
      isManifest(url)
        ? new Response(new Uint8Array(2 ** 23), { headers: { "Content-Type": MANIFEST } })
        : undefined,
    );
    expect(await failure(large)).toContain("more than 4194304 bytes");
  });
  test("a config of a gigabyte is not even asked for", async () => {
    const its = encode({ schemaVersion: 2, config: { ...describeBlob(config), size: 2 ** 30 }, layers: [] });
    const it = registry((_, url) => (isManifest(url) ? new Response(its) : undefined));
    expect(await failure(it)).toContain("a config of 1073741824 bytes");
    expect(it.asked.some(({ path }) => path.includes("/blobs/"))).toBe(false);
  });
  test("an answer that is none", async () => {
    expect(
      await failure(registry((_, url) => (isManifest(url) ? new Response("<html>") : undefined))),
    ).toContain("not JSON");
    expect(await failure(registry(), { name: "other:1" })).toContain("has no such image");
  });
});

describe("a registry that leads astray", () => {
  const redirecting = (to: string) =>
    registry((_, url) => (isLayer(url) ? Response.redirect(to, 307) : undefined));
  test("to the machine's own secrets, to files, to other schemes", async () => {
    expect(await failure(redirecting("http://169.254.169.254/latest/meta-data/"))).toContain(
      "the registry's redirect leads to 169.254.169.254, an address of the local link",
    );
    for (const to of ["file:///etc/passwd", "ftp://127.0.0.1/x"]) {
      const it = registry((_, url) =>
        isLayer(url) ? new Response("", { status: 302, headers: { Location: to } }) : undefined,
      );
      expect(await failure(it)).toContain("leads to another scheme");
    }
  });
  test("in circles", async () => {
    const it = registry((_, url) => (isLayer(url) ? Response.redirect(url.href, 302) : undefined));
    expect(await failure(it)).toContain("redirects without end");
  });
  test("its token service too", async () => {
    const it = registry((_, { pathname }) =>
      pathname === "/v2/"
        ? undefined
        : new Response("", {
            status: 401,
            headers: { "WWW-Authenticate": 'Bearer realm="http://169.254.169.254/token"' },
          }),
    );
    expect(await failure(it, { credentials: { user: "u", password: "p" } })).toContain(
      "the registry's token service leads to",
    );
  });
  test("what opens this registry is shown to no other host", async () => {
    const storage = registry();
    const it = registry((request, url) => {
      if (request.headers.get("authorization") === null)
        return new Response("", { status: 401, headers: { "WWW-Authenticate": 'Basic realm="x"' } });
      return isLayer(url) ? Response.redirect(`http://${storage.host}${url.pathname}`, 307) : undefined;
    });
    await pull(it, { credentials: { user: "u", password: "p" } });
    const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
    expect(it.asked.some(({ authorization }) => authorization === basic)).toBe(true);
    expect(storage.asked.map(({ authorization }) => authorization)).toEqual([null]);
  });
});

describe("TLS", () => {
  test("a certificate that nobody signed is refused, unless --tls-verify=false", async () => {
    const it = registry(() => undefined, { cert: certificate, key });
    expect(await failure(it)).toContain("its certificate is not to be trusted");
    expect(it.asked).toEqual([]);
    expect(await failure(it)).toContain("--tls-verify=false goes on all the same");
    expect(await pull(it, { tlsVerify: false })).toMatchObject({ id: digestOf(config) });
  });
  test("from TLS there is no way back", async () => {
    const storage = registry();
    const it = registry(
      (_, url) =>
        isLayer(url) ? Response.redirect(`http://${storage.host}${url.pathname}`, 307) : undefined,
      { cert: certificate, key },
    );
    expect(await failure(it, { tlsVerify: false })).toContain("leads from https to http");
    expect(storage.asked).toEqual([]);
  });
});

describe("who one is", () => {
  /** A registry behind a token service of its own. */
  const guarded = (accepts: (authorization: string | null) => boolean) => {
    const it = registry((request, url) => {
      if (url.pathname === "/token") {
        const scope = url.searchParams.get("scope");
        if (!accepts(request.headers.get("authorization"))) return new Response("", { status: 401 });
        return Response.json({ token: `for-${scope}` });
      }
      if (request.headers.get("authorization") === "Bearer for-repository:app:pull") return undefined;
      const realm = `realm="http://${it.host}/token",service="test",scope="repository:app:pull"`;
      return new Response("", { status: 401, headers: { "WWW-Authenticate": `Bearer ${realm}` } });
    });
    return it;
  };
  test("nobody gets a token for what is public", async () => {
    const it = guarded((authorization) => authorization === null);
    await pull(it);
    expect(it.asked.filter(({ path }) => path === "/token").length).toBe(1);
  });
  test("somebody gets one by user and password", async () => {
    const right = `Basic ${Buffer.from("me:secret").toString("base64")}`;
    const it = guarded((authorization) => authorization === right);
    await pull(it, { credentials: { user: "me", password: "secret" } });
    expect(await failure(it, { credentials: { user: "me", password: "wrong" } })).toContain(
      "access denied (what docker's config.json has for this registry does not open it)",
    );
    expect(await failure(it)).toContain("access denied (it may not exist, or want a login");
  });
});

describe("an image is pushed", () => {
  /** A registry that takes what is sent, but for what `answer` says; what it has got. */
  const taker = (answer: Answer = () => undefined) => {
    const got = new Map<string, Uint8Array>();
    const done: string[] = [];
    const it = registry(async (request, url, times) => {
      done.push(`${request.method} ${url.pathname.replace(/sha256:.*/, "DIGEST")}`);
      const special = await answer(request, url, times);
      if (special) return special;
      if (request.method === "HEAD")
        return new Response(null, { status: got.has(url.pathname.split("/").at(-1)!) ? 200 : 404 });
      if (request.method === "POST")
        return new Response(null, {
          status: 202,
          headers: { Location: `/v2/app/blobs/uploads/1?_state=a%2Bb%3D` },
        });
      if (request.method !== "PUT") return undefined;
      const bytes = await request.bytes();
      if (url.pathname.includes("/uploads/")) {
        // As it was given, not written anew.
        expect(url.search).toStartWith("?_state=a%2Bb%3D&digest=sha256%3A");
        expect(request.headers.get("content-length")).toBe(String(bytes.length));
        if (digestOf(bytes) !== url.searchParams.get("digest"))
          return Response.json(
            { errors: [{ code: "DIGEST_INVALID", message: "other\nbytes" }] },
            { status: 400 },
          );
        got.set(digestOf(bytes), bytes);
      } else got.set(url.pathname, bytes);
      return new Response(null, { status: 201 });
    });
    return { ...it, got, done };
  };
  /** A store with the image. */
  const filled = async (): Promise<Store> => {
    const store = freshStore();
    await pull(registry(), { store });
    return store;
  };
  const push = (
    { host }: { host: string },
    store: Store,
    { credentials, sources = new Map() }: { credentials?: Credentials; sources?: Map<string, string> } = {},
  ) =>
    pushImage(
      store,
      listImages(store.root)[0]!,
      openClient(parseReference(`${host}/app:2`), "pull,push", {
        tlsVerify: true,
        credentials: async () => credentials,
      }),
      "2",
      sources,
    );
  const refused = async (to: { host: string }): Promise<string> => {
    const store = await filled();
    return push(to, store).then(
      () => "it went well",
      (error) => `${error.message}`,
    );
  };

  test("the blobs first, then the manifest, byte for byte", async () => {
    const to = taker();
    const pushed = await push(to, await filled());
    expect(pushed).toEqual({ digest: digestOf(manifest), size: manifest.length });
    expect([...to.got.keys()].slice(0, 2).sort()).toEqual([digestOf(config), digestOf(layer)].sort());
    expect(Buffer.from(to.got.get("/v2/app/manifests/2")!)).toEqual(Buffer.from(manifest));
    expect(to.done.at(-1)).toBe("PUT /v2/app/manifests/2");
  });
  test("what is there is not sent again, and what another repository has is taken from there", async () => {
    const to = taker((request, url) =>
      url.searchParams.get("from") === "base/image" && url.searchParams.get("mount") === digestOf(layer)
        ? new Response(null, { status: 201 })
        : request.method === "HEAD" && url.pathname.endsWith(digestOf(config))
          ? new Response(null)
          : undefined,
    );
    await push(to, await filled(), { sources: new Map([[digestOf(layer), "base/image"]]) });
    expect([...to.got.keys()]).toEqual(["/v2/app/manifests/2"]);
  });
  test("what fails for a while is sent again from the beginning", async () => {
    let failures = 0;
    const to = taker((request, url) =>
      request.method === "PUT" && url.pathname.includes("/uploads/") && failures++ < 2
        ? new Response("", { status: 503 })
        : undefined,
    );
    await push(to, await filled());
    expect(to.got.size).toBe(3);
  });
  test("a registry's own words are shown, on one line and not without end", async () => {
    const to = taker((request) =>
      request.method === "POST"
        ? Response.json({ errors: [{ code: "DENIED", message: "no push here" }] }, { status: 403 })
        : undefined,
    );
    expect(await refused(to)).toBe(`${to.host}/app:2: access denied: DENIED: no push here`);
    const long = taker((request) =>
      request.method === "PUT"
        ? Response.json({ errors: [{ code: "X", message: "x".repeat(9_000) }] }, { status: 400 })
        : undefined,
    );
    expect((await refused(long)).length).toBeLessThan(400);
    const bare = taker((request) =>
      request.method === "POST" ? new Response("<html>", { status: 405 }) : undefined,
    );
    expect(await refused(bare)).toBe(`${bare.host}/app:2: ${bare.host}: HTTP status 405`);
  });
  test("a blob that has changed on the disk is not made an image of", async () => {
    const to = taker();
    const store = await filled();
    const path = `${store.root}/blobs/sha256/${digestOf(layer).slice("sha256:".length)}`;
    writeFileSync(path, new Uint8Array(layer.length));
    await expect(push(to, store)).rejects.toThrow("HTTP status 400: DIGEST_INVALID: other bytes");
    expect(to.got.has("/v2/app/manifests/2")).toBe(false);
    rmSync(path);
    await expect(push(to, store)).rejects.toThrow("is not in the store");
  });
  test("an upload may not lead astray", async () => {
    for (const [location, said] of [
      ["http://169.254.169.254/x", "169.254.169.254"],
      ["file:///etc/passwd", "another scheme"],
      ["http://[", "names no place for an upload"],
    ] as const) {
      const to = taker((request) =>
        request.method === "POST"
          ? new Response(null, { status: 202, headers: { Location: location } })
          : undefined,
      );
      expect(await refused(to)).toContain(said);
      expect(to.got.size).toBe(0);
    }
  });
  test("a token is asked for with the right to push, once", async () => {
    const scopes: string[][] = [];
    const to = taker((request, url) => {
      if (url.pathname === "/token") {
        scopes.push(url.searchParams.getAll("scope"));
        return Response.json({ token: url.searchParams.getAll("scope").join("+") });
      }
      if (request.headers.get("authorization")?.includes("repository:app:pull,push")) return undefined;
      const realm = `realm="http://${to.host}/token",service="test",scope="repository:app:pull repository:b:pull"`;
      return new Response("", { status: 401, headers: { "WWW-Authenticate": `Bearer ${realm}` } });
    });
    await push(to, await filled());
    expect(new Set(scopes.map(String))).toEqual(new Set(["repository:app:pull,push,repository:b:pull"]));
    expect(to.got.size).toBe(3);
  });
});
