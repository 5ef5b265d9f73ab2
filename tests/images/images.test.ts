// Images as their user has them: pulled from Debian's docker-registry, imported from what skopeo writes, listed, run
// and removed, by several at once and through kills.

import { afterAll, beforeAll, describe, expect } from "bun:test";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "../containers/containers.ts";
import { needs, testNeeding } from "../support/needs.ts";
import { nsk, type Ran, runCommand } from "../support/nsk.ts";
import { debianRoot, NEEDS as DEBIAN_NEEDS } from "./debian-root.ts";
import { gzipped, type Member, tarOf } from "./tar.ts";

const asRoot = testNeeding("root", nsk);
const withBusybox = testNeeding("root", nsk, "busybox");
const NEEDED = ["root", nsk, "busybox", "docker-registry", "skopeo"] as const;
const withRegistry = testNeeding(...NEEDED);

const scratch = mkdtempSync(join(tmpdir(), "nsk-images-"));
let stores = 0;

interface Stored {
  readonly path: string;
  /** Runs nsk over this store. */
  run(...words: string[]): Ran;
}

const openStore = (env: Record<string, string> = {}): Stored => {
  const path = join(scratch, `store${++stores}`);
  const all = { NSK_STORE: path, DOCKER_CONFIG: join(scratch, "no-config"), ...env };
  return { path, run: (...words) => runCommand([nsk, ...words], all) };
};

/** The output of a command that ends well and says nothing on the side. */
const output = ({ status, stdout, stderr }: Ran): string => {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return stdout;
};

const applets = ["sh", "ls", "cat", "true", "id", "env", "pwd", "sleep", "stat"];

