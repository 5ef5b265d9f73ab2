// The control-group tools on a machine with version 2 alone.

import { inGuest } from "./in-guest.ts";
import { guest, tools } from "./cg-tools.ts";

inGuest("control groups, v2", guest("v2"), (it) => tools(it, "v2"));
