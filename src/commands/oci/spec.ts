// nsk oci spec.

import { errno } from "../../abi/errno.ts";
import { StepError } from "../../abi/errors.ts";
import { O } from "../../abi/flags.ts";
import { specConfig } from "../../containers/oci/spec.ts";
import { close, open, writeAll } from "../../sys/linux.ts";
import { command } from "../command.ts";
import { logged } from "./global.ts";

export const spec = command({
  definition: {
    meta: { name: "oci spec", description: "Write a config.json to go on from." },
    args: {
      bundle: { type: "string", alias: "b", valueHint: "dir", description: "where to (.)" },
      rootless: { type: "boolean", description: "for a plain user" },
    },
  },
  usage: "[options]",
  failure: 1,
  run: logged(({ options, host }) => {
    const path = `${options.bundle ?? "."}/config.json`;
    const fd = open(path, O.O_WRONLY | O.O_CREAT | O.O_EXCL | O.O_CLOEXEC, 0o666);
    const hints = "move it away: it is not written over";
    if (fd < 0) throw new StepError(`make ${path}`, -fd, fd === -errno("EEXIST") ? hints : undefined);
    const config = specConfig(options.rootless ? { uid: host.euid, gid: host.egid } : undefined);
    const written = writeAll(fd, `${JSON.stringify(config, null, "\t")}\n`);
    close(fd);
    if (written < 0) throw new StepError(`write ${path}`, -written);
    return 0;
  }),
});
