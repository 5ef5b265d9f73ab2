// The tools that nsk mirrors beside it, on a machine whose control groups are version 2 alone.

import { peersGuest } from "./peers.ts";

peersGuest("v2", [
  "tests/vm/inside/cg-version2.ts",
  // What a real root may do; how programs end, and the command line, are the same everywhere.
  ["tests/commands/unshare-side-by-side.test.ts", "namespaces|ids|mounts"],
]);
