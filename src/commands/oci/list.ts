// nsk oci list.

import { listStates, statusOf } from "../../backends/oci/store.ts";
import { stateForUsers } from "../../containers/oci/state.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";
import { formatOption, logged } from "./global.ts";

export const list = command({
  definition: {
    meta: { name: "oci list", description: "List containers." },
    args: {
      format: { ...formatOption, description: "table unless given" },
      quiet: { type: "boolean", alias: "q", description: "ids only" },
    },
  },
  usage: "[options]",
  failure: 1,
  run: logged(({ options, host, root }) => {
    const all = listStates(root, host).map((state) => stateForUsers(state, statusOf(root, state, host)));
    if (options.quiet) print(all.map(({ id }) => `${String(id)}\n`).join(""));
    else if (options.format === "json") print(`${JSON.stringify(all)}\n`);
    else print(table(all));
    return 0;
  }),
});

const COLUMNS = ["id", "pid", "status", "bundle", "created", "owner"] as const;

/** runc's: columns as wide as what is in them, and never narrower than 12. */
const table = (all: readonly Readonly<Record<string, unknown>>[]): string => {
  const rows = [
    COLUMNS.map((name) => name.toUpperCase()),
    ...all.map((it) => COLUMNS.map((name) => String(it[name]))),
  ];
  const widths = COLUMNS.map((_, i) => Math.max(12, ...rows.map((row) => row[i]!.length + 3)));
  return rows
    .map((row) => `${row.map((word, i) => (i < row.length - 1 ? word.padEnd(widths[i]!) : word)).join("")}\n`)
    .join("");
};
