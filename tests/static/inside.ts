// What the tests of the static file compile: the parts of the runtime that lean on the C library.

import { dlopen } from "bun:ffi";
import { lookup } from "node:dns/promises";
import { readFileSync } from "node:fs";

const [, , mode] = process.argv;

// The embedded libraries are files in memory.
const linked = (): string =>
  readFileSync("/proc/self/maps", "utf8").includes("/memfd:libc.so.6") ? "embedded" : "this machine's";

const modes: Readonly<Record<string, () => Promise<unknown>>> = {
  linked: async () => linked(),
  lookup: async () => (await lookup("localhost")).address,
  fetch: async () => {
    await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("answered") });
    return await (await fetch(`http://127.0.0.1:${server.port}/`)).text();
  },
  worker: () => {
    const source = new Blob(["self.onmessage = ({ data }) => postMessage(data * 2);"]);
    const worker = new Worker(URL.createObjectURL(source));
    return new Promise((resolve) => {
      worker.onmessage = ({ data }) => {
        worker.terminate();
        resolve(data);
      };
      worker.postMessage(21);
    });
  },
  spawn: async () =>
    // Without an input of its own, for which there would have to be a /dev/null.
    (await Bun.spawn(["/bin/busybox", "echo", "spawned"], { stdin: "inherit" }).stdout.text()).trim(),
  libc: async () => {
    const { getpid } = dlopen("libc.so.6", { getpid: { args: [], returns: "i32" } }).symbols;
    return getpid() === process.pid;
  },
  libm: async () => {
    const { hypot } = dlopen("libm.so.6", { hypot: { args: ["f64", "f64"], returns: "f64" } }).symbols;
    return hypot(3, 4);
  },
  time: async () => new Intl.DateTimeFormat("en", { timeZone: "UTC", year: "numeric" }).format(new Date(0)),
};

console.log(await modes[mode!]!());
process.exit(0);
