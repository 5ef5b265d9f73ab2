// A fresh machine with the controllers on version 1 and an empty tree of version 2 beside them, as Debian 10 had it.

import { inGuest } from "./in-guest.ts";
import { limits, SECOND } from "./limits.ts";
import { measured } from "./tutorial.ts";
import { delegation } from "./users.ts";

inGuest("hybrid", { cgroups: "hybrid", cpus: 2, prepare: `echo 0 >${SECOND}` }, (it) => {
  measured(it, "v1");
  limits(it, "hybrid");
  delegation(it, "hybrid");
});
