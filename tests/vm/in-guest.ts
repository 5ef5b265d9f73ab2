// Tests whose lines run in a guest: written as any other test, they share one boot.

import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { missingForGuests } from "../../scripts/vm/components.ts";
import { nsk } from "../../scripts/vm/disk.ts";
import { boot, type Guest, type Outcomes, type Ran, type Script } from "../../scripts/vm/guest.ts";

const reason = existsSync(nsk) ? missingForGuests() : "needs dist/nsk: bun run build";

/** A test by its title: lines for `sh -eu`, what to look at, and by whom and how long they may be run. */
export type GuestTest = (
  title: string,
  lines: string,
  check?: (ran: Ran) => void,
  how?: Pick<Script, "user" | "limit">,
) => void;

/** What a test expects that names nothing else: the lines have all succeeded. */
const succeeded = ({ status, stdout, stderr }: Ran): void => {
  if (status !== 0) throw new Error(`ended with ${status}\n${stdout}\n${stderr}`);
};

/** Seconds that a test may wait for its guest: the guest's own limits are shorter. */
const WAIT = 1800;

/** Tests that run one after another in one guest, which is booted when the first of them is run. */
export const inGuest = (name: string, guest: Guest, define: (it: GuestTest) => void): void =>
  describe(name, () => {
    const scripts: Script[] = [];
    let booted: Promise<Outcomes> | undefined;
    const ranIn = async (title: string): Promise<Ran> => {
      const outcome = (await (booted ??= boot(guest, scripts))).get(title);
      if (outcome === undefined || outcome instanceof Error) throw outcome ?? new Error(`no test "${title}"`);
      return outcome;
    };
    define((title, lines, check = succeeded, how = {}) => {
      if (reason) return test.skip(`${title} (${reason})`, () => {});
      if (scripts.some((script) => script.title === title)) throw new Error(`two tests "${title}"`);
      scripts.push({ title, lines, ...how });
      test(
        title,
        async () => {
          const ran = await ranIn(title);
          try {
            check(ran);
          } catch (error) {
            // What the lines said is the first thing that one wants to know.
            (error as Error).message += `\nended with ${ran.status}\n${ran.stdout}\n${ran.stderr}`;
            throw error;
          }
        },
        WAIT * 1000,
      );
    });
  });

/** `printed("a\nb\n")`: exactly that on standard output, nothing on standard error, and success. */
export const printed = (stdout: string) => (ran: Ran) =>
  expect(ran).toEqual({ status: 0, stdout, stderr: "" });
