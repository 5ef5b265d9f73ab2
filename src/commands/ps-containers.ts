// `nsk ps -a`: nsk's own containers, in docker's columns.

import { runningContainers } from "../backends/containers.ts";
import type { Running } from "../containers/record.ts";
import type { Host } from "../host/host.ts";
import { columns, humanDuration } from "./human.ts";
import { printable } from "../abi/bytes.ts";

/** Clock ticks of a second: USER_HZ, the same on both processors. @see proc_pid_stat(5), sysconf(3) */
const TICKS = 100;

/** A table for people, or JSON. */
export const listContainers = (
  host: Host,
  { json, noheadings, notruncate }: { json: boolean; noheadings: boolean; notruncate: boolean },
): string => {
  const uptime = Number.parseFloat(host.read("/proc/uptime") ?? "0");
  const all = runningContainers(host).toReversed(); // docker: the youngest first
  const age = ({ first }: Running): number => Math.max(0, Math.floor(uptime - Number(first.started) / TICKS));
  if (json)
    return `${JSON.stringify(
      {
        containers: all.map((it) => ({
          id: it.id,
          name: it.name ?? null,
          command: it.command,
          pid: it.first.pid,
          seconds: age(it),
          labels: it.labels ?? {},
        })),
      },
      null,
      2,
    )}\n`;
  const cut = (text: string): string => (notruncate || text.length <= 30 ? text : `${text.slice(0, 29)}…`);
  const rows = all.map((it) => [
    it.id,
    cut(printable(it.command.join(" "))),
    `Up ${humanDuration(age(it))}`,
    String(it.first.pid),
    it.name ?? "",
  ]);
  if (!noheadings) rows.unshift(["CONTAINER ID", "COMMAND", "STATUS", "PID", "NAMES"]);
  return rows.length ? columns(rows) : "";
};