/** A root with busybox, and two users. */
const busyboxMembers = (): Member[] => [
  { name: "bin/", type: "5", mode: 0o755 },
  { name: "bin/busybox", content: readFileSync(Bun.which("busybox")!), mode: 0o755 },
  ...applets.map((name) => ({ name: `bin/${name}`, type: "2", target: "busybox" })),
  { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n" },
  { name: "etc/group", content: "root:x:0:\napp:x:1000:\nextra:x:77:app\n" },
];

const sha = (bytes: Uint8Array): string => new Bun.CryptoHasher("sha256").update(bytes).digest("hex");

/** What `docker save` writes of an image with these layers. */
const savedImage = (name: string, config: object, ...layers: Uint8Array[]): string => {
  const text = JSON.stringify({
    os: "linux",
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    created: "2020-01-02T03:04:05Z",
    config,
    rootfs: { type: "layers", diff_ids: layers.map((layer) => `sha256:${sha(layer)}`) },
  });
  const id = sha(new TextEncoder().encode(text));
  const manifest = [
    { Config: `${id}.json`, RepoTags: [name], Layers: layers.map((layer) => `${sha(layer)}/layer.tar`) },
  ];
  const path = join(scratch, `saved${++stores}.tar`);
  writeFileSync(
    path,
    tarOf(
      { name: `${id}.json`, content: text },
      ...layers.map((layer) => ({ name: `${sha(layer)}/layer.tar`, content: layer })),
      { name: "manifest.json", content: JSON.stringify(manifest) },
    ),
  );
  return path;
};

/** The tar of a busybox root, made once. */
let rootTar: string | undefined;
const rootArchive = (): string => {
  rootTar ??= join(scratch, "root.tar");
  if (!existsSync(rootTar)) writeFileSync(rootTar, tarOf(...busyboxMembers()));
  return rootTar;
};

const INDEX = "application/vnd.oci.image.index.v1+json";

const registries: Bun.Subprocess[] = [];

/** Debian's registry on a free port; its host and port. */
const startRegistry = async (auth = ""): Promise<string> => {
  // A port that was free a moment ago may be taken by now: then the next one.
  for (let attempt = 0; attempt < 5; attempt++) {
    const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const { port } = probe;
    await probe.stop(true);
    const directory = join(scratch, `registry-${port}`);
    mkdirSync(directory);
    const config = join(directory, "config.yml");
    writeFileSync(
      config,
      `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${directory}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\n${auth}`,
    );
    const child = Bun.spawn(["docker-registry", "serve", config], { stdio: ["ignore", "ignore", "ignore"] });
    registries.push(child);
    const answers = (): Promise<boolean> =>
      fetch(`http://127.0.0.1:${port}/v2/`).then(
        ({ status }) => status === 200 || status === 401,
        () => false,
      );
    await until("the registry answers", async () => child.exitCode !== null || (await answers()));
    if (child.exitCode === null) return `127.0.0.1:${port}`;
  }
  throw new Error("no registry came up");
};

afterAll(async () => {
  for (const child of registries) {
    child.kill("SIGKILL");
    await child.exited;
  }
  rmSync(scratch, { recursive: true, force: true });
});

const skopeo = (...words: string[]): void => {
  const { exitCode, stderr } = Bun.spawnSync(["skopeo", "--insecure-policy", "copy", "-q", ...words], {
    stderr: "pipe",
  });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
};

describe("with a registry", () => {
  let host = "";
  beforeAll(async () => {
    if (needs(...NEEDED)) return;
    host = await startRegistry();
    const saved = savedImage(
      "base:1",
      { Cmd: ["cat", "/greeting"], Env: ["WHO=image"] },
      tarOf(...busyboxMembers()),
      tarOf({ name: "greeting", content: "hello\n" }),
    );
    for (const tag of ["1", "2"])
      skopeo("--dest-tls-verify=false", `docker-archive:${saved}`, `docker://${host}/team/app:${tag}`);
  });

  withRegistry("an image is pulled, listed, run and removed; in a pipe only data is said", () => {
    const { run, path } = openStore();
    const name = `${host}/team/app:1`;
    expect(output(run("pull", name))).toBe(`${name}\n`);
    const [head, row, ...more] = output(run("images")).trim().split("\n");
    expect(head).toMatch(/^REPOSITORY {2,}TAG {2,}IMAGE ID {2,}CREATED {2,}SIZE$/);
    expect(row).toMatch(new RegExp(`^${host}/team/app +1 +[0-9a-f]{12} +\\d+ years ago +[\\d.]+MB$`));
    expect(more).toEqual([]);
    expect(output(run("run", name))).toBe("hello\n");
    expect(output(run("run", name, "sh", "-c", "echo $WHO"))).toBe("image\n");
    const [image] = JSON.parse(output(run("images", "--json")));
    expect(image).toMatchObject({ repository: `${host}/team/app`, tag: "1", name });
    expect(output(run("images", "-q"))).toBe(`${image.id.slice(7, 19)}\n`);
    expect(output(run("rmi", name))).toBe(`Untagged: ${name}\nDeleted: ${image.id}\n`);
    expect(output(run("images", "-q"))).toBe("");
    for (const left of ["blobs/sha256", "layers", "tmp"]) expect(readdirSync(join(path, left))).toEqual([]);
  });
  withRegistry("run pulls what is not there yet, and --explain does not", () => {
    const { run, path } = openStore();
    const explained = run("run", "--explain", `${host}/team/app:1`);
    expect([explained.status, explained.stderr]).toEqual([
      125,
      `nsk run: ${host}/team/app:1 is not in the store\nhint: nsk pull ${host}/team/app:1\n`,
    ]);
    expect(existsSync(path)).toBe(false);
    const ran = run("run", `docker://${host}/team/app:1`);
    expect([ran.status, ran.stdout, ran.stderr]).toEqual([
      0,
      "hello\n",
      `nsk run: no image '${host}/team/app:1' here yet, pulling it\n`,
    ]);
    expect(output(run("run", "--explain", `${host}/team/app:1`))).toMatch(
      /lowerdir=[^:,]+\/diff:[^:,]+\/diff,/,
    );
  });
  withRegistry("an image of nsk's own is pushed, and is the same one for whoever pulls it", () => {
    const { run } = openStore();
    output(run("import", "-c", 'CMD ["cat","/etc/passwd"]', rootArchive(), "mine"));
    const pushed = output(run("push", "mine", `${host}/own/mine:1`)).trim();
    const [{ digest }] = JSON.parse(output(run("images", "--json")));
    expect(pushed).toBe(`${host}/own/mine@${digest}`);
    const other = openStore();
    output(other.run("pull", `${host}/own/mine:1`));
    expect(output(other.run("run", `${host}/own/mine:1`))).toContain("app:x:1000");
    expect(JSON.parse(output(other.run("images", "--json")))[0]).toMatchObject({ digest });
    skopeo("--src-tls-verify=false", `docker://${host}/own/mine:1`, `oci:${scratch}/pushed:1`);
    // What was pulled goes out again as it came: nothing has to be sent, and the digest stays.
    expect(output(other.run("push", `${host}/own/mine:1`)).trim()).toBe(pushed);
    output(run("pull", `${host}/team/app:1`));
    const [pulled] = JSON.parse(output(run("images", "--json")));
    expect(output(run("push", `${host}/team/app:1`, `${host}/other/app`)).trim()).toBe(
      `${host}/other/app@${pulled.digest}`,
    );
    expect(run("push", "none")).toMatchObject({ status: 1, stderr: "nsk push: no such image: none\n" });
  });
  testNeeding(...NEEDED, ...DEBIAN_NEEDS)(
    "a Debian root goes to a registry and comes back, and its programs run",
    () => {
      const debian = debianRoot();
      if (!debian) return; // said there
      const { run } = openStore();
      output(run("import", debian, `${host}/debian/root:1`));
      output(run("push", `${host}/debian/root:1`));
      const other = openStore();
      output(other.run("pull", `${host}/debian/root:1`));
      const program = ["perl", "-e", 'printf "%o %s\\n", (stat "/bin/mount")[2], -e "/etc/login.defs"'];
      expect(output(other.run("run", `${host}/debian/root:1`, ...program))).toBe("104755 1\n");
    },
    300_000,
  );
  withRegistry("run --pull: never, always, and where it is missing", () => {
    const { run } = openStore();
    const name = `${host}/moving/app:1`;
    const push = (word: string): void => {
      const maker = openStore();
      output(maker.run("import", "-c", `CMD ["sh","-c","echo ${word}"]`, rootArchive(), name));
      output(maker.run("push", name));
    };
    push("old");
    expect(run("run", "--pull", "never", name)).toMatchObject({
      status: 125,
      stderr: `nsk run: ${name} is not in the store\nhint: nsk pull ${name}\n`,
    });
    expect(run("run", "--pull=missing", name).stdout).toBe("old\n");
    push("new");
    expect(output(run("run", name))).toBe("old\n");
    expect(output(run("run", "--pull=never", name))).toBe("old\n");
    expect(output(run("run", "--pull=always", name))).toBe("new\n");
    expect(run("run", "--pull", "often", name)).toMatchObject({
      status: 125,
      stderr: "nsk run: --pull is always, missing or never, not 'often'\n",
    });
    expect(run("run", "--pull", "always", "--", "true").stderr).toBe(
      "nsk run: --pull is for images, and none is named\n",
    );
  });
  withRegistry(
    "run --platform: an image that is here for another platform is pulled for this one",
    async () => {
      const name = `${host}/two/app:1`;
      const [own, other] = process.arch === "arm64" ? ["arm64", "amd64"] : ["amd64", "arm64"];
      const manifests = [own!, other!].map((architecture) => {
        const maker = openStore();
        output(
          maker.run(
            ...[
              "import",
              "--platform",
              `linux/${architecture}`,
              "-c",
              `CMD ["sh","-c","echo ${architecture}"]`,
            ],
            ...[rootArchive(), "part"],
          ),
        );
        output(maker.run("push", "part", `${host}/two/app:${architecture}`));
        const { manifests } = JSON.parse(readFileSync(join(maker.path, "index.json"), "utf8"));
        return { ...manifests[0], annotations: undefined };
      });
      expect(manifests.map(({ platform }) => platform.architecture)).toEqual([own, other]);
      const index = JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests });
      const put = await fetch(`http://${host}/v2/two/app/manifests/1`, {
        method: "PUT",
        headers: { "Content-Type": INDEX },
        body: index,
      });
      expect(put.status).toBe(201);
      const { run } = openStore();
      expect(run("run", name).stdout).toBe(`${own}\n`);
      expect(run("run", "--pull=never", "--platform", `linux/${other}`, name)).toMatchObject({
        status: 125,
        stderr: `nsk run: ${name} is here for linux/${own} only\nhint: nsk pull --platform linux/${other} ${name}\n`,
      });
      // Busybox is this machine's in both, so the other one runs too.
      expect(run("run", "--platform", `linux/${other}`, name)).toMatchObject({
        stdout: `${other}\n`,
        stderr: `nsk run: '${name}' is here for linux/${own} only, pulling it\n`,
      });
      expect(output(run("run", "--platform", `linux/${other}`, name))).toBe(`${other}\n`);
      expect(output(run("run", name))).toBe(`${other}\n`);
      expect(run("run", "--platform", "linux/s390x", name).stderr).toContain(
        "no image for linux/s390x\nhint: it has ",
      );
    },
  );
  withRegistry("by its digest, under which it is found again", () => {
    const { run } = openStore();
    output(run("pull", `${host}/team/app:1`));
    const [{ digest }] = JSON.parse(output(run("images", "--json")));
    expect(output(run("run", `${host}/team/app@${digest}`))).toBe("hello\n");
    expect(output(run("pull", `${host}/team/app@${digest}`))).toBe(`${host}/team/app@${digest}\n`);
  });
  withRegistry("which ps -a shows of its containers", () => {
    const { run } = openStore();
    const id = run("run", "-d", `${host}/team/app:1`).stdout.trim();
    expect(run("wait", id).stdout).toBe("0\n");
    expect(output(run("ps", "-a"))).toMatch(new RegExp(`^${id} +${host}/team/app:1 +\\S+.* Exited`, "m"));
    output(run("rm", id));
  });
  withRegistry("what is not there is one line, and leaves nothing", () => {
    const { run, path } = openStore();
    const { status, stdout, stderr } = run("pull", `${host}/team/none:1`);
    expect([status, stdout, stderr]).toEqual([
      1,
      "",
      `nsk pull: ${host}/team/none:1: ${host} has no such image\n`,
    ]);
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
  });
  withRegistry("several at once lose nothing", async () => {
    const { path, run } = openStore();
    const names = ["1", "2", "1", "2", "1", "2"].map((tag) => `${host}/team/app:${tag}`);
    const children = names.map((name) =>
      Bun.spawn([nsk, "pull", name], {
        env: { ...process.env, NSK_STORE: path },
        stdio: ["ignore", "ignore", "inherit"],
      }),
    );
    expect(await Promise.all(children.map(({ exited }) => exited))).toEqual(names.map(() => 0));
    const listed = JSON.parse(output(run("images", "--json"))).map(({ name }: { name: string }) => name);
    expect(listed.sort()).toEqual([...new Set(names)].sort());
    expect(output(run("run", names[1]!))).toBe("hello\n");
    output(run("rmi", names[0]!)); // and opens the store alone, which clears it
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
    expect(output(run("run", names[1]!))).toBe("hello\n");
  });
  withRegistry("a kill at any moment leaves nothing half-made, and what was whole is kept", async () => {
    const { path, run } = openStore();
    const name = `${host}/team/app:1`;
    const list = (directory: string): string[] => {
      try {
        return readdirSync(join(path, directory), { recursive: true }) as string[];
      } catch {
        return []; // not there yet, or gone meanwhile
      }
    };
    const state = (): string => `${list("tmp").length} ${list("blobs").length} ${list("layers").length}`;
    for (let delay = 1; !existsSync(`${path}/index.json`); delay *= 2) {
      const child = Bun.spawn([nsk, "pull", name], {
        env: { ...process.env, NSK_STORE: path },
        stdio: ["ignore", "ignore", "ignore"],
      });
      const before = state();
      // As soon as something has happened in the store, and a little later each time.
      await until("it works", () => child.exitCode !== null || state() !== before);
      await Bun.sleep(delay);
      child.kill("SIGKILL");
      await child.exited;
      for (const blob of existsSync(`${path}/blobs`) ? readdirSync(`${path}/blobs/sha256`) : [])
        expect(sha(readFileSync(`${path}/blobs/sha256/${blob}`))).toBe(blob);
      for (const layer of existsSync(`${path}/layers`) ? readdirSync(`${path}/layers`) : [])
        expect(readdirSync(`${path}/layers/${layer}`).sort()).toEqual(["diff", "size"]);
    }
    output(run("pull", name));
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
    expect(output(run("run", name))).toBe("hello\n");
  });
  withRegistry("the progress is drawn on a terminal, and -q is quiet there too", () => {
    const draw = (...words: string[]): string => {
      const { path } = openStore();
      const command = ["env", `NSK_STORE=${path}`, nsk, "pull", ...words, `${host}/team/app:1`].join(" ");
      return runCommand(["script", "-qec", command, "/dev/null"]).stdout;
    };
    const drawn = draw();
    expect(drawn).toMatch(/[0-9a-f]{12}: Pull complete/);
    expect(drawn).toContain(`Status: Downloaded newer image for ${host}/team/app:1`);
    expect(draw("-q")).toBe(`${host}/team/app:1\r\n`);
  });
  withRegistry(
    "what skopeo writes is imported: archives, layouts, compressed or not; each is the same image",
    () => {
      const { run } = openStore();
      const from = `docker://${host}/team/app:1`;
      const places = ["docker-archive:a.tar:x/saved:1", "oci-archive:b.tar:x/layout:1", "oci:layout:1"];
      for (const place of places) skopeo("--src-tls-verify=false", from, place.replace(":", `:${scratch}/`));
      Bun.spawnSync(["gzip", "-k", join(scratch, "a.tar")]);
      Bun.spawnSync(["zstd", "-q", join(scratch, "b.tar")]);
      for (const file of ["a.tar", "b.tar", "a.tar.gz", "b.tar.zst", "layout"])
        output(run("import", join(scratch, file), `local/${file.replaceAll(".", "-")}`));
      const listed: { id: string; name: string }[] = JSON.parse(output(run("images", "--json")));
      expect(listed.length).toBe(5);
      // skopeo writes the config anew for the formats of OCI, so these are one image and those another.
      const isDocker = ({ name }: { name: string }): boolean => name.includes("/a-tar");
      for (const same of [listed.filter(isDocker), listed.filter((it) => !isDocker(it))])
        expect(new Set(same.map(({ id }) => id)).size).toBe(1);
      expect(output(run("run", "local/layout"))).toBe("hello\n");
      expect(output(run("import", join(scratch, "a.tar")))).toBe("docker.io/x/saved:1\n");
      // And the other way: the store is a layout itself.
      skopeo(`oci:${openedAs(run)}`, `oci:${scratch}/copied:1`);
      expect(existsSync(join(scratch, "copied/index.json"))).toBe(true);
    },
  );
  const openedAs = (run: Stored["run"]): string => {
    const [{ name }] = JSON.parse(output(run("images", "--json")));
    return `${join(scratch, `store${stores}`)}:${name}`;
  };
});

