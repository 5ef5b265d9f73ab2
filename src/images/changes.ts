// `import --change`: a Dockerfile's instructions as the config of an image. Pure.

import { UsageError } from "../abi/errors.ts";

/** Instructions to the `config` part of an image's config. Throws {@link UsageError} for one that is not known here. */
export const parseChanges = (lines: readonly string[]): Record<string, unknown> => {
  const config: Record<string, unknown> = {};
  const env: string[] = [];
  for (const line of lines) {
    const [, word = "", value = ""] = /^\s*(\S+)\s*([^]*?)\s*$/.exec(line) ?? [];
    if (value === "")
      throw new UsageError(`--change '${line}': an instruction and its value, e.g. 'CMD ["/bin/sh"]'`);
    switch (word.toUpperCase()) {
      case "CMD":
        config.Cmd = words(value);
        break;
      case "ENTRYPOINT":
        config.Entrypoint = words(value);
        break;
      case "ENV":
        // The old form has a blank in the place of the equals sign.
        env.push(/^[^\s=]+\s/.test(value) ? value.replace(/\s+/, "=") : value);
        break;
      case "USER":
        config.User = value;
        break;
      case "WORKDIR":
        config.WorkingDir = value;
        break;
      default:
        throw new UsageError(`--change: nsk has no ${word}`, "it has CMD, ENTRYPOINT, ENV, USER and WORKDIR");
    }
  }
  return env.length ? { ...config, Env: env } : config;
};

/** A list in JSON is the words themselves, anything else is the shell's. */
const words = (value: string): string[] => {
  try {
    const list: unknown = JSON.parse(value);
    if (Array.isArray(list) && list.every((word) => typeof word === "string")) return list;
  } catch {} // then it is a command line
  return ["/bin/sh", "-c", value];
};
