// Where nsk starts. Arguments are read as the kernel holds them, because JavaScript's own argv has lost every byte
// that is not UTF-8.

import { dispatch } from "./cli/dispatch.ts";
import { isBuilt } from "./cli/version.ts";
import { callerArguments } from "./sys/caller.ts";

const words = callerArguments();
// A built nsk is a program of its own. From the sources it is Bun's, and only `process.argv` knows where our words
// begin: behind the runtime and the script.
const own = isBuilt ? 1 : words.length - (process.argv.length - 2);
const status = await dispatch(words[0] ?? "nsk", words.slice(own));
if (status !== undefined) process.exit(status);
