// The pure parts of images: names, platforms, manifests, credentials, challenges, redirects, and how things are shown.

import { describe, expect, test } from "bun:test";
import { columns, humanAge, humanSize } from "../../src/commands/human.ts";
import { progressLine } from "../../src/commands/progress.ts";
import { isImageOperand } from "../../src/run/image.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { parseChallenges } from "../../src/images/challenge.ts";
import { parseChanges } from "../../src/images/changes.ts";
import { credentialsFor, parseHelperAnswer, withLogin } from "../../src/images/credentials.ts";
import { parseDigest } from "../../src/images/digest.ts";
import { parseImageConfig, parseManifest } from "../../src/images/manifest.ts";
import { parsePax, parseTime, regionsOf } from "../../src/images/pax.ts";
import { choosePlatform, parsePlatform, platformText } from "../../src/images/platform.ts";
import { isLocalName, reachOf, refusal, type Reach } from "../../src/images/redirect.ts";
import { familiarName, fullName, parseReference, withDefaultTag } from "../../src/images/reference.ts";
import { storePath } from "../../src/host/store-path.ts";

const sha = `sha256:${"ab".repeat(32)}`;
const bytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

describe("references", () => {
  test.each([
    ["alpine", "docker.io/library/alpine:latest", "alpine:latest"],
    ["alpine:3.20", "docker.io/library/alpine:3.20", "alpine:3.20"],
    ["someone/app", "docker.io/someone/app:latest", "someone/app:latest"],
    ["docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"],
    ["index.docker.io/alpine", "docker.io/library/alpine:latest", "alpine:latest"],
    ["docker.io/library/alpine", "docker.io/library/alpine:latest", "alpine:latest"],
    ["localhost/x", "localhost/x:latest", "localhost/x:latest"],
    ["localhost:5000/x", "localhost:5000/x:latest", "localhost:5000/x:latest"],
    ["localhost:5000/x:1", "localhost:5000/x:1", "localhost:5000/x:1"],
    ["ghcr.io/a/b/c:v1.2-rc_1", "ghcr.io/a/b/c:v1.2-rc_1", "ghcr.io/a/b/c:v1.2-rc_1"],
    ["UPPER/x", "UPPER/x:latest", "UPPER/x:latest"],
    ["[::1]:5000/x", "[::1]:5000/x:latest", "[::1]:5000/x:latest"],
    ["a__b/c-d.e", "docker.io/a__b/c-d.e:latest", "a__b/c-d.e:latest"],
    [`alpine@${sha}`, `docker.io/library/alpine@${sha}`, `alpine@${sha}`],
    [`alpine:3@${sha}`, `docker.io/library/alpine@${sha}`, `alpine@${sha}`],
    [`x.y:1/z@${sha}`, `x.y:1/z@${sha}`, `x.y:1/z@${sha}`],
    // A word with a colon is a tag's, not a port's.
    ["host:5000", "docker.io/library/host:5000", "host:5000"],
  ])("%s is %s", (text, full, familiar) => {
    const reference = withDefaultTag(parseReference(text));
    expect([fullName(reference), familiarName(reference)]).toEqual([full, familiar]);
  });
  test.each([
    "",
    "Alpine",
    "a/Alpine",
    "-a",
    "a-",
    "a//b",
    "/a",
    "a/",
    "a:",
    "a:-x",
    `a:${"x".repeat(129)}`,
    "a:x/y",
    "a@",
    "a@sha256:12",
    `a@md5:${"a".repeat(32)}`,
    "a b",
    "../a",
    "a/../b",
    "./a",
    "a/.",
    ".",
    "..",
    "a..b",
    "a___b",
    "a:../x",
    "http://x/y",
    "x.y:port/z",
    "a\nb",
    "a\0b",
    "ab".repeat(32),
    "localhost:5000/",
    `x.y/${"a".repeat(255)}`,
  ])("%p is none", (text) => expect(() => parseReference(text)).toThrow("invalid reference"));
});

test.each([
  [sha, true],
  [`sha512:${"0".repeat(128)}`, true],
  [`sha256:${"0".repeat(63)}`, false],
  [`sha256:${"A".repeat(64)}`, false],
  [`sha256:../../${"0".repeat(58)}`, false],
  [`sha1:${"0".repeat(40)}`, false],
])("the digest %s is one: %p", (text, is) => expect(parseDigest(text) !== undefined).toBe(is));

