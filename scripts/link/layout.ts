// Where in memory the build puts what it adds to the compiled file. All of it lies behind the runtime, which is linked to
// addresses below, and in reach of 32 bits.

import { RECORD, RECORD_BYTES } from "../../src/abi/record.ts";

/** Variables and buffers of the prelude, behind the record. */
export const SCRATCH = (RECORD + RECORD_BYTES + 7) & ~7;
export const SCRATCH_BYTES = 16384;
/** Tables for the embedded dynamic linker, which the prelude completes. */
export const TABLES = SCRATCH + SCRATCH_BYTES;
/** The embedded dynamic linker. */
export const LINKER = 0x11000000;
/** The files of the embedded libraries. */
export const LIBRARIES = 0x12000000;