/** A registry that lets in `me` with the password `secret`. */
const startGuarded = (): Promise<string> => {
  const users = join(scratch, "htpasswd");
  writeFileSync(users, `me:${Bun.password.hashSync("secret", { algorithm: "bcrypt", cost: 4 })}\n`);
  return startRegistry(`auth: {htpasswd: {realm: test, path: ${users}}}\n`);
};

withRegistry("login and logout: what is right is kept where docker keeps it", async () => {
  const host = await startGuarded();
  const directory = join(scratch, "login/.docker");
  mkdirSync(join(scratch, "login"));
  const env = { DOCKER_CONFIG: directory, NSK_STORE: join(scratch, "login/store") };
  const login = (password: string, ...words: string[]): Ran =>
    runCommand(["sh", "-c", 'printf "%s\\n" "$0" | "$@"', password, nsk, "login", ...words], env);
  const right = ["-u", "me", "--password-stdin", host];
  expect(login("wrong", ...right)).toMatchObject({
    status: 1,
    stdout: "",
    stderr: `nsk login: ${host}: access denied\nhint: user or password are not right\n`,
  });
  expect(existsSync(directory)).toBe(false);
  const file = join(directory, "config.json");
  expect(login("secret", ...right)).toEqual({
    status: 0,
    signal: undefined,
    stdout: "Login Succeeded\n",
    stderr: `nsk login: the password is in ${file}, unencrypted: a credsStore there would keep it\n`,
  });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  const auth = Buffer.from("me:secret").toString("base64");
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ auths: { [host]: { auth } } });
  // It is docker's own file: skopeo gets in by it, and nsk.
  const saved = savedImage("x:1", { Cmd: ["/x"] }, tarOf({ name: "x", content: "x" }));
  skopeo(
    ...["--authfile", file, "--dest-tls-verify=false"],
    ...[`docker-archive:${saved}`, `docker://${host}/x:1`],
  );
  expect(output(runCommand([nsk, "pull", `${host}/x:1`], env))).toBe(`${host}/x:1\n`);

  writeFileSync(file, JSON.stringify({ detachKeys: "ctrl-q", auths: { other: { auth }, [host]: { auth } } }));
  expect(output(runCommand([nsk, "logout", host], env))).toBe(`Removing login credentials for ${host}\n`);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({
    detachKeys: "ctrl-q",
    auths: { other: { auth } },
  });
  expect(output(runCommand([nsk, "logout", host], env))).toBe(`Not logged in to ${host}\n`);

  // A helper keeps it, and nothing of it is in the file.
  const bin = join(scratch, "login/bin");
  mkdirSync(bin);
  writeFileSync(
    join(bin, "docker-credential-keep"),
    '#!/bin/sh\ncd "${0%/*}"\ncase $1 in store) cat >kept;; erase) rm kept;; get) cat kept 2>/dev/null || { echo credentials not found in native keychain; exit 1; };; esac\n',
    { mode: 0o755 },
  );
  writeFileSync(file, JSON.stringify({ credsStore: "keep" }));
  const PATH = `${bin}:${process.env.PATH}`;
  expect(runCommand(["sh", "-c", `echo secret | ${nsk} login ${right.join(" ")}`], { ...env, PATH })).toEqual(
    {
      status: 0,
      signal: undefined,
      stdout: "Login Succeeded\n",
      stderr: "",
    },
  );
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ credsStore: "keep", auths: { [host]: {} } });
  expect(JSON.parse(readFileSync(join(bin, "kept"), "utf8"))).toEqual({
    ServerURL: host,
    Username: "me",
    Secret: "secret",
  });
  expect(output(runCommand([nsk, "pull", `${host}/x:1`], { ...env, PATH }))).toBe(`${host}/x:1\n`);
  expect(output(runCommand([nsk, "logout", host], { ...env, PATH }))).toContain("Removing");
  expect(existsSync(join(bin, "kept"))).toBe(false);

  // What cannot be asked for is said; a file that makes no sense is left as it is.
  expect(runCommand([nsk, "login", host], env).stderr).toStartWith(
    "nsk login: standard input is no terminal, and there is nobody to ask\nhint: ",
  );
  expect(runCommand([nsk, "login", "-u", "x", "-p", "y", "foo"], env).stderr).toStartWith(
    "nsk login: 'foo' is no registry\n",
  );
  writeFileSync(file, "{");
  expect(login("secret", ...right).stderr).toBe("nsk login: docker's config.json is not JSON\n");
  expect(readFileSync(file, "utf8")).toBe("{");
});