describe("platforms", () => {
  test.each([
    ["linux/amd64", "linux/amd64"],
    ["linux/x86_64", "linux/amd64"],
    ["aarch64", "linux/arm64"],
    ["linux/arm64/v8", "linux/arm64/v8"],
    ["linux/armhf", "linux/arm/v7"],
  ])("%s is %s", (text, means) => expect(platformText(parsePlatform(text))).toBe(means));
  test.each(["", "a/b/c/d", "linux/", "linux/a b"])("%p is none", (text) =>
    expect(() => parsePlatform(text)).toThrow("invalid --platform"),
  );
  const one = (architecture: string, variant?: string) => ({
    mediaType: "",
    digest: sha,
    size: 1,
    platform: {
      os: architecture === "unknown" ? "unknown" : "linux",
      architecture,
      ...(variant && { variant }),
    },
  });
  const index = [one("unknown"), one("amd64"), one("arm", "v6"), one("arm", "v7"), one("arm64", "v8")];
  test.each([
    ["linux/amd64", 1],
    ["linux/arm64", 4],
    ["linux/arm", 3],
    ["linux/arm/v6", 2],
  ])("%s finds its image", (text, at) =>
    expect(choosePlatform("x", index, parsePlatform(text))).toBe(index[at]!),
  );
  test("a platform that is not there: those that are", () => {
    try {
      choosePlatform("x", index, parsePlatform("linux/riscv64"));
      throw new Error("found");
    } catch (error) {
      expect(error).toMatchObject({
        message: "x: no image for linux/riscv64",
        hint: "it has linux/amd64, linux/arm/v6, linux/arm/v7, linux/arm64/v8",
      });
    }
  });
});

describe("manifests and configs", () => {
  const descriptor = { mediaType: "m", digest: sha, size: 3 };
  test("a manifest", () => {
    const { manifest } = parseManifest(
      "x",
      bytes({ schemaVersion: 2, config: descriptor, layers: [descriptor] }),
    );
    expect(manifest).toEqual({ config: descriptor, layers: [descriptor] });
  });
  test.each([
    ["not JSON at all", "nonsense", "not JSON"],
    ["a list", [], "not an object"],
    ["schema 1", { schemaVersion: 1 }, "schema 1"],
    ["both at once", { schemaVersion: 2, manifests: [], layers: [] }, "an index and a manifest in one"],
    ["no layers", { schemaVersion: 2, config: descriptor }, "layers: not a list"],
    [
      "a digest with a path",
      { schemaVersion: 2, config: { ...descriptor, digest: "sha256:../../x" }, layers: [] },
      "is no digest",
    ],
    ["a negative size", { schemaVersion: 2, config: { ...descriptor, size: -1 }, layers: [] }, "is no size"],
    [
      "a size that is none",
      { schemaVersion: 2, config: { ...descriptor, size: 1e300 }, layers: [] },
      "is no size",
    ],
    [
      "too many layers",
      { schemaVersion: 2, config: descriptor, layers: Array(128).fill(descriptor) },
      "128 layers",
    ],
  ])("%s is refused", (_, value, why) => {
    const text = value === "nonsense" ? new TextEncoder().encode("{") : bytes(value);
    expect(() => parseManifest("x", text)).toThrow(why);
  });
  test("what a config says of running", () => {
    const config = { Entrypoint: ["/e"], Cmd: null, Env: ["A=1"], WorkingDir: "/w", User: "u:g" };
    const it = { os: "linux", architecture: "amd64", config, rootfs: { type: "layers", diff_ids: [sha] } };
    expect(parseImageConfig("x", bytes(it), 1)).toEqual({
      platform: { os: "linux", architecture: "amd64" },
      diffIds: [sha],
      run: { entrypoint: ["/e"], cmd: [], env: ["A=1"], workingDir: "/w", user: "u:g" },
    });
    expect(() => parseImageConfig("x", bytes(it), 2)).toThrow(
      "1 layers in the config, and 2 in the manifest",
    );
    expect(() => parseImageConfig("x", bytes({ ...it, config: { Cmd: ["a\0b"] } }), 1)).toThrow("a NUL byte");
    expect(() => parseImageConfig("x", bytes({ ...it, rootfs: { diff_ids: ["../x"] } }), 1)).toThrow(
      "is no digest",
    );
  });
});

