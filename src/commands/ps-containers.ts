// `nsk ps -a`: nsk's own containers, those that have ended and are kept among them, in docker's columns.

import { type Known, knownContainers } from "../backends/containers.ts";
import type { Host } from "../host/host.ts";
import { columns, humanAge, humanDuration } from "./human.ts";
import { printable } from "../abi/bytes.ts";
import { tidy } from "./containers.ts";

/** Clock ticks of a second: USER_HZ, the same on both processors. @see proc_pid_stat(5), sysconf(3) */
const TICKS = 100;

/** A table for people, or JSON. */
export const listContainers = (
  host: Host,
  {
    json,
    noheadings,
    notruncate,
    quiet,
  }: { json: boolean; noheadings: boolean; notruncate: boolean; quiet: boolean },
): string => {
  tidy(host);
  const uptime = Number.parseFloat(host.read("/proc/uptime") ?? "0");
  const all = knownContainers(host).toReversed(); // docker: the youngest first
  if (quiet && !json) return all.map(({ id }) => `${id}\n`).join("");
  const now = Date.now();
  const age = (it: Known): number =>
    it.state === "running"
      ? Math.max(0, Math.floor(uptime - Number(it.first.started) / TICKS))
      : Math.max(0, Math.floor((now - (it.end?.at ?? Date.parse(it.created))) / 1000));
  if (json)
    return `${JSON.stringify(
      {
        containers: all.map((it) => ({
          id: it.id,
          name: it.name ?? null,
          image: it.image ?? null,
          command: it.command,
          state: it.state === "between" ? "created" : it.state,
          pid: it.state === "running" ? it.first.pid : null,
          exitStatus: (it.state === "running" ? undefined : it.end?.status) ?? null,
          seconds: age(it),
          created: it.created,
          labels: it.labels ?? {},
        })),
      },
      null,
      2,
    )}\n`;
  const cut = (text: string): string => (notruncate || text.length <= 30 ? text : `${text.slice(0, 29)}…`);
  const rows = all.map((it) => [
    it.id,
    cut(printable(it.image ?? "")),
    cut(printable(it.command.join(" "))),
    statusOf(it, age(it)),
    it.state === "running" ? String(it.first.pid) : "",
    it.name ?? "",
  ]);
  if (!noheadings) rows.unshift(["CONTAINER ID", "IMAGE", "COMMAND", "STATUS", "PID", "NAMES"]);
  return rows.length ? columns(rows) : "";
};

/** docker's words; `Dead` is one whose supervisor was killed, and with it whoever knew how it ended. */
const statusOf = (it: Known, age: number): string => {
  if (it.state === "running") return `Up ${humanDuration(age)}`;
  if (it.end) return `Exited (${it.end.status}) ${humanAge(age)}`;
  return it.state === "dead" ? "Dead" : "Created";
};
