// The tools that nsk mirrors beside it, on a machine whose control groups are version 1 alone.

import { peersGuest } from "./peers.ts";

peersGuest("v1", ["tests/commands/cg-side-by-side.test.ts"]);
