// The project's own tests, run inside a guest that has Debian's tools: one test here for each file there.

import { expect, test } from "bun:test";
import { needs } from "../support/needs.ts";
import { peersDisk, PROJECT } from "../../scripts/vm/disk.ts";
import type { Cgroups } from "../../scripts/vm/guest.ts";
import { inGuest } from "./in-guest.ts";

/**
 * Boots a Debian with the peers, and runs files of tests in it, or of a file those tests whose names begin as said. All
 * of them must run, and pass.
 */
export const peersGuest = (
  cgroups: Cgroups,
  files: readonly (string | readonly [file: string, only: string])[],
): void => {
  const name = `beside Debian's tools, ${cgroups}`;
  const reason = needs("root", "mmdebstrap");
  if (reason) return test.skip(`${name} (${reason})`, () => {});
  // Systemd hands on what it can; without it the groups that a test makes by itself would have no settings.
  const prepare =
    cgroups === "v2" ? "echo +cpu +memory +pids +io >/sys/fs/cgroup/cgroup.subtree_control" : "";
  inGuest(name, { cgroups, disk: peersDisk, memory: 2048, prepare }, (it) => {
    for (const [file, only = ""] of files.map((it) => (typeof it === "string" ? [it] : it)))
      it(
        file,
        `cd ${PROJECT}; NSK_BINARY=/usr/local/bin/nsk bun test --only-failures --timeout 120000 -t '^(${only})' ./${file} 2>&1`,
        ({ status, stdout }) => {
          const counts = ["pass", "skip", "fail"].map((what) =>
            Number(new RegExp(`^ *(\\d+) ${what}$`, "m").exec(stdout)?.[1] ?? 0),
          );
          expect([status, ...counts.slice(1)]).toEqual([0, 0, 0]);
          expect(counts[0]).toBeGreaterThan(0);
        },
        { limit: 900 },
      );
  });
};
