// nsk eval CODE: a script of one argument.

import { UsageError } from "../abi/errors.ts";
import { command } from "./command.ts";
import { absolutePath, runModule } from "./script-module.ts";

export const evaluate = command({
  definition: {
    meta: {
      name: "eval",
      description:
        'Run code given as an argument. It is a script as nsk script runs it, which may import from "nsk" and from files below the working directory.',
    },
    args: { code: { type: "positional", description: "the code of a module" } },
  },
  usage: "[options] <code> [<argument>...]",
  failure: 1,
  run: ({ operands, host, name }) => {
    const [code, ...rest] = operands;
    if (code === undefined)
      throw new UsageError("no code given", `e.g. ${name} 'import { namespaces } from "nsk"; …'`);
    return runModule({ name, path: absolutePath("[eval]", host), text: code }, rest);
  },
});
