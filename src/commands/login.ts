// nsk login and nsk logout: docker's, in docker's own file, so that a login of the one is one of the other.

import { cString } from "../abi/bytes.ts";
import { HostError, StepError, UsageError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import { AT_FDCWD } from "../abi/flags.ts";
import { writeWhole } from "../backends/file.ts";
import type { Host } from "../host/host.ts";
import { openClient } from "../images/client.ts";
import { credentialsFor, serverOf, withLogin } from "../images/credentials.ts";
import { parseReference } from "../images/reference.ts";
import { address, readAll, syscall, writeAll } from "../sys/linux.ts";
import { readLine } from "../sys/terminal.ts";
import { command } from "./command.ts";
import { runHelper } from "../run/credential-helper.ts";
import { dockerConfig, dockerDirectory, parseTlsVerify } from "../run/fetch.ts";
import { registryOptions } from "./registry-options.ts";
import { print } from "./output.ts";

/** What may stand for a registry: `ghcr.io`, or the URL that old versions of docker have. Docker's own unless given. */
const domainOf = (operands: readonly string[]): string => {
  const [text = "docker.io", more] = operands;
  if (more !== undefined) throw new UsageError(`one registry, and no '${more}' behind it`);
  const bare = text.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  const { domain } = parseReference(`${bare}/x`);
  // Without a dot or a port it would be the first part of a repository of docker's.
  if (domain === "docker.io" && !/^(?:index\.)?docker\.io$/.test(bare))
    throw new UsageError(`'${text}' is no registry`, "a host, e.g. ghcr.io or localhost:5000");
  return domain;
};

const configFile = (host: Host): string => {
  const directory = dockerDirectory(host);
  if (directory === undefined)
    throw new HostError("there is no place for logins: neither DOCKER_CONFIG nor HOME is set");
  return `${directory}/config.json`;
};

const writeConfig = (host: Host, text: string): void => {
  const file = configFile(host);
  const directory = cString(file.slice(0, file.lastIndexOf("/")));
  const made = syscall("mkdirat", AT_FDCWD, address(directory), 0o700);
  if (made < 0 && made !== -errno("EEXIST")) throw new StepError(`make ${dockerDirectory(host)}`, -made);
  writeWhole(file, text, 0o600);
};

export const login = command({
  definition: {
    meta: {
      name: "login",
      description:
        "Log in to a registry (docker's own unless one is named). The password is tried, and kept where docker keeps it: " +
        "by the helper that its config.json names, or in that file.",
    },
    args: {
      username: {
        type: "string",
        alias: "u",
        valueHint: "name",
        description: "the user; asked for on a terminal",
      },
      password: {
        type: "string",
        alias: "p",
        valueHint: "password",
        description: "the password, which everybody on this machine can read then",
      },
      passwordStdin: { type: "boolean", description: "the password from standard input" },
      tlsVerify: registryOptions.tlsVerify,
    },
  },
  usage: "[options] [<registry>]",
  permute: true,
  failure: 1,
  run: async ({ options, operands, host, name }) => {
    const domain = domainOf(operands);
    const tlsVerify = parseTlsVerify(options.tlsVerify);
    if (options.password !== undefined && options.passwordStdin)
      throw new UsageError("--password and --password-stdin are two passwords");
    if (options.passwordStdin && options.username === undefined)
      throw new UsageError("--password-stdin needs --username");
    // A file that makes no sense is one before anybody has typed anything, and nothing of it is written over.
    const known = credentialsFor(dockerConfig(host), domain);
    const isAsked = options.password === undefined && !options.passwordStdin;
    if ((isAsked || options.username === undefined) && !host.isTerminal(0))
      throw new HostError(
        "standard input is no terminal, and there is nobody to ask",
        `${name} -u USER --password-stdin ${domain} <FILE`,
      );
    if (options.password !== undefined)
      writeAll(2, `${name}: --password can be read by others while it runs; --password-stdin cannot\n`);
    const user = options.username ?? readLine(0, "Username: ", true);
    const password =
      options.password ?? (options.passwordStdin ? readPassword() : readLine(0, "Password: ", false));
    if (user === undefined || password === undefined) throw new HostError("nothing was typed");
    if (user === "" || password === "")
      throw new UsageError(`the ${user === "" ? "user" : "password"} is empty`);
    if (user.includes(":")) throw new UsageError("a user's name has no colon in it");

    const client = openClient({ domain, path: "" }, "", {
      tlsVerify,
      credentials: async () => ({ user, password }),
    });
    await client.persist(async () => {
      const { response, done } = await client.request("registry of this interface", "/v2/");
      done();
      await response.body?.cancel();
    });
    if (known.helper !== undefined) {
      const entry = { ServerURL: serverOf(domain), Username: user, Secret: password };
      await runHelper(known.helper, "store", JSON.stringify(entry), host);
      writeConfig(host, withLogin(dockerConfig(host), domain, "by a helper"));
    } else {
      writeConfig(host, withLogin(dockerConfig(host), domain, { user, password }));
      writeAll(
        2,
        `${name}: the password is in ${configFile(host)}, unencrypted: a credsStore there would keep it\n`,
      );
    }
    print("Login Succeeded\n");
    return 0;
  },
});

/** Standard input without the newline at its end. */
const readPassword = (): string => {
  const bytes = readAll(0);
  if (typeof bytes === "number") throw new StepError("read standard input", -bytes);
  return new TextDecoder().decode(bytes).replace(/\r?\n$/, "");
};

export const logout = command({
  definition: {
    meta: {
      name: "logout",
      description: "Forget the login of a registry (docker's own unless one is named).",
    },
    args: {},
  },
  usage: "[<registry>]",
  permute: true,
  failure: 1,
  run: async ({ operands, host }) => {
    const domain = domainOf(operands);
    const text = dockerConfig(host);
    const { helper, stored } = credentialsFor(text, domain);
    const kept = helper === undefined ? undefined : await runHelper(helper, "get", serverOf(domain), host);
    if (stored === undefined && kept === undefined) {
      print(`Not logged in to ${domain}\n`);
      return 0;
    }
    if (kept !== undefined) await runHelper(helper!, "erase", serverOf(domain), host);
    writeConfig(host, withLogin(text, domain, undefined));
    print(`Removing login credentials for ${domain}\n`);
    return 0;
  },
});
