// A fresh machine whose control groups are version 2 alone, as on every distribution of today.

import { inGuest } from "./in-guest.ts";
import { limits, SECOND } from "./limits.ts";
import { scripts } from "./scripts.ts";
import { DOCUMENT_FILES, measured, tutorial } from "./tutorial.ts";
import { delegation, users } from "./users.ts";

inGuest("v2", { cgroups: "v2", cpus: 2, prepare: `echo 0 >${SECOND}`, files: DOCUMENT_FILES }, (it) => {
  tutorial(it, "v2");
  measured(it, "v2");
  limits(it, "v2");
  scripts(it);
  users(it);
  delegation(it, "v2");
});
