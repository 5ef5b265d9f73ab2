// `nsk --licenses`: what is in the file besides nsk, and under which terms. The texts travel with the file, as they want to.

import nsk from "../../LICENSE" with { type: "text" };
import glibc from "./licenses/glibc.txt" with { type: "text" };
import lgpl from "./licenses/lgpl-2.1.txt" with { type: "text" };

const SUMMARY = `This file contains

  nsk                       MIT licence, below
  Bun and what it is made of, JavaScriptCore (LGPL 2.0 and later) among it
                            https://bun.com/docs/project/license
  citty, consola, tar       MIT, MIT and Blue Oak Model Licence 1.0.0
  glibc 2.36 of Debian      LGPL 2.1 and later, below: the dynamic linker, libc, libm, libpthread and libdl, used on
                            machines that have none of their own; docs/static.md of the sources says how to put in
                            another (bun run build --glibc DIR)
`;

/** All of it, as text. */
export const licenses = (): string =>
  [
    SUMMARY,
    heading("nsk"),
    nsk,
    heading("glibc"),
    glibc,
    heading("GNU Lesser General Public License"),
    lgpl,
  ].join("\n");

const heading = (title: string): string => `${"-".repeat(78)}\n${title}\n${"-".repeat(78)}\n`;
