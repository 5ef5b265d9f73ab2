// nsk script FILE: run a user's TypeScript, which finds the API as `nsk`.

import { StepError, UsageError } from "../abi/errors.ts";
import { errno } from "../abi/errno.ts";
import type { Host } from "../host/host.ts";
import { readAll, readFileOr } from "../sys/linux.ts";
import { command } from "./command.ts";
import { absolutePath, runModule, textOf } from "./script-module.ts";

export const script = command({
  definition: {
    meta: {
      name: "script",
      description:
        'Run a script in TypeScript. It may import from "nsk", is given the arguments behind it, ' +
        "and when it ends all that it has started is ended and removed. " +
        "#!/usr/bin/env -S nsk script as its first line makes it a program.",
    },
    args: {
      file: { type: "positional", description: "the module; - reads it from standard input" },
    },
  },
  usage: "[options] <file> [<argument>...]",
  failure: 1,
  run: ({ operands, host, name }) => {
    const [file, ...rest] = operands;
    if (file === undefined) throw new UsageError("no file given", `e.g. ${name} hello.ts`);
    if (file === "-") {
      const typed = readAll(0);
      if (typeof typed === "number") throw new StepError("read standard input", -typed);
      return runModule({ name, path: absolutePath("[stdin]", host), text: textOf(typed) }, rest);
    }
    const path = absolutePath(file, host);
    refuseUnreadable(file, path, host);
    return runModule({ name, path }, rest);
  },
});

/** The runtime would tell it as a module that cannot be resolved. */
const refuseUnreadable = (file: string, path: string, host: Host): void => {
  if (host.kind(path) === "directory") throw new StepError(`read ${file}`, errno("EISDIR"));
  const read = readFileOr(path);
  if (typeof read === "number") throw new StepError(`read ${file}`, -read);
};