describe("docker's config.json", () => {
  const auth = Buffer.from("user:pa:ss").toString("base64");
  const known = { stored: { user: "user", password: "pa:ss" } };
  test.each<[string, unknown, string, unknown]>([
    ["by host", { auths: { "x.y:5": { auth } } }, "x.y:5", known],
    ["by an old URL", { auths: { "https://x.y/v1/": { auth } } }, "x.y", known],
    ["docker's own", { auths: { "https://index.docker.io/v1/": { auth } } }, "docker.io", known],
    ["another host", { auths: { "x.y": { auth } } }, "y.x", {}],
    ["not another port", { auths: { "x.y:5": { auth } } }, "x.y:6", {}],
    ["a token", { auths: { "x.y": { identitytoken: "t" } } }, "x.y", { stored: { identityToken: "t" } }],
    ["a helper", { credHelpers: { "x.y": "ecr" } }, "x.y", { helper: "ecr" }],
    ["a store", { auths: { "x.y": {} }, credsStore: "desktop" }, "x.y", { helper: "desktop" }],
    [
      "a helper is asked before the file's own",
      { auths: { "x.y": { auth } }, credsStore: "pass" },
      "x.y",
      { helper: "pass", ...known },
    ],
    ["a helper of another", { credHelpers: { "x.y": "ecr" } }, "z", {}],
  ])("%s", (_, config, domain, expected) =>
    expect<unknown>(credentialsFor(JSON.stringify(config), domain)).toEqual(expected),
  );
  test("one that makes no sense is named", () => {
    expect(() => credentialsFor("{", "x")).toThrow("config.json");
    expect(() => credentialsFor('{"auths":{"x":{"auth":"%"}}}', "x")).toThrow("base64");
    expect(() => credentialsFor('{"credsStore":"../../tmp/x"}', "x")).toThrow("no helper's name");
    for (const answer of ["", "null", "[]", '{"Username":"x"}'])
      expect(() => parseHelperAnswer("x", answer)).toThrow("no user and secret");
  });
  test("a login takes the place of all that the file has of a registry", () => {
    const login = { user: "u", password: "p" };
    const old = {
      auths: { "docker.io": { auth }, "https://index.docker.io/v1/": {}, "x.y": { auth } },
      experimental: "on",
    };
    const [text, now] = [JSON.stringify(old), { auth: Buffer.from("u:p").toString("base64") }];
    expect(JSON.parse(withLogin(text, "docker.io", login))).toEqual({
      ...old,
      auths: { "x.y": { auth }, "https://index.docker.io/v1/": now },
    });
    expect(JSON.parse(withLogin(text, "docker.io", undefined))).toEqual({
      ...old,
      auths: { "x.y": { auth } },
    });
    expect(JSON.parse(withLogin(undefined, "x.y", "by a helper"))).toEqual({ auths: { "x.y": {} } });
    for (const none of ["[]", "null", "{"])
      expect(() => withLogin(none, "x", login)).toThrow("config.json is not JSON");
  });
  test("a helper's answer may be a token", () => {
    expect(parseHelperAnswer("x", '{"Username":"<token>","Secret":"s"}')).toEqual({ identityToken: "s" });
    expect(parseHelperAnswer("x", '{"Username":"u","Secret":"s"}')).toEqual({ user: "u", password: "s" });
  });
});

test.each([
  [
    'Bearer realm="https://auth/token",service="reg",scope="repository:a/b:pull,push"',
    [
      {
        scheme: "bearer",
        parameters: { realm: "https://auth/token", service: "reg", scope: "repository:a/b:pull,push" },
      },
    ],
  ],
  ['Basic realm="x"', [{ scheme: "basic", parameters: { realm: "x" } }]],
  [
    'Basic realm="a \\"b\\"", Bearer realm=plain',
    [
      { scheme: "basic", parameters: { realm: 'a "b"' } },
      { scheme: "bearer", parameters: { realm: "plain" } },
    ],
  ],
  ["Negotiate", [{ scheme: "negotiate", parameters: {} }]],
  ["", []],
])("the challenge %s", (header, challenges) => expect<unknown>(parseChallenges(header)).toEqual(challenges));

