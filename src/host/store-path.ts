// Where the store of images is, and what is kept of containers. A file of its own, for every start of `run` asks.

import { HostError } from "../abi/errors.ts";
import { users } from "./accounts.ts";
import type { Host } from "./host.ts";

/** `$NSK_STORE`, else root's `/var/lib/nsk`, else a place in the user's data directory. */
export const storePath = (host: Host): string => {
  const chosen = host.env("NSK_STORE");
  if (chosen) return chosen.replace(/(?<=.)\/+$/, "");
  // To root of a user namespace that of the machine belongs to nobody.
  if (host.euid === 0 && (host.entry("/var/lib")?.uid ?? 0) === 0) return "/var/lib/nsk";
  const data = host.env("XDG_DATA_HOME");
  // A relative one is to be ignored. @see the XDG Base Directory Specification
  if (data?.startsWith("/")) return `${data}/nsk`;
  const home = host.env("HOME") || users(host).find(({ uid }) => uid === host.euid)?.home;
  if (!home)
    throw new HostError(
      "there is no place for images: neither XDG_DATA_HOME nor HOME is set, and /etc/passwd has no home",
    );
  return `${home}/.local/share/nsk`;
};
