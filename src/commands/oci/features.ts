// nsk oci features.

import { featuresOf } from "../../containers/oci/features.ts";
import { command } from "../command.ts";
import { print } from "../output.ts";
import { logged } from "./global.ts";

export const features = command({
  definition: {
    meta: { name: "oci features", description: "Print what this runtime can do, as JSON." },
    args: {},
  },
  usage: "",
  failure: 1,
  run: logged(({ host }) => {
    print(`${JSON.stringify(featuresOf(host), null, 4)}\n`);
    return 0;
  }),
});
