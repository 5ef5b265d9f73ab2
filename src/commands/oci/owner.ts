// The name of the user that nsk runs for.

import { parsePasswd } from "../../host/accounts.ts";
import type { Host } from "../../host/host.ts";

export const ownerName = (host: Host): string =>
  parsePasswd(host.read("/etc/passwd")).find(({ uid }) => uid === host.euid)?.name ?? String(host.euid);
