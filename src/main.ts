// Where nsk starts. Arguments are read as the kernel holds them, because JavaScript's own argv has lost every byte
// that is not UTF-8.

import { dispatch } from "./cli/dispatch.ts";
import { callerArguments } from "./sys/caller.ts";

const all = callerArguments();
// `process.argv` counts right where it spells wrong: the runtime, the script, then our words, built or not.
const words = all.slice(all.length - (process.argv.length - 2));
process.exit(await dispatch(all[0] ?? "nsk", words));
