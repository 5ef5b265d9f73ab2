// The control-group tools on a machine with version 1 alone.

import { inGuest } from "./in-guest.ts";
import { guest, tools } from "./cg-tools.ts";

inGuest("control groups, v1", guest("v1"), (it) => tools(it, "v1"));
