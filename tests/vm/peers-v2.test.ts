// The tools that nsk mirrors beside it, on a machine whose control groups are version 2 alone.

import { peersGuest } from "./peers.ts";

peersGuest("v2", ["tests/vm/inside/cg-version2.ts", "tests/commands/unshare-side-by-side.test.ts"]);
