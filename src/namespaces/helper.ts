// What has to be done for new namespaces from outside of them, by a helper that was forked before: id maps that need
// privilege in the outer user namespace, and namespaces' files that are to be bound in the outer mount namespace.

import type { Host } from "../host/host.ts";
import { type CallStep, type Slot, slot, type Text } from "../plan/call.ts";
import * as enter from "../plan/namespace-steps.ts";
import type { Step } from "../plan/plan.ts";
import { clockLines } from "./clocks.ts";
import { extents, type IdRange, type Sort } from "./id-maps.ts";
import { type Kind, namespaceFile } from "./kinds.ts";
import { bindHints, mapHints, mapProgramHint, mapProgramHints } from "./refusals.ts";
import type { UnshareRequest } from "./unshare.ts";

/** Who maps what: the process itself where the kernel lets it, the helper everything else. */
export const isMappedOutside = (request: UnshareRequest, sort: Sort): boolean =>
  rangesOf(request, sort).length > 0 ||
  (request.owner !== undefined && singleOf(request, sort) !== undefined);

const rangesOf = ({ mapUsers, mapGroups }: UnshareRequest, sort: Sort): readonly IdRange[] =>
  (sort === "user" ? mapUsers : mapGroups) ?? [];
const singleOf = ({ mapUser, mapGroup }: UnshareRequest, sort: Sort): number | undefined =>
  sort === "user" ? mapUser : mapGroup;

const isAny = (object: object | undefined): boolean => {
  for (const _ in object) return true;
  return false;
};

/** To the process that has become the namespace's owner its own files in /proc are closed: the kernel gives them to root. */
export const writesOutside = ({ owner }: UnshareRequest): boolean => owner !== undefined;

export const needsHelper = (request: UnshareRequest): boolean =>
  isAny(request.keep) ||
  isMappedOutside(request, "user") ||
  isMappedOutside(request, "group") ||
  (writesOutside(request) && (request.setgroups !== undefined || clockLines(request).length > 0));

/** What a helper does for the process whose id is in `self`. */
export const helperSteps = (request: UnshareRequest, host: Host, self: Slot): Step[] => {
  const of = (name: string): Text => ["/proc/", self, `/${name}`];
  const steps: Step[] = [];
  if (isMappedOutside(request, "user"))
    steps.push(...mapSteps(mapOf(request, host, "user"), host, self, "user"));
  const isMapped = isMappedOutside(request, "group");
  const setgroups = isMapped && deniesSetgroups(request) ? "deny" : request.setgroups;
  if (setgroups && (isMapped ? setgroups === "deny" : writesOutside(request)))
    steps.push(
      ...enter.writeComposed(of("setgroups"), setgroups, "write setgroups", slot("fd"), {
        reason: `setgroups(2) inside: ${setgroups}; the kernel takes "deny" before gid_map only`,
      }),
    );
  if (isMapped) steps.push(...mapSteps(mapOf(request, host, "group"), host, self, "group"));
  if (writesOutside(request))
    for (const { line, about } of clockLines(request))
      steps.push(...enter.writeComposed(of("timens_offsets"), line, about.title, slot("fd"), about));
  steps.push(...bindSteps(request, (file) => of(`ns/${file}`)));
  return steps;
};

/** A group mapped by itself implies it, ranges of groups do not. */
const deniesSetgroups = ({ setgroups, mapGroup, mapGroups }: UnshareRequest): boolean =>
  setgroups === "deny" || (mapGroup !== undefined && !mapGroups?.length);

const mapOf = (request: UnshareRequest, host: Host, sort: Sort): IdRange[] =>
  extents(singleOf(request, sort), sort === "user" ? host.euid : host.egid, rangesOf(request, sort));

/** Writes a map of the process whose id is in `self`, from outside of its user namespace; `itself` where it may do so. */
export const mapSteps = (
  map: readonly IdRange[],
  host: Host,
  self: Slot,
  sort: Sort,
  itself = host.euid === 0,
): Step[] => {
  const [file, program] = sort === "user" ? ["uid_map", "newuidmap"] : ["gid_map", "newgidmap"];
  let described = "";
  for (const { inner, outer, count } of map)
    described += `${described && ", "}${outer} outside is ${inner} inside${count > 1 ? ` (${count} of them)` : ""}`;
  const reason = `${sort} ${described}`;
  if (itself) {
    let text = "";
    for (const { inner, outer, count } of map) text += `${inner} ${outer} ${count}\n`;
    return enter.writeComposed(["/proc/", self, `/${file}`], text, `write ${file}`, slot("fd"), {
      reason,
      hints: mapHints(host),
    });
  }
  const words: (string | Text)[] = [program, [self]];
  for (const { inner, outer, count } of map) words.push(String(inner), String(outer), String(count));
  const pid = slot(program);
  const path = findProgram(host, program);
  return [
    {
      kind: "fork",
      flags: 0,
      pid,
      reason: `a plain user's ranges are written by ${program}, which is privileged`,
      child: [
        enter.become(path, words, `execute ${program}`, {
          reason,
          hints: mapProgramHints(program),
          status: 127,
        }),
        { kind: "exit", reason: "which does not come back" },
      ],
    },
    { kind: "join", pid, hint: mapProgramHint(host, path, sort) },
  ];
};

/** Whether there are programs that map ranges for plain users. */
export const hasMapPrograms = (host: Host): boolean =>
  ["newuidmap", "newgidmap"].every((name) => host.kind(findProgram(host, name)) === "file");

/** Where PATH leads to, or else where distributions put it. */
export const findProgram = (host: Host, program: string): string => {
  for (const directory of (host.env("PATH") ?? "").split(":"))
    if (directory && host.kind(`${directory}/${program}`) === "file") return `${directory}/${program}`;
  return `/usr/bin/${program}`;
};

/** The order is that in which util-linux binds. */
const ORDER: readonly Kind[] = ["user", "cgroup", "ipc", "uts", "net", "pid", "mount", "time"];

/** Binds each namespace that is to stay to its file; when one cannot be, those before it do not stay either. */
const bindSteps = ({ keep }: UnshareRequest, path: (file: string) => Text): CallStep[] => {
  const steps: CallStep[] = [];
  for (const kind of ORDER) {
    const target = keep?.[kind];
    if (target === undefined) continue;
    steps.push(
      enter.bindNamespace(path(namespaceFile(kind, "children")), target, {
        reason: `the ${kind} namespace stays for as long as it is mounted there`,
        hints: bindHints(kind, target),
      }),
    );
  }
  return steps;
};
