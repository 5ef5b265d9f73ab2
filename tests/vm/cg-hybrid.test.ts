// The control-group tools on a machine with both versions.

import { inGuest } from "./in-guest.ts";
import { guest, tools } from "./cg-tools.ts";

inGuest("control groups, hybrid", guest("hybrid"), (it) => tools(it, "hybrid"));