withRegistry("login asks on a terminal, and the password is not shown", async () => {
  const host = await startGuarded();
  const directory = join(scratch, "asked");
  let shown = "";
  const child = Bun.spawn([nsk, "login", host], {
    env: { ...process.env, DOCKER_CONFIG: directory },
    terminal: { data: (_, bytes) => void (shown += new TextDecoder().decode(bytes)) },
  });
  await until("it asks", () => shown.includes("Username: "));
  child.terminal!.write("mx\x7fe\r");
  await until("it asks on", () => shown.includes("Password: "));
  child.terminal!.write("secret\r");
  expect(await child.exited).toBe(0);
  expect(shown).toContain("Login Succeeded");
  expect(shown).not.toContain("secret");
  expect(readFileSync(join(directory, "config.json"), "utf8")).toContain('"auth"');

  shown = "";
  const stopped = Bun.spawn([nsk, "login", "-u", "me", host], {
    env: { ...process.env, DOCKER_CONFIG: directory },
    terminal: { data: (_, bytes) => void (shown += new TextDecoder().decode(bytes)) },
  });
  await until("it asks", () => shown.includes("Password: "));
  stopped.terminal!.write("\x03");
  await stopped.exited;
  expect(stopped.signalCode).toBe("SIGINT");
});

withRegistry("a registry with users: docker's config.json opens it", async () => {
  const host = await startGuarded();
  const saved = savedImage("x:1", { Cmd: ["/x"] }, tarOf({ name: "x", content: "x" }));
  skopeo(
    "--dest-tls-verify=false",
    "--dest-creds=me:secret",
    `docker-archive:${saved}`,
    `docker://${host}/x:1`,
  );
  const configDirectory = (config: object): string => {
    const directory = mkdtempSync(join(scratch, "docker-"));
    writeFileSync(join(directory, "config.json"), JSON.stringify(config));
    return directory;
  };
  const withConfig = (config: object, env: Record<string, string> = {}): Ran =>
    openStore({ DOCKER_CONFIG: configDirectory(config), ...env }).run("pull", `${host}/x:1`);
  const auth = Buffer.from("me:secret").toString("base64");
  expect(output(withConfig({ auths: { [host]: { auth } } }))).toBe(`${host}/x:1\n`);
  expect(withConfig({})).toMatchObject({
    status: 1,
    stderr: expect.stringContaining(`${host}/x:1: access denied\nhint: `),
  });

  const bin = join(scratch, "bin");
  mkdirSync(bin);
  const helper = (name: string, ...lines: string[]): void =>
    writeFileSync(join(bin, `docker-credential-${name}`), ["#!/bin/sh", ...lines, ""].join("\n"), {
      mode: 0o755,
    });
  helper("right", `test "$1 $(cat)" = "get ${host}" || exit 9`, `echo '{"Username":"me","Secret":"secret"}'`);
  helper("empty", "echo credentials not found in native keychain", "exit 1");
  helper("broken", "echo the keyring is locked", "exit 1");
  const PATH = `${bin}:${process.env.PATH}`;
  expect(output(withConfig({ credHelpers: { [host]: "right" } }, { PATH }))).toBe(`${host}/x:1\n`);
  expect(output(withConfig({ credsStore: "right" }, { PATH }))).toBe(`${host}/x:1\n`);
  expect(output(withConfig({ auths: { [host]: { auth } }, credsStore: "empty" }, { PATH }))).toBe(
    `${host}/x:1\n`,
  );
  expect(withConfig({ credsStore: "empty" }, { PATH }).stderr).toContain("access denied");
  expect(withConfig({ credsStore: "broken" }, { PATH }).stderr).toBe(
    "nsk pull: docker-credential-broken: the keyring is locked\n",
  );
  expect(withConfig({ credsStore: "absent" }, { PATH }).stderr).toStartWith(
    "nsk pull: there is no docker-credential-absent in PATH\nhint: ",
  );

  const store = openStore({ DOCKER_CONFIG: join(scratch, "nobody") });
  output(store.run("import", saved));
  expect(store.run("push", "x:1", `${host}/new:1`)).toMatchObject({
    status: 1,
    stdout: "",
    stderr: `nsk push: ${host}/new:1: access denied\nhint: to push wants a login: nsk login ${host}\n`,
  });
  const mine = openStore({ DOCKER_CONFIG: configDirectory({ auths: { [host]: { auth } } }) });
  output(mine.run("import", saved));
  expect(output(mine.run("push", "x:1", `${host}/new:1`))).toStartWith(`${host}/new@sha256:`);
  output(mine.run("pull", `${host}/new:1`));
});