describe("where a registry may send us", () => {
  test.each<[string, Reach | undefined]>([
    ["8.8.8.8", "public"],
    ["127.0.0.1", "loopback"],
    ["127.255.0.1", "loopback"],
    ["0.0.0.0", "loopback"],
    ["10.1.2.3", "private"],
    ["172.16.0.1", "private"],
    ["172.31.255.255", "private"],
    ["172.32.0.1", "public"],
    ["192.168.1.1", "private"],
    ["100.64.0.1", "private"],
    ["169.254.169.254", "local"],
    ["224.0.0.1", "local"],
    ["255.255.255.255", "local"],
    ["::1", "loopback"],
    ["::", "loopback"],
    ["fd00::1", "private"],
    ["fe80::1", "local"],
    ["ff02::1", "local"],
    ["2001:db8::1", "public"],
    ["::ffff:127.0.0.1", "loopback"],
    ["::ffff:7f00:1", "loopback"],
    ["::ffff:10.0.0.1", "private"],
    ["64:ff9b::a00:1", "private"],
    ["64:ff9b::808:808", "public"],
    ["example.org", undefined],
    ["1.2.3.4.5", undefined],
  ])("%s is %s", (address, reach) => expect(reachOf(address)).toBe(reach!));
  test.each<[string, Reach, string, Reach, string | undefined]>([
    ["https://r.example", "public", "https://cdn.example/x", "public", undefined],
    ["https://r.example", "public", "http://cdn.example/x", "public", "from https to http"],
    ["https://r.example", "public", "https://intern/x", "private", "to intern, a private address"],
    ["https://r.example", "public", "https://127.0.0.1/x", "loopback", "to 127.0.0.1, a loopback address"],
    ["https://r.example", "public", "ftp://cdn.example/x", "public", "to another scheme (ftp://)"],
    ["https://r.example", "public", "file:///etc/passwd", "public", "to another scheme (file://)"],
    ["https://r.example", "public", "https://a:b@cdn.example/x", "public", "to an address with a user in it"],
    ["http://10.0.0.1:5000", "private", "http://10.0.0.2/x", "private", undefined],
    ["http://10.0.0.1:5000", "private", "http://localhost/x", "loopback", "to localhost, a loopback address"],
    ["http://127.0.0.1:5000", "loopback", "http://10.0.0.2/x", "private", undefined],
    [
      "http://127.0.0.1:5000",
      "loopback",
      "http://169.254.169.254/x",
      "local",
      "to 169.254.169.254, an address of the local link",
    ],
  ])("from %s (%s) to %s (%s): %p", (from, near, to, far, why) =>
    expect(refusal(new URL(from), near, new URL(to), far)).toBe(why!),
  );
});

test.each([
  ["localhost", true],
  ["x.localhost", true],
  ["127.0.0.1", true],
  ["127.9.9.9", true],
  ["[::1]", true],
  ["localhost.example", false],
  ["notlocalhost", false],
  ["10.0.0.1", false],
  ["169.254.169.254", false],
  ["[fd00::1]", false],
  ["docker.io", false],
])("plain HTTP is spoken with %s unasked: %p", (host, is) => expect(isLocalName(host)).toBe(is));

describe("pax", () => {
  const text = (it: string): Uint8Array => new TextEncoder().encode(it);
  test("records keep bytes, newlines and equals signs", () => {
    const value = Uint8Array.of(0, 255, 10, 61);
    const record = Buffer.concat([text("10 key="), value.subarray(0, 2), text("\n")]);
    expect(parsePax(Buffer.concat([record.subarray(0, 10), text("9 a=b\nc=\n")]))).toEqual([
      ["key", new Uint8Array([0, 255])],
      ["a", text("b\nc=")],
    ]);
  });
  test.each(["x", "5 a=b", "6 a=b\nx", "99 a=b\n", "0 a=b\n", "4 a\n"])("%p is none", (record) =>
    expect(parsePax(text(record))).toBeUndefined(),
  );
  test.each([
    ["1.5", 1, 500_000_000],
    ["1234567890.123456789", 1234567890, 123456789],
    ["-1.25", -2, 750_000_000],
    ["-3", -3, 0],
    ["0.0000000019", 0, 1],
  ])("the time %s", (time, seconds, nanoseconds) =>
    expect(parseTime(time)).toEqual({ seconds, nanoseconds }),
  );
  test.each([
    [
      [0, 2, 5, 3],
      9,
      [
        [0, 2],
        [5, 3],
      ],
    ],
    [[9, 0], 9, []],
    [[0, 2, 1, 3], 9, undefined],
    [[0, 10], 9, undefined],
    [[0], 9, undefined],
    [[-1, 2], 9, undefined],
  ])("the regions %p of %d bytes", (numbers, size, regions) =>
    expect<unknown>(regionsOf(numbers, size)?.regions).toEqual(regions),
  );
});

