// cgtranslate: what a setting of one version of control groups is on the other. It looks at no group and writes nothing.

import { STATUS } from "../cgroups/status.ts";
import { settingNames, type Translation, translateAlone } from "../cgroups/translation.ts";
import { memoryOf, parseSetting } from "../cgroups/write.ts";
import type { Host } from "../host/host.ts";
import { command } from "./command.ts";
import { jsonOption, print, printJson } from "./output.ts";
import { versionOf, versionOptions } from "./version-options.ts";

const { v1, v2 } = versionOptions;
const options = { v1, v2, ...jsonOption } as const;

export const cgtranslate = command({
  definition: {
    meta: {
      name: "cgtranslate",
      description:
        "Show what settings of one version of control groups are on the other, and change nothing. Without settings, all names that have another.",
    },
    args: options,
  },
  usage: "[-1 | -2] [<name=value>] ...",
  permute: true,
  failure: STATUS.usage,
  run: ({ options, operands, host }) => {
    const names = settingNames();
    if (operands.length === 0) {
      if (options.json) printJson(names);
      else print(columns(names.map(({ v1, v2, readOnly }) => [v1, v2 + (readOnly ? " (read only)" : "")])));
      return 0;
    }
    const translations = planTranslation(operands, versionOf(options), host);
    if (options.json) printJson(translations);
    else print(columns(translations.flatMap(rowsOf)));
    return 0;
  },
});

export const planTranslation = (
  words: readonly string[],
  version: 1 | 2 | undefined,
  host: Host,
): Translation[] => translateAlone(words.map(parseSetting), version, () => memoryOf(host));

type Cells = readonly [v1: string, v2: string];

/** Version 1 on the left, whatever was given; several settings that are one of the other version in lines of their own. */
const rowsOf = ({ from, version, to }: Translation): Cells[] => {
  const text = ({ name, value }: { name: string; value: string }): string => `${name}=${value}`;
  return to.map((it, i): Cells => {
    const given = i === 0 ? text(from) : "";
    return version === 1 ? [given, text(it)] : [text(it), given];
  });
};

export const columns = (rows: readonly Cells[]): string => {
  const all: readonly Cells[] = [["cgroup v1", "cgroup v2"], ...rows];
  const width = Math.max(...all.map(([left]) => left.length));
  return all.map(([left, right]) => `${left.padEnd(width)}  ${right}`.trimEnd() + "\n").join("");
};
