// nsk oci: the commands of an OCI runtime, with runc's command line, for engines and by hand.

import { UsageError } from "../../abi/errors.ts";
import { command } from "../command.ts";
import { globalOptions } from "./global.ts";

export const oci = command({
  definition: {
    meta: {
      name: "oci",
      description:
        "Make containers from OCI bundles, with runc's command line. " +
        "A link called nsk-oci is this command, for podman --runtime and the like.",
    },
    args: globalOptions,
  },
  usage: "[options] <command> [<argument>...]",
  failure: 1,
  subcommands: {
    create: async () => (await import("./create.ts")).create,
    run: async () => (await import("./run.ts")).run,
    start: async () => (await import("./start.ts")).start,
    state: async () => (await import("./state.ts")).state,
    list: async () => (await import("./list.ts")).list,
    kill: async () => (await import("./kill.ts")).kill,
    exec: async () => (await import("./exec.ts")).exec,
    delete: async () => (await import("./delete.ts")).deleteCommand,
    pause: async () => (await import("./pause.ts")).pause,
    resume: async () => (await import("./pause.ts")).resume,
    update: async () => (await import("./update.ts")).update,
    ps: async () => (await import("./ps.ts")).ps,
    spec: async () => (await import("./spec.ts")).spec,
    features: async () => (await import("./features.ts")).features,
  },
  run: () => {
    throw new UsageError("no command given", "try 'nsk oci --help'");
  },
});