/** Does something while a container runs from an image of the store at `path`. */
const whileRunning = async (path: string, image: readonly string[], work: () => void): Promise<void> => {
  const child = Bun.spawn([nsk, "run", ...image, "sh", "-c", "echo ready; sleep 60"], {
    env: { ...process.env, NSK_STORE: path },
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const reader = child.stdout.getReader();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("ready\n");
    work();
  } finally {
    child.kill("SIGTERM");
    child.kill("SIGKILL");
    await child.exited;
  }
};

describe("imported images", () => {
  withBusybox("a root's tar with --change; its config is applied as docker's", () => {
    const { run } = openStore();
    const changes = [
      'ENTRYPOINT ["sh","-c"]',
      'CMD ["id; pwd; echo $A $HOME"]',
      "ENV A=b c",
      "USER app",
      "WORKDIR /etc",
    ];
    expect(output(run("import", ...changes.flatMap((change) => ["-c", change]), rootArchive(), "mine"))).toBe(
      "docker.io/library/mine:latest\n",
    );
    const id = "uid=1000(app) gid=1000(app) groups=77(extra)\n";
    expect(output(run("run", "mine"))).toBe(`${id}/etc\nb c /home/app\n`);
    expect(output(run("run", "-u", "0", "-w", "/bin", "-e", "A=x", "mine"))).toContain("/bin\nx /root\n");
    expect(output(run("run", "mine", "echo other"))).toBe("other\n");
    expect(output(run("run", "--image", "mine", "--", "echo also"))).toBe("also\n");
  });
  withBusybox("upper layers hide, replace and add", () => {
    const { run } = openStore();
    const saved = savedImage(
      "stacked:1",
      { Cmd: ["sh", "-c", "ls / /dir /opaque; cat /etc/motd; id app"] },
      tarOf(
        ...busyboxMembers(),
        { name: "gone", content: "" },
        { name: "dir/", type: "5", mode: 0o755 },
        { name: "dir/a", content: "" },
        { name: "dir/b", content: "" },
        { name: "opaque/", type: "5", mode: 0o755 },
        { name: "opaque/old", content: "" },
        { name: "etc/motd", content: "old\n" },
      ),
      tarOf(
        { name: ".wh.gone" },
        { name: "dir/.wh.a" },
        { name: "opaque/", type: "5", mode: 0o755 },
        { name: "opaque/.wh..wh..opq" },
        { name: "opaque/new", content: "" },
        { name: "etc/motd", content: "new\n" },
        { name: "etc/passwd", content: "root:x:0:0::/root:/bin/sh\napp:x:5:5::/:/bin/sh\n" },
      ),
    );
    output(run("import", saved));
    expect(output(run("run", "stacked:1"))).toBe(
      "/:\nbin\ndev\ndir\netc\nopaque\nproc\nsys\n\n/dir:\nb\n\n/opaque:\nnew\nnew\nuid=5(app) gid=5 groups=5,77(extra)\n",
    );
    // The user is looked up in what the upper layer made of the file.
    expect(output(run("run", "-u", "app", "stacked:1", "id", "-u"))).toBe("5\n");
  });
  withBusybox("as many layers as docker has: 127", () => {
    const { path, run } = openStore();
    const upper = Array.from({ length: 126 }, (_, i) =>
      tarOf({ name: `layer/${i}`, content: "" }, { name: "last", content: `${i}` }),
    );
    output(run("import", savedImage("high:1", {}, tarOf(...busyboxMembers()), ...upper)));
    const script = ["sh", "-c", "set -- /layer/*; echo $#; cat /last"];
    expect(output(run("run", "high:1", ...script))).toBe("126\n125");
    // What is shown can be taken at its word: the working directory before it, and names of this store.
    const explained = output(run("run", "--explain", "high:1", ...script));
    expect(explained).toContain(`chdir("${path}/l")`);
    expect(explained).toMatch(/lowerdir=[\w-]{22}:[\w-]{22}:/);
    output(run("rmi", "high:1"));
    for (const left of ["layers", "l"]) expect(readdirSync(join(path, left))).toEqual([]);
  });
  withBusybox("an image of many layers stays as long as a container runs from it", async () => {
    const { path, run } = openStore();
    const upper = Array.from({ length: 60 }, (_, i) => tarOf({ name: `busy/${i}`, content: "" }));
    output(run("import", savedImage("busy:1", {}, tarOf(...busyboxMembers()), ...upper)));
    await whileRunning(path, ["busy:1"], () =>
      expect(run("rmi", "-f", "busy:1").stderr).toBe("nsk rmi: busy:1: a running container uses the image\n"),
    );
    await until("the container is gone", () => run("rmi", "busy:1").status === 0);
  });
  withBusybox("a device that an image brings is one that the container may not open", () => {
    const { run } = openStore();
    const members = [...busyboxMembers(), { name: "kmsg", type: "3", device: [1, 11] as const, mode: 0o666 }];
    output(run("import", savedImage("devices:1", {}, tarOf(...members))));
    expect(output(run("run", "devices:1", "stat", "-c", "%F", "/kmsg"))).toBe("character special file\n");
    const opened = run("run", "devices:1", "sh", "-c", "exec 3</kmsg && echo opened");
    expect([opened.status === 0, opened.stdout]).toEqual([false, ""]);
    expect(opened.stderr).toMatch(/Operation not permitted|Permission denied/);
  });
  withBusybox("what is written inside is gone afterwards", () => {
    const { run } = openStore();
    output(run("import", rootArchive(), "mine"));
    expect(output(run("run", "mine", "sh", "-c", "echo x >/new; cat /new"))).toBe("x\n");
    expect(run("run", "mine", "cat", "/new").status).toBe(1);
  });
  withBusybox("the words behind -- are a program of this machine, whatever the store has", () => {
    const { run } = openStore();
    output(run("import", rootArchive(), "true"));
    expect(output(run("run", "--", "sh", "-c", "test -e /usr && echo host"))).toBe("host\n");
    expect(run("run", "--", "true").status).toBe(0);
    expect(run("run", "true")).toMatchObject({
      status: 125,
      stderr: "nsk run: no program given, and the image names none\n",
    });
    expect(output(run("run", "true", "sh", "-c", "test -e /usr || echo image"))).toBe("image\n");
  });
  withBusybox("a file or a directory is run as it is", () => {
    const { run } = openStore();
    const saved = savedImage("x:1", { Cmd: ["sh", "-c", "echo saved"] }, tarOf(...busyboxMembers()));
    expect(output(run("run", "--image", saved))).toBe("saved\n");
    expect(output(run("run", `docker-archive:${saved}`))).toBe("saved\n");
    const directory = join(scratch, "directory");
    mkdirSync(join(directory, "bin"), { recursive: true });
    copyFileSync(Bun.which("busybox")!, join(directory, "bin/busybox"));
    expect(output(run("run", "--image", directory, "/bin/busybox", "echo", "directory"))).toBe("directory\n");
  });
  withBusybox("an image that a container runs from stays until that ends", async () => {
    const { path, run } = openStore();
    output(run("import", rootArchive(), "busy"));
    await whileRunning(path, ["busy"], () =>
      expect(run("rmi", "-f", "busy")).toMatchObject({
        status: 1,
        stderr: "nsk rmi: busy: a running container uses the image\n",
      }),
    );
    output(run("run", "--", "true")); // ends what a killed supervisor left
    await until("the container is gone", () => run("rmi", "busy").status === 0);
    expect(readdirSync(join(path, "layers"))).toEqual([]);
  });
  asRoot("rmi: by id, with several names, and a layer that another image has", () => {
    const { path, run } = openStore();
    const shared = tarOf({ name: "shared", content: "x" });
    output(run("import", savedImage("one:1", {}, shared)));
    output(run("import", savedImage("two:1", {}, shared, tarOf({ name: "own", content: "y" }))));
    const idOf = (name: string): string =>
      JSON.parse(output(run("images", "--json", name)))[0].id.slice(7, 19);
    const one = idOf("one");
    output(run("import", savedImage("again:1", {}, shared)));
    expect(run("rmi", one)).toMatchObject({
      status: 1,
      stderr: `nsk rmi: ${one}: the image has 2 names: again:1, one:1\nhint: name the one to be removed, or remove them all with -f\n`,
    });
    expect(output(run("rmi", "one:1"))).toBe("Untagged: one:1\n");
    expect(output(run("rmi", one))).toStartWith("Untagged: again:1\nDeleted: sha256:");
    expect(readdirSync(join(path, "layers")).length).toBe(2);
    const both = run("rmi", "none:1", "two:1");
    expect([both.status, both.stderr]).toEqual([1, "nsk rmi: no such image: none:1\n"]);
    expect(both.stdout).toStartWith("Untagged: two:1\nDeleted: ");
    expect(readdirSync(join(path, "layers"))).toEqual([]);
  });
  asRoot("a name that moves leaves the old image without one", () => {
    const { run } = openStore();
    output(run("import", savedImage("moved:1", { Cmd: ["a"] }, tarOf({ name: "a" }))));
    output(run("import", savedImage("moved:1", { Cmd: ["b"] }, tarOf({ name: "b" }))));
    expect(output(run("images")).replace(/ +/g, " ")).toMatch(
      /^.*\nmoved 1 \w{12} .*\n<none> <none> \w{12} .*\n$/,
    );
  });
  asRoot("from standard input, which may be a pipe", () => {
    const { path, run } = openStore();
    const command = `gzip -c ${rootArchive()} | ${nsk} import - piped`;
    expect(output(runCommand(["sh", "-c", command], { NSK_STORE: path }))).toBe(
      "docker.io/library/piped:latest\n",
    );
    expect(output(run("images", "-q")).length).toBe(13);
    output(run("rmi", "piped"));
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
  });
  asRoot("what is no image is one line, and leaves nothing", () => {
    const { path, run } = openStore();
    const text = join(scratch, "text");
    writeFileSync(text, "no archive ".repeat(500));
    const evil = join(scratch, "evil.tar");
    writeFileSync(evil, gzipped(tarOf({ name: "a" }, { name: "../evil", content: "x" })));
    for (const [words, said] of [
      [[text, "x"], "bad archive: this is no tar archive"],
      [[evil, "x"], "bad archive: '../evil' leads out of the root"],
      [[join(scratch, "nothing"), "x"], `${join(scratch, "nothing")}: no such file`],
      [[scratch, "x"], `${scratch} is a directory, and no OCI layout`],
      [[rootArchive(), "../x"], "invalid reference '../x': '..' is no host"],
      [[rootArchive(), "a/../x"], "invalid reference 'a/../x': 'a/../x' is no repository's name"],
    ] as const) {
      const { status, stdout, stderr } = run("import", ...words);
      expect([status, stdout, stderr.split("\n")[0]]).toEqual([1, "", `nsk import: ${said}`]);
    }
    expect(readdirSync(join(path, "tmp"))).toEqual([]);
    expect(readdirSync(join(path, "layers"))).toEqual([]);
    expect(existsSync(join(path, "index.json"))).toBe(false);
  });
  asRoot("the store is nobody else's to look into", () => {
    const { path, run } = openStore();
    output(run("import", rootArchive(), "x"));
    expect(Bun.spawnSync(["stat", "-c", "%a", path]).stdout.toString()).toBe("700\n");
  });
  testNeeding(
    "root",
    nsk,
    "setpriv",
  )("a plain user has a store too, with files that are all the user's", () => {
    const home = join(scratch, "home");
    mkdirSync(home);
    chmodSync(scratch, 0o755);
    const binary = join(scratch, "nsk");
    try {
      linkSync(nsk, binary);
    } catch {
      copyFileSync(nsk, binary);
    }
    const archive = join(home, "devices.tar");
    writeFileSync(
      archive,
      tarOf({ name: "null", type: "3", device: [1, 3] }, { name: "f", content: "x", uid: 5, mode: 0o4755 }),
    );
    Bun.spawnSync(["chown", "-R", "65534:65534", home]);
    const asNobody = (...words: string[]): Ran =>
      runCommand(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", binary, ...words],
        { HOME: home, PATH: "/usr/bin:/bin" },
        "alone",
      );
    expect(asNobody("import", archive, "mine")).toEqual({
      status: 0,
      signal: undefined,
      stdout: "docker.io/library/mine:latest\n",
      stderr:
        "nsk import: 1 device nodes left out: only root can make them\n" +
        "nsk import: 1 files of other users are root's, as there are no ids for these: see nsk doctor, subid\n",
    });
    const layers = join(home, ".local/share/nsk/layers");
    const [layer] = readdirSync(layers);
    expect(Bun.spawnSync(["stat", "-c", "%u %a", join(layers, layer!, "diff/f")]).stdout.toString()).toBe(
      "65534 4755\n",
    );
    expect(output(asNobody("rmi", "mine"))).toStartWith("Untagged: mine:latest\n");
  });
});
