// nsk oci ps.

import { printable } from "../../abi/bytes.ts";
import { UsageError } from "../../abi/errors.ts";
import { processesOf } from "../../backends/oci/destroy.ts";
import { needState } from "../../backends/oci/store.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";
import { formatOption, idFrom, logged } from "./global.ts";

export const ps = command({
  definition: {
    meta: { name: "oci ps", description: "List the processes of a container, by their ids outside." },
    args: {
      format: { ...formatOption, description: "ids as a JSON list, or a table" },
    },
  },
  usage: "[options] <container-id>",
  permute: true,
  failure: 1,
  run: logged(({ options, operands, host, root }) => {
    const id = operands[0];
    if (operands.length > 1) throw new UsageError("options of ps(1) are not taken", "nsk ps shows more");
    const pids = processesOf(needState(root, idFrom(id === undefined ? [] : [id]), host), host).toSorted(
      (one, other) => one - other,
    );
    if (options.format === "json") print(`${JSON.stringify(pids)}\n`);
    else {
      const rows = pids.map((pid) => {
        const command = (host.read(`/proc/${pid}/cmdline`) ?? "").split("\0").filter(Boolean).join(" ");
        // Words of the container's choice.
        const shown = printable(command || `[${host.read(`/proc/${pid}/comm`)?.trim() ?? ""}]`);
        return `${String(pid).padStart(7)} ${shown}\n`;
      });
      print(`    PID COMMAND\n${rows.join("")}`);
    }
    return 0;
  }),
});
