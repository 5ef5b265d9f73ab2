// A fresh machine whose control groups are version 1 alone, as where systemd.unified_cgroup_hierarchy=0 is set.

import { inGuest } from "./in-guest.ts";
import { limits, SECOND } from "./limits.ts";
import { scripts } from "./scripts.ts";
import { DOCUMENT_FILES, measured, tutorial } from "./tutorial.ts";
import { delegation } from "./users.ts";

inGuest("v1", { cgroups: "v1", cpus: 2, prepare: `echo 0 >${SECOND}`, files: DOCUMENT_FILES }, (it) => {
  tutorial(it, "v1");
  measured(it, "v1");
  limits(it, "v1");
  scripts(it);
  delegation(it, "v1");
});
