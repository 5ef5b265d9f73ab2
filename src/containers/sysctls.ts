// Which settings below /proc/sys a container may have of its own: those of its namespaces.

import type { NamespaceType } from "./config.ts";

const SYSCTLS: readonly (readonly [kind: NamespaceType, pattern: RegExp])[] = [
  ["network", /^net\./],
  ["ipc", /^fs\.mqueue\.|^kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)$/],
  ["uts", /^kernel\.domainname$/],
];

/** The kind of namespace that has a setting, by its name with dots; undefined for the host's. @see sysctl(8) */
export const namespaceOfSysctl = (name: string): NamespaceType | undefined =>
  SYSCTLS.find(([, pattern]) => pattern.test(name))?.[0];
