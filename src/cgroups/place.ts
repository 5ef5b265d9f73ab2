// Where cgrules.conf puts a process, with the groups that have to be made for it first.

import type { Host } from "../host/host.ts";
import type { CallStep } from "../plan/call.ts";
import { type Config, parseConfig } from "./config.ts";
import { ownershipOf, planConfigured } from "./configure.ts";
import { draft, planGroup } from "./create.ts";
import { type Place, placesOf } from "./groups.ts";
import type { Hierarchies } from "./hierarchies.ts";
import { planOwnership } from "./ownership.ts";
import { expandDestination, isTemplate, type Rule, rulesFor, type Subject } from "./rules.ts";

export interface Placement {
  readonly places: readonly Place[];
  /** Makes the groups whose names depend on the process, as a template of cgconfig.conf says. */
  readonly create: readonly CallStep[];
  readonly notes: readonly string[];
}

/** The groups for a process; none where no rule is for it. */
export const planPlacement = (
  host: Host,
  hierarchies: Hierarchies,
  rules: readonly Rule[],
  subject: Subject,
): Placement => {
  const on = draft(host);
  const places: Place[] = [];
  const create: CallStep[] = [];
  const notes: string[] = [];
  for (const rule of rulesFor(host, rules, subject)) {
    const path = expandDestination(host, rule.destination, subject);
    const found = placesOf(host, hierarchies, { controllers: rule.controllers, path });
    places.push(...found);
    if (!isTemplate(rule.destination)) continue;
    const template = readTemplates(host).find(({ name }) => bare(name) === bare(rule.destination));
    if (!template) create.push(...found.flatMap((place) => planGroup(on, place)));
    else if (found.some(({ directory }) => host.kind(directory) !== "directory")) {
      const made = planConfigured(on, hierarchies, { ...template, name: path });
      // The rule may name more controllers than the template.
      create.push(...made.steps, ...found.flatMap((place) => planGroup(on, place)));
      if (template.permissions)
        create.push(...planOwnership(host, made.places, ownershipOf(host, template.permissions)));
      notes.push(...made.notes);
    }
  }
  return { places, create, notes };
};

const bare = (path: string): string => path.replace(/^\/+|\/+$/g, "");

const readTemplates = (host: Host): Config["templates"] => {
  const more = (host.list("/etc/cgconfig.d") ?? []).toSorted().map((name) => `/etc/cgconfig.d/${name}`);
  return ["/etc/cgconfig.conf", ...more].flatMap((file) => {
    const text = host.read(file);
    return text === undefined ? [] : parseConfig(text, file).templates;
  });
};
