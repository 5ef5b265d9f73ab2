// A fresh machine with the controllers on version 1 and an empty tree of version 2 beside them, as Debian 10 had it.

import { inGuest } from "./in-guest.ts";
import { limits } from "./limits.ts";
import { tutorial } from "./tutorial.ts";
import { delegation } from "./users.ts";

inGuest("hybrid", { cgroups: "hybrid" }, (it) => {
  tutorial(it, "hybrid");
  limits(it, "hybrid");
  delegation(it, "hybrid");
});
