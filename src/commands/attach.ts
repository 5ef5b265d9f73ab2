// nsk attach: the terminal of a container in the background, until it ends or until one detaches.

import { HostError } from "../abi/errors.ts";
import { planAttachTo } from "./attach-plan.ts";
import { carryOut, explainOption } from "./carry-out.ts";
import { command } from "./command.ts";
import { theOne } from "./containers.ts";
import { detachKeysOption, parseKeys } from "./detach-keys.ts";

export const attach = command({
  definition: {
    meta: {
      name: "attach",
      description:
        "Carry the terminal of a container in the background (run -d -t) here, until it ends or the keys to detach are typed.",
    },
    args: {
      ...detachKeysOption,
      noStdin: { type: "boolean", description: "type nothing into it" },
      ...explainOption,
    },
  },
  usage: "[options] <container>",
  permute: true,
  failure: 1,
  truths: true,
  run: ({ options, operands, host, name }) => {
    const keys = parseKeys(options.detachKeys);
    const it = theOne(operands, host);
    if (it.state !== "running") throw new HostError(`container ${it.id} is not running`);
    const input = it.interactive && !options.noStdin;
    if (input && !host.isTerminal(0))
      throw new HostError("standard input is no terminal", "nsk attach --no-stdin types nothing");
    const asks = options.explain === undefined;
    const plan = planAttachTo(it, { name, input, keys, endsIt: false, asks }, host);
    return carryOut(plan, options, host);
  },
});
