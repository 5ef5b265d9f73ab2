// docker's filter for the capabilities that a container has unless told otherwise, compiled when nsk is built: a start
// of `run` finds the programs ready. The file that imports it does so `with { type: "macro" }`.

import { CAPABILITIES } from "../defaults.ts";
import { compileSeccomp } from "./compile.ts";
import { dockerSeccomp } from "./docker.ts";

/** The program of each processor in base64. */
export const defaultSeccomp = (): { x64: string; arm64: string } => ({
  x64: compileSeccomp(dockerSeccomp("x64", CAPABILITIES)).toBase64(),
  arm64: compileSeccomp(dockerSeccomp("arm64", CAPABILITIES)).toBase64(),
});