describe("the first operand of run", () => {
  const host = fixtureHost({ files: { "/usr/bin/bash": "", "/bin/true": "", "sub/prog": "" } });
  const has = (word: string): boolean => word === "known" || word === "bash2";
  test.each([
    ["bash", false],
    ["known", true],
    ["alpine", true],
    ["alpine:3", true],
    ["ghcr.io/x/y", true],
    ["docker://bash", true],
    ["oci:/some/where", true],
    ["docker-archive:x.tar", true],
    ["/bin/true", false],
    ["/no/such", false],
    ["./prog", false],
    ["../prog", false],
    ["sub/prog", false],
    ["UPPER", false],
  ])("%s is an image: %p", (word, is) => expect(isImageOperand(word, host, has)).toBe(is));
  test("a program that the store has an image of is the image", () =>
    expect(isImageOperand("bash", host, () => true)).toBe(true));
});

test.each([
  [{ euid: 0, env: {} }, "/var/lib/nsk"],
  [{ euid: 7, env: { XDG_DATA_HOME: "/data" } }, "/data/nsk"],
  [{ euid: 7, env: { XDG_DATA_HOME: "relative", HOME: "/home/x" } }, "/home/x/.local/share/nsk"],
  [{ euid: 7, env: { HOME: "/home/x" } }, "/home/x/.local/share/nsk"],
  [{ euid: 0, env: { NSK_STORE: "/mnt/images/" } }, "/mnt/images"],
])("the store of %p is %s", (fixture, path) => expect(storePath(fixtureHost(fixture as object))).toBe(path));

describe("docker's words", () => {
  test.each([
    [0, "0B"],
    [999, "999B"],
    [1000, "1kB"],
    [7_834_567, "7.83MB"],
    [124_456_789, "124MB"],
    [1_230_000_000, "1.23GB"],
  ])("%d bytes are %s", (size, text) => expect(humanSize(size)).toBe(text));
  test.each([
    [0, "Less than a second"],
    [1, "1 second"],
    [59, "59 seconds"],
    [60, "About a minute"],
    [3599, "59 minutes"],
    [3600, "About an hour"],
    [47 * 3600, "47 hours"],
    [3 * 86400, "3 days"],
    [15 * 86400, "2 weeks"],
    [70 * 86400, "2 months"],
    [800 * 86400, "2 years"],
  ])("%d seconds are %s", (seconds, text) => expect(humanAge(seconds)).toBe(`${text} ago`));
  test("columns", () =>
    expect(
      columns([
        ["A", "LONG", "C"],
        ["aaa", "b", ""],
      ]),
    ).toBe("A     LONG   C\naaa   b\n"));
  test("a line of progress fits its terminal", () => {
    const line = { phase: "downloading", done: 5_000_000, total: 10_000_000 } as const;
    expect(progressLine(sha, line, 80)).toBe("abababababab: Downloading [============>           ] 5MB/10MB");
    expect(progressLine(sha, line, 45)).toBe("abababababab: Downloading 5MB/10MB");
    expect(progressLine(sha, { ...line, phase: "exists" }, 80)).toBe("abababababab: Already exists");
  });
  test.each<[string[], object]>([
    [['CMD ["a","b"]'], { Cmd: ["a", "b"] }],
    [["cmd a b"], { Cmd: ["/bin/sh", "-c", "a b"] }],
    [["ENV A=b c", "ENV B x y"], { Env: ["A=b c", "B=x y"] }],
    [['ENTRYPOINT ["x"]', "USER u", "WORKDIR /w"], { Entrypoint: ["x"], User: "u", WorkingDir: "/w" }],
  ])("--change %p", (lines, config) => expect<object>(parseChanges(lines)).toEqual(config));
  test.each(["EXPOSE 80", "CMD", ""])("--change %p is refused", (line) =>
    expect(() => parseChanges([line])).toThrow("--change"),
  );
});
