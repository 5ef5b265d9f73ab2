// nsk oci state.

import { needState, statusOf } from "../../backends/oci/store.ts";
import { stateForUsers } from "../../containers/oci/state.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";
import { idFrom, logged } from "./global.ts";

export const state = command({
  definition: {
    meta: { name: "oci state", description: "Print the state of a container, as JSON." },
    args: {},
  },
  usage: "<container-id>",
  failure: 1,
  run: logged(({ operands, host, root }) => {
    const found = needState(root, idFrom(operands), host);
    print(`${JSON.stringify(stateForUsers(found, statusOf(root, found, host)), null, 2)}\n`);
    return 0;
  }),
});
