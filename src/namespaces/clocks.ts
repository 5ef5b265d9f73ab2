// What is written to timens_offsets for the clocks of a new time namespace. @see time_namespaces(7)

import { errno } from "../abi/errno.ts";
import type { About } from "../plan/steps.ts";

/** Seconds that the clocks inside are ahead. */
export interface ClockOffsets {
  readonly monotonic?: string | undefined;
  readonly boottime?: string | undefined;
}

/** One line for each clock that is set; the numbers are those of clock_gettime(2). */
export const clockLines = ({
  monotonic,
  boottime,
}: ClockOffsets): { readonly line: string; readonly about: About & { readonly title: string } }[] => {
  const lines: ReturnType<typeof clockLines> = [];
  for (const [clock, number, seconds] of [
    ["boottime", 7, boottime],
    ["monotonic", 1, monotonic],
  ] as const)
    if (seconds !== undefined)
      lines.push({
        line: `${number} ${seconds} 0`,
        about: {
          title: `set the ${clock} clock`,
          reason: `the ${clock} clock inside is ${seconds} seconds ahead`,
          hints: {
            [errno("ERANGE")]: "a clock can neither be before 0 nor end within 146 years",
            [errno("EACCES")]: "clocks can be set until the first process is in the namespace",
          },
        },
      });
  return lines;
};
