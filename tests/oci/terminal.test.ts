// A terminal of a bundle's own: handed over by a socket, or carried in the foreground.

import { afterAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { testNeeding } from "../support/needs.ts";
import { nsk, runCommand } from "../support/nsk.ts";
import {
  type Change,
  cleanUp,
  leave,
  newBundle,
  newDirectory,
  newId,
  oci,
  stateOf,
  states,
} from "./bundles.ts";

const live = testNeeding("root", "/bin/busybox", "python3");
const onTerminal = testNeeding("root", "/bin/busybox", "script");
afterAll(cleanUp);

const terminal: Change = (config) => {
  config.process.terminal = true;
  config.process.consoleSize = { height: 33, width: 111 };
};

/** Listens at a socket, takes one descriptor, and prints the name that came with it and all that is read from it. */
const RECEIVER = `
import array, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(1); print("ready", flush=True)
c, _ = s.accept(); name, cmsgs, _, _ = c.recvmsg(4096, socket.CMSG_SPACE(4))
fd = array.array("i", cmsgs[0][2][:4])[0]; print(name.decode(), os.isatty(fd), flush=True)
while True:
    try: got = os.read(fd, 1000)
    except OSError: break
    if not got: break
    sys.stdout.write(got.decode()); sys.stdout.flush()
`;

const receive = async (path: string) => {
  const receiver = Bun.spawn(["python3", "-c", RECEIVER, path], { stdout: "pipe", stderr: "inherit" });
  const reader = receiver.stdout.getReader();
  await reader.read();
  return async (): Promise<string> => {
    let text = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return text.trimStart();
      text += new TextDecoder().decode(value);
    }
  };
};

describe("over a console socket", () => {
  live("a container's terminal goes to the engine", async () => {
    const socket = join(newDirectory(), "s");
    const text = await receive(socket);
    const id = newId();
    const bundle = newBundle(
      "tty; stty size; ls -l /dev/console | cut -c1,11-; echo to-console >/dev/console; readlink /proc/self/fd/0",
      terminal,
    );
    expect(leave("create", "-b", bundle.directory, "--console-socket", socket, id)).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(leave("start", id).status).toBe(0);
    const [name, ...lines] = (await text()).split(/\r?\n/);
    expect(name).toBe("/dev/ptmx True");
    expect(lines[0]).toBe("/dev/pts/0");
    expect(lines[1]).toBe("33 111");
    expect(lines.slice(3)).toEqual(["to-console", "/dev/pts/0", ""]);
    oci("delete", "-f", id);
  });

  live("and that of a process that joins", async () => {
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    const socket = join(newDirectory(), "s");
    const text = await receive(socket);
    expect(leave("exec", "--tty", "--detach", "--console-socket", socket, id, "tty")).toMatchObject({
      status: 0,
      stderr: "",
    });
    expect(await text()).toBe("/dev/ptmx True\n/dev/pts/0\r\n");
    oci("delete", "-f", id);
  });

  live("which nobody listens at, nothing is made", () => {
    const id = newId();
    const bundle = newBundle("true", terminal);
    expect(leave("create", "-b", bundle.directory, "--console-socket", "/nope", id)).toMatchObject({
      status: 1,
      stderr: "nsk oci create: connect to the console socket /nope failed: No such file or directory\n",
    });
    expect(leave("create", "-b", bundle.directory, id)).toMatchObject({
      status: 1,
      stderr: "nsk oci create: cannot allocate tty if nsk will detach without setting console socket\n",
    });
    expect(oci("list", "-q").stdout).not.toContain(id);
  });
});

describe("in the foreground", () => {
  onTerminal("a container's terminal is carried, and its end is the program's", () => {
    const bundle = newBundle("tty; exit 9", terminal);
    const words = `${nsk} oci --root ${states} run -b ${bundle.directory} ${newId()}`;
    const ran = runCommand(["script", "-qec", words, "/dev/null"]);
    expect(ran.stdout.replace(/\0|\^@/g, "")).toBe("/dev/pts/0\r\n");
    expect(ran.status).toBe(9);
  });

  onTerminal("that of a process that joins too", () => {
    const id = newId();
    expect(leave("run", "-d", "-b", newBundle("sleep 60").directory, id).status).toBe(0);
    const words = `${nsk} oci --root ${states} exec -t ${id} sh -c 'tty; exit 4'`;
    const ran = runCommand(["script", "-qec", words, "/dev/null"]);
    expect(ran.stdout.replace(/\0|\^@/g, "")).toBe("/dev/pts/0\r\n");
    expect(ran.status).toBe(4);
    expect(stateOf(id).status).toBe("running");
    oci("delete", "-f", id);
  });
});
